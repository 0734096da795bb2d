//! Before and after the jobs: paying what earlier convergences owe, taking back, cleaning up, and closing the journal.
//!
//! Knows when that is done; how is [`debts`](super::debts)' and [`unwind`](super::unwind)'s business.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::converge::Converging;
use super::debts::{self, rebuild};
use super::journal::ledger::Entry;
use super::journal::record::Record;
use super::policy::OnFailure;
use super::unwind;
use crate::event::{Event, Failure, Outcome};
use crate::report::{Debt, Report, RevertEnding, decisive_failure};

/// What comes after earlier convergences were seen to.
pub(super) enum Ahead {
    /// The jobs.
    Converge,
    /// Nothing more, for this reason where there is one.
    Over(Option<String>),
}

impl Converging<'_> {
    /// Pays what earlier convergences owe, before anything else.
    pub(super) fn see_to_earlier_runs(&mut self) -> Ahead {
        let Some(journal) = self.site.journal.clone() else { return Ahead::Converge };
        if self.engine.no_act {
            self.tell_of_debts("this is a dry run");
            return Ahead::Converge;
        }
        debts::end_survivors(&journal);
        let undo = journal.with_ledger(|ledger| ledger.undo().cloned());
        if let Some(failures) = undo {
            if self.engine.forget_undo {
                self.note(&Record::UndoEnded, "that the taking back was given up");
            } else if self.engine.on_failure == OnFailure::Keep {
                return Ahead::Over(Some(self.refuse(&failures)));
            } else {
                self.go_on_undoing(failures);
                return Ahead::Over(None);
            }
        }
        let rebuilt = rebuild(&journal, &self.engine.whole, &self.site.run, |entry| entry.is_owed());
        self.engine.begun = rebuilt.begun;
        self.clean_up();
        self.keep(rebuilt.lost, "the graph has no job of this name any more");
        // Those that failed are still open in the journal, which the next start reads.
        self.engine.begun.clear();
        journal.begin(self.at, self.site.reverts, &self.site.run.args, self.site.run.emitter.redactor());
        Ahead::Converge
    }

    /// Pays what is owed, with `declined` also what was left out on purpose, and does nothing else.
    pub(super) fn only_pay(mut self, declined: bool) -> Report {
        self.begin(&self.site.graph.clone(), true);
        if let Some(journal) = self.site.journal.clone().filter(|_| !self.engine.no_act) {
            debts::end_survivors(&journal);
            let wanted = |entry: &Entry| entry.is_owed() || (declined && entry.declined);
            let rebuilt = rebuild(&journal, &self.engine.whole, &self.site.run, wanted);
            self.engine.begun = rebuilt.begun;
            self.clean_up();
            self.keep(rebuilt.lost, "the graph has no job of this name any more");
            self.engine.begun.clear();
            if let Err(error) = journal.tidy() {
                tracing::warn!("failed to tidy up {}: {error}", journal.path().display());
            }
        } else {
            self.tell_of_debts("this is a dry run");
        }
        self.leave_all();
        self.report(None)
    }

    /// No job had its turn.
    fn leave_all(&mut self) {
        self.counts = Default::default();
        self.counts.not_started = self.records.len();
    }

    fn refuse(&mut self, failures: &BTreeMap<String, Failure>) -> String {
        self.tell_of_debts("it waits for a decision");
        self.leave_all();
        let names: Vec<&str> = failures.keys().map(String::as_str).collect();
        format!(
            "an earlier start has begun to take back what it did, since {} failed, and has not come to the end of that; \
             start with `--on-failure revert` to go on with it, or with `--forget-undo` to leave everything as it is",
            names.join(", ")
        )
    }

    /// An earlier convergence was interrupted, or got stuck, while it took things back: that is gone on with, and no more.
    fn go_on_undoing(&mut self, failures: BTreeMap<String, Failure>) {
        let failures = Arc::new(failures);
        if let Some(journal) = self.site.journal.clone() {
            let wanted = |entry: &Entry| entry.revertible || entry.is_owed();
            let rebuilt = rebuild(&journal, &self.engine.whole, &self.site.run, wanted);
            self.engine.begun = rebuilt.begun;
            self.revert(&failures);
            self.clean_up();
            self.keep(rebuilt.lost, "the graph has no job of this name any more");
        }
        self.leave_all();
        self.close();
    }

    /// Takes back all that this convergence has run, and what one before it had that was interrupted.
    pub(super) fn undo(&mut self) {
        let failed =
            self.site.graph.iter().zip(&self.records).filter(|(_, record)| record.outcome == Outcome::Failed);
        let failures: BTreeMap<String, Failure> = failed
            .filter_map(|(node, record)| {
                let failure = decisive_failure(record.outcome, record.detail.as_deref())?;
                Some((node.name().to_owned(), failure.clone()))
            })
            .collect();
        if let Some(journal) = self.site.journal.clone() {
            if let Err(error) = journal.undo(failures.clone(), self.engine.durable) {
                tracing::error!("failed to write down that things are taken back: {error}");
            }
            // What this convergence has begun is at hand, and need not be rebuilt.
            let own: Vec<u64> = self.engine.begun.iter().map(|begun| begun.order).collect();
            let first = own.iter().min().copied().unwrap_or(u64::MAX);
            let rebuilt = rebuild(&journal, &self.engine.whole, &self.site.run, |entry| entry.revertible);
            self.engine.begun.extend(rebuilt.begun.into_iter().filter(|begun| begun.order < first));
            let earlier = rebuilt.lost;
            self.keep(earlier, "the graph has no job of this name any more");
        }
        self.revert(&Arc::new(failures));
    }

    fn revert(&mut self, failures: &Arc<BTreeMap<String, Failure>>) {
        let reports = unwind::revert(&mut self.engine.begun, failures, self.site.clock.as_ref());
        for report in &reports {
            let Some(id) = self.site.graph.number(&report.job) else { continue };
            let outcome = &mut self.records[id as usize].outcome;
            if *outcome == Outcome::Changed && report.ending == RevertEnding::Reverted {
                *outcome = Outcome::Reverted;
                self.counts.change(Outcome::Changed, Outcome::Reverted);
            }
        }
        self.reverts.extend(reports);
        if !self.engine.begun.iter().any(|begun| begun.is_stuck) {
            self.note(&Record::UndoEnded, "that everything was taken back");
        }
    }

    /// Calls the cleanups that are open.
    pub(super) fn clean_up(&mut self) {
        let reports = unwind::clean_up(&mut self.engine.begun, self.site.clock.as_ref());
        self.cleanups.extend(reports);
    }

    /// What is left goes to the journal, which is closed.
    pub(super) fn close(&mut self) {
        let Some(journal) = self.site.journal.clone().filter(|_| !self.engine.no_act) else { return };
        if !self.engine.cleanup {
            for begun in self.engine.begun.iter().filter(|begun| !begun.owed) {
                self.note(&Record::Declined { n: begun.order }, "that a cleanup was left out");
            }
        }
        // A convergence that was stopped has not ended by itself: what it was begun for is gone on with.
        let total = self.records.len();
        let converged = self.counts.in_place + self.counts.changed == total;
        let ended =
            if self.engine.stop.is_stopped() && !converged { journal.tidy() } else { journal.end(converged) };
        if let Err(error) = ended {
            tracing::warn!("failed to close {}: {error}", journal.path().display());
        }
    }

    fn note(&self, record: &Record, what: &str) {
        let Some(journal) = &self.site.journal else { return };
        if let Err(error) = journal.append(record, self.engine.durable) {
            tracing::error!("failed to write down {what}: {error}");
        }
    }

    fn tell_of_debts(&mut self, why: &str) {
        let Some(journal) = &self.site.journal else { return };
        let debts = journal.with_ledger(|ledger| debts::list(ledger, &self.engine.whole));
        self.keep(debts, why);
    }

    /// Tells of debts that are not paid.
    fn keep(&mut self, debts: Vec<Debt>, why: &str) {
        for debt in &debts {
            self.site.run.emitter.emit(|| Event::DebtKept {
                job: debt.job.clone(),
                attempt: debt.attempt,
                of: Some(debt.of),
                phase: debt.phase,
                reason: if debt.declined { "it was declined".to_owned() } else { why.to_owned() },
            });
        }
        self.debts.extend(debts);
    }
}
