//! Text to a value with its places: reads, resolves, and tells all that is wrong.

use std::collections::BTreeMap;

use super::places::Places;
use super::settings::{Input, Settings};
use super::value::Value;
use super::{limits, resolve, tree_builder};
use crate::diagnostic::{Place, Problem, Problems};

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
/// place of each is [`Value::Invalid`].
pub(crate) fn load_all(entry: &Input, settings: &Settings) -> Result<(Loaded, Vec<Problem>), Problems> {
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
    let value = root.to_value();
    places.root = Some(root);
    let environment = environment.into_iter().map(|(name, used)| {
        let used = used.into_iter().filter_map(|pos| places.place(pos));
        (name.to_owned(), used.collect())
    });
    let environment = environment.collect();
    Ok((Loaded { value, places, environment }, problems))
}
