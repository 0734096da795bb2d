//! What a convergence has started and still has to see to beside its jobs, and how that went: the part of a convergence that
//! [`recovery`](super::recovery) and [`rollback`](super::rollback) work on.
//!
//! Decides nothing.

use std::sync::Arc;

use jiff::Timestamp;

use super::log::record::Record;
use super::recorder::LogRecorder;
use super::run_context::RunContext;
use super::started_run::StartedRun;
use crate::event::Event;
use crate::graph::SharedGraph;
use crate::report::{CleanupReport, PendingCleanup, RevertReport};

pub(super) struct Aftermath {
    pub(super) context: Arc<RunContext>,
    /// The graph before a part of it was chosen: earlier convergences may owe something for what is left out now.
    pub(super) whole: SharedGraph,
    /// When the convergence began.
    pub(super) at: Timestamp,
    /// The order of the first run that this convergence starts.
    pub(super) first: u64,
    /// The runs for which something is owed, or may be.
    pub(super) runs: Vec<StartedRun>,
    /// Everything that was run is being reverted, or is going to be.
    pub(super) is_undoing: bool,
    /// Reverting a group has failed, so that nothing goes on.
    pub(super) is_group_stuck: bool,
    /// Something that has to be reverted cannot be, for lack of its job.
    pub(super) has_lost_reverts: bool,
    /// The rollback could not be written down, so that it was not begun.
    pub(super) is_undo_unwritten: bool,
    /// Something is owed that could not be done, and that needs a person.
    pub(super) needs_decision: bool,
    pub(super) reverts: Vec<RevertReport>,
    pub(super) cleanups: Vec<CleanupReport>,
    pub(super) pending: Vec<PendingCleanup>,
}

impl Aftermath {
    pub(super) fn journal(&self) -> Option<Arc<LogRecorder>> {
        self.context.journal.clone()
    }

    /// Whether what is written down has to survive power loss.
    pub(super) fn is_durable(&self) -> bool {
        self.context.settings.durable || self.runs.iter().any(|run| self.asks_for_durability(run))
    }

    fn asks_for_durability(&self, run: &StartedRun) -> bool {
        run.order >= self.first && self.context.graph.job(run.cx.id()).durable
    }

    /// Writes a record, and logs it when that fails: `what` is what would have been on record.
    pub(super) fn record(&self, record: &Record, durable: bool, what: &str) {
        let Some(journal) = &self.context.journal else { return };
        if let Err(error) = journal.append(record, durable) {
            tracing::error!("failed to write down {what}: {error}");
        }
    }

    /// Tells of obligations of earlier convergences that stay as they are, each with why.
    pub(super) fn keep(&mut self, pending: impl IntoIterator<Item = (PendingCleanup, String)>) {
        for (cleanup, why) in pending {
            self.context.run.emitter.emit(|| Event::CleanupPending {
                job: cleanup.job.clone(),
                attempt: cleanup.attempt,
                of: Some(cleanup.of),
                phase: cleanup.phase,
                reason: if cleanup.declined { "it was declined".to_owned() } else { why },
            });
            self.pending.push(cleanup);
        }
    }

    /// Lets go of all runs.
    pub(super) fn forget_runs(&mut self) {
        self.runs.drain(..).for_each(StartedRun::let_go);
    }
}
