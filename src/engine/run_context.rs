//! What all tries of a convergence have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::recorder::Recorder;
use crate::clock::Clock;
use crate::context::Run;
use crate::graph::SharedGraph;

/// What all tries of a run have in common.
pub(crate) struct RunContext {
    pub(crate) graph: SharedGraph,
    pub(crate) run: Arc<Run>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Numbers runs in the order of their starts.
    pub(crate) runs_begun: AtomicU64,
    /// Where runs are written down before they start.
    pub(crate) journal: Option<Arc<Recorder>>,
    /// Whether that has to survive power loss, also for jobs that do not ask for it.
    pub(crate) durable: bool,
    /// Whether runs may have to be taken back.
    pub(crate) reverts: bool,
}
