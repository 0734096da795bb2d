//! Which job next: a state machine without clock, thread or IO.
//!
//! It is asked what to do ([`Scheduler::next`]) and told how tries ended ([`Scheduler::ended`]); time comes in as an
//! argument. It does not know what a job does, nor who does it.
//!
//! The rule: jobs are numbered in depth-first post-order. Among those whose dependencies have all converged and whose
//! delay is over, the next is the one with the lowest (pass, number). A job starts in pass 1, or in the pass in which
//! the last of its dependencies converged; one that fails moves to the pass after both its own and the highest begun.
//! In a look ahead, "converged" reads "settled".
//!
//! ```text
//!             dependencies            started             converged
//!   Waiting ──────────────▶ Ready ──────────────▶ Trying ───────────▶ Settled
//!      │      converged      ▲  ▲                  │  │  tries used up  ▲ ▲
//!      │                     │  └─── delay over ── │  ├────────────────┘ │
//!      │                     │        Delayed ◀────┘  │   no-act, stop   │
//!      │                     └────────────────────────┘                  │
//!      │ a dependency failed                 no delay                    │
//!      └──────────────────────────────────────────────────────────────────┘
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::event::Outcome;
use crate::graph::adjacency::Adjacency;

/// How often one job is tried, the engine's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tries {
    /// At least 1.
    pub(crate) count: u32,
    pub(crate) delay: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Start this try.
    Try { job: u32, attempt: u32, tries: u32 },
    /// Nothing is due before this time; news may come earlier where tries are at work.
    WaitUntil(Duration),
    /// Nothing can be done before a try that is at work has ended.
    WaitForNews,
    /// All is settled.
    Rest,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TryEnd {
    /// The check passed.
    InPlace,
    /// The recheck passed.
    Changed,
    /// Neither did.
    Failed,
    /// Neither did, and no other try would.
    GivenUp,
    /// No-act: the check failed.
    WouldRun,
    /// No-act: the check could not find out.
    CouldNotFindOut,
    /// It was asked to stop before it could tell.
    Stopped,
}

/// Where a job stands. Changed in [`Scheduler::set`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// For this many dependencies that are not settled.
    Waiting { open: u32 },
    /// In the queue of those that may start.
    Ready,
    /// In the queue of those whose delay is not over.
    Delayed,
    /// At work.
    Trying { since: Duration },
    /// Done with.
    Settled(Outcome),
}

/// One job's place in the order.
#[derive(Clone, Copy, Debug)]
struct Slot {
    state: State,
    /// The pass it is in; while it waits, the one in which the last of its dependencies settled.
    pass: u32,
    /// Tries begun.
    attempts: u32,
    /// Whether a dependency has settled without converging, or is hindered itself.
    hindered: bool,
}

/// The state of a run.
pub(crate) struct Scheduler<'g> {
    dependents: &'g Adjacency,
    policy: Box<dyn Fn(u32) -> Tries + 'g>,
    slots: Vec<Slot>,
    /// (pass, job), lowest first.
    ready: BinaryHeap<Reverse<(u32, u32)>>,
    /// (due, pass, job), earliest first.
    delayed: BinaryHeap<Reverse<(Duration, u32, u32)>>,
    /// Settled jobs that nobody has asked for yet, in the order in which they settled.
    news: Vec<u32>,
    highest_pass: u32,
    at_work: usize,
    no_act: bool,
    /// Whether jobs are tried, too, of which a dependency is not in place.
    look_ahead: bool,
    stopped: bool,
}

