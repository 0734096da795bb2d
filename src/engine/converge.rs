//! A run: ask the scheduler, hand the try to a worker, wait for news, tell the observers.
//!
//! The only place where the rooms of the engine meet; it decides nothing itself.

mod attempts;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Span;

use super::aftermath::Aftermath;
use super::attempt::{Done, Task};
use super::group_states::beginning;
use super::limits::{Limits, UnknownLimit};
use super::log::fold::Ledger;
use super::log::record::Record;
use super::obligation::Transition;
use super::recovery::{self, Ahead};
use super::rollback::{self, Failures};
use super::run_context::RunContext;
use super::scheduler::{Next, Scheduler, Tries, TryEnd};
use super::setup::Setup;
use super::started_run::StartedRun;
use super::workers::{Inline, Simulated, Threads, Workers};
use crate::clock::Wake;
use crate::context::Run;
use crate::context::directory::Directory;
use crate::context::group_attempt::GroupAttempt;
use crate::context::recorder::Recorder;
use crate::context::storage::Global;
use crate::event::{Counts, Event, Outcome, Phase};
use crate::graph::SharedGraph;
use crate::report::{Detail, Hindrances, Record as JobRecord, Refusal, Report, decisive_failure};
use crate::suggest;

/// A run in progress.
pub(super) struct Convergence<'e> {
    setup: &'e mut Setup,
    context: Arc<RunContext>,
    wake: Arc<Wake>,
    records: Vec<JobRecord>,
    hindrances: Hindrances,
    counts: Counts,
    aftermath: Aftermath,
    /// The attempts of the groups that are under way, or were last.
    attempts: Vec<Option<Arc<GroupAttempt>>>,
    /// How many attempts of each group have begun.
    made: Vec<u32>,
    /// A span for each job in progress; filled only where somebody subscribes to them.
    spans: HashMap<u32, Span>,
    started: Duration,
}

impl<'e> Convergence<'e> {
    pub(super) fn new(setup: &'e mut Setup) -> Self {
        let journal = setup.recorder.clone();
        let settings = setup.settings;
        if !settings.no_act {
            // What was declined is let go of; what is owed a journal knows, too.
            let is_kept = |run: &StartedRun| run.obligation.owes_cleanup() && journal.is_none();
            let (kept, gone): (Vec<StartedRun>, Vec<StartedRun>) =
                std::mem::take(&mut setup.started_runs).into_iter().partition(is_kept);
            gone.into_iter().for_each(StartedRun::let_go);
            setup.started_runs = kept;
            // An earlier convergence has ended, and with it the time in which it was reverted.
            setup.started_runs.iter_mut().for_each(|run| run.apply(Transition::Closed));
        }
        let next = match &journal {
            Some(journal) => journal.with_ledger(Ledger::next),
            None => setup.started_runs.iter().map(|run| run.order + 1).max().unwrap_or(0),
        };
        let directory = Directory::new(setup.workers > 1 && setup.simulated.is_none());
        let run = Run {
            args: Arc::new(setup.args.clone()),
            global: Global::new(setup.emitter.redactor()),
            handles: setup.handles.clone(),
            results: Default::default(),
            values: Default::default(),
            changed: Default::default(),
            clock: setup.clock.clone(),
            first_tries: Default::default(),
            recorder: journal.clone().map(|journal| journal as Arc<dyn Recorder>),
            lineage: setup.graph.clone(),
            emitter: setup.emitter.clone(),
            cancel: setup.stop.cancel.clone(),
            cancel_cleanup: setup.stop.cancel_cleanup.clone(),
            groups: setup.stop.groups.clone(),
            directory,
            no_act: settings.no_act,
            deadline: setup.time_limit.map(|time| setup.clock.now().saturating_add(time)),
            ahead: settings.looks_ahead().then(Default::default),
            reverts: settings.reverts(),
        };
        let context = RunContext {
            graph: setup.graph.clone(),
            run: Arc::new(run),
            clock: setup.clock.clone(),
            runs_begun: AtomicU64::new(next),
            journal,
            settings,
            approval: setup.approval.clone(),
        };
        for (_, group) in setup.graph.groups().iter() {
            let secrets = group.spec.attempts.iter().flat_map(|attempts| attempts.secrets());
            secrets.for_each(|secret| setup.emitter.redactor().add(secret));
        }
        let context = Arc::new(context);
        let aftermath = Aftermath {
            context: context.clone(),
            whole: setup.whole.clone(),
            at: setup.clock.wall(),
            first: next,
            runs: std::mem::take(&mut setup.started_runs),
            is_undoing: false,
            is_group_stuck: false,
            has_lost_reverts: false,
            is_undo_unwritten: false,
            needs_decision: false,
            reverts: Vec::new(),
            cleanups: Vec::new(),
            pending: Vec::new(),
        };
        Convergence {
            records: vec![Self::unsettled(); setup.graph.len()],
            attempts: vec![None; setup.graph.groups().len()],
            made: vec![0; setup.graph.groups().len()],
            hindrances: Hindrances::new(settings.looks_ahead().then_some(setup.graph.len())),
            counts: Counts::default(),
            aftermath,
            spans: HashMap::new(),
            wake: Arc::default(),
            started: setup.clock.now(),
            context,
            setup,
        }
    }

