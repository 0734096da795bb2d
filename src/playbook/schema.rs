//! Reading the JSON Schema of a task type: its fields in words, and a value that it has room for.
//!
//! Knows the parts of JSON Schema that `schemars` writes; what is found wrong with a value is
//! [`schema_check`](super::schema_check)'s business.

use serde_json::{Map, Number, Value};

use super::argument_path::ArgumentStep;
use super::field::Field;
use super::hocon::Value as PlaybookValue;

/// How many references are followed from one schema to the next; more are a circle.
const MOST_REFERENCES: usize = 32;

/// A schema within the one whose definitions it refers to.
#[derive(Clone, Copy)]
pub(super) struct View<'s> {
    root: &'s Value,
    here: &'s Value,
}

/// A kind of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonType {
    Null,
    Bool,
    Integer,
    Number,
    Text,
    List,
    Object,
}

impl JsonType {
    /// Of a value of a playbook; what is not known counts as a string.
    pub(super) fn of(value: &PlaybookValue) -> JsonType {
        match value {
            PlaybookValue::Null => JsonType::Null,
            PlaybookValue::Bool(_) => JsonType::Bool,
            PlaybookValue::Number(number) => JsonType::of_number(number),
            PlaybookValue::Array(_) => JsonType::List,
            PlaybookValue::Object(_) => JsonType::Object,
            PlaybookValue::String(_)
            | PlaybookValue::Unknown(_)
            | PlaybookValue::Template(_)
            | PlaybookValue::Invalid => JsonType::Text,
        }
    }

    fn of_number(number: &Number) -> JsonType {
        if number.is_f64() { JsonType::Number } else { JsonType::Integer }
    }

    /// Of a value that stands in a schema.
    pub(super) fn of_json(value: &Value) -> JsonType {
        match value {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Bool,
            Value::Number(number) => JsonType::of_number(number),
            Value::String(_) => JsonType::Text,
            Value::Array(_) => JsonType::List,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn named(name: &str) -> Option<JsonType> {
        Some(match name {
            "null" => JsonType::Null,
            "boolean" => JsonType::Bool,
            "integer" => JsonType::Integer,
            "number" => JsonType::Number,
            "string" => JsonType::Text,
            "array" => JsonType::List,
            "object" => JsonType::Object,
            _ => return None,
        })
    }

    /// Whether a value of this kind is one of the other, too.
    pub(super) fn is(self, wanted: JsonType) -> bool {
        self == wanted || (self == JsonType::Integer && wanted == JsonType::Number)
    }
}

/// Whether a value with this schema is secret, or consists of what is. An object with fields is not, though one of them may be.
fn has_secret(schema: &Value) -> bool {
    let list = |key| schema.get(key).and_then(Value::as_array).is_some_and(|all| all.iter().any(has_secret));
    let one = |key| schema.get(key).is_some_and(has_secret);
    schema.get("writeOnly") == Some(&Value::Bool(true))
        || one("additionalProperties")
        || one("items")
        || list("anyOf")
        || list("oneOf")
}

impl<'s> View<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        View { root, here: root }.resolved()
    }

    /// Another schema within the same root.
    pub(super) fn at(self, here: &'s Value) -> Self {
        View { here, ..self }.resolved()
    }

