//! Substitutions that HOCON cannot resolve, since their values come later: `${item}` of a `for_each`, `${results.…}` of
//! tasks that have run, `${secrets.…}`, and `${facts.…}` of the machine.
//!
//! Where HOCON is resolved, [`placeholder`] puts a text of private characters in the place of each of them. Such a text goes
//! through concatenation, merging and other substitutions as any text does, and is filled in when its value is known:
//! facts first, then elements, which may have placeholders of their own, and results and secrets last. What is filled in last
//! is data, and nobody looks for placeholders in it; a fact that has such characters is refused. Knows values, and how the
//! placeholders are written; not what stands behind the names, nor what a value is for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::argument_path::ArgumentStep;

/// The first names of such substitutions.
pub(super) const NAMES: [&str; 4] = ["item", "results", "secrets", "facts"];

/// The name of what a problem was reported for already: it never gets a value, and no other problem is seen in it.
const UNDEFINED: &str = "undefined";

/// Begins a placeholder; no text for people has it.
const BEGIN: char = '\u{F0000}';
/// Ends a placeholder.
const END: char = '\u{F0001}';
/// Between the names of its path.
const NEXT: char = '\u{F0002}';
/// Behind the begin of one that may be missing.
const OPTIONAL: char = '\u{F0003}';

/// The text that stands for a substitution until its value is known.
pub(super) fn placeholder<N: AsRef<str>>(path: &[N], is_optional: bool) -> String {
    let mut placeholder = String::from(BEGIN);
    placeholder.extend(is_optional.then_some(OPTIONAL));
    for (index, name) in path.iter().enumerate() {
        placeholder.extend((index > 0).then_some(NEXT));
        placeholder.push_str(name.as_ref());
    }
    placeholder.push(END);
    placeholder
}

/// The text in the place of a value that is wrong, which was reported.
pub(super) fn undefined() -> String {
    placeholder(&[UNDEFINED], false)
}

/// Whether a value is wrong, which was reported.
pub(super) fn is_undefined(value: &Value) -> bool {
    open(value).is_some_and(|placeholder| placeholder.path == [UNDEFINED])
}

/// A value that comes later.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placeholder {
    /// `results`, and what follows.
    pub(super) path: Vec<String>,
    /// Written as `${?…}`: it may be missing.
    pub(super) is_optional: bool,
}

impl Placeholder {
    fn new(inner: &str) -> Self {
        let (inner, is_optional) = inner.strip_prefix(OPTIONAL).map_or((inner, false), |inner| (inner, true));
        Placeholder { path: inner.split(NEXT).map(str::to_owned).collect(), is_optional }
    }

    /// The first name.
    pub(super) fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// As it is written.
    pub(super) fn shown(&self) -> String {
        format!("${{{}{}}}", if self.is_optional { "?" } else { "" }, quoted(&self.path))
    }

    /// The name of the secret that it stands for.
    pub(super) fn secret(&self) -> Option<&String> {
        match self.path.as_slice() {
            [root, name] if root == "secrets" => Some(name),
            _ => None,
        }
    }

    fn text(&self) -> String {
        placeholder(&self.path, self.is_optional)
    }
}

/// A path as it is written: a name that would be taken for several stands in quotes.
pub(super) fn quoted<N: AsRef<str>>(path: &[N]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-/".contains(c);
    let names =
        path.iter().map(AsRef::as_ref).map(|name| match !name.is_empty() && name.chars().all(plain) {
            true => name.to_owned(),
            false => Value::from(name).to_string(),
        });
    names.collect::<Vec<_>>().join(".")
}

/// A part of a text.
enum Part<'t> {
    Text(&'t str),
    Placeholder(Placeholder),
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
        parts.push(Part::Placeholder(Placeholder::new(inner)));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// A text for people: each placeholder as it is written, those of secrets as `mask`.
pub(super) fn masked(text: &str, mask: &str) -> String {
    let parts = parts(text).into_iter().map(|part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Placeholder(placeholder) if placeholder.root() == "secrets" => mask.to_owned(),
        Part::Placeholder(placeholder) => placeholder.shown(),
    });
    parts.collect()
}

