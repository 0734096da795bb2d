//! An agent, as far as a conductor can tell it from a real one.

use std::time::Duration;

use crate::board::Item;
use crate::engine::log::record::Record;
use crate::flow::JobStep;
use crate::flow::fact::{Fact, JobFact};

/// How many jobs each posting has, one after another.
pub(super) const JOBS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It is about to look at its next job.
    Checking,
    /// It has announced a run, by this question.
    Waiting(u64),
    /// A run was begun.
    Acting,
}

#[derive(Debug)]
pub(super) struct Agent {
    /// Another one for each agent.
    pub(super) id: u64,
    pub(super) job: usize,
    pub(super) attempt: u32,
    pub(super) doing: Doing,
    pub(super) stops_at: Duration,
    pub(super) stops: bool,
    pub(super) questions: u64,
}

pub(super) fn job_name(job: usize) -> String {
    format!("job {job}")
}

fn item(fact: Fact) -> Item {
    Item::Fact(serde_json::to_string(&fact).expect("a fact"))
}

pub(super) fn intent(job: usize, attempt: u32) -> Item {
    let (n, local) = (job as u64, serde_json::Map::new());
    item(Fact::Engine(Record::Intent {
        n,
        job: job_name(job),
        attempt,
        tries: 99,
        local,
        groups: Vec::new(),
    }))
}

pub(super) fn told(job: usize, step: JobStep) -> Item {
    item(Fact::Job(JobFact { job: job_name(job), step }))
}
