//! Whether a value fits a schema: everything that does not, each with the way there.
//!
//! What is found has words for people and is no judgement: a type may take more than its schema says, and less. Before a
//! type is asked at all, its schema says only which numbers are to be texts as they were written. What is not known yet
//! fits.

use serde_json::Value as Json;

use super::argument_path::ArgumentStep;
use super::hocon::Map;
use super::hocon::Value;
use super::prose::described;
use super::schema::{JsonType, View};
use super::schema_keys;
use super::violation::Violation;
use super::violation::ViolationKind;
use crate::suggest;

/// How deep a value is looked into; a parser has refused what is deeper.
const DEEPEST: usize = 128;

/// All that does not fit.
pub(super) fn violations(value: &Value, schema: View<'_>) -> Vec<Violation> {
    let mut checker = Checker { path: Vec::new(), found: Vec::new() };
    checker.check(value, schema);
    checker.found
}

struct Checker {
    path: Vec<ArgumentStep>,
    found: Vec<Violation>,
}

impl Checker {
    fn check(&mut self, value: &Value, schema: View<'_>) {
        if self.path.len() > DEEPEST || value.is_unknown() || matches!(value, Value::Invalid) {
            return;
        }
        let is_partly_open = matches!(value, Value::Template(_));
        if is_partly_open && !takes_no_text(schema) {
            return;
        }
        if let Some(choices) = schema.choices() {
            return self.check_choice(value, &choices, schema);
        }
        let alternatives = schema.alternatives();
        if !alternatives.is_empty() {
            match meant(value, &alternatives) {
                Meant::None if value.is_null() => {}
                Meant::None => self.wrong_kind(value, schema),
                Meant::One(one) => self.check(value, one),
                // The type itself says it best.
                Meant::AnyOf => {}
            }
            return;
        }
        let types = schema.types();
        let kind = JsonType::of(value);
        if !types.is_empty() && !types.iter().any(|wanted| kind.is(*wanted)) {
            return self.wrong_kind(value, schema);
        }
        match value {
            Value::Number(number) => self.check_number(number, schema),
            Value::Array(values) => {
                if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
                    for (index, value) in values.iter().enumerate() {
                        self.within(ArgumentStep::Index(index), value, schema.at(items));
                    }
                }
            }
            Value::Object(_) => self.check_object(value, schema),
            _ => {}
        }
    }

    fn within(&mut self, step: ArgumentStep, value: &Value, schema: View<'_>) {
        self.path.push(step);
        self.check(value, schema);
        self.path.pop();
    }

    fn check_object(&mut self, value: &Value, schema: View<'_>) {
        let Some(object) = value.as_object() else { return };
        let properties = schema.properties();
        for name in schema.required().filter(|name| !object.contains_key(*name)) {
            let property = properties.and_then(|properties| properties.get(name));
            let doc = property.and_then(|property| {
                property.get("description").or_else(|| schema.at(property).get("description"))
            });
            let doc = doc.and_then(Json::as_str).unwrap_or_default().to_owned();
            self.push(ViolationKind::MissingKey { name: name.to_owned(), doc });
        }
        let more = schema.get("additionalProperties");
        let is_closed = more == Some(&Json::Bool(false));
        for (name, value) in object {
            let step = ArgumentStep::Key(name.clone());
            match properties.and_then(|properties| properties.get(name)) {
                Some(property) => self.within(step, value, schema.at(property)),
                None if is_closed => {
                    let known = properties.into_iter().flat_map(|known| known.keys().cloned()).collect();
                    self.path.push(step);
                    self.push(ViolationKind::UnknownKey { known });
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

    fn check_number(&mut self, number: &serde_json::Number, schema: View<'_>) {
        let Some(value) = number.as_f64() else { return };
        let (low, high) = schema.range();
        if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
            self.wrong(number.to_string(), schema, None);
        }
    }

    fn check_choice(&mut self, value: &Value, choices: &[&Json], schema: View<'_>) {
        let is_null = value.is_null() && takes_null(schema);
        if is_null || choices.iter().any(|choice| *value == **choice) {
            return;
        }
        let hint = value.as_str().and_then(|text| {
            let known = choices.iter().filter_map(|choice| choice.as_str());
            suggest::nearest(text, known).map(|near| format!("did you mean `{near}`?"))
        });
        self.wrong(described(value), schema, hint);
    }

    fn wrong_kind(&mut self, value: &Value, schema: View<'_>) {
        let is_octal = |view: View<'_>| view.get(schema_keys::OCTAL).is_some();
        let is_mode = is_octal(schema) || schema.alternatives().iter().any(|view| is_octal(*view));
        let hint = value.as_u64().filter(|_| is_mode).map(octal);
        self.wrong(described(value), schema, hint);
    }

    fn wrong(&mut self, found: String, schema: View<'_>, hint: Option<String>) {
        self.push(ViolationKind::Wrong { found, expected: schema.in_words(), hint });
    }

    fn push(&mut self, what: ViolationKind) {
        self.found.push(Violation { path: self.path.clone(), what });
    }
}

/// How a mode is written that was given as a number: it may be the digits, or what YAML and JSON make of them.
fn octal(number: u64) -> String {
    let digits = number.to_string();
    let is_octal = digits.len() <= 4 && digits.bytes().all(|digit| digit < b'8');
    match (is_octal, number <= 0o7777) {
        (true, true) => format!(
            "it may be octal or not: write `\"{number:04}\"`, or, if it is a decimal number, `\"{number:04o}\"`"
        ),
        (false, true) => format!("write `\"{number:04o}\"`, which is {number} in octal digits"),
        _ => "write octal digits in quotes, such as `\"0644\"`".to_owned(),
    }
}

/// Which of several schemas a value is meant for.
enum Meant<'s> {
    None,
    One(View<'s>),
    /// Of several it cannot be told.
    AnyOf,
}

fn meant<'s>(value: &Value, alternatives: &[View<'s>]) -> Meant<'s> {
    let kind = JsonType::of(value);
    let checker: Vec<View<'s>> = alternatives.iter().copied().filter(|view| takes(*view, kind)).collect();
    match checker.as_slice() {
        [] => return Meant::None,
        [one] => return Meant::One(*one),
        _ => {}
    }
    // Objects tell themselves apart by their keys.
    let Some(object) = value.as_object().filter(|object| !object.is_empty()) else { return Meant::AnyOf };
    let mut knowing = checker.iter().filter(|view| {
        view.properties().is_some_and(|known| object.keys().all(|name| known.contains_key(name)))
    });
    match (knowing.next(), knowing.next()) {
        (Some(one), None) => Meant::One(*one),
        _ => Meant::AnyOf,
    }
}