/// Whether there is a placeholder in a text.
pub(super) fn has_placeholder(text: &str) -> bool {
    // The first byte of the private characters, which hardly any text has, is found much sooner than one of them.
    text.as_bytes().contains(&0xF3) && text.contains(BEGIN)
}

/// The placeholder that is all of a value, so that its kind is not known.
pub(super) fn open(value: &Value) -> Option<Placeholder> {
    let Value::String(text) = value else { return None };
    if !has_placeholder(text) {
        return None;
    }
    match <[Part<'_>; 1]>::try_from(parts(text)) {
        Ok([Part::Placeholder(placeholder)]) => Some(placeholder),
        _ => None,
    }
}

/// Whether the value is nothing but a placeholder.
pub(super) fn is_open(value: &Value) -> bool {
    open(value).is_some()
}

/// The first names of all placeholders in a value.
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

/// What the placeholders of a value wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots {
    pub(super) item: bool,
    pub(super) results: bool,
    pub(super) secrets: bool,
    pub(super) facts: bool,
}

impl Roots {
    fn add(&mut self, text: &str) {
        if !has_placeholder(text) {
            return;
        }
        for part in parts(text) {
            if let Part::Placeholder(placeholder) = part {
                match placeholder.root() {
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

    /// Those of either.
    pub(super) fn and(self, other: Roots) -> Roots {
        Roots {
            item: self.item || other.item,
            results: self.results || other.results,
            secrets: self.secrets || other.secrets,
            facts: self.facts || other.facts,
        }
    }
}

/// All placeholders in a value, each with the way to the text that it is in.
pub(super) fn placeholders(value: &Value) -> Vec<(Vec<ArgumentStep>, Placeholder)> {
    let mut found = Vec::new();
    let mut nobody = |path: &[ArgumentStep], placeholder: &Placeholder| {
        found.push((path.to_vec(), placeholder.clone()));
        Ok(Filled::Later)
    };
    fill(value, &mut nobody, &mut Vec::new());
    found
}

/// What is known of a placeholder's value.
pub(super) enum Filled {
    /// It is there.
    Now(Value),
    /// It is there, and within text it is what was written for it: `1.10` for the number 1.1.
    Written(Value, String),
    /// It is still to come.
    Later,
    /// There is none.
    Missing,
}

/// Why a placeholder cannot be filled in.
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

/// Says what is known of a placeholder at this path.
pub(super) type Filler<'f> = dyn FnMut(&[ArgumentStep], &Placeholder) -> Result<Filled, Unfilled> + 'f;

/// The value with what is known of its placeholders filled in; what cannot be is noted. A value that is missing and may be is
/// left out of its object or list, or is an empty part of its text.
pub(super) fn fill(value: &Value, filler: &mut Filler<'_>, unfilled: &mut Vec<Unfilled>) -> Value {
    fill_and_note(value, filler, unfilled).0
}

/// As [`fill`], with what stands elsewhere now.
pub(super) fn fill_and_note(
    value: &Value,
    filler: &mut Filler<'_>,
    unfilled: &mut Vec<Unfilled>,
) -> (Value, ShiftedIndices) {
    let mut filling =
        Filling { filler, unfilled, path: Vec::new(), filled: Vec::new(), moved: ShiftedIndices::default() };
    let value = filling.value(value).unwrap_or(Value::Null);
    (value, filling.moved)
}

/// Which entries of lists stand elsewhere than before they were filled in, since others were left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ShiftedIndices {
    /// By the path of a list as it is now: of each entry, which one it was.
    lists: HashMap<Vec<ArgumentStep>, Vec<usize>>,
}

impl ShiftedIndices {
    /// The path that something had before.
    pub(super) fn before(&self, path: &[ArgumentStep]) -> Vec<ArgumentStep> {
        if self.lists.is_empty() {
            return path.to_vec();
        }
        let step = |(at, step): (usize, &ArgumentStep)| match step {
            ArgumentStep::Index(index) => {
                let before = self.lists.get(&path[..at]).and_then(|before| before.get(*index));
                ArgumentStep::Index(before.copied().unwrap_or(*index))
            }
            key => key.clone(),
        };
        path.iter().enumerate().map(step).collect()
    }
}

struct Filling<'a, 'f> {
    filler: &'a mut Filler<'f>,
    unfilled: &'a mut Vec<Unfilled>,
    /// Where we are.
    path: Vec<ArgumentStep>,
    /// Where that is in what comes out.
    filled: Vec<ArgumentStep>,
    moved: ShiftedIndices,
}

impl Filling<'_, '_> {
    /// As deep as the value, which a parser has bounded.
    fn value(&mut self, value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) if has_placeholder(text) => return self.text(text),
            Value::Array(values) => {
                let mut filled = Vec::with_capacity(values.len());
                let mut kept = Vec::new();
                for (index, value) in values.iter().enumerate() {
                    let (before, now) = (ArgumentStep::Index(index), ArgumentStep::Index(filled.len()));
                    let Some(value) = self.within(before, now, value) else {
                        if filled.len() == index {
                            kept.extend(0..index);
                        }
                        continue;
                    };
                    if filled.len() < index {
                        kept.push(index);
                    }
                    filled.push(value);
                }
                if filled.len() < values.len() {
                    self.moved.lists.insert(self.filled.clone(), kept);
                }
                Value::Array(filled)
            }
            Value::Object(object) => {
                let mut filled = Map::new();
                for (key, value) in object {
                    let step = ArgumentStep::Key(key.clone());
                    if let Some(value) = self.within(step.clone(), step, value) {
                        filled.insert(key.clone(), value);
                    }
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }

    fn within(&mut self, step: ArgumentStep, now: ArgumentStep, value: &Value) -> Option<Value> {
        self.path.push(step);
        self.filled.push(now);
        let filled = self.value(value);
        self.path.pop();
        self.filled.pop();
        filled
    }

    fn text(&mut self, text: &str) -> Option<Value> {
        let parts = parts(text);
        if let [Part::Placeholder(placeholder)] = parts.as_slice() {
            return match self.ask(placeholder) {
                Some(Filled::Now(value) | Filled::Written(value, _)) => Some(value),
                Some(Filled::Later) => Some(Value::String(text.to_owned())),
                Some(Filled::Missing) | None => None,
            };
        }
        let mut filled = String::with_capacity(text.len());
        for part in &parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Placeholder(placeholder) => match self.ask(placeholder) {
                    Some(Filled::Now(Value::String(text)) | Filled::Written(_, text)) => {
                        filled.push_str(&text);
                    }
                    Some(Filled::Now(value @ (Value::Number(_) | Value::Bool(_)))) => {
                        let _ = write!(filled, "{value}");
                    }
                    Some(Filled::Now(value)) => {
                        let message = format!(
                            "`{}` is {} and cannot be part of a string",
                            placeholder.shown(),
                            kind(&value)
                        );
                        self.unfilled.push(Unfilled::new(&self.path, message));
                    }
                    Some(Filled::Later) => filled.push_str(&placeholder.text()),
                    Some(Filled::Missing) | None => {}
                },
            }
        }
        Some(Value::String(filled))
    }

    fn ask(&mut self, placeholder: &Placeholder) -> Option<Filled> {
        match (self.filler)(&self.path, placeholder) {
            Ok(Filled::Missing) if !placeholder.is_optional => {
                let message = format!("`{}` has no value", placeholder.shown());
                self.unfilled.push(Unfilled::new(&self.path, message));
                None
            }
            // Others are filled in after this, and what a machine tells of itself must not be taken for them.
            Ok(Filled::Now(value)) if placeholder.root() == "facts" && roots(&value).any() => {
                let message = format!(
                    "`{}` has the character U+{:X}, which a playbook cannot take",
                    placeholder.shown(),
                    u32::from(BEGIN)
                );
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

/// A text with its placeholders as they were written.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if !has_placeholder(text) {
        return Cow::Borrowed(text);
    }
    let shown = parts(text).into_iter().map(|part| match part {
        Part::Text(text) => Cow::Borrowed(text),
        Part::Placeholder(placeholder) => Cow::Owned(placeholder.shown()),
    });
    Cow::Owned(shown.collect())
}

/// What is below `value` at the end of a path; `None` where there is nothing.
pub(super) fn below<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(object) => object.get(name),
        Value::Array(values) => name.parse::<usize>().ok().and_then(|index| values.get(index)),
        _ => None,
    })
}

/// As [`below`], where a part of a result that is still to come is one, too.
pub(super) fn below_deferred<'v>(value: &'v Value, path: &[String]) -> Option<Cow<'v, Value>> {
    if let Some(found) = below(value, path) {
        return Some(Cow::Borrowed(found));
    }
    let longest = (0..path.len()).rev().find_map(|length| Some((length, below(value, &path[..length])?)));
    let (length, found) = longest?;
    let mut placeholder = open(found).filter(|placeholder| placeholder.root() == "results")?;
    placeholder.path.extend_from_slice(&path[length..]);
    Some(Cow::Owned(Value::String(placeholder.text())))
}

