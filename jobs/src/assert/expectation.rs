//! What a fact has to be, and what facts by their paths have to be.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use schemars::JsonSchema;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::pattern::Pattern;

/// What a fact has to be: a value, one of several, or something within bounds.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Expectation {
    /// All that is said there.
    Bounds(Bounds),
    /// One of these.
    OneOf(Vec<Value>),
    /// This value; null for a fact that is not known.
    Is(Value),
}

/// How a fact is described in a schema: an expectation, or in its place the parts of the fact.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it describes what is read by hand")]
pub(super) enum ExpectationOrParts {
    /// All that is said there.
    Bounds(Bounds),
    /// Its parts by name, each as a fact is written: `{ version: { min: 12 } }`.
    Parts(BTreeMap<String, Value>),
    /// One of these.
    OneOf(Vec<Value>),
    /// This value; null for a fact that is not known.
    Is(Value),
}

/// What is said of a fact; all of it has to hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The least that it may be: a number, or a version as a text. Of versions the numbers between the dots are compared,
    /// one by one: `"1.9"` is less than `"1.10"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The most that it may be, itself allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// What it must not be: a value, or a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Value>,
    /// A regular expression that is found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Pattern>,
}

impl<'de> Deserialize<'de> for Expectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, since of an untagged enum nobody learns which field is wrong.
        let expectation = match Value::deserialize(deserializer)? {
            Value::Array(values) => Expectation::OneOf(values),
            value @ Value::Object(_) => {
                Expectation::Bounds(Bounds::deserialize(value).map_err(de::Error::custom)?)
            }
            value => Expectation::Is(value),
        };
        Ok(expectation)
    }
}

/// The keys of [`Bounds`].
const BOUNDS: [&str; 4] = ["min", "max", "not", "matches"];

/// For `#[serde(deserialize_with)]`: what is expected of facts by their paths. An object that has no bounds has more of the
/// path in its keys, as HOCON makes it of `os.family: debian`.
pub(super) fn facts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Expectation>, D::Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = BTreeMap<String, Expectation>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("facts by their paths, and what they have to be")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut facts = BTreeMap::new();
            while let Some(path) = map.next_key()? {
                map.next_value_seed(Fact { path, facts: &mut facts })?;
            }
            Ok(facts)
        }
    }
    deserializer.deserialize_map(Reader)
}

/// A fact that is read into the others. (Where that fails, it is this value that is shown.)
struct Fact<'f> {
    path: String,
    facts: &'f mut BTreeMap<String, Expectation>,
}

impl<'de> DeserializeSeed<'de> for Fact<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let value = Value::deserialize(deserializer)?;
        add(self.facts, self.path, value).map_err(|error| de::Error::custom(format!("{error:#}")))
    }
}

/// As deep as the value, which a parser has bounded.
fn add(facts: &mut BTreeMap<String, Expectation>, path: String, value: Value) -> Result<()> {
    let expectation = match value {
        Value::Object(object) => {
            let is_bound = |name: &&String| BOUNDS.contains(&name.as_str());
            match (object.keys().find(is_bound), object.keys().find(|name| !is_bound(name))) {
                (Some(bound), Some(part)) => bail!(
                    "`{path}` has the bound `{bound}` beside the part `{part}`: a fact has bounds or parts, not both; a path in \
                     quotes is never taken apart, such as `\"{}\"`",
                    joined(&path, part)
                ),
                (None, Some(_)) => {
                    return object
                        .into_iter()
                        .try_for_each(|(part, value)| add(facts, joined(&path, &part), value));
                }
                (_, None) => Bounds::deserialize(Value::Object(object))
                    .map(Expectation::Bounds)
                    .with_context(|| format!("what is expected of `{path}` is not possible"))?,
            }
        }
        value => Expectation::deserialize(value)?,
    };
    ensure!(!facts.contains_key(&path), "the fact `{path}` is given twice");
    facts.insert(path, expectation);
    Ok(())
}

/// A path with one part more; one that begins with `/` has that between its parts, too.
fn joined(path: &str, part: &str) -> String {
    let between = if path.starts_with('/') { '/' } else { '.' };
    format!("{path}{between}{part}")
}

impl<V: Into<Value>> From<V> for Expectation {
    fn from(value: V) -> Self {
        Expectation::Is(value.into())
    }
}

impl From<Bounds> for Expectation {
    fn from(bounds: Bounds) -> Self {
        Expectation::Bounds(bounds)
    }
}

impl Bounds {
    /// At least this.
    pub fn min(least: impl Into<Value>) -> Self {
        Bounds { min: Some(least.into()), ..Bounds::default() }
    }

    /// At most this.
    #[must_use]
    pub fn max(mut self, most: impl Into<Value>) -> Self {
        self.max = Some(most.into());
        self
    }
}

impl Expectation {
    pub(super) fn validate(&self) -> Result<()> {
        match self {
            Expectation::Is(_) => Ok(()),
            Expectation::OneOf(values) => {
                ensure!(!values.is_empty(), "a list of values must not be empty");
                Ok(())
            }
            Expectation::Bounds(bounds) => bounds.validate(),
        }
    }

    /// Why the fact is not as expected.
    pub(super) fn differs(&self, found: &Value) -> Option<String> {
        match self {
            Expectation::Is(wanted) => {
                (!is_same(found, wanted)).then(|| format!("{}, not {}", is(found), shown(wanted)))
            }
            Expectation::OneOf(values) => {
                let list = || values.iter().map(shown).collect::<Vec<_>>().join(", ");
                let fits = values.iter().any(|value| is_same(found, value));
                (!fits).then(|| format!("{}, and none of {}", is(found), list()))
            }
            Expectation::Bounds(bounds) => bounds.differs(found),
        }
    }
}