/// Whether no text can ever be converted to what is wanted.
fn takes_no_text(schema: View<'_>) -> bool {
    let types = schema.types();
    let closed = |kind: &JsonType| matches!(kind, JsonType::List | JsonType::Object | JsonType::Null);
    !types.is_empty() && types.iter().all(closed)
}

fn takes_null(schema: View<'_>) -> bool {
    schema.types().contains(&JsonType::Null)
        || schema.list("anyOf").iter().any(|one| schema.at(one).types() == [JsonType::Null])
}

/// Whether a value of this kind may be meant by the schema.
fn takes(schema: View<'_>, kind: JsonType) -> bool {
    if let Some(choices) = schema.choices() {
        return choices.iter().any(|choice| kind.is(JsonType::of_json(choice)));
    }
    let alternatives = schema.alternatives();
    if !alternatives.is_empty() {
        // Not deeper: better too much than too little is passed on to the type itself.
        return true;
    }
    let types = schema.types();
    types.is_empty() || types.iter().any(|wanted| kind.is(*wanted))
}

/// The value with what HOCON converts where another kind is wanted: a text that is a number or a truth value, and those
/// where a text is wanted. `None` where there is nothing to convert.
pub(super) fn converted(value: &Value, schema: View<'_>) -> Option<Value> {
    let mut converting =
        Converting { path: Vec::new(), scalar: &mut |value, _, wanted| scalar(value, wanted) };
    converting.convert(value, schema)
}

/// Which schemas take a number for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakesText {
    /// Those that have no choice.
    Alone,
    /// As well those of which one alternative is a text and none is a number.
    AmongOthers,
}

