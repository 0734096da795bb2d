//! The way to a setting: the names on it, one inside of the other.

use std::borrow::Cow;
use std::fmt;

use anyhow::{Result, ensure};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::command_line::Word;

/// The way to a setting: names with dots between them, or a list of names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Key(Vec<String>);

impl Key {
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    pub(super) fn validate(&self) -> Result<()> {
        ensure!(!self.0.is_empty(), "a key needs a name at least");
        ensure!(
            !self.0.iter().any(String::is_empty),
            "a name in a key must not be empty; in `{self}` one is"
        );
        ensure!(
            !self.0.iter().any(|name| name.contains(['\0', '\n', '\r'])),
            "a name in a key must be one line"
        );
        Ok(())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl From<&str> for Key {
    fn from(dotted: &str) -> Self {
        Key(dotted.split('.').map(str::to_owned).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Key {
    fn from(names: [S; N]) -> Self {
        Key(names.into_iter().map(Into::into).collect())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key: names with dots between them, or a list of names")
            }

            fn visit_str<E: de::Error>(self, dotted: &str) -> Result<Key, E> {
                Ok(Key::from(dotted))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Key, A::Error> {
                let names = Vec::<Word>::deserialize(SeqAccessDeserializer::new(names))?;
                Ok(Key(names.into_iter().map(|name| name.0).collect()))
            }
        }
        let key = deserializer.deserialize_any(Reader)?;
        key.validate().map_err(de::Error::custom)?;
        Ok(key)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "Names with dots between them, or a list of names.",
        })
    }
}
