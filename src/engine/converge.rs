//! A run: ask the scheduler, hand the try to a worker, wait for news, tell the observers.
//!
//! The only place where the rooms of the engine meet; it decides nothing itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tracing::Span;

use super::Engine;
use super::accounts::Ahead;
use super::attempt::{Begun, Done, Site, Task};
use super::journal::ledger::Ledger;
use super::journal::record::Record;
use super::policy::OnFailure;
use super::scheduler::{Next, Scheduler, Tries, TryEnd};
use super::workers::{Inline, Simulated, Threads, Workers};
use crate::clock::Wake;
use crate::context::Run;
use crate::context::diary::Diary;
use crate::context::directory::Directory;
use crate::context::storage::Global;
use crate::event::{Counts, Event, Outcome, Phase};
use crate::graph::SharedGraph;
use crate::panics::catch;
use crate::report::{
    CleanupReport, Debt, Detail, Record as JobRecord, Report, RevertReport, decisive_failure, hindrances,
};

/// A run in progress.
pub(super) struct Converging<'e> {
    pub(super) engine: &'e mut Engine,
    pub(super) site: Arc<Site>,
    wake: Arc<Wake>,
    pub(super) records: Vec<JobRecord>,
    pub(super) counts: Counts,
    /// A job has failed for good, and all is going to be taken back.
    pub(super) is_undoing: bool,
    /// Something that has to be taken back cannot be, for lack of its job.
    pub(super) has_lost_reverts: bool,
    /// That things are taken back could not be written down, so that it was not begun.
    pub(super) is_undo_unwritten: bool,
    /// Something is owed that could not be paid, and that somebody has to see to.
    pub(super) is_unpaid: bool,
    pub(super) reverts: Vec<RevertReport>,
    pub(super) cleanups: Vec<CleanupReport>,
    pub(super) debts: Vec<Debt>,
    /// A span for each job in progress; filled only where somebody subscribes to them.
    spans: HashMap<u32, Span>,
    started: Duration,
    pub(super) at: Timestamp,
}

impl<'e> Converging<'e> {
    pub(super) fn new(engine: &'e mut Engine) -> Self {
        let journal = engine.journal.as_ref().map(|journal| journal.shared().clone());
        if !engine.no_act {
            // What was declined is let go of; what is owed a journal knows, too. To drop a run is the user's code.
            let begun = std::mem::take(&mut engine.begun);
            let is_kept = |begun: &Begun| begun.owed && journal.is_none();
            let (kept, gone): (Vec<Begun>, Vec<Begun>) = begun.into_iter().partition(is_kept);
            gone.into_iter().for_each(|begun| _ = catch(|| drop(begun)));
            // An earlier convergence has ended, and so has the taking back of what it did.
            let settled = |begun| Begun { is_revertible: false, is_stuck: false, ..begun };
            engine.begun = kept.into_iter().map(settled).collect();
        }
        let next = match &journal {
            Some(journal) => journal.with_ledger(Ledger::next),
            None => engine.begun.iter().map(|begun| begun.order + 1).max().unwrap_or(0),
        };
        let directory = Directory::new(engine.workers > 1 && engine.simulated.is_none());
        let run = Run {
            args: Arc::new(engine.args.clone()),
            global: Global::new(engine.emitter.redactor()),
            handles: engine.handles.clone(),
            results: Default::default(),
            changed: Default::default(),
            clock: engine.clock.clone(),
            first_tries: Default::default(),
            diary: journal.clone().map(|journal| journal as Arc<dyn Diary>),
            lineage: engine.graph.clone(),
            emitter: engine.emitter.clone(),
            cancel: engine.stop.cancel.clone(),
            cancel_cleanup: engine.stop.cancel_cleanup.clone(),
            groups: engine.stop.groups.clone(),
            directory,
            no_act: engine.no_act,
            reverts: engine.on_failure == OnFailure::Revert,
        };
        let site = Site {
            graph: engine.graph.clone(),
            run: Arc::new(run),
            clock: engine.clock.clone(),
            runs_begun: AtomicU64::new(next),
            journal,
            durable: engine.durable,
            reverts: engine.on_failure == OnFailure::Revert,
        };
        // Nothing is known of a job that has not settled.
        let unsettled = JobRecord {
            outcome: Outcome::NotStarted,
            tries: 0,
            ran: false,
            duration: Duration::ZERO,
            detail: None,
        };
        Converging {
            records: vec![unsettled; engine.graph.len()],
            counts: Counts::default(),
            is_undoing: false,
            has_lost_reverts: false,
            is_undo_unwritten: false,
            is_unpaid: false,
            reverts: Vec::new(),
            cleanups: Vec::new(),
            debts: Vec::new(),
            spans: HashMap::new(),
            wake: Arc::default(),
            started: engine.clock.now(),
            at: engine.clock.wall(),
            site: Arc::new(site),
            engine,
        }
    }

