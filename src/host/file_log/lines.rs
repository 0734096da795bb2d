//! The text of a log file: lines that hold records, each bound to the one before it.
//!
//! Pure: knows bytes, no files, and not what the records mean.
//!
//! A line is `SUM JSON`: eight hexadecimal digits, a space, the record, a line feed. The sum is the CRC-32 (as in IEEE
//! 802.3) of the line without its line feed, and with the sum of the line before it, for the first line eight zeros, in
//! the place of its own; so that a line that is missing, repeated or moved is found. The first record names the version.
//!
//! Versions so far: 1, in which the sum was that of the JSON alone; 2, which is written. Both are read.

use serde_json::Value;

use crate::engine::log::record::{Record, VERSION};

/// The sum of a line, in digits.
pub(crate) type Sum = [u8; 8];

/// What stands for the sum of the line before the first.
pub(crate) const FIRST: Sum = *b"00000000";

/// What is wrong with a journal's bytes.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("line {line}, byte {offset}: {what}")]
    Corrupt { line: usize, offset: usize, what: String },
    #[error("it was written by a newer version: format {found}, and this program knows up to {VERSION}")]
    Newer { found: u64 },
}

/// Records, and how many bytes of the text are whole ones; what is behind that was torn by a crash.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) records: Vec<Record>,
    pub(crate) whole: usize,
    /// That of the text; the current one where it has no record.
    pub(crate) version: u32,
    /// The sum of the last record, which the next one follows on.
    pub(crate) last: Sum,
}

/// The line of a record that follows on the one with the sum `after`, which becomes its own.
pub(crate) fn encode(record: &Record, after: &mut Sum, line: &mut Vec<u8>) -> serde_json::Result<()> {
    line.clear();
    line.extend_from_slice(after);
    line.push(b' ');
    serde_json::to_writer(&mut *line, record)?;
    *after = digits(crc32fast::hash(line));
    line[..8].copy_from_slice(after);
    line.push(b'\n');
    Ok(())
}

fn digits(sum: u32) -> Sum {
    std::array::from_fn(|at| b"0123456789abcdef"[(sum >> (4 * (7 - at))) as usize & 15])
}

