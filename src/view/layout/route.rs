//! From layers and places to boxes and wires.
//!
//! Wires bend in the gaps between layers alone: a curve stays within the rectangle of its ends and handles, and these are
//! all in the gap.

use super::geometry::{Layout, Piece, Point, Rect, Wire};
use super::layered::{Detour, Item, Layered, Way};
use super::order::Order;
use super::part::Part;
use super::ports::Ports;

/// The straight end of a wire, on which its arrow head lies.
const HEAD: i64 = 8;
/// So many points may be left out at once.
const SKIP: usize = 4;
/// How far a curve stays away from what it passes, less than any gap on a layer.
const CLEAR: i64 = 8;
/// Lanes for wires that go round the outside; more of them share lanes.
const LANES: i64 = 32;
const LANE: i64 = 8;

/// Breadth and depth, before anything is placed: wires not counted.
pub(super) fn estimate(part: &Part, layers: &[u32]) -> (i64, i64) {
    let count = layers.iter().max().map_or(0, |last| *last as usize + 1);
    let mut sizes = vec![(0, 0); count];
    for (node, layer) in layers.iter().enumerate() {
        let (breadth, depth) = &mut sizes[*layer as usize];
        *breadth += part.sizes[node].width + part.gaps.boxes;
        *depth = part.sizes[node].height.max(*depth);
    }
    let breadth = sizes.iter().map(|(breadth, _)| *breadth).max().unwrap_or(0);
    let depth = sizes.iter().map(|(_, depth)| depth + part.gaps.layers).sum();
    (breadth, depth)
}

/// The boxes and wires of a part whose items have these middles.
pub(super) fn route(part: &Part, graph: &Layered, order: &Order, at: &[i64]) -> Layout {
    let left = (0..graph.items.len()).map(|item| at[item] - graph.items[item].breadth / 2).min().unwrap_or(0);
    let at: Vec<i64> = at.iter().map(|at| at - left).collect();
    let bands = bands(part, graph, &at);
    let boxes: Vec<Rect> = (0..part.len())
        .map(|node| {
            let size = part.sizes[node];
            let band = bands[graph.items[node].layer as usize];
            let y = band.top + (band.bottom - band.top - size.height) / 2;
            Rect { x: at[node] - size.width / 2, y, width: size.width, height: size.height }
        })
        .collect();
    let span = |(item, at): (&Item, &i64)| (at - item.breadth / 2, at + item.breadth / 2);
    let mut router = Router {
        graph,
        order,
        at: &at,
        bands: &bands,
        boxes: &boxes,
        ports: Ports::new(part, graph, &at),
        kept: vec![true; graph.items.len()],
        span: graph.items.iter().zip(&at).map(span).collect(),
    };
    router.smooth();
    let mut wires: Vec<Wire> = graph.ways.iter().map(|way| router.wire(way)).collect();
    let mut width =
        (0..graph.items.len()).map(|item| at[item] + (graph.items[item].breadth + 1) / 2).max().unwrap_or(0);
    width = router.detours(width, &mut wires);
    let height = bands.last().map_or(0, |band| band.bottom);
    Layout { boxes, wires, width, height }
}

/// Where a layer begins and ends.
#[derive(Clone, Copy)]
struct Band {
    top: i64,
    bottom: i64,
}

/// Layers as high as their highest box, with gaps that are the higher the farther wires have to go sideways in them.
fn bands(part: &Part, graph: &Layered, at: &[i64]) -> Vec<Band> {
    let mut depth = vec![0; graph.layers];
    for (item, size) in graph.items.iter().zip(&part.sizes) {
        depth[item.layer as usize] = size.height.max(depth[item.layer as usize]);
    }
    let mut sideways = vec![0; graph.layers];
    for hop in &graph.hops {
        let far = &mut sideways[graph.items[hop.upper as usize].layer as usize];
        *far = (at[hop.upper as usize] - at[hop.lower as usize]).abs().max(*far);
    }
    let mut top = 0;
    depth
        .into_iter()
        .zip(sideways)
        .map(|(depth, sideways)| {
            let band = Band { top, bottom: top + depth };
            top = band.bottom + part.gaps.layers + (sideways / 12).min(2 * part.gaps.layers);
            band
        })
        .collect()
}

struct Router<'r> {
    graph: &'r Layered,
    order: &'r Order,
    at: &'r [i64],
    bands: &'r [Band],
    boxes: &'r [Rect],
    ports: Ports,
    /// Which items wires go through; some points are left out where a curve finds its way without them.
    kept: Vec<bool>,
    /// From where to where the layer of an item is taken by it, or by the curve that left it out.
    span: Vec<(i64, i64)>,
}

