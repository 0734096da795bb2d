//! Values of a playbook that are not known when its text is read: `${item}` of a `for_each`, `${results.…}` of tasks that
//! have run, `${attempt.…}` of the group that a task is in, `${secrets.…}`, and `${facts.…}` of the machine.
//!
//! Where the text is resolved, they are placeholders, which are filled in when their values are known (`fill`): facts
//! first, then elements, which may have placeholders of their own, and results and secrets last.

use std::borrow::Cow;

use super::argument_path::ArgumentStep;
use super::hocon::{Placeholder, Value};

/// The first names of such placeholders.
pub(super) const NAMES: [&str; 5] = ["item", "results", "attempt", "secrets", "facts"];

/// The name of the secret that a placeholder stands for.
pub(super) fn secret(placeholder: &Placeholder) -> Option<&String> {
    match placeholder.path.as_slice() {
        [root, name] if root == "secrets" => Some(name),
        _ => None,
    }
}

/// The first names of all placeholders in a value.
pub(super) fn roots(value: &Value) -> Roots {
    let mut roots = Roots::default();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Unknown(placeholder) => roots.add(placeholder),
            Value::Template(template) => template.placeholders().for_each(|each| roots.add(each)),
            Value::Invalid => roots.invalid = true,
            Value::Array(values) => open.extend(values),
            Value::Object(object) => open.extend(object.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    roots
}

/// What the placeholders of a value wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots {
    pub(super) item: bool,
    pub(super) results: bool,
    pub(super) attempt: bool,
    pub(super) secrets: bool,
    pub(super) facts: bool,
    /// Something is wrong, and will never be known.
    pub(super) invalid: bool,
}

impl Roots {
    fn add(&mut self, placeholder: &Placeholder) {
        match placeholder.root() {
            "item" => self.item = true,
            "results" => self.results = true,
            "attempt" => self.attempt = true,
            "secrets" => self.secrets = true,
            _ => self.facts = true,
        }
    }

    pub(super) fn any(self) -> bool {
        self != Roots::default()
    }

    /// Those of either.
    pub(super) fn and(self, other: Roots) -> Roots {
        Roots {
            item: self.item || other.item,
            results: self.results || other.results,
            attempt: self.attempt || other.attempt,
            secrets: self.secrets || other.secrets,
            facts: self.facts || other.facts,
            invalid: self.invalid || other.invalid,
        }
    }
}

/// All placeholders in a value, each with the way to the value that it is in.
pub(super) fn placeholders(value: &Value) -> Vec<(Vec<ArgumentStep>, Placeholder)> {
    let mut found = Vec::new();
    collect(value, &mut Vec::new(), &mut found);
    found
}

/// As deep as the value, which a parser has bounded.
fn collect(value: &Value, path: &mut Vec<ArgumentStep>, found: &mut Vec<(Vec<ArgumentStep>, Placeholder)>) {
    match value {
        Value::Unknown(placeholder) => found.push((path.clone(), placeholder.clone())),
        Value::Template(template) => {
            found.extend(template.placeholders().map(|each| (path.clone(), each.clone())));
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                path.push(ArgumentStep::Index(index));
                collect(value, path, found);
                path.pop();
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                path.push(ArgumentStep::Key(key.clone()));
                collect(value, path, found);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Invalid => {}
    }
}

/// What is below `value` at the end of a path; `None` where there is nothing.
pub(super) fn below<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(object) => object.get(name),
        Value::Array(values) => name.parse::<usize>().ok().and_then(|index| values.get(index)),
        _ => None,
    })
}

/// As [`below`], where a part of a result that is still to come is one, too.
pub(super) fn below_deferred<'v>(value: &'v Value, path: &[String]) -> Option<Cow<'v, Value>> {
    if let Some(found) = below(value, path) {
        return Some(Cow::Borrowed(found));
    }
    let longest = (0..path.len()).rev().find_map(|length| Some((length, below(value, &path[..length])?)));
    let (length, Value::Unknown(placeholder)) = longest? else { return None };
    let mut placeholder =
        Some(placeholder.clone()).filter(|each| ["results", "attempt"].contains(&each.root()))?;
    placeholder.path.extend_from_slice(&path[length..]);
    Some(Cow::Owned(Value::Unknown(placeholder)))
}

/// What is at the end of a path, or the placeholder on the way there that stands for all that is below it.
pub(super) fn around<'v>(value: &'v Value, path: &[ArgumentStep]) -> Option<&'v Value> {
    let mut here = value;
    for step in path {
        if here.is_unknown() {
            break;
        }
        here = match step {
            ArgumentStep::Key(key) => here.get(key)?,
            ArgumentStep::Index(index) => here.item(*index)?,
        };
    }
    Some(here)
}

/// The names of the secrets that are in what is at the end of a path; of all of them, where that leads nowhere.
pub(super) fn secrets_at(value: &Value, path: &[ArgumentStep]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (_, placeholder) in placeholders(around(value, path).unwrap_or(value)) {
        names.extend(secret(&placeholder).filter(|name| !names.contains(name)).cloned());
    }
    names
}
