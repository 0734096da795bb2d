//! Sizes as people write them: `512 MiB`, `10 GB`.
//!
//! Measures nothing.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use dojob::units::{self, UnitError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes: `512 MiB`, `1.5 GB`, `100 B`. In `KiB`, `MiB`, `GiB` and `TiB` a step is 1024, in `kB`, `MB`, `GB` and `TB`
/// 1000. A bare number, which is no text, means bytes.
///
/// ```
/// # use dojob_jobs::Size;
/// assert_eq!("2 KiB".parse::<Size>()?, Size::bytes(2048));
/// assert_eq!(Size::bytes(3_000_000).to_string(), "3 MB");
/// # Ok::<(), dojob::units::UnitError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Those that a size is written with, the largest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

impl Size {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Size(bytes)
    }

    /// How many bytes it is.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl From<u64> for Size {
    fn from(bytes: u64) -> Self {
        Size(bytes)
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        units::parse_size(text).map(Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, step)| self.0 >= *step && self.0.is_multiple_of(*step));
        let (name, step) = exact.unwrap_or(&("B", 1));
        write!(f, "{} {name}", self.0 / step)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `10 MiB`, or a number of bytes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 0,
            "pattern": dojob::units::SIZE_PATTERN,
            "patternErrorMessage": "A size is a number and a unit, such as `512 MiB`, or a number of bytes.",
            "description": "A size: a number and a unit, such as `100 kB`, `512 MiB` or `10 GB`, or a number of bytes.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let of = |text: &str| text.parse::<Size>().ok().map(Size::as_bytes);
        assert_eq!(of("0 B"), Some(0));
        assert_eq!(of("512MiB"), Some(512 << 20));
        assert_eq!(of(" 10 GB "), Some(10_000_000_000));
        assert_eq!(of("1 TiB"), Some(1 << 40));
        assert_eq!(of("1.5 GB"), Some(1_500_000_000));
        assert_eq!(of("1 PiB"), Some(1 << 50));
        for text in ["", "5", "B", "-1 B", "1 gb", "1 GiBs", "99999999999 TB", "1 G B"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn they_are_written_as_they_are_read() {
        for text in ["0 B", "1 B", "1000000 B", "512 MiB", "10 GB", "1023 B", "3 TiB"] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.to_string().parse::<Size>(), Ok(size), "{size}");
        }
        assert_eq!(Size::bytes(0).to_string(), "0 B");
        assert_eq!(Size::bytes(16 << 30).to_string(), "16 GiB");
        assert_eq!(serde_json::from_str::<Size>("7").unwrap(), Size::bytes(7));
        let error = serde_json::from_str::<Size>("\"7 apples\"").unwrap_err().to_string();
        assert!(error.starts_with("there is no unit `apples`; the units are B, kB, MB"), "{error}");
        assert!(serde_json::from_str::<Size>("-7").is_err());
    }
}