impl<'g> Scheduler<'g> {
    /// For a graph whose jobs are numbered so that dependencies come first. `policy` says how often a job is tried; in
    /// no-act that is once.
    pub(crate) fn new(
        dependencies: &Adjacency,
        dependents: &'g Adjacency,
        policy: impl Fn(u32) -> Tries + 'g,
        no_act: bool,
    ) -> Self {
        let jobs = dependencies.len();
        let mut scheduler = Scheduler {
            dependents,
            policy: Box::new(policy),
            slots: Vec::with_capacity(jobs),
            ready: BinaryHeap::new(),
            delayed: BinaryHeap::new(),
            news: Vec::new(),
            highest_pass: 0,
            at_work: 0,
            no_act,
            look_ahead: false,
            stopped: false,
        };
        for job in 0..jobs as u32 {
            let open = dependencies.of(job).len() as u32;
            scheduler.slots.push(Slot {
                state: State::Waiting { open },
                pass: 1,
                attempts: 0,
                hindered: false,
            });
            if open == 0 {
                scheduler.make_ready(job, 1);
            }
        }
        scheduler
    }

    /// In no-act: a job has its try also where a dependency is not in place. Where it could not find out, it is unknown.
    pub(crate) fn look_ahead(&mut self, look_ahead: bool) {
        self.look_ahead = look_ahead && self.no_act;
    }

    /// What to do now. After [`Next::Try`] the try counts as begun; ask again for another worker.
    pub(crate) fn next(&mut self, now: Duration) -> Next {
        if self.stopped {
            return if self.at_work > 0 { Next::WaitForNews } else { Next::Rest };
        }
        while let Some(&Reverse((due, pass, job))) = self.delayed.peek() {
            if due > now {
                break;
            }
            self.delayed.pop();
            self.make_ready(job, pass);
        }
        if let Some(Reverse((pass, job))) = self.ready.pop() {
            self.highest_pass = self.highest_pass.max(pass);
            self.at_work += 1;
            let tries = self.tries(job).count;
            self.set(job, State::Trying { since: now });
            let slot = &mut self.slots[job as usize];
            slot.attempts += 1;
            return Next::Try { job, attempt: slot.attempts, tries };
        }
        match self.delayed.peek() {
            Some(&Reverse((due, ..))) => Next::WaitUntil(due),
            None if self.at_work > 0 => Next::WaitForNews,
            None => Next::Rest,
        }
    }

    /// A try has ended. Says when the job may try again, where it may.
    ///
    /// # Panics
    /// When the job was not being tried.
    pub(crate) fn ended(&mut self, job: u32, end: TryEnd) -> Option<Duration> {
        let slot = self.slots[job as usize];
        let State::Trying { since } = slot.state else { panic!("job {job} was not being tried") };
        self.at_work -= 1;
        let outcome = match end {
            TryEnd::InPlace => Outcome::InPlace,
            TryEnd::Changed => Outcome::Changed,
            TryEnd::WouldRun => Outcome::WouldRun,
            // Only a look ahead tries a job that is hindered.
            TryEnd::CouldNotFindOut if slot.hindered => Outcome::Unknown,
            TryEnd::CouldNotFindOut => Outcome::CouldNotFindOut,
            TryEnd::Stopped => Outcome::Stopped,
            TryEnd::GivenUp => Outcome::Failed,
            TryEnd::Failed => {
                let Tries { count, delay } = self.tries(job);
                if slot.attempts < count && !self.stopped {
                    let pass = slot.pass.max(self.highest_pass) + 1;
                    let due = since.saturating_add(delay);
                    if delay.is_zero() {
                        self.make_ready(job, pass);
                    } else {
                        self.slots[job as usize].pass = pass;
                        self.set(job, State::Delayed);
                        self.delayed.push(Reverse((due, pass, job)));
                    }
                    return Some(due);
                }
                if slot.attempts < count { Outcome::Stopped } else { Outcome::Failed }
            }
        };
        self.settle(job, outcome, slot.pass);
        None
    }

    /// Nothing new starts from now on; what is at work may end. Once that has, [`Scheduler::abandon`] settles the rest.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Settles all that a stop has left open.
    pub(crate) fn abandon(&mut self) {
        for job in 0..self.slots.len() as u32 {
            let slot = self.slots[job as usize];
            let outcome = match slot.state {
                State::Settled(_) | State::Trying { .. } => continue,
                State::Waiting { .. } | State::Ready | State::Delayed if slot.attempts == 0 => {
                    Outcome::NotStarted
                }
                State::Waiting { .. } | State::Ready | State::Delayed => Outcome::Stopped,
            };
            self.set(job, State::Settled(outcome));
            self.news.push(job);
        }
    }

