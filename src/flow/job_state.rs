//! The states of a job within a posting, and the steps that lead from one to the next: one table.
//!
//! Pure. `docs/flow.md` draws the table.

use std::fmt;

use serde::{Deserialize, Serialize};

use self::JobState::{Blocked, Converged, Failed, Open, Reverted, Running, Skipped, Waiting};

/// Where a job is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// It was not begun, or is begun anew by the next owner.
    #[default]
    Open,
    /// A try is under way.
    Running,
    /// A try has failed, and there will be another.
    Waiting,
    /// It is in its wanted state, as far as the owner has seen.
    Converged,
    /// Its last try has failed.
    Failed,
    /// It was never tried, since a dependency failed or was blocked itself.
    Blocked,
    /// It was left out on purpose.
    Skipped,
    /// What it did was reverted.
    Reverted,
}

impl JobState {
    /// The state after a step; `None` where that step is not possible.
    pub fn after(self, step: JobStepKind) -> Option<JobState> {
        let (_, row) = TABLE[self as usize];
        row[step as usize]
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Open => "open",
            Running => "running",
            Waiting => "waiting",
            Converged => "converged",
            Failed => "failed",
            Blocked => "blocked",
            Skipped => "skipped",
            Reverted => "reverted",
        })
    }
}

/// What happens to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobStep {
    /// A try begins.
    TryBegan {
        /// Which try in this term, counted from 1.
        #[serde(rename = "try")]
        attempt: u32,
        /// How many it may have.
        tries: u32,
    },
    /// A try has failed, and there will be another.
    TryFailed,
    /// It is in its wanted state.
    Converged {
        /// Whether a run of it was needed.
        changed: bool,
    },
    /// Its last try has failed.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// It is not tried.
    Blocked {
        /// The dependencies that block it.
        because_of: Vec<String>,
    },
    /// It is left out on purpose.
    Skipped,
    /// What it did was reverted.
    Reverted,
    /// Another owner begins anew, or another attempt of a group: what has converged is checked again when its turn comes, everything
    /// else is open.
    Reopened,
}

impl JobStep {
    /// Which kind of step it is.
    pub fn kind(&self) -> JobStepKind {
        match self {
            JobStep::TryBegan { .. } => JobStepKind::TryBegan,
            JobStep::TryFailed => JobStepKind::TryFailed,
            JobStep::Converged { .. } => JobStepKind::Converged,
            JobStep::Failed { .. } => JobStepKind::Failed,
            JobStep::Blocked { .. } => JobStepKind::Blocked,
            JobStep::Skipped => JobStepKind::Skipped,
            JobStep::Reverted => JobStepKind::Reverted,
            JobStep::Reopened => JobStepKind::Reopened,
        }
    }
}

/// The kinds of [`JobStep`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobStepKind {
    /// [`JobStep::TryBegan`]
    TryBegan,
    /// [`JobStep::TryFailed`]
    TryFailed,
    /// [`JobStep::Converged`]
    Converged,
    /// [`JobStep::Failed`]
    Failed,
    /// [`JobStep::Blocked`]
    Blocked,
    /// [`JobStep::Skipped`]
    Skipped,
    /// [`JobStep::Reverted`]
    Reverted,
    /// [`JobStep::Reopened`]
    Reopened,
}

impl fmt::Display for JobStepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            JobStepKind::TryBegan => "tried",
            JobStepKind::TryFailed => "tried again",
            JobStepKind::Converged => "converged",
            JobStepKind::Failed => "failed",
            JobStepKind::Blocked => "blocked",
            JobStepKind::Skipped => "skipped",
            JobStepKind::Reverted => "reverted",
            JobStepKind::Reopened => "reopened",
        })
    }
}

/// What follows on what: for each state, the state after each [`JobStepKind`], in the order of their declarations; `None`
/// where that step is not possible.
#[rustfmt::skip]
pub(crate) const TABLE: [(JobState, [Option<JobState>; 8]); 8] = {
    const NO: Option<JobState> = None;
    const fn to(state: JobState) -> Option<JobState> { Some(state) }
    [
    //           TryBegan     TryFailed    Converged      Failed      Blocked      Skipped      Reverted      Reopened
    (Open,      [to(Running), NO,          NO,            NO,         to(Blocked), to(Skipped), to(Reverted), to(Open)]),
    (Running,   [NO,          to(Waiting), to(Converged), to(Failed), NO,          NO,          NO,           to(Open)]),
    (Waiting,   [to(Running), NO,          NO,            to(Failed), NO,          NO,          to(Reverted), to(Open)]),
    (Converged, [to(Running), NO,          NO,            NO,         to(Blocked), to(Skipped), to(Reverted), to(Converged)]),
    (Failed,    [NO,          NO,          NO,            NO,         NO,          NO,          to(Reverted), to(Open)]),
    (Blocked,   [NO,          NO,          NO,            NO,         NO,          NO,          NO,           to(Open)]),
    (Skipped,   [NO,          NO,          NO,            NO,         NO,          NO,          NO,           to(Open)]),
    (Reverted,  [to(Running), NO,          NO,            NO,         to(Blocked), to(Skipped), to(Reverted), to(Open)]),
    ]
};

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const STEPS: [JobStepKind; 8] = [
        JobStepKind::TryBegan,
        JobStepKind::TryFailed,
        JobStepKind::Converged,
        JobStepKind::Failed,
        JobStepKind::Blocked,
        JobStepKind::Skipped,
        JobStepKind::Reverted,
        JobStepKind::Reopened,
    ];

    #[test]
    fn the_table_is_in_the_order_of_the_declarations() {
        for (at, (state, _)) in TABLE.into_iter().enumerate() {
            assert_eq!(state as usize, at);
        }
        for (at, step) in STEPS.into_iter().enumerate() {
            assert_eq!(step as usize, at);
        }
    }

    #[test]
    fn only_a_try_that_is_under_way_can_converge_or_be_tried_again() {
        for (state, _) in TABLE {
            for step in [JobStepKind::Converged, JobStepKind::TryFailed] {
                assert_eq!(state.after(step).is_some(), state == Running, "{state} after {step}");
            }
            let reopened = state.after(JobStepKind::Reopened);
            assert!(matches!(reopened, Some(Open | Converged)), "the next owner can always begin");
            assert!(reopened.is_some_and(|open| open.after(JobStepKind::TryBegan).is_some()));
        }
    }

    /// `docs/flow.md` draws the table as it is.
    #[test]
    fn the_page_draws_the_table() {
        let mut drawn = String::from("```mermaid\nstateDiagram-v2\n    [*] --> Open\n");
        for (state, row) in TABLE {
            for (step, after) in STEPS.into_iter().zip(row) {
                let Some(after) = after else { continue };
                // A step that leaves everything as it is would only be in the way.
                if after != state {
                    let _ = writeln!(drawn, "    {state:?} --> {after:?}: {step:?}");
                }
            }
        }
        drawn.push_str("```");
        crate::flow::page::keeps("jobs", &drawn);
    }
}