impl Bounds {
    fn validate(&self) -> Result<()> {
        ensure!(*self != Bounds::default(), "an object needs `min`, `max`, `not` or `matches`");
        for (name, bound) in [("min", &self.min), ("max", &self.max)] {
            let fits = bound.as_ref().is_none_or(|bound| match bound {
                Value::Number(_) => true,
                Value::String(version) => version.starts_with(|c: char| c.is_ascii_digit()),
                _ => false,
            });
            ensure!(fits, "`{name}` has to be a number, or a version such as \"12.1\"");
        }
        Ok(())
    }

    fn differs(&self, found: &Value) -> Option<String> {
        if found.is_null() && (self.min.is_some() || self.max.is_some() || self.matches.is_some()) {
            return Some(is(found));
        }
        let beyond = |bound: &Option<Value>, beyond: Ordering, word: &str| {
            let bound = bound.as_ref()?;
            match order(found, bound) {
                None => Some(format!("{}, which cannot be compared with {}", is(found), shown(bound))),
                Some(order) => {
                    (order == beyond).then(|| format!("{}, {word} than {}", is(found), shown(bound)))
                }
            }
        };
        let among = |values: &Value| match values {
            Value::Array(values) => values.iter().any(|value| is_same(found, value)),
            value => is_same(found, value),
        };
        beyond(&self.min, Ordering::Less, "less")
            .or_else(|| beyond(&self.max, Ordering::Greater, "more"))
            .or_else(|| self.not.as_ref().filter(|not| among(not)).map(|_| is(found)))
            .or_else(|| {
                let pattern = self.matches.as_ref()?;
                let fits = pattern.is_in(shown(found).as_bytes());
                (!fits).then(|| format!("{}, which does not match {pattern}", is(found)))
            })
    }
}

fn is(found: &Value) -> String {
    if found.is_null() { "is not known".to_owned() } else { format!("is {}", shown(found)) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    }
}

/// A version may be written as a number: 12 is "12".
fn is_same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::String(found), Value::Number(wanted)) => *found == wanted.to_string(),
        _ => found == wanted,
    }
}

/// Numbers as numbers, texts as versions.
fn order(found: &Value, bound: &Value) -> Option<Ordering> {
    if let (Value::Number(found), Value::Number(bound)) = (found, bound) {
        let integer =
            |number: &serde_json::Number| number.as_u64().map(i128::from).or(number.as_i64().map(i128::from));
        return match (integer(found), integer(bound)) {
            (Some(found), Some(bound)) => Some(found.cmp(&bound)),
            _ => found.as_f64()?.partial_cmp(&bound.as_f64()?),
        };
    }
    let numbers = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        // What is behind the numbers (`-rc1`, `_p2`) has an order that nobody knows here.
        let plain = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.trim_end_matches('.');
        plain.split('.').map(|number| number.parse::<u64>().ok()).collect::<Option<Vec<u64>>>()
    };
    let (mut found, mut bound) = (numbers(found)?, numbers(bound)?);
    // 12 and 12.0 are the same.
    let length = found.len().max(bound.len());
    found.resize(length, 0);
    bound.resize(length, 0);
    Some(found.cmp(&bound))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differs(expected: Value, found: Value) -> String {
        let expected: Expectation = serde_json::from_value(expected).unwrap();
        expected.validate().unwrap();
        expected.differs(&found).unwrap_or_default()
    }

    #[test]
    fn values_are_compared() {
        assert_eq!(differs(json!("debian"), json!("debian")), "");
        assert_eq!(differs(json!("debian"), json!("alpine")), "is alpine, not debian");
        assert_eq!(differs(json!(12), json!("12")), "");
        assert_eq!(differs(json!(true), json!(false)), "is false, not true");
        assert_eq!(differs(json!(null), json!(null)), "");
        assert_eq!(differs(json!(null), json!("docker")), "is docker, not unknown");
        assert_eq!(differs(json!("x"), json!(null)), "is not known, not x");
        assert_eq!(differs(json!(["a", "b"]), json!("b")), "");
        assert_eq!(differs(json!(["a", "b"]), json!("c")), "is c, and none of a, b");
    }

    #[test]
    fn bounds_are_those_of_numbers_and_versions() {
        assert_eq!(differs(json!({"min": 2, "max": 4}), json!(2)), "");
        assert_eq!(differs(json!({"min": 2, "max": 4}), json!(5)), "is 5, more than 4");
        assert_eq!(differs(json!({"min": 2.5}), json!(2)), "is 2, less than 2.5");
        assert_eq!(differs(json!({"min": "1.10"}), json!("1.9")), "is 1.9, less than 1.10");
        assert_eq!(differs(json!({"min": "12"}), json!("12.0")), "");
        assert_eq!(differs(json!({"min": 12}), json!("11")), "is 11, less than 12");
        assert_eq!(differs(json!({"min": "6.1"}), json!("6.1.0-28-amd64")), "");
        assert_eq!(differs(json!({"min": 1}), json!("sid")), "is sid, which cannot be compared with 1");
        assert_eq!(differs(json!({"min": 1}), json!(null)), "is not known");
        assert_eq!(differs(json!({"not": "a"}), json!("a")), "is a");
        assert_eq!(differs(json!({"not": ["a", null]}), json!(null)), "is not known");
        assert_eq!(differs(json!({"not": ["a"]}), json!("b")), "");
        assert_eq!(differs(json!({"matches": "^web[0-9]+$"}), json!("web1")), "");
        assert_eq!(differs(json!({"matches": "^web"}), json!("db")), "is db, which does not match ^web");
    }
}