    fn resolved(mut self) -> Self {
        for _ in 0..MOST_REFERENCES {
            let Some(target) = self.here.get("$ref").and_then(Value::as_str) else { break };
            let Some(found) = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
                break;
            };
            self.here = found;
        }
        self
    }

    pub(super) fn get(self, key: &str) -> Option<&'s Value> {
        self.here.get(key)
    }

    pub(super) fn list(self, key: &str) -> &'s [Value] {
        self.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub(super) fn properties(self) -> Option<&'s Map<String, Value>> {
        self.get("properties").and_then(Value::as_object)
    }

    pub(super) fn required(self) -> impl Iterator<Item = &'s str> {
        self.list("required").iter().filter_map(Value::as_str)
    }

    /// The schema of what is below, where it says something of it, and where there is no choice.
    pub(super) fn below(self, path: &[ArgumentStep]) -> Option<View<'s>> {
        path.iter().try_fold(self, |view, step| {
            let alternatives = view.alternatives();
            let view = match alternatives.as_slice() {
                [one] if view.choices().is_none() => *one,
                _ => view,
            };
            let object = |key| view.get(key).filter(|schema| schema.is_object());
            let schema = match step {
                ArgumentStep::Key(name) => view
                    .properties()
                    .and_then(|properties| properties.get(name))
                    .or_else(|| object("additionalProperties")),
                ArgumentStep::Index(_) => object("items"),
            };
            schema.map(|schema| view.at(schema))
        })
    }

    /// Whether what is at `path` is secret, because it is itself or is within what is.
    pub(super) fn is_secret(self, path: &[ArgumentStep]) -> bool {
        (1..=path.len()).any(|steps| self.below(&path[..steps]).is_some_and(|view| has_secret(view.here)))
    }

    /// Collects the keys whose values are secret, or are all that is below them.
    pub(super) fn secret_keys(root: &Value, found: &mut std::collections::BTreeSet<String>) {
        match root {
            Value::Object(fields) => {
                for (name, schema) in
                    fields.get("properties").and_then(Value::as_object).into_iter().flatten()
                {
                    if has_secret(schema) {
                        found.insert(name.to_ascii_lowercase());
                    }
                }
                fields.values().for_each(|value| View::secret_keys(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| View::secret_keys(value, found)),
            _ => {}
        }
    }

    /// The kinds of value that it takes; empty where it does not say.
    pub(super) fn types(self) -> Vec<JsonType> {
        match self.get("type") {
            Some(Value::String(name)) => JsonType::named(name).into_iter().collect(),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).filter_map(JsonType::named).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The schemas of which one has to fit, without those that take nothing but null; empty where there is no choice.
    pub(super) fn alternatives(self) -> Vec<View<'s>> {
        let all = self.list("anyOf").iter().chain(self.list("oneOf"));
        all.map(|schema| self.at(schema)).filter(|view| view.types() != [JsonType::Null]).collect()
    }

    /// The values that it can have, where they can be counted.
    pub(super) fn choices(self) -> Option<Vec<&'s Value>> {
        if let Some(one) = self.get("const") {
            return Some(vec![one]);
        }
        if self.get("enum").is_some() {
            return Some(self.list("enum").iter().filter(|value| !value.is_null()).collect());
        }
        let alternatives = self.alternatives();
        let mut choices = Vec::new();
        for alternative in &alternatives {
            // Not deeper: an alternative that has alternatives is no plain choice.
            match (alternative.get("const"), alternative.get("enum")) {
                (Some(one), _) => choices.push(one),
                (None, Some(_)) => {
                    choices.extend(alternative.list("enum").iter().filter(|value| !value.is_null()));
                }
                (None, None) => return None,
            }
        }
        (!choices.is_empty()).then_some(choices)
    }

    /// What it takes, in words: `text`, `whole number from 0 to 255`, `list of texts`.
    pub(super) fn in_words(self) -> String {
        self.words(0)
    }

    fn words(self, depth: usize) -> String {
        /// Deeper ones are named by their kind alone.
        const DEEPEST: usize = 3;
        if let Some(choices) = self.choices() {
            return one_of(&choices);
        }
        let alternatives = self.alternatives();
        if !alternatives.is_empty() && depth < DEEPEST {
            let mut words: Vec<String> = Vec::new();
            for alternative in alternatives {
                let word = alternative.words(depth + 1);
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            return words.join(" or ");
        }
        let types: Vec<JsonType> = self.types().into_iter().filter(|kind| *kind != JsonType::Null).collect();
        let words: Vec<String> = types.iter().map(|kind| self.kind_in_words(*kind, depth)).collect();
        if words.is_empty() { "anything".to_owned() } else { words.join(" or ") }
    }

    fn kind_in_words(self, kind: JsonType, depth: usize) -> String {
        match kind {
            JsonType::Null => "nothing".to_owned(),
            JsonType::Bool => "true or false".to_owned(),
            JsonType::Integer => format!("a whole number{}", self.range_in_words()),
            JsonType::Number => format!("a number{}", self.range_in_words()),
            JsonType::Text => "a string".to_owned(),
            JsonType::List => match self.get("items").map(|items| self.at(items)) {
                Some(items) if depth < 2 => match items.words(depth + 1) {
                    words if words == "a string" => "a list of strings".to_owned(),
                    words if words == "anything" => "a list".to_owned(),
                    words if words.starts_with("a whole number") => "a list of whole numbers".to_owned(),
                    words => format!("a list, each entry {words}"),
                },
                _ => "a list".to_owned(),
            },
            JsonType::Object => match self.get("additionalProperties").filter(|more| more.is_object()) {
                Some(more) if depth < 2 => match self.at(more).words(depth + 1) {
                    words if words == "a string" => "an object of strings".to_owned(),
                    _ => "an object".to_owned(),
                },
                _ => "an object".to_owned(),
            },
        }
    }

    /// The lowest and the highest number that it takes, where it says so.
    pub(super) fn range(self) -> (Option<f64>, Option<f64>) {
        let number = |key| self.get(key).and_then(Value::as_f64);
        let (low, high) = match self.get("format").and_then(Value::as_str) {
            Some("uint8") => (Some(0.0), Some(f64::from(u8::MAX))),
            Some("uint16") => (Some(0.0), Some(f64::from(u16::MAX))),
            Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
            Some("uint" | "uint64" | "uint128") => (Some(0.0), None),
            Some("int8") => (Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))),
            Some("int16") => (Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))),
            Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
            _ => (None, None),
        };
        (number("minimum").or(low), number("maximum").or(high))
    }

    fn range_in_words(self) -> String {
        match self.range() {
            (Some(low), Some(high)) => format!(" from {low} to {high}"),
            (Some(low), None) => format!(" of at least {low}"),
            (None, Some(high)) => format!(" of at most {high}"),
            (None, None) => String::new(),
        }
    }

    /// A value that it has room for, as far as it can be told.
    pub(super) fn something(self) -> Value {
        if let Some(choice) = self.choices().and_then(|choices| choices.first().copied()) {
            return choice.clone();
        }
        if let Some(first) = self.alternatives().first()
            && self.types().is_empty()
        {
            // Not deeper: it is a guess anyway.
            return first.of_kind();
        }
        self.of_kind()
    }

    fn of_kind(self) -> Value {
        match self.types().first() {
            Some(JsonType::Bool) => Value::Bool(false),
            Some(JsonType::Integer | JsonType::Number) => {
                let lowest =
                    self.get("minimum").filter(|least| least.as_f64().is_some_and(|least| least > 1.0));
                lowest.cloned().unwrap_or_else(|| 1.into())
            }
            Some(JsonType::List) => Value::Array(Vec::new()),
            Some(JsonType::Object) => Value::Object(Map::new()),
            Some(JsonType::Null) => Value::Null,
            Some(JsonType::Text) | None => Value::String("something".to_owned()),
        }
    }

    fn doc(self) -> &'s str {
        self.get("description").and_then(Value::as_str).unwrap_or_default()
    }
}

