//! The shapes of boxes, and text as SVG writes it.

use std::fmt::Write;

use crate::job::JobKind;
use crate::view::layout::geometry::Rect;

/// How round the ends of a dummy are: half a circle, but for one of many lines.
pub(super) fn pill(height: i64) -> i64 {
    (height / 2).min(26)
}

/// How a box is drawn.
pub(super) struct Outline {
    pub(super) kind: JobKind,
    pub(super) corner: i64,
    pub(super) frame: i64,
}

/// A job has round corners, one that runs every time two frames, a dummy round ends.
pub(super) fn push_box(svg: &mut String, rect: Rect, outline: Outline) {
    let Rect { x, y, width, height } = rect;
    let corner = match outline.kind {
        JobKind::Job => outline.corner,
        JobKind::RunOnly => outline.frame,
        JobKind::Dummy => outline.corner.max(pill(height)),
    };
    let class = if outline.kind == JobKind::RunOnly { " class=\"frame\"" } else { "" };
    let _ = write!(
        svg,
        "<rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{corner}\"/>"
    );
    if outline.kind == JobKind::RunOnly {
        let frame = outline.frame;
        let (width, height) = (width - 2 * frame, height - 2 * frame);
        let (x, y) = (x + frame, y + frame);
        let _ = write!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"1\"/>");
    }
}

/// Writes `text`, which is clean, such that it reads the same in XML.
pub(super) fn push_escaped(svg: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => svg.push_str("&amp;"),
            '<' => svg.push_str("&lt;"),
            '>' => svg.push_str("&gt;"),
            '"' => svg.push_str("&quot;"),
            c => svg.push(c),
        }
    }
}
