//! The network simplex method: places on a line, such that all that have to be apart are, and the weighted distances are
//! as short as can be.
//!
//! It goes from one valid arrangement to a better one, so that it may end at any time: a budget of steps bounds the work,
//! and what stands when it is used up is valid, if perhaps not the best.
//!
//! After Gansner, Koutsofios, North and Vo, "A technique for drawing directed graphs" (1993), with the sums of whole
//! subtrees in place of cut values, which are these sums but for the sign.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lists::Lists;

const NONE: u32 = u32::MAX;

/// `high` is at least `distance` behind `low`; how far they are apart costs `weight` a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constraint {
    pub(super) low: u32,
    pub(super) high: u32,
    pub(super) distance: i64,
    pub(super) weight: i64,
}

impl Constraint {
    fn slack(&self, at: &[i64]) -> i64 {
        at[self.high as usize] - at[self.low as usize] - self.distance
    }

    /// The end that is not `node`.
    fn other(&self, node: u32) -> u32 {
        if self.low == node { self.high } else { self.low }
    }
}

/// What an arrangement costs.
pub(super) fn cost(at: &[i64], constraints: &[Constraint]) -> i64 {
    constraints.iter().map(|c| c.weight * (at[c.high as usize] - at[c.low as usize])).sum()
}

/// Improves `at`, which keeps all constraints and does so afterwards. With `balance`, what can move for nothing is put
/// into the middle of where it may be.
pub(super) fn shorten(at: &mut [i64], constraints: &[Constraint], balance: bool, budget: u64) {
    let mut tree = Tree::new(at, constraints);
    let mut scan = 0;
    while let Some(node) = tree.worst_from(&mut scan) {
        let (entering, slack) = tree.first_to_touch(node);
        tree.shift(node, slack);
        tree.exchange(node, entering);
        if tree.steps > budget {
            return;
        }
    }
    if balance {
        tree.balance(budget);
    }
}

/// Trees of tight constraints that hold together all numbers that constraints connect: whatever is cut off by taking away
/// one of them can move as a whole.
struct Tree<'c> {
    at: &'c mut [i64],
    constraints: &'c [Constraint],
    /// The constraints in which a number is the low one, and the high one.
    from: Lists,
    into: Lists,
    parent: Vec<u32>,
    /// The tight constraint to the parent.
    tie: Vec<u32>,
    children: Children,
    /// For the subtree of each number: the weights of constraints that lead into it, less those that lead out. A step
    /// of the whole subtree upwards costs that much.
    pull: Vec<i64>,
    /// The subtree looked at last: its numbers, and who is one of them.
    members: Vec<u32>,
    is_member: Vec<bool>,
    steps: u64,
}

impl<'c> Tree<'c> {
    fn new(at: &'c mut [i64], constraints: &'c [Constraint]) -> Self {
        let n = at.len();
        let from = Lists::group(n, constraints.iter().map(|c| c.low));
        let into = Lists::group(n, constraints.iter().map(|c| c.high));
        let ties = tighten(at, constraints, &from, &into);
        let mut tree = Tree {
            at,
            constraints,
            from,
            into,
            parent: vec![NONE; n],
            tie: vec![NONE; n],
            children: Children::new(n),
            pull: vec![0; n],
            members: Vec::new(),
            is_member: vec![false; n],
            steps: 0,
        };
        tree.hang(&ties);
        tree
    }

