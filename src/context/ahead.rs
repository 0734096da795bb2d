//! What a look ahead has found that is not in place yet, for the checks of the jobs behind it.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The jobs that are not in place.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    would_run: HashSet<u32>,
    unknown: HashSet<u32>,
    /// Those behind one of the others.
    behind: HashSet<u32>,
}

impl Ahead {
    /// A job would run.
    pub(crate) fn note_would_run(&self, job: u32) {
        self.found().would_run.insert(job);
    }

    /// Of a job it could not be found out whether it would.
    pub(crate) fn note_unknown(&self, job: u32) {
        self.found().unknown.insert(job);
    }

    /// A job is about to be checked with one before it that is not in place.
    pub(crate) fn note_behind(&self, job: u32) {
        self.found().behind.insert(job);
    }

    /// Whether a job before this one is not in place.
    pub(crate) fn is_behind(&self, job: u32) -> bool {
        self.found().behind.contains(&job)
    }

    /// Whether a job would run, and so may change something.
    pub(crate) fn would_run(&self, job: u32) -> bool {
        self.found().would_run.contains(&job)
    }

    /// Whether what a job hands on is not known yet.
    pub(crate) fn is_open(&self, job: u32) -> bool {
        let found = self.found();
        found.would_run.contains(&job) || found.unknown.contains(&job)
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
