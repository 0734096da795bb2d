//! After the jobs: reverts and cleanups of the runs that were started, last in first out, and the end of the record.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::aftermath::Aftermath;
use super::log::record::Record;
use super::obligation::Transition;
use super::policy::{Started, undo_order};
use super::recovery::rebuild::rebuild_all;
use super::started_run::{Called, StartedRun};
use crate::clock::Clock;
use crate::context::Context;
use crate::context::recorder::RunRecord;
use crate::event::{Event, Failure, FailureKind, Phase};
use crate::report::{CleanupReport, RevertEnding, RevertReport};

/// Why jobs have failed for good, by their names.
pub(super) type Failures = BTreeMap<String, Failure>;

/// Reverts all that this convergence has run, and what one before it had that was interrupted. Returns the names of the
/// jobs of which every run was reverted.
pub(super) fn undo(aftermath: &mut Aftermath, failures: Failures) -> Vec<Arc<str>> {
    if let Some(journal) = aftermath.journal() {
        if let Err(error) =
            journal.append(&Record::Undo { failures: failures.clone() }, aftermath.is_durable())
        {
            cannot_undo(aftermath, &error);
            return Vec::new();
        }
        // What this convergence has started is at hand, and need not be rebuilt.
        let first = aftermath.runs.iter().map(|run| run.order).min().unwrap_or(u64::MAX);
        let rebuilt = rebuild_all(aftermath, &journal, |entry| entry.obligation.is_revertible());
        aftermath.runs.extend(rebuilt.runs.into_iter().filter(|run| run.order < first));
        aftermath.has_lost_reverts = !rebuilt.lost.is_empty();
        aftermath.keep(rebuilt.lost);
    }
    revert(aftermath, &Arc::new(failures))
}

/// What cannot be written down is not begun: killed in its middle, the next start would build on half of it.
pub(super) fn cannot_undo(aftermath: &mut Aftermath, error: &std::io::Error) {
    let reason = format!("failed to write down that things are reverted: {error}");
    aftermath.is_undo_unwritten = true;
    for run in aftermath.runs.iter_mut().filter(|run| run.obligation.is_revertible()) {
        run.apply(Transition::RevertFailed);
        let failure = Failure::new(Phase::Revert, run.attempt, FailureKind::Error, reason.clone());
        aftermath.reverts.push(report(run, RevertEnding::Failed(Box::new(failure)), Duration::ZERO));
    }
    tracing::error!("{reason}");
}

/// Reverts the runs of an aftermath, and returns the names of the jobs of which every run was reverted.
pub(super) fn revert(aftermath: &mut Aftermath, failures: &Arc<Failures>) -> Vec<Arc<str>> {
    let reports = revert_runs(&mut aftermath.runs, failures, aftermath.context.clock.as_ref());
    let is_reverted = |report: &&RevertReport| report.ending == RevertEnding::Reverted;
    let left: HashSet<&str> =
        reports.iter().filter(|report| !is_reverted(report)).map(|report| &*report.job).collect();
    let reverted = reports.iter().filter(is_reverted).filter(|report| !left.contains(&*report.job));
    let reverted = reverted.map(|report| report.job.clone()).collect();
    aftermath.reverts.extend(reports);
    reverted
}

/// Reverts these runs as far as they are not yet. The first revert that fails is the last one: that run and those whose
/// turn has not come are incomplete.
fn revert_runs(runs: &mut [StartedRun], failures: &Arc<Failures>, clock: &dyn Clock) -> Vec<RevertReport> {
    let started: Vec<Started> = runs
        .iter()
        .map(|run| Started { order: run.order, has_failed: failures.contains_key(&**run.cx.job()) })
        .collect();
    let mut reports = Vec::new();
    let mut failed: Option<Arc<str>> = None;
    for position in undo_order(&started) {
        let run = &mut runs[position];
        if !run.obligation.is_revertible() {
            continue;
        }
        reports.push(match &failed {
            Some(job) => not_reached(run, job),
            None => revert_run(run, failures, clock),
        });
        if run.obligation.is_revert_incomplete() && failed.is_none() {
            failed = Some(run.cx.job().clone());
        }
    }
    reports
}

fn revert_run(run: &mut StartedRun, failures: &Arc<Failures>, clock: &dyn Clock) -> RevertReport {
    run.cx.set_failures(failures);
    let record = |cx: &Context| cx.page().map_or(Ok(()), RunRecord::undone);
    let Called { failure, is_absent, duration } = run.call(Phase::Revert, clock, record);
    run.apply(if failure.is_some() { Transition::RevertFailed } else { Transition::Reverted });
    run.cx.run_of().emitter.emit(|| Event::RevertEnded {
        job: run.cx.job().clone(),
        attempt: run.attempt,
        of: run.of,
        exists: !is_absent,
        passed: failure.is_none(),
        failure: failure.clone(),
        duration,
    });
    let ending = match failure {
        Some(failure) => RevertEnding::Failed(failure),
        None if is_absent => RevertEnding::NoRevert,
        None => RevertEnding::Reverted,
    };
    report(run, ending, duration)
}

fn not_reached(run: &mut StartedRun, failed: &str) -> RevertReport {
    run.apply(Transition::RevertFailed);
    run.cx.run_of().emitter.emit(|| Event::CleanupPending {
        job: run.cx.job().clone(),
        attempt: run.attempt,
        of: run.of,
        phase: Phase::Revert,
        reason: format!("the revert of {failed} failed before it"),
    });
    report(run, RevertEnding::NotReached, Duration::ZERO)
}

