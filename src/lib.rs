//! A convergence engine: small idempotent jobs are *checked*, *run* if the check fails, and *checked again*, in the order
//! of their dependencies, until everything is in its wanted state or nothing more can be done. Compiled, your jobs are a
//! *rerunnable provisioning binary*: run it as often as you like, and each run continues where the last one ended.
//!
//! # A first job
//!
//! A job says how to find out whether a piece of the world is as wanted, and how to make it so. This one wants a line in
//! a file, and needs the directory that the file is in:
//!
//! ```
//! use std::path::PathBuf;
//!
//! use dojob::{Context, Deps, Engine, Job, Result, deps};
//!
//! #[derive(Clone, PartialEq)]
//! struct Directory {
//!     path: PathBuf,
//! }
//!
//! impl Job for Directory {
//!     fn name(&self) -> String {
//!         format!("Directory {}", self.path.display())
//!     }
//!
//!     fn check(&mut self, _: &mut Context) -> Result<()> {
//!         anyhow::ensure!(self.path.is_dir(), "there is no such directory");
//!         Ok(())
//!     }
//!
//!     fn run(&mut self, _: &mut Context) -> Result<()> {
//!         Ok(std::fs::create_dir_all(&self.path)?)
//!     }
//! }
//!
//! #[derive(Clone, PartialEq)]
//! struct Greeting {
//!     directory: PathBuf,
//! }
//!
//! impl Job for Greeting {
//!     fn deps(&self) -> Deps {
//!         deps![Directory { path: self.directory.clone() }]
//!     }
//!
//!     fn check(&mut self, cx: &mut Context) -> Result<()> {
//!         let wanted: String = cx.arg("greeting")?;
//!         let found = std::fs::read_to_string(self.directory.join("motd"))?;
//!         anyhow::ensure!(found.trim() == wanted, "it says {found:?}");
//!         Ok(())
//!     }
//!
//!     fn run(&mut self, cx: &mut Context) -> Result<()> {
//!         let wanted: String = cx.arg("greeting")?;
//!         Ok(std::fs::write(self.directory.join("motd"), wanted)?)
//!     }
//! }
//!
//! # let scratch = tempfile::tempdir()?;
//! # let directory = scratch.path().join("etc");
//! let mut engine = Engine::new(Greeting { directory })?
//!     .args(&serde_json::json!({ "greeting": "Welcome!" }))?;
//!
//! let report = engine.converge();
//! assert!(report.success());
//! assert_eq!(report.counts().changed, 2); // the directory and the file were not there
//!
//! let report = engine.converge();
//! assert_eq!(report.counts().in_place, 2); // now there is nothing to do
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
#![cfg_attr(
    feature = "cli",
    doc = "[`cli::provision`] makes it a program, with flags for dry runs, retries, pictures and more."
)]
//!
//! # Overview
//!
//! * Jobs: the traits [`Job`], [`RunOnlyJob`] and [`DummyJob`]; [`deps!`] and [`Deps`]; [`Retry`]; the errors
//!   [`NotAsWanted`], [`CouldNotFindOut`] and [`Permanent`].
//! * The [`Context`] of a job: its arguments, [`Local`] and [`Global`] storage, [`Handles`], results, and [`Command`]s;
//!   [`Secret`] for values that must not be shown.
//! * The graph: [`JobGraph`], built from a root job or by a [`GraphBuilder`]; [`GraphErrors`] contains all errors at once.
//! * Converging: [`Engine`] and the [`Report`] it returns; [`StopHandle`] stops it early.
//! * Output: [`Event`]s for an [`Observer`], such as [`Console`] and [`JsonLines`]; pictures by [`JobGraph::to_dot`],
//!   [`Report::to_dot`] and [`write_picture`].
//! * Text: [`units`] parses durations and sizes, for the arguments of jobs and programs.
//! * Time: [`Clock`], so that tests with retries take no time; [`Engine::simulate`] for tests with many workers.
//!
//! # Guarantees
//!
//! A passing check is the only proof of success; a job is never run before its check has failed, nor started before all
//! of its dependencies have converged; a dry run only calls checks; and with one worker the order is deterministic. [`Job`]
//! and [`Engine`] describe what happens when something goes wrong: a panic, a signal, a check that could not find out.
//!
//! # Features
//!
//! * `cli` (default): the command line of a provisioning binary, with `clap`.
//! * `board`: postings that whichever conductor can runs to their end, `dojob::board` and `dojob::flow`.
//! * `playbook`: playbooks, HOCON files of tasks; `dojob::playbook`.
//! * `png`: pictures as PNG without Graphviz, with `resvg`.
//!
//! Unix only, because commands run in process groups.