    /// Nothing is known of a job that has not settled.
    fn unsettled() -> JobRecord {
        let (tries, ran, duration) = (0, false, Duration::ZERO);
        JobRecord { outcome: Outcome::NotStarted, tries, ran, duration, detail: None }
    }

    pub(super) fn converge(mut self) -> Report {
        let graph = self.context.graph.clone();
        let defaults = self.setup.tries;
        let policy = |job: u32| {
            let own = graph.job(job).retry;
            Tries {
                count: own.max_tries().unwrap_or(defaults.count),
                delay: own.min_delay().unwrap_or(defaults.delay),
            }
        };
        let mut scheduler =
            Scheduler::new(graph.dependencies(), graph.dependents(), policy, self.setup.settings.no_act);
        scheduler.look_ahead(self.setup.settings.looks_ahead());
        if !graph.groups().is_empty() {
            let has_condition = |job| graph.about(job).is_some_and(|about| about.condition.is_some());
            let begins = beginning(graph.groups(), has_condition);
            let reverts = self.setup.settings.reverts_on_failure();
            scheduler = scheduler.with_groups(graph.groups(), begins, reverts);
        }
        self.begin(&graph, false);
        let limits = Limits::new(&self.setup.limits, graph.uses());
        if let Some(refusal) = self.unreadable().or_else(|| self.unknown_limit(limits.as_ref().err()?)) {
            self.leave_all();
            return self.report(Some(refusal));
        }
        scheduler = scheduler.with_limits(limits.unwrap_or_default());
        if let Ahead::Over(refusal) = recovery::recover(&mut self.aftermath) {
            self.leave_all();
            return self.report(refusal);
        }
        self.resume_groups(&mut scheduler);
        self.setup.stop.cancel.notify(&self.wake);
        match self.setup.simulated {
            Some(seed) => {
                let workers =
                    Simulated::new(self.context.clone(), self.wake.clone(), self.setup.workers, seed);
                self.drive(&mut scheduler, workers);
            }
            None if self.setup.workers == 1 => {
                let workers = Inline::new(self.context.clone(), self.wake.clone());
                self.drive(&mut scheduler, workers);
            }
            None => {
                let workers = Threads::new(self.context.clone(), self.wake.clone(), self.setup.workers);
                self.drive(&mut scheduler, workers);
            }
        }
        self.setup.stop.cancel.forget(&self.wake);
        drop(scheduler);
        self.end()
    }

