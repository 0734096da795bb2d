//! The facts in the log of a posting, between its steps.
//!
//! Pure. A board keeps their text and does not read it.

use serde::{Deserialize, Serialize};

use crate::engine::log::record::Record;

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fact {
    /// What the engine has written down.
    Engine(Record),
}
