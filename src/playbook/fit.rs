//! Whether a value fits a schema: everything that does not, each with the way there.
//!
//! Knows values and schemas; neither task types nor places. The schema is asked only when a type has refused a value, to
//! tell all that is wrong in words for people; what it does not mind is no proof.

use serde_json::Value;

use super::late;
use super::schema::{Kind, View, plain};
use super::task_type::{ArgumentStep, shown_path};
use crate::suggest;

/// How deep a value is looked into; a parser has refused what is deeper.
const DEEPEST: usize = 128;

/// Something that does not fit.
#[derive(Debug, PartialEq)]
pub(super) struct Misfit {
    /// The way there; for a key that is missing, to what should have it.
    pub(super) path: Vec<ArgumentStep>,
    pub(super) kind: MisfitKind,
}

#[derive(Debug, PartialEq)]
pub(super) enum MisfitKind {
    /// A key is missing that has this documentation.
    Missing { name: String, doc: String },
    /// A key that is not known; the path leads to it.
    Unknown { name: String, known: Vec<String> },
    /// Something else is wanted.
    Wrong { message: String, hint: Option<String> },
}

/// All that does not fit.
pub(super) fn misfits(value: &Value, schema: View<'_>) -> Vec<Misfit> {
    let mut fitting = Fitting { path: Vec::new(), found: Vec::new() };
    fitting.look(value, schema);
    fitting.found
}

struct Fitting {
    path: Vec<ArgumentStep>,
    found: Vec<Misfit>,
}

impl Fitting {
    fn look(&mut self, value: &Value, schema: View<'_>) {
        if self.path.len() > DEEPEST || late::is_open(value) {
            return;
        }
        if let Some(choices) = schema.choices() {
            return self.look_among(value, &choices, schema);
        }
        let alternatives = schema.alternatives();
        if !alternatives.is_empty() {
            let kind = Kind::of(value);
            let fitting: Vec<View<'_>> =
                alternatives.iter().copied().filter(|view| takes(*view, kind)).collect();
            match fitting.as_slice() {
                [] if kind == Kind::Null => {}
                [] => self.wrong_kind(value, schema),
                [one] => self.look(value, *one),
                // Which one is meant cannot be told; the type itself says it best.
                _ => {}
            }
            return;
        }
        let kinds = schema.kinds();
        let kind = Kind::of(value);
        if !kinds.is_empty() && !kinds.iter().any(|wanted| kind.is(*wanted)) {
            return self.wrong_kind(value, schema);
        }
        match value {
            Value::Number(number) => self.look_at_number(number, schema),
            Value::Array(values) => {
                if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
                    for (index, value) in values.iter().enumerate() {
                        self.within(ArgumentStep::Index(index), value, schema.at(items));
                    }
                }
            }
            Value::Object(_) => self.look_at_object(value, schema),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }

    fn within(&mut self, step: ArgumentStep, value: &Value, schema: View<'_>) {
        self.path.push(step);
        self.look(value, schema);
        self.path.pop();
    }

    fn look_at_object(&mut self, value: &Value, schema: View<'_>) {
        let Some(object) = value.as_object() else { return };
        let properties = schema.properties();
        for name in schema.required().filter(|name| !object.contains_key(*name)) {
            let property = properties.and_then(|properties| properties.get(name));
            let doc = property.and_then(|property| {
                property.get("description").or_else(|| schema.at(property).get("description"))
            });
            let doc = doc.and_then(Value::as_str).unwrap_or_default().to_owned();
            self.push(MisfitKind::Missing { name: name.to_owned(), doc });
        }
        let more = schema.get("additionalProperties");
        let is_closed = more == Some(&Value::Bool(false));
        for (name, value) in object {
            let step = ArgumentStep::Key(name.clone());
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.within(step, value, schema.at(property)),
                None if is_closed => {
                    let known = properties.into_iter().flat_map(|known| known.keys().cloned()).collect();
                    self.path.push(step);
                    self.push(MisfitKind::Unknown { name: name.clone(), known });
                    self.path.pop();
                }
                None => {
                    if let Some(more) = more.filter(|more| more.is_object()) {
                        self.within(step, value, schema.at(more));
                    }
                }
            }
        }
    }

    fn look_at_number(&mut self, number: &serde_json::Number, schema: View<'_>) {
        let Some(value) = number.as_f64() else { return };
        let (low, high) = schema.range();
        if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
            let message = format!("is {number}, expected {}", schema.in_words());
            self.wrong(message, None);
        }
    }

    fn look_among(&mut self, value: &Value, choices: &[&Value], schema: View<'_>) {
        let is_null = value.is_null() && takes_null(schema);
        if is_null || choices.contains(&value) {
            return;
        }
        let hint = value.as_str().and_then(|text| {
            let known = choices.iter().filter_map(|choice| choice.as_str());
            suggest::nearest(text, known).map(|near| format!("did you mean `{near}`?"))
        });
        self.wrong(format!("is {}, expected {}", told(value), schema.in_words()), hint);
    }

    fn wrong_kind(&mut self, value: &Value, schema: View<'_>) {
        self.wrong(format!("is {}, expected {}", told(value), schema.in_words()), None);
    }

    fn wrong(&mut self, message: String, hint: Option<String>) {
        let message = match shown_path(&self.path) {
            path if path.is_empty() => format!("this {message}"),
            path => format!("`{path}` {message}"),
        };
        self.push(MisfitKind::Wrong { message, hint });
    }

    fn push(&mut self, kind: MisfitKind) {
        self.found.push(Misfit { path: self.path.clone(), kind });
    }
}