    /// The jobs that have settled since the last call, in that order.
    pub(crate) fn take_settled(&mut self, into: &mut Vec<u32>) {
        into.clear();
        std::mem::swap(into, &mut self.news);
    }

    /// How a job ended; `None` while it has not.
    pub(crate) fn outcome(&self, job: u32) -> Option<Outcome> {
        match self.slots[job as usize].state {
            State::Settled(outcome) => Some(outcome),
            State::Waiting { .. } | State::Ready | State::Delayed | State::Trying { .. } => None,
        }
    }

    /// How many tries of a job have begun.
    pub(crate) fn attempts(&self, job: u32) -> u32 {
        self.slots[job as usize].attempts
    }

    /// Whether a dependency has not converged, or is hindered itself.
    pub(crate) fn is_hindered(&self, job: u32) -> bool {
        self.slots[job as usize].hindered
    }

    fn tries(&self, job: u32) -> Tries {
        if self.no_act { Tries { count: 1, delay: Duration::ZERO } } else { (self.policy)(job) }
    }

    fn make_ready(&mut self, job: u32, pass: u32) {
        self.slots[job as usize].pass = pass;
        self.set(job, State::Ready);
        self.ready.push(Reverse((pass, job)));
    }

    /// Settles a job, and with it all dependents that were waiting for it alone and cannot start any more. A loop and
    /// no recursion: a million jobs may hang on one.
    fn settle(&mut self, job: u32, outcome: Outcome, pass: u32) {
        self.set(job, State::Settled(outcome));
        let first = self.news.len();
        self.news.push(job);
        if outcome == Outcome::Stopped {
            // It did not fail, so it blocks nobody; `abandon` sees to those that have to be left.
            return;
        }
        let mut at = first;
        while at < self.news.len() {
            let settled = self.news[at];
            at += 1;
            let is_hindered = self.slots[settled as usize].hindered;
            let converged = !is_hindered && self.outcome(settled).is_some_and(Outcome::is_converged);
            let dependents = self.dependents;
            for &dependent in dependents.of(settled) {
                self.dependency_settled(dependent, converged, pass);
            }
        }
    }

    fn dependency_settled(&mut self, job: u32, converged: bool, pass: u32) {
        let slot = &mut self.slots[job as usize];
        let State::Waiting { open } = slot.state else {
            unreachable!("a job waits for all of its dependencies")
        };
        slot.hindered |= !converged;
        // The last dependency to settle leaves its pass here.
        slot.pass = pass;
        let hindered = slot.hindered;
        match (open - 1, hindered) {
            (0, false) => self.make_ready(job, pass),
            (0, true) if self.look_ahead => self.make_ready(job, pass),
            (0, true) => {
                let outcome = if self.no_act { Outcome::Unknown } else { Outcome::Blocked };
                self.set(job, State::Settled(outcome));
                self.news.push(job);
            }
            (open, _) => self.set(job, State::Waiting { open }),
        }
    }

    /// The one place where a job's state changes. Illegal moves are mistakes of this file.
    #[inline]
    fn set(&mut self, job: u32, to: State) {
        let state = &mut self.slots[job as usize].state;
        debug_assert!(
            matches!(
                (*state, to),
                (State::Waiting { .. }, State::Waiting { .. } | State::Ready)
                    | (State::Ready, State::Trying { .. })
                    | (State::Trying { .. }, State::Ready | State::Delayed)
                    | (State::Delayed, State::Ready)
                    | (
                        State::Waiting { .. } | State::Ready | State::Delayed | State::Trying { .. },
                        State::Settled(_)
                    )
            ),
            "job {job} cannot go from {state:?} to {to:?}"
        );
        *state = to;
    }
}
