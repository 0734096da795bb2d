//! What stands left of what on each layer, such that few wires cross.
//!
//! Layers are gone through downwards and upwards in turn, each sorted by where the neighbours on the layer before are;
//! then neighbours change places wherever that takes crossings away. The best order met is kept. How often this is done
//! depends on the size of the graph, so that a large one takes time in proportion to its size.

use super::layered::Layered;

/// What stands where on its layer.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The items of each layer, from the left.
    pub(super) layers: Vec<Vec<u32>>,
    /// How many items stand left of each.
    pub(super) place: Vec<u32>,
}

impl Order {
    fn new(layers: Vec<Vec<u32>>, items: usize) -> Self {
        let mut order = Order { layers, place: vec![0; items] };
        (0..order.layers.len()).for_each(|layer| order.number(layer));
        order
    }

    fn number(&mut self, layer: usize) {
        for (place, item) in self.layers[layer].iter().enumerate() {
            self.place[*item as usize] = place as u32;
        }
    }
}

/// The order with the fewest crossings that was found.
pub(super) fn order(graph: &Layered) -> Order {
    let size = graph.items.len() + graph.hops.len() + 1;
    let rounds = (1_500_000 / size).clamp(4, 24);
    // Far moves of single items cost most: small graphs get them all the time, others at the end, large ones never.
    let far = (300_000 / size).clamp(1, 200);
    let near: &[usize] = if size < 2_000 { &[1, 8] } else { &[1] };
    let starts: [fn(&Layered) -> Order; 2] = [from_the_top, from_the_bottom];
    let mut best: Option<(u64, u64, Order)> = None;
    for (start, near) in starts.iter().flat_map(|start| near.iter().map(move |near| (start, *near))) {
        // A large one gets a second chance only where that costs nothing.
        if size > 10_000 && best.as_ref().is_some_and(|(crossings, ..)| *crossings > 0) {
            break;
        }
        let mut sorter = Sorter::new(graph, start(graph), near);
        sorter.improve(rounds);
        if far > near {
            sorter.window = far;
            sorter.sift_all();
        }
        let (crossings, slant) = (sorter.crossings(), slant(graph, &sorter.order));
        if best.as_ref().is_none_or(|best| (crossings, slant) < (best.0, best.1)) {
            best = Some((crossings, slant, sorter.order));
        }
    }
    best.map_or_else(|| from_the_top(graph), |(.., order)| order)
}

/// How far wires go to the side, roughly: the sum of the differences of places, in thousandths of a layer.
fn slant(graph: &Layered, order: &Order) -> u64 {
    let place = |item: u32| {
        let layer = &order.layers[graph.items[item as usize].layer as usize];
        (2 * u64::from(order.place[item as usize]) + 1) * 500 / layer.len() as u64
    };
    graph.hops.iter().map(|hop| place(hop.upper).abs_diff(place(hop.lower))).sum()
}

/// In the order in which a walk from the boxes that nobody needs meets the items.
fn from_the_top(graph: &Layered) -> Order {
    walk(graph, |item| graph.up.of(item).is_empty(), |item, next| next.extend(graph.below(item)))
}

fn from_the_bottom(graph: &Layered) -> Order {
    walk(graph, |item| graph.down.of(item).is_empty(), |item, next| next.extend(graph.above(item)))
}

fn walk(graph: &Layered, is_start: impl Fn(u32) -> bool, extend: impl Fn(u32, &mut Vec<u32>)) -> Order {
    let mut layers = vec![Vec::new(); graph.layers];
    let mut seen = vec![false; graph.items.len()];
    let mut open = Vec::new();
    // Roots have the highest numbers.
    for start in (0..graph.items.len() as u32).rev().filter(|item| is_start(*item)) {
        open.push(start);
        while let Some(item) = open.pop() {
            if !std::mem::replace(&mut seen[item as usize], true) {
                layers[graph.items[item as usize].layer as usize].push(item);
                let first = open.len();
                extend(item, &mut open);
                let spine = open[first..].iter().position(|item| graph.items[*item as usize].is_spine);
                if let Some(spine) = spine {
                    let item = open.remove(first + spine);
                    open.insert((first + open.len()) / 2, item);
                }
                // What is put on a stack last is taken first.
                open[first..].reverse();
            }
        }
    }
    Order::new(layers, graph.items.len())
}