    /// The engine's loop.
    fn drive(&mut self, scheduler: &mut Scheduler<'_>, mut workers: impl Workers) {
        let mut settled = Vec::new();
        // Asked of the clock as rarely as can be: a try that ends brings its time with it.
        let mut now = self.context.clock.now();
        // What an earlier convergence had come to.
        self.settle(scheduler, &mut settled);
        loop {
            if self.is_over() {
                scheduler.stop();
            }
            let next = if workers.is_free() { scheduler.next(now) } else { Next::WaitForNews };
            let until = match next {
                Next::Try { job, attempt, tries } => {
                    if let Some(ahead) =
                        self.context.run.ahead.as_ref().filter(|_| scheduler.is_hindered(job))
                    {
                        ahead.note_behind(job);
                    }
                    let span = self.span(job);
                    let group_attempt = self.attempt_around(job);
                    workers.start(Task { job, attempt, tries, now, span, group_attempt });
                    if workers.is_free() {
                        continue;
                    }
                    None
                }
                Next::WaitUntil(due) => {
                    tracing::debug!(seconds = self.left(due).as_secs_f64(), "nothing is due; waiting");
                    Some(due)
                }
                Next::WaitForNews => None,
                Next::Rest => break,
                Next::Begin { group, attempt } => {
                    self.begin_attempt(scheduler, group, attempt);
                    self.settle(scheduler, &mut settled);
                    continue;
                }
                Next::Revert { group, attempt, again } => {
                    self.revert_group(scheduler, group, attempt, again);
                    self.settle(scheduler, &mut settled);
                    now = self.context.clock.now();
                    continue;
                }
            };
            let until =
                [until, self.context.run.deadline.filter(|_| !self.is_over())].into_iter().flatten().min();
            match workers.news(until) {
                Some(done) => {
                    now = now.max(done.now);
                    self.take(scheduler, done);
                    self.settle(scheduler, &mut settled);
                }
                None => now = self.context.clock.now(),
            }
        }
        if self.is_over() {
            scheduler.abandon();
            self.settle(scheduler, &mut settled);
        }
    }

    /// Whether jobs were left because the time of the run was over.
    fn is_timed_out(&self) -> bool {
        self.context.run.is_over_time() && self.counts.stopped + self.counts.not_started > 0
    }

    /// Whether nothing new is to start.
    fn is_over(&self) -> bool {
        self.setup.stop.is_stopped()
            || self.aftermath.is_undoing
            || self.aftermath.is_group_stuck
            || self.context.run.is_over_time()
    }

    fn begin(&self, graph: &SharedGraph, only_pending: bool) {
        self.context.run.emitter.emit(|| Event::RunStarted {
            at: self.aftermath.at,
            jobs: graph.len(),
            workers: self.setup.workers,
            no_act: self.setup.settings.no_act,
            look_ahead: self.setup.settings.looks_ahead(),
            only_pending,
        });
        if tracing::enabled!(tracing::Level::DEBUG) {
            for node in graph.iter().filter(|node| node.dependencies().len() > 0) {
                let names: Vec<&str> = node.dependencies().map(|dependency| dependency.name()).collect();
                tracing::debug!(job = node.name(), "waits for {}", names.join(", "));
            }
        }
    }

    /// The span around all tries of a job.
    fn span(&mut self, job: u32) -> Span {
        if !tracing::enabled!(tracing::Level::INFO) {
            return Span::none();
        }
        let name = &*self.context.graph.job(job).name;
        self.spans.entry(job).or_insert_with(|| tracing::info_span!("job", name)).clone()
    }

    fn left(&self, due: Duration) -> Duration {
        due.saturating_sub(self.context.clock.now())
    }

