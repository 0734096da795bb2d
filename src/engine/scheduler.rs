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
//!
//! Of a graph with groups it also says when one begins an attempt ([`Next::Begin`]), and when one that has failed is to be reverted
//! ([`Next::Revert`]): then its jobs wait anew ([`Scheduler::start_again`]), or it is given up ([`Scheduler::give_up`]). Until that is done nothing of it
//! starts. An entry of a queue that does not fit its job's state any more is passed over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;
use std::time::Duration;

use super::group_policy::{Decision, Failed, to_skip};
use super::group_states::GroupStates;
use super::limits::Limits;
use crate::event::Outcome;
use crate::graph::adjacency::Adjacency;
use crate::graph::groups::Groups;
use crate::job::condition::SkipDepth;

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
    /// An attempt of this group is about to begin: see to that ([`Scheduler::begin`], [`Scheduler::skip_group`] or
    /// [`Scheduler::refuse`]), and ask again.
    Begin { group: u32, attempt: u32 },
    /// This group has failed and nothing of it is at work: revert it, then [start it again](Scheduler::start_again) or
    /// [give it up](Scheduler::give_up), and ask again.
    Revert { group: u32, attempt: u32, again: bool },
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
    /// Its condition is false.
    Skipped(SkipDepth),
}

/// Where a job stands. Changed in [`Scheduler::set`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// For this many dependencies that are not settled.
    Waiting { open: u32 },
    /// In the queue of those that may start.
    Ready,
    /// In the queue of those whose delay is not over.
    Delayed { due: Duration },
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

impl Slot {
    fn is(&self, pass: u32, state: State) -> bool {
        self.pass == pass && self.state == state
    }
}

