//! HOCON text to values, each of which knows its place in the text.
//!
//! Knows nothing of tasks. Includes, substitutions and merging are over when this is done.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::problem::{Place, Problems, Source};

/// What to read.
#[derive(Clone, Debug)]
pub enum Entry {
    /// One file.
    File(PathBuf),
    /// Several files as one, in this order: a later value stands over an earlier one, and lists of the keys named in
    /// [`Settings::joined`] are joined.
    Files(Vec<PathBuf>),
    /// A text under a name, such as what came on standard input; its includes are relative to the working directory.
    Text {
        /// The name that people know it by.
        name: String,
        /// The text; need not be UTF-8 yet.
        text: Vec<u8>,
    },
}

/// What a playbook is read with, beside its own text.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Variables that substitutions find after the playbook's own and before the environment: `CWD`, `PLATFORM`,
    /// `TODAY`, `facts`. They are not part of the value.
    pub given: BTreeMap<String, Value>,
    /// The environment, which substitutions find last; always text.
    pub environment: BTreeMap<String, String>,
    /// What stands over the playbook, a later one over an earlier.
    pub overrides: Vec<Override>,
    /// Root keys whose lists are joined over [`Entry::Files`], such as `tasks`.
    pub joined: Vec<String>,
}

/// What stands over a playbook, as if it were written at its end.
#[derive(Clone, Debug)]
pub enum Override {
    /// `--set key=value`. A number, `true`, `false`, `null`, and what begins with `[`, `{` or `"` is HOCON; anything
    /// else is text as it stands.
    Set(String),
    /// `--vars FILE`: a HOCON file.
    Vars(PathBuf),
}

impl Settings {
    /// The variables that every playbook is given, `CWD`, `PLATFORM` and `TODAY`, and this process's environment.
    pub fn of_process(today: jiff::civil::Date) -> std::io::Result<Settings> {
        let _ = today;
        Ok(Settings::default())
    }
}

/// One step of the way to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into a list, from 0.
    Index(usize),
}

/// A playbook's value, and where each part of it was written.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The value; an object.
    pub value: Value,
    /// Where its parts are.
    pub places: Places,
}

/// Where the parts of a value were written.
#[derive(Clone, Debug, Default)]
pub struct Places {}

impl Places {
    /// Where the value at this path was written; the last one that counted. `None` when there is no such value.
    pub fn of(&self, path: &[Step<'_>]) -> Option<Place> {
        let _ = path;
        None
    }

    /// Where the key at the end of this path was written; as [`of`](Places::of) for what has no key.
    pub fn of_key(&self, path: &[Step<'_>]) -> Option<Place> {
        let _ = path;
        None
    }

    /// As [`of`](Places::of), or of the nearest value around it.
    pub fn near(&self, path: &[Step<'_>]) -> Option<Place> {
        (0..=path.len()).rev().find_map(|length| self.of(&path[..length]))
    }
}

/// Reads a playbook: its text, its includes, what stands over it; all problems at once.
pub fn load(entry: &Entry, settings: &Settings) -> Result<Loaded, Problems> {
    let _ = (entry, settings, Source::name);
    Ok(Loaded { value: Value::Null, places: Places::default() })
}