    /// A try has ended: write it down, and tell the scheduler.
    fn take(&mut self, scheduler: &mut Scheduler<'_>, done: Done) {
        let job = done.job;
        let record = &mut self.records[job as usize];
        record.duration += done.duration;
        let is_skipped = matches!(done.end, TryEnd::Skipped(_));
        record.tries = if is_skipped { 0 } else { scheduler.attempts(job) };
        let mut end = done.end;
        let mut because = record.detail.take().and_then(|detail| detail.because);
        if done.started_run.is_some() {
            because = because.or_else(|| done.failures.first().filter(|f| f.phase == Phase::Check).cloned());
            record.ran = true;
        } else if end == TryEnd::InPlace && record.ran {
            // The work of an earlier try has shown late.
            end = TryEnd::Changed;
        }
        if because.is_some() || !done.failures.is_empty() || done.result.is_some() {
            let redactor = self.context.run.emitter.redactor();
            let mut result = done.result.clone();
            result.iter_mut().for_each(|value| redactor.mask_value(value));
            record.detail = Some(Box::new(Detail { because, failures: done.failures, result }));
        }
        if let Some(result) = done.result {
            self.context.run.results().insert(job, result);
        }
        if end == TryEnd::Changed {
            self.context.run.changed().insert(job);
        }
        match (&self.context.run.ahead, end) {
            (Some(ahead), TryEnd::WouldRun) => ahead.note_would_run(job),
            (Some(ahead), TryEnd::CouldNotFindOut) => ahead.note_unknown(job),
            _ => {}
        }
        if done.was_told && matches!(end, TryEnd::InPlace | TryEnd::Changed) {
            self.note_seen(job);
        }
        self.aftermath.runs.extend(done.started_run.map(|run| *run));
        if let Some(due) = scheduler.ended(job, end) {
            self.tell_of_retry(job, due, scheduler.attempts(job));
        }
    }

    /// What a job was told of has had its effect, and need not be told again.
    fn note_seen(&self, job: u32) {
        let Some(journal) = self.context.journal.as_ref().filter(|_| !self.setup.settings.no_act) else {
            return;
        };
        let n = self.context.runs_begun.load(Ordering::Relaxed);
        let job = self.context.graph.job(job).name.to_string();
        if let Err(error) = journal.append(&Record::Seen { job, n }, false) {
            tracing::warn!("failed to write down that a change was seen: {error}");
        }
    }

    fn tell_of_retry(&self, job: u32, due: Duration, attempts: u32) {
        let (graph, delay) = (&self.context.graph, self.left(due));
        let name = &graph.job(job).name;
        let tries = graph.job(job).retry.max_tries().unwrap_or(self.setup.tries.count);
        let attempt = attempts + 1;
        tracing::debug!(job = &**name, "may be tried again in {delay:?} (try {attempt} of {tries})");
        self.context.run.emitter.emit(|| Event::RetryScheduled { job: name.clone(), attempt, tries, delay });
    }

    /// Writes down what has settled, and tells of it.
    fn settle(&mut self, scheduler: &mut Scheduler<'_>, settled: &mut Vec<u32>) {
        scheduler.take_settled(settled);
        for &job in &*settled {
            let Some(outcome) = scheduler.outcome(job) else { continue };
            self.records[job as usize].outcome = outcome;
            self.counts.add(outcome);
            let may_change = self.hindrances.note(&self.context.graph, job, |id| scheduler.outcome(id));
            self.counts.may_change += usize::from(may_change && outcome == Outcome::InPlace);
            self.aftermath.is_undoing |= match self.attempts.is_empty() {
                true => outcome == Outcome::Failed && self.context.settings.reverts_on_failure(),
                false => scheduler.reverts_all(),
            };
            self.spans.remove(&job);
            let emitter = &self.context.run.emitter;
            if emitter.is_observed() || tracing::enabled!(tracing::Level::DEBUG) {
                let because_of = self.hindrances.of(&self.context.graph, job, |id| scheduler.outcome(id));
                let record = &self.records[job as usize];
                let detail = record.detail.as_deref();
                let name = &self.context.graph.job(job).name;
                match because_of.as_slice() {
                    [] => tracing::debug!(job = &**name, "{outcome} after {} tries", record.tries),
                    names => tracing::debug!(job = &**name, "{outcome}: {}", names.join(", ")),
                }
                emitter.emit(|| Event::JobSettled {
                    job: name.clone(),
                    outcome,
                    tries: record.tries,
                    duration: record.duration,
                    reason: decisive_failure(outcome, detail)
                        .map(|failure| failure.reason.clone())
                        .or_else(|| self.passed_over(job, outcome)),
                    because_of,
                    result: detail.and_then(|detail| detail.result.clone()),
                });
            }
        }
    }

    /// What is said of a job that was to run by the plan that is applied, and is in place by now.
    fn passed_over(&self, job: u32, outcome: Outcome) -> Option<String> {
        let approval = self.context.approval.as_ref()?;
        let is_needless = outcome == Outcome::InPlace && approval.is_planned(job);
        is_needless.then(|| "it was to run, and is in place by now".to_owned())
    }

