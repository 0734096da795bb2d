//! Which job is in which group, and which group in which.
//!
//! Groups are numbered so that one comes before those in it. Most graphs have none.

use std::sync::Arc;

use crate::job::policy::GroupSpec;

/// A number that no group has.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// One group of a graph.
#[derive(Clone, Debug)]
pub(crate) struct GroupNode {
    pub(crate) name: Arc<str>,
    pub(crate) spec: Arc<GroupSpec>,
    /// The group around it.
    pub(crate) parent: Option<u32>,
    /// The dummy job that comes after all of its jobs; absent where only a part of the group was chosen.
    pub(crate) end: Option<u32>,
    /// The jobs that are in it and in no group within it, ascending; its end is one of them.
    pub(crate) jobs: Vec<u32>,
    /// The groups directly in it.
    pub(crate) inner: Vec<u32>,
}

/// The groups of a graph.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    nodes: Vec<GroupNode>,
    /// The innermost group of each job; empty where there are no groups.
    of: Vec<u32>,
}

impl Groups {
    /// From the groups, outer ones first, with their parents, ends and specs filled in, and the innermost group of each job.
    pub(crate) fn new(mut nodes: Vec<GroupNode>, of: Vec<u32>) -> Groups {
        if nodes.is_empty() {
            return Groups::default();
        }
        for node in &mut nodes {
            node.jobs.clear();
            node.inner.clear();
        }
        for (job, group) in of.iter().enumerate().filter(|(_, group)| **group != NO_GROUP) {
            nodes[*group as usize].jobs.push(job as u32);
        }
        for group in 0..nodes.len() {
            if let Some(parent) = nodes[group].parent {
                nodes[parent as usize].inner.push(group as u32);
            }
        }
        Groups { nodes, of }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, group: u32) -> &GroupNode {
        &self.nodes[group as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &GroupNode)> {
        self.nodes.iter().enumerate().map(|(group, node)| (group as u32, node))
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.nodes.iter().position(|node| &*node.name == name).map(|group| group as u32)
    }

    /// The innermost group of a job.
    pub(crate) fn of(&self, job: u32) -> Option<u32> {
        self.of.get(job as usize).copied().filter(|group| *group != NO_GROUP)
    }

    /// This group and those around it, the innermost first.
    pub(crate) fn outwards(&self, group: Option<u32>) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(group, |group| self.node(*group).parent)
    }

    /// The groups around a job, the innermost first.
    pub(crate) fn around(&self, job: u32) -> impl Iterator<Item = u32> + '_ {
        self.outwards(self.of(job))
    }

    /// Whether a job is in a group, directly or in one within it.
    pub(crate) fn has(&self, group: u32, job: u32) -> bool {
        self.around(job).any(|around| around == group)
    }

    /// A group and all those in it, outer ones first.
    pub(crate) fn inwards(&self, group: u32) -> Vec<u32> {
        let mut all = vec![group];
        let mut at = 0;
        while at < all.len() {
            all.extend(&self.node(all[at]).inner);
            at += 1;
        }
        all
    }

    /// The jobs of a group and of those in it, ascending.
    pub(crate) fn jobs(&self, group: u32) -> Vec<u32> {
        let mut jobs: Vec<u32> =
            self.inwards(group).into_iter().flat_map(|group| self.node(group).jobs.iter().copied()).collect();
        jobs.sort_unstable();
        jobs
    }

    /// The names of the groups around a job whose runs may have to be reverted, the outermost first.
    pub(crate) fn reverting(&self, job: u32) -> Vec<String> {
        let reverting = self.around(job).filter(|group| self.node(*group).spec.may_revert());
        let mut names: Vec<String> = reverting.map(|group| self.node(group).name.to_string()).collect();
        names.reverse();
        names
    }

    /// Whether a run of this job may have to be reverted for one of its groups.
    pub(crate) fn may_revert(&self, job: u32) -> bool {
        self.around(job).any(|group| self.node(group).spec.may_revert())
    }

    /// Whether a group may ask for everything to be reverted.
    pub(crate) fn may_revert_all(&self) -> bool {
        self.nodes.iter().any(|node| node.spec.reverts_all())
    }

    /// The same groups over jobs with other numbers; those whose number is none of the `jobs` are gone, and so are groups without jobs.
    pub(crate) fn renumbered(&self, position: &[u32], jobs: usize) -> Groups {
        if self.is_empty() {
            return Groups::default();
        }
        let place = |job: u32| Some(position[job as usize]).filter(|place| (*place as usize) < jobs);
        let mut is_kept = vec![false; self.nodes.len()];
        for job in (0..self.of.len() as u32).filter(|job| place(*job).is_some()) {
            self.around(job).for_each(|group| is_kept[group as usize] = true);
        }
        let mut number = vec![NO_GROUP; self.nodes.len()];
        let kept = (0..self.nodes.len()).filter(|group| is_kept[*group]);
        kept.clone().zip(0..).for_each(|(group, next)| number[group] = next);
        let nodes = kept.map(|group| {
            let node = &self.nodes[group];
            let parent = node.parent.map(|parent| number[parent as usize]);
            GroupNode { parent, end: node.end.and_then(place), ..node.clone() }
        });
        let mut of = vec![NO_GROUP; jobs];
        for (job, group) in self.of.iter().enumerate().filter(|(_, group)| **group != NO_GROUP) {
            if let Some(place) = place(job as u32) {
                of[place as usize] = number[*group as usize];
            }
        }
        Groups::new(nodes.collect(), of)
    }
}
