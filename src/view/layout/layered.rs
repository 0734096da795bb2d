//! One connected part, layer by layer: boxes, the points at which wires pass a layer, and the hops of wires from one
//! layer to the next.
//!
//! Here it is decided which way a wire goes: on its own, together with others that end (or begin) at the same box, or
//! round the outside.

use std::collections::btree_map::Entry;

use super::lists::Lists;
use super::part::Part;

/// The number of the trunk that leads to all boxes that were led off: the wires of one can leave it on every layer
/// without crossing each other.
const SPINE: usize = usize::MAX;

/// A box, or a point at which a wire passes a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) layer: u32,
    /// How much room it takes on its layer.
    pub(super) breadth: i64,
    /// The node whose box it is.
    pub(super) node: Option<u32>,
    /// Whether it is a point of the wires of boxes that were led off to other layers: they go through the middle of the
    /// boxes on its layer.
    pub(super) is_spine: bool,
}

/// A step of a wire from one layer to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    pub(super) upper: u32,
    pub(super) lower: u32,
}

/// A wire, or a branch of one that others share.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) edge: (u32, u32),
    /// What it passes, from the top, and the hops between.
    pub(super) items: Vec<u32>,
    pub(super) hops: Vec<u32>,
    /// Whether it ends at a box, and not where it meets others.
    pub(super) arrives: bool,
    /// Whether others meet it.
    pub(super) is_shared: bool,
}

/// A wire that goes round the outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detour {
    pub(super) from: u32,
    pub(super) to: u32,
}

#[derive(Debug)]
pub(super) struct Layered {
    /// The nodes first, each its own item.
    pub(super) items: Vec<Item>,
    pub(super) layers: usize,
    pub(super) hops: Vec<Hop>,
    /// The hops that leave an item downwards, and upwards.
    pub(super) down: Lists,
    pub(super) up: Lists,
    pub(super) ways: Vec<Way>,
    pub(super) detours: Vec<Detour>,
}

/// Wires that share the points at which they pass layers.
struct Bundle {
    /// Whether the box that they have in common is the lower one.
    ends_at_hub: bool,
    /// Whether the other boxes were led off to other layers.
    is_spine: bool,
    edges: Vec<(u32, u32)>,
    /// The layers passed.
    passed: std::ops::Range<u32>,
}

impl Layered {
    pub(super) fn new(part: &Part, layers: &[u32], led_off: &[bool]) -> Self {
        let items = (0..part.len() as u32)
            .map(|node| Item {
                layer: layers[node as usize],
                breadth: part.breadth(node),
                node: Some(node),
                is_spine: false,
            })
            .collect();
        let mut layered = Layered {
            items,
            layers: layers.iter().max().map_or(0, |last| *last as usize + 1),
            hops: Vec::new(),
            down: Lists::group(0, std::iter::empty()),
            up: Lists::group(0, std::iter::empty()),
            ways: Vec::new(),
            detours: Vec::new(),
        };
        let mut bundles = bundles(part, layers, led_off);
        layered.detours = too_far(&mut bundles, 8 * (part.len() + part.edges.len()) as u64 + 4000);
        for &(from, to) in &part.edges {
            if layers[from as usize] + 1 == layers[to as usize] {
                let hop = layered.hop(from, to);
                let (items, hops) = (vec![from, to], vec![hop]);
                layered.ways.push(Way { edge: (from, to), items, hops, arrives: true, is_shared: false });
            }
        }
        bundles.into_iter().for_each(|bundle| layered.lead(&bundle, layers));
        layered.down = Lists::group(layered.items.len(), layered.hops.iter().map(|hop| hop.upper));
        layered.up = Lists::group(layered.items.len(), layered.hops.iter().map(|hop| hop.lower));
        layered
    }

    fn hop(&mut self, upper: u32, lower: u32) -> u32 {
        self.hops.push(Hop { upper, lower });
        self.hops.len() as u32 - 1
    }

