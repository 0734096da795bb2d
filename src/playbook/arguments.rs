//! The arguments of one task: a job where they fit its type, and otherwise all that does not fit.
//!
//! Knows task types and values; neither places nor the rest of the task.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fit::{self, MisfitKind};
use super::late;
use super::look::listed;
use super::schema::View;
use super::task_type::{ArgumentError, ArgumentStep, Decoded, TaskType, shown_path};
use crate::job::AnyJob;
use crate::suggest;

/// What came of arguments that fit.
pub(super) enum Fitting {
    /// The job.
    Job(AnyJob),
    /// Some of them come later; the others fit as far as can be told.
    Later,
}

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The value at the path.
    Value,
    /// The key at the end of the path, which is not known.
    UnknownKey,
    /// A key that the object at the path ought to have.
    MissingKey,
}

/// An argument that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) path: Vec<ArgumentStep>,
    pub(super) about: About,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Says how an argument was written, where that is known.
pub(super) type Written<'w> = dyn FnMut(&[ArgumentStep]) -> Option<String> + 'w;

/// Reads the arguments of a task type. Marks in them are values that are not known yet.
pub(super) fn read(kind: &TaskType, args: &Value, written: &mut Written<'_>) -> Result<Fitting, Vec<Fault>> {
    let waits = late::roots(args);
    if waits.any() {
        return read_open(kind, args, written);
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
fn read_open(kind: &TaskType, args: &Value, written: &mut Written<'_>) -> Result<Fitting, Vec<Fault>> {
    let view = View::new(kind.schema());
    let args = fit::converted(args, view, written).unwrap_or_else(|| args.clone());
    let mut found = from_schema(kind, &args);
    let properties = view.properties().filter(|_| view.get("additionalProperties").is_none());
    if let (Some(known), Some(object)) = (properties, args.as_object()) {
        let unknown = object.keys().filter(|name| !known.contains_key(*name));
        let known: Vec<String> = known.keys().cloned().collect();
        found.extend(unknown.map(|name| unknown_argument(kind, &[ArgumentStep::Key(name.clone())], &known)));
    }
    let waiting = late::marks(&args).into_iter().filter_map(|(path, _)| path.into_iter().next());
    let waiting = waiting.filter_map(|step| match step {
        ArgumentStep::Key(name) => Some(name),
        ArgumentStep::Index(_) => None,
    });
    Probe { kind, args: args.clone(), replaced: waiting.collect() }.ask(&mut found);
    if found.is_empty() { Ok(Fitting::Later) } else { Err(found) }
}

/// All that can be said of arguments that a type has refused.
fn faults(kind: &TaskType, args: Value, decoded: Decoded) -> Vec<Fault> {
    let mut found = from_schema(kind, &args);
    let known: Vec<String> = kind.fields().iter().map(|field| field.name.clone()).collect();
    for path in &decoded.unread {
        if !found.iter().any(|fault| fault.path == *path) {
            found.push(unknown_argument(kind, path, if path.len() == 1 { &known } else { &[] }));
        }
    }
    if let Err(error) = decoded.job {
        let is_told = found.iter().any(|fault| {
            error.path.is_empty()
                || fault.path.starts_with(&error.path)
                || error.path.starts_with(&fault.path)
        });
        if !is_told {
            found.push(refused(error));
        }
    }
    Probe { kind, args, replaced: BTreeSet::new() }.ask(&mut found);
    found
}

/// A type tells its first problem only. It is asked again and again, with something that fits in the place of all that is
/// known to be wrong, or is not known yet.
struct Probe<'k> {
    kind: &'k TaskType,
    args: Value,
    /// The arguments that something else stands for.
    replaced: BTreeSet<String>,
}

impl Probe<'_> {
    fn ask(mut self, found: &mut Vec<Fault>) {
        self.replaced.clone().iter().for_each(|name| self.replace(name));
        let needed = self.kind.fields().iter().filter(|field| field.required);
        let missing: Vec<&str> =
            needed.map(|field| &*field.name).filter(|name| self.args.get(name).is_none()).collect();
        missing.into_iter().for_each(|name| self.replace(name));
        for _ in 0..=self.kind.fields().len() {
            for fault in found.iter() {
                match fault.path.first() {
                    Some(ArgumentStep::Key(name)) => self.replace(name),
                    _ if fault.about == About::MissingKey => {}
                    // What is wrong with all of them together cannot be repaired one by one.
                    _ => return,
                }
            }
            let Err(error) = self.kind.decode(&self.args).job else { return };
            match error.path.first() {
                Some(ArgumentStep::Key(name)) if !self.replaced.contains(name) => found.push(refused(error)),
                _ => return,
            }
        }
    }

    fn replace(&mut self, name: &str) {
        let view = View::new(self.kind.schema());
        let Some(object) = self.args.as_object_mut() else { return };
        object.remove(name);
        self.replaced.insert(name.to_owned());
        if let Some(property) = view.properties().and_then(|properties| properties.get(name))
            && view.required().any(|required| required == name)
        {
            object.insert(name.to_owned(), view.at(property).something());
        }
    }
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
                Fault { path: misfit.path, about: About::MissingKey, message, hint }
            }
            MisfitKind::Unknown { known, .. } => unknown_argument(kind, &misfit.path, &known),
            MisfitKind::Wrong { message, hint } => {
                Fault { path: misfit.path, about: About::Value, message, hint }
            }
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
        None if before.is_empty() => Some(format!("its arguments are {}", listed(known))),
        None => Some(format!("there are {}", listed(known))),
    };
    Fault { path: path.to_vec(), about: About::UnknownKey, message, hint }
}

/// What the type itself has said.
fn refused(error: ArgumentError) -> Fault {
    let message = late::escaped(&error.message);
    let message = match shown_path(&error.path) {
        path if path.is_empty() => message,
        path => format!("`{path}`: {message}"),
    };
    Fault { path: error.path, about: About::Value, message, hint: None }
}

/// The beginning of a doc comment, up to its first full stop, in one line.
pub(super) fn first_sentence(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or(doc).split_whitespace().collect::<Vec<_>>().join(" ");
    let end = paragraph.find(". ").unwrap_or(paragraph.len());
    paragraph[..end].trim_end_matches('.').to_owned()
}
