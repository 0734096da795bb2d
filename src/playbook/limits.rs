//! The limits of a playbook: how many jobs may use the same thing at once, by its name.
//!
//! Knows `limit` of the playbook and `uses` of its tasks.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::hocon::{Places, Step, Value};
use super::prose::{escaped, listed};
use super::task_path::TaskPath;
use crate::diagnostic::Problem;
use crate::suggest;

/// How many similar names are looked for.
const MOST_HINTS: usize = 100;

/// The limits by name.
pub(super) type Limits = BTreeMap<String, usize>;

/// Reads `limit`. A limit that could not be read is one all the same, so that those that use it are not reported, too.
pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Limits {
    let mut limits = Limits::new();
    for (name, value) in cursor.object().into_iter().flatten() {
        let at_once = match value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        let at_once = at_once.filter(|at_once: &u32| *at_once > 0);
        if at_once.is_none() {
            let hint =
                "it is how many jobs may be at work at once that have the name in their `uses`".to_owned();
            cursor.key(name, value).expected(&format!("a whole number from 1 to {}", u32::MAX), Some(hint));
        }
        limits.insert(name.clone(), at_once.map_or(1, |at_once| at_once as usize));
    }
    limits
}

/// Reports names in `uses` that no limit has.
pub(super) fn check<'t>(
    limits: &Limits,
    uses: impl Iterator<Item = (&'t TaskPath, &'t [String])>,
    places: &Places,
    problems: &mut Vec<Problem>,
) {
    let mut hints = 0;
    for (path, names) in uses {
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !limits.contains_key(*name)) {
            let mut steps = path.steps();
            steps.extend([Step::Key("uses"), Step::Index(index)]);
            let shown = escaped(name);
            hints += 1;
            let near =
                suggest::nearest(name, limits.keys().map(String::as_str).filter(|_| hints <= MOST_HINTS));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if limits.is_empty() => {
                    format!("write `limit {{ {shown}: 1 }}` at the root of the playbook")
                }
                None => format!("`limit` has {}", listed(&limits.keys().collect::<Vec<_>>())),
            };
            let message = format!("there is no limit `{shown}`");
            problems.push(Problem { place: places.near(&steps), message, hint: Some(hint) });
        }
    }
}
