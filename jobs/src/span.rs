//! Spans of time as people write them: `5s`, `2 min`, `30 days`.
//!
//! Asks no clock.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dojob::units::{self, UnitError};
use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time: `20ms`, `5s`, `2 min`, `1h 30m`, `1.5 days`, `2 weeks`. A day has 24 hours; months and years, which
/// are not all of one length, are refused, and so is a bare number, which has no unit.
///
/// ```
/// # use dojob_jobs::Span;
/// # use std::time::Duration;
/// assert_eq!("2 min".parse::<Span>()?, Span::from(Duration::from_secs(120)));
/// assert!("2 months".parse::<Span>().is_err());
/// # Ok::<(), dojob::units::UnitError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

impl Span {
    /// The same as a `Duration`.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Span(duration)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        units::parse_duration(text).map(Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A span that is longer than 292 billion years was not written by a person.
        write!(f, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        units::duration::deserialize(deserializer).map(Span)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": dojob::units::DURATION_PATTERN,
            "patternErrorMessage": "A span of time is a number and a unit, such as `5s` or `1h 30m`.",
            "description": "A span of time: a number and a unit, such as `20ms`, `5s`, `2 min`, `1h 30m` or `30 days`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Duration> {
        text.parse::<Span>().ok().map(Span::duration)
    }

    #[test]
    fn people_write_spans_in_many_ways() {
        assert_eq!(of("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(of("2.5s"), Some(Duration::from_millis(2500)));
        assert_eq!(of(" 2 min "), Some(Duration::from_secs(120)));
        assert_eq!(of("1h 30m"), Some(Duration::from_secs(5400)));
        assert_eq!(of("2 weeks"), Some(Duration::from_secs(14 * 86400)));
        assert_eq!(of("1.5d"), Some(Duration::from_secs(36 * 3600)));
        assert_eq!(of("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn the_schema_has_room_for_all_of_them() {
        let pattern = regex::Regex::new(dojob::units::DURATION_PATTERN).unwrap();
        for text in ["20ms", "2.5s", " 2 min ", "1h 30m", "1h, 30m", "2 weeks", "5µs", "0s"] {
            assert!(of(text).is_some() && pattern.is_match(text), "{text}");
        }
        for text in ["", "5", "soon", "-5s", "5s ago"] {
            assert!(!pattern.is_match(text), "{text}");
        }
        let pattern = regex::Regex::new(dojob::units::SIZE_PATTERN).unwrap();
        assert!(pattern.is_match("512 MiB") && pattern.is_match("1.5GB") && !pattern.is_match("512"));
    }

    #[test]
    fn what_has_no_fixed_length_is_refused() {
        for text in
            ["", "5", "s", "-5s", "5s ago", "1 month", "1 year", "PT5S", "5 parsecs", "99999999999999999999s"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["20ms", "5s", "1h 30m"] {
            let span: Span = text.parse().unwrap();
            let written = serde_json::to_string(&span).unwrap();
            assert_eq!(written, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Span>(&written).unwrap(), span);
        }
        let huge = Span::from(Duration::MAX).to_string();
        assert!(huge.ends_with("ns") && of(&huge).is_some(), "{huge}");
    }

    #[test]
    fn a_bare_number_has_no_unit() {
        let error = serde_json::from_str::<Span>("5").unwrap_err().to_string();
        assert!(error.starts_with("invalid type: integer `5`, expected a duration such as `5s`"), "{error}");
    }
}
