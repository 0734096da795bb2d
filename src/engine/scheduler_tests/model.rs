//! The rule of order once more, as plainly as it can be said: no queue, every question answered by looking at all jobs.
//!
//! "Among those whose dependencies have all converged and whose delay is over, the next is the one with the lowest
//! (pass, number). A job starts in pass 1, or in the pass in which the last of its dependencies converged; one that
//! fails moves to the pass after both its own and the highest begun." In a look ahead, "converged" reads "settled".

use std::time::Duration;

use super::case::{Case, converged, outcome, outcome_behind};
use crate::engine::scheduler::{Next, TryEnd};
use crate::event::Outcome;

/// What is known of one job.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    attempts: u32,
    at_work: bool,
    /// When its last try began.
    since: Duration,
    /// The pass of the try that is at work, or of the next one; counts once there was a try.
    pass: u32,
    /// How its last try ended, and as which of all.
    settled: Option<(Outcome, usize)>,
}

pub(super) struct Model<'c> {
    case: &'c Case,
    jobs: Vec<Known>,
    highest_pass: u32,
    ended: usize,
    stopped: bool,
}

impl<'c> Model<'c> {
    pub(super) fn new(case: &'c Case) -> Self {
        let jobs = vec![Known::default(); case.len()];
        Model { case, jobs, highest_pass: 0, ended: 0, stopped: false }
    }

    fn known(&self, job: u32) -> &Known {
        &self.jobs[job as usize]
    }

    fn has_converged(&self, job: u32) -> bool {
        self.known(job).settled.is_some_and(|(outcome, _)| outcome.is_converged())
    }

    /// Whether the jobs behind it may start.
    fn lets_start(&self, job: u32) -> bool {
        let is_settled = || self.known(job).settled.is_some_and(|(outcome, _)| outcome != Outcome::Stopped);
        self.has_converged(job) || self.case.looks_ahead() && is_settled()
    }

    /// Whether a job before it is not in place, or waits for one itself.
    fn is_hindered(&self, job: u32) -> bool {
        let dependencies = self.case.dependencies.of(job);
        dependencies.iter().any(|on| !self.has_converged(*on) || self.is_hindered(*on))
    }

    fn pass(&self, job: u32) -> u32 {
        if self.known(job).attempts > 0 {
            return self.known(job).pass;
        }
        let dependencies = self.case.dependencies.of(job).iter().map(|on| self.known(*on));
        let last = dependencies.max_by_key(|known| known.settled.map(|(_, when)| when));
        last.map_or(1, |known| known.pass)
    }

    /// Whether it may start, delay or not.
    fn is_open(&self, job: u32) -> bool {
        let known = self.known(job);
        known.settled.is_none()
            && !known.at_work
            && self.case.dependencies.of(job).iter().all(|on| self.lets_start(*on))
    }

    fn due(&self, job: u32) -> Duration {
        let known = self.known(job);
        if known.attempts == 0 { Duration::ZERO } else { known.since + self.case.policy(job).delay }
    }

    /// What to do now; a try that is to start counts as begun.
    pub(super) fn next(&mut self, now: Duration) -> Next {
        let any_at_work = self.jobs.iter().any(|known| known.at_work);
        let idle = if any_at_work { Next::WaitForNews } else { Next::Rest };
        if self.stopped {
            return idle;
        }
        let open = || self.case.jobs().filter(|job| self.is_open(*job));
        let due_now = open().filter(|job| self.due(*job) <= now);
        match due_now.min_by_key(|job| (self.pass(*job), *job)) {
            Some(job) => self.begin(job, now),
            None => open().map(|job| self.due(job)).min().map_or(idle, Next::WaitUntil),
        }
    }

    fn begin(&mut self, job: u32, now: Duration) -> Next {
        let pass = self.pass(job);
        self.highest_pass = self.highest_pass.max(pass);
        let known = &mut self.jobs[job as usize];
        *known = Known { attempts: known.attempts + 1, at_work: true, since: now, pass, settled: None };
        Next::Try { job, attempt: known.attempts, tries: self.case.allowed(job) }
    }

    /// A try has ended; says when the next one of this job is due.
    pub(super) fn ended(&mut self, job: u32, end: TryEnd) -> Option<Duration> {
        self.ended += 1;
        let known = &mut self.jobs[job as usize];
        known.at_work = false;
        let tries_left = known.attempts < self.case.allowed(job);
        if end == TryEnd::Failed && tries_left && !self.stopped {
            known.pass = known.pass.max(self.highest_pass) + 1;
            return Some(self.due(job));
        }
        let broken_off = end == TryEnd::Failed && tries_left;
        let outcome = match end {
            _ if broken_off => Outcome::Stopped,
            end if self.case.looks_ahead() && self.is_hindered(job) => outcome_behind(end),
            end => outcome(end),
        };
        self.jobs[job as usize].settled = Some((outcome, self.ended));
        debug_assert_eq!(converged(end), outcome.is_converged());
        None
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// How all jobs have ended, those included that can never start.
    pub(super) fn outcomes(&self) -> Vec<Option<Outcome>> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(self.case.len());
        for job in self.case.jobs() {
            let dependencies = || self.case.dependencies.of(job).iter().map(|on| outcomes[*on as usize]);
            // One that was stopped has not failed: what hangs on it stays open.
            let hindered = dependencies().all(|outcome| outcome.is_some_and(|on| on != Outcome::Stopped))
                && dependencies().flatten().any(|outcome| !outcome.is_converged());
            outcomes.push(match self.known(job).settled {
                Some((outcome, _)) => Some(outcome),
                None if self.case.looks_ahead() => None,
                None if hindered && self.case.no_act => Some(Outcome::Unknown),
                None if hindered => Some(Outcome::Blocked),
                None => None,
            });
        }
        outcomes
    }
}
