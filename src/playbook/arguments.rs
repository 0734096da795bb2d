//! The arguments of one task: a job where they fit its type, and otherwise all that does not fit.
//!
//! Knows task types and values; neither places nor the rest of the task.

use serde_json::Value;

use super::fit::{self, MisfitKind};
use super::late::{self, Mark};
use super::look::listed;
use super::schema::View;
use super::task_type::{ArgumentError, ArgumentStep, Decoded, TaskType, shown_path};
use crate::job::AnyJob;
use crate::suggest;

/// What stands in the place of a secret that was not fetched.
const STAND_IN: &str = "secret";

/// What came of arguments that fit.
pub(super) enum Fitting {
    /// The job.
    Job(AnyJob),
    /// Some of them come later; the others fit as far as can be told.
    Later,
}

/// An argument that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) path: Vec<ArgumentStep>,
    /// It is about the key rather than the value.
    pub(super) at_key: bool,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Says how an argument was written, where that is known.
pub(super) type Written<'w> = dyn FnMut(&[ArgumentStep]) -> Option<String> + 'w;

/// Reads the arguments of a task type. Marks in them are values that are not known yet.
pub(super) fn read(kind: &TaskType, args: &Value, written: &mut Written<'_>) -> Result<Fitting, Vec<Fault>> {
    let waits = late::roots(args);
    if waits.any() {
        return read_open(kind, args, waits.results, written);
    }
    let mut decoded = kind.decode(args);
    let mut converted = None;
    if decoded.job.is_err()
        && let Some(better) = fit::converted(args, View::new(kind.schema()), written)
    {
        decoded = kind.decode(&better);
        converted = Some(better);
    }
    match decoded {
        Decoded { job: Ok(job), unread } if unread.is_empty() => Ok(Fitting::Job(job)),
        decoded => Err(faults(kind, converted.unwrap_or_else(|| args.clone()), decoded)),
    }
}

/// Reads arguments of which some are not known.
fn read_open(
    kind: &TaskType,
    args: &Value,
    has_results: bool,
    written: &mut Written<'_>,
) -> Result<Fitting, Vec<Fault>> {
    let view = View::new(kind.schema());
    let args = fit::converted(args, view, written).unwrap_or_else(|| args.clone());
    let mut found = from_schema(kind, &args);
    let properties = view.properties().filter(|_| view.get("additionalProperties").is_none());
    if let (Some(known), Some(object)) = (properties, args.as_object()) {
        let unknown = object.keys().filter(|name| !known.contains_key(*name));
        let known: Vec<String> = known.keys().cloned().collect();
        found.extend(unknown.map(|name| unknown_argument(kind, &[ArgumentStep::Key(name.clone())], &known)));
    }
    if !has_results && found.is_empty() {
        // The type itself knows more than its schema; of what it says, that which is not about the stand-ins counts.
        let secret: Vec<Vec<ArgumentStep>> = late::marks(&args).into_iter().map(|(path, _)| path).collect();
        let mut stand_in = |_: &[ArgumentStep], _: &Mark| Ok(late::Filled::Now(STAND_IN.into()));
        let filled = late::fill(&args, &mut stand_in, &mut Vec::new());
        if let Err(error) = kind.decode(&filled).job
            && !error.path.is_empty()
            && !secret.iter().any(|path| path.starts_with(&error.path) || error.path.starts_with(path))
        {
            found.push(refused(error));
        }
    }
    if found.is_empty() { Ok(Fitting::Later) } else { Err(found) }
}

/// All that can be said of arguments that a type has refused.
fn faults(kind: &TaskType, mut args: Value, mut decoded: Decoded) -> Vec<Fault> {
    let mut found = from_schema(kind, &args);
    let known: Vec<String> = kind.fields().iter().map(|field| field.name.clone()).collect();
    for path in &decoded.unread {
        if !found.iter().any(|fault| fault.path == *path) {
            found.push(unknown_argument(kind, path, if path.len() == 1 { &known } else { &[] }));
        }
    }
    // The type tells its first problem only: it is asked again without those arguments that it can do without.
    for _ in 0..=known.len() {
        let Err(error) = decoded.job else { break };
        let is_whole = error.path.is_empty();
        let is_told = found.iter().any(|fault| {
            is_whole || fault.path.starts_with(&error.path) || error.path.starts_with(&fault.path)
        });
        if !is_told {
            found.push(refused(error));
        }
        if is_whole || !leave_out(kind, &mut args, &found) {
            break;
        }
        decoded = kind.decode(&args);
    }
    found
}

/// Takes out the arguments that are told of; says whether there was one, and the others can be read without.
fn leave_out(kind: &TaskType, args: &mut Value, found: &[Fault]) -> bool {
    let Some(object) = args.as_object_mut() else { return false };
    let mut any = false;
    for fault in found {
        let Some(ArgumentStep::Key(name)) = fault.path.first() else { return false };
        if kind.fields().iter().any(|field| field.required && field.name == *name) {
            return false;
        }
        any |= object.remove(name).is_some();
    }
    any
}

fn from_schema(kind: &TaskType, args: &Value) -> Vec<Fault> {
    fit::misfits(args, View::new(kind.schema()))
        .into_iter()
        .map(|misfit| match misfit.kind {
            MisfitKind::Missing { name, doc } => {
                let message = match shown_path(&misfit.path) {
                    path if path.is_empty() => format!("`{}` needs the argument `{name}`", kind.name()),
                    path => format!("`{path}` needs `{name}`"),
                };
                let hint = (!doc.is_empty()).then(|| format!("`{name}`: {}", first_sentence(&doc)));
                Fault { path: misfit.path, at_key: false, message, hint }
            }
            MisfitKind::Unknown { known, .. } => unknown_argument(kind, &misfit.path, &known),
            MisfitKind::Wrong { message, hint } => Fault { path: misfit.path, at_key: false, message, hint },
        })
        .collect()
}

fn unknown_argument(kind: &TaskType, path: &[ArgumentStep], known: &[String]) -> Fault {
    let (name, before) = match path.split_last() {
        Some((ArgumentStep::Key(name), before)) => (name.clone(), before),
        Some((step, before)) => (shown_path(std::slice::from_ref(step)), before),
        None => (String::new(), path),
    };
    let shown = late::escaped(&late::shown(&name));
    let message = match shown_path(before) {
        path if path.is_empty() => format!("`{}` has no argument `{shown}`", kind.name()),
        path => format!("`{path}` has no `{shown}`"),
    };
    let hint = match suggest::nearest(&name, known.iter().map(String::as_str)) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() && before.is_empty() => Some("it takes no arguments".to_owned()),
        None if known.is_empty() => None,
        None => Some(format!("there are {}", listed(known))),
    };
    Fault { path: path.to_vec(), at_key: true, message, hint }
}

/// What the type itself has said.
fn refused(error: ArgumentError) -> Fault {
    let message = late::escaped(&error.message);
    let message = match shown_path(&error.path) {
        path if path.is_empty() => message,
        path => format!("`{path}`: {message}"),
    };
    Fault { path: error.path, at_key: false, message, hint: None }
}

/// The beginning of a doc comment, up to its first full stop, in one line.
pub(super) fn first_sentence(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or(doc).split_whitespace().collect::<Vec<_>>().join(" ");
    let end = paragraph.find(". ").unwrap_or(paragraph.len());
    paragraph[..end].trim_end_matches('.').to_owned()
}
