//! On which layer each box stands: a wire always leads to a later layer, and wires are short.

use std::collections::BTreeMap;

use super::budget::budget;
use super::part::Part;
use super::simplex::{self, Constraint};

/// How many layers a box may be moved by to make them equally broad. Bounds the work, no more.
const REACH: u32 = 64;
/// A layer is never too broad up to this.
const BROAD: i64 = 1600;
/// A box with so many wires on one side is a hub.
const HUB: usize = 12;
/// How many times too broad a layer has to be before crossing wires are the lesser evil.
const CROSSING: i64 = 4;

/// The layer of each node, from 0, without an empty one.
pub(super) fn layers(part: &Part) -> Vec<u32> {
    let mut at = longest_paths(part);
    let constraints: Vec<Constraint> = part
        .edges
        .iter()
        .map(|(from, to)| Constraint { low: *from, high: *to, distance: 1, weight: 1 })
        .collect();
    simplex::shorten(&mut at, &constraints, false, budget(part.len() + part.edges.len()));
    let first = at.iter().copied().min().unwrap_or(0);
    at.iter().map(|at| (at - first) as u32).collect()
}

/// Every node as early as it can be.
fn longest_paths(part: &Part) -> Vec<i64> {
    let mut at = vec![0; part.len()];
    // All edges lead to lower numbers.
    for node in (0..part.len() as u32).rev() {
        for to in part.targets(node) {
            at[to as usize] = at[to as usize].max(at[node as usize] + 1);
        }
    }
    at
}

/// Moves boxes whose wires would be no longer elsewhere to the layer on which there is most room.
pub(super) fn even_out(part: &Part, layers: &mut [u32]) {
    let count = layers.iter().max().map_or(0, |last| *last as usize + 1);
    let mut breadth = vec![0; count];
    for (node, layer) in layers.iter().enumerate() {
        breadth[*layer as usize] += part.breadth(node as u32);
    }
    for node in 0..part.len() as u32 {
        let (above, below) = (part.sources(node), part.targets(node));
        if above.len() != below.len() {
            continue;
        }
        let (Some(first), Some(last)) = (
            above.map(|source| layers[source as usize] + 1).max(),
            below.map(|target| layers[target as usize] - 1).min(),
        ) else {
            continue;
        };
        let own = layers[node as usize];
        let near = first.max(own.saturating_sub(REACH))..=last.min(own + REACH);
        let size = part.breadth(node);
        let Some(best) =
            near.min_by_key(|layer| breadth[*layer as usize] - if *layer == own { size } else { 0 })
        else {
            continue;
        };
        breadth[own as usize] -= size;
        breadth[best as usize] += size;
        layers[node as usize] = best;
    }
}

/// Leads boxes off from layers that are far too broad: leaves of a hub to later layers, and dependents of a hub that
/// nothing needs to earlier ones. Boxes between two hubs get new layers, but only where there are very many, as their
/// wires cross each other there.
///
/// The wires of a hub go together, so that such boxes may be anywhere. Returns which boxes were led off.
pub(super) fn fold(part: &Part, layers: &mut [u32]) -> Vec<bool> {
    let mut folder = Folder::new(part, layers);
    let mut to = i64::MIN;
    for (layer, nodes) in folder.free_nodes(false, true) {
        to = folder.lead_off(layer, &nodes, to.max(layer), 1);
    }
    let mut to = i64::MAX;
    for (layer, nodes) in folder.free_nodes(true, false).into_iter().rev() {
        to = folder.lead_off(layer, &nodes, to.min(layer), -1);
    }
    folder.open(folder.free_nodes(false, false));
    let first = folder.at.iter().copied().min().unwrap_or(0);
    layers.iter_mut().zip(folder.at).for_each(|(layer, at)| *layer = (at - first) as u32);
    folder.led_off
}

