//! Where wires touch boxes: spread over a side, each towards where its wire goes.

use super::layered::Layered;
use super::part::Part;

/// How far apart wires begin and end at a box, where there is room.
const APART: i64 = 8;

/// The place of each hop's upper and lower end; at a point that a wire passes, the point's.
pub(super) struct Ports {
    pub(super) upper: Vec<i64>,
    pub(super) lower: Vec<i64>,
}

impl Ports {
    pub(super) fn new(part: &Part, graph: &Layered, at: &[i64]) -> Self {
        let mut upper: Vec<i64> = graph.hops.iter().map(|hop| at[hop.upper as usize]).collect();
        let mut lower: Vec<i64> = graph.hops.iter().map(|hop| at[hop.lower as usize]).collect();
        let spreader = Spreader { part, graph, at };
        for node in 0..part.len() as u32 {
            spreader.spread(node, graph.down.of(node), |hop| graph.hops[hop as usize].lower, &mut upper);
            spreader.spread(node, graph.up.of(node), |hop| graph.hops[hop as usize].upper, &mut lower);
        }
        let mut ports = Ports { upper, lower };
        ports.straighten(graph);
        ports
    }

    /// Takes steps out of wires that are all but straight.
    fn straighten(&mut self, graph: &Layered) {
        const STEP: i64 = 4;
        // Where wires stand closer they might change places.
        let has_room = |hops: &[u32]| hops.len() <= 6;
        for (hop, (upper, lower)) in graph.hops.iter().zip(self.upper.iter_mut().zip(&mut self.lower)) {
            if (*upper - *lower).abs() > STEP {
                continue;
            }
            if graph.items[hop.lower as usize].node.is_some() {
                if has_room(graph.up.of(hop.lower)) {
                    *lower = *upper;
                }
            } else if graph.items[hop.upper as usize].node.is_some() && has_room(graph.down.of(hop.upper)) {
                *upper = *lower;
            }
        }
    }
}

struct Spreader<'s> {
    part: &'s Part,
    graph: &'s Layered,
    at: &'s [i64],
}

impl Spreader<'_> {
    /// Half of the side of a box on which wires may begin and end.
    fn room(&self, node: u32) -> i64 {
        let size = self.part.sizes[node as usize];
        (size.width / 2 - size.corner - 2).max(size.width / 8)
    }

    /// Spreads the ends of hops at one side of a box; `other` tells what is at their other end.
    fn spread(&self, node: u32, hops: &[u32], other: impl Fn(u32) -> u32, ports: &mut [i64]) {
        let mut wanted: Vec<(i64, u32)> =
            hops.iter().map(|hop| (self.wanted(node, other(*hop), hops.len() == 1), *hop)).collect();
        wanted.sort_by_key(|(wanted, hop)| (*wanted, self.at[other(*hop) as usize]));
        let room = self.room(node);
        let apart = APART.min(2 * room / (wanted.len() as i64 - 1).max(1));
        let offsets = keep_apart(wanted.iter().map(|(wanted, _)| *wanted), apart, room);
        for ((_, hop), offset) in wanted.iter().zip(offsets) {
            ports[*hop as usize] = self.at[node as usize] + offset;
        }
    }

    /// How far from the middle of a box the wire to another item had best begin, alone on that side or not.
    fn wanted(&self, node: u32, far: u32, is_alone: bool) -> i64 {
        let room = self.room(node);
        let sideways = self.at[far as usize] - self.at[node as usize];
        let wanted = match self.graph.items[far as usize].node {
            // Straight, where that costs little.
            None if sideways.abs() <= room => sideways,
            Some(far) if sideways.abs() <= 2 * room.min(self.room(far)).min(10) => sideways / 2,
            _ if is_alone => 0,
            _ => sideways * 3 / 10,
        };
        wanted.clamp(-room, room)
    }
}

/// The places nearest to those wanted, which are sorted, that are `apart` and within `room` of 0.
fn keep_apart(wanted: impl ExactSizeIterator<Item = i64>, apart: i64, room: i64) -> Vec<i64> {
    let last = room - (wanted.len() as i64 - 1) * apart;
    // Without the distances this is: make them ascend. Neighbours that do not are pooled and share their mean.
    let mut pools: Vec<(i64, i64)> = Vec::new();
    for (index, wanted) in wanted.enumerate() {
        let mut pool = (wanted - index as i64 * apart, 1);
        while let Some(before) = pools.pop_if(|before| before.0 * pool.1 >= pool.0 * before.1) {
            pool = (pool.0 + before.0, pool.1 + before.1);
        }
        pools.push(pool);
    }
    pools
        .into_iter()
        .flat_map(|(sum, count)| (0..count).map(move |_| sum.div_euclid(count)))
        .enumerate()
        .map(|(index, place)| place.clamp(-room, last.max(-room)) + index as i64 * apart)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_kept_apart_and_on_their_side() {
        assert_eq!(keep_apart([0].into_iter(), 8, 20), [0]);
        assert_eq!(keep_apart([-3, 0, 3].into_iter(), 8, 20), [-8, 0, 8]);
        assert_eq!(keep_apart([-15, 10, 12].into_iter(), 8, 20), [-15, 7, 15]);
        assert_eq!(keep_apart([20, 20, 20].into_iter(), 8, 20), [4, 12, 20]);
        assert_eq!(keep_apart([].into_iter(), 8, 20), [] as [i64; 0]);
    }
}