struct Sorter<'g> {
    graph: &'g Layered,
    order: Order,
    /// How many places an item may move at once.
    window: usize,
    /// The two items that are compared.
    own: Neighbours,
    other: Neighbours,
}

/// The places of an item's neighbours on the layers above and below, sorted.
#[derive(Default)]
struct Neighbours {
    above: Vec<u32>,
    below: Vec<u32>,
}

impl Neighbours {
    fn gather(&mut self, graph: &Layered, place: &[u32], item: u32) {
        self.above.clear();
        self.above.extend(graph.above(item).map(|item| place[item as usize]));
        self.above.sort_unstable();
        self.below.clear();
        self.below.extend(graph.below(item).map(|item| place[item as usize]));
        self.below.sort_unstable();
    }
}

impl<'g> Sorter<'g> {
    fn new(graph: &'g Layered, order: Order, window: usize) -> Self {
        Sorter { graph, order, window, own: Neighbours::default(), other: Neighbours::default() }
    }

    /// Sorts to and fro, and ends with the best order met.
    fn improve(&mut self, rounds: usize) {
        let mut best = self.order.clone();
        let mut least = self.crossings();
        let mut patience = 0;
        for round in 0..rounds {
            if least == 0 || patience == 4 {
                break;
            }
            self.sweep(round % 2 == 0, round % 4 < 2);
            self.sift_all();
            let crossings = self.crossings();
            patience += 1;
            if crossings < least {
                (least, patience) = (crossings, 0);
                best.clone_from(&self.order);
            }
        }
        self.order = best;
    }

    /// Sorts every layer by the layer before it. Equals keep their order or turn it around, by turns, so that the
    /// search does not get stuck.
    fn sweep(&mut self, downwards: bool, keep_equals: bool) {
        let layers = self.graph.layers;
        for step in 1..layers {
            let layer = if downwards { step } else { layers - 1 - step };
            self.sort(layer, downwards, keep_equals);
        }
    }

    fn sort(&mut self, layer: usize, by_upper: bool, keep_equals: bool) {
        let items = std::mem::take(&mut self.order.layers[layer]);
        let mut keyed: Vec<(f64, u32)> =
            items.iter().filter_map(|item| Some((self.middle(*item, by_upper)?, *item))).collect();
        if !keep_equals {
            keyed.reverse();
        }
        keyed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        // An item without neighbours there stays where it is, and the others go round it.
        let mut sorted = keyed.into_iter().map(|(_, item)| item);
        self.order.layers[layer] = items
            .into_iter()
            .map(
                |item| if self.has_neighbours(item, by_upper) { sorted.next().unwrap_or(item) } else { item },
            )
            .collect();
        self.order.number(layer);
    }

    fn has_neighbours(&self, item: u32, upper: bool) -> bool {
        let hops = if upper { self.graph.up.of(item) } else { self.graph.down.of(item) };
        !hops.is_empty()
    }

    /// The mean place of the neighbours of an item on the layer above it, or below.
    fn middle(&self, item: u32, upper: bool) -> Option<f64> {
        let place = |item: u32| u64::from(self.order.place[item as usize]);
        let (sum, count) = match upper {
            true => (self.graph.above(item).map(place).sum::<u64>(), self.graph.up.of(item).len()),
            false => (self.graph.below(item).map(place).sum::<u64>(), self.graph.down.of(item).len()),
        };
        (count > 0).then(|| sum as f64 / count as f64)
    }