fn takes_null(schema: View<'_>) -> bool {
    schema.kinds().contains(&Kind::Null)
        || schema.list("anyOf").iter().any(|one| schema.at(one).kinds() == [Kind::Null])
}

/// Whether a value of this kind may be meant by the schema.
fn takes(schema: View<'_>, kind: Kind) -> bool {
    if let Some(choices) = schema.choices() {
        return choices.iter().any(|choice| kind.is(Kind::of(choice)));
    }
    let alternatives = schema.alternatives();
    if !alternatives.is_empty() {
        // Not deeper: better too much than too little is passed on to the type itself.
        return true;
    }
    let kinds = schema.kinds();
    kinds.is_empty() || kinds.iter().any(|wanted| kind.is(*wanted))
}

/// What a value is, for a message: short, in one line.
pub(super) fn told(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text `{}`", late::shown(&short(text))),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The beginning of a text, in one line.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(LONGEST).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    late::escaped(&short)
}

/// The value with what HOCON converts where another kind is wanted: a text that is a number or a truth value, and those
/// where a text is wanted, as `written` has them. `None` where there is nothing to convert.
pub(super) fn converted(
    value: &Value,
    schema: View<'_>,
    written: &mut dyn FnMut(&[ArgumentStep]) -> Option<String>,
) -> Option<Value> {
    let mut converting = Converting { path: Vec::new(), written, any: false };
    let mut value = value.clone();
    converting.convert(&mut value, schema);
    converting.any.then_some(value)
}

struct Converting<'w> {
    path: Vec<ArgumentStep>,
    written: &'w mut dyn FnMut(&[ArgumentStep]) -> Option<String>,
    any: bool,
}

impl Converting<'_> {
    fn convert(&mut self, value: &mut Value, schema: View<'_>) {
        if self.path.len() > DEEPEST {
            return;
        }
        let alternatives = schema.alternatives();
        let schema = match alternatives.as_slice() {
            [] => schema,
            [one] if schema.choices().is_none() => *one,
            _ => return,
        };
        match value {
            Value::Object(object) => {
                let properties = schema.properties();
                let more = schema.get("additionalProperties").filter(|more| more.is_object());
                for (name, value) in object.iter_mut() {
                    let property = properties.and_then(|properties| properties.get(name)).or(more);
                    if let Some(property) = property {
                        self.within(ArgumentStep::Key(name.clone()), value, schema.at(property));
                    }
                }
            }
            Value::Array(values) => {
                if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
                    for (index, value) in values.iter_mut().enumerate() {
                        self.within(ArgumentStep::Index(index), value, schema.at(items));
                    }
                }
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                if let Some(new) = self.scalar(value, &schema.kinds()) {
                    *value = new;
                    self.any = true;
                }
            }
        }
    }

    fn within(&mut self, step: ArgumentStep, value: &mut Value, schema: View<'_>) {
        self.path.push(step);
        self.convert(value, schema);
        self.path.pop();
    }

    fn scalar(&mut self, value: &Value, wanted: &[Kind]) -> Option<Value> {
        let takes = |kind: Kind| wanted.iter().any(|wanted| kind.is(*wanted));
        if wanted.is_empty() || takes(Kind::of(value)) {
            return None;
        }
        match value {
            Value::String(text) if takes(Kind::Integer) => {
                let number = serde_json::from_str::<serde_json::Number>(text.trim()).ok()?;
                takes(Kind::of(&Value::Number(number.clone()))).then_some(Value::Number(number))
            }
            Value::String(text) if takes(Kind::Bool) => match text.as_str() {
                "true" | "yes" | "on" => Some(Value::Bool(true)),
                "false" | "no" | "off" => Some(Value::Bool(false)),
                _ => None,
            },
            Value::Number(_) | Value::Bool(_) if takes(Kind::Text) => {
                let same = |text: &String| serde_json::from_str::<Value>(text).is_ok_and(|it| it == *value);
                let written = (self.written)(&self.path).filter(same);
                Some(Value::String(written.unwrap_or_else(|| plain(value))))
            }
            _ => None,
        }
    }
}