/// "one of `a`, `b` and `c`", cut when there are very many.
fn one_of(choices: &[&Value]) -> String {
    const MOST: usize = 24;
    let mut shown: Vec<String> =
        choices.iter().take(MOST).map(|value| format!("`{}`", plain(value))).collect();
    if choices.len() > MOST {
        shown.push(format!("{} more", choices.len() - MOST));
    }
    match shown.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A value as it stands in a playbook, a text without its quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The fields that a schema of an object tells of: the required ones as they are declared, then the others by name.
pub(super) fn fields(schema: View<'_>) -> Vec<Field> {
    let Some(properties) = schema.properties() else { return Vec::new() };
    let required: Vec<&str> = schema.required().collect();
    let others = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
    required
        .iter()
        .copied()
        .chain(others)
        .filter_map(|name| {
            let property = properties.get(name)?;
            let view = schema.at(property);
            // What stands beside a reference is about this field, and counts before what is said of its type.
            let own = |key: &str| property.get(key).or_else(|| view.get(key));
            let doc = own("description").and_then(Value::as_str).unwrap_or_else(|| view.doc());
            Some(Field {
                name: name.to_owned(),
                doc: doc.to_owned(),
                takes: view.in_words(),
                required: required.contains(&name),
                default: own("default").filter(|value| !value.is_null()).cloned(),
                choices: view.choices().unwrap_or_default().into_iter().cloned().collect(),
            })
        })
        .collect()
}

/// A task with what it needs, for a type that has no example of its own.
pub(super) fn example(name: &str, fields: &[Field]) -> String {
    let mut text = format!("{{ name: {name}");
    let needed: Vec<String> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| format!("{}: {}", field.name, placeholder(field)))
        .collect();
    if !needed.is_empty() {
        text.push_str(&format!(", args: {{ {} }}", needed.join(", ")));
    }
    text.push_str(" }");
    text
}

fn placeholder(field: &Field) -> String {
    if let Some(choice) = field.choices.first() {
        return plain(choice);
    }
    match field.takes.split_whitespace().take(2).collect::<Vec<_>>().as_slice() {
        ["true", ..] => "true".to_owned(),
        ["a", "whole" | "number"] => "1".to_owned(),
        ["a", "list" | "list,"] => "[…]".to_owned(),
        ["an", "object"] => "{ … }".to_owned(),
        _ => "\"…\"".to_owned(),
    }
}