struct Folder<'p> {
    part: &'p Part,
    /// The layer of each node; those led off upwards come before 0.
    at: Vec<i64>,
    /// How broad the boxes of each layer are.
    breadth: BTreeMap<i64, i64>,
    limit: i64,
    led_off: Vec<bool>,
}

impl<'p> Folder<'p> {
    fn new(part: &'p Part, layers: &[u32]) -> Self {
        let at: Vec<i64> = layers.iter().map(|layer| i64::from(*layer)).collect();
        let led_off = vec![false; part.len()];
        let mut folder = Folder { part, at, breadth: BTreeMap::new(), limit: 0, led_off };
        let mut area = 0;
        for node in 0..part.len() as u32 {
            let size = folder.size(node);
            *folder.breadth.entry(folder.at[node as usize]).or_default() += size;
            area += size * (part.sizes[node as usize].height + part.gaps.layers);
        }
        folder.limit = (area.isqrt() * 5 / 4).max(BROAD);
        folder
    }

    fn size(&self, node: u32) -> i64 {
        self.part.breadth(node) + self.part.gaps.boxes
    }

    /// By layer, the nodes with or without wires that arrive and leave, all of them from or to hubs.
    fn free_nodes(&self, is_start: bool, is_leaf: bool) -> BTreeMap<i64, Vec<u32>> {
        let mut free: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for node in 0..self.part.len() as u32 {
            let (mut above, mut below) = (self.part.sources(node), self.part.targets(node));
            if (above.len() == 0, below.len() == 0) == (is_start, is_leaf)
                && above.all(|source| self.part.targets(source).len() >= HUB)
                && below.all(|target| self.part.sources(target).len() >= HUB)
            {
                free.entry(self.at[node as usize]).or_default().push(node);
            }
        }
        free
    }

    /// Moves the nodes for which there is no room on their layer to the next ones on which there is. Those up to `to`
    /// are known to be full; returns up to where they are then.
    fn lead_off(&mut self, layer: i64, nodes: &[u32], mut to: i64, step: i64) -> i64 {
        let free: i64 = nodes.iter().map(|node| self.size(*node)).sum();
        let mut kept = self.on(layer) - free;
        for &node in nodes {
            let size = self.size(node);
            if kept + size <= self.limit || kept == 0 {
                kept += size;
                continue;
            }
            while to == layer || self.on(to) > 0 && self.on(to) + size > self.limit {
                to += step;
            }
            *self.breadth.entry(layer).or_default() -= size;
            *self.breadth.entry(to).or_default() += size;
            self.at[node as usize] = to;
            self.led_off[node as usize] = true;
        }
        to
    }

    fn on(&self, layer: i64) -> i64 {
        self.breadth.get(&layer).copied().unwrap_or(0)
    }

    /// Makes new layers behind those that are by far too broad, and spreads these nodes over them.
    fn open(&mut self, nodes: BTreeMap<i64, Vec<u32>>) {
        let mut wider: BTreeMap<i64, i64> = BTreeMap::new();
        let mut deeper = vec![0; self.at.len()];
        for (layer, nodes) in nodes {
            let breadth: i64 = nodes.iter().map(|node| self.size(*node)).sum();
            if breadth <= CROSSING * self.limit {
                continue;
            }
            let count = breadth / (2 * self.limit) + 1;
            wider.insert(layer, count - 1);
            for (place, node) in nodes.iter().enumerate() {
                deeper[*node as usize] = place as i64 * count / nodes.len() as i64;
                self.led_off[*node as usize] = true;
            }
        }
        let mut sum = 0;
        let shifts: Vec<(i64, i64)> = wider
            .into_iter()
            .map(|(layer, more)| {
                sum += more;
                (layer, sum)
            })
            .collect();
        for (at, deeper) in self.at.iter_mut().zip(deeper) {
            let before = shifts.partition_point(|(layer, _)| layer < at);
            *at += deeper + before.checked_sub(1).map_or(0, |last| shifts[last].1);
        }
    }
}
