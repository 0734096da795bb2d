//! Where the boxes of a picture stand and how the wires between them run: numbers in, numbers out.
//!
//! Knows sizes and edges; nothing of jobs, text or SVG. Boxes stand on layers, and every wire leads from its layer to a
//! later one. Each step is a room of its own: [`rank`] chooses layers, [`layered`] the ways of wires through them,
//! [`order`] what stands beside what, [`lines`] and [`x_coordinates`] how far apart, [`route`] draws the wires.
//!
//! All of it works downwards; a picture that leads to the right is turned at the end. Coordinates are whole numbers, so
//! that a picture is the same on every machine.
//!
//! Two things hold by construction: boxes on a layer keep their distance, and layers have gaps between them. A wire bends
//! in gaps and passes a layer where a place was kept free for it, or in a curve where its neighbours on the layer leave
//! more room than that; so it never meets a box that is not its own.
//!
//! Large graphs take time in proportion to their size: every search that makes a picture better has a budget, and wires
//! that would pass too many layers go round the outside.

mod budget;
pub(crate) mod frames;
pub(crate) mod geometry;
mod layered;
mod lines;
mod lists;
mod order;
mod pack;
mod part;
mod ports;
mod rank;
mod route;
mod simplex;
#[cfg(test)]
mod tests;
mod x_coordinates;

use self::frames::Cluster;
use self::geometry::{Layout, Piece, Point, Rect, Size, Wire};
use self::layered::Layered;
use self::part::{DOWN, Part, Room};
use crate::graph::adjacency::Adjacency;

/// Which way wires lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Down,
    Right,
}

/// Lays out boxes of these sizes; all edges lead to lower numbers. Each cluster has a frame around its boxes, unless its boxes are
/// scattered among others.
pub(crate) fn plan_framed(
    sizes: &[Size],
    edges: &Adjacency,
    clusters: &[Cluster],
) -> (Layout, Vec<Option<Rect>>) {
    let room = Room::of_frames(frames::depth(clusters));
    let parts = parts(sizes, edges).into_iter().map(|part| part.with_room(room)).collect();
    with_frames(plan_parts(sizes, parts), clusters)
}

/// Moves the picture such that nothing of its frames is left of it or above it.
fn with_frames(mut plan: Layout, clusters: &[Cluster]) -> (Layout, Vec<Option<Rect>>) {
    let mut frames = frames::frames(&plan.boxes, clusters);
    let ground = Rect { x: 0, y: 0, width: plan.width, height: plan.height };
    let whole = frames.iter().flatten().copied().fold(ground, frames::union);
    let by = Point { x: -whole.x, y: -whole.y };
    plan = Layout { width: whole.width, height: whole.height, ..plan.moved(by) };
    for frame in frames.iter_mut().flatten() {
        *frame = frame.moved(by);
    }
    (plan, frames)
}

/// Lays out boxes of these sizes; all edges lead to lower numbers.
#[cfg(test)]
fn plan(sizes: &[Size], edges: &Adjacency) -> Layout {
    plan_framed(sizes, edges, &[]).0
}

fn plan_parts(sizes: &[Size], parts: Vec<Part>) -> Layout {
    let layers: Vec<Vec<u32>> = parts.iter().map(rank::layers).collect();
    let direction = choose(&parts, &layers);
    plan_towards(direction, sizes.len(), &parts, &layers)
}

fn plan_towards(direction: Direction, nodes: usize, parts: &[Part], layers: &[Vec<u32>]) -> Layout {
    let placed: Vec<Layout> = parts
        .iter()
        .zip(layers)
        .map(|(part, layers)| match direction {
            Direction::Down => plan_part(part, layers),
            Direction::Right => turn(plan_part(&part.turned(), layers)),
        })
        .collect();
    pack::pack(nodes, parts, placed)
}

fn plan_part(part: &Part, layers: &[u32]) -> Layout {
    let mut layers = layers.to_vec();
    rank::even_out(part, &mut layers);
    let led_off = rank::fold(part, &mut layers);
    let graph = Layered::new(part, &layers, &led_off);
    let order = order::order(&graph);
    let lines = lines::lines(&graph, &order);
    let places = x_coordinates::places(&graph, &order, &lines, part.gaps);
    route::route(part, &graph, &order, &places)
}

/// Downwards, unless that is far too broad to be looked at and to the right is better: names are long and low, so layers
/// of many boxes are shorter when these stand on top of each other.
fn choose(parts: &[Part], layers: &[Vec<u32>]) -> Direction {
    const SCREEN: (i64, i64) = (1600, 1000);
    let screens = |turned: bool| {
        let (mut width, mut height) = (0, 0);
        for (part, layers) in parts.iter().zip(layers) {
            let turned_part = turned.then(|| part.turned());
            let (breadth, depth) = route::estimate(turned_part.as_ref().unwrap_or(part), layers);
            let (own_width, own_height) = if turned { (depth, breadth) } else { (breadth, depth) };
            (width, height) = (width.max(own_width), height.max(own_height));
        }
        (100 * width / SCREEN.0).max(100 * height / SCREEN.1)
    };
    let (down, right) = (screens(false), screens(true));
    if down <= 110 || down <= right * 5 / 4 { Direction::Down } else { Direction::Right }
}

/// The connected parts, in the order of their first nodes.
fn parts(sizes: &[Size], edges: &Adjacency) -> Vec<Part> {
    const NONE: u32 = u32::MAX;
    let n = sizes.len();
    let back = edges.reversed();
    let mut part_of = vec![NONE; n];
    let mut members: Vec<Vec<u32>> = Vec::new();
    for start in 0..n as u32 {
        if part_of[start as usize] != NONE {
            continue;
        }
        let part = members.len() as u32;
        let mut open = vec![start];
        part_of[start as usize] = part;
        let mut found = Vec::new();
        while let Some(node) = open.pop() {
            found.push(node);
            for &near in edges.of(node).iter().chain(back.of(node)) {
                if part_of[near as usize] == NONE {
                    part_of[near as usize] = part;
                    open.push(near);
                }
            }
        }
        found.sort_unstable();
        members.push(found);
    }
    let mut number = vec![0; n];
    for (at, node) in members.iter().flat_map(|nodes| nodes.iter().enumerate()) {
        number[*node as usize] = at as u32;
    }
    let part = |nodes: Vec<u32>| {
        let sizes = nodes.iter().map(|node| sizes[*node as usize]).collect();
        let numbered = |from: u32, to: &u32| (number[from as usize], number[*to as usize]);
        let edges =
            nodes.iter().flat_map(|node| edges.of(*node).iter().map(move |to| numbered(*node, to))).collect();
        Part::new(nodes, sizes, edges, DOWN)
    };
    members.into_iter().map(part).collect()
}

fn turn(plan: Layout) -> Layout {
    let turn = |point: Point| Point { x: point.y, y: point.x };
    let turn_piece = |piece: Piece| match piece {
        Piece::Line(to) => Piece::Line(turn(to)),
        Piece::Curve(one, other, to) => Piece::Curve(turn(one), turn(other), turn(to)),
    };
    Layout {
        boxes: plan
            .boxes
            .into_iter()
            .map(|rect| Rect { x: rect.y, y: rect.x, width: rect.height, height: rect.width })
            .collect(),
        wires: plan
            .wires
            .into_iter()
            .map(|wire| Wire {
                start: turn(wire.start),
                pieces: wire.pieces.into_iter().map(turn_piece).collect(),
                ..wire
            })
            .collect(),
        width: plan.height,
        height: plan.width,
    }
}