    fn end(mut self) -> Report {
        if self.aftermath.is_undoing {
            let failures = self.failures();
            let reverted = rollback::undo(&mut self.aftermath, failures);
            self.mark_reverted(&reverted);
        }
        if self.setup.settings.cleanup && !self.setup.settings.no_act {
            rollback::clean_up(&mut self.aftermath);
        }
        let has_converged = self.counts.converged() == self.records.len();
        let is_stopped = self.setup.stop.is_stopped() || self.is_timed_out();
        rollback::close(&mut self.aftermath, has_converged, is_stopped);
        self.report(None)
    }

    /// Calls the cleanups that earlier convergences owe, with `declined` also those left out on purpose, and does nothing
    /// else.
    pub(super) fn only_clean_up(mut self, declined: bool) -> Report {
        self.begin(&self.context.graph.clone(), true);
        let refusal = self.unreadable();
        if refusal.is_none() {
            recovery::only_clean_up(&mut self.aftermath, declined);
        }
        self.leave_all();
        self.report(refusal)
    }

    /// Why nothing may be started, where the log could not be read.
    fn unreadable(&self) -> Option<Refusal> {
        let error = self.setup.unreadable.as_ref()?;
        Some(Refusal::UnreadableLog { reason: error.to_string() })
    }

    /// A job uses a limit that is not set.
    fn unknown_limit(&self, unknown: &UnknownLimit) -> Option<Refusal> {
        let name = &unknown.limit;
        let hint = suggest::hint(name, self.setup.limits.keys().map(String::as_str));
        let job = self.context.graph.job(unknown.job).name.to_string();
        Some(Refusal::UnknownLimit { job, limit: name.clone(), hint })
    }

    /// No job had its turn.
    fn leave_all(&mut self) {
        self.counts = Counts { not_started: self.records.len(), ..Counts::default() };
    }

    fn failures(&self) -> Failures {
        let records = self.context.graph.iter().zip(&self.records);
        let failed = records.filter(|(_, record)| record.outcome == Outcome::Failed);
        failed
            .filter_map(|(node, record)| {
                let failure = decisive_failure(record.outcome, record.detail.as_deref())?;
                Some((node.name().to_owned(), failure.clone()))
            })
            .collect()
    }

    /// What these jobs had changed was reverted.
    fn mark_reverted(&mut self, jobs: &[Arc<str>]) {
        for id in jobs.iter().filter_map(|job| self.context.graph.number(job)) {
            let outcome = &mut self.records[id as usize].outcome;
            if *outcome == Outcome::Changed {
                *outcome = Outcome::Reverted;
                self.counts.change(Outcome::Changed, Outcome::Reverted);
            }
        }
    }

    /// How it all ended.
    fn report(mut self, refusal: Option<Refusal>) -> Report {
        let (groups, timed_out) = (self.group_reports(), self.is_timed_out());
        self.setup.started_runs = std::mem::take(&mut self.aftermath.runs);
        // The caller gets the directory back that it came with, as far as that still exists.
        let _ = self.context.run.directory.restore();
        let report = Report {
            graph: self.context.graph.clone(),
            records: std::mem::take(&mut self.records),
            hindrances: self.hindrances,
            groups,
            reverts: self.aftermath.reverts,
            cleanups: self.aftermath.cleanups,
            pending: self.aftermath.pending,
            refusal,
            needs_decision: self.aftermath.needs_decision,
            started: self.aftermath.at,
            duration: self.context.clock.now().saturating_sub(self.started),
            no_act: self.setup.settings.no_act,
            timed_out,
            stopped: self.setup.stop.is_stopped() && self.counts.stopped + self.counts.not_started > 0,
            counts: self.counts,
        };
        self.context.run.emitter.emit(|| Event::RunEnded {
            at: self.context.clock.wall(),
            duration: report.duration,
            success: report.success(),
            converged: report.converged(),
            stopped: report.stopped,
            revert_incomplete: report.is_revert_incomplete(),
            counts: report.counts,
        });
        report
    }
}
