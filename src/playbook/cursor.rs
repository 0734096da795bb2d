//! Looking at a part of a playbook: its value, the way there, and the problems found on it.

use serde_json::Number;

use super::hocon::Map;
use super::hocon::Value;
use super::hocon::{Places, Step};
use super::prose::{described, escaped, listed};
use crate::diagnostic::{Place, Problem};
use crate::suggest;

/// The way to a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'w> {
    before: Option<&'w Way<'w>>,
    step: Option<Step<'w>>,
}

impl<'w> Way<'w> {
    pub(super) const ROOT: Way<'static> = Way { before: None, step: None };

    pub(super) fn then(&'w self, step: Step<'w>) -> Way<'w> {
        Way { before: Some(self), step: Some(step) }
    }

    pub(super) fn steps(&self) -> Vec<Step<'w>> {
        let mut steps: Vec<Step<'w>> = self.step.into_iter().collect();
        let mut here = self.before;
        while let Some(way) = here {
            steps.extend(way.step);
            here = way.before;
        }
        steps.reverse();
        steps
    }
}

/// A cursor on a value.
pub(super) struct Cursor<'a, 'p> {
    value: &'a Value,
    way: Way<'a>,
    places: &'a Places,
    problems: &'p mut Vec<Problem>,
}

impl<'a, 'p> Cursor<'a, 'p> {
    /// On all of a playbook.
    pub(super) fn root(value: &'a Value, places: &'a Places, problems: &'p mut Vec<Problem>) -> Self {
        Cursor { value, way: Way::ROOT, places, problems }
    }

    pub(super) fn key<'b>(&'b mut self, key: &'b str, value: &'b Value) -> Cursor<'b, 'b>
    where
        'a: 'b,
    {
        self.step(Step::Key(key), value)
    }

    pub(super) fn index<'b>(&'b mut self, index: usize, value: &'b Value) -> Cursor<'b, 'b>
    where
        'a: 'b,
    {
        self.step(Step::Index(index), value)
    }

    fn step<'b>(&'b mut self, step: Step<'b>, value: &'b Value) -> Cursor<'b, 'b>
    where
        'a: 'b,
    {
        Cursor { value, way: self.way.then(step), places: self.places, problems: self.problems }
    }

    /// What `read` makes of the value under `key`, where there is one.
    pub(super) fn within<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Cursor<'_, '_>) -> T,
    ) -> Option<T> {
        let value = self.value.as_object()?.get(key)?;
        Some(read(&mut self.key(key, value)))
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.places.near(&self.way.steps())
    }

    pub(super) fn key_place(&self) -> Option<Place> {
        let steps = self.way.steps();
        self.places.of_key(&steps).or_else(|| self.places.near(&steps))
    }

    /// A problem at the value.
    pub(super) fn problem(&mut self, message: impl Into<String>, hint: Option<String>) {
        if matches!(self.value, Value::Invalid) {
            return;
        }
        let place = self.place();
        self.problems.push(Problem { place, message: message.into(), hint });
    }

    /// A problem at the key.
    pub(super) fn problem_at_key(&mut self, message: impl Into<String>, hint: Option<String>) {
        let place = self.key_place();
        self.problems.push(Problem { place, message: message.into(), hint });
    }

    /// The last key on the way here, and what comes behind it, for messages.
    fn name(&self) -> String {
        let steps = self.way.steps();
        let last = steps.iter().rposition(|step| matches!(step, Step::Key(_))).unwrap_or(0);
        let steps = steps.iter().skip(last).map(|step| match step {
            Step::Key(key) => escaped(key),
            Step::Index(index) => format!("[{index}]"),
        });
        steps.collect()
    }

    /// Something else is wanted here.
    pub(super) fn expected(&mut self, expected: &str, hint: Option<String>) {
        if matches!(self.value, Value::Unknown(_) | Value::Template(_)) {
            return self.not_known();
        }
        let message = format!("`{}` is {}, expected {expected}", self.name(), described(self.value));
        self.problem(message, hint);
    }

    /// What `read` makes of this, whose text nobody is to see: problems have their place in words, and no line.
    pub(super) fn unseen<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.problems.len();
        let result = read(self);
        for problem in &mut self.problems[before..] {
            if let Some(place) = problem.place.take() {
                problem.message.push_str(&format!(" (at {place})"));
            }
        }
        result
    }

    /// What stands here comes later than it is needed.
    fn not_known(&mut self) {
        let shown = self.value.plain();
        let hint = "such values can be used in `args` (and `${facts.…}` everywhere)".to_owned();
        self.problem(format!("`{shown}` is not known here"), Some(hint));
    }

    pub(super) fn object(&mut self) -> Option<&'a Map> {
        let object = self.value.as_object();
        if object.is_none() {
            self.expected("an object", None);
        }
        object
    }

    pub(super) fn list(&mut self) -> Option<&'a Vec<Value>> {
        let list = self.value.as_array();
        if list.is_none() {
            self.expected("a list", None);
        }
        list
    }

    /// A text; a number or a truth value is one, too, as in all HOCON. It may not wait for anything.
    pub(super) fn text(&mut self, expected: &str) -> Option<String> {
        match self.value {
            Value::Unknown(_) | Value::Template(_) => {
                self.not_known();
                None
            }
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => {
                let written = written(self.places, &self.way.steps(), number);
                Some(written.unwrap_or_else(|| number.to_string()))
            }
            Value::Bool(_) => Some(self.value.to_string()),
            _ => {
                self.expected(expected, None);
                None
            }
        }
    }

    /// A text, or a list of strings.
    pub(super) fn texts(&mut self, expected: &str) -> Option<Vec<String>> {
        let Value::Array(values) = self.value else { return self.text(expected).map(|text| vec![text]) };
        let texts: Vec<Option<String>> = values
            .iter()
            .enumerate()
            .map(|(index, value)| self.index(index, value).text("a string"))
            .collect();
        texts.into_iter().collect()
    }

    /// Reports keys that are not among the known ones, and says whether there are any; `of`: what has keys.
    pub(super) fn unknown_keys(&mut self, known: &[&str], of: &str) -> bool {
        let Some(object) = self.value.as_object() else { return false };
        let before = self.problems.len();
        for (key, value) in object.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let near = suggest::nearest(key, known.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{of} has {}", listed(known)),
            };
            let message = format!("{of} has no `{}`", escaped(key));
            self.key(key, value).problem_at_key(message, Some(hint));
        }
        self.problems.len() > before
    }
}

/// The number at a path as it was written, where somebody may write it in another way: `1.10` for 1.1, or `1.0`.
pub(super) fn written(places: &Places, path: &[Step<'_>], number: &Number) -> Option<String> {
    let written = places.written(path)?;
    // What was put there from elsewhere may have another value.
    let is_same = match number.as_i64() {
        Some(whole) => written.parse() == Ok(whole),
        None => written.parse().ok() == number.as_f64(),
    };
    (is_same && (number.is_f64() || written != number.to_string())).then(|| written.to_owned())
}
