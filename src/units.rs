//! Durations and sizes with their units: `5s`, `1.5 hours`, `1h 30m`, `10 MiB`.
//!
//! The units are HOCON's, and those of time that people write beside them (`2 min`, `2 weeks`). A number without a unit is
//! refused, though HOCON takes it for milliseconds or bytes: whoever writes `timeout: 30` means something else. Months and
//! years are refused, too, since they are not all of one length. Knows text and numbers; neither clocks nor playbooks. For
//! serde:
//!
//! ```
//! use std::time::Duration;
//!
//! use dojob::units;
//!
//! #[derive(serde::Deserialize)]
//! struct Download {
//!     #[serde(with = "units::duration")]
//!     timeout: Duration,
//!     #[serde(default, with = "units::size::option")]
//!     at_most: Option<u64>,
//! }
//!
//! let download: Download = serde_json::from_str(r#"{ "timeout": "1.5 minutes", "at_most": "10 MiB" }"#)?;
//! assert_eq!(download.timeout, Duration::from_secs(90));
//! assert_eq!(download.at_most, Some(10 << 20));
//!
//! let wrong = serde_json::from_str::<Download>(r#"{ "timeout": 30 }"#).err().unwrap();
//! assert!(wrong.to_string().starts_with("invalid type: integer `30`, expected a duration such as `5s`"));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::time::Duration;

/// What is wrong with a duration or a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// It is no number with a unit.
    #[error("`{found}` is not {wanted}")]
    Shape {
        /// What was found.
        found: String,
        /// What is wanted, with an example.
        wanted: &'static str,
    },
    /// There is no such unit.
    #[error("there is no unit `{unit}`; the units are {units}")]
    Unit {
        /// What was found.
        unit: String,
        /// All that there are.
        units: &'static str,
    },
    /// It is beyond what can be counted.
    #[error("`{found}` is too large")]
    TooLarge {
        /// What was found.
        found: String,
    },
}

/// A regular expression of all texts that [`parse_duration`] may take, for a JSON Schema; it does not know the units.
pub const DURATION_PATTERN: &str = r"^\s*\d+(\.\d*)?\s*[A-Za-zµμ]+([\s,]*\d+(\.\d*)?\s*[A-Za-zµμ]+)*\s*$";
/// As [`DURATION_PATTERN`], of [`parse_size`].
pub const SIZE_PATTERN: &str = r"^\s*\d+(\.\d*)?\s*[A-Za-zµμ]+\s*$";

const A_DURATION: &str = "a duration such as `5s`";
const IN_ORDER: &str = "a duration such as `1h 30m`, from the largest unit to the smallest";
const A_SIZE: &str = "a size such as `10 MiB`";
const OF_TIME: &str = "ns, us, ms, s, m, h, d, w and their names, such as `seconds`";
const OF_SIZE: &str = "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB and their names, such as `megabytes`";

/// `5s`, `1.5 hours`; several of them from the largest unit to the smallest, `1h 30m`. A day has 24 hours.
///
/// # Errors
/// When it is none, has no unit or an unknown one, or is longer than a [`Duration`] can be.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let too_large = || UnitError::TooLarge { found: shortened(text) };
    let (mut all, mut smallest) = (0_u128, u128::MAX);
    let mut rest = text.trim();
    loop {
        let (number, unit, behind) = first(rest).ok_or_else(|| shape(text, A_DURATION))?;
        let nanoseconds = nanoseconds_of(unit)?;
        if nanoseconds >= smallest {
            return Err(shape(text, IN_ORDER));
        }
        smallest = nanoseconds;
        all = times(number, nanoseconds).and_then(|part| all.checked_add(part)).ok_or_else(too_large)?;
        if behind.is_empty() {
            break;
        }
        rest = behind.strip_prefix(',').unwrap_or(behind).trim_start();
    }
    let seconds = u64::try_from(all / 1_000_000_000).map_err(|_| too_large())?;
    let below = u32::try_from(all % 1_000_000_000).map_err(|_| too_large())?;
    Ok(Duration::new(seconds, below))
}

fn nanoseconds_of(unit: &str) -> Result<u128, UnitError> {
    const SECOND: u128 = 1_000_000_000;
    Ok(match unit {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" | "nsec" | "nsecs" => 1,
        // The sign of micro, and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" | "micro" | "micros" | "microsecond" | "microseconds" | "usec"
        | "usecs" => 1_000,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" | "msec" | "msecs" => 1_000_000,
        "s" | "second" | "seconds" | "sec" | "secs" => SECOND,
        "m" | "minute" | "minutes" | "min" | "mins" => 60 * SECOND,
        "h" | "hour" | "hours" | "hr" | "hrs" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "week" | "weeks" | "wk" | "wks" => 7 * 86_400 * SECOND,
        _ => return Err(UnitError::Unit { unit: shortened(unit), units: OF_TIME }),
    })
}

