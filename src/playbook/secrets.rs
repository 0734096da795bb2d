//! The secrets of a playbook: where they come from, and fetching them.
//!
//! Knows environments, files and commands; not where a secret is used. Nothing is fetched before everything that can be
//! validated without it has been.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::look::Look;
use super::problem::{Place, Problem, Problems};
use crate::secret::Secret;

/// More is no secret that somebody types in.
const LONGEST: u64 = 1024 * 1024;

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq)]
enum From {
    Environment(String),
    File(PathBuf),
    /// A program and its arguments.
    Command(Vec<String>),
}

/// What the playbook says of its secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(BTreeMap<String, (From, Option<Place>)>);

/// Secrets that were fetched.
pub(super) type Fetched = BTreeMap<String, Secret<String>>;

impl Sources {
    /// From the playbook's `secrets`.
    pub(super) fn read(look: &mut Look<'_, '_>) -> Self {
        let mut sources = BTreeMap::new();
        let Some(object) = look.object() else { return Sources(sources) };
        for (name, value) in object {
            let mut here = look.key(name, value);
            let place = here.key_place();
            if let Some(from) = source(name, &mut here) {
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
        if problems.is_empty() { Ok(fetched) } else { Err(Problems(problems)) }
    }
}

fn source(name: &str, look: &mut Look<'_, '_>) -> Option<From> {
    const HINT: &str =
        "say where it comes from: `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM, ARGUMENT] }`";
    let Value::Object(object) = look.value() else {
        // The value itself may be the secret: its line is not shown.
        let place = look.place().map_or_else(String::new, |place| format!(" (at {place})"));
        let message = format!("the secret `{name}` is written down in the playbook itself{place}");
        look.problem_nowhere(message, Some(HINT.into()));
        return None;
    };
    if look.unknown_keys(&["env", "file", "command"], "a secret") {
        return None;
    }
    let mut known = object.iter().filter(|(key, _)| matches!(key.as_str(), "env" | "file" | "command"));
    let (Some((key, value)), None) = (known.next(), known.next()) else {
        look.problem(format!("the secret `{name}` needs one source"), Some(HINT.into()));
        return None;
    };
    let mut value = look.key(key, value);
    match key.as_str() {
        "env" => value.text("the name of a variable").map(From::Environment),
        "file" => value.text("the path of a file").map(|path| From::File(path.into())),
        _ => {
            let command = match value.value() {
                Value::String(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
                _ => value.texts("a command: a text for the shell, or a list of words")?,
            };
            if command.is_empty() {
                value.problem("`command` is empty", None);
                return None;
            }
            Some(From::Command(command))
        }
    }
}

type Failed = (String, Option<String>);

fn fetch(from: &From, environment: &BTreeMap<String, String>) -> Result<String, Failed> {
    let text = match from {
        From::Environment(name) => environment.get(name).cloned().ok_or_else(|| {
            (format!("the variable `{name}` is not set"), Some(format!("set it: `{name}=… dojob run …`")))
        })?,
        From::File(path) => read(path).map_err(|error| (format!("{}: {error}", path.display()), None))?,
        From::Command(words) => output(words).map_err(|message| (message, None))?,
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

fn output(words: &[String]) -> Result<String, String> {
    let (program, args) = words.split_first().ok_or("there is no command")?;
    // What it says, and what it may ask for, is between it and the person at the terminal.
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{program}` does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{program}` ended with {}", output.status));
    }
    if output.stdout.len() as u64 > LONGEST {
        return Err(format!("what `{program}` printed is too long for a secret"));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("what `{program}` printed is not UTF-8"))
}
