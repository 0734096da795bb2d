//! The graph of jobs: names, edges, order.
//!
//! Knows jobs and what they depend on; not how they are tried.

pub(crate) mod adjacency;
pub(crate) mod assembly;
pub(crate) mod builder;
mod digest;
pub(crate) mod error;
pub(crate) mod job_graph;
mod names;

pub(crate) use self::job_graph::SharedGraph;
pub use self::job_graph::{JobGraph, Node};
