//! A value of a configuration, whose numbers stay as they were written: `1.10` is not `1.1` in the text of a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The only key of the object that stands for a number as it was written. A schema with `x-written-number` asks a
/// playbook for such objects.
const WRITTEN: &str = "\u{0}number";

/// A value of a configuration: as in JSON, with numbers as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Values by name.
    Object(BTreeMap<String, Value>),
}

/// A number as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// A number that is written like this, in whatever notation.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Number(text.into())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a fraction or an exponent, or is not finite: `1.0` is, `1` is not.
    pub(crate) fn is_float(&self) -> bool {
        !self.0.starts_with("0x") && self.0.contains(['.', 'e', 'E', 'n', 'N', 'i', 'I'])
    }

    /// Whether JSON allows it to be written like this.
    pub(crate) fn is_json(&self) -> bool {
        serde_json::from_str::<serde_json::Number>(&self.0).is_ok() || {
            // Larger than what fits there.
            let digits = self.0.strip_prefix('-').unwrap_or(&self.0);
            self.decimal().is_some()
                && (digits.starts_with("0.") || !digits.starts_with(['0', '+', '.']))
                && !digits.contains(".e")
                && !digits.contains(".E")
                && !digits.ends_with('.')
        }
    }

    /// Whether both stand for the same number, to the last digit.
    pub(crate) fn is_same(&self, other: &Number) -> bool {
        self.0 == other.0
            || matches!((self.decimal(), other.decimal()), (Some(one), Some(other)) if one == other)
    }

    /// Its sign, its digits without zeros at the ends, and the power of ten of the last one.
    fn decimal(&self) -> Option<(bool, String, i64)> {
        let (is_negative, rest) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0.strip_prefix('+').unwrap_or(&self.0)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let mut power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let kept = digits.trim_end_matches('0').len();
        power = power.checked_add(i64::try_from(digits.len() - kept).ok()?)?;
        digits.truncate(kept);
        let digits = digits.trim_start_matches('0').to_owned();
        let power = if digits.is_empty() { 0 } else { power };
        // Among whole numbers there is one zero.
        Some((is_negative && (!digits.is_empty() || self.is_float()), digits, power))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Refuses numbers that are not written as in JSON, which this `format` does, too.
    ///
    /// # Errors
    /// With the number.
    pub(crate) fn validate_numbers(&self, format: &str) -> anyhow::Result<()> {
        match self.find_number(&|number| !number.is_json()) {
            Some(number) => {
                anyhow::bail!(
                    "{number} is not how {format} writes a number; put it in quotes if it is a text"
                )
            }
            None => Ok(()),
        }
    }

    /// The first number in it that `is` finds.
    pub(crate) fn find_number(&self, is: &dyn Fn(&Number) -> bool) -> Option<&Number> {
        match self {
            Value::Number(number) => is(number).then_some(number),
            Value::Array(values) => values.iter().find_map(|value| value.find_number(is)),
            Value::Object(fields) => fields.values().find_map(|value| value.find_number(is)),
            Value::Null | Value::Bool(_) | Value::String(_) => None,
        }
    }
}

/// As JSON, numbers as they were written.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(truth) => truth.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::String(text) => serde_json::Value::from(text.as_str()).fmt(f),
            Value::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", serde_json::Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(truth) => Value::Bool(truth),
            serde_json::Value::Number(number) => Value::Number(Number(number.to_string())),
            serde_json::Value::String(text) => Value::String(text),
            serde_json::Value::Array(values) => values.into_iter().map(Value::from).collect(),
            serde_json::Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Value::Array(values.into_iter().collect())
    }
}

macro_rules! from {
    ($($Type:ty),*) => {
        $(impl From<$Type> for Value {
            fn from(value: $Type) -> Self {
                serde_json::Value::from(value).into()
            }
        })*
    };
}

from!(bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, &str, String, Cow<'_, str>);

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Value::Number(number)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Number(number) => {
                // A number that would be written in the same way is one.
                match serde_json::from_str::<serde_json::Number>(&number.0) {
                    Ok(plain) if plain.to_string() == number.0 => plain.serialize(serializer),
                    _ => {
                        let mut map = serializer.serialize_map(Some(1))?;
                        map.serialize_entry(WRITTEN, &number.0)?;
                        map.end()
                    }
                }
            }
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(values) => values.serialize(serializer),
            Value::Object(fields) => fields.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_none<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }
            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Value, E> {
                Ok(Value::Bool(truth))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
                Ok(number.into())
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
                Ok(number.into())
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
                Ok(number.into())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Ok(text.into())
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
                Ok(text.into())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut found = Vec::new();
                while let Some(value) = values.next_element()? {
                    found.push(value);
                }
                Ok(Value::Array(found))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut found = BTreeMap::new();
                while let Some(name) = values.next_key::<String>()? {
                    if name == WRITTEN {
                        return values.next_value::<String>().map(|text| Number(text).into());
                    }
                    found.insert(name, values.next_value()?);
                }
                Ok(Value::Object(found))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-written-number": WRITTEN })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn same(one: &str, other: &str) -> bool {
        Number::new(one).is_same(&Number::new(other))
    }

    #[test]
    fn numbers_are_compared_to_the_last_digit() {
        assert!(same("1.10", "1.1") && same("1e3", "1000") && same("0.5", "5E-1") && same("0", "0.00"));
        assert!(same("-0", "0") && !same("-0.0", "0.0"));
        assert!(!same("18446744073709551616", "18446744073709551617") && !same("1", "-1"));
        assert!(!same("0.1", "0.1000000000000000055511151231257827") && !same("nan", "inf"));
    }

    #[test]
    fn what_json_cannot_say_is_known() {
        for json in ["0", "-0", "1.10", "1e3", "1E+400", "18446744073709551616", "-0.5"] {
            assert!(Number::new(json).is_json(), "{json}");
        }
        for other in ["007", "+1", ".5", "1.", "0x1F", "1_000", "1.e3", "nan", ""] {
            assert!(!Number::new(other).is_json(), "{other}");
        }
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let value = json!({"a": [1, 1.5, null, true, "x"], "b": {WRITTEN: "1.10"}});
        let read: Value = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(read.to_string(), r#"{"a":[1,1.5,null,true,"x"],"b":1.10}"#);
        assert_eq!(serde_json::to_value(&read).unwrap(), value);
    }
}