/// What is at the end of a path, or the placeholder on the way there that stands for all that is below it.
pub(super) fn around<'v>(value: &'v Value, path: &[ArgumentStep]) -> Option<&'v Value> {
    let mut here = value;
    for step in path {
        if is_open(here) {
            break;
        }
        here = match step {
            ArgumentStep::Key(key) => here.get(key)?,
            ArgumentStep::Index(index) => here.get(index)?,
        };
    }
    Some(here)
}

/// The names of the secrets that are in what is at the end of a path; of all of them, where that leads nowhere.
pub(super) fn secrets_at(value: &Value, path: &[ArgumentStep]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (_, placeholder) in placeholders(around(value, path).unwrap_or(value)) {
        names.extend(placeholder.secret().filter(|name| !names.contains(name)).cloned());
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::hocon::{Input, Settings, load};

    fn parsed(text: &str) -> Value {
        let entry = Input::Text { name: "text".to_owned(), text: text.as_bytes().to_vec() };
        let settings = Settings { deferred: NAMES.map(str::to_owned).to_vec(), ..Settings::default() };
        load(&entry, &settings).unwrap().value
    }

    fn filled(value: &Value) -> (Value, Vec<String>) {
        let mut why = Vec::new();
        let mut filler = |_: &[ArgumentStep], placeholder: &Placeholder| {
            Ok(match (placeholder.root(), placeholder.path.get(1).map(String::as_str)) {
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
            ["`${item}` is an object and cannot be part of a string", "`${item.nick}` has no value"]
        );
    }

    #[test]
    fn what_is_left_out_of_a_list_moves_what_stands_behind_it() {
        let value = parsed("a = [${?item.b}, 1, ${?item.c}, [${?item.d}, 2]], b = [1]");
        let mut filler = |_: &[ArgumentStep], _: &Placeholder| Ok(Filled::Missing);
        let (value, moved) = fill_and_note(&value, &mut filler, &mut Vec::new());
        assert_eq!(value, json!({ "a": [1, [2]], "b": [1] }));
        let before = |path: &[usize]| {
            let steps = path.iter().map(|index| ArgumentStep::Index(*index));
            moved.before(&std::iter::once(ArgumentStep::Key("a".to_owned())).chain(steps).collect::<Vec<_>>())
        };
        let told = |path: &[usize]| crate::playbook::argument_path::shown_path(&before(path));
        assert_eq!([told(&[0]), told(&[1]), told(&[1, 0])], ["a[1]", "a[3]", "a[3][1]"]);
    }

    #[test]
    fn a_fact_is_not_taken_for_a_mark() {
        let mut why = Vec::new();
        let evil = placeholder(&["secrets", "t"], false);
        let mut filler = |_: &[ArgumentStep], _: &Placeholder| Ok(Filled::Now(json!([evil.clone()])));
        fill(&parsed("a = ${facts.host}"), &mut filler, &mut why);
        assert_eq!(why[0].message, "`${facts.host}` has the character U+F0000, which a playbook cannot take");
    }

    #[test]
    fn a_part_of_what_comes_later_comes_later() {
        let value =
            json!({ "a": placeholder(&["results", "r"], false), "b": placeholder(&["secrets", "s"], false) });
        let below = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
            below_deferred(&value, &path)
                .and_then(|value| open(&value))
                .map(|placeholder| placeholder.shown())
        };
        assert_eq!(below(&["a", "x.y", "0"]).as_deref(), Some("${results.r.\"x.y\".0}"));
        assert_eq!((below(&["b", "x"]), below(&["c"])), (None, None));
    }
}
