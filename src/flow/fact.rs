//! The facts in the log of a posting, between its steps: what the engine has written down, and what has happened to jobs.
//!
//! Pure. A board keeps their text and does not read it.

use serde::{Deserialize, Serialize};

use super::job_history::{JobHistory, Loss};
use super::job_state::JobStep;
use crate::engine::log::record::Record;
use crate::event::{Event, Outcome};

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fact {
    /// What the engine has written down, so that the next owner can go on.
    Engine(Record),
    /// What has happened to a job, so that people can see it.
    Job(JobFact),
    /// In the place of everything that had happened to a job before a snapshot.
    Known { job: String, history: JobHistory },
    /// In the place of everything that had cost owners their claims before a snapshot.
    Losses(Vec<Loss>),
}

/// What has happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobFact {
    pub(crate) job: String,
    #[serde(flatten)]
    pub(crate) step: JobStep,
}

impl JobFact {
    /// What an event says of jobs, where it changes their states. Secrets are masked in events.
    pub(crate) fn of(event: &Event) -> Vec<JobFact> {
        let fact = |job: &str, step| vec![JobFact { job: job.to_owned(), step }];
        match event {
            Event::TryStarted { job, attempt, tries } => {
                fact(job, JobStep::TryBegan { attempt: *attempt, tries: *tries })
            }
            Event::RetryScheduled { job, .. } => fact(job, JobStep::TryFailed),
            Event::RevertEnded { job, exists: true, passed: true, .. } => fact(job, JobStep::Reverted),
            Event::AttemptFailed { reopened, .. } => {
                let reopened = reopened.iter().map(|job| fact(job, JobStep::Reopened));
                reopened.flatten().collect()
            }
            Event::JobSettled { job, outcome, reason, because_of, .. } => match outcome {
                Outcome::InPlace => fact(job, JobStep::Converged { changed: false }),
                Outcome::Changed => fact(job, JobStep::Converged { changed: true }),
                Outcome::Failed => fact(job, JobStep::Failed { reason: reason.clone().unwrap_or_default() }),
                Outcome::Blocked => {
                    let because_of = because_of.iter().map(|job| job.to_string()).collect();
                    fact(job, JobStep::Blocked { because_of })
                }
                Outcome::Skipped => fact(job, JobStep::Skipped),
                // The rest is told by the revert itself, does not happen where things are run, or is for the next owner.
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::job_state::JobState;
    use crate::{Engine, JobGraph};

    /// What the engine tells is possible by the table, and leads to what it reports.
    #[test]
    fn the_events_of_a_run_are_steps_of_its_jobs() {
        let mut graph = JobGraph::builder();
        graph.job("fine", |_| Ok(()), |_| Ok(()));
        graph.job("broken", |_| anyhow::bail!("no"), |_| Ok(()));
        graph.run_only("behind", |_| Ok(())).after(["broken"]);
        let (sender, receiver) = std::sync::mpsc::channel();
        let observer = move |event: &Event| _ = sender.send(JobFact::of(event));
        let mut engine = Engine::with_graph(graph.build().unwrap()).tries(2).simulate(1).observe(observer);
        let report = engine.converge();
        drop(engine);
        let mut states = std::collections::BTreeMap::<String, JobState>::new();
        for fact in receiver.into_iter().flatten() {
            let state = states.entry(fact.job.clone()).or_default();
            *state = state.after(fact.step.kind()).unwrap_or_else(|| panic!("{fact:?} when {state}"));
        }
        assert!(!report.success());
        let found: Vec<_> = states.iter().map(|(job, state)| (job.as_str(), *state)).collect();
        let expected =
            [("behind", JobState::Blocked), ("broken", JobState::Failed), ("fine", JobState::Converged)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_fact_has_a_text_that_says_the_same() {
        let facts = [
            Fact::Engine(Record::Settled { n: 3 }),
            Fact::Job(JobFact { job: "a".into(), step: JobStep::TryBegan { attempt: 1, tries: 3 } }),
            Fact::Job(JobFact { job: "a".into(), step: JobStep::Failed { reason: "no".into() } }),
            Fact::Job(JobFact { job: "a".into(), step: JobStep::Reopened }),
        ];
        for fact in facts {
            let text = serde_json::to_string(&fact).unwrap();
            assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), fact, "{text}");
        }
    }
}
