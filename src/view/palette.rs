//! How an outcome looks in a picture: the same in all kinds of pictures.

use crate::event::Outcome;

/// The colours of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) fill: &'static str,
    pub(crate) line: &'static str,
    pub(crate) text: &'static str,
    pub(crate) dashed: bool,
}

/// A box before a run.
pub(crate) const PLAIN: Look = Look { fill: "#ffffff", line: "#57606a", text: "#1f2328", dashed: false };

/// A box after a run.
pub(crate) fn look(outcome: Outcome) -> Look {
    let solid = |fill, line, text| Look { fill, line, text, dashed: false };
    let dashed = |line, text| Look { fill: "#f6f8fa", line, text, dashed: true };
    match outcome {
        Outcome::InPlace => solid("#c6efce", "#4c9a5b", "#10331a"),
        Outcome::Changed => solid("#1e7b3a", "#0f5223", "#ffffff"),
        Outcome::Skipped => dashed("#4c9a5b", "#57606a"),
        Outcome::Reverted => solid("#a9cbee", "#2f6fa8", "#0b2c47"),
        Outcome::Failed => solid("#c93c37", "#8e1f1b", "#ffffff"),
        Outcome::Blocked => dashed("#8c959f", "#57606a"),
        Outcome::WouldRun => solid("#ffbf47", "#a86f00", "#3d2900"),
        Outcome::CouldNotFindOut => solid("#b58ae6", "#6f42a8", "#2a0f4a"),
        Outcome::Unknown => dashed("#a86f00", "#57606a"),
        Outcome::Stopped => solid("#d0d7de", "#57606a", "#1f2328"),
        Outcome::NotStarted => dashed("#c4cad0", "#8c959f"),
    }
}
