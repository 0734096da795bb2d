//! Boxes that are connected, which are laid out by themselves, and how far they are apart.

use super::frames::{PAD, TITLE};
use super::geometry::Size;
use super::lists::Lists;

/// How far items on a layer are apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaps {
    pub(super) boxes: i64,
    pub(super) lines: i64,
    pub(super) mixed: i64,
    /// Between a layer and the next one, at least.
    pub(super) layers: i64,
}

pub(super) const DOWN: Gaps = Gaps { boxes: 24, lines: 12, mixed: 16, layers: 44 };
pub(super) const RIGHT: Gaps = Gaps { boxes: 14, lines: 9, mixed: 12, layers: 56 };

/// How much room frames take between two boxes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    pub(super) beside: i64,
    pub(super) above: i64,
}

impl Room {
    /// For frames of boxes beside and above each other, so many within each other.
    pub(super) fn of_frames(depth: i64) -> Room {
        Room { beside: depth * 2 * PAD, above: depth * (TITLE + 2 * PAD) }
    }
}

impl Gaps {
    /// The same gaps, and no narrower than these; between frames of two layers there is room for arrows, too.
    fn at_least(self, boxes: i64, layers: i64) -> Gaps {
        let at_least = |gap: i64, room: i64, apart: i64| if room > 0 { gap.max(room + apart) } else { gap };
        Gaps { boxes: at_least(self.boxes, boxes, 12), layers: at_least(self.layers, layers, 24), ..self }
    }
}

/// Boxes that are connected, numbered anew from 0 in the same order.
#[derive(Debug)]
pub(super) struct Part {
    /// The numbers they have outside.
    pub(super) nodes: Vec<u32>,
    pub(super) sizes: Vec<Size>,
    /// From higher to lower numbers.
    pub(super) edges: Vec<(u32, u32)>,
    pub(super) leaving: Lists,
    pub(super) arriving: Lists,
    pub(super) gaps: Gaps,
    pub(super) room: Room,
}

impl Part {
    pub(super) fn new(nodes: Vec<u32>, sizes: Vec<Size>, edges: Vec<(u32, u32)>, gaps: Gaps) -> Self {
        let leaving = Lists::group(nodes.len(), edges.iter().map(|(from, _)| *from));
        let arriving = Lists::group(nodes.len(), edges.iter().map(|(_, to)| *to));
        Part { nodes, sizes, edges, leaving, arriving, gaps, room: Room::default() }
    }

    /// The same boxes downwards, with room for frames between them.
    pub(super) fn with_room(self, room: Room) -> Part {
        Part { gaps: DOWN.at_least(room.beside, room.above), room, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn breadth(&self, node: u32) -> i64 {
        self.sizes[node as usize].width
    }

    pub(super) fn targets(&self, node: u32) -> impl ExactSizeIterator<Item = u32> {
        self.leaving.of(node).iter().map(|edge| self.edges[*edge as usize].1)
    }

    pub(super) fn sources(&self, node: u32) -> impl ExactSizeIterator<Item = u32> {
        self.arriving.of(node).iter().map(|edge| self.edges[*edge as usize].0)
    }

    /// The same boxes lying on their side.
    pub(super) fn turned(&self) -> Part {
        let turn = |size: &Size| Size { width: size.height, height: size.width, corner: size.corner };
        let gaps = RIGHT.at_least(self.room.above, self.room.beside);
        Part::new(self.nodes.clone(), self.sizes.iter().map(turn).collect(), self.edges.clone(), gaps)
    }
}
