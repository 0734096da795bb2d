//! HOCON text to values, each of which knows its place in the text.
//!
//! Knows nothing of tasks. Includes, substitutions and merging are over when this is done. Every value keeps
//! its place, sizes are bounded, and what can be wrong at once is told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::diagnostic::{Place, Problem, Problems};

mod comments;
mod concat;
mod lex;
mod lexeme;
mod limits;
mod located;
mod parse;
mod path;
mod places;
mod read;
mod render;
mod resolve;
pub(super) mod sentinel;
mod small_map;
mod suggestions;
mod syntax;
mod syntax_error;
mod token_lint;
mod tree;
mod tree_builder;

pub use places::{Places, Step};
pub(super) use suggestions::path;

/// What to read.
#[derive(Clone, Debug)]
pub enum Input {
    /// One file.
    File(PathBuf),
    /// Several files as one, in this order: a later value stands over an earlier one, objects merge, and what each file
    /// by itself has under the keys named in [`Settings::joined`] is joined.
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
#[derive(Clone, Default)]
pub struct Settings {
    /// Variables that substitutions find after the playbook's own and before the environment: `CWD`, `PLATFORM`,
    /// `TODAY`, `facts`. They are not part of the value.
    pub given: BTreeMap<String, Value>,
    /// The environment, which substitutions find last; always text.
    pub environment: BTreeMap<String, String>,
    /// What stands over the playbook, a later one over an earlier.
    pub overrides: Vec<Override>,
    /// The first names of substitutions whose values come later, such as `item`: each is text that the playbook's other
    /// parts fill in.
    pub deferred: Vec<String>,
    /// Root keys whose lists are joined over [`Input::Files`], such as `tasks`.
    pub joined: Vec<String>,
    /// Root keys whose list is not to be replaced by a later one of the same file or of what that includes, since what the
    /// first one says would be lost without a word.
    pub once: Vec<String>,
    /// Keys that are not to be left out because of an optional substitution without a value, since that would mean
    /// something else.
    pub kept: Vec<String>,
}

/// Names alone: the environment and what is set may be secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("given", &self.given.keys())
            .field("overrides", &self.overrides.len())
            .field("joined", &self.joined)
            .finish_non_exhaustive()
    }
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
    /// The variables that every playbook is given, `CWD`, `PLATFORM` and `TODAY`, and this process's environment as far
    /// as it is UTF-8.
    pub fn of_process(today: jiff::civil::Date) -> std::io::Result<Settings> {
        let directory = std::env::current_dir()?.to_string_lossy().into_owned();
        let platform = rustix::system::uname().sysname().to_string_lossy().into_owned();
        let given = [("CWD", directory), ("PLATFORM", platform), ("TODAY", today.to_string())];
        let given = given.map(|(name, value)| (name.to_owned(), Value::String(value)));
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Settings {
            given: BTreeMap::from(given),
            environment: environment.collect(),
            overrides: Vec::new(),
            deferred: Vec::new(),
            joined: vec!["tasks".to_owned()],
            once: vec!["tasks".to_owned()],
            kept: Vec::new(),
        })
    }
}

/// A playbook's value, and where each part of it was written.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The value; an object.
    pub value: Value,
    /// Where its parts are.
    pub places: Places,
    /// The variables of the environment that it uses, and where.
    pub environment: BTreeMap<String, Vec<Place>>,
}

/// Reads a playbook: its text, its includes, what stands over it; all problems at once, in order of place.
pub fn load(entry: &Input, settings: &Settings) -> Result<Loaded, Problems> {
    let (loaded, problems) = load_all(entry, settings)?;
    if problems.is_empty() { Ok(loaded) } else { Err(Problems::from(problems).sorted()) }
}

/// As [`load`], and where values alone are wrong, such as undefined variables, also what is there beside them: in the
/// place of each is a text for which [`deferred::is_undefined`](super::deferred::is_undefined) holds.
pub(super) fn load_all(entry: &Input, settings: &Settings) -> Result<(Loaded, Vec<Problem>), Problems> {
    if cfg!(fuzzing) {
        // A thread for each of ten thousand texts a second is most of the time.
        return read_all(entry, settings);
    }
    // On a stack of its own, since that of the caller may be any: how deep values and substitutions go is bounded, but
    // the bounds are for a stack of this size.
    let read = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("playbook".to_owned()).stack_size(limits::STACK);
        let thread = thread.spawn_scoped(scope, || read_all(entry, settings));
        thread.map(|thread| thread.join())
    });
    let because =
        |why: String| Problems::from(Problem::new(None, format!("failed to read the playbook: {why}")));
    match read {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(_)) => Err(because("reading it panicked".to_owned())),
        Err(error) => Err(because(error.to_string())),
    }
}

fn read_all(entry: &Input, settings: &Settings) -> Result<(Loaded, Vec<Problem>), Problems> {
    let tree_builder::Built { tree, sources, problems } = tree_builder::build(entry, settings);
    if !problems.is_empty() {
        return Err(Problems::from(problems).sorted());
    }
    let resolve::Resolved { root, wrong, is_halted, environment, .. } = resolve::resolve(&tree, settings);
    let mut places = Places { sources: sources.into(), root: None };
    let problems = wrong.into_iter().map(|wrong| {
        let problem = Problem::new(places.place(wrong.pos), wrong.message);
        Problem { hint: wrong.hint, ..problem }
    });
    let problems: Vec<Problem> = problems.collect();
    if is_halted || root.is_bad() {
        return Err(Problems::from(problems).sorted());
    }
    let value = root.to_json();
    places.root = Some(root);
    let environment = environment.into_iter().map(|(name, used)| {
        let used = used.into_iter().filter_map(|pos| places.place(pos));
        (name.to_owned(), used.collect())
    });
    let environment = environment.collect();
    Ok((Loaded { value, places, environment }, problems))
}
