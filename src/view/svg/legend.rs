//! What the colours and shapes of a picture mean, below it.

use super::label::{SMALL, width};
use super::shapes::{Outline, push_box, push_escaped};
use super::style;
use crate::event::Outcome;
use crate::job::JobKind;
use crate::view::layout::geometry::Rect;

const SWATCH: (i64, i64) = (22, 14);
const ROW: i64 = 24;
const APART: i64 = 18;

/// A swatch and what it means.
struct LegendEntry {
    outcome: Option<Outcome>,
    kind: JobKind,
    meaning: String,
}

/// The legend of a picture, in rows.
pub(super) struct Legend {
    entries: Vec<(LegendEntry, i64, i64)>,
    pub(super) width: i64,
    pub(super) height: i64,
}

impl Legend {
    /// Of these outcomes, with how many boxes have each, and these kinds; no broader than `room`, unless one entry is.
    pub(super) fn new(outcomes: &[(Option<Outcome>, usize)], kinds: &[JobKind], room: i64) -> Self {
        let outcomes = outcomes.iter().filter_map(|(outcome, count)| {
            let meaning = format!("{count} {}", (*outcome)?);
            Some(LegendEntry { outcome: *outcome, kind: JobKind::Job, meaning })
        });
        // Boxes with round corners need no explanation where there is nothing else.
        let plain = kinds.iter().all(|kind| *kind == JobKind::Job);
        let kinds = kinds.iter().filter(|_| !plain).map(|kind| {
            let meaning = match kind {
                JobKind::Job => "runs if its check fails",
                JobKind::RunOnly => "runs every time",
                JobKind::Dummy => "holds others together",
            };
            LegendEntry { outcome: None, kind: *kind, meaning: meaning.to_owned() }
        });
        let mut legend = Legend { entries: Vec::new(), width: 0, height: 0 };
        outcomes.chain(kinds).for_each(|entry| legend.add(entry, room));
        legend
    }

    fn add(&mut self, entry: LegendEntry, room: i64) {
        let size = SWATCH.0 + 6 + width(&entry.meaning, SMALL);
        let (x, y) = match self.entries.last() {
            None => (0, 0),
            Some((last, x, y)) => {
                let next = x + SWATCH.0 + 6 + width(&last.meaning, SMALL) + APART;
                if next + size > room { (0, y + ROW) } else { (next, *y) }
            }
        };
        self.width = self.width.max(x + size);
        self.height = y + ROW;
        self.entries.push((entry, x, y));
    }

    /// The outcomes whose rules it needs: shapes are shown as before a run.
    pub(super) fn shows_plain(&self) -> bool {
        self.entries.iter().any(|(entry, ..)| entry.outcome.is_none())
    }

    pub(super) fn draw(&self, svg: &mut String, left: i64, top: i64) {
        if self.entries.is_empty() {
            return;
        }
        svg.push_str("<g class=\"legend\">\n");
        for (entry, x, y) in &self.entries {
            let swatch = Rect { x: left + x, y: top + y + 5, width: SWATCH.0, height: SWATCH.1 };
            svg.push_str(&format!("<g class=\"{}\">", style::class(entry.outcome)));
            push_box(svg, swatch, Outline { kind: entry.kind, corner: 4, frame: 2 });
            svg.push_str(&format!("</g><text x=\"{}\" y=\"{}\">", swatch.x + SWATCH.0 + 6, swatch.y + 11));
            push_escaped(svg, &entry.meaning);
            svg.push_str("</text>\n");
        }
        svg.push_str("</g>\n");
    }
}