/// `10 MiB`, `1.5GB`: in bytes.
///
/// # Errors
/// When it is none, has no unit or an unknown one, or is too large to be counted.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let sized = first(text.trim()).filter(|(.., behind)| behind.is_empty());
    let (number, unit, _) = sized.ok_or_else(|| shape(text, A_SIZE))?;
    let bytes: u128 = match unit {
        "B" | "b" | "byte" | "bytes" => 1,
        "kB" | "kilobyte" | "kilobytes" => 1_000,
        "MB" | "megabyte" | "megabytes" => 1_000_000,
        "GB" | "gigabyte" | "gigabytes" => 1_000_000_000,
        "TB" | "terabyte" | "terabytes" => 1_000_000_000_000,
        "PB" | "petabyte" | "petabytes" => 1_000_000_000_000_000,
        "K" | "k" | "Ki" | "KiB" | "kibibyte" | "kibibytes" => 1 << 10,
        "M" | "m" | "Mi" | "MiB" | "mebibyte" | "mebibytes" => 1 << 20,
        "G" | "g" | "Gi" | "GiB" | "gibibyte" | "gibibytes" => 1 << 30,
        "T" | "t" | "Ti" | "TiB" | "tebibyte" | "tebibytes" => 1 << 40,
        "P" | "p" | "Pi" | "PiB" | "pebibyte" | "pebibytes" => 1 << 50,
        _ => return Err(UnitError::Unit { unit: shortened(unit), units: OF_SIZE }),
    };
    let size = times(number, bytes).and_then(|size| u64::try_from(size).ok());
    size.ok_or_else(|| UnitError::TooLarge { found: shortened(text) })
}

/// A decimal number as its digits without the dot, and how many of them are behind it.
struct Decimal<'t> {
    whole: &'t str,
    fraction: &'t str,
}

/// The number and the unit that a text begins with, and what is behind them.
fn first(text: &str) -> Option<(Decimal<'_>, &str, &str)> {
    let end = text.find(|each: char| !each.is_ascii_digit() && each != '.')?;
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let rest = rest.trim_start();
    let (unit, behind) = rest.split_at(rest.find(|each: char| !each.is_alphabetic()).unwrap_or(rest.len()));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_right = !whole.is_empty() && digits(fraction) && number.len() <= 40 && !unit.is_empty();
    is_right.then(|| (Decimal { whole, fraction }, unit, behind.trim_start()))
}

fn shape(found: &str, wanted: &'static str) -> UnitError {
    UnitError::Shape { found: shortened(found), wanted }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// Exactly, and what is less than one is dropped.
fn times(number: Decimal<'_>, unit: u128) -> Option<u128> {
    let whole: u128 = number.whole.parse().ok()?;
    // No unit has more than 20 digits: what is further behind is less than one.
    let fraction = &number.fraction[..number.fraction.len().min(18)];
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let below = part.checked_mul(unit)? / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_mul(unit)?.checked_add(below)
}

/// Why a unit has to be an exact multiple when it is written: the largest that divides.
fn largest(value: u128, units: &[(u128, &str)]) -> String {
    let unit = units.iter().find(|(unit, _)| value.is_multiple_of(*unit)).unwrap_or(&units[units.len() - 1]);
    format!("{}{}", value / unit.0, unit.1)
}

macro_rules! unit_module {
    ($(#[$about:meta])* $module:ident, $value:ty, $parse:ident, $wanted:ident, $units:ident, $show:expr) => {
        $(#[$about])*
        pub mod $module {
            use std::fmt;

            use serde::{Deserializer, Serializer, de};

            use super::*;

            struct Text;

            impl de::Visitor<'_> for Text {
                type Value = $value;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str($wanted)
                }

                fn visit_str<E: de::Error>(self, text: &str) -> Result<$value, E> {
                    $parse(text).map_err(|error| match error {
                        UnitError::Shape { wanted, .. } => E::invalid_value(de::Unexpected::Str(text), &wanted),
                        other => E::custom(format!("{other}, expected {}", $wanted)),
                    })
                }
            }

            /// From text with a unit.
            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_str(Text)
            }

            /// As text, with the largest unit that it is a whole number of.
            pub fn serialize<S: Serializer>(value: &$value, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&show(value))
            }

            fn show(value: &$value) -> String {
                let show: fn(&$value) -> u128 = $show;
                largest(show(value), $units)
            }

            /// The same for what may be missing or null; with `#[serde(default)]`.
            pub mod option {
                use super::*;

                struct Perhaps;

                impl<'de> de::Visitor<'de> for Perhaps {
                    type Value = Option<$value>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($wanted)
                    }

                    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
                        Ok(None)
                    }

                    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                        Ok(None)
                    }

                    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                        super::deserialize(deserializer).map(Some)
                    }
                }

                /// From text with a unit, or nothing.
                pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$value>, D::Error> {
                    deserializer.deserialize_option(Perhaps)
                }

                /// As text, or nothing.
                pub fn serialize<S: Serializer>(value: &Option<$value>, serializer: S) -> Result<S::Ok, S::Error> {
                    match value {
                        Some(value) => serializer.serialize_some(&show(value)),
                        None => serializer.serialize_none(),
                    }
                }
            }
        }
    };
}

