//! What a picture consists of, in whole numbers: sizes, places, wires.

/// How large a box is, and how much of its corners is round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: i64,
    pub(crate) height: i64,
    pub(crate) corner: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) x: i64,
    pub(crate) y: i64,
}

/// Where a box stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    pub(crate) x: i64,
    pub(crate) y: i64,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

/// A part of a wire, from where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Line(Point),
    /// A cubic Bézier curve.
    Curve(Point, Point, Point),
}

/// A wire from a box to one it leads to, or a branch of one that others share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wire {
    /// The nodes it joins.
    pub(crate) edge: (u32, u32),
    pub(crate) start: Point,
    pub(crate) pieces: Vec<Piece>,
    /// Whether it ends at a box, and not where it meets others that go the same way.
    pub(crate) arrives: bool,
    /// Whether others meet it, so that not all of it is its own.
    pub(crate) is_shared: bool,
}

/// A picture's coordinates.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// In the order of the nodes.
    pub(crate) boxes: Vec<Rect>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) width: i64,
    pub(crate) height: i64,
}

impl Rect {
    pub(crate) fn moved(self, by: Point) -> Rect {
        Rect { x: self.x + by.x, y: self.y + by.y, ..self }
    }
}

impl Layout {
    /// The same picture elsewhere.
    pub(super) fn moved(mut self, by: Point) -> Layout {
        let moved = |point: Point| Point { x: point.x + by.x, y: point.y + by.y };
        for rect in &mut self.boxes {
            *rect = rect.moved(by);
        }
        for wire in &mut self.wires {
            wire.start = moved(wire.start);
            for piece in &mut wire.pieces {
                *piece = match *piece {
                    Piece::Line(to) => Piece::Line(moved(to)),
                    Piece::Curve(one, other, to) => Piece::Curve(moved(one), moved(other), moved(to)),
                };
            }
        }
        self
    }
}
