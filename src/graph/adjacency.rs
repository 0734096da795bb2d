//! Edges in two flat lists: where each node's neighbours begin, and the neighbours themselves.
//!
//! Implements petgraph's visitor traits, so that its algorithms work on the lists as they are.

use std::collections::HashMap;

use fixedbitset::FixedBitSet;
use petgraph::visit::{
    GraphBase, GraphRef, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers, NodeCount, NodeIndexable,
    Visitable,
};

/// The outgoing edges of nodes `0..len()`.
#[derive(Clone, Debug)]
pub(crate) struct Adjacency {
    /// One more than there are nodes.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Default for Adjacency {
    fn default() -> Self {
        Adjacency { starts: vec![0], targets: Vec::new() }
    }
}

impl Adjacency {
    pub(crate) fn with_capacity(nodes: usize, edges: usize) -> Self {
        let mut starts = Vec::with_capacity(nodes + 1);
        starts.push(0);
        Adjacency { starts, targets: Vec::with_capacity(edges) }
    }

    /// Adds an edge from the node that the next [`close`](Adjacency::close) ends.
    pub(crate) fn push(&mut self, target: u32) {
        self.targets.push(target);
    }

    /// Ends a node.
    pub(crate) fn close(&mut self) {
        self.starts.push(self.targets.len() as u32);
    }

    /// How many nodes were closed.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn edges(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn targets_mut(&mut self) -> &mut Vec<u32> {
        &mut self.targets
    }

    #[inline]
    pub(crate) fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The same edges the other way round; the neighbours of a node come in ascending order.
    pub(crate) fn reversed(&self) -> Adjacency {
        let nodes = self.len();
        let mut starts = vec![0_u32; nodes + 1];
        for target in &self.targets {
            starts[*target as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; self.targets.len()];
        for node in 0..nodes as u32 {
            for target in self.of(node) {
                let slot = &mut next[*target as usize];
                targets[*slot as usize] = node;
                *slot += 1;
            }
        }
        Adjacency { starts, targets }
    }

    /// The same edges, node number n being that which was `order[n]` in truth.
    pub(crate) fn in_place_of(&self, order: &[u32]) -> Adjacency {
        let mut closed_as = vec![0_u32; order.len()];
        order.iter().enumerate().for_each(|(at, node)| closed_as[*node as usize] = at as u32);
        let mut sorted = Adjacency::with_capacity(order.len(), self.edges());
        for at in closed_as {
            sorted.targets.extend_from_slice(self.of(at));
            sorted.close();
        }
        sorted
    }

    /// With more edges, behind those of their nodes.
    pub(crate) fn with(&self, more: &[(u32, u32)]) -> Adjacency {
        let mut targets: HashMap<u32, Vec<u32>> = HashMap::new();
        more.iter().for_each(|(from, to)| targets.entry(*from).or_default().push(*to));
        let mut all = Adjacency::with_capacity(self.len(), self.edges() + more.len());
        for node in 0..self.len() as u32 {
            all.targets.extend_from_slice(self.of(node));
            all.targets.extend(targets.get(&node).into_iter().flatten());
            all.close();
        }
        all
    }

    /// Drops edges that come twice; what comes first stays.
    pub(crate) fn deduplicate(&mut self) {
        let mut seen_from = vec![u32::MAX; self.len()];
        self.retain(|node, target| std::mem::replace(&mut seen_from[target as usize], node) != node);
    }

    /// Drops the edges that `keep` does not want; it is asked in order.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(u32, u32) -> bool) {
        let mut kept = 0;
        let mut start = 0;
        for node in 0..self.len() {
            let end = self.starts[node + 1] as usize;
            for edge in start..end {
                let target = self.targets[edge];
                if keep(node as u32, target) {
                    self.targets[kept] = target;
                    kept += 1;
                }
            }
            start = end;
            self.starts[node + 1] = kept as u32;
        }
        self.targets.truncate(kept);
    }
}

impl GraphBase for Adjacency {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl Visitable for Adjacency {
    type Map = FixedBitSet;

    fn visit_map(&self) -> FixedBitSet {
        FixedBitSet::with_capacity(self.len())
    }

    fn reset_map(&self, map: &mut FixedBitSet) {
        map.clear();
        map.grow(self.len());
    }
}

impl<'a> IntoNeighbors for &'a Adjacency {
    /// The last one first: petgraph's walks go on with the neighbour they were given last.
    type Neighbors = std::iter::Rev<std::iter::Copied<std::slice::Iter<'a, u32>>>;

    fn neighbors(self, node: u32) -> Self::Neighbors {
        self.of(node).iter().copied().rev()
    }
}

impl NodeCount for Adjacency {
    fn node_count(&self) -> usize {
        self.len()
    }
}

impl NodeIndexable for Adjacency {
    fn node_bound(&self) -> usize {
        self.len()
    }

    fn to_index(&self, node: u32) -> usize {
        node as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        index as u32
    }
}

impl IntoNodeIdentifiers for &Adjacency {
    type NodeIdentifiers = std::ops::Range<u32>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        0..self.len() as u32
    }
}

/// Both directions of the same edges, for the algorithms that need them.
#[derive(Clone, Copy)]
pub(crate) struct BothWays<'a> {
    pub(crate) forward: &'a Adjacency,
    pub(crate) backward: &'a Adjacency,
}

impl GraphBase for BothWays<'_> {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl GraphRef for BothWays<'_> {}

impl Visitable for BothWays<'_> {
    type Map = FixedBitSet;

    fn visit_map(&self) -> FixedBitSet {
        self.forward.visit_map()
    }

    fn reset_map(&self, map: &mut FixedBitSet) {
        self.forward.reset_map(map);
    }
}

impl<'a> IntoNeighbors for BothWays<'a> {
    type Neighbors = <&'a Adjacency as IntoNeighbors>::Neighbors;

    fn neighbors(self, node: u32) -> Self::Neighbors {
        self.forward.neighbors(node)
    }
}

impl<'a> IntoNeighborsDirected for BothWays<'a> {
    type NeighborsDirected = <&'a Adjacency as IntoNeighbors>::Neighbors;

    fn neighbors_directed(self, node: u32, direction: petgraph::Direction) -> Self::NeighborsDirected {
        match direction {
            petgraph::Direction::Outgoing => self.forward.neighbors(node),
            petgraph::Direction::Incoming => self.backward.neighbors(node),
        }
    }
}

impl IntoNodeIdentifiers for BothWays<'_> {
    type NodeIdentifiers = std::ops::Range<u32>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        self.forward.node_identifiers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adjacency(lists: &[&[u32]]) -> Adjacency {
        let mut adjacency = Adjacency::default();
        for list in lists {
            list.iter().for_each(|target| adjacency.push(*target));
            adjacency.close();
        }
        adjacency
    }

    #[test]
    fn edges_that_come_twice_are_dropped() {
        let mut edges = adjacency(&[&[1, 2, 1], &[2, 2], &[]]);
        edges.deduplicate();
        assert_eq!(
            (edges.of(0), edges.of(1), edges.of(2)),
            ([1, 2].as_slice(), [2].as_slice(), [].as_slice())
        );
    }

    #[test]
    fn reversing_turns_every_edge() {
        let edges = adjacency(&[&[2, 1], &[2], &[]]).reversed();
        assert_eq!(
            (edges.of(0), edges.of(1), edges.of(2)),
            ([].as_slice(), [0].as_slice(), [0, 1].as_slice())
        );
    }
}
