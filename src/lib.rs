//! dojob

#[cfg(feature = "cli")]
pub mod cli;
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
mod view;

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
pub use crate::view::console::{Color, Console};
pub use crate::view::graphviz::{PictureError, write_picture};
pub use crate::view::json::{EVENT_VERSION, JsonLines};
#[cfg(feature = "cli")]
pub use crate::view::log::{LOG_VARIABLE, init_log};
pub use anyhow::Result;