    /// Makes trees with roots of the tight constraints.
    fn hang(&mut self, ties: &[u32]) {
        let n = self.at.len();
        let lows = Lists::group(n, ties.iter().map(|tie| self.constraints[*tie as usize].low));
        let highs = Lists::group(n, ties.iter().map(|tie| self.constraints[*tie as usize].high));
        let mut order: Vec<u32> = Vec::with_capacity(n);
        for root in 0..n as u32 {
            if self.parent[root as usize] != NONE || !self.children.is_empty(root) {
                continue;
            }
            let mut next = order.len();
            order.push(root);
            while next < order.len() {
                let node = order[next];
                next += 1;
                for &entry in lows.of(node).iter().chain(highs.of(node)) {
                    let tie = ties[entry as usize];
                    let other = self.constraints[tie as usize].other(node);
                    if other != self.parent[node as usize] {
                        self.parent[other as usize] = node;
                        self.tie[other as usize] = tie;
                        self.children.add(node, other);
                        order.push(other);
                    }
                }
            }
        }
        for constraint in self.constraints {
            self.pull[constraint.high as usize] += constraint.weight;
            self.pull[constraint.low as usize] -= constraint.weight;
        }
        for &node in order.iter().rev() {
            let parent = self.parent[node as usize];
            if parent != NONE {
                self.pull[parent as usize] += self.pull[node as usize];
            }
        }
    }

    /// Whether the subtree of `node` may move upwards, away from its parent; else downwards.
    fn is_above_parent(&self, node: u32) -> bool {
        self.constraints[self.tie[node as usize] as usize].high == node
    }

    /// What a step of the subtree of `node` away from its parent costs; negative when it gains.
    fn price(&self, node: u32) -> i64 {
        if self.is_above_parent(node) { self.pull[node as usize] } else { -self.pull[node as usize] }
    }

    /// The subtree with most to gain among the next few, going round and round: this and not always the best one, as
    /// looking through all costs more than it brings, and a fixed start would favour low numbers.
    fn worst_from(&mut self, scan: &mut u32) -> Option<u32> {
        const ENOUGH: usize = 30;
        let n = self.at.len() as u32;
        let mut best: Option<(i64, u32)> = None;
        let mut found = 0;
        for _ in 0..n {
            let node = *scan;
            *scan = (*scan + 1) % n;
            self.steps += 1;
            if self.parent[node as usize] == NONE || self.price(node) >= 0 {
                continue;
            }
            let price = self.price(node);
            if best.is_none_or(|(least, _)| price < least) {
                best = Some((price, node));
            }
            found += 1;
            if found == ENOUGH {
                break;
            }
        }
        best.map(|(_, node)| node)
    }

    /// Finds the constraint that ends the way of the subtree of `node` away from its parent, and how far that way is.
    fn first_to_touch(&mut self, node: u32) -> (u32, i64) {
        self.members.iter().for_each(|member| self.is_member[*member as usize] = false);
        self.members.clear();
        self.members.push(node);
        self.is_member[node as usize] = true;
        let mut next = 0;
        while next < self.members.len() {
            let member = self.members[next];
            next += 1;
            for child in self.children.of(member) {
                self.is_member[child as usize] = true;
                self.members.push(child);
            }
        }
        let upwards = self.is_above_parent(node);
        let (mut touch, mut least) = (NONE, i64::MAX);
        for &member in &self.members {
            let list = if upwards { self.from.of(member) } else { self.into.of(member) };
            self.steps += list.len() as u64 + 1;
            for &index in list {
                let constraint = &self.constraints[index as usize];
                if !self.is_member[constraint.other(member) as usize] && constraint.slack(self.at) < least {
                    (touch, least) = (index, constraint.slack(self.at));
                }
            }
        }
        (touch, least)
    }

    /// Moves the subtree that [`first_to_touch`](Tree::first_to_touch) looked at.
    fn shift(&mut self, node: u32, by: i64) {
        let by = if self.is_above_parent(node) { by } else { -by };
        self.members.iter().for_each(|member| self.at[*member as usize] += by);
    }

