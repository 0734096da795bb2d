//! How a picture looks: the rules for its classes, by day and by night.
//!
//! Each outcome is a class, so that a box says how it looks in one word. Colours are written out in every rule and not as
//! variables, which some programs that draw SVG do not know.

use std::fmt::Write;

use super::label::{FONT, SMALL};
use crate::event::Outcome;
use crate::view::palette::{Look, PLAIN, look};

/// The colours of what is not a box of a job.
struct Paper {
    ground: &'static str,
    wire: &'static str,
    text: &'static str,
    /// Of frames around groups.
    area: &'static str,
    edge: &'static str,
}

const DAY: Paper =
    Paper { ground: "#ffffff", wire: "#8c959f", text: "#57606a", area: "#f6f8fa", edge: "#afb8c1" };
const NIGHT: Paper =
    Paper { ground: "#0d1117", wire: "#6e7681", text: "#9198a1", area: "#11161d", edge: "#3d444d" };

/// The class of a box: its outcome, or `plain` before a run.
pub(super) fn class(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "plain",
        Some(Outcome::InPlace) => "in-place",
        Some(Outcome::Changed) => "changed",
        Some(Outcome::Skipped) => "skipped",
        Some(Outcome::Reverted) => "reverted",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Blocked) => "blocked",
        Some(Outcome::WouldRun) => "would-run",
        Some(Outcome::CouldNotFindOut) => "not-found-out",
        Some(Outcome::Unknown) => "unknown",
        Some(Outcome::Stopped) => "stopped",
        Some(Outcome::NotStarted) => "not-started",
    }
}

/// A box on dark ground.
fn by_night(outcome: Option<Outcome>) -> Look {
    let solid = |fill, line, text| Look { fill, line, text, dashed: false };
    let dashed = |line, text| Look { fill: "#161b22", line, text, dashed: true };
    match outcome {
        None => solid("#161b22", "#8b949e", "#e6edf3"),
        Some(Outcome::InPlace) => solid("#12391f", "#3fa653", "#c4f0cd"),
        Some(Outcome::Changed) => solid("#23883a", "#6fd886", "#ffffff"),
        Some(Outcome::Skipped) => dashed("#3fa653", "#adb5bd"),
        Some(Outcome::Reverted) => solid("#1f4e79", "#79b8f5", "#ffffff"),
        Some(Outcome::Failed) => solid("#c03530", "#ff9a94", "#ffffff"),
        Some(Outcome::Blocked) => dashed("#8b949e", "#adb5bd"),
        Some(Outcome::WouldRun) => solid("#8a5c00", "#f2b84b", "#fff3d6"),
        Some(Outcome::CouldNotFindOut) => solid("#6b3fb0", "#c9a3ff", "#ffffff"),
        Some(Outcome::Unknown) => dashed("#d29922", "#adb5bd"),
        Some(Outcome::Stopped) => solid("#373e47", "#9ea7b3", "#e6edf3"),
        Some(Outcome::NotStarted) => dashed("#57606a", "#9198a1"),
    }
}

/// The rules for a picture in which these outcomes occur. All of them begin with the picture's own class, so that they
/// mean nothing to the rest of a page that the picture is part of.
pub(super) fn rules(outcomes: &[Option<Outcome>], has_frames: bool) -> String {
    let mut css = format!(
        "\n.dojob text{{font:{FONT}px system-ui,-apple-system,\"Segoe UI\",\"Helvetica Neue\",Arial,sans-serif;\
         text-anchor:middle;white-space:pre}}\n\
         .dojob .more{{font-size:{SMALL}px;opacity:.85}}\n\
         .dojob .legend text{{font-size:{SMALL}px;text-anchor:start}}\n\
         .dojob .wires path{{fill:none;stroke-width:1.2}}\n\
         .dojob .wires path:hover{{stroke-width:3}}\n"
    );
    paper(&mut css, &DAY);
    if has_frames {
        let _ = writeln!(
            css,
            ".dojob .groups text{{font-size:{SMALL}px;text-anchor:start;stroke-width:4;paint-order:stroke;\
             stroke-linejoin:round}}"
        );
        frames(&mut css, &DAY);
    }
    for outcome in outcomes {
        let look = outcome.map_or(PLAIN, look);
        paint(&mut css, class(*outcome), look);
        if look.dashed {
            let _ = writeln!(css, ".dojob .{} rect{{stroke-dasharray:5 3}}", class(*outcome));
        }
    }
    css.push_str("@media (prefers-color-scheme:dark){\n");
    paper(&mut css, &NIGHT);
    if has_frames {
        frames(&mut css, &NIGHT);
    }
    outcomes.iter().for_each(|outcome| paint(&mut css, class(*outcome), by_night(*outcome)));
    css.push_str("}\n");
    css
}

fn paper(css: &mut String, paper: &Paper) {
    let Paper { ground, wire, text, .. } = paper;
    let _ = writeln!(
        css,
        ".dojob .ground{{fill:{ground}}}\n.dojob g rect.frame{{fill:{ground}}}\n.dojob .wires path{{stroke:{wire}}}\n.dojob .head{{fill:{wire}}}\n\
         .dojob .legend>text{{fill:{text}}}"
    );
}

/// Frames around groups, and their titles, which are read above wires.
fn frames(css: &mut String, paper: &Paper) {
    let Paper { text, area, edge, .. } = paper;
    let _ = writeln!(
        css,
        ".dojob .groups rect{{fill:{area};stroke:{edge}}}\n.dojob .groups text{{fill:{text};stroke:{area}}}"
    );
}

fn paint(css: &mut String, class: &str, look: Look) {
    let Look { fill, line, text, .. } = look;
    let _ = writeln!(
        css,
        ".dojob .{class} rect{{fill:{fill};stroke:{line}}}\n.dojob .{class} text{{fill:{text}}}"
    );
}
