//! The graph of jobs: names, edges, order.
//!
//! Knows jobs and what they depend on; not how they are tried.

pub(crate) mod adjacency;
mod annotations;
pub(crate) mod assembly;
pub(crate) mod builder;
mod digest;
pub(crate) mod error;
mod grouping;
pub(crate) mod groups;
pub(crate) mod job_graph;
mod names;
mod values;

pub(crate) use self::job_graph::SharedGraph;
pub use self::job_graph::{JobGraph, Node};
