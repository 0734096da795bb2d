//! An argument of a task type, as its schema describes it.

use serde_json::Value;

/// An argument of a task type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: String,
    /// What it takes, in words: `text`, `list of texts`.
    pub takes: String,
    /// Whether it has to be given.
    pub required: bool,
    /// What it is when it is not given, where the type says so.
    pub default: Option<Value>,
    /// The values that it can have, where they can be counted.
    pub choices: Vec<Value>,
}
