//! A short digest of values, the same on every machine: to see whether something is still what it was.
//!
//! It is the 128-bit FNV-1a hash, of which two different values are not equal by accident. It keeps nothing secret and does
//! not withstand someone who wants to deceive: values with secrets do not belong in it.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// A digest, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of a JSON value; the order of keys in objects does not count.
    pub(crate) fn of_json(value: &Value) -> Digest {
        let mut hasher = Hasher::new();
        hasher.json(value);
        hasher.finish()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Takes in values one after the other.
pub(crate) struct Hasher(u128);

impl Hasher {
    pub(crate) fn new() -> Self {
        Hasher(OFFSET)
    }

    /// One value; where it ends counts, too.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.raw(&(bytes.len() as u64).to_le_bytes());
        self.raw(bytes);
    }

    /// As [`Digest::of_json`].
    fn json(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                self.add(b"[");
                items.iter().for_each(|item| self.json(item));
                self.add(b"]");
            }
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_unstable_by_key(|(key, _)| *key);
                self.add(b"{");
                for (key, value) in members {
                    self.add(key.as_bytes());
                    self.json(value);
                }
                self.add(b"}");
            }
            // With the quotation marks of a string, so that "1" is not 1.
            other => self.add(other.to_string().as_bytes()),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.to_be_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_the_hash_that_it_says() {
        let of = |bytes: &[u8]| {
            let mut hasher = Hasher::new();
            hasher.raw(bytes);
            hasher.finish().to_string()
        };
        assert_eq!(of(b""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(of(b"a"), "d228cb696f1a8caf78912b704e4a8964");
    }

    #[test]
    fn values_that_differ_have_other_digests() {
        let values = [
            json!(null),
            json!(1),
            json!("1"),
            json!([1]),
            json!(["1"]),
            json!([[1]]),
            json!([1, 2]),
            json!([[1], 2]),
            json!({"a": 1}),
            json!({"a": "1"}),
            json!({"a": 1, "b": 2}),
            json!({"ab": [1, 2]}),
            json!(["a", 1]),
            json!(["[", 1, "]"]),
        ];
        for (at, one) in values.iter().enumerate() {
            for other in &values[..at] {
                assert_ne!(Digest::of_json(one), Digest::of_json(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn the_order_of_keys_does_not_count() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": {"c": 2, "d": 3}}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": {"d": 3, "c": 2}, "a": 1}"#).unwrap();
        assert_eq!(Digest::of_json(&one), Digest::of_json(&other));
    }
}
