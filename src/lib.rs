//! dojob

mod clock;
mod context;
mod engine;
mod event;
mod graph;
mod job;
mod panics;
mod report;
mod secret;
mod suggest;

pub use crate::clock::{Clock, SystemClock, VirtualClock, Wake};
pub use crate::context::args::ArgError;
pub use crate::context::command::{Command, CommandError, CommandOutput, FailedCommand};
pub use crate::context::output::Captured;
pub use crate::context::storage::{Global, Handles, Local, StorageError};
pub use crate::context::{Context, ResultError};
pub use crate::engine::{Engine, StopHandle};
pub use crate::event::{Counts, Event, Failure, FailureKind, Observer, Outcome, Phase, Stream};
pub use crate::graph::builder::{FromClosures, FromType, GraphBuilder, NodeBuilder};
pub use crate::graph::error::{GraphError, GraphErrors};
pub use crate::graph::{JobGraph, Node};
pub use crate::job::reason::{CouldNotFindOut, NotAsWanted, OrCouldNotFindOut};
pub use crate::job::retry::{Retry, RetryError};
pub use crate::job::{AnyJob, Deps, DummyJob, IntoJob, Job, JobKind, RunOnlyJob, marker};
pub use crate::report::{CleanupReport, JobReport, REPORT_VERSION, Report};
pub use crate::secret::{MASK, Secret};
pub use anyhow::Result;
