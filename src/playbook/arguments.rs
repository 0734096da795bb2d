//! The arguments of one task: a job where they fit its type, and otherwise all that does not fit.
//!
//! The type is asked first, and its word counts; its schema has the words for what it has refused.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::argument_path::ArgumentStep;
use super::deferred;
use super::deferred::around;
use super::hocon::Value;
use super::schema::View;
use super::schema_check::{self, TakesText};
use super::task_type::{Decoded, TaskType};
use super::violation::Violation;
use super::violation::ViolationKind;
use crate::job::AnyJob;

/// The job that a task type makes of these arguments, all of which are known.
pub(super) fn read(kind: &TaskType, args: &Value) -> Result<AnyJob, Vec<Violation>> {
    let mut decoded = kind.decode(&args.to_json());
    let mut converted = None;
    if decoded.job.is_err()
        && let Some(better) = schema_check::converted(args, View::new(kind.schema()))
    {
        decoded = kind.decode(&better.to_json());
        converted = Some(better);
    }
    let args = converted.as_ref().unwrap_or(args);
    match decoded {
        Decoded { job: Ok(job), unread } if unread.is_empty() => Ok(job),
        decoded => Err(Prober::new(kind, args, args.to_json()).all(decoded).0),
    }
}

/// What can be said of arguments before all of them are known; the placeholders in them are those that are not. The job is one
/// with other values in their places, and is not there where none can be thought of.
pub(super) fn foresee(kind: &TaskType, args: &Value) -> Result<Option<AnyJob>, Vec<Violation>> {
    let view = View::new(kind.schema());
    let mut probe = with_something(args, view);
    let mut decoded = kind.decode(&probe);
    let mut converted = None;
    if decoded.job.is_err()
        && let Some(better) = schema_check::converted(args, view)
    {
        probe = with_something(&better, view);
        decoded = kind.decode(&probe);
        converted = Some(better);
    }
    match decoded {
        Decoded { job: Ok(job), unread } if unread.is_empty() => Ok(Some(job)),
        decoded => match Prober::new(kind, converted.as_ref().unwrap_or(args), probe).all(decoded) {
            (found, job) if found.is_empty() => Ok(job),
            (found, _) => Err(found),
        },
    }
}

/// The arguments with numbers that are meant as texts as they were written, where that is not how they would be written
/// anyway; `None` where there are none such.
pub(super) fn as_written(
    kind: &TaskType,
    args: &Value,
    written: &mut dyn FnMut(&[ArgumentStep]) -> Option<String>,
) -> Option<Value> {
    let view = View::new(kind.schema());
    let among_others = schema_check::as_written(args, view, TakesText::AmongOthers, written)?;
    let alone = schema_check::as_written(args, view, TakesText::Alone, written);
    if alone.as_ref() == Some(&among_others) {
        return alone;
    }
    // Only a type that takes the number itself, too, is sure to mean the same by the text.
    let takes = |args: &Value| {
        let converted = schema_check::converted(args, view);
        kind.decode(&with_something(converted.as_ref().unwrap_or(args), view)).job.is_ok()
    };
    if takes(alone.as_ref().unwrap_or(args)) && takes(&among_others) { Some(among_others) } else { alone }
}

/// As JSON, with something that fits in place of what is not known.
fn with_something(value: &Value, schema: View<'_>) -> Json {
    fill_with_something(value, schema, &mut Vec::new())
}

/// As deep as the value, which a parser has bounded.
fn fill_with_something(value: &Value, schema: View<'_>, path: &mut Vec<ArgumentStep>) -> Json {
    const SOMETHING: &str = "something";
    let mut within = |step: ArgumentStep, value: &Value| {
        path.push(step);
        let filled = fill_with_something(value, schema, path);
        path.pop();
        filled
    };
    match value {
        Value::Array(values) => {
            let values = values.iter().enumerate();
            Json::Array(values.map(|(index, value)| within(ArgumentStep::Index(index), value)).collect())
        }
        Value::Object(object) => {
            let members = object.iter();
            let members =
                members.map(|(key, value)| (key.clone(), within(ArgumentStep::Key(key.clone()), value)));
            Json::Object(members.collect())
        }
        Value::Template(template) => Json::String(template.with(|_| SOMETHING.to_owned())),
        Value::Unknown(_) | Value::Invalid => {
            schema.below(path).map_or_else(|| SOMETHING.into(), View::something)
        }
        known => known.to_json(),
    }
}