fn report(run: &StartedRun, ending: RevertEnding, duration: Duration) -> RevertReport {
    RevertReport { job: run.cx.job().clone(), attempt: run.attempt, of: run.of, ending, duration }
}

/// Calls the cleanups that are owed by an aftermath.
pub(super) fn clean_up(aftermath: &mut Aftermath) {
    // What an earlier convergence has left out on purpose is not called for, now as then.
    let is_declined = |run: &mut StartedRun| {
        run.of.is_some() && run.obligation.is_declined() && !run.obligation.is_revert_incomplete()
    };
    aftermath.runs.extract_if(.., is_declined).for_each(StartedRun::let_go);
    clean_up_all(aftermath);
}

/// As [`clean_up`], and those cleanups of earlier convergences, too, that were left out on purpose.
pub(super) fn clean_up_all(aftermath: &mut Aftermath) {
    let reports = clean_up_runs(&mut aftermath.runs, aftermath.context.clock.as_ref());
    aftermath.cleanups.extend(reports);
}

/// Calls the cleanups of these runs, the last run first, also those left out on purpose before. One that fails does not
/// stop the others. What stays are runs whose cleanup failed, and those whose revert is incomplete, for which it may be too early.
pub(super) fn clean_up_runs(runs: &mut Vec<StartedRun>, clock: &dyn Clock) -> Vec<CleanupReport> {
    runs.sort_by_key(|run| run.order);
    let mut reports = Vec::new();
    let mut left = Vec::new();
    while let Some(mut run) = runs.pop() {
        if run.obligation.is_revert_incomplete() {
            left.push(run);
            continue;
        }
        if !run.obligation.is_clean() {
            reports.extend(clean_up_run(&mut run, clock));
        }
        if run.obligation.is_clean() {
            run.let_go();
        } else {
            left.push(run);
        }
    }
    left.reverse();
    *runs = left;
    reports
}

/// Calls a cleanup; nothing is reported where there is only the trait's own, empty one.
fn clean_up_run(run: &mut StartedRun, clock: &dyn Clock) -> Option<CleanupReport> {
    let record = |cx: &Context| cx.page().map_or(Ok(()), RunRecord::settled);
    let Called { failure, is_absent, duration } = run.call(Phase::Cleanup, clock, record);
    run.apply(if failure.is_some() { Transition::CleanupFailed } else { Transition::Cleaned });
    if is_absent {
        return None;
    }
    let (job, attempt, of) = (run.cx.job().clone(), run.attempt, run.of);
    run.cx.run_of().emitter.emit(|| Event::CleanupEnded {
        job: job.clone(),
        attempt,
        of,
        passed: failure.is_none(),
        failure: failure.clone(),
        duration,
    });
    Some(CleanupReport { job, attempt, of, failure, duration })
}

/// Writes down what is left, and closes the record. `has_converged`: every job of the graph has. `was_stopped`: the
/// convergence did not end by itself.
pub(super) fn close(aftermath: &mut Aftermath, has_converged: bool, was_stopped: bool) {
    if aftermath.context.settings.no_act {
        return;
    }
    if !aftermath.context.settings.cleanup {
        decline_cleanups(aftermath);
    }
    let Some(journal) = aftermath.journal() else { return };
    let is_revert_incomplete = aftermath.runs.iter().any(|run| run.obligation.is_revert_incomplete());
    if aftermath.is_undoing && !is_revert_incomplete && !aftermath.has_lost_reverts {
        // After the cleanups: a start that is killed among them must not begin everything anew.
        aftermath.record(
            &Record::UndoEnded,
            aftermath.context.settings.durable,
            "that everything was reverted",
        );
    }
    // Who was left out has not seen what was changed.
    let is_whole = Arc::ptr_eq(&aftermath.context.graph, &aftermath.whole);
    // A convergence that was stopped is gone on with by the next start. Nor has one ended that should have reverted
    // things, and could not write that down: they would not be owed any more.
    let is_open = aftermath.is_undo_unwritten || (was_stopped && !has_converged);
    let durable =
        aftermath.context.settings.durable || aftermath.context.graph.iter().any(|node| node.is_durable());
    let ended = match is_open {
        true => journal.tidy(),
        false => journal.end(has_converged && is_whole, durable),
    };
    if let Err(error) = ended {
        tracing::warn!("failed to close {}: {error}", journal.location());
    }
}

/// The cleanups of this convergence are left out, on purpose.
fn decline_cleanups(aftermath: &mut Aftermath) {
    let mut runs = std::mem::take(&mut aftermath.runs);
    for run in runs.iter_mut().filter(|run| run.order >= aftermath.first && run.obligation.owes_cleanup()) {
        run.apply(Transition::CleanupDeclined);
        // A job of closures is known to have no cleanup; of a type that cannot be told before it is called.
        let has_none = run.body.has_cleanup() == Some(false);
        let n = run.order;
        let record = if has_none { Record::Settled { n } } else { Record::Declined { n } };
        let durable = run.cx.page().is_some_and(|page| page.durable);
        aftermath.record(&record, durable, "that a cleanup was left out");
    }
    aftermath.runs = runs;
}