    /// Hangs the subtree of `node`, looked at last, where the constraint `entering` ties it.
    fn exchange(&mut self, node: u32, entering: u32) {
        let constraint = self.constraints[entering as usize];
        let (inner, outer) = match self.is_member[constraint.low as usize] {
            true => (constraint.low, constraint.high),
            false => (constraint.high, constraint.low),
        };
        let pull = self.pull[node as usize];
        self.add_upwards(self.parent[node as usize], -pull);
        self.children.remove(self.parent[node as usize], node);

        // What was above `inner` within the subtree now hangs below it.
        let (mut below, mut tie, mut upper) = (outer, entering, inner);
        let mut pull_of_upper = pull;
        loop {
            let (old_parent, old_tie) = (self.parent[upper as usize], self.tie[upper as usize]);
            let old_pull = self.pull[upper as usize];
            self.parent[upper as usize] = below;
            self.tie[upper as usize] = tie;
            self.pull[upper as usize] = pull_of_upper;
            if upper != node {
                self.children.remove(old_parent, upper);
            }
            self.children.add(below, upper);
            self.steps += 1;
            if upper == node {
                break;
            }
            // The old parent loses what hung at `upper`, and gets all the rest of the subtree.
            pull_of_upper = pull - old_pull;
            (below, tie, upper) = (upper, old_tie, old_parent);
        }
        self.add_upwards(outer, pull);
    }

    fn add_upwards(&mut self, mut node: u32, pull: i64) {
        while node != NONE {
            self.pull[node as usize] += pull;
            self.steps += 1;
            node = self.parent[node as usize];
        }
    }

    /// Puts what can move for nothing into the middle of where it may be.
    fn balance(&mut self, budget: u64) {
        for node in 0..self.at.len() as u32 {
            if self.parent[node as usize] == NONE || self.pull[node as usize] != 0 {
                continue;
            }
            let (touch, slack) = self.first_to_touch(node);
            if touch != NONE && slack > 1 {
                self.shift(node, slack / 2);
            }
            if self.steps > budget {
                return;
            }
        }
    }
}

/// Children of nodes of a tree, that come and go.
struct Children {
    first: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Children {
    fn new(n: usize) -> Self {
        Children { first: vec![NONE; n], next: vec![NONE; n], previous: vec![NONE; n] }
    }

    fn of(&self, node: u32) -> impl Iterator<Item = u32> {
        let some = |node| (node != NONE).then_some(node);
        std::iter::successors(some(self.first[node as usize]), move |child| some(self.next[*child as usize]))
    }

    fn is_empty(&self, node: u32) -> bool {
        self.first[node as usize] == NONE
    }

    fn add(&mut self, parent: u32, child: u32) {
        let first = std::mem::replace(&mut self.first[parent as usize], child);
        self.next[child as usize] = first;
        self.previous[child as usize] = NONE;
        if first != NONE {
            self.previous[first as usize] = child;
        }
    }

    fn remove(&mut self, parent: u32, child: u32) {
        let (previous, next) = (self.previous[child as usize], self.next[child as usize]);
        match previous {
            NONE => self.first[parent as usize] = next,
            previous => self.next[previous as usize] = next,
        }
        if next != NONE {
            self.previous[next as usize] = previous;
        }
    }
}

/// Moves numbers until tight constraints hold together all that are connected, and returns those constraints, which make
/// trees.
///
/// The smallest of the trees so far is always the one that is moved up to another; a number's tree then doubles at
/// least each time that the number is touched, so that this takes n log n steps.
fn tighten(at: &mut [i64], constraints: &[Constraint], from: &Lists, into: &Lists) -> Vec<u32> {
    let mut forest = Forest::new(at.len());
    let mut ties = Vec::with_capacity(at.len());
    for (index, constraint) in constraints.iter().enumerate() {
        if constraint.slack(at) == 0 && forest.join(constraint.low, constraint.high) {
            ties.push(index as u32);
        }
    }
    let mut heap: BinaryHeap<_> = (0..at.len() as u32)
        .filter(|node| forest.root[*node as usize] == *node)
        .map(|root| Reverse((forest.size[root as usize], root)))
        .collect();
    while let Some(Reverse((size, root))) = heap.pop() {
        if forest.root(root) != root || forest.size[root as usize] != size {
            continue;
        }
        let Some(index) = nearest(root, &mut forest, at, constraints, [from, into]) else { continue };
        let constraint = constraints[index as usize];
        let slack = constraint.slack(at);
        let by = if forest.root(constraint.low) == root { slack } else { -slack };
        forest.each(root, |node| at[node as usize] += by);
        forest.join(constraint.low, constraint.high);
        ties.push(index);
        let root = forest.root(constraint.low);
        heap.push(Reverse((forest.size[root as usize], root)));
    }
    ties
}

/// The constraint between the tree of `root` and another one that is nearest to being tight.
fn nearest(
    root: u32,
    forest: &mut Forest,
    at: &[i64],
    constraints: &[Constraint],
    lists: [&Lists; 2],
) -> Option<u32> {
    let mut least: Option<(i64, u32)> = None;
    let mut node = root;
    loop {
        for &index in lists.into_iter().flat_map(|list| list.of(node)) {
            let constraint = &constraints[index as usize];
            let slack = constraint.slack(at);
            if least.is_none_or(|(least, _)| slack < least) && forest.root(constraint.other(node)) != root {
                least = Some((slack, index));
            }
        }
        node = forest.next[node as usize];
        if node == root {
            return least.map(|(_, index)| index);
        }
    }
}

/// Sets that join, each a ring of its members.
struct Forest {
    root: Vec<u32>,
    next: Vec<u32>,
    size: Vec<u32>,
}

impl Forest {
    fn new(n: usize) -> Self {
        Forest { root: (0..n as u32).collect(), next: (0..n as u32).collect(), size: vec![1; n] }
    }