/// The value with the numbers that are meant as texts as those, as they were written: `1.10`; and so are those for which
/// the schema says [`WRITTEN`](schema_keys::WRITTEN). `None` where there are none that were written otherwise than they would be.
pub(super) fn as_written(
    value: &Value,
    schema: View<'_>,
    takes_text: TakesText,
    written: &mut dyn FnMut(&[ArgumentStep]) -> Option<String>,
) -> Option<Value> {
    let mut scalar = |value: &Value, path: &[ArgumentStep], schema: View<'_>| {
        if let Some(key) = schema.get(schema_keys::WRITTEN).and_then(Json::as_str) {
            let text = if value.is_number() { written(path)? } else { return None };
            return Some(Value::Object(Map::from_iter([(key.to_owned(), Value::String(text))])));
        }
        let wants = |view: View<'_>, kind: JsonType| view.types().iter().any(|wanted| kind.is(*wanted));
        let alternatives = schema.alternatives();
        let is_meant = match (takes_text, schema.choices(), alternatives.as_slice()) {
            (_, _, []) | (_, Some(_), _) => {
                wants(schema, JsonType::Text) && !wants(schema, JsonType::of(value))
            }
            (TakesText::Alone, None, _) => false,
            (TakesText::AmongOthers, None, several) => {
                several.iter().any(|view| wants(*view, JsonType::Text))
                    && !several.iter().any(|view| wants(*view, JsonType::of(value)))
            }
        };
        if !value.is_number() || !is_meant {
            return None;
        }
        written(path).map(Value::String)
    };
    Converting { path: Vec::new(), scalar: &mut scalar }.convert(value, schema)
}

/// What is made of a number, a truth value or a text, unless it stays as it is.
type Scalar<'c> = dyn FnMut(&Value, &[ArgumentStep], View<'_>) -> Option<Value> + 'c;

struct Converting<'c> {
    path: Vec<ArgumentStep>,
    scalar: &'c mut Scalar<'c>,
}

impl Converting<'_> {
    /// What becomes of a value; `None` where it stays as it is.
    fn convert(&mut self, value: &Value, schema: View<'_>) -> Option<Value> {
        if self.path.len() > DEEPEST {
            return None;
        }
        let alternatives = schema.alternatives();
        let schema = match alternatives.as_slice() {
            [one] if schema.choices().is_none() => *one,
            _ => schema,
        };
        // What is said of numbers goes for all that is in a value.
        let all_below = schema.get(schema_keys::WRITTEN).map(|_| schema);
        match value {
            Value::Object(object) => {
                let properties = schema.properties();
                let more = schema.get("additionalProperties").filter(|more| more.is_object());
                let mut converted = None;
                for (name, value) in object {
                    let property = properties.and_then(|properties| properties.get(name)).or(more);
                    let Some(inner) = property.map(|property| schema.at(property)).or(all_below) else {
                        continue;
                    };
                    let step = ArgumentStep::Key(name.clone());
                    if let Some(value) = self.within(step, value, inner) {
                        converted.get_or_insert_with(|| object.clone()).insert(name.clone(), value);
                    }
                }
                converted.map(Value::Object)
            }
            Value::Array(values) => {
                let schema = match meant(value, &schema.alternatives()) {
                    Meant::One(one) => one,
                    Meant::None | Meant::AnyOf => schema,
                };
                let items = schema.get("items").filter(|items| items.is_object());
                let items = items.map(|items| schema.at(items)).or(all_below)?;
                let mut converted = None;
                for (index, value) in values.iter().enumerate() {
                    if let Some(value) = self.within(ArgumentStep::Index(index), value, items) {
                        converted.get_or_insert_with(|| values.clone())[index] = value;
                    }
                }
                converted.map(Value::Array)
            }
            Value::Null | Value::Unknown(_) | Value::Template(_) | Value::Invalid => None,
            Value::Bool(_) | Value::Number(_) | Value::String(_) => (self.scalar)(value, &self.path, schema),
        }
    }

    fn within(&mut self, step: ArgumentStep, value: &Value, schema: View<'_>) -> Option<Value> {
        self.path.push(step);
        let converted = self.convert(value, schema);
        self.path.pop();
        converted
    }
}

