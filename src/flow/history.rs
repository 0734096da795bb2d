//! What the log of a posting comes to: the state of the posting and of its jobs.
//!
//! Pure: the same for every board.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::fact::{Fact, JobFact};
use super::job_history::{JobHistory, Loss};
use super::job_state::{JobState, JobStep, JobStepKind};
use super::state::{Illegal, State, Step};
use crate::engine::log::record::Record;
use crate::event::Phase;

/// Something in a log that cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Impossible {
    /// A step of the posting.
    #[error(transparent)]
    Step(#[from] Illegal),
    /// A step of a job.
    #[error("job {job} is {state} and cannot be {step}")]
    JobStep {
        /// The job.
        job: String,
        /// Its state.
        state: JobState,
        /// The step.
        step: JobStepKind,
    },
    /// A fact whose text is none that this version knows.
    #[error("a fact cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// What the log of a posting comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Where the posting is on its way.
    pub state: State,
    /// The last claim: its term, the conductor and its host.
    pub claim: Option<(u64, String, String)>,
    /// When the last step was made.
    pub changed_at: Option<Timestamp>,
    /// Why it is in this state, for people.
    pub reason: Option<String>,
    /// Its jobs that something has happened to, by name.
    pub jobs: BTreeMap<String, JobHistory>,
    losses: BTreeMap<Option<(String, Phase)>, u32>,
}

impl Default for History {
    fn default() -> Self {
        History {
            state: State::Posted,
            claim: None,
            changed_at: None,
            reason: None,
            jobs: BTreeMap::new(),
            losses: BTreeMap::new(),
        }
    }
}

impl History {
    /// Takes a step of the posting in.
    ///
    /// # Errors
    /// When it is not possible; nothing is changed then.
    pub fn step(&mut self, at: Timestamp, step: &Step) -> Result<(), Impossible> {
        let after = self.state.after(step.kind())?;
        let is_taken_over = self.state == State::Running && matches!(step, Step::Claimed { .. });
        if is_taken_over || matches!(step, Step::Released { after_death: true, .. }) {
            self.lose_owner();
        }
        match step {
            Step::Claimed { term, conductor, host } => {
                self.claim = Some((*term, conductor.clone(), host.clone()));
                self.reopen();
            }
            // A person has looked at it.
            Step::Retried => self.losses.clear(),
            _ => {}
        }
        if !matches!(step, Step::Answered { .. }) {
            self.reason = reason(step).map(str::to_owned);
            self.changed_at = Some(at);
        }
        self.state = after;
        Ok(())
    }

    /// Takes a fact in, by its text.
    ///
    /// # Errors
    /// When it cannot be read, or is not possible; nothing is changed then.
    pub fn fact(&mut self, text: &str) -> Result<(), Impossible> {
        let fact = serde_json::from_str(text)
            .map_err(|error| Impossible::Unreadable { reason: error.to_string() })?;
        match fact {
            Fact::Engine(Record::Intent { job, attempt, .. }) => {
                self.jobs.entry(job).or_default().announced = Some(attempt);
            }
            Fact::Engine(_) => {}
            Fact::Job(JobFact { job, step }) => self.job_step(job, &step)?,
            Fact::Known { job, history } => _ = self.jobs.insert(job, history),
            Fact::Losses(losses) => {
                self.losses = losses.into_iter().map(|loss| (loss.at, loss.times)).collect()
            }
        }
        Ok(())
    }

    fn job_step(&mut self, job: String, step: &JobStep) -> Result<(), Impossible> {
        let state = self.jobs.get(&job).map_or(JobState::Open, |known| known.state);
        let kind = step.kind();
        let Some(after) = state.after(kind) else {
            return Err(Impossible::JobStep { job, state, step: kind });
        };
        if !matches!(after, JobState::Open | JobState::Running | JobState::Waiting) {
            self.losses.retain(|at, _| at.as_ref().is_some_and(|(other, _)| *other != job));
        }
        let known = self.jobs.entry(job).or_default();
        known.state = after;
        // The announcement of a run may be written down before the try that it belongs to.
        let is_of_this_try =
            |announced: &u32| matches!(step, JobStep::TryBegan { attempt, .. } if attempt == announced);
        known.announced = known.announced.filter(is_of_this_try);
        match step {
            JobStep::TryBegan { .. } => known.tries += 1,
            JobStep::Converged { changed } => {
                (known.has_changed, known.reason) = (known.has_changed || *changed, None);
            }
            JobStep::Failed { reason } => known.reason = Some(reason.clone()),
            JobStep::Blocked { because_of } => known.reason = Some(because_of.join(", ")),
            _ => {}
        }
        Ok(())
    }

