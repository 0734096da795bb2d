//! What happens during a run, told once: one [`Event`] type, and the [`Observer`]s that hear it.
//!
//! Everything that is shown, stored or sent on is derived from these events. This room does not know who listens, nor
//! how a job is tried.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::panics::catch;
use crate::secret::Redactor;

/// A part of one try of a job, or its revert or cleanup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Is the world as wanted?
    Check,
    /// Change the world.
    Run,
    /// Is it as wanted now? The only proof of success.
    Recheck,
    /// Put away what a run left lying about.
    Cleanup,
    /// Revert what a run has done.
    Revert,
}

impl Phase {
    /// The word for it in messages and logs: `check`, `run`, `recheck`, `cleanup`, `revert`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Check => "check",
            Phase::Run => "run",
            Phase::Recheck => "recheck",
            Phase::Cleanup => "cleanup",
            Phase::Revert => "revert",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a job ended in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Converged without a run: its check passed in the first place.
    InPlace,
    /// Converged by a run: its recheck passed, or, where the work shows late, the check of a later try.
    Changed,
    /// Not to be done, since a condition was false; those that depend on it go on as if it had converged.
    Skipped,
    /// Changed by a run, and then reverted, since something else failed.
    Reverted,
    /// All its tries failed.
    Failed,
    /// Never tried, because a dependency failed or was blocked itself.
    Blocked,
    /// No-act: its check found the world different.
    WouldRun,
    /// No-act: its check could not find out how things are.
    CouldNotFindOut,
    /// No-act: a dependency is not in place, so its own check was not called; in a
    /// [look ahead](crate::Engine::look_ahead): or could not find out.
    Unknown,
    /// Begun, but not settled when the run was stopped.
    Stopped,
    /// Not begun when the run was stopped.
    NotStarted,
}

impl Outcome {
    /// Whether the job is in its wanted state, or was skipped, so that its dependents may start.
    pub fn is_converged(self) -> bool {
        matches!(self, Outcome::InPlace | Outcome::Changed | Outcome::Skipped)
    }

    /// The words for people: `in place`, `changed`, `would run`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::InPlace => "in place",
            Outcome::Changed => "changed",
            Outcome::Skipped => "skipped",
            Outcome::Reverted => "reverted",
            Outcome::Failed => "failed",
            Outcome::Blocked => "blocked",
            Outcome::WouldRun => "would run",
            Outcome::CouldNotFindOut => "could not find out",
            Outcome::Unknown => "unknown",
            Outcome::Stopped => "stopped",
            Outcome::NotStarted => "not started",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a phase failed, in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// It returned an error; of a check: the world is not as wanted.
    Error,
    /// A check or recheck could not tell how the world is.
    CouldNotFindOut,
    /// It panicked.
    Panic,
    /// It was asked to stop.
    Stopped,
}

/// A failed phase: what the person who has to mend it needs to know. Secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The phase that failed.
    pub phase: Phase,
    /// In which try, counted from 1.
    #[serde(rename = "try")]
    pub attempt: u32,
    /// Why, in kind.
    pub kind: FailureKind,
    /// On one line: the error and what caused it, or the panic's message.
    pub reason: String,
    /// Whether it said itself that another try is pointless ([`Permanent`](crate::Permanent)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permanent: bool,
    /// What caused it, outermost first, each in full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Where it panicked, as `file:line:column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The backtrace, where the environment asks for one (`RUST_BACKTRACE=1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// How the world differs from what is wanted, as a unified diff, where the check could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Failure {
    pub(crate) fn new(phase: Phase, attempt: u32, kind: FailureKind, reason: String) -> Failure {
        Failure {
            phase,
            attempt,
            kind,
            reason,
            permanent: false,
            causes: Vec::new(),
            location: None,
            backtrace: None,
            diff: None,
        }
    }
}

/// Where a line of a job's output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stream {
    /// A command's standard output.
    Stdout,
    /// A command's standard error.
    Stderr,
    /// The job itself: [`Context::log`](crate::Context::log), or `tracing`.
    Log,
}