/// The state of a run.
pub(crate) struct Scheduler<'g> {
    dependencies: &'g Adjacency,
    dependents: &'g Adjacency,
    /// Only of a graph that has any.
    groups: Option<Box<GroupStates<'g>>>,
    /// Only where there are any.
    limits: Option<Box<Limits>>,
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
        dependencies: &'g Adjacency,
        dependents: &'g Adjacency,
        policy: impl Fn(u32) -> Tries + 'g,
        no_act: bool,
    ) -> Self {
        let jobs = dependencies.len();
        let mut scheduler = Scheduler {
            dependencies,
            dependents,
            groups: None,
            limits: None,
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

    /// With the groups of the graph. `begins`: which of them have to begin before a job of them starts; `run_reverts`: whether
    /// everything is reverted after a failure that no group sees to.
    pub(crate) fn with_groups(mut self, groups: &'g Groups, begins: Vec<bool>, run_reverts: bool) -> Self {
        if !groups.is_empty() {
            self.groups = Some(Box::new(GroupStates::new(groups, begins, run_reverts, self.no_act)));
        }
        self
    }

    /// With limits to how many jobs are at work at once that use the same thing.
    pub(crate) fn with_limits(mut self, limits: Limits) -> Self {
        if !limits.is_empty() {
            self.limits = Some(Box::new(limits));
        }
        self
    }

    /// What to do now. After [`Next::Try`] the try counts as begun; ask again for another worker.
    pub(crate) fn next(&mut self, now: Duration) -> Next {
        if self.stopped {
            return if self.at_work > 0 { Next::WaitForNews } else { Next::Rest };
        }
        if let Some((group, failed)) = self.groups.as_ref().and_then(|groups| groups.turn()) {
            let attempt = self.attempt(group);
            return Next::Revert { group, attempt, again: failed == Failed::Again };
        }
        while let Some(&Reverse((due, pass, job))) = self.delayed.peek() {
            if self.is_void(job, pass, State::Delayed { due }) {
                self.delayed.pop();
                continue;
            }
            if due > now {
                break;
            }
            self.delayed.pop();
            self.enqueue(job, pass);
        }
        while let Some(Reverse((pass, job))) = self.ready.pop() {
            if let Some(groups) = &mut self.groups {
                if !self.slots[job as usize].is(pass, State::Ready) {
                    // Whoever waits for a limit behind it has to be called in its place.
                    if let Some(limits) = &mut self.limits {
                        self.ready.extend(limits.pass_over(job).into_iter().map(Reverse));
                    }
                    continue;
                }
                if groups.is_frozen(job) {
                    self.give_back(job);
                    continue;
                }
                if let Some(group) = groups.unbegun(job) {
                    self.ready.push(Reverse((pass, job)));
                    return Next::Begin { group, attempt: groups.state(group).attempt };
                }
            }
            if let Some(limits) = &mut self.limits
                && !limits.take(job, pass)
            {
                // It is in the queue again once it may try to take what it lacks.
                continue;
            }
            if let Some(groups) = &mut self.groups {
                groups.started(job);
            }
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
        if let Some(groups) = &mut self.groups {
            groups.ended(job);
        }
        self.give_back(job);
        let outcome = match end {
            TryEnd::Skipped(depth) => {
                let skipped = self.whom(&[job], self.group_of(job), depth);
                self.skip(job, &skipped, slot.pass);
                return None;
            }
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
                if slot.attempts < count && !self.stopped && self.is_frozen(job) {
                    // What becomes of it is decided with its group.
                    self.set(job, State::Ready);
                    return None;
                }
                if slot.attempts < count && !self.stopped {
                    let pass = slot.pass.max(self.highest_pass) + 1;
                    let due = since.saturating_add(delay);
                    if delay.is_zero() {
                        self.make_ready(job, pass);
                    } else {
                        self.delay(job, pass, due);
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
                State::Waiting { .. } | State::Ready | State::Delayed { .. } if slot.attempts == 0 => {
                    Outcome::NotStarted
                }
                State::Waiting { .. } | State::Ready | State::Delayed { .. } => Outcome::Stopped,
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
            State::Waiting { .. } | State::Ready | State::Delayed { .. } | State::Trying { .. } => None,
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

    /// It may start, once its groups may.
    fn make_ready(&mut self, job: u32, pass: u32) {
        match self.groups.as_ref().and_then(|groups| groups.not_before(job)) {
            Some(due) => self.delay(job, pass, due),
            None => self.enqueue(job, pass),
        }
    }

    fn delay(&mut self, job: u32, pass: u32, due: Duration) {
        self.slots[job as usize].pass = pass;
        self.set(job, State::Delayed { due });
        self.delayed.push(Reverse((due, pass, job)));
    }

    fn enqueue(&mut self, job: u32, pass: u32) {
        self.slots[job as usize].pass = pass;
        self.set(job, State::Ready);
        self.ready.push(Reverse((pass, job)));
    }

    /// Settles a job, and with it all dependents that were waiting for it alone and cannot start any more. A loop and
    /// no recursion: a million jobs may hang on one.
    fn settle(&mut self, job: u32, outcome: Outcome, pass: u32) {
        self.set(job, State::Settled(outcome));
        self.news.push(job);
        if outcome == Outcome::Stopped {
            // It did not fail, so it blocks nobody; `abandon` sees to those that have to be left.
            return;
        }
        if outcome == Outcome::Failed
            && let Some(groups) = &mut self.groups
            && matches!(groups.job_failed(job), Decision::Again(_) | Decision::GiveUp(_))
        {
            // It blocks nobody before its group is given up.
            return;
        }
        self.tell_dependents(self.news.len() - 1, pass);
    }

    /// Tells the dependents of the jobs that have settled since `first` in the news.
    fn tell_dependents(&mut self, first: usize, pass: u32) {
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
            // Skipped, or given up with its group, before that.
            debug_assert!(matches!(slot.state, State::Settled(_)), "a job waits for all of its dependencies");
            return;
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

    /// A job needs none of what it uses any more; who waits for it is in the queue again.
    fn give_back(&mut self, job: u32) {
        if let Some(limits) = &mut self.limits {
            self.ready.extend(limits.give_back(job).into_iter().map(Reverse));
        }
    }

    fn group_of(&self, job: u32) -> Option<u32> {
        self.groups.as_ref().and_then(|groups| groups.groups.of(job))
    }

    /// Whether an entry of a queue is of no use any more.
    #[inline]
    fn is_void(&self, job: u32, pass: u32, state: State) -> bool {
        self.groups.is_some() && (!self.slots[job as usize].is(pass, state) || self.is_frozen(job))
    }

    fn is_frozen(&self, job: u32) -> bool {
        self.groups.as_ref().is_some_and(|groups| groups.is_frozen(job))
    }

    /// Whether everything is to be reverted, by the policies of groups or of the run.
    pub(crate) fn reverts_all(&self) -> bool {
        self.groups.as_ref().is_some_and(|groups| groups.reverts_all())
    }

    /// The attempt of a group that is under way or comes next.
    pub(crate) fn attempt(&self, group: u32) -> u32 {
        self.groups.as_ref().map_or(1, |groups| groups.state(group).attempt)
    }

    /// An attempt of a group begins; so many there are, where that is known.
    pub(crate) fn begin(&mut self, group: u32, attempts: Option<u32>) {
        if let Some(groups) = &mut self.groups {
            groups.begin(group, attempts);
        }
    }

    /// A group goes on with this attempt, which an earlier convergence had come to.
    pub(crate) fn resume(&mut self, group: u32, attempt: u32) {
        if let Some(groups) = &mut self.groups {
            groups.resume(group, attempt);
        }
    }

    /// There is nothing to attempt a group with: it has failed before a job of it has started.
    pub(crate) fn refuse(&mut self, group: u32) {
        let Some(groups) = &mut self.groups else { return };
        let (decision, end) = (groups.refuse(group), groups.groups.node(group).end);
        if let Some(end) = end {
            groups.leave_untold(end);
            self.set(end, State::Settled(Outcome::Failed));
            self.news.push(end);
        }
        if decision == Decision::Keep {
            self.give_up(group);
        }
    }

    /// A group was reverted: its jobs wait anew, with all of their tries, and nothing of it starts before this time. Returns
    /// those that had settled before, ascending.
    pub(crate) fn start_again(&mut self, group: u32, not_before: Duration) -> Vec<u32> {
        let Some(groups) = &mut self.groups else { return Vec::new() };
        let jobs = groups.start_again(group, not_before);
        let pass = self.highest_pass + 1;
        let reopened = jobs.iter().copied().filter(|job| self.outcome(*job).is_some()).collect();
        for &job in &jobs {
            self.give_back(job);
            self.set(job, State::Waiting { open: u32::MAX });
        }
        for &job in &jobs {
            let (mut open, mut hindered) = (0, false);
            for &dependency in self.dependencies.of(job) {
                match self.outcome(dependency) {
                    Some(outcome) => hindered |= !outcome.is_converged(),
                    None => open += 1,
                }
            }
            let slot = &mut self.slots[job as usize];
            (slot.attempts, slot.hindered, slot.pass) = (0, hindered, pass);
            match (open, hindered) {
                (0, false) => self.make_ready(job, pass),
                (0, true) => self.settle(job, Outcome::Blocked, pass),
                (open, _) => self.set(job, State::Waiting { open }),
            }
        }
        reopened
    }

    /// A group was reverted and is not attempted again: what of it has not settled is left, and those that depend on it are
    /// blocked.
    pub(crate) fn give_up(&mut self, group: u32) {
        let Some(groups) = &mut self.groups else { return };
        let (jobs, failed) = groups.give_up(group);
        let pass = self.highest_pass.max(1);
        for job in failed {
            let converged = false;
            let first = self.news.len();
            let dependents = self.dependents;
            dependents.of(job).iter().for_each(|on| self.dependency_settled(*on, converged, pass));
            self.tell_dependents(first, pass);
        }
        for job in jobs {
            let slot = self.slots[job as usize];
            let outcome = match slot.state {
                State::Settled(_) | State::Trying { .. } => continue,
                _ if slot.attempts > 0 => Outcome::Stopped,
                _ if slot.hindered => Outcome::Blocked,
                _ => Outcome::NotStarted,
            };
            self.give_back(job);
            self.set(job, State::Settled(outcome));
            self.news.push(job);
            self.tell_dependents(self.news.len() - 1, pass);
        }
    }

    /// An interrupted convergence had given this group up, for the failures of these jobs.
    pub(crate) fn resume_given_up(&mut self, group: u32, failed: &[u32]) {
        for &job in failed {
            if self.outcome(job).is_none()
                && self.groups.as_ref().is_some_and(|groups| groups.groups.has(group, job))
            {
                self.set(job, State::Settled(Outcome::Failed));
                self.news.push(job);
                self.groups.as_mut().into_iter().for_each(|groups| groups.leave_untold(job));
            }
        }
        self.give_up(group);
    }

    /// The condition of a group is false when it is about to begin.
    pub(crate) fn skip_group(&mut self, group: u32, depth: SkipDepth) {
        let Some(groups) = &mut self.groups else { return };
        groups.begin(group, None);
        let (jobs, parent) = (groups.groups.jobs(group), groups.groups.node(group).parent);
        let skipped = self.whom(&jobs, parent, depth);
        let by = jobs.last().copied().unwrap_or_default();
        self.skip(by, &skipped, self.highest_pass.max(1));
    }

    fn whom(&self, jobs: &[u32], group: Option<u32>, depth: SkipDepth) -> Vec<u32> {
        static NONE: LazyLock<Groups> = LazyLock::new(Groups::default);
        let groups = self.groups.as_ref().map_or(&*NONE, |groups| groups.groups);
        to_skip(self.dependents, groups, jobs, group, depth)
    }

    /// Settles jobs as skipped, by a condition of `by`.
    fn skip(&mut self, by: u32, skipped: &[u32], pass: u32) {
        let first = self.news.len();
        for &job in skipped {
            if self.outcome(job).is_none() {
                self.set(job, State::Settled(Outcome::Skipped));
                self.news.push(job);
            }
        }
        if let Some(groups) = &mut self.groups {
            groups.note_skipped(by, skipped);
        }
        self.tell_dependents(first, pass);
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
                    | (State::Trying { .. }, State::Ready | State::Delayed { .. })
                    | (State::Waiting { .. }, State::Delayed { .. })
                    | (State::Delayed { .. }, State::Ready)
                    | (
                        State::Waiting { .. } | State::Ready | State::Delayed { .. } | State::Trying { .. },
                        State::Settled(_)
                    )
            ) || (self.groups.is_some()
                && !matches!(*state, State::Trying { .. })
                && matches!(to, State::Waiting { .. })),
            "job {job} cannot go from {state:?} to {to:?}"
        );
        *state = to;
    }
}
