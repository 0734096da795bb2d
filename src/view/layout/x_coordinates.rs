//! Places from left to right: wires as short as can be, those between points of one wire straight.
//!
//! Knows what stands beside what. Everything is first pushed to the left and to the right, and put between; then the
//! [network simplex method](super::simplex) shortens wires for as long as its budget lasts.

use super::budget::budget;
use super::layered::{Item, Layered};
use super::lists::Lists;
use super::order::Order;
use super::part::Gaps;
use super::simplex::{self, Constraint};

/// The middle of each item. Lines are what stands in one line.
pub(super) fn places(graph: &Layered, order: &Order, lines: &[u32], gaps: Gaps) -> Vec<i64> {
    let count = lines.iter().max().map_or(0, |last| *last as usize + 1);
    let mut constraints = apart(graph, order, lines, gaps);
    let mut places = between(count, &constraints);
    // A wire costs what it is long: a number of its own, left of both ends, is pulled to the right by both.
    for hop in &graph.hops {
        let (upper, lower) = (lines[hop.upper as usize], lines[hop.lower as usize]);
        if upper == lower {
            continue;
        }
        let weight = weight(graph, hop.upper, hop.lower);
        let low = places.len() as u32;
        places.push(places[upper as usize].min(places[lower as usize]));
        constraints.extend([upper, lower].map(|high| Constraint { low, high, distance: 0, weight }));
    }
    let before = places.clone();
    simplex::shorten(&mut places, &constraints, true, budget(constraints.len()));
    // Where the budget was used up early it may not have become better.
    if simplex::cost(&places, &constraints) > simplex::cost(&before, &constraints) {
        places = before;
    }
    lines.iter().map(|line| places[*line as usize]).collect()
}

/// How much the length of a hop counts. Bends where a wire passes a layer are worse than slanting ends; all else being
/// equal a long wire comes straight down to its box, and slants where it leaves one.
fn weight(graph: &Layered, upper: u32, lower: u32) -> i64 {
    let is_point = |item: u32| graph.items[item as usize].node.is_none();
    match (is_point(upper), is_point(lower)) {
        (true, true) => 64,
        (true, false) => 17,
        (false, true) => 16,
        (false, false) => 8,
    }
}

/// What keeps neighbours on a layer apart; lines that run side by side for long are kept apart once.
fn apart(graph: &Layered, order: &Order, lines: &[u32], gaps: Gaps) -> Vec<Constraint> {
    let mut constraints: Vec<Constraint> = order
        .layers
        .iter()
        .flat_map(|layer| layer.windows(2))
        .map(|two| Constraint {
            low: lines[two[0] as usize],
            high: lines[two[1] as usize],
            distance: distance_between(gaps, &graph.items[two[0] as usize], &graph.items[two[1] as usize]),
            weight: 0,
        })
        .collect();
    constraints.sort_unstable_by_key(|c| (c.low, c.high, std::cmp::Reverse(c.distance)));
    constraints.dedup_by_key(|c| (c.low, c.high));
    constraints
}

/// The mean of being pushed to the left and to the right. Both keep the distances, so their mean does.
fn between(count: usize, constraints: &[Constraint]) -> Vec<i64> {
    let left = pushed(count, constraints);
    let turned: Vec<Constraint> =
        constraints.iter().map(|c| Constraint { low: c.high, high: c.low, ..*c }).collect();
    let right = pushed(count, &turned);
    let width = left.iter().max().copied().unwrap_or(0);
    left.iter().zip(right).map(|(left, right)| (left + width - right).div_euclid(2)).collect()
}

/// Each as low as it can be, then those that hold nobody back as high as they can be without moving others.
fn pushed(count: usize, constraints: &[Constraint]) -> Vec<i64> {
    let after = Lists::group(count, constraints.iter().map(|c| c.low));
    let mut waits = vec![0_u32; count];
    constraints.iter().for_each(|c| waits[c.high as usize] += 1);
    let mut order: Vec<u32> = (0..count as u32).filter(|line| waits[*line as usize] == 0).collect();
    let mut at = vec![0; count];
    let mut next = 0;
    while next < order.len() {
        let line = order[next];
        next += 1;
        for &index in after.of(line) {
            let constraint = constraints[index as usize];
            let high = constraint.high as usize;
            at[high] = at[high].max(at[line as usize] + constraint.distance);
            waits[high] -= 1;
            if waits[high] == 0 {
                order.push(constraint.high);
            }
        }
    }
    debug_assert_eq!(order.len(), count, "lines are left and right of each other");
    for &line in order.iter().rev() {
        let room = after.of(line).iter().map(|index| constraints[*index as usize]);
        if let Some(room) = room.map(|c| at[c.high as usize] - c.distance).min() {
            at[line as usize] = room;
        }
    }
    at
}

/// How far the middles of two neighbours are apart.
fn distance_between(gaps: Gaps, one: &Item, other: &Item) -> i64 {
    let gap = match (one.node, other.node) {
        (Some(_), Some(_)) => gaps.boxes,
        (None, None) => gaps.lines,
        _ => gaps.mixed,
    };
    (one.breadth + 1) / 2 + (other.breadth + 1) / 2 + gap
}
