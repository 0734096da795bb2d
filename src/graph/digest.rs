//! The digest of a graph: to see whether it is still the one that something was said about.
//!
//! What counts is what a graph says: names, types, arguments where they are known (those of a playbook's tasks), and
//! edges in their order. How often a job is tried does not.

use super::job_graph::{JobGraph, Node};
use crate::digest::{Digest, Hasher};

impl JobGraph {
    /// The digest of all jobs in the order of the graph. It is the same in every process that builds the same graph of the
    /// same types.
    ///
    /// ```
    /// # use dojob::JobGraph;
    /// let graph = |second: &'static str| {
    ///     let mut graph = JobGraph::builder();
    ///     graph.dummy("first");
    ///     graph.dummy(second).after(["first"]);
    ///     graph.build()
    /// };
    /// assert_eq!(graph("second")?.digest(), graph("second")?.digest());
    /// assert_ne!(graph("second")?.digest(), graph("other")?.digest());
    /// # Ok::<(), dojob::GraphErrors>(())
    /// ```
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        self.iter().for_each(|node| hasher.add(node.digest().bytes()));
        hasher.finish()
    }
}

impl Node<'_> {
    /// The digest of this job: its name, its type, its arguments where they are known, and the names of the jobs that it
    /// depends on, in order.
    pub fn digest(self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.add(self.name().as_bytes());
        hasher.add(self.type_name().as_bytes());
        hasher.add(self.arguments().as_ref().map_or(&[], Digest::bytes));
        self.dependencies().for_each(|dependency| hasher.add(dependency.name().as_bytes()));
        hasher.finish()
    }
}
