//! Substitutions that HOCON cannot resolve, since their values come later: `${item}` of a `for_each`, `${results.…}` of
//! tasks that have run, `${secrets.…}`, and `${facts.…}` of the machine.
//!
//! Where HOCON is resolved, [`mark`] puts a text of private characters in the place of each of them. Such a text goes
//! through concatenation, merging and other substitutions as any text does, and is filled in when its value is known.
//! Knows values; not what stands behind the names.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::task_type::ArgumentStep;

/// The first names of such substitutions.
pub(super) const NAMES: [&str; 4] = ["item", "results", "secrets", "facts"];

/// Begins a mark; no text for people has it.
const BEGIN: char = '\u{F0000}';
/// Ends a mark.
const END: char = '\u{F0001}';
/// Between the names of its path.
const NEXT: char = '\u{F0002}';
/// Behind the begin of one that may be missing.
const OPTIONAL: char = '\u{F0003}';

/// The text that stands for a substitution until its value is known.
pub(super) fn mark<N: AsRef<str>>(path: &[N], is_optional: bool) -> String {
    let mut mark = String::from(BEGIN);
    mark.extend(is_optional.then_some(OPTIONAL));
    for (index, name) in path.iter().enumerate() {
        mark.extend((index > 0).then_some(NEXT));
        mark.push_str(name.as_ref());
    }
    mark.push(END);
    mark
}

/// A value that comes later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// `results`, and what follows.
    pub(super) path: Vec<String>,
    /// Written as `${?…}`: it may be missing.
    pub(super) is_optional: bool,
}

impl Mark {
    fn new(inner: &str) -> Self {
        let (inner, is_optional) = inner.strip_prefix(OPTIONAL).map_or((inner, false), |inner| (inner, true));
        Mark { path: inner.split(NEXT).map(str::to_owned).collect(), is_optional }
    }

    /// The first name.
    pub(super) fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// As it was written.
    pub(super) fn shown(&self) -> String {
        format!("${{{}{}}}", if self.is_optional { "?" } else { "" }, self.path.join("."))
    }
}

