//! Time as a job sees it: what o'clock it is, how to wait, and how much is left.
//!
//! Asks the engine's clock; does not know who stops a run, nor who limits a job.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{Context, Run};
use crate::clock::Wake;
use crate::event::Phase;

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run was asked to stop")]
pub struct Stopped;

impl Run {
    /// Whether the time of the run is over.
    pub(crate) fn is_over_time(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.clock.now() >= deadline)
    }

    /// Whether nothing new is to begin: it was asked to stop, or its time is over.
    pub(crate) fn is_stopping(&self) -> bool {
        self.cancel.is_asked() || self.is_over_time()
    }

    /// A job starts anew, and its time with it.
    pub(crate) fn forget_time(&self, job: u32) {
        self.first_tries.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}

impl Context {
    /// The time of day, by the engine's [clock](crate::Engine::clock).
    pub fn now(&self) -> Timestamp {
        self.run.clock.wall()
    }

    /// Waits for a while, by the engine's clock; comes back early, with an error, when the run is asked to stop, or the
    /// time of this job is over.
    ///
    /// # Errors
    /// When there is no time left.
    pub fn wait(&self, time: Duration) -> Result<(), Stopped> {
        let wake = Arc::new(Wake::default());
        let cancel = self.cancel();
        cancel.notify(&wake);
        let end = self.run.clock.now().saturating_add(time);
        let until =
            self.deadline.filter(|_| !self.is_putting_away()).map_or(end, |deadline| end.min(deadline));
        while !cancel.is_asked() && self.run.clock.now() < until {
            self.run.clock.wait(Some(until), &wake);
        }
        cancel.forget(&wake);
        if self.is_cancelled() { Err(Stopped) } else { Ok(()) }
    }

    /// Whether the run was asked to stop, or the time of this job is over. Long work of a job's own should look now and
    /// then, and return an error; commands end by themselves.
    pub fn is_cancelled(&self) -> bool {
        self.cancel().is_asked() || self.time_left().is_some_and(|left| left.is_zero())
    }

    /// Gives all tries of this job together no more time than this, counted from the start of the first: its commands
    /// are ended then, and [`is_cancelled`](Context::is_cancelled) is true.
    #[cfg_attr(not(feature = "playbook"), allow(dead_code, reason = "tasks of a playbook have a timeout"))]
    pub(crate) fn limit(&mut self, timeout: Duration) {
        let mut first_tries = self.run.first_tries.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *first_tries.entry(self.id).or_insert_with(|| self.run.clock.now());
        drop(first_tries);
        let deadline = began.saturating_add(timeout);
        self.deadline = Some(self.deadline.map_or(deadline, |run| run.min(deadline)));
    }

    /// How much time this job still has, where that is limited.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let deadline = self.deadline.filter(|_| !self.is_putting_away())?;
        Some(deadline.saturating_sub(self.run.clock.now()))
    }

    /// Whether it is at work in a phase that may not be cut short.
    fn is_putting_away(&self) -> bool {
        matches!(self.phase, Phase::Cleanup | Phase::Revert)
    }
}
