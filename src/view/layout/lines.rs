//! Which items stand in one straight line: the points of a wire do, unless it crosses another such wire between points.

use super::layered::Layered;
use super::order::Order;

/// The line of each item, numbered from 0. A box is a line of its own. A line that is left of another one on one layer
/// is so on all.
pub(super) fn lines(graph: &Layered, order: &Order) -> Vec<u32> {
    const NONE: u32 = u32::MAX;
    let straight = straight(graph, order);
    let mut lines = vec![NONE; graph.items.len()];
    let mut count = 0;
    for &item in order.layers.iter().flatten() {
        let goes_on = graph.up.of(item).iter().find(|hop| straight[**hop as usize]);
        lines[item as usize] = match goes_on {
            Some(hop) => lines[graph.hops[*hop as usize].upper as usize],
            None => {
                count += 1;
                count - 1
            }
        };
    }
    lines
}

/// Which hops are straight: of those between points, as many as can be that do not cross each other.
fn straight(graph: &Layered, order: &Order) -> Vec<bool> {
    let mut straight = vec![false; graph.hops.len()];
    for layer in &order.layers {
        let inner: Vec<u32> = layer
            .iter()
            .flat_map(|item| graph.down.of(*item))
            .copied()
            .filter(|hop| graph.is_inner(graph.hops[*hop as usize]))
            .collect();
        let lower: Vec<u32> =
            inner.iter().map(|hop| order.place[graph.hops[*hop as usize].lower as usize]).collect();
        longest_rise(&lower).into_iter().for_each(|at| straight[inner[at] as usize] = true);
    }
    straight
}

/// The indices of as many numbers as possible of which each is larger than the one before.
fn longest_rise(numbers: &[u32]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    // Where the best rise of each length ends, and what comes before each number in its best one.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![NONE; numbers.len()];
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        if length > 0 {
            before[at] = ends[length - 1];
        }
        if length == ends.len() { ends.push(at) } else { ends[length] = at }
    }
    let mut rise: Vec<usize> =
        std::iter::successors(ends.last().copied(), |at| Some(before[*at]).filter(|at| *at != NONE))
            .collect();
    rise.reverse();
    rise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rise_is_found() {
        assert_eq!(longest_rise(&[3, 1, 2, 0, 5, 4]), [1, 2, 5]);
        assert_eq!(longest_rise(&[]), [] as [usize; 0]);
    }
}
