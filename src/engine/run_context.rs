//! What all tries of a convergence have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::plan::Approval;
use super::recorder::LogRecorder;
use super::settings::Settings;
use crate::clock::Clock;
use crate::context::Run;
use crate::graph::SharedGraph;

/// What all tries of a run have in common.
pub(crate) struct RunContext {
    pub(super) graph: SharedGraph,
    pub(super) run: Arc<Run>,
    pub(super) clock: Arc<dyn Clock>,
    /// Numbers runs in the order of their starts.
    pub(super) runs_begun: AtomicU64,
    /// Where runs are written down before they start.
    pub(super) journal: Option<Arc<LogRecorder>>,
    pub(super) settings: Settings,
    /// While a plan is applied: which jobs may run.
    pub(super) approval: Option<Arc<Approval>>,
}

impl RunContext {
    /// Whether a run of this job may have to be reverted.
    pub(super) fn may_revert(&self, job: u32) -> bool {
        self.settings.reverts() || self.graph.groups().may_revert(job)
    }
}
