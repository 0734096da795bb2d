//! A run of a job that was started: what its cleanup and its revert are called on.
//!
//! Calls a phase of it; which one, and when, is decided elsewhere.

use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::obligation::{Obligation, Transition};
use super::phase_call::{call_phase, failure};
use crate::clock::Clock;
use crate::context::Context;
use crate::event::{Failure, Phase};
use crate::job::Erased;
use crate::panics::catch;

/// A run that was started.
pub(crate) struct StartedRun {
    /// Counts runs in the order of their starts.
    pub(crate) order: u64,
    pub(crate) attempt: u32,
    /// When the convergence began that it is from, where that was an earlier one.
    pub(crate) of: Option<Timestamp>,
    pub(crate) obligation: Obligation,
    pub(crate) body: Box<dyn Erased>,
    pub(crate) cx: Context,
}

/// How a call went.
pub(crate) struct Called {
    pub(crate) failure: Option<Box<Failure>>,
    /// There was nothing to call but the trait's own, empty phase.
    pub(crate) is_absent: bool,
    pub(crate) duration: Duration,
}

impl StartedRun {
    pub(crate) fn apply(&mut self, transition: Transition) {
        self.obligation = self.obligation.after(transition);
    }

    /// Lets go of it. To drop a job is the user's code, too.
    pub(crate) fn let_go(self) {
        let _ = catch(|| drop(self));
    }

    /// Calls its cleanup or its revert, and records it with `record` once that has succeeded.
    pub(crate) fn call(
        &mut self,
        phase: Phase,
        clock: &dyn Clock,
        record: impl FnOnce(&Context) -> io::Result<()>,
    ) -> Called {
        let started = clock.now();
        let run = self.cx.run_of().clone();
        // No other job is at work any more, so changing the directory affects none.
        let mut returned = match run.directory.restore() {
            Ok(()) => catch(|| call_phase(self.body.as_mut(), &mut self.cx, phase)),
            Err(error) => Ok(Err(error)),
        };
        if let Ok(Ok(())) = returned
            && let Err(error) = record(&self.cx)
        {
            let error = anyhow::Error::new(error);
            returned = Ok(Err(
                error.context(format!("the {phase} has succeeded, but that could not be written down"))
            ));
        }
        let stopping = run.cancel_cleanup.is_asked();
        let failure = failure(returned, phase, self.attempt, stopping, run.emitter.redactor()).map(Box::new);
        let is_absent = failure.is_none() && self.cx.is_absent();
        Called { failure, is_absent, duration: clock.now().saturating_sub(started) }
    }
}
