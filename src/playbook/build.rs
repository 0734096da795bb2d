//! From tasks to the graph of their jobs.

mod edges;
mod element;
mod final_check;
mod graph;
mod groups;
mod input;
mod placeholders;
mod shared_targets;
mod task_jobs;
mod task_lint;

pub(super) use self::graph::build;
pub(super) use self::input::BuildInput;
pub(crate) use self::input::Ids;
