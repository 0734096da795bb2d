//! The states of a posting, and the steps that lead from one to the next: one table, which the boards enforce.
//!
//! Pure. `docs/flow.md` draws the table.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::State::{
    Cancelled, Converged, Failed, Parked, Posted, RevertIncomplete, Reverted, Running, Suspended,
};

/// Where a posting is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It waits for its first conductor; nothing of it was begun.
    Posted,
    /// A conductor has claimed it. Whether that conductor is still alive, its lease tells.
    Running,
    /// It was begun, and waits for a conductor that goes on with it.
    Suspended,
    /// Every job is in its wanted state.
    Converged,
    /// A job has failed for good, and what was done was left as it is.
    Failed,
    /// A job has failed for good, and everything that was run was reverted.
    Reverted,
    /// A job has failed for good, and not everything that was run could be reverted.
    RevertIncomplete,
    /// It was cancelled.
    Cancelled,
    /// It was put aside, since it cost too many conductors their claim.
    Parked,
}

impl State {
    /// All of them, in the order of their declarations.
    pub const ALL: [State; 9] =
        [Posted, Running, Suspended, Converged, Failed, Reverted, RevertIncomplete, Cancelled, Parked];

    /// Its name, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Posted => "posted",
            Running => "running",
            Suspended => "suspended",
            Converged => "converged",
            Failed => "failed",
            Reverted => "reverted",
            RevertIncomplete => "revert_incomplete",
            Cancelled => "cancelled",
            Parked => "parked",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether there is something left to do: a conductor may claim it, or has.
    pub fn is_open(self) -> bool {
        matches!(self, Posted | Running | Suspended)
    }

    /// The state after a step.
    ///
    /// # Errors
    /// When the step is not possible in this state.
    pub fn after(self, step: StepKind) -> Result<State, Illegal> {
        let (_, row) = TABLE[self as usize];
        row[step as usize].ok_or(Illegal { state: self, step })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevertIncomplete => f.write_str("revert incomplete"),
            state => f.write_str(state.name()),
        }
    }
}

/// A step that is not possible in the state that a posting is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a posting that is {state} cannot be {step}")]
#[non_exhaustive]
pub struct Illegal {
    /// The state.
    pub state: State,
    /// The step.
    pub step: StepKind,
}

/// What happens to a posting. Its log has all of them, between the facts of its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// A conductor has claimed it, or taken it over from one whose lease had run out.
    Claimed {
        /// The term of this claim.
        term: u64,
        /// Which conductor.
        conductor: String,
        /// The host that the conductor is on.
        host: String,
    },
    /// Its owner has handed it back, or a person has taken the claim away.
    Released {
        /// Why, for people.
        reason: String,
        /// Whether a person did it, and not the owner.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        taken_away: bool,
        /// Whether whoever ran it for the owner has died, so that what was under way is the likely cause.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after_death: bool,
        /// The time of day before which nobody claims it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// The only host that may go on with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only_host: Option<String>,
    },
    /// Every job has converged.
    Converged,
    /// A job has failed for good; what was done was left as it is.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// A job has failed for good, and everything was reverted.
    Reverted {
        /// Why it failed, for people.
        reason: String,
    },
    /// A job has failed for good, and not everything could be reverted.
    RevertIncomplete {
        /// What was not reverted, and why, for people.
        reason: String,
    },
    /// It was cancelled, as a person had asked.
    Cancelled {
        /// Why, for people.
        reason: String,
    },
    /// It was put aside.
    Parked {
        /// Why, for people.
        reason: String,
    },
    /// It is open again, as a person had asked: what failed is tried once more.
    Retried,
    /// Its owner has dealt with what people had asked for, up to this request.
    Answered {
        /// The number of the last request that was dealt with.
        request: u64,
    },
}

impl Step {
    /// Which kind of step it is.
    pub fn kind(&self) -> StepKind {
        match self {
            Step::Claimed { .. } => StepKind::Claimed,
            Step::Released { .. } => StepKind::Released,
            Step::Converged => StepKind::Converged,
            Step::Failed { .. } => StepKind::Failed,
            Step::Reverted { .. } => StepKind::Reverted,
            Step::RevertIncomplete { .. } => StepKind::RevertIncomplete,
            Step::Cancelled { .. } => StepKind::Cancelled,
            Step::Parked { .. } => StepKind::Parked,
            Step::Retried => StepKind::Retried,
            Step::Answered { .. } => StepKind::Answered,
        }
    }
}

/// The kinds of [`Step`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// [`Step::Claimed`]
    Claimed,
    /// [`Step::Released`]
    Released,
    /// [`Step::Converged`]
    Converged,
    /// [`Step::Failed`]
    Failed,
    /// [`Step::Reverted`]
    Reverted,
    /// [`Step::RevertIncomplete`]
    RevertIncomplete,
    /// [`Step::Cancelled`]
    Cancelled,
    /// [`Step::Parked`]
    Parked,
    /// [`Step::Retried`]
    Retried,
    /// [`Step::Answered`]
    Answered,
}