    /// Counts what was under way when an owner was lost.
    fn lose_owner(&mut self) {
        let place = |(job, known): (&String, &JobHistory)| {
            let phase = if known.announced.is_some() { Phase::Run } else { Phase::Check };
            Some((job.clone(), phase))
        };
        let running = self.jobs.iter().filter(|(_, known)| known.state == JobState::Running);
        let mut places: Vec<_> = running.map(place).collect();
        if places.is_empty() {
            places.push(None);
        }
        for place in places {
            *self.losses.entry(place).or_default() += 1;
        }
    }

    fn reopen(&mut self) {
        for known in self.jobs.values_mut() {
            known.announced = None;
            known.state = known.state.after(JobStepKind::Reopened).unwrap_or_default();
        }
    }

    /// Where owners were lost most often, if at all: what parks a posting.
    pub fn worst_loss(&self) -> Option<Loss> {
        let (at, times) = self.losses.iter().max_by_key(|(_, times)| **times)?;
        Some(Loss { at: at.clone(), times: *times })
    }

    /// The facts about jobs that say the same, for a snapshot.
    pub(crate) fn job_facts(&self) -> Vec<Fact> {
        let known =
            self.jobs.iter().map(|(job, history)| Fact::Known { job: job.clone(), history: history.clone() });
        let losses = self.losses.iter().map(|(at, times)| Loss { at: at.clone(), times: *times }).collect();
        known.chain([Fact::Losses(losses)]).collect()
    }
}

