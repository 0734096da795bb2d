//! Filling in placeholders with what is known of their values.
//!
//! What is filled in is data: nobody looks for placeholders in it, unless it is a part of the playbook itself.

use std::collections::HashMap;

use super::argument_path::ArgumentStep;
use super::hocon::{Map, Part, Placeholder, Template, Value};

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
            Value::Unknown(placeholder) => return self.unknown(placeholder),
            Value::Template(template) => self.template(template),
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

    /// `None` where it is missing and may be, or where a problem was found.
    fn unknown(&mut self, placeholder: &Placeholder) -> Option<Value> {
        match self.ask(placeholder)? {
            Filled::Now(value) | Filled::Written(value, _) => Some(value),
            Filled::Later => Some(Value::Unknown(placeholder.clone())),
            Filled::Missing => None,
        }
    }

    fn template(&mut self, template: &Template) -> Value {
        let mut filled = Template::default();
        for part in template.parts() {
            let placeholder = match part {
                Part::Text(text) => {
                    filled.push_text(text);
                    continue;
                }
                Part::Placeholder(placeholder) => placeholder,
            };
            match self.ask(placeholder) {
                Some(Filled::Now(Value::String(text)) | Filled::Written(_, text)) => filled.push_text(&text),
                Some(Filled::Now(value @ (Value::Number(_) | Value::Bool(_)))) => {
                    filled.push_text(&value.to_string());
                }
                // The elements of a `for_each` may have placeholders of their own.
                Some(Filled::Now(Value::Unknown(inner))) => filled.push_placeholder(inner),
                Some(Filled::Now(Value::Template(inner))) => filled.append(&inner),
                Some(Filled::Now(Value::Invalid)) => return Value::Invalid,
                Some(Filled::Now(value @ (Value::Null | Value::Array(_) | Value::Object(_)))) => {
                    let message =
                        format!("`{placeholder}` is {} and cannot be part of a string", type_of(&value));
                    self.unfilled.push(Unfilled::new(&self.path, message));
                }
                Some(Filled::Later) => filled.push_placeholder(placeholder.clone()),
                Some(Filled::Missing) | None => {}
            }
        }
        Value::of_template(filled)
    }

    fn ask(&mut self, placeholder: &Placeholder) -> Option<Filled> {
        match (self.filler)(&self.path, placeholder) {
            Ok(Filled::Missing) if !placeholder.is_optional => {
                let message = format!("`{placeholder}` has no value");
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

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "a list",
        _ => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::deferred::{NAMES, below_deferred, roots};
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
                ("item", None) => Filled::Now(json!({ "name": "ann" }).into()),
                ("item", Some("name")) => Filled::Now(json!("ann").into()),
                ("facts", _) => Filled::Now(json!(4).into()),
                ("results", _) => Filled::Later,
                _ => Filled::Missing,
            })
        };
        let value = fill(value, &mut filler, &mut why);
        (value, why.into_iter().map(|why| why.message).collect())
    }

    #[test]
    fn placeholders_go_through_hocon_and_are_filled_in() {
        let value = parsed(
            "a = ${item}, b = /users/${item.name}/x${facts.cpus}, c = ${?item.b}, d = [${?item.b}, 1]",
        );
        let (value, why) = filled(&value);
        assert_eq!(value, json!({ "a": { "name": "ann" }, "b": "/users/ann/x4", "d": [1] }));
        assert!(why.is_empty());
    }

    #[test]
    fn what_comes_later_stays_a_placeholder() {
        let (value, _) = filled(&parsed("a = \"x\" ${results.r.size}, b = \"${item}\""));
        assert_eq!(value["a"].plain(), "x ${results.r.size}");
        assert_eq!(value["b"], json!("${item}"), "a quoted text is left alone");
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
    fn what_is_filled_in_is_not_taken_for_a_placeholder() {
        let mut filler = |_: &[ArgumentStep], _: &Placeholder| {
            Ok(Filled::Now(json!(["${secrets.t}", "\u{F0000}secrets\u{F0002}t\u{F0001}"]).into()))
        };
        let value = fill(&parsed("a = ${facts.host}"), &mut filler, &mut Vec::new());
        assert_eq!(value["a"], json!(["${secrets.t}", "\u{F0000}secrets\u{F0002}t\u{F0001}"]));
        assert!(!roots(&value).any());
    }

    #[test]
    fn a_part_of_what_comes_later_comes_later() {
        let value = parsed("a = ${results.r}, b = ${secrets.s}");
        let below = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
            below_deferred(&value, &path).map(|value| value.plain())
        };
        assert_eq!(below(&["a", "x.y", "0"]).as_deref(), Some("${results.r.\"x.y\".0}"));
        assert_eq!((below(&["b", "x"]), below(&["c"])), (None, None));
    }
}