    /// Makes the points at which a bundle passes layers, and its ways.
    fn lead(&mut self, bundle: &Bundle, layers: &[u32]) {
        let first = self.items.len() as u32;
        let passed = bundle.passed.clone();
        let point = |layer: u32| first + layer - passed.start;
        self.items.extend(passed.clone().map(|layer| Item {
            layer,
            breadth: 0,
            node: None,
            is_spine: bundle.is_spine,
        }));
        let inner: Vec<u32> =
            passed.clone().skip(1).map(|layer| self.hop(point(layer - 1), point(layer))).collect();
        // The longest wire has all the points, the others lead to where they meet it.
        let mut is_free = true;
        for &(from, to) in &bundle.edges {
            let (enters, leaves) = (layers[from as usize] + 1, layers[to as usize] - 1);
            let is_trunk = is_free && enters == passed.start && leaves + 1 == passed.end;
            let (mut items, mut hops) = (Vec::new(), Vec::new());
            if is_trunk {
                is_free = false;
                items.push(from);
                items.extend(passed.clone().map(point));
                items.push(to);
                hops.push(self.hop(from, point(enters)));
                hops.extend(&inner);
                hops.push(self.hop(point(leaves), to));
            } else if bundle.ends_at_hub {
                items.extend([from, point(enters)]);
                hops.push(self.hop(from, point(enters)));
            } else {
                items.extend([point(leaves), to]);
                hops.push(self.hop(point(leaves), to));
            }
            self.ways.push(Way {
                edge: (from, to),
                items,
                hops,
                arrives: is_trunk || !bundle.ends_at_hub,
                is_shared: is_trunk && bundle.edges.len() > 1,
            });
        }
    }

    pub(super) fn below(&self, item: u32) -> impl ExactSizeIterator<Item = u32> {
        self.down.of(item).iter().map(|hop| self.hops[*hop as usize].lower)
    }

    pub(super) fn above(&self, item: u32) -> impl ExactSizeIterator<Item = u32> {
        self.up.of(item).iter().map(|hop| self.hops[*hop as usize].upper)
    }

    /// Whether a hop leads from point to point, not to or from a box.
    pub(super) fn is_inner(&self, hop: Hop) -> bool {
        self.items[hop.upper as usize].node.is_none() && self.items[hop.lower as usize].node.is_none()
    }
}

/// The wires that pass layers, those that go together as one.
fn bundles(part: &Part, layers: &[u32], led_off: &[bool]) -> Vec<Bundle> {
    let passes = |(from, to): &(u32, u32)| layers[*from as usize] + 1 < layers[*to as usize];
    let long: Vec<(u32, u32)> = part.edges.iter().copied().filter(passes).collect();
    let starting = Lists::group(part.len(), long.iter().map(|(from, _)| *from));
    let ending = Lists::group(part.len(), long.iter().map(|(_, to)| *to));
    let mut bundles: Vec<Bundle> = Vec::new();
    let mut number = std::collections::BTreeMap::new();
    for (index, &(from, to)) in long.iter().enumerate() {
        let passed = layers[from as usize] + 1..layers[to as usize];
        let (outs, ins) = (starting.of(from), ending.of(to));
        let is_spine = led_off[from as usize] || led_off[to as usize];
        let ends_at_hub = if is_spine { led_off[from as usize] } else { ins.len() >= outs.len() };
        let (hub, list) = if ends_at_hub { (to, ins) } else { (from, outs) };
        let rank = list.partition_point(|other| (*other as usize) < index);
        let trunk = if is_spine { SPINE } else { rank * trunks(list.len()) / list.len() };
        match number.entry((hub, ends_at_hub, trunk)) {
            Entry::Vacant(entry) => {
                entry.insert(bundles.len());
                bundles.push(Bundle { ends_at_hub, is_spine, edges: vec![(from, to)], passed });
            }
            Entry::Occupied(entry) => {
                let bundle = &mut bundles[*entry.get()];
                bundle.passed.start = bundle.passed.start.min(passed.start);
                bundle.passed.end = bundle.passed.end.max(passed.end);
                bundle.edges.push((from, to));
            }
        }
    }
    bundles
}

/// As how many so many wires go that pass layers on their way to one box. Few go each on their own; of many, those go
/// together that have neighbouring numbers, which are often close to each other.
fn trunks(wires: usize) -> usize {
    const ALONE: usize = 10;
    const TOGETHER: usize = 8;
    const MOST: usize = 8;
    if wires <= ALONE { wires } else { wires.div_ceil(TOGETHER).clamp(ALONE / 2, MOST) }
}

/// Takes away the wires that pass most layers, until all together pass no more than `limit`: a graph of ten thousand
/// layers and as many long wires would have to be drawn with a hundred million points. These wires go round the outside.
fn too_far(bundles: &mut Vec<Bundle>, limit: u64) -> Vec<Detour> {
    let mut lengths: Vec<u32> = bundles.iter().map(|bundle| bundle.passed.len() as u32).collect();
    lengths.sort_unstable();
    let mut sum = 0;
    let Some(longest) = lengths.into_iter().find(|length| {
        sum += u64::from(*length);
        sum > limit
    }) else {
        return Vec::new();
    };
    let mut detours = Vec::new();
    bundles.retain(|bundle| {
        let goes = bundle.passed.len() as u32 >= longest;
        if goes {
            detours.extend(bundle.edges.iter().map(|(from, to)| Detour { from: *from, to: *to }));
        }
        !goes
    });
    detours
}
