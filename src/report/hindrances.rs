//! Which jobs stand before another one: those that block it, and in a look ahead those that are not in place yet.
//!
//! Costs as much as there are edges: of a job that is in place behind one that is not, only the first of those is kept.

use std::collections::HashSet;
use std::sync::Arc;

use crate::event::Outcome;
use crate::graph::SharedGraph;

/// No job.
const NONE: u32 = u32::MAX;

/// The jobs that stand before others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hindrances {
    /// In a look ahead: by job, the first that is not in place before it. Otherwise empty.
    first: Vec<u32>,
}

impl Hindrances {
    /// For a look ahead over so many jobs, or for anything else.
    pub(crate) fn new(look_ahead: Option<usize>) -> Self {
        Hindrances { first: vec![NONE; look_ahead.unwrap_or(0)] }
    }

    /// A job has settled, and all before it have: notes what stands before it. Says whether anything does.
    pub(crate) fn note(
        &mut self,
        graph: &SharedGraph,
        job: u32,
        outcome: impl Fn(u32) -> Option<Outcome>,
    ) -> bool {
        if self.first.is_empty() {
            return false;
        }
        let first = graph.dependencies().of(job).iter().find_map(|on| self.open(*on, &outcome));
        self.first[job as usize] = first.unwrap_or(NONE);
        first.is_some()
    }

    /// Whether a look ahead has found anything that stands before a job.
    pub(crate) fn has(&self, job: u32) -> bool {
        self.first.get(job as usize).is_some_and(|first| *first != NONE)
    }

    /// The names of those that stand before a job: its direct dependencies that are not in place, and for those that are
    /// in place, but may change, the first that stands before them.
    pub(crate) fn of(
        &self,
        graph: &SharedGraph,
        job: u32,
        outcome: impl Fn(u32) -> Option<Outcome>,
    ) -> Vec<Arc<str>> {
        let has_any = match outcome(job) {
            Some(Outcome::Blocked | Outcome::Unknown) => true,
            Some(Outcome::InPlace | Outcome::WouldRun) => self.has(job),
            _ => false,
        };
        if !has_any {
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let open = graph.dependencies().of(job).iter().filter_map(|on| self.open(*on, &outcome));
        open.filter(|on| seen.insert(*on)).map(|on| graph.job(on).name.clone()).collect()
    }

    /// What stands in the way at a dependency: itself, or the first before it.
    fn open(&self, job: u32, outcome: &impl Fn(u32) -> Option<Outcome>) -> Option<u32> {
        match outcome(job) {
            None => None,
            Some(outcome) if !outcome.is_converged() => Some(job),
            Some(_) => self.first.get(job as usize).copied().filter(|first| *first != NONE),
        }
    }
}