/// The records of a journal. A record that was torn can only be the last: it is the beginning of one, perhaps followed by
/// zeros, which stand for what never came to the disk.
pub(crate) fn decode(text: &[u8]) -> Result<Decoded, Unreadable> {
    let mut decoded = Decoded { records: Vec::new(), whole: 0, version: VERSION, last: FIRST };
    while decoded.whole < text.len() {
        let rest = &text[decoded.whole..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = end.map_or(Err(corrupt("a record has no end")), |end| decoded.take(&rest[..end]));
        let is_first = decoded.records.is_empty();
        match line {
            Ok(()) => {}
            Err(newer @ Unreadable::Newer { .. }) => return Err(newer),
            Err(Unreadable::Corrupt { .. }) if is_torn(rest, is_first) => break,
            Err(Unreadable::Corrupt { what, .. }) => {
                let line = decoded.records.len() + 1;
                return Err(Unreadable::Corrupt { line, offset: decoded.whole, what });
            }
        }
        decoded.whole += end.map_or(rest.len(), |end| end + 1);
    }
    Ok(decoded)
}

impl Decoded {
    /// Takes one more line, without its line feed.
    fn take(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        let is_first = self.records.is_empty();
        let (sum, json) = line.split_at_checked(9).ok_or_else(|| corrupt("a line is too short"))?;
        let follows = || {
            let mut hasher = crc32fast::Hasher::new();
            [&self.last[..], b" ", json].iter().for_each(|part| hasher.update(part));
            digits(hasher.finalize())
        };
        let is = |wanted: Sum| sum[..8] == wanted && sum[8] == b' ';
        // The first line tells the version, and so which sum it is that it should have.
        let (alone, chained) = (|| is(digits(crc32fast::hash(json))), || is(follows()));
        let is_right = match (is_first, self.version) {
            (true, _) => alone() || chained(),
            (false, 1) => alone(),
            (false, _) => chained(),
        };
        if !is_right {
            return Err(corrupt(match (is_first, self.version) {
                (true, _) | (_, 1) => "the record does not have the sum that was written with it",
                _ => {
                    "the record does not have the sum that was written with it: it was changed, or one before it was \
                     taken out, added or moved"
                }
            }));
        }
        let value: Value = serde_json::from_slice(json).map_err(|error| corrupt(error.to_string()))?;
        let mut version = self.version;
        if is_first {
            version = match (value["is"].as_str(), value["version"].as_u64()) {
                (Some("journal"), Some(found)) if found > u64::from(VERSION) => {
                    return Err(Unreadable::Newer { found });
                }
                (Some("journal"), Some(1)) if alone() => 1,
                (Some("journal"), Some(2)) if chained() => 2,
                (Some("journal"), Some(3)) if chained() => 3,
                _ => return Err(corrupt("it does not begin as a journal does")),
            };
        }
        let record =
            serde_json::from_value(value).map_err(|error| corrupt(format!("an unknown record: {error}")))?;
        let mut last = FIRST;
        last.copy_from_slice(&sum[..8]);
        self.records.push(record);
        (self.version, self.last) = (version, last);
        Ok(())
    }
}

/// Whether this is the beginning of a record, and nothing behind it but zeros.
fn is_torn(rest: &[u8], is_first: bool) -> bool {
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(&rest[..0], |last| &rest[..=last]);
    if written.contains(&b'\n') || written.contains(&0) {
        return false;
    }
    if is_first {
        let is_of = |version| {
            let (mut line, mut sum) = (Vec::new(), FIRST);
            let header = encode(&Record::Journal { version }, &mut sum, &mut line);
            header.is_ok() && line.starts_with(written)
        };
        return is_of(VERSION)
            || is_of(2)
            || b"a1df9b8f {\"is\":\"journal\",\"version\":1}\n".starts_with(written);
    }
    written.iter().enumerate().all(|(at, byte)| match at {
        0..8 => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        8 => *byte == b' ',
        9 => *byte == b'{',
        _ => true,
    })
}

fn corrupt(what: impl Into<String>) -> Unreadable {
    Unreadable::Corrupt { line: 0, offset: 0, what: what.into() }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;
    use crate::engine::log::record::Location;

    fn text(records: &[Record]) -> Vec<u8> {
        let (mut text, mut line, mut sum) = (Vec::new(), Vec::new(), FIRST);
        for record in records {
            encode(record, &mut sum, &mut line).unwrap();
            text.extend_from_slice(&line);
        }
        text
    }

    fn some_records() -> Vec<Record> {
        let local = Map::from_iter([("file".to_owned(), Value::from("/tmp/ä\n\"x\""))]);
        vec![
            Record::Journal { version: VERSION },
            Record::Start {
                run: "r".into(),
                at: Timestamp::UNIX_EPOCH,
                pid: 1,
                boot: None,
                revert: true,
                directory: Some(Location::Bytes(vec![b'/', 0xff])),
                args: Map::new(),
                positional: Vec::new(),
            },
            Record::Intent { n: 1, job: "A".into(), attempt: 1, tries: 3, local, groups: Vec::new() },
            Record::Set { n: 1, key: "k".into(), value: Value::Null },
            Record::Settled { n: 1 },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let text = text(&some_records());
        let decoded = decode(&text).unwrap();
        assert_eq!((&decoded.records, decoded.whole), (&some_records(), text.len()));
        let last = text.split(|byte| *byte == b'\n').nth(some_records().len() - 1).unwrap();
        assert_eq!(decoded.last, last[..8]);
        let nothing = Decoded { records: vec![], whole: 0, version: VERSION, last: FIRST };
        assert_eq!(decode(b""), Ok(nothing));
    }

    #[test]
    fn a_line_that_is_missing_repeated_or_moved_is_damage() {
        let text = text(&some_records());
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 1..lines.len() - 1 {
            let mut missing = lines.clone();
            missing.remove(at);
            let mut repeated = lines.clone();
            repeated.insert(at, lines[at]);
            let mut moved = lines.clone();
            moved.swap(at, at + 1);
            for (changed, first) in [(missing, at + 1), (repeated, at + 2), (moved, at + 1)] {
                match decode(&changed.concat()) {
                    Err(Unreadable::Corrupt { line, .. }) => assert_eq!(line, first),
                    other => panic!("{at}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn the_first_version_is_read() {
        let line = |json: &str| format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        let header = line(r#"{"is":"journal","version":1}"#);
        let text = header.clone() + &line(r#"{"is":"settled","n":3}"#);
        let decoded = decode(text.as_bytes()).unwrap();
        assert_eq!(decoded.records, [Record::Journal { version: 1 }, Record::Settled { n: 3 }]);
        assert_eq!(decoded.version, 1);
        for cut in 0..header.len() {
            assert_eq!(decode(&header.as_bytes()[..cut]).unwrap().whole, 0, "cut at {cut}");
        }
        let pretending = line(r#"{"is":"journal","version":2}"#);
        assert!(decode(pretending.as_bytes()).is_err(), "its sums would not have to follow on each other");
    }

    #[test]
    fn wherever_it_is_cut_the_whole_records_before_are_read() {
        let text = text(&some_records());
        for cut in 0..text.len() {
            let whole = text[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let count = text[..cut].iter().filter(|byte| **byte == b'\n').count();
            let records = some_records()[..count].to_vec();
            let decoded = decode(&text[..cut]).unwrap();
            assert_eq!((decoded.records, decoded.whole), (records, whole), "cut at {cut}");
        }
    }

    #[test]
    fn a_beginning_of_a_record_was_torn_and_anything_else_is_not_ours() {
        let whole = text(&some_records());
        let and = |more: &[u8]| [&whole[..], more].concat();
        for torn in [&b"0011"[..], b"0011\0\0\0\0", b"\0\0\0\0", b"01234567 {\"is\":\0"] {
            assert_eq!(decode(&and(torn)).unwrap().whole, whole.len(), "{torn:?}");
        }
        for foreign in [&b"my notes"[..], b"0011\0\0\n", b"0011\0x", b"0123456789"] {
            assert!(
                matches!(decode(&and(foreign)), Err(Unreadable::Corrupt { offset, .. }) if offset == whole.len())
            );
            assert!(matches!(decode(foreign), Err(Unreadable::Corrupt { offset: 0, .. })), "{foreign:?}");
        }
        let mut hole = whole.clone();
        hole[whole.len() - 5] = 0;
        assert!(decode(&hole).is_err(), "a whole record was changed");
    }

    #[test]
    fn newer_versions_are_told_apart() {
        let line = text(&[Record::Journal { version: VERSION + 1 }]);
        assert_eq!(decode(&line), Err(Unreadable::Newer { found: u64::from(VERSION) + 1 }));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_found_wherever_it_is(at in 0..400_usize, to in any::<u8>()) {
            let mut text = text(&some_records());
            let at = at % text.len();
            text[at] = to;
            let whole = super::tests::text(&some_records());
            if text != whole {
                // Either it is an error at the record that was changed, or, where a line feed has gone, that record was the last.
                let line = whole[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                match decode(&text) {
                    Err(Unreadable::Corrupt { offset, .. }) => prop_assert_eq!(offset, line),
                    Err(Unreadable::Newer { .. }) => prop_assert!(false),
                    Ok(decoded) => prop_assert!(decoded.whole == line && at == whole.len() - 1),
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }
}