    /// Puts single items where fewest hops cross, for as long as that takes crossings away.
    fn sift_all(&mut self) {
        let rounds = (500_000 / (self.graph.items.len() + self.graph.hops.len() + 1)).clamp(2, 8);
        let mut again = vec![true; self.graph.layers];
        for _ in 0..rounds {
            let mut moved = false;
            for layer in 0..self.graph.layers {
                if !std::mem::replace(&mut again[layer], false) {
                    continue;
                }
                if self.sift_layer(layer) {
                    moved = true;
                    let near = layer.saturating_sub(1)..(layer + 2).min(self.graph.layers);
                    again[near].fill(true);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn sift_layer(&mut self, layer: usize) -> bool {
        let mut moved = false;
        for item in self.order.layers[layer].clone() {
            moved |= self.sift(layer, item);
        }
        moved
    }

    /// Moves an item to the best place that is not too far away.
    fn sift(&mut self, layer: usize, item: u32) -> bool {
        let from = self.order.place[item as usize] as usize;
        let count = self.order.layers[layer].len();
        let (mut best, mut to) = (0, from);
        let mut gain = 0;
        self.own.gather(self.graph, &self.order.place, item);
        for at in (from.saturating_sub(self.window)..from).rev() {
            gain -= self.loss(self.order.layers[layer][at]);
            if gain > best {
                (best, to) = (gain, at);
            }
        }
        gain = 0;
        for at in from + 1..(from + self.window + 1).min(count) {
            gain += self.loss(self.order.layers[layer][at]);
            if gain > best {
                (best, to) = (gain, at);
            }
        }
        if to == from {
            return false;
        }
        let items = &mut self.order.layers[layer];
        if to < from {
            items[to..=from].rotate_right(1)
        } else {
            items[from..=to].rotate_left(1)
        }
        for at in from.min(to)..=from.max(to) {
            self.order.place[self.order.layers[layer][at] as usize] = at as u32;
        }
        true
    }

    /// How many crossings more there are with the own item left of another one than right of it.
    fn loss(&mut self, other: u32) -> i64 {
        self.other.gather(self.graph, &self.order.place, other);
        let (own, other) = (&self.own, &self.other);
        inversions(&own.above, &other.above) - inversions(&other.above, &own.above)
            + inversions(&own.below, &other.below)
            - inversions(&other.below, &own.below)
    }

    fn crossings(&self) -> u64 {
        let widest = self.order.layers.iter().map(Vec::len).max().unwrap_or(0);
        let mut counter = Counter::new(widest);
        (0..self.graph.layers.saturating_sub(1)).map(|layer| self.crossings_below(layer, &mut counter)).sum()
    }

    /// Goes through the hops below a layer from the left, and counts for each how many earlier ones end right of it.
    fn crossings_below(&self, layer: usize, counter: &mut Counter) -> u64 {
        counter.reset(self.order.layers[layer + 1].len());
        let mut crossings = 0;
        let mut places: Vec<u32> = Vec::new();
        for item in &self.order.layers[layer] {
            places.clear();
            places.extend(self.graph.below(*item).map(|item| self.order.place[item as usize]));
            crossings += places.iter().map(|place| counter.behind(*place)).sum::<u64>();
            places.iter().for_each(|place| counter.add(*place));
        }
        crossings
    }
}

/// How many pairs of a place in `left` and one in `right` are the wrong way round. Both are sorted.
fn inversions(left: &[u32], right: &[u32]) -> i64 {
    let mut below = 0;
    let mut sum = 0;
    for place in left {
        while below < right.len() && right[below] < *place {
            below += 1;
        }
        sum += below as i64;
    }
    sum
}

/// Counts of places, and how many are behind one: a Fenwick tree.
struct Counter {
    sums: Vec<u32>,
    length: usize,
    total: u64,
}

impl Counter {
    fn new(widest: usize) -> Self {
        Counter { sums: vec![0; widest + 1], length: widest, total: 0 }
    }

    fn reset(&mut self, length: usize) {
        self.length = length;
        self.total = 0;
        self.sums[..=length].fill(0);
    }

    fn add(&mut self, place: u32) {
        self.total += 1;
        let mut at = place as usize + 1;
        while at <= self.length {
            self.sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    fn behind(&self, place: u32) -> u64 {
        let mut at = place as usize + 1;
        let mut up_to = 0;
        while at > 0 {
            up_to += u64::from(self.sums[at]);
            at -= at & at.wrapping_neg();
        }
        self.total - up_to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_counts_what_is_behind() {
        let mut counter = Counter::new(6);
        counter.reset(5);
        [4, 0, 2, 2].into_iter().for_each(|place| counter.add(place));
        assert_eq!([0, 1, 2, 3, 4].map(|place| counter.behind(place)), [3, 3, 1, 1, 0]);
    }

    #[test]
    fn wrong_pairs_are_counted() {
        assert_eq!(inversions(&[1, 3], &[0, 2, 3]), 1 + 2);
        assert_eq!(inversions(&[1], &[1]), 0);
    }
}