#[cfg(not(unix))]
compile_error!("dojob requires Unix: its commands run in process groups");

/// The Rust code in the README and in `docs/` compiles, and runs unless it says otherwise.
#[cfg(all(doctest, feature = "cli", feature = "playbook"))]
mod pages {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/how-do-i.md")]
    mod how_do_i {}
    #[doc = include_str!("../docs/jobs-in-rust.md")]
    mod jobs_in_rust {}
}

#[cfg(feature = "board")]
pub mod board;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
#[cfg(feature = "board")]
pub mod conductor;
mod context;
#[cfg(feature = "playbook")]
mod diagnostic;
mod digest;
mod engine;
mod event;
#[cfg(feature = "board")]
pub mod flow;
mod graph;
mod host;
mod job;
mod panics;
#[cfg(feature = "playbook")]
pub mod playbook;
mod report;
mod secret;
mod suggest;
pub mod testing;
pub mod units;
mod view;

pub use crate::clock::{Clock, SystemClock, VirtualClock, Wake};
pub use crate::context::args::ArgError;
pub use crate::context::attempt::AttemptError;
pub use crate::context::command::{Command, CommandError, CommandOutput, FailedCommand};
pub use crate::context::output::Captured;
pub use crate::context::result_text::ResultText;
pub use crate::context::storage::{Global, Handles, Local, StorageError};
pub use crate::context::time::Stopped;
pub use crate::context::values::ValueError;
pub use crate::context::{Context, ResultError};
pub use crate::digest::Digest;
pub use crate::engine::plan::{Plan, PlannedJob};
pub use crate::engine::plan_mismatch::{
    Drift, DriftKind, GraphChange, PLAN_VERSION, PlanMismatch, UnplannableError,
};
pub use crate::engine::{Engine, StopHandle};
pub use crate::event::{Counts, Event, Failure, FailureKind, Observer, Outcome, Phase, Stream};
pub use crate::graph::builder::{FromClosures, FromType, GraphBuilder, NodeBuilder};
pub use crate::graph::error::{GraphError, GraphErrors};
pub use crate::graph::{JobGraph, Node};
pub use crate::host::file_log::{Journal, JournalError};
pub use crate::host::lock::Holder;
pub use crate::job::condition::SkipDepth;
pub use crate::job::group::Group;
pub use crate::job::policy::{Attempts, AttemptsError, OnFailure};
pub use crate::job::reason::{CouldNotFindOut, NotAsWanted, OrCouldNotFindOut, Permanent};
pub use crate::job::retry::{Retry, RetryError};
pub use crate::job::{AnyJob, Deps, DummyJob, IntoJob, Job, JobKind, RunOnlyJob, marker};
pub use crate::report::{
    CleanupReport, GroupReport, JobReport, PendingCleanup, REPORT_VERSION, Refusal, Report, RevertEnding,
    RevertReport,
};
pub use crate::secret::{MASK, Secret};
pub use crate::view::console::{Color, Console};
pub use crate::view::json::{EVENT_VERSION, JsonLines};
#[cfg(feature = "cli")]
pub use crate::view::log::{LOG_VARIABLE, init_log};
pub use crate::view::picture::{Picture, PictureError, write_picture};
pub use anyhow::Result;
pub use jiff::Timestamp;
