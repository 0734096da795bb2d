//! Before the jobs: what earlier convergences have left by the record. Their commands are ended, their cleanups called, and a
//! rollback that was interrupted goes on.
//!
//! Decides whether that is done; how a cleanup or a revert is called is [`rollback`]'s business.

mod pending;
pub(super) mod rebuild;
mod survivors;

use std::sync::Arc;

pub(super) use self::pending::list;
use self::rebuild::rebuild_all;
use super::aftermath::Aftermath;
use super::group_rollback;
use super::log::fold::{Entry, Ledger, Stage, Undoing};
use super::log::record::Record;
use super::recorder::LogRecorder;
use super::rollback::{self, Failures};
use crate::event::Phase;
use crate::report::Refusal;

/// What comes after earlier convergences were seen to.
pub(super) enum Ahead {
    /// The jobs.
    Converge,
    /// Nothing more, for this reason where there is one.
    Over(Option<Refusal>),
}

const DRY: &str = "this is a dry run";

/// Sees to what earlier convergences owe, before anything else.
pub(super) fn recover(aftermath: &mut Aftermath) -> Ahead {
    let Some(journal) = aftermath.journal() else { return Ahead::Converge };
    let settings = aftermath.context.settings;
    if settings.no_act {
        keep_all(aftermath, DRY);
        return Ahead::Converge;
    }
    if journal.is_read_only() {
        return Ahead::Over(Some(Refusal::ReadOnlyLog));
    }
    let undo = journal.with_ledger(|ledger| ledger.undo().cloned());
    if undo.is_some() && settings.forget_undo {
        aftermath.record(&Record::UndoEnded, settings.durable, "that the revert was given up");
    } else if let Some(failures) = undo {
        if !settings.reverts() {
            return Ahead::Over(Some(refuse(aftermath, &failures)));
        }
        resume_rollback(aftermath, &journal, failures);
        return Ahead::Over(None);
    }
    if !resume_group(aftermath, &journal) {
        return Ahead::Over(None);
    }
    if settings.cleanup {
        clean_up(aftermath, &journal, |entry| entry.obligation.owes_cleanup());
    } else {
        keep_all(aftermath, "cleanups are switched off");
    }
    let run = &aftermath.context.run;
    let reverts = settings.reverts();
    journal.begin(aftermath.at, reverts, run.directory.path(), &run.args, run.emitter.redactor());
    Ahead::Converge
}

/// An earlier convergence was interrupted, or got stuck, while it reverted a group: that goes on, and then everything else does. Says
/// whether it can.
fn resume_group(aftermath: &mut Aftermath, journal: &Arc<LogRecorder>) -> bool {
    let undoing = journal.with_ledger(|ledger| {
        let (group, state) = ledger.undoing_group()?;
        match &state.stage {
            Stage::Undoing { failures, .. } => Some((group.to_owned(), failures.clone())),
            Stage::UnderWay | Stage::GivenUp { .. } => None,
        }
    });
    let Some((group, failures)) = undoing else { return true };
    let settings = aftermath.context.settings;
    if settings.forget_undo {
        aftermath.record(&Record::UndoEnded, settings.durable, "that the revert was given up");
        return true;
    }
    let undone = group_rollback::resume(aftermath, &group, failures);
    aftermath.forget_runs();
    if let Err(error) = aftermath.context.run.directory.restore() {
        tracing::error!("{error:#}");
    }
    !undone.is_stuck
}

/// Calls the cleanups that earlier convergences owe, with `declined` also those left out on purpose, and does nothing else.
pub(super) fn only_clean_up(aftermath: &mut Aftermath, declined: bool) {
    match aftermath.journal() {
        Some(journal) if !aftermath.context.settings.no_act && !journal.is_read_only() => {
            // What has to be reverted needs what its cleanup would put away.
            let undoing = journal.with_ledger(Ledger::undoing);
            clean_up(aftermath, &journal, |entry| {
                let owed = entry.obligation;
                (owed.owes_cleanup() || (declined && owed.is_declined())) && !undoing.concerns(entry)
            });
            let undoing = undoing != Undoing::Nothing;
            if undoing {
                keep_all(aftermath, "it has to be reverted first");
            }
            if let Err(error) = journal.tidy() {
                tracing::warn!("failed to tidy up {}: {error}", journal.location());
            }
        }
        _ => keep_all(aftermath, DRY),
    }
}

/// Calls the cleanups of these open runs of earlier convergences. Those that fail are still open in the journal, which
/// the next start reads.
fn clean_up(aftermath: &mut Aftermath, journal: &Arc<LogRecorder>, wanted: impl Fn(&Entry) -> bool) {
    let rebuilt = rebuild_all(aftermath, journal, wanted);
    aftermath.runs = rebuilt.runs;
    rollback::clean_up_all(aftermath);
    aftermath.keep(rebuilt.lost);
    aftermath.forget_runs();
    // Each cleanup was called in the directory of its own convergence.
    if let Err(error) = aftermath.context.run.directory.restore() {
        tracing::error!("{error:#}");
    }
}

fn refuse(aftermath: &mut Aftermath, failures: &Failures) -> Refusal {
    keep_all(aftermath, "it waits for a decision");
    Refusal::UnfinishedRevert { failed: failures.keys().cloned().collect() }
}

/// An earlier convergence was interrupted, or could not finish, in its rollback: that goes on, and nothing else is done.
fn resume_rollback(aftermath: &mut Aftermath, journal: &Arc<LogRecorder>, failures: Failures) {
    let is_open = |entry: &Entry| entry.obligation.is_revertible() || entry.obligation.owes_cleanup();
    let rebuilt = rebuild_all(aftermath, journal, is_open);
    aftermath.runs = rebuilt.runs;
    aftermath.has_lost_reverts = rebuilt.lost.iter().any(|(cleanup, _)| cleanup.phase == Phase::Revert);
    aftermath.is_undoing = true;
    rollback::revert(aftermath, &Arc::new(failures));
    if aftermath.context.settings.cleanup {
        rollback::clean_up(aftermath);
    }
    aftermath.keep(rebuilt.lost);
    rollback::close(aftermath, false, aftermath.context.run.cancel.is_asked());
    aftermath.forget_runs();
}

/// Tells of all that is open, and why it stays so.
fn keep_all(aftermath: &mut Aftermath, why: &str) {
    let Some(journal) = aftermath.journal() else { return };
    let pending = journal.with_ledger(|ledger| list(ledger, &aftermath.whole));
    aftermath.keep(pending.into_iter().map(|cleanup| (cleanup, why.to_owned())));
}
