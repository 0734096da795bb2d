//! Durations in a playbook: `5s`, `1h 30m`.

use std::time::Duration;

use super::cursor::Cursor;
use super::hocon::Value;
use crate::units::{self, UnitError};

/// A duration; a number alone has no unit.
pub(super) fn duration(cursor: &mut Cursor<'_, '_>) -> Option<Duration> {
    const WANTED: &str = "a duration such as `5s`";
    match cursor.value() {
        Value::String(text) => match units::parse_duration(text) {
            Ok(duration) => return Some(duration),
            Err(UnitError::Shape { wanted, .. }) => cursor.expected(wanted, None),
            Err(other) => cursor.expected(WANTED, Some(other.to_string())),
        },
        Value::Number(number) => cursor.expected(WANTED, Some(format!("it needs a unit: `{number}s`"))),
        _ => cursor.expected(WANTED, None),
    }
    None
}

/// A time that something may take.
pub(super) fn positive_duration(cursor: &mut Cursor<'_, '_>) -> Option<Duration> {
    let timeout = duration(cursor)?;
    if timeout.is_zero() {
        cursor.expected("a duration longer than zero, such as `5s`", None);
        return None;
    }
    Some(timeout)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::playbook::hocon::Places;

    #[test]
    fn durations_are_numbers_with_units_as_people_write_them() {
        let parsed = |value: serde_json::Value| {
            let value = Value::from(value);
            let mut problems = Vec::new();
            duration(&mut Cursor::root(&value, &Places::default(), &mut problems))
        };
        for (text, millis) in [
            ("20ms", 20),
            ("5s", 5_000),
            ("0s", 0),
            ("1.5 minutes", 90_000),
            ("2 min", 120_000),
            ("1h 30m", 5_400_000),
            ("2 days", 172_800_000),
            ("1.5 d", 129_600_000),
            ("2 weeks", 1_209_600_000),
        ] {
            assert_eq!(parsed(json!(text)), Some(Duration::from_millis(millis)), "{text}");
        }
        for wrong in [json!(5), json!("5"), json!("-5s"), json!("1 month"), json!("soon"), json!(null)] {
            assert_eq!(parsed(wrong.clone()), None, "{wrong}");
        }
    }
}