    pub(super) fn converge(mut self) -> Report {
        let graph = self.site.graph.clone();
        let defaults = self.engine.tries;
        let policy = |job: u32| {
            let own = graph.job(job).retry;
            Tries {
                count: own.get_tries().unwrap_or(defaults.count),
                delay: own.get_delay().unwrap_or(defaults.delay),
            }
        };
        let mut scheduler =
            Scheduler::new(graph.dependencies(), graph.dependents(), policy, self.engine.no_act);
        self.begin(&graph, false);
        if let Ahead::Over(refusal) = self.see_to_earlier_runs() {
            return self.report(refusal);
        }
        self.engine.stop.cancel.notify(&self.wake);
        match self.engine.simulated {
            Some(seed) => {
                let workers = Simulated::new(self.site.clone(), self.wake.clone(), self.engine.workers, seed);
                self.drive(&mut scheduler, workers);
            }
            None if self.engine.workers == 1 => {
                let workers = Inline::new(self.site.clone(), self.wake.clone());
                self.drive(&mut scheduler, workers);
            }
            None => {
                let workers = Threads::new(self.site.clone(), self.wake.clone(), self.engine.workers);
                self.drive(&mut scheduler, workers);
            }
        }
        self.engine.stop.cancel.forget(&self.wake);
        drop(scheduler);
        self.end()
    }

