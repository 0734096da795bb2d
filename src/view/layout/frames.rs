//! Frames around the boxes of a group: a frame contains its group's boxes and no other, and two frames are nested or disjoint.
//!
//! Knows rectangles and which group is in which; neither names nor wires. The layout does not keep the boxes of a group together,
//! so a group whose boxes are scattered among others has no frame.

use super::geometry::Rect;

/// Between a frame and what is in it.
pub(crate) const PAD: i64 = 10;
/// The height of the line at the top of a frame on which its title stands.
pub(crate) const TITLE: i64 = 16;
/// Frames are at least this far from what is not in them.
const CLEAR: i64 = 3;

/// Boxes that a frame is drawn around.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// The cluster around it, which has a lower number.
    pub(crate) parent: Option<u32>,
    /// The boxes that are in it and in no cluster within it.
    pub(crate) nodes: Vec<u32>,
    /// How broad its title is.
    pub(crate) title: i64,
    /// Whether to draw a frame at all.
    pub(crate) is_framed: bool,
}

/// How many frames are within each other at most.
pub(super) fn depth(clusters: &[Cluster]) -> i64 {
    let mut depths = vec![0; clusters.len()];
    for (at, cluster) in clusters.iter().enumerate() {
        let around = cluster.parent.map_or(0, |parent| depths[parent as usize]);
        depths[at] = around + i64::from(cluster.is_framed);
    }
    depths.into_iter().max().unwrap_or(0)
}

/// The frame of each cluster; none where it would contain or touch what is not in the cluster. Inner frames come first: where two
/// frames would overlap, one of them is left out.
pub(super) fn frames(boxes: &[Rect], clusters: &[Cluster]) -> Vec<Option<Rect>> {
    let mut innermost = vec![None; boxes.len()];
    for (at, cluster) in clusters.iter().enumerate() {
        cluster.nodes.iter().for_each(|node| innermost[*node as usize] = Some(at as u32));
    }
    let is_within = |cluster: Option<u32>, outer: usize| {
        std::iter::successors(cluster, |at| clusters[*at as usize].parent).any(|at| at as usize == outer)
    };
    let mut contents: Vec<Option<Rect>> = vec![None; clusters.len()];
    let mut frames: Vec<Option<Rect>> = vec![None; clusters.len()];
    for (at, cluster) in clusters.iter().enumerate().rev() {
        let own = cluster.nodes.iter().map(|node| boxes[*node as usize]);
        let Some(content) = own.chain(contents[at]).reduce(union) else { continue };
        let frame = around(content, cluster.title);
        let meets_box = || {
            let mut others = boxes.iter().zip(&innermost).filter(|(_, own)| !is_within(**own, at));
            others.any(|(rect, _)| is_near(frame, *rect))
        };
        let meets_frame = || {
            let inner = |other: &usize| is_within(Some(*other as u32), at);
            (at + 1..clusters.len())
                .filter(|other| !inner(other))
                .filter_map(|other| frames[other])
                .any(|other| is_near(frame, other))
        };
        let is_clear = cluster.is_framed && !meets_box() && !meets_frame();
        frames[at] = is_clear.then_some(frame);
        if let Some(parent) = cluster.parent {
            let outer = frames[at].unwrap_or(content);
            let content = &mut contents[parent as usize];
            *content = Some(content.map_or(outer, |content| union(content, outer)));
        }
    }
    frames
}

fn around(content: Rect, title: i64) -> Rect {
    Rect {
        x: content.x - PAD,
        y: content.y - PAD - TITLE,
        width: content.width.max(title) + 2 * PAD,
        height: content.height + TITLE + 2 * PAD,
    }
}

pub(super) fn union(one: Rect, other: Rect) -> Rect {
    let (x, y) = (one.x.min(other.x), one.y.min(other.y));
    let right = (one.x + one.width).max(other.x + other.width);
    let bottom = (one.y + one.height).max(other.y + other.height);
    Rect { x, y, width: right - x, height: bottom - y }
}

fn is_near(one: Rect, other: Rect) -> bool {
    one.x < other.x + other.width + CLEAR
        && other.x < one.x + one.width + CLEAR
        && one.y < other.y + other.height + CLEAR
        && other.y < one.y + one.height + CLEAR
}
