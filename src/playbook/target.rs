//! What a task is about on the machine: its target, of which no other task may want something else.
//!
//! A task type says by its schema which of its arguments name the target ([`TARGET`](schema_keys::TARGET)).

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;

use super::deferred;
use super::hocon::Value;
use super::schema_keys;

/// How a task type names its target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetSpec {
    /// The argument that names it; of a list each entry is one. `a|b`: the first that is given.
    by: String,
    /// Arguments that tell apart several targets within it.
    #[serde(default)]
    and: Vec<String>,
    /// How names are compared.
    #[serde(default)]
    compare: Compare,
    /// Arguments that have to differ for two tasks to be at odds.
    #[serde(default)]
    differ: Vec<String>,
    /// An argument that has to be true, which it is unless given.
    #[serde(default)]
    only_if: Option<String>,
}

/// How the names of targets are compared.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Compare {
    #[default]
    Text,
    /// `/srv//a/` is `/srv/a`.
    Path,
    /// `nginx` is `nginx.service`.
    Unit,
}

/// A target of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    /// What names it, as it is compared.
    pub(super) name: String,
    /// What tells it apart from others within that.
    pub(super) part: Vec<String>,
    /// What has to differ.
    pub(super) wish: Vec<String>,
    /// The argument that names it.
    pub(super) argument: String,
}

impl TargetSpec {
    /// Of the schema of a task type.
    ///
    /// Panics where that says something that is no target: a mistake of the type's author, found by its first use.
    pub(super) fn of(schema: &Json) -> Option<TargetSpec> {
        let spec = schema.get(schema_keys::TARGET)?;
        Some(
            TargetSpec::deserialize(spec)
                .unwrap_or_else(|error| panic!("`{}` is no target: {error}", schema_keys::TARGET)),
        )
    }

    /// The targets of a job with these arguments, as far as they are known.
    pub(super) fn targets(&self, args: &Value, directory: &Path) -> Vec<Target> {
        if self.only_if.as_ref().and_then(|name| args.get(name)) == Some(&Value::Bool(false)) {
            return Vec::new();
        }
        let Some((argument, value)) = first_given(&self.by, args) else { return Vec::new() };
        let mut part = Vec::with_capacity(self.and.len());
        for names in &self.and {
            let Some(text) = first_given(names, args).map_or(Some(String::new()), |(_, value)| known(value))
            else {
                return Vec::new();
            };
            part.push(text);
        }
        let wish = |name: &String| args.get(name).map_or_else(String::new, Value::to_string);
        let wish: Vec<String> = self.differ.iter().map(wish).collect();
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let names = values.iter().filter(|value| !deferred::roots(value).any()).map(Value::plain);
        names
            .map(|name| Target {
                name: self.compare.normal(&name, directory),
                part: part.clone(),
                wish: wish.clone(),
                argument: argument.to_owned(),
            })
            .collect()
    }
}

/// Of `a|b` the first that is given.
fn first_given<'v, 'n>(names: &'n str, args: &'v Value) -> Option<(&'n str, &'v Value)> {
    names.split('|').find_map(|name| Some((name, args.get(name).filter(|value| !value.is_null())?)))
}

/// A value in one text, unless it is not known yet. A path of keys is the same as a list of them.
fn known(value: &Value) -> Option<String> {
    if deferred::roots(value).any() {
        return None;
    }
    Some(match value {
        Value::Array(values) => values.iter().map(Value::plain).collect::<Vec<_>>().join("."),
        value => value.plain(),
    })
}

impl Compare {
    fn normal(self, name: &str, directory: &Path) -> String {
        match self {
            Compare::Text => name.to_owned(),
            Compare::Path => normal_path(&directory.join(name)).to_string_lossy().into_owned(),
            Compare::Unit => {
                let is_full = name.rsplit_once('.').is_some_and(|(_, kind)| UNITS.contains(&kind));
                if is_full { name.to_owned() } else { format!("{name}.service") }
            }
        }
    }
}

/// What the name of a unit ends with.
const UNITS: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// Without `.`, `..` and needless slashes; links are not looked at.
fn normal_path(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::hocon::Placeholder;

    fn names(spec: Json, args: Json) -> Vec<(String, Vec<String>)> {
        let spec = TargetSpec::of(&json!({ schema_keys::TARGET: spec })).unwrap();
        let targets = spec.targets(&args.into(), Path::new("/here")).into_iter();
        targets.map(|target| (target.name, target.part)).collect()
    }

    #[test]
    fn names_are_compared_by_what_they_mean() {
        let path = |path: &str| names(json!({ "by": "path", "compare": "path" }), json!({ "path": path }));
        for same in ["/srv/a", "/srv//a/", "/srv/./b/../a", "../srv/a"] {
            assert_eq!(path(same), [("/srv/a".to_owned(), vec![])], "{same}");
        }
        let unit = |name: &str| names(json!({ "by": "name", "compare": "unit" }), json!({ "name": name }));
        assert_eq!(unit("nginx"), unit("nginx.service"));
        assert_ne!(unit("a.timer"), unit("a"));
        assert_eq!(unit("org.example.app"), [("org.example.app.service".to_owned(), vec![])]);
    }

    #[test]
    fn of_a_list_each_entry_is_a_target_and_what_is_not_known_is_none() {
        let spec = json!({ "by": "names", "and": ["regex|line"] });
        let found = names(spec.clone(), json!({ "names": ["a", "b"], "line": "x" }));
        assert_eq!(found, [("a".to_owned(), vec!["x".to_owned()]), ("b".to_owned(), vec!["x".to_owned()])]);
        let secret = Placeholder { path: vec!["secrets".to_owned(), "s".to_owned()], is_optional: false };
        let with_secret = |args: Json, key: &str| {
            let mut args = Value::from(args);
            *args.get_mut(key).unwrap() = Value::Unknown(secret.clone());
            TargetSpec::of(&json!({ schema_keys::TARGET: spec })).unwrap().targets(&args, Path::new("/here"))
        };
        assert_eq!(with_secret(json!({ "names": "a" }), "names"), []);
        assert_eq!(with_secret(json!({ "names": "a", "regex": "" }), "regex"), []);
    }
}