    /// The engine's loop.
    fn drive(&mut self, scheduler: &mut Scheduler<'_>, mut workers: impl Workers) {
        let mut settled = Vec::new();
        // Asked of the clock as rarely as can be: a try that ends brings its time with it.
        let mut now = self.site.clock.now();
        loop {
            if self.engine.stop.is_stopped() || self.is_undoing {
                scheduler.stop();
            }
            let next = if workers.is_free() { scheduler.next(now) } else { Next::WaitForNews };
            let until = match next {
                Next::Try { job, attempt, tries } => {
                    let span = self.span(job);
                    workers.start(Task { job, attempt, tries, now, span });
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
            };
            match workers.news(until) {
                Some(done) => {
                    now = now.max(done.now);
                    self.take(scheduler, done);
                    self.settle(scheduler, &mut settled);
                }
                None => now = self.site.clock.now(),
            }
        }
        if self.engine.stop.is_stopped() || self.is_undoing {
            scheduler.abandon();
            self.settle(scheduler, &mut settled);
        }
    }

    pub(super) fn begin(&self, graph: &SharedGraph, only_debts: bool) {
        self.site.run.emitter.emit(|| Event::RunStarted {
            at: self.at,
            jobs: graph.len(),
            workers: self.engine.workers,
            no_act: self.engine.no_act,
            only_debts,
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
        let name = &*self.site.graph.job(job).name;
        self.spans.entry(job).or_insert_with(|| tracing::info_span!("job", name)).clone()
    }

    fn left(&self, due: Duration) -> Duration {
        due.saturating_sub(self.site.clock.now())
    }

    /// A try has ended: write it down, and tell the scheduler.
    fn take(&mut self, scheduler: &mut Scheduler<'_>, done: Done) {
        let job = done.job;
        let record = &mut self.records[job as usize];
        record.duration += done.duration;
        record.tries = scheduler.attempts(job);
        let mut end = done.end;
        let mut because = record.detail.take().and_then(|detail| detail.because);
        if done.begun.is_some() {
            because = because.or_else(|| done.failures.first().filter(|f| f.phase == Phase::Check).cloned());
            record.ran = true;
        } else if end == TryEnd::InPlace && record.ran {
            // The work of an earlier try has shown late.
            end = TryEnd::Changed;
        }
        if because.is_some() || !done.failures.is_empty() || done.result.is_some() {
            let redactor = self.site.run.emitter.redactor();
            let mut result = done.result.clone();
            result.iter_mut().for_each(|value| redactor.mask_value(value));
            record.detail = Some(Box::new(Detail { because, failures: done.failures, result }));
        }
        if let Some(result) = done.result {
            self.site.run.results().insert(job, result);
        }
        if end == TryEnd::Changed {
            self.site.run.changed().insert(job);
        }
        if done.was_told && matches!(end, TryEnd::InPlace | TryEnd::Changed) {
            self.note_seen(job);
        }
        self.engine.begun.extend(done.begun.map(|begun| *begun));
        if let Some(due) = scheduler.ended(job, end) {
            self.tell_of_retry(job, due, scheduler.attempts(job));
        }
    }

    /// What a job was told of has had its effect, and need not be told again.
    fn note_seen(&self, job: u32) {
        let Some(journal) = self.site.journal.as_ref().filter(|_| !self.engine.no_act) else { return };
        let n = self.site.runs_begun.load(Ordering::Relaxed);
        let job = self.site.graph.job(job).name.to_string();
        if let Err(error) = journal.append(&Record::Seen { job, n }, false) {
            tracing::warn!("failed to write down that a change was seen: {error}");
        }
    }

    fn tell_of_retry(&self, job: u32, due: Duration, attempts: u32) {
        let (graph, delay) = (&self.site.graph, self.left(due));
        let name = &graph.job(job).name;
        let tries = graph.job(job).retry.get_tries().unwrap_or(self.engine.tries.count);
        let attempt = attempts + 1;
        tracing::debug!(job = &**name, "may be tried again in {delay:?} (try {attempt} of {tries})");
        self.site.run.emitter.emit(|| Event::RetryScheduled { job: name.clone(), attempt, tries, delay });
    }

    /// Writes down what has settled, and tells of it.
    fn settle(&mut self, scheduler: &mut Scheduler<'_>, settled: &mut Vec<u32>) {
        scheduler.take_settled(settled);
        for &job in &*settled {
            let Some(outcome) = scheduler.outcome(job) else { continue };
            self.records[job as usize].outcome = outcome;
            self.counts.add(outcome);
            self.is_undoing |= outcome == Outcome::Failed && self.site.reverts;
            self.spans.remove(&job);
            let emitter = &self.site.run.emitter;
            if emitter.is_observed() || tracing::enabled!(tracing::Level::DEBUG) {
                let because_of = match outcome {
                    Outcome::Blocked | Outcome::Unknown => {
                        hindrances(&self.site.graph, job, |id| scheduler.outcome(id))
                    }
                    _ => Vec::new(),
                };
                let record = &self.records[job as usize];
                let detail = record.detail.as_deref();
                let name = &self.site.graph.job(job).name;
                match because_of.as_slice() {
                    [] => tracing::debug!(job = &**name, "{outcome} after {} tries", record.tries),
                    names => tracing::debug!(job = &**name, "{outcome}: {}", names.join(", ")),
                }
                emitter.emit(|| Event::JobSettled {
                    job: name.clone(),
                    outcome,
                    tries: record.tries,
                    duration: record.duration,
                    reason: decisive_failure(outcome, detail).map(|failure| failure.reason.clone()),
                    because_of,
                    result: detail.and_then(|detail| detail.result.clone()),
                });
            }
        }
    }

    fn end(mut self) -> Report {
        if self.is_undoing {
            self.undo();
        }
        if self.engine.cleanup && !self.engine.no_act {
            self.clean_up();
        }
        self.close();
        self.report(None)
    }

    /// How it all ended.
    pub(super) fn report(mut self, refusal: Option<String>) -> Report {
        // The caller gets the directory back that it came with, as far as that still exists.
        let _ = self.site.run.directory.restore();
        let report = Report {
            graph: self.site.graph.clone(),
            records: std::mem::take(&mut self.records),
            reverts: std::mem::take(&mut self.reverts),
            cleanups: std::mem::take(&mut self.cleanups),
            debts: std::mem::take(&mut self.debts),
            refusal,
            unpaid: self.is_unpaid,
            started: self.at,
            duration: self.site.clock.now().saturating_sub(self.started),
            no_act: self.engine.no_act,
            stopped: self.engine.stop.is_stopped() && self.counts.stopped + self.counts.not_started > 0,
            counts: self.counts,
        };
        self.site.run.emitter.emit(|| Event::RunEnded {
            at: self.site.clock.wall(),
            duration: report.duration,
            success: report.success(),
            converged: report.converged(),
            stopped: report.stopped,
            stuck: report.is_stuck(),
            counts: report.counts,
        });
        report
    }
}
