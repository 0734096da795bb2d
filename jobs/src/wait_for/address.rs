//! Where something listens: a host and a port, as people write them.
//!
//! Asks nobody whether there is such a host.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use anyhow::{Result, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A host and a port: `127.0.0.1:80`, `[::1]:80`, `db.example.com:5432`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The name of the host, or its address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port > 0)?;
            let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let host = match in_brackets {
                Some(host) => host.parse::<Ipv6Addr>().ok().map(|_| host)?,
                None => host,
            };
            let fits =
                |c: char| c.is_alphanumeric() || "-._".contains(c) || (in_brackets.is_some() && c == ':');
            let fits = !host.is_empty() && host.chars().all(fits);
            fits.then(|| Address { host: host.to_owned(), port })
        };
        match parse() {
            Some(address) => Ok(address),
            None => bail!(
                "`{}` is no host and port, such as `localhost:80`, `127.0.0.1:80` or `[::1]:80`",
                text.escape_debug()
            ),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A host and a port: `localhost:80`, `127.0.0.1:80`, `[::1]:80`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for text in ["localhost:80", "127.0.0.1:65535", "[::1]:22", "db-1.example.com:5432"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:22".parse::<Address>().unwrap().host(), "::1");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "80",
            "localhost",
            ":80",
            "a:0",
            "a:65536",
            "a:b",
            "::1:22",
            "[::1]",
            "[a]:1",
            "a b:1",
            "a\0:1",
            "u@a:1",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("is no host and port, such as"), "{error}");
        }
    }
}
