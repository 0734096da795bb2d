//! The secrets of a playbook: where they come from, and fetching them.
//!
//! Nothing is fetched before everything that can be validated without it has been.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::cursor::Cursor;
use super::durations;
use super::hocon::Value;
use crate::diagnostic::{Place, Problem, Problems};
use crate::secret::{Secret, withhold};

mod printed;

/// More is no secret that somebody types in.
const LONGEST: u64 = 1024 * 1024;

const HINT: &str =
    "say where it comes from: `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM, ARGUMENT] }`";

/// How long a command may take that says nothing of it: somebody may have to find a passphrase first.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The keys of a secret that say where it comes from.
const SOURCES: [&str; 3] = ["env", "file", "command"];

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq)]
enum SecretSource {
    Environment(String),
    File(PathBuf),
    /// A program and its arguments, and how long it may take.
    Command(Vec<String>, Duration),
}

/// What the playbook says of its secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(BTreeMap<String, (SecretSource, Option<Place>)>);

/// Secrets that were fetched.
pub(super) type Fetched = BTreeMap<String, Secret<String>>;

impl Sources {
    /// From the playbook's `secrets`.
    pub(super) fn read(cursor: &mut Cursor<'_, '_>) -> Self {
        // Somebody may have written down a secret itself.
        if names_sources_alone(cursor.value()) { Sources::of(cursor) } else { cursor.unseen(Sources::of) }
    }

    fn of(cursor: &mut Cursor<'_, '_>) -> Self {
        let mut sources = BTreeMap::new();
        let Some(object) = cursor.value().as_object() else {
            cursor.problem("`secrets` is an object of names and where they come from", Some(HINT.into()));
            return Sources(sources);
        };
        for (name, value) in object {
            let mut here = cursor.key(name, value);
            let place = here.key_place();
            if let Some(from) = source(name, &mut here) {
                if let SecretSource::Environment(variable) = &from {
                    withhold(variable);
                }
                sources.insert(name.clone(), (from, place));
            }
        }
        Sources(sources)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Fetches these.
    pub(super) fn fetch<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Fetched, Problems> {
        let mut fetched = BTreeMap::new();
        let mut problems = Vec::new();
        for name in names {
            let Some((from, place)) = self.0.get(name) else { continue };
            match fetch(from, environment) {
                Ok(text) => {
                    fetched.insert(name.clone(), Secret::new(text));
                }
                Err((message, hint)) => {
                    let message = format!("failed to fetch the secret `{name}`: {message}");
                    problems.push(Problem { place: place.clone(), message, hint });
                }
            }
        }
        if problems.is_empty() { Ok(fetched) } else { Err(problems.into()) }
    }
}

/// Whether nothing in it can be a secret: what is there is where sources and times are named.
fn names_sources_alone(secrets: &Value) -> bool {
    let is_source = |(key, value): (&String, &Value)| match key.as_str() {
        "env" | "file" | "timeout" => {
            matches!(value, Value::String(_) | Value::Unknown(_) | Value::Template(_) | Value::Invalid)
        }
        "command" => true,
        _ => false,
    };
    let is_named = |secret: &Value| secret.as_object().is_some_and(|sources| sources.iter().all(is_source));
    secrets.as_object().is_some_and(|secrets| secrets.values().all(is_named))
}

fn source(name: &str, cursor: &mut Cursor<'_, '_>) -> Option<SecretSource> {
    let Value::Object(object) = cursor.value() else {
        cursor.problem(
            format!("the secret `{name}` is written down in the playbook itself"),
            Some(HINT.into()),
        );
        return None;
    };
    if cursor.unknown_keys(&["env", "file", "command", "timeout"], "a secret") {
        return None;
    }
    let mut known = object.iter().filter(|(key, _)| SOURCES.contains(&key.as_str()));
    let (Some((key, value)), None) = (known.next(), known.next()) else {
        cursor.problem(format!("the secret `{name}` needs one source"), Some(HINT.into()));
        return None;
    };
    let timeout = match object.get("timeout") {
        None => PATIENCE,
        Some(timeout) if key == "command" => {
            durations::positive_duration(&mut cursor.key("timeout", timeout))?
        }
        Some(timeout) => {
            let hint = format!("leave it out beside `{key}`");
            cursor.key("timeout", timeout).problem_at_key("`timeout` is for a `command`", Some(hint));
            return None;
        }
    };
    let mut value = cursor.key(key, value);
    match key.as_str() {
        "env" => value.text("the name of a variable").map(SecretSource::Environment),
        "file" => value.text("the path of a file").map(|path| SecretSource::File(path.into())),
        _ => {
            let command = match value.value() {
                Value::String(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
                _ => value.texts("a command: a string for the shell, or a list of words")?,
            };
            if command.is_empty() {
                value.problem("`command` is empty", None);
                return None;
            }
            Some(SecretSource::Command(command, timeout))
        }
    }
}

type Failed = (String, Option<String>);

fn fetch(from: &SecretSource, environment: &BTreeMap<String, String>) -> Result<String, Failed> {
    let text = match from {
        SecretSource::Environment(name) => environment.get(name).cloned().ok_or_else(|| {
            (format!("the variable `{name}` is not set"), Some(format!("set it: `{name}=… dojob run …`")))
        })?,
        SecretSource::File(path) => {
            read(path).map_err(|error| (format!("{}: {error}", path.display()), None))?
        }
        SecretSource::Command(words, timeout) => {
            printed::text(words, LONGEST, *timeout).map_err(|message| (message, None))?
        }
    };
    let text = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(("it is empty".to_owned(), None));
    }
    Ok(text.to_owned())
}

fn read(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::other("it is too long for a secret"));
    }
    Ok(text)
}