const TIME: &[(u128, &str)] = &[
    (86_400 * 1_000_000_000, "d"),
    (3_600 * 1_000_000_000, "h"),
    (60 * 1_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];
const SIZE: &[(u128, &str)] =
    &[(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];

unit_module!(
    /// `#[serde(with = "dojob::units::duration")]`
    duration,
    Duration,
    parse_duration,
    A_DURATION,
    TIME,
    Duration::as_nanos
);
unit_module!(
    /// `#[serde(with = "dojob::units::size")]`
    size,
    u64,
    parse_size,
    A_SIZE,
    SIZE,
    |value| u128::from(*value)
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units() {
        let cases = [
            ("5s", Duration::from_secs(5)),
            ("5 seconds", Duration::from_secs(5)),
            ("1.5h", Duration::from_secs(5_400)),
            (" 250 ms ", Duration::from_millis(250)),
            ("1.001s", Duration::from_millis(1_001)),
            ("0.1ns", Duration::ZERO),
            ("7 days", Duration::from_secs(7 * 86_400)),
            ("1.5 d", Duration::from_secs(36 * 3_600)),
            ("2 weeks", Duration::from_secs(14 * 86_400)),
            ("0.5w", Duration::from_secs(84 * 3_600)),
            ("2 min", Duration::from_secs(120)),
            ("1h 30m", Duration::from_secs(5_400)),
            ("1h30m", Duration::from_secs(5_400)),
            ("1 day, 2 hrs, 0.5 sec", Duration::from_millis(93_600_500)),
            ("1m 1s 1ms 1\u{b5}s 1ns", Duration::new(61, 1_001_001)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let cases = [
            ("10", None),
            ("10 MiB", Some(10 << 20)),
            ("1.5kB", Some(1_500)),
            ("1K", Some(1_024)),
            ("0B", Some(0)),
            (" 1.5 GB ", Some(1_500_000_000)),
            ("1 PiB", Some(1 << 50)),
            ("1 gb", None),
            ("-1 B", None),
            ("1 G B", None),
            ("1 GiB 1 MiB", None),
            ("99999999999 TB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text: &str| parse_duration(text).unwrap_err().to_string();
        assert_eq!(said("30"), "`30` is not a duration such as `5s`");
        assert_eq!(said("soon"), "`soon` is not a duration such as `5s`");
        assert_eq!(said("-1s"), "`-1s` is not a duration such as `5s`");
        assert_eq!(said("1.2.3s"), "`1.2.3s` is not a duration such as `5s`");
        assert_eq!(said(""), "`` is not a duration such as `5s`");
        assert_eq!(
            said("5 parsecs"),
            "there is no unit `parsecs`; the units are ns, us, ms, s, m, h, d, w and their names, such as `seconds`"
        );
        assert_eq!(said("99999999999999999999d"), "`99999999999999999999d` is too large");
        for unit in ["month", "mo", "years", "y", "M", "parsecs"] {
            let text = format!("1h 2 {unit}");
            assert!(
                said(&text).starts_with(&format!("there is no unit `{unit}`; the units are ns")),
                "{text}"
            );
        }
        for text in [
            "s",
            "+1s",
            "1s ago",
            "1h 30",
            "1h, ",
            ",1h",
            "1h,,1m",
            "1h -30m",
            "PT5S",
            "P1D",
            "01:30:00",
            "1h 01:30",
            "1.s.",
            ".5s",
            "1h and 5m",
        ] {
            assert_eq!(said(text), format!("`{text}` is not a duration such as `5s`"));
        }
        for text in ["30m 1h", "1m 30m"] {
            let wanted = "a duration such as `1h 30m`, from the largest unit to the smallest";
            assert_eq!(said(text), format!("`{text}` is not {wanted}"));
        }
        let said = parse_size("5 MB 3 kB").unwrap_err().to_string();
        assert_eq!(said, "`5 MB 3 kB` is not a size such as `10 MiB`");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanoseconds in any::<u64>()) {
            let value = Duration::from_nanos(nanoseconds);
            let text = largest(value.as_nanos(), TIME);
            prop_assert_eq!(parse_duration(&text), Ok(value));
            prop_assert_eq!(parse_size(&largest(u128::from(nanoseconds), SIZE)), Ok(nanoseconds));
        }

        #[test]
        fn several_are_read_as_by_others(
            duration in (0..1_000_000_000_i64, 0..1_000_000_000_i32).prop_map(|(s, ns)| jiff::SignedDuration::new(s, ns)),
        ) {
            for text in [format!("{duration:#}"), jiff::fmt::friendly::SpanPrinter::new()
                .designator(jiff::fmt::friendly::Designator::Verbose)
                .comma_after_designator(true)
                .duration_to_string(&duration)]
            {
                prop_assert_eq!(parse_duration(&text), Ok(duration.unsigned_abs()), "{}", text);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*", number in "[0-9.]{0,50}[a-zA-Z]{0,3}") {
            let _ = (parse_duration(&text), parse_size(&text), parse_duration(&number), parse_size(&number));
        }
    }
}