/// Something that happened in a run. Durations are given to observers as [`Duration`] and in JSON as seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The first event of every run.
    #[non_exhaustive]
    RunStarted {
        /// The time of day.
        at: Timestamp,
        /// How many jobs the graph has.
        jobs: usize,
        /// How many jobs may be in work at once.
        workers: usize,
        /// Whether this is a dry run.
        no_act: bool,
        /// Whether it also calls the checks behind jobs that are not in place.
        look_ahead: bool,
        /// Whether it only calls the cleanups that earlier runs left pending.
        only_pending: bool,
    },
    /// A job begins a try.
    #[non_exhaustive]
    TryStarted {
        /// The job's name.
        job: Arc<str>,
        /// Which try, counted from 1.
        #[serde(rename = "try")]
        attempt: u32,
        /// How many it may have.
        tries: u32,
    },
    /// A phase begins.
    #[non_exhaustive]
    PhaseStarted {
        /// The job's name.
        job: Arc<str>,
        /// Which phase.
        phase: Phase,
        /// Which try, counted from 1.
        #[serde(rename = "try")]
        attempt: u32,
    },
    /// A phase has ended. A run-only job fails its check by definition, and its recheck is the result of its run.
    #[non_exhaustive]
    PhaseEnded {
        /// The job's name.
        job: Arc<str>,
        /// Which phase.
        phase: Phase,
        /// Which try, counted from 1.
        #[serde(rename = "try")]
        attempt: u32,
        /// Whether it passed.
        passed: bool,
        /// Whether nothing comes after it that could still mend a failure.
        #[serde(rename = "final")]
        is_final: bool,
        /// Why it failed; absent where it passed, and where failing is the definition (a run-only job's check).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Box<Failure>>,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        duration: Duration,
    },
    /// A line that a job or its command printed, without its line ending.
    #[non_exhaustive]
    Output {
        /// The job's name.
        job: Arc<str>,
        /// The phase in which it was printed.
        phase: Phase,
        /// Where it came from.
        stream: Stream,
        /// The line; bytes that are no UTF-8 are replaced, and a very long line comes in pieces.
        line: String,
    },
    /// A try failed and the job may try again.
    #[non_exhaustive]
    RetryScheduled {
        /// The job's name.
        job: Arc<str>,
        /// The number of the try that comes.
        #[serde(rename = "try")]
        attempt: u32,
        /// How many it may have.
        tries: u32,
        /// From now until it may start; zero where it waits for its turn alone.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        delay: Duration,
    },
    /// An attempt of a group begins.
    #[non_exhaustive]
    AttemptStarted {
        /// The group's name.
        group: Arc<str>,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// How many it may have.
        attempts: u32,
        /// What it is attempted with, where it is attempted for each of several values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
    /// An attempt of a group has failed, and what was run in it was reverted as far as that is possible.
    #[non_exhaustive]
    AttemptFailed {
        /// The group's name.
        group: Arc<str>,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// Whether there is another one.
        again: bool,
        /// From now until that may start.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        delay: Duration,
        /// The jobs that failed for good.
        because_of: Vec<Arc<str>>,
        /// The jobs that had settled and are open again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reopened: Vec<Arc<str>>,
    },
    /// A job has its outcome.
    #[non_exhaustive]
    JobSettled {
        /// The job's name.
        job: Arc<str>,
        /// How it ended.
        outcome: Outcome,
        /// How many tries it had.
        tries: u32,
        /// How long they took together.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        duration: Duration,
        /// Why: the reason of the last failure, or of the check that made a changed job run; of a job in place while a plan
        /// is [applied](crate::Engine::apply), that it was to run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The direct dependencies that block it, or until which it is unknown. In a look ahead: the jobs before it that
        /// are not in place, so that the outcome is one as things stand.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        because_of: Vec<Arc<str>>,
        /// What it hands on to its dependents, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
    /// A revert was called and has ended.
    #[non_exhaustive]
    RevertEnded {
        /// The job's name.
        job: Arc<str>,
        /// The try whose run it takes back.
        #[serde(rename = "try")]
        attempt: u32,
        /// When the convergence began whose run that was, where it was an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Timestamp>,
        /// Whether the job has a revert at all; without one, what it did stays.
        exists: bool,
        /// Whether it succeeded.
        passed: bool,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Box<Failure>>,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        duration: Duration,
    },
    /// Processes were ended that a command of an earlier run had left when the program was killed.
    #[non_exhaustive]
    SurvivorsEnded {
        /// The name of the job whose command it was.
        job: Arc<str>,
        /// How many.
        processes: usize,
    },
    /// A cleanup or a revert is pending and was not called.
    #[non_exhaustive]
    CleanupPending {
        /// The job's name.
        job: Arc<str>,
        /// The try whose run it belongs to.
        #[serde(rename = "try")]
        attempt: u32,
        /// When the convergence began whose run that was, where it was an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Timestamp>,
        /// `cleanup` or `revert`.
        phase: Phase,
        /// Why it was not called.
        reason: String,
    },
    /// A cleanup was called and has ended.
    #[non_exhaustive]
    CleanupEnded {
        /// The job's name.
        job: Arc<str>,
        /// The try whose run it cleans up after.
        #[serde(rename = "try")]
        attempt: u32,
        /// When the convergence began whose run that was, where it was an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Timestamp>,
        /// Whether it succeeded.
        passed: bool,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Box<Failure>>,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        duration: Duration,
    },
    /// The last event of every run.
    #[non_exhaustive]
    RunEnded {
        /// The time of day.
        at: Timestamp,
        /// How long the run took.
        #[serde(rename = "seconds", serialize_with = "seconds", deserialize_with = "from_seconds")]
        duration: Duration,
        /// Whether every job is in its wanted state, and no cleanup failed.
        success: bool,
        /// Whether every job is in its wanted state.
        converged: bool,
        /// Whether a revert has failed, so that some of what was run is still to be reverted.
        revert_incomplete: bool,
        /// Whether it was ended before that by [`StopHandle::stop`](crate::StopHandle::stop) or a signal.
        stopped: bool,
        /// How many jobs ended how.
        counts: Counts,
    },
}

/// How many jobs ended in each [`Outcome`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Converged without a run.
    pub in_place: usize,
    /// Converged by a run.
    pub changed: usize,
    /// Not to be done, by a condition.
    pub skipped: usize,
    /// Converged by a run, and then reverted.
    pub reverted: usize,
    /// All tries failed.
    pub failed: usize,
    /// Never tried.
    pub blocked: usize,
    /// No-act: something to do.
    pub would_run: usize,
    /// No-act: the check could not tell.
    pub could_not_find_out: usize,
    /// No-act: a dependency is not in place.
    pub unknown: usize,
    /// Begun when the run was stopped.
    pub stopped: usize,
    /// Not begun when the run was stopped.
    pub not_started: usize,
    /// No-act with a look ahead: how many of those in place may change, since a job before them is not in place.
    pub may_change: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        *self.slot(outcome) += 1;
    }

    pub(crate) fn remove(&mut self, outcome: Outcome) {
        *self.slot(outcome) -= 1;
    }

    /// Those that are in their wanted state, or need not be.
    pub(crate) fn converged(self) -> usize {
        self.in_place + self.changed + self.skipped
    }

    /// One job that was counted as `from` has become `to`.
    pub(crate) fn change(&mut self, from: Outcome, to: Outcome) {
        *self.slot(from) -= 1;
        *self.slot(to) += 1;
    }

    fn slot(&mut self, outcome: Outcome) -> &mut usize {
        match outcome {
            Outcome::InPlace => &mut self.in_place,
            Outcome::Changed => &mut self.changed,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Reverted => &mut self.reverted,
            Outcome::Failed => &mut self.failed,
            Outcome::Blocked => &mut self.blocked,
            Outcome::WouldRun => &mut self.would_run,
            Outcome::CouldNotFindOut => &mut self.could_not_find_out,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Stopped => &mut self.stopped,
            Outcome::NotStarted => &mut self.not_started,
        }
    }

    /// All jobs together.
    pub fn total(&self) -> usize {
        self.iter().map(|(_, count)| count).sum()
    }

    /// Every outcome with its count, zeros included, in the order in which people want to read them.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, usize)> + use<> {
        let mut counts = *self;
        [
            Outcome::InPlace,
            Outcome::Changed,
            Outcome::Skipped,
            Outcome::Reverted,
            Outcome::WouldRun,
            Outcome::CouldNotFindOut,
            Outcome::Unknown,
            Outcome::Failed,
            Outcome::Blocked,
            Outcome::Stopped,
            Outcome::NotStarted,
        ]
        .into_iter()
        .map(move |outcome| (outcome, *counts.slot(outcome)))
    }
}