impl Router<'_> {
    fn band(&self, item: u32) -> Band {
        self.bands[self.graph.items[item as usize].layer as usize]
    }

    /// Where an item begins and ends: a box where it stands, a point with its layer.
    fn extent(&self, item: u32) -> Band {
        match self.graph.items[item as usize].node {
            Some(node) => {
                let rect = self.boxes[node as usize];
                Band { top: rect.y, bottom: rect.y + rect.height }
            }
            None => self.band(item),
        }
    }

    fn wire(&self, way: &Way) -> Wire {
        let items: Vec<usize> =
            (0..way.items.len()).filter(|at| self.kept[way.items[*at] as usize]).collect();
        let start = self.begin(way);
        let mut pen = Pen::new(start);
        for two in items.windows(2) {
            pen.straight_to(self.band(way.items[two[0]]).bottom);
            pen.curve_to(self.end(way, two[1]));
            pen.straight_to(self.extent(way.items[two[1]]).top);
        }
        Wire { edge: way.edge, start, pieces: pen.pieces, arrives: way.arrives, is_shared: way.is_shared }
    }

    /// Where a way begins.
    fn begin(&self, way: &Way) -> Point {
        let x = self.ports.upper[way.hops[0] as usize];
        Point { x, y: self.extent(way.items[0]).bottom }
    }

    /// Where the curve ends that leads to an item of a way.
    fn end(&self, way: &Way, at: usize) -> Point {
        let item = way.items[at];
        let at_box = way.arrives && self.graph.items[item as usize].node.is_some();
        let y = self.band(item).top - if at_box { HEAD } else { 0 };
        Point { x: self.ports.lower[way.hops[at - 1] as usize], y }
    }

    /// Leaves out points that would only make a wire wave, wherever a curve finds its way without them. What one wire
    /// leaves free another may use, so that this is done a few times.
    fn smooth(&mut self) {
        for _ in 0..3 {
            for way in self.graph.ways.iter().filter(|way| way.items.len() > 2) {
                let mut at = 0;
                while at + 1 < way.items.len() {
                    at = self.skip(way, at);
                }
            }
        }
    }

    /// Leaves out as many points behind the one at `at` as can be, and returns which comes next.
    fn skip(&mut self, way: &Way, at: usize) -> usize {
        let from = match at {
            0 => Point { y: self.band(way.items[0]).bottom, ..self.begin(way) },
            _ => Point { x: self.at[way.items[at] as usize], y: self.band(way.items[at]).bottom },
        };
        let last = (at + SKIP + 1).min(way.items.len() - 1);
        let is_kept = |at: &usize| self.kept[way.items[*at] as usize];
        let next = (at + 1..=last).find(is_kept).unwrap_or(at + 1);
        let better = (at + 2..=last).rev().filter(is_kept).find(|next| {
            let curve = Curve { from, to: self.end(way, *next) };
            let passed = &way.items[at + 1..*next];
            self.waves(passed, curve) && passed.iter().all(|point| self.is_free(curve, *point))
        });
        let Some(next) = better else { return next };
        let curve = Curve { from, to: self.end(way, next) };
        for &point in &way.items[at + 1..next] {
            self.kept[point as usize] = false;
            self.span[point as usize] = self.span_in(curve, self.band(point));
        }
        next
    }

    /// Whether a wire through these points would bend more often than the curve.
    fn waves(&self, points: &[u32], curve: Curve) -> bool {
        let kept =
            points.iter().filter(|point| self.kept[**point as usize]).map(|point| self.at[*point as usize]);
        let mut last = curve.from.x;
        let bends = kept.chain([curve.to.x]).filter(|x| std::mem::replace(&mut last, *x) != *x).count();
        bends > 1
    }

    /// Whether a curve passes the layer of a point between the same neighbours as the point, and not too near.
    fn is_free(&self, curve: Curve, point: u32) -> bool {
        if self.graph.up.of(point).len() != 1 || self.graph.down.of(point).len() != 1 {
            // Other wires come here.
            return false;
        }
        let (left, right) = self.span_in(curve, self.band(point));
        let layer = &self.order.layers[self.graph.items[point as usize].layer as usize];
        let place = self.order.place[point as usize] as usize;
        let before = place.checked_sub(1).and_then(|place| layer.get(place));
        before.is_none_or(|item| self.span[*item as usize].1 + CLEAR <= left)
            && layer.get(place + 1).is_none_or(|item| self.span[*item as usize].0 - CLEAR >= right)
    }

    /// From where to where a curve goes sideways within a layer and close to it.
    fn span_in(&self, curve: Curve, band: Band) -> (i64, i64) {
        let (one, other) = (curve.x_at(band.top - CLEAR), curve.x_at(band.bottom + CLEAR));
        (one.min(other), one.max(other))
    }

    /// Draws the wires that go round the right side, on one lane for each box at which they end; returns how broad the
    /// whole becomes.
    fn detours(&self, width: i64, wires: &mut Vec<Wire>) -> i64 {
        let mut detours = self.graph.detours.clone();
        detours.sort_by_key(|detour| (detour.to, self.graph.items[detour.from as usize].layer, detour.from));
        let mut lane: i64 = -1;
        let mut last = None;
        let mut broadest = width;
        for detour in detours {
            let is_first = last != Some(detour.to);
            if is_first {
                lane += 1;
                last = Some(detour.to);
            }
            let x = width + 2 * LANE + lane % LANES * LANE;
            broadest = broadest.max(x + LANE);
            wires.push(self.detour(detour, x, is_first));
        }
        broadest
    }

    /// The first wire on a lane goes all the way, the others until they meet it.
    fn detour(&self, detour: Detour, lane: i64, whole: bool) -> Wire {
        let start = Point { x: self.at[detour.from as usize], y: self.extent(detour.from).bottom };
        let mut pen = Pen::new(start);
        pen.straight_to(self.band(detour.from).bottom);
        pen.corner(Point { x: lane, y: self.band(detour.from).bottom + HEAD });
        if whole {
            let end = self.at[detour.to as usize];
            let y = self.band(detour.to).top - 2 * HEAD;
            pen.straight_to(y - HEAD);
            pen.corner(Point { x: end, y });
            pen.straight_to(self.extent(detour.to).top);
        }
        Wire { edge: (detour.from, detour.to), start, pieces: pen.pieces, arrives: whole, is_shared: whole }
    }
}

