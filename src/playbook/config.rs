//! What a HOCON file resolves to, for people to look at.

use std::path::Path;

use super::argument_path::ArgumentStep;
use super::hocon::{Loaded, Step};
use super::hocon::{Placeholder, Shown, Value};
use super::load::{self, Options};
use super::registry::Registry;
use super::schema::View;
use crate::diagnostic::{Problem, Problems};
use crate::secret::without_passwords;

/// What is shown in the place of a secret.
const MASK: &str = "***";

/// The keys of a secret that say where it comes from.
const SOURCES: [&str; 3] = ["env", "file", "command"];

impl Options {
    /// What a file resolves to, as JSON text: with all includes, substitutions and overrides in place, keys in the order
    /// in which they were written, and numbers as they were written. The file need not be a playbook.
    ///
    /// What is known only when the playbook runs is shown as it is written, `"${results.build.version}"`; a secret is
    /// `"***"`, while where it comes from is shown.
    ///
    /// # Errors
    /// When the text is no HOCON, or needs what is not there: files, variables.
    pub fn config(self, path: impl AsRef<Path>) -> Result<String, Problems> {
        let entry = load::entry(path.as_ref())?;
        self.resolved(&entry).and_then(|loaded| shown(&loaded))
    }

    /// As [`config`](Options::config), of a text that people know by this name.
    ///
    /// # Errors
    /// As [`config`](Options::config).
    pub fn config_text(self, name: impl Into<String>, text: impl Into<Vec<u8>>) -> Result<String, Problems> {
        let entry = super::hocon::Input::Text { name: name.into(), text: text.into() };
        self.resolved(&entry).and_then(|loaded| shown(&loaded))
    }
}

fn shown(loaded: &Loaded) -> Result<String, Problems> {
    let mut problems: Vec<Problem> = Vec::new();
    load::not_in_clear(&loaded.value, &loaded.environment, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let registry = Registry::linked().ok();
    Ok(loaded.places.render(&Shown {
        placeholder: &masked,
        scalar: &|path, text| {
            if is_hidden(path, &loaded.value) || is_secret_argument(path, &loaded.value, registry.as_ref()) {
                return Some(MASK.to_owned());
            }
            let shown = without_passwords(text);
            (shown != *text).then(|| shown.into_owned())
        },
    }))
}

/// What is filled in later is shown as it is written, but for the names of secrets.
fn masked(placeholder: &Placeholder) -> String {
    if placeholder.root() == "secrets" { MASK.to_owned() } else { placeholder.to_string() }
}

/// Whether a scalar is a secret argument of a task type, or within one.
fn is_secret_argument(path: &[Step<'_>], value: &Value, registry: Option<&Registry>) -> bool {
    let mut here = value;
    for (index, step) in path.iter().enumerate() {
        if let Step::Key("args") = step
            && let Some(kind) = here["name"].as_str().and_then(|name| registry?.get(name).ok())
        {
            let below: Vec<ArgumentStep> = path[index + 1..].iter().map(argument_step).collect();
            if View::new(kind.schema()).is_secret(&below) {
                return true;
            }
        }
        here = match step {
            Step::Key(key) => &here[*key],
            Step::Index(at) => &here[*at],
        };
    }
    false
}

fn argument_step(step: &Step<'_>) -> ArgumentStep {
    match step {
        Step::Key(key) => ArgumentStep::Key((*key).to_owned()),
        Step::Index(at) => ArgumentStep::Index(*at),
    }
}

/// Whether a scalar is a secret that was written down, and not where one comes from.
fn is_hidden(path: &[Step<'_>], value: &Value) -> bool {
    let [Step::Key("secrets"), rest @ ..] = path else { return false };
    let Some((Step::Key(name), below)) = rest.split_first() else { return true };
    let source = &value["secrets"][*name];
    let is_source =
        source.as_object().is_some_and(|object| SOURCES.iter().any(|key| object.contains_key(*key)));
    !is_source || below.is_empty()
}