/// A part of a text.
enum Part<'t> {
    Text(&'t str),
    Mark(Mark),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        if at > 0 {
            parts.push(Part::Text(&rest[..at]));
        }
        rest = &rest[at + BEGIN.len_utf8()..];
        let (inner, after) = rest.split_once(END).unwrap_or((rest, ""));
        parts.push(Part::Mark(Mark::new(inner)));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

fn has_mark(text: &str) -> bool {
    // The first byte of the private characters, which hardly any text has, is found much sooner than one of them.
    text.as_bytes().contains(&0xF3) && text.contains(BEGIN)
}

/// Whether the value is nothing but a mark, so that its kind is not known.
pub(super) fn is_open(value: &Value) -> bool {
    let Value::String(text) = value else { return false };
    has_mark(text) && matches!(parts(text).as_slice(), [Part::Mark(_)])
}

/// The first names of all marks in a value.
pub(super) fn roots(value: &Value) -> Roots {
    let mut roots = Roots::default();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => roots.add(text),
            Value::Array(values) => open.extend(values),
            Value::Object(object) => {
                open.extend(object.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    roots
}

/// What the marks of a value wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots {
    pub(super) item: bool,
    pub(super) results: bool,
    pub(super) secrets: bool,
    pub(super) facts: bool,
}

impl Roots {
    fn add(&mut self, text: &str) {
        if !has_mark(text) {
            return;
        }
        for part in parts(text) {
            if let Part::Mark(mark) = part {
                match mark.root() {
                    "item" => self.item = true,
                    "results" => self.results = true,
                    "secrets" => self.secrets = true,
                    _ => self.facts = true,
                }
            }
        }
    }

    pub(super) fn any(self) -> bool {
        self != Roots::default()
    }
}

/// All marks in a value, each with the way to the text that it is in.
pub(super) fn marks(value: &Value) -> Vec<(Vec<ArgumentStep>, Mark)> {
    let mut found = Vec::new();
    let mut nobody = |path: &[ArgumentStep], mark: &Mark| {
        found.push((path.to_vec(), mark.clone()));
        Ok(Filled::Later)
    };
    fill(value, &mut nobody, &mut Vec::new());
    found
}

/// What is known of a mark's value.
pub(super) enum Filled {
    /// It is there.
    Now(Value),
    /// It is still to come.
    Later,
    /// There is none.
    Missing,
}

/// Why a mark cannot be filled in.
#[derive(Debug, PartialEq)]
pub(super) struct Unfilled {
    pub(super) path: Vec<ArgumentStep>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Unfilled {
    pub(super) fn new(path: &[ArgumentStep], message: impl Into<String>) -> Self {
        Unfilled { path: path.to_vec(), message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// Says what is known of a mark at this path.
pub(super) type Filler<'f> = dyn FnMut(&[ArgumentStep], &Mark) -> Result<Filled, Unfilled> + 'f;

/// The value with what is known of its marks filled in; what cannot be is noted. A value that is missing and may be is
/// left out of its object or list, or is an empty part of its text.
pub(super) fn fill(value: &Value, filler: &mut Filler<'_>, unfilled: &mut Vec<Unfilled>) -> Value {
    let mut filling = Filling { filler, unfilled, path: Vec::new() };
    filling.value(value).unwrap_or(Value::Null)
}

struct Filling<'a, 'f> {
    filler: &'a mut Filler<'f>,
    unfilled: &'a mut Vec<Unfilled>,
    path: Vec<ArgumentStep>,
}

impl Filling<'_, '_> {
    /// As deep as the value, which a parser has bounded.
    fn value(&mut self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) if has_mark(text) => return self.text(text),
            Value::Array(values) => {
                let mut filled = Vec::with_capacity(values.len());
                for (index, value) in values.iter().enumerate() {
                    filled.extend(self.within(ArgumentStep::Index(index), value));
                }
                Value::Array(filled)
            }
            Value::Object(object) => {
                let mut filled = Map::new();
                for (key, value) in object {
                    if let Some(value) = self.within(ArgumentStep::Key(key.clone()), value) {
                        filled.insert(key.clone(), value);
                    }
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }

    fn within(&mut self, step: ArgumentStep, value: &Value) -> Option<Value> {
        self.path.push(step);
        let filled = self.value(value);
        self.path.pop();
        filled
    }

    fn text(&mut self, text: &str) -> Option<Value> {
        let parts = parts(text);
        if let [Part::Mark(mark)] = parts.as_slice() {
            return match self.ask(mark) {
                Some(Filled::Now(value)) => Some(value),
                Some(Filled::Later) => Some(Value::String(text.to_owned())),
                Some(Filled::Missing) | None => None,
            };
        }
        let mut filled = String::with_capacity(text.len());
        for part in &parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Mark(mark) => match self.ask(mark) {
                    Some(Filled::Now(Value::String(text))) => filled.push_str(&text),
                    Some(Filled::Now(value @ (Value::Number(_) | Value::Bool(_)))) => {
                        let _ = write!(filled, "{value}");
                    }
                    Some(Filled::Now(value)) => {
                        let message =
                            format!("`{}` is {} and cannot be part of a text", mark.shown(), kind(&value));
                        self.unfilled.push(Unfilled::new(&self.path, message));
                    }
                    Some(Filled::Later) => filled.push_str(&self::mark(&mark.path, mark.is_optional)),
                    Some(Filled::Missing) | None => {}
                },
            }
        }
        Some(Value::String(filled))
    }

    fn ask(&mut self, mark: &Mark) -> Option<Filled> {
        match (self.filler)(&self.path, mark) {
            Ok(Filled::Missing) if !mark.is_optional => {
                let message = format!("`{}` has no value", mark.shown());
                self.unfilled.push(Unfilled::new(&self.path, message));
                None
            }
            Ok(filled) => Some(filled),
            Err(why) => {
                self.unfilled.push(why);
                None
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "a value",
    }
}

/// A text with its marks as they were written.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !has_mark(text) {
        return Cow::Borrowed(text);
    }
    let shown = parts(text).into_iter().map(|part| match part {
        Part::Text(text) => Cow::Borrowed(text),
        Part::Mark(mark) => Cow::Owned(mark.shown()),
    });
    Cow::Owned(shown.collect())
}

/// A text in one line, without control characters.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            escaped.extend(c.escape_debug());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// What is below `value` at the end of a path; `None` where there is nothing.
pub(super) fn below<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(object) => object.get(name),
        Value::Array(values) => name.parse::<usize>().ok().and_then(|index| values.get(index)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::hocon::{Entry, Settings, load};

    fn parsed(text: &str) -> Value {
        let entry = Entry::Text { name: "text".to_owned(), text: text.as_bytes().to_vec() };
        let settings = Settings { late: NAMES.map(str::to_owned).to_vec(), ..Settings::default() };
        load(&entry, &settings).unwrap().value
    }

    fn filled(value: &Value) -> (Value, Vec<String>) {
        let mut why = Vec::new();
        let mut filler = |_: &[ArgumentStep], mark: &Mark| {
            Ok(match (mark.root(), mark.path.get(1).map(String::as_str)) {
                ("item", None) => Filled::Now(json!({ "name": "ann" })),
                ("item", Some("name")) => Filled::Now(json!("ann")),
                ("facts", _) => Filled::Now(json!(4)),
                ("results", _) => Filled::Later,
                _ => Filled::Missing,
            })
        };
        let value = fill(value, &mut filler, &mut why);
        (value, why.into_iter().map(|why| why.message).collect())
    }

    #[test]
    fn marks_go_through_hocon_and_are_filled_in() {
        let value = parsed(
            "a = ${item}, b = /users/${item.name}/x${facts.cpus}, c = ${?item.b}, d = [${?item.b}, 1]",
        );
        let (value, why) = filled(&value);
        assert_eq!(value, json!({ "a": { "name": "ann" }, "b": "/users/ann/x4", "d": [1] }));
        assert!(why.is_empty());
    }

    #[test]
    fn what_comes_later_stays_a_mark() {
        let (value, _) = filled(&parsed("a = \"x\" ${results.r.size}, b = \"${item}\""));
        assert_eq!(shown(value["a"].as_str().unwrap()), "x ${results.r.size}");
        assert_eq!(value["b"], "${item}", "a quoted text is left alone");
        assert!(roots(&value).results && !roots(&value).item);
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        let (_, why) = filled(&parsed("a = x${item}, b = ${item.nick}"));
        assert_eq!(
            why,
            ["`${item}` is an object and cannot be part of a text", "`${item.nick}` has no value"]
        );
    }
}