fn reason(step: &Step) -> Option<&str> {
    match step {
        Step::Released { reason, .. }
        | Step::Failed { reason }
        | Step::Reverted { reason }
        | Step::RevertIncomplete { reason }
        | Step::Cancelled { reason }
        | Step::Parked { reason } => Some(reason),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    fn claimed(term: u64) -> Step {
        Step::Claimed { term, conductor: format!("conductor {term}"), host: "here".into() }
    }

    fn text(fact: &Fact) -> String {
        serde_json::to_string(fact).unwrap()
    }

    fn job(name: &str, step: JobStep) -> Fact {
        Fact::Job(JobFact { job: name.to_owned(), step })
    }

    fn began(name: &str, attempt: u32) -> Fact {
        job(name, JobStep::TryBegan { attempt, tries: 3 })
    }

    fn intent(name: &str, attempt: u32) -> Fact {
        let (job, local) = (name.to_owned(), Map::new());
        Fact::Engine(Record::Intent { n: 1, job, attempt, tries: 3, local, groups: Vec::new() })
    }

    /// The history after steps, told apart from facts by their type.
    struct Told(History);

    impl Told {
        fn step(mut self, step: &Step) -> Told {
            self.0.step(Timestamp::UNIX_EPOCH, step).unwrap();
            self
        }

        fn fact(mut self, fact: &Fact) -> Told {
            self.0.fact(&text(fact)).unwrap();
            self
        }
    }

    fn told() -> Told {
        Told(History::default())
    }

    fn state(told: &Told, job: &str) -> JobState {
        told.0.jobs[job].state
    }

    #[test]
    fn the_next_owner_finds_what_has_converged_and_begins_the_rest_anew() {
        let told = told()
            .step(&claimed(1))
            .fact(&began("a", 1))
            .fact(&job("a", JobStep::Converged { changed: true }))
            .fact(&began("b", 1))
            .fact(&job("b", JobStep::TryFailed))
            .fact(&began("b", 2))
            .step(&claimed(2));
        assert_eq!((state(&told, "a"), state(&told, "b")), (JobState::Converged, JobState::Open));
        let told = told
            .fact(&began("a", 1))
            .fact(&job("a", JobStep::Converged { changed: false }))
            .fact(&began("b", 1))
            .fact(&job("b", JobStep::Failed { reason: "no".into() }))
            .step(&Step::Failed { reason: "b: no".into() });
        assert_eq!(told.0.state, State::Failed);
        assert_eq!(told.0.reason.as_deref(), Some("b: no"));
        assert_eq!(told.0.claim, Some((2, "conductor 2".into(), "here".into())));
        let b = &told.0.jobs["b"];
        assert_eq!((b.state, b.tries, b.reason.as_deref()), (JobState::Failed, 3, Some("no")));
        assert!(told.0.jobs["a"].has_changed, "by the first owner");
    }

    #[test]
    fn what_cannot_have_happened_is_an_error_and_changes_nothing() {
        let mut history = told().step(&claimed(1)).fact(&began("a", 1)).0;
        let before = history.clone();
        let error = history.fact(&text(&began("a", 2))).unwrap_err();
        assert_eq!(error.to_string(), "job a is running and cannot be tried");
        let error = history.step(Timestamp::UNIX_EPOCH, &Step::Retried).unwrap_err();
        assert_eq!(error.to_string(), "a posting that is running cannot be retried");
        assert!(matches!(history.fact("{"), Err(Impossible::Unreadable { .. })));
        assert_eq!(history, before);
    }

    fn worst(told: &Told) -> Option<(Option<(&str, Phase)>, u32)> {
        let Loss { at, times } = told.0.worst_loss()?;
        let at = at.map(|(job, phase)| (told.0.jobs.get_key_value(&job).unwrap().0.as_str(), phase));
        Some((at, times))
    }

    #[test]
    fn owners_that_are_lost_in_the_same_phase_of_the_same_job_are_counted() {
        let mut it = told().step(&claimed(1));
        assert_eq!(worst(&it), None);
        for term in 2..=4 {
            it = it.fact(&began("a", 1)).fact(&intent("a", 1)).step(&claimed(term));
        }
        assert_eq!(worst(&it), Some((Some(("a", Phase::Run)), 3)));
        it = it.fact(&began("a", 1)).step(&claimed(5));
        assert_eq!(worst(&it), Some((Some(("a", Phase::Run)), 3)), "another phase counts for itself");
        let back = Step::Released {
            reason: "a drain".into(),
            taken_away: false,
            after_death: false,
            not_before: None,
            only_host: None,
        };
        it = it.fact(&intent("a", 1)).fact(&began("a", 1)).step(&back).step(&claimed(6));
        assert_eq!(
            worst(&it),
            Some((Some(("a", Phase::Run)), 3)),
            "a posting that is handed back is not lost"
        );
        it = it.fact(&intent("a", 1)).fact(&began("a", 1)).step(&claimed(7));
        assert_eq!(worst(&it), Some((Some(("a", Phase::Run)), 4)), "in whichever order it was written down");
        let dead = Step::Released {
            reason: "it aborted".into(),
            taken_away: false,
            after_death: true,
            not_before: None,
            only_host: None,
        };
        it = it.fact(&began("a", 1)).fact(&intent("a", 1)).step(&dead).step(&claimed(8));
        assert_eq!(worst(&it), Some((Some(("a", Phase::Run)), 5)), "the death of whoever ran it counts");
        it = it.fact(&began("a", 1)).fact(&job("a", JobStep::Converged { changed: true }));
        assert_eq!(worst(&it), None, "it has got past it");
        it = it.step(&claimed(9)).step(&claimed(10));
        assert_eq!(worst(&it), Some((None, 2)), "before any job");
        let parked = Step::Parked { reason: "lost too often".into() };
        it = it.step(&parked).step(&Step::Retried);
        assert_eq!(worst(&it), None, "a person has looked at it");
    }

    #[derive(Clone, Debug)]
    enum Line {
        Step(Step),
        Fact(Fact),
    }

    fn any_line() -> impl Strategy<Value = Line> {
        let name = || prop_oneof![Just("a"), Just("b")];
        let step = prop_oneof![
            Just(JobStep::TryFailed),
            any::<bool>().prop_map(|changed| JobStep::Converged { changed }),
            Just(JobStep::Failed { reason: "no".into() }),
            Just(JobStep::Blocked { because_of: vec!["b".into()] }),
            Just(JobStep::Reverted),
        ];
        prop_oneof![
            Just(Line::Step(claimed(1))),
            (name(), 1..3_u32).prop_map(|(name, attempt)| Line::Fact(began(name, attempt))),
            (name(), 1..3_u32).prop_map(|(name, attempt)| Line::Fact(intent(name, attempt))),
            (name(), step).prop_map(|(name, step)| Line::Fact(job(name, step))),
        ]
    }

    fn tell(history: &mut History, line: &Line) -> bool {
        match line {
            Line::Step(step) => history.step(Timestamp::UNIX_EPOCH, step).is_ok(),
            Line::Fact(fact) => history.fact(&text(fact)).is_ok(),
        }
    }

    proptest! {
        /// A snapshot takes the place of the facts before it; steps stay where they are.
        #[test]
        fn a_snapshot_says_the_same(
            before in prop::collection::vec(any_line(), 0..30),
            after in prop::collection::vec(any_line(), 0..30),
        ) {
            let (mut whole, mut short) = (History::default(), History::default());
            for line in &before {
                if tell(&mut whole, line) && matches!(line, Line::Step(_)) {
                    prop_assert!(tell(&mut short, line));
                }
            }
            for fact in whole.job_facts() {
                prop_assert!(tell(&mut short, &Line::Fact(fact)));
            }
            prop_assert_eq!(&whole, &short);
            for line in &after {
                prop_assert_eq!(tell(&mut whole, line), tell(&mut short, line));
            }
            prop_assert_eq!(whole, short);
        }
    }
}