/// A curve that leaves and arrives straight downwards.
#[derive(Clone, Copy)]
struct Curve {
    from: Point,
    to: Point,
}

impl Curve {
    /// Its handles are on this height.
    fn handles(self) -> (i64, i64) {
        let (sideways, down) = ((self.to.x - self.from.x).abs(), self.to.y - self.from.y);
        // The farther to the side, the rounder the ends.
        let percent = (44 + 4 * sideways / down.max(1)).min(60);
        let reach = down * percent / 100;
        (self.from.y + reach, self.to.y - reach)
    }

    /// Where it is on a height: it only goes down, and to one side.
    fn x_at(self, y: i64) -> i64 {
        let (one, other) = self.handles();
        let bezier = |t: f64, p: [i64; 4]| {
            let [a, b, c, d] = p.map(|p| p as f64);
            let s = 1.0 - t;
            s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..20 {
            let t = (low + high) / 2.0;
            if bezier(t, [self.from.y, one, other, self.to.y]) < y as f64 { low = t } else { high = t }
        }
        bezier(low, [self.from.x, self.from.x, self.to.x, self.to.x]).round() as i64
    }
}

/// Draws a wire from the top down.
struct Pen {
    at: Point,
    pieces: Vec<Piece>,
}

impl Pen {
    fn new(at: Point) -> Self {
        Pen { at, pieces: Vec::new() }
    }

    fn straight_to(&mut self, y: i64) {
        if y > self.at.y {
            self.at.y = y;
            match self.pieces.last_mut() {
                Some(Piece::Line(last)) if last.x == self.at.x => last.y = y,
                _ => self.pieces.push(Piece::Line(self.at)),
            }
        }
    }

    /// To a point below, leaving and arriving straight downwards.
    fn curve_to(&mut self, to: Point) {
        if to.x == self.at.x {
            return self.straight_to(to.y);
        }
        let (one, other) = Curve { from: self.at, to }.handles();
        self.pieces.push(Piece::Curve(Point { x: self.at.x, y: one }, Point { x: to.x, y: other }, to));
        self.at = to;
    }

    /// Sideways along a line and down again, with round corners.
    fn corner(&mut self, to: Point) {
        let round = HEAD.min((to.x - self.at.x).abs() / 2) * (to.x - self.at.x).signum();
        let x = self.at.x;
        let turn = Point { x, y: to.y };
        self.pieces.push(Piece::Curve(turn, turn, Point { x: x + round, y: to.y }));
        self.pieces.push(Piece::Line(Point { x: to.x - round, y: to.y }));
        self.at = Point { x: to.x, y: to.y + HEAD };
        self.pieces.push(Piece::Curve(to, to, self.at));
    }
}