/// A type tells its first problem only. It is asked again and again, with something that fits in the place of all that is
/// known to be wrong.
struct Prober<'k> {
    kind: &'k TaskType,
    /// As they are meant, with placeholders.
    args: &'k Value,
    /// As the type is asked.
    probe: Json,
    /// The arguments that something else stands for.
    replaced: BTreeSet<String>,
    found: Vec<Violation>,
    /// What the schema says is wrong, as long as the type does not seem to mind it.
    suspected: Vec<Violation>,
}

impl<'k> Prober<'k> {
    fn new(kind: &'k TaskType, args: &'k Value, probe: Json) -> Self {
        let (found, suspected) = schema_check::violations(args, View::new(kind.schema()))
            .into_iter()
            .partition(Violation::is_about_key);
        Prober { kind, args, probe, replaced: BTreeSet::new(), found, suspected }
    }

    /// All that is wrong, and the job if it could be made in the end.
    fn all(mut self, first: Decoded) -> (Vec<Violation>, Option<AnyJob>) {
        let mut decoded = first;
        for _ in 0..=2 * self.kind.fields().len() + 2 {
            self.unread(&decoded.unread);
            match decoded.job {
                Ok(job) => return (self.found, Some(job)),
                Err(error) => {
                    if !self.refused(error.path, error.message) {
                        break;
                    }
                }
            }
            decoded = self.again();
        }
        (self.found, None)
    }

    fn unread(&mut self, unread: &[Vec<ArgumentStep>]) {
        for path in unread {
            if !self.found.iter().any(|violation| violation.path == *path) {
                let known = self.kind.fields().iter().map(|field| field.name.clone());
                let known = if path.len() == 1 { known.collect() } else { Vec::new() };
                self.found.push(Violation { path: path.clone(), what: ViolationKind::UnknownKey { known } });
            }
        }
    }

    /// Notes what the type has refused; says whether it is worth asking again.
    fn refused(&mut self, path: Vec<ArgumentStep>, message: String) -> bool {
        let name = match path.first() {
            Some(ArgumentStep::Key(name)) => name.clone(),
            Some(ArgumentStep::Index(_)) => return false,
            // Nobody says which one: what is surely wrong is taken away first, and then what may be.
            None if self.is_any_left() => return true,
            None if !self.suspected.is_empty() => {
                self.found.append(&mut self.suspected);
                return true;
            }
            None => {
                // Of values that are not known nobody can say that they do not go together.
                if self.found.is_empty() && !deferred::roots(self.args).any() {
                    self.found.push(Violation { path, what: ViolationKind::Refused { message } });
                }
                return false;
            }
        };
        let is_known = self.found.iter().any(|violation| violation.path.first() == path.first());
        if self.replaced.contains(&name) {
            return self.is_any_left();
        }
        let suspected = std::mem::take(&mut self.suspected).into_iter();
        let theirs: Vec<Violation>;
        (theirs, self.suspected) = suspected.partition(|violation| violation.path.first() == path.first());
        if !theirs.is_empty() {
            self.found.extend(theirs);
        } else if !is_known && !around(self.args, &path).is_some_and(|value| deferred::roots(value).any()) {
            self.found.push(Violation { path, what: ViolationKind::Refused { message } });
        }
        self.replace(&name);
        true
    }

    /// The arguments that are wrong or missing, and which nothing else stands for yet.
    fn left(&self) -> impl Iterator<Item = &String> {
        let wrong = self.found.iter().filter_map(|violation| match violation.path.first() {
            Some(ArgumentStep::Key(name)) => Some(name),
            _ => None,
        });
        let needed = self.kind.fields().iter().filter(|field| field.required);
        let missing = needed.map(|field| &field.name).filter(|name| self.probe.get(name).is_none());
        wrong.chain(missing).filter(|name| !self.replaced.contains(*name))
    }

    fn is_any_left(&self) -> bool {
        self.left().next().is_some()
    }

    fn again(&mut self) -> Decoded {
        let left: BTreeSet<String> = self.left().cloned().collect();
        left.iter().for_each(|name| self.replace(name));
        self.kind.decode(&self.probe)
    }

    fn replace(&mut self, name: &str) {
        let view = View::new(self.kind.schema());
        let Some(object) = self.probe.as_object_mut() else { return };
        object.remove(name);
        self.replaced.insert(name.to_owned());
        if let Some(property) = view.properties().and_then(|properties| properties.get(name))
            && view.required().any(|required| required == name)
        {
            object.insert(name.to_owned(), view.at(property).something());
        }
    }
}