pub(crate) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

pub(crate) fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Hears every event of a run, in order, whatever thread it comes from.
///
/// It is called between two steps of the engine, so it should not wait for long. One that panics hears no more. What it cannot write it must swallow:
/// a closed pipe is no reason to leave a machine half provisioned.
pub trait Observer: Send {
    /// Called once for each event.
    fn observe(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send> Observer for F {
    fn observe(&mut self, event: &Event) {
        self(event);
    }
}

thread_local! {
    static DELIVERING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is just telling observers of an event.
pub(crate) fn is_delivering() -> bool {
    DELIVERING.get()
}

/// Hands events to the observers, one at a time. Without observers an event is not even made.
#[derive(Default)]
pub(crate) struct Emitter {
    observers: Mutex<Vec<Box<dyn Observer>>>,
    observed: AtomicBool,
    redactor: Arc<Redactor>,
}

impl Emitter {
    /// One that nobody hears, with the secrets of another.
    pub(crate) fn silent(redactor: &Arc<Redactor>) -> Self {
        Emitter { redactor: redactor.clone(), ..Emitter::default() }
    }

    pub(crate) fn add(&self, observer: Box<dyn Observer>) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
        self.observed.store(true, Ordering::Relaxed);
    }

    /// Whether anybody listens.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn emit(&self, make: impl FnOnce() -> Event) {
        if self.is_observed() {
            self.deliver(&make());
        }
    }

    #[cold]
    fn deliver(&self, event: &Event) {
        // What an observer itself logs on the way is no output of the job that this thread is at work for.
        let before = DELIVERING.replace(true);
        if !before {
            let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
            observers.retain_mut(|observer| match catch(|| observer.observe(event)) {
                Ok(()) => true,
                Err(caught) => {
                    // It hears no more; a run must not fall over one who only looks on.
                    tracing::error!(
                        "an observer panicked and is dropped: {}",
                        self.redactor.mask(&caught.message)
                    );
                    false
                }
            });
        }
        DELIVERING.set(before);
    }

    /// Hands on what a job or its command printed, one line at a time, masked.
    pub(crate) fn output(&self, job: &Arc<str>, phase: Phase, stream: Stream, text: &str) {
        for line in text.lines() {
            self.emit(|| Event::Output {
                job: job.clone(),
                phase,
                stream,
                line: self.redactor.mask(line).into_owned(),
            });
        }
    }

    pub(crate) fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
