//! Everything that an engine was given, and what stays with it from one convergence to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::log::LogError;
use super::plan::Approval;
use super::recorder::LogRecorder;
use super::scheduler::Tries;
use super::settings::Settings;
use super::started_run::StartedRun;
use super::stop::StopHandle;
use crate::clock::Clock;
use crate::context::args::Args;
use crate::context::storage::Handles;
use crate::event::Emitter;
use crate::graph::SharedGraph;

pub(super) struct Setup {
    pub(super) graph: SharedGraph,
    /// The graph before a part of it was chosen: earlier runs may owe something for what is left out now.
    pub(super) whole: SharedGraph,
    pub(super) args: Args,
    pub(super) handles: Handles,
    pub(super) emitter: Arc<Emitter>,
    pub(super) tries: Tries,
    pub(super) workers: usize,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    /// The seed, where workers are simulated.
    pub(super) simulated: Option<u64>,
    pub(super) stop: StopHandle,
    /// Runs whose cleanup is still open.
    pub(super) started_runs: Vec<StartedRun>,
    pub(super) recorder: Option<Arc<LogRecorder>>,
    /// Why the log that was given cannot be used.
    pub(super) unreadable: Option<LogError>,
    pub(super) scope: Option<String>,
    /// While a plan is applied: which jobs may run.
    pub(super) approval: Option<Arc<Approval>>,
    /// How many jobs may be at work at once that use something, by its name.
    pub(super) limits: BTreeMap<String, usize>,
    /// How long a run may take.
    pub(super) time_limit: Option<Duration>,
}