    fn root(&mut self, mut node: u32) -> u32 {
        while self.root[node as usize] != node {
            let above = self.root[node as usize];
            self.root[node as usize] = self.root[above as usize];
            node = above;
        }
        node
    }

    fn join(&mut self, one: u32, other: u32) -> bool {
        let (one, other) = (self.root(one), self.root(other));
        if one == other {
            return false;
        }
        let (small, large) = match self.size[one as usize] <= self.size[other as usize] {
            true => (one, other),
            false => (other, one),
        };
        self.root[small as usize] = large;
        self.size[large as usize] += self.size[small as usize];
        self.next.swap(small as usize, large as usize);
        true
    }

    fn each(&self, member: u32, mut act: impl FnMut(u32)) {
        let mut node = member;
        loop {
            act(node);
            node = self.next[node as usize];
            if node == member {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The best cost, by trying all places in `0..reach`.
    fn best(n: usize, constraints: &[Constraint], reach: i64) -> i64 {
        let mut best = i64::MAX;
        let mut at = vec![0; n];
        loop {
            if constraints.iter().all(|c| c.slack(&at) >= 0) {
                best = best.min(cost(&at, constraints));
            }
            let Some(digit) = at.iter().position(|place| *place + 1 < reach) else { return best };
            at[..digit].fill(0);
            at[digit] += 1;
        }
    }

    prop_compose! {
        /// Constraints from lower to higher numbers, all connected.
        fn constraints(n: u32)(
            spine in prop::collection::vec((0..1000_u32, 0..3_i64, 0..4_i64), n as usize - 1),
            more in prop::collection::vec((0..n, 0..n, 0..3_i64, 0..4_i64), 0..6),
        ) -> Vec<Constraint> {
            let spine = spine.into_iter().enumerate().map(|(at, (low, distance, weight))| {
                Constraint { low: low % (at as u32 + 1), high: at as u32 + 1, distance, weight }
            });
            let more = more.into_iter().filter(|(low, high, ..)| low < high);
            spine.chain(more.map(|(low, high, distance, weight)| Constraint { low, high, distance, weight })).collect()
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_costs_least(constraints in constraints(5)) {
            let mut at: Vec<i64> = (0..5).map(|node| node * 3).collect();
            shorten(&mut at, &constraints, true, u64::MAX);
            prop_assert!(constraints.iter().all(|c| c.slack(&at) >= 0), "{at:?}");
            prop_assert_eq!(cost(&at, &constraints), best(5, &constraints, 9));
        }

        #[test]
        fn it_may_end_at_any_time(constraints in constraints(40), budget in 1..2000_u64) {
            let mut at: Vec<i64> = (0..40).map(|node| node * 3).collect();
            shorten(&mut at, &constraints, true, budget);
            prop_assert!(constraints.iter().all(|c| c.slack(&at) >= 0), "{at:?}");
        }
    }
}
