//! Before and after the jobs: paying what earlier convergences owe, taking back, cleaning up, and closing the journal.
//!
//! Knows when that is done; how is [`debts`](super::debts)' and [`unwind`](super::unwind)'s business.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::attempt::Begun;
use super::converge::Converging;
use super::debts::{self, Rebuilt, rebuild};
use super::journal::Shared;
use super::journal::ledger::Entry;
use super::journal::record::Record;
use super::policy::OnFailure;
use super::unwind;
use crate::event::{Event, Failure, FailureKind, Outcome, Phase};
use crate::panics::catch;
use crate::report::{Debt, Report, RevertEnding, RevertReport, decisive_failure};

/// What comes after earlier convergences were seen to.
pub(super) enum Ahead {
    /// The jobs.
    Converge,
    /// Nothing more, for this reason where there is one.
    Over(Option<String>),
}

const DRY: &str = "this is a dry run";

impl Converging<'_> {
    /// Pays what earlier convergences owe, before anything else.
    pub(super) fn see_to_earlier_runs(&mut self) -> Ahead {
        let Some(journal) = self.site.journal.clone() else { return Ahead::Converge };
        if self.engine.no_act {
            self.tell_of_debts(DRY);
            return Ahead::Converge;
        }
        if !journal.is_ours() {
            self.leave_all();
            let why =
                "the journal was opened only to be looked at, without its lock, and so nothing may be run";
            return Ahead::Over(Some(why.to_owned()));
        }
        let undo = journal.with_ledger(|ledger| ledger.undo().cloned());
        if undo.is_some() && self.engine.forget_undo {
            self.note(&Record::UndoEnded, "that the taking back was given up");
        } else if let Some(failures) = undo {
            if self.engine.on_failure == OnFailure::Keep {
                return Ahead::Over(Some(self.refuse(&failures)));
            }
            self.go_on_undoing(&journal, failures);
            return Ahead::Over(None);
        }
        if self.engine.cleanup {
            self.pay(&journal, Entry::is_owed);
        } else {
            self.tell_of_debts("cleanups are switched off");
        }
        let run = &self.site.run;
        journal.begin(self.at, self.site.reverts, run.directory.path(), &run.args, run.emitter.redactor());
        Ahead::Converge
    }

    /// Pays what is owed, with `declined` also what was left out on purpose, and does nothing else.
    pub(super) fn only_pay(mut self, declined: bool) -> Report {
        self.begin(&self.site.graph.clone(), true);
        match self.site.journal.clone() {
            Some(journal) if !self.engine.no_act && journal.is_ours() => {
                // What has to be taken back needs what its cleanup would put away.
                let undoing = journal.with_ledger(|ledger| ledger.undo().is_some());
                let is_free = |entry: &Entry| !(undoing && entry.revertible);
                self.pay(&journal, |entry| {
                    (entry.is_owed() || (declined && entry.declined)) && is_free(entry)
                });
                let rest = journal.with_ledger(|ledger| debts::list(ledger, &self.engine.whole));
                self.keep(
                    rest.into_iter()
                        .filter(|_| undoing)
                        .map(|debt| (debt, "it has to be taken back first".to_owned())),
                );
                if let Err(error) = journal.tidy() {
                    tracing::warn!("failed to tidy up {}: {error}", journal.path().display());
                }
            }
            _ => self.tell_of_debts(DRY),
        }
        self.leave_all();
        self.report(None)
    }

    /// Calls the cleanups of these open runs of earlier convergences. Those that fail are still open in the journal, which
    /// the next start reads.
    fn pay(&mut self, journal: &Arc<Shared>, wanted: impl Fn(&Entry) -> bool) {
        let rebuilt = self.rebuild(journal, wanted);
        self.engine.begun = rebuilt.begun;
        self.clean_up();
        self.keep(rebuilt.lost.into_iter());
        self.forget_begun();
        self.go_back();
    }

    /// What was owed was paid where it was owed.
    fn go_back(&self) {
        if let Err(error) = self.site.run.directory.restore() {
            tracing::error!("{error:#}");
        }
    }

    /// Ends what is left of the commands of earlier convergences, and then rebuilds these open runs of theirs. One of
    /// which a process cannot be ended is kept for the next start: nothing may be put away under its hands.
    fn rebuild(&mut self, journal: &Arc<Shared>, wanted: impl Fn(&Entry) -> bool) -> Rebuilt {
        let unended: HashSet<u64> =
            debts::end_survivors(journal, &self.site.run.emitter).into_iter().collect();
        let mut rebuilt = rebuild(journal, &self.engine.whole, &self.site.run, |_, entry| wanted(entry));
        let (kept, begun): (Vec<Begun>, Vec<Begun>) =
            rebuilt.begun.into_iter().partition(|begun| unended.contains(&begun.order));
        rebuilt.begun = begun;
        self.is_unpaid |= !kept.is_empty() || rebuilt.is_broken;
        let why = "a process that its command has left cannot be ended";
        rebuilt.lost.extend(kept.into_iter().map(|begun| (debt_of(&begun), why.to_owned())));
        rebuilt
    }

    /// No job had its turn.
    fn leave_all(&mut self) {
        self.counts = Default::default();
        self.counts.not_started = self.records.len();
    }

    /// Lets go of runs; to drop them is the user's code, too.
    fn forget_begun(&mut self) {
        for begun in self.engine.begun.drain(..) {
            let _ = catch(|| drop(begun));
        }
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
    fn go_on_undoing(&mut self, journal: &Arc<Shared>, failures: BTreeMap<String, Failure>) {
        let rebuilt = self.rebuild(journal, |entry| entry.revertible || entry.is_owed());
        self.engine.begun = rebuilt.begun;
        self.has_lost_reverts = rebuilt.lost.iter().any(|(debt, _)| debt.phase == Phase::Revert);
        self.is_undoing = true;
        // What was declined is not called for, now as then.
        let declined = |n| {
            journal.with_ledger(|ledger| ledger.entries().any(|(known, entry)| known == n && entry.declined))
        };
        self.engine.begun.iter_mut().for_each(|begun| begun.is_clean |= declined(begun.order));
        self.revert(&Arc::new(failures));
        if self.engine.cleanup {
            self.clean_up();
        }
        self.keep(rebuilt.lost.into_iter());
        self.leave_all();
        self.close();
        self.forget_begun();
    }

    /// Takes back all that this convergence has run, and what one before it had that was interrupted.
    pub(super) fn undo(&mut self) {
        let records = self.site.graph.iter().zip(&self.records);
        let failed = records.filter(|(_, record)| record.outcome == Outcome::Failed);
        let failures: BTreeMap<String, Failure> = failed
            .filter_map(|(node, record)| {
                let failure = decisive_failure(record.outcome, record.detail.as_deref())?;
                Some((node.name().to_owned(), failure.clone()))
            })
            .collect();
        if let Some(journal) = self.site.journal.clone() {
            let asks = |begun: &Begun| self.site.graph.job(begun.cx.id()).durable;
            let durable = self.engine.durable || self.engine.begun.iter().any(asks);
            if let Err(error) = journal.undo(failures.clone(), durable) {
                return self.cannot_undo(&error);
            }
            // What this convergence has begun is at hand, and need not be rebuilt.
            let first = self.engine.begun.iter().map(|begun| begun.order).min().unwrap_or(u64::MAX);
            let rebuilt = self.rebuild(&journal, |entry| entry.revertible);
            self.engine.begun.extend(rebuilt.begun.into_iter().filter(|begun| begun.order < first));
            self.has_lost_reverts = !rebuilt.lost.is_empty();
            self.keep(rebuilt.lost.into_iter());
        }
        self.revert(&Arc::new(failures));
    }

    /// What cannot be written down is not begun: killed in its middle, the next start would build on half of it.
    fn cannot_undo(&mut self, error: &std::io::Error) {
        let reason = format!("failed to write down that things are taken back: {error}");
        self.is_undo_unwritten = true;
        for begun in &mut self.engine.begun {
            begun.is_stuck = true;
            let (phase, kind) = (Phase::Revert, FailureKind::Error);
            let failure = Failure::new(phase, begun.attempt, kind, reason.clone());
            let ending = RevertEnding::Failed(Box::new(failure));
            let (job, attempt, of) = (begun.cx.job().clone(), begun.attempt, begun.of);
            self.reverts.push(RevertReport { job, attempt, of, ending, duration: Default::default() });
        }
        tracing::error!("{reason}");
    }

    fn revert(&mut self, failures: &Arc<BTreeMap<String, Failure>>) {
        let reports = unwind::revert(&mut self.engine.begun, failures, self.site.clock.as_ref());
        let undone = |report: &&RevertReport| report.ending == RevertEnding::Reverted;
        let left: HashSet<&str> =
            reports.iter().filter(|report| !undone(report)).map(|report| &*report.job).collect();
        for report in reports.iter().filter(undone).filter(|report| !left.contains(&*report.job)) {
            let Some(id) = self.site.graph.number(&report.job) else { continue };
            let outcome = &mut self.records[id as usize].outcome;
            if *outcome == Outcome::Changed {
                *outcome = Outcome::Reverted;
                self.counts.change(Outcome::Changed, Outcome::Reverted);
            }
        }
        self.reverts.extend(reports);
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
            for begun in self.engine.begun.iter().filter(|begun| !begun.owed && !begun.is_clean) {
                // A job of closures is known to have no cleanup; of a type that cannot be told before it is called.
                let has_none = begun.body.has_cleanup() == Some(false);
                let n = begun.order;
                let record = if has_none { Record::Settled { n } } else { Record::Declined { n } };
                let durable = begun.cx.page().is_some_and(|page| page.durable);
                self.write_down(&record, durable, "that a cleanup was left out");
            }
        }
        let is_stuck = self.engine.begun.iter().any(|begun| begun.is_stuck);
        if self.is_undoing && !is_stuck && !self.has_lost_reverts {
            // After the cleanups: a start that is killed among them must not begin everything anew.
            self.note(&Record::UndoEnded, "that everything was taken back");
        }
        let converged = self.counts.in_place + self.counts.changed == self.records.len();
        // Who was left out has not seen what was changed.
        let is_whole = Arc::ptr_eq(&self.engine.graph, &self.engine.whole);
        // A convergence that was stopped has not ended by itself: what it was begun for is gone on with. Nor has one that
        // should have taken things back, and could not write that down: they would not be owed any more.
        let is_open = self.is_undo_unwritten || (self.engine.stop.is_stopped() && !converged);
        let durable = self.engine.durable || self.site.graph.iter().any(|node| node.is_durable());
        let ended = match is_open {
            true => journal.tidy(),
            false => journal.end(converged && is_whole, durable),
        };
        if let Err(error) = ended {
            tracing::warn!("failed to close {}: {error}", journal.path().display());
        }
    }

    fn note(&self, record: &Record, what: &str) {
        self.write_down(record, self.engine.durable, what);
    }

    fn write_down(&self, record: &Record, durable: bool, what: &str) {
        let Some(journal) = &self.site.journal else { return };
        if let Err(error) = journal.append(record, durable) {
            tracing::error!("failed to write down {what}: {error}");
        }
    }

    fn tell_of_debts(&mut self, why: &str) {
        let Some(journal) = &self.site.journal else { return };
        let debts = journal.with_ledger(|ledger| debts::list(ledger, &self.engine.whole));
        self.keep(debts.into_iter().map(|debt| (debt, why.to_owned())));
    }

    /// Tells of debts that are not paid.
    fn keep(&mut self, debts: impl Iterator<Item = (Debt, String)>) {
        for (debt, why) in debts {
            self.site.run.emitter.emit(|| Event::DebtKept {
                job: debt.job.clone(),
                attempt: debt.attempt,
                of: Some(debt.of),
                phase: debt.phase,
                reason: if debt.declined { "it was declined".to_owned() } else { why },
            });
            self.debts.push(debt);
        }
    }
}

/// A run of an earlier convergence as something that is owed.
fn debt_of(begun: &Begun) -> Debt {
    let (phase, exists) = match begun.is_revertible {
        true => (Phase::Revert, begun.body.has_revert()),
        false => (Phase::Cleanup, begun.body.has_cleanup()),
    };
    Debt {
        job: begun.cx.job().clone(),
        attempt: begun.attempt,
        of: begun.of.unwrap_or_default(),
        phase,
        declined: false,
        payable: true,
        certain: exists == Some(true),
    }
}
