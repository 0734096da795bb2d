//! Rules for the texts of configurations, and forms in which they may be written down.
//!
//! Looks at nothing but the values.

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::de::{self, Deserializer, Visitor};

/// Refuses an empty text, and one that would not stay on its line.
pub(crate) fn one_line(field: &str, text: &str) -> Result<()> {
    ensure!(!text.trim().is_empty(), "`{field}` is empty");
    no_break(field, text)
}

/// Refuses a text that would not stay on its line.
pub(crate) fn no_break(field: &str, text: &str) -> Result<()> {
    ensure!(
        !text.contains(['\n', '\r', '\0']),
        "`{field}` is `{}`: it has to be one line without NUL bytes",
        text.escape_debug()
    );
    Ok(())
}

/// Refuses a path that is empty, relative, or no path at all.
pub(crate) fn path(field: &str, path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_encoded_bytes();
    ensure!(!bytes.is_empty(), "`{field}` is empty: an absolute path is wanted");
    ensure!(
        !bytes.contains(&0),
        "`{field}` has a NUL byte in it: {}",
        path.display().to_string().escape_debug()
    );
    ensure!(
        !bytes.starts_with(b"~"),
        "`{field}` is {}: `~` is not expanded, write the home directory itself",
        path.display()
    );
    ensure!(path.is_absolute(), "`{field}` is {}: an absolute path is wanted", path.display());
    Ok(())
}

/// The schema of what [`one_or_many`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The schema of what [`name_or_number`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum NameOrNumber {
    Name(String),
    Number(u32),
}

/// Reads one text or a list of them.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<String>, A::Error> {
            let mut found = Vec::new();
            while let Some(text) = texts.next_element()? {
                found.push(text);
            }
            Ok(found)
        }
    }
    deserializer.deserialize_any(Reader)
}

/// Reads a name, or a number that stands for one.
pub(crate) fn name_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name or a number")
        }
        fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
            Ok(None)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
            Ok(Some(text.to_owned()))
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<String>, E> {
            Ok(Some(number.to_string()))
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<String>, E> {
            u64::try_from(number)
                .map(|number| Some(number.to_string()))
                .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
        }
    }
    deserializer.deserialize_any(Reader)
}

/// A list for a message: `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<T: fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    let mut words: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    match words.pop() {
        None => String::new(),
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
    }
}
