//! Headers that a user gives, of which any may be a secret.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use dojob::{Context, Secret};
use serde::{Deserialize, Deserializer, de};

/// Values by name.
pub(crate) type Headers = BTreeMap<String, Secret<String>>;

/// What has nothing to hide: where such a value turns up in an output it is to be read there.
const OPEN: [&str; 10] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-language",
    "content-type",
    "if-match",
    "if-none-match",
    "origin",
    "user-agent",
];

/// What is seen to here.
const OURS: [&str; 6] = ["connection", "content-length", "host", "range", "transfer-encoding", "upgrade"];

/// A secret that is shorter is no secret, and to mask it would tear holes into everything.
const SHORTEST: usize = 4;

/// For `#[serde(default, deserialize_with)]`: headers that can be sent.
pub(crate) fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Headers, D::Error> {
    let headers = Headers::deserialize(deserializer)?;
    validate(&headers).map_err(de::Error::custom)?;
    Ok(headers)
}

/// Whether these can be sent.
///
/// # Errors
/// When one cannot; its value is not told.
pub(crate) fn validate(headers: &Headers) -> Result<()> {
    for (name, value) in headers {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        ensure!(
            !name.is_empty() && name.bytes().all(is_token),
            "`{}` is no name of a header",
            name.escape_debug()
        );
        ensure!(
            !OURS.contains(&name.to_ascii_lowercase().as_str()),
            "the header `{name}` cannot be set: it follows from the request"
        );
        let sendable = |c: char| c == '\t' || (c.is_ascii() && !c.is_ascii_control());
        ensure!(
            value.expose().chars().all(sendable),
            "the value of the header `{name}` has a character that cannot be sent: a line's end, or one that is no ASCII"
        );
    }
    Ok(())
}

/// Masks their values in all that is shown from now on; of `Bearer abc` also the `abc`.
pub(crate) fn mask(cx: &Context, headers: &Headers) {
    for (name, value) in headers {
        if OPEN.contains(&name.to_ascii_lowercase().as_str()) {
            continue;
        }
        let value = value.expose().trim();
        let last = value.rsplit(' ').next().unwrap_or_default();
        for secret in [value, last] {
            if secret.len() >= SHORTEST {
                cx.mask(&Secret::new(secret.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_named_without_its_value() {
        let told = |name: &str, value: &str| {
            let headers = Headers::from([(name.to_owned(), Secret::new(value.to_owned()))]);
            validate(&headers).map_err(|error| error.to_string())
        };
        assert_eq!(told("Authorization", "Bearer a b\tc"), Ok(()));
        for name in ["", "a b", "a:", "ä", "a\n"] {
            assert!(told(name, "x").unwrap_err().ends_with("is no name of a header"), "{name:?}");
        }
        for value in ["hunter2\n", "hünter2", "hunter2\0"] {
            let error = told("X-Key", value).unwrap_err();
            assert!(
                error.contains("`X-Key` has a character that cannot be sent") && !error.contains("nter2")
            );
        }
        assert!(told("Content-Length", "5").unwrap_err().contains("follows from the request"));
    }
}