fn scalar(value: &Value, schema: View<'_>) -> Option<Value> {
    let wanted = schema.types();
    let takes = |kind: JsonType| wanted.iter().any(|wanted| kind.is(*wanted));
    let has_choice = !schema.alternatives().is_empty();
    if value.is_number() && schema.get(schema_keys::OCTAL).is_some() {
        return None;
    }
    if wanted.is_empty() || has_choice || takes(JsonType::of(value)) {
        return None;
    }
    match value {
        Value::String(text) if takes(JsonType::Integer) => {
            let number = serde_json::from_str::<serde_json::Number>(text.trim()).ok()?;
            takes(JsonType::of(&Value::Number(number.clone()))).then_some(Value::Number(number))
        }
        Value::String(text) if takes(JsonType::Bool) => match text.as_str() {
            "true" | "yes" | "on" => Some(Value::Bool(true)),
            "false" | "no" | "off" => Some(Value::Bool(false)),
            _ => None,
        },
        Value::Number(_) | Value::Bool(_) if takes(JsonType::Text) => Some(Value::String(value.plain())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::argument_path::shown_path;
    use crate::playbook::hocon::{Placeholder, Template};

    fn found(value: &Json, schema: &Json) -> Vec<String> {
        violations(&value.clone().into(), View::new(schema))
            .iter()
            .map(|violation| shown_path(&violation.path))
            .collect()
    }

    #[test]
    fn an_object_is_meant_for_the_alternative_that_knows_its_keys() {
        let one =
            |key: &str, kind: &str| json!({ "type": "object", "properties": { key: { "type": kind } } });
        let schema =
            json!({ "oneOf": [one("port", "string"), one("path", "string"), one("every", "integer")] });
        assert_eq!(found(&json!({ "port": 5432 }), &schema), ["port"]);
        assert!(found(&json!({ "every": 5432 }), &schema).is_empty());
        // Nobody knows which one.
        assert!(found(&json!({ "port": 1, "path": 1 }), &schema).is_empty());
        assert!(found(&json!({}), &schema).is_empty());
    }

    #[test]
    fn a_text_of_which_a_part_is_not_known_may_be_anything_that_a_text_is_converted_to() {
        let mut template = Template::default();
        template.push_text("8");
        template.push_placeholder(Placeholder { path: vec!["results".to_owned()], is_optional: false });
        let text = Value::Template(template);
        let found = |schema: &Json| violations(&text, View::new(schema));
        for kind in ["integer", "number", "boolean", "string"] {
            assert!(found(&json!({ "type": kind })).is_empty(), "{kind}");
        }
        assert_eq!(found(&json!({ "type": "array" })).len(), 1);
        assert_eq!(found(&json!({ "type": ["object", "null"] })).len(), 1);
    }

    #[test]
    fn only_numbers_that_are_meant_as_texts_stay_as_they_were_written() {
        let schema = json!({ "properties": {
            "text": { "type": ["string", "null"] },
            "number": { "type": ["string", "number"] },
            "either": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
            "several": { "items": { "type": "string" } },
            "any": { "x-written-number": "#" },
        } });
        let value: Value =
            json!({ "text": 1.1, "number": 1.1, "either": 1.1, "several": [1.1, "x", [1.1]], "more": 1.1,
                "any": [1.1, "x"] })
            .into();
        let kept = |takes_text| {
            let kept = as_written(&value, View::new(&schema), takes_text, &mut |_| Some("1.10".to_owned()));
            let kept = kept.unwrap();
            ["text", "number", "either", "several", "more", "any"].map(|key| kept[key].to_string())
        };
        let several = r#"["1.10","x",[1.1]]"#;
        let any = r##"[{"#":"1.10"},"x"]"##;
        assert_eq!(kept(TakesText::Alone), [r#""1.10""#, "1.1", "1.1", several, "1.1", any]);
        assert_eq!(kept(TakesText::AmongOthers), [r#""1.10""#, "1.1", r#""1.10""#, several, "1.1", any]);
        assert_eq!(as_written(&value, View::new(&schema), TakesText::Alone, &mut |_| None), None);
    }
}