impl StepKind {
    /// All of them, in the order of their declarations.
    pub const ALL: [StepKind; 10] = [
        StepKind::Claimed,
        StepKind::Released,
        StepKind::Converged,
        StepKind::Failed,
        StepKind::Reverted,
        StepKind::RevertIncomplete,
        StepKind::Cancelled,
        StepKind::Parked,
        StepKind::Retried,
        StepKind::Answered,
    ];

    /// Whether it is the owner who takes this step, by appending it. The others are written by the board.
    pub fn is_the_owners(self) -> bool {
        !matches!(self, StepKind::Claimed | StepKind::Released | StepKind::Retried)
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StepKind::Claimed => "claimed",
            StepKind::Released => "released",
            StepKind::Converged => "converged",
            StepKind::Failed => "failed",
            StepKind::Reverted => "reverted",
            StepKind::RevertIncomplete => "reverted in part",
            StepKind::Cancelled => "cancelled",
            StepKind::Parked => "parked",
            StepKind::Retried => "retried",
            StepKind::Answered => "answered",
        })
    }
}

/// What follows on what: for each state, the state after each [`StepKind`], in the order of their declarations; `None` where
/// that step is not possible.
#[rustfmt::skip]
pub(crate) const TABLE: [(State, [Option<State>; 10]); 9] = {
    const NO: Option<State> = None;
    const fn to(state: State) -> Option<State> { Some(state) }
    [
    //                  Claimed      Released       Converged      Failed      Reverted      RevertIncomplete      Cancelled      Parked      Retried        Answered
    (Posted,           [to(Running), NO,            NO,            NO,         NO,           NO,                   to(Cancelled), NO,         NO,            NO]),
    (Running,          [to(Running), to(Suspended), to(Converged), to(Failed), to(Reverted), to(RevertIncomplete), to(Cancelled), to(Parked), NO,            to(Running)]),
    (Suspended,        [to(Running), NO,            NO,            NO,         NO,           NO,                   NO,            NO,         NO,            NO]),
    (Converged,        [NO,          NO,            NO,            NO,         NO,           NO,                   NO,            NO,         NO,            NO]),
    (Failed,           [NO,          NO,            NO,            NO,         NO,           NO,                   NO,            NO,         to(Suspended), NO]),
    (Reverted,         [NO,          NO,            NO,            NO,         NO,           NO,                   NO,            NO,         to(Suspended), NO]),
    (RevertIncomplete, [NO,          NO,            NO,            NO,         NO,           NO,                   NO,            NO,         to(Suspended), NO]),
    (Cancelled,        [NO,          NO,            NO,            NO,         NO,           NO,                   NO,            NO,         to(Suspended), NO]),
    (Parked,           [NO,          NO,            NO,            NO,         NO,           NO,                   NO,            NO,         to(Suspended), NO]),
    ]
};

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_declarations() {
        for (at, (state, _)) in TABLE.into_iter().enumerate() {
            assert_eq!(state as usize, at);
            assert_eq!(State::ALL[at], state);
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        for (at, step) in StepKind::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, at);
        }
    }

    #[test]
    fn only_a_conductor_closes_what_was_begun() {
        for (state, row) in TABLE {
            for (step, after) in StepKind::ALL.into_iter().zip(row) {
                let Some(after) = after else { continue };
                let closes = state.is_open() && !after.is_open();
                assert!(
                    !closes || state == Running || (state, step) == (Posted, StepKind::Cancelled),
                    "{state:?} after {step:?}"
                );
                assert_eq!(after == Running, matches!(step, StepKind::Claimed | StepKind::Answered));
            }
        }
    }

    #[test]
    fn what_was_closed_is_opened_by_a_retry_alone_and_a_converged_posting_never() {
        for state in State::ALL.into_iter().filter(|state| !state.is_open()) {
            for step in StepKind::ALL {
                let opens = step == StepKind::Retried && state != Converged;
                assert_eq!(state.after(step).is_ok(), opens, "{state:?} after {step:?}");
            }
        }
        let error = Converged.after(StepKind::Claimed).unwrap_err();
        assert_eq!(error.to_string(), "a posting that is converged cannot be claimed");
    }

    /// `docs/flow.md` draws the table as it is.
    #[test]
    fn the_page_draws_the_table() {
        let mut drawn = String::from("```mermaid\nstateDiagram-v2\n    [*] --> Posted\n");
        for (state, row) in TABLE {
            for (step, after) in StepKind::ALL.into_iter().zip(row) {
                let Some(after) = after else { continue };
                let _ = writeln!(drawn, "    {state:?} --> {after:?}: {step:?}");
            }
            if !state.is_open() {
                let _ = writeln!(drawn, "    {state:?} --> [*]");
            }
        }
        drawn.push_str("```");
        crate::flow::page::keeps("postings", &drawn);
    }
}
