//! Names for jobs: the type, and the task's id or a short telling of what it is about; the same in every run, since by its
//! name a job is found again.
//!
//! Knows tasks and their arguments; not how the names are used.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::late;
use super::schema::plain;
use super::task::Task;
use super::task_type::TaskType;

/// A longer telling is cut.
const LONGEST: usize = 60;

/// Gives names, each once.
pub(super) struct Names {
    given: HashSet<Arc<str>>,
    /// What changes from day to day and must not change a name.
    today: Option<String>,
}

/// Which of a task's jobs is to be named.
pub(super) struct Element<'v> {
    pub(super) index: usize,
    pub(super) value: &'v Value,
}

impl Names {
    pub(super) fn new(today: Option<String>) -> Self {
        Names { given: HashSet::new(), today }
    }

    /// The name of a task's job.
    pub(super) fn name(
        &mut self,
        task: &Task,
        kind: &TaskType,
        args: &Value,
        element: Option<&Element<'_>>,
    ) -> Arc<str> {
        let about = match (&task.id, element) {
            (Some(id), None) => id.clone(),
            (Some(id), Some(element)) => format!("{id} ({})", self.telling(element.value, element.index)),
            (None, _) => self.subject(kind, args).unwrap_or_default(),
        };
        let name = if about.is_empty() { kind.name().to_owned() } else { format!("{} {about}", kind.name()) };
        self.unique(name)
    }

    /// The name, with a number behind it where it is taken.
    pub(super) fn unique(&mut self, name: String) -> Arc<str> {
        let mut candidate: Arc<str> = name.as_str().into();
        let mut number = 2;
        while !self.given.insert(candidate.clone()) {
            candidate = format!("{name} #{number}").into();
            number += 1;
        }
        candidate
    }

    /// What a task without an id is about: its first argument that is needed, or the first that is given.
    fn subject(&self, kind: &TaskType, args: &Value) -> Option<String> {
        let fields = kind.fields().iter();
        let mut given = fields.filter_map(|field| args.get(&field.name)).filter(|value| is_tellable(value));
        given.next().map(|value| self.short(&in_words(value)))
    }

    /// What an element of a `for_each` is about.
    fn telling(&self, value: &Value, index: usize) -> String {
        let about = match value {
            Value::Object(object) => {
                let usual = ["name", "id", "key", "path"].into_iter().filter_map(|key| object.get(key));
                usual.chain(object.values()).find(|value| is_tellable(value))
            }
            value => Some(value).filter(|value| is_tellable(value)),
        };
        about.map_or_else(|| (index + 1).to_string(), |value| self.short(&in_words(value)))
    }

    fn short(&self, text: &str) -> String {
        let text = late::shown(text);
        // Tomorrow's job is today's, and owes what that owes.
        let text = match &self.today {
            Some(today) => text.replace(today.as_str(), "TODAY"),
            None => text.into_owned(),
        };
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut chars = one_line.chars();
        let mut short: String = chars.by_ref().take(LONGEST).collect();
        if chars.next().is_some() {
            short.push('…');
        }
        late::escaped(&short)
    }
}

fn is_tellable(value: &Value) -> bool {
    match value {
        Value::Null | Value::Object(_) => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(values) => values.iter().any(|value| !value.is_array() && is_tellable(value)),
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let words = values.iter().filter(|value| !value.is_array() && is_tellable(value)).take(LONGEST);
            words.map(plain).collect::<Vec<_>>().join(" ")
        }
        value => plain(value),
    }
}
