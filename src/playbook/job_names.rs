//! Names for jobs: the type, and the task's id or a short telling of what it is about; the same in every run, since by its
//! name a job is found again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::deferred;
use super::hocon::Value;
use super::prose::escaped;
use super::task::Task;
use super::task_type::TaskType;
use crate::secret::without_passwords;

/// A longer telling is cut.
const LONGEST: usize = 60;
/// What the second of a name has behind it.
const SECOND: usize = 2;

/// Gives names, each once.
pub(super) struct JobNames {
    /// Each name, with the number that the next of its kind gets at the least.
    given: HashMap<Arc<str>, usize>,
    /// How many names were made to find these, for the tests of growth.
    #[cfg(test)]
    made: usize,
    /// What changes from day to day and must not change a name.
    today: Option<String>,
}

/// Which of a task's jobs is to be named.
pub(super) struct Element<'v> {
    pub(super) index: usize,
    pub(super) value: &'v Value,
}

impl JobNames {
    pub(super) fn new(today: Option<String>) -> Self {
        JobNames {
            given: HashMap::new(),
            #[cfg(test)]
            made: 0,
            today,
        }
    }

    /// The name of a task's job.
    pub(super) fn name(
        &mut self,
        task: &Task,
        kind: &TaskType,
        args: &Value,
        element: Option<&Element<'_>>,
    ) -> Arc<str> {
        let (about, is_of_element) = match &task.id {
            Some(id) => (self.without_today(&without_passwords(id)).into_owned(), false),
            None => self.subject(task, kind, args),
        };
        let about = match element.filter(|_| !is_of_element) {
            Some(element) => format!("{about} ({})", self.telling(element.value, element.index)),
            None => about,
        };
        let about = about.trim_start();
        let name = if about.is_empty() { kind.name().to_owned() } else { format!("{} {about}", kind.name()) };
        self.unique(name)
    }

    /// The name, with a number behind it where it is taken.
    pub(super) fn unique(&mut self, name: String) -> Arc<str> {
        let mut candidate: Arc<str> = name.as_str().into();
        self.made();
        let mut number = match self.given.entry(candidate.clone()) {
            Entry::Vacant(free) => {
                free.insert(SECOND);
                return candidate;
            }
            Entry::Occupied(taken) => *taken.get(),
        };
        // Another task may be called `x #2` by its own id.
        while self.given.contains_key(&candidate) {
            self.made();
            candidate = format!("{name} #{number}").into();
            number += 1;
        }
        self.given.insert(name.into(), number);
        self.given.insert(candidate.clone(), SECOND);
        candidate
    }

    fn made(&mut self) {
        #[cfg(test)]
        {
            self.made += 1;
        }
    }

    /// What a task without an id is about: its first argument that is needed, or the first that is given; and whether
    /// that comes from the element.
    fn subject(&self, task: &Task, kind: &TaskType, args: &Value) -> (String, bool) {
        let fields = kind.fields().iter();
        let mut given = fields.filter_map(|field| Some((field, args.get(&field.name)?)));
        let Some((field, value)) = given.find(|(_, value)| is_tellable(value)) else {
            return (String::new(), false);
        };
        let written = task.args.get(&field.name).or(task.r#become.as_ref());
        (self.short(&in_words(value)), written.is_some_and(|written| deferred::roots(written).item))
    }

    /// What an element of a `for_each` is about.
    fn telling(&self, value: &Value, index: usize) -> String {
        let about = match value {
            Value::Object(object) => {
                let usual = ["name", "id", "key", "path"].into_iter().filter_map(|key| object.get(key));
                // In the order of the alphabet, so that a name does not depend on the order in which keys were written.
                let mut others: Vec<(&String, &Value)> = object.iter().collect();
                others.sort_unstable_by_key(|(key, _)| *key);
                usual.chain(others.into_iter().map(|(_, value)| value)).find(|value| is_tellable(value))
            }
            value => Some(value).filter(|value| is_tellable(value)),
        };
        about.map_or_else(|| (index + 1).to_string(), |value| self.short(&in_words(value)))
    }

    fn short(&self, text: &str) -> String {
        // Before anything is cut, which would leave a part of one.
        let text = without_passwords(text);
        let text = self.without_today(&text);
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut chars = one_line.chars();
        let mut short: String = chars.by_ref().take(LONGEST).collect();
        if chars.next().is_some() {
            short.push('…');
        }
        escaped(&short)
    }

    /// Tomorrow's job is today's, and owes what that owes.
    fn without_today<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.today {
            Some(today) if text.contains(today.as_str()) => Cow::Owned(text.replace(today.as_str(), "TODAY")),
            _ => Cow::Borrowed(text),
        }
    }
}

fn is_tellable(value: &Value) -> bool {
    match value {
        Value::Null | Value::Object(_) => false,
        Value::Bool(_) | Value::Number(_) | Value::Unknown(_) | Value::Template(_) | Value::Invalid => true,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(values) => values.iter().any(|value| !value.is_array() && is_tellable(value)),
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let words = values.iter().filter(|value| !value.is_array() && is_tellable(value)).take(LONGEST);
            words.map(Value::plain).collect::<Vec<_>>().join(" ")
        }
        value => value.plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_numbered_around_those_that_are_taken() {
        let mut names = JobNames::new(None);
        let given =
            ["a", "a #3", "a", "a", "a #2", "a"].map(|name| names.unique(name.to_owned()).to_string());
        assert_eq!(given, ["a", "a #3", "a #2", "a #4", "a #2 #2", "a #5"]);
    }

    #[test]
    fn many_equal_names_take_no_more_work_each_than_few() {
        let made = |count: usize| {
            let mut names = JobNames::new(None);
            (0..count).for_each(|_| drop(names.unique("x".to_owned())));
            names.made
        };
        assert!(made(4_000) <= 4 * made(1_000) + 4, "{} and {}", made(1_000), made(4_000));
    }
}
