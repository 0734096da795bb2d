//! The permissions of a file or directory: as they are written down and read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rustix::fs::Mode as RawMode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The permissions of a file or directory, as `chmod` takes them in octal digits: `0644`, `0755`, `4755`.
///
/// In a configuration file it is a text, `"0644"`; a number is refused there, since nobody can tell whether 644 was
/// meant to be octal. In Rust it is `Mode::new(0o644)`, or just `0o644` where a mode is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u32);

/// What is no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no mode: write three or four octal digits, such as `0644` or `0755`")]
pub struct ModeError {
    text: String,
}

impl Mode {
    /// From the number as `chmod` shows it: `Mode::new(0o644)`. One above `0o7777` is refused by the first check.
    pub const fn new(bits: u32) -> Self {
        Mode(bits)
    }

    /// The number.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// # Errors
    /// When it has bits that are no permissions: decimal 644 where octal was meant, say.
    pub(crate) fn validate(self) -> Result<(), ModeError> {
        if self.0 > 0o7777 { Err(ModeError { text: format!("{:o}", self.0) }) } else { Ok(()) }
    }

    pub(crate) fn raw(self) -> RawMode {
        RawMode::from_raw_mode((self.0 & 0o7777) as rustix::fs::RawMode)
    }
}

impl From<u32> for Mode {
    fn from(bits: u32) -> Self {
        Mode(bits)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let is_octal = digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        // One or two digits are more likely a slip than a mode.
        if !is_octal || !(3..=5).contains(&digits.len()) {
            return Err(ModeError { text: text.to_owned() });
        }
        let mode = u32::from_str_radix(digits, 8).map(Mode).ok();
        mode.filter(|mode| mode.validate().is_ok()).ok_or_else(|| ModeError { text: text.to_owned() })
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Mode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mode as a text of octal digits, such as \"0644\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Mode, E> {
                Err(E::custom(format!(
                    "the mode {number} may be octal or not: write it in quotes, such as \"{number:04}\""
                )))
            }
        }
        // What tells its kind: a number is to be refused with a hint of its own.
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(0o)?0?[0-7]{3,4}$",
            // A number is not taken for its text: 420 may be 0644, and 644 too.
            "x-dojob-octal": true,
            "description": "Permissions as a text of octal digits, such as \"0644\" or \"0755\".",
        })
    }
}
