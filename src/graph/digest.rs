//! The digest of a graph: to see whether it is still the one that something was said about.
//!
//! What counts is what a graph says: names, types, arguments where they are known (those of a playbook's tasks), edges in
//! their order, groups with their policies, values by name and limits. How often a job is tried does not; of a condition
//! only its depth can be known.

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
        // Nothing is added for a job of which nothing is said, so that its digest does not depend on what could be.
        for (group, spec) in self.groups_around() {
            hasher.add(b"group");
            hasher.add(group.as_bytes());
            hasher.add(format!("{spec:?}").as_bytes());
        }
        if let Some(about) = self.about() {
            let depth = about.condition.as_ref().map(|condition| condition.depth);
            hasher.add(
                format!("{depth:?} {:?} {:?} {:?}", about.requires, about.provides, about.uses).as_bytes(),
            );
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deps;
    use crate::job::IntoJob;
    use crate::job::group::Group;
    use crate::job::policy::Attempts;

    fn digest(group: Group) -> Digest {
        JobGraph::new(group).map(|graph| graph.digest()).expect("the graph is right")
    }

    fn group() -> Group {
        Group::new("all").jobs(deps![Inside.named("inside")])
    }

    #[derive(Clone, PartialEq)]
    struct Inside;

    impl crate::RunOnlyJob for Inside {
        fn run(&mut self, _: &mut crate::Context) -> crate::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn policies_and_limits_count() {
        let plain = digest(group());
        assert_eq!(plain, digest(group()));
        assert_ne!(plain, digest(group().attempts(Attempts::times(2))));
        assert_ne!(plain, digest(Group::new("other").jobs(deps![Inside.named("inside")])));
    }
}
