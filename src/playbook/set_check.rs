//! Variables that are set from outside, `--set vars.name=value`: whether the playbook has them.
//!
//! A variable that nobody defines and nobody uses is most likely misspelled, and the playbook would be converged without
//! what was meant.

use std::collections::BTreeSet;

use super::hocon::Value;
use super::hocon::{self, Input, Override, Places, Settings};
use super::prose::escaped;
use crate::diagnostic::Problem;
use crate::suggest;

/// Reports variables that are set although the playbook neither defines nor uses them.
pub(super) fn check(
    set: &[String],
    entry: &Input,
    settings: &Settings,
    places: &Places,
    problems: &mut Vec<Problem>,
) {
    let set: Vec<Vec<String>> = set.iter().filter_map(|set| variable(set)).collect();
    if set.is_empty() {
        return;
    }
    let used = used(places);
    let unused: Vec<Vec<String>> = set
        .into_iter()
        .filter(|path| !used.iter().any(|used| used.starts_with(path) || path.starts_with(used)))
        .collect();
    if unused.is_empty() {
        return;
    }
    // What it is without what was set.
    let overrides = settings.overrides.iter().filter(|one| matches!(one, Override::Vars(_)));
    let own = Settings { overrides: overrides.cloned().collect(), ..settings.clone() };
    let Ok((loaded, _)) = hocon::load_all(entry, &own) else { return };
    for path in unused {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        if has(&loaded.value, &names) {
            continue;
        }
        let shown = hocon::written_path(&names);
        let problem = Problem::new(None, format!("the playbook has no variable `{}`", escaped(&shown)));
        let mut known: BTreeSet<String> = used.iter().map(|path| path.join(".")).collect();
        defined(&loaded.value["vars"], &mut vec!["vars".to_owned()], &mut known);
        problems.push(match suggest::nearest(&path.join("."), known.iter().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("it neither defines nor uses it; define it below `vars`, or do not set it"),
        });
    }
}

/// The path of a variable that is set.
fn variable(assignment: &str) -> Option<Vec<String>> {
    let (path, _) = assignment.split_once('=')?;
    let names = names(path.trim_end_matches('+'));
    (names.len() > 1 && names.first().is_some_and(|first| first == "vars")).then_some(names)
}

/// The names of a path, each with or without quotes.
fn names(path: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut is_quoted = false;
    for c in path.trim().chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => names.push(String::new()),
            c => names.last_mut().into_iter().for_each(|name| name.push(c)),
        }
    }
    names.iter().map(|name| name.trim().to_owned()).collect()
}

/// The variables that stand in substitutions anywhere in the playbook's texts.
fn used(places: &Places) -> BTreeSet<Vec<String>> {
    let substitutions = places.sources().flat_map(|source| {
        let text = source.text();
        text.match_indices("${").filter_map(move |(at, _)| {
            let inner = &text[at + 2..];
            Some(&inner[..inner.find('}')?])
        })
    });
    let paths = substitutions.map(|inner| names(inner.strip_prefix('?').unwrap_or(inner)));
    paths.filter(|path| path.first().is_some_and(|first| first == "vars")).collect()
}

fn has(value: &Value, path: &[&str]) -> bool {
    path.iter().try_fold(value, |value, name| value.get(name)).is_some()
}

/// The paths of all variables, as far as somebody would set them.
fn defined(value: &Value, path: &mut Vec<String>, known: &mut BTreeSet<String>) {
    const MOST: usize = 1_000;
    for (name, value) in value.as_object().into_iter().flatten() {
        if known.len() >= MOST {
            return;
        }
        path.push(name.clone());
        known.insert(path.join("."));
        defined(value, path, known);
        path.pop();
    }
}
