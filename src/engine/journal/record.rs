//! What a journal is made of: records, and lines of text that hold them.
//!
//! Pure: knows bytes, no files; nor what the records mean ([`ledger`](super::ledger) does).
//!
//! A line is `CRC JSON`: eight hexadecimal digits (CRC-32 of the JSON, as in IEEE 802.3), a space, the record, a line
//! feed. The first record names the version. Versions so far: 1, the first.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Failure;

/// The version of the format that is written, and the highest that is read.
pub(crate) const VERSION: u32 = 1;

/// One thing that was written down. `n` is the number of a run of a job, counted on from start to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The first of a file.
    Journal { version: u32 },
    /// A convergence begins; the intents that follow are its own.
    Start {
        run: String,
        at: Timestamp,
        pid: u32,
        /// Which start of the machine, where that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot: Option<String>,
        /// Whether it takes back what it did when it cannot be finished.
        revert: bool,
        /// Without secrets.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        args: Map<String, Value>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        positional: Vec<Value>,
    },
    /// A run of a job is about to begin.
    Intent {
        n: u64,
        job: String,
        #[serde(rename = "try")]
        attempt: u32,
        tries: u32,
        /// Without secrets.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        local: Map<String, Value>,
    },
    /// Something was put into its local storage.
    Set { n: u64, key: String, value: Value },
    /// Something was taken out of it, or is a secret, which is not kept.
    Unset { n: u64, key: String },
    /// It has started a command, as the leader of this process group. `start`: the leader's start time in ticks since the
    /// machine's, where that can be told.
    Spawned {
        n: u64,
        group: i32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<u64>,
    },
    /// That command has ended; what it left behind is meant to live on.
    Ended { n: u64, group: i32 },
    /// Its try has ended with this result. Only where it may have to be taken back.
    Tried { n: u64, result: Value },
    /// Jobs have failed for good, and all that was run is going to be taken back.
    Undo { failures: BTreeMap<String, Failure> },
    /// A run was taken back, or there is nothing that could be called for it.
    Undone { n: u64 },
    /// Everything was taken back, or the rest was given up on purpose.
    UndoEnded,
    /// Its cleanup has succeeded, or there was nothing to clean up.
    Settled { n: u64 },
    /// Its cleanup was left out on purpose.
    Declined { n: u64 },
    /// A job has converged that asked what its dependencies had changed; it need not see again what was begun before `n`.
    Seen { job: String, n: u64 },
    /// All changes so far were seen by whom they concern.
    AllSeen,
    /// Kept of an intent that is otherwise settled: the job may have changed something that its dependents have not seen.
    Mark { job: String, n: u64 },
    /// The convergence has ended by itself.
    End { converged: bool },
}

/// What is wrong with a journal's bytes.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("byte {offset}: {what}")]
    Corrupt { offset: usize, what: String },
    #[error("it was written by a newer version: format {found}, and this program knows up to {VERSION}")]
    Newer { found: u64 },
}

/// Records, and how many bytes of the text are whole ones; what is behind that was torn by a crash.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) records: Vec<Record>,
    pub(crate) whole: usize,
}

/// The line of a record.
pub(crate) fn encode(record: &Record, line: &mut Vec<u8>) -> serde_json::Result<()> {
    line.clear();
    line.extend_from_slice(b"00000000 ");
    serde_json::to_writer(&mut *line, record)?;
    let sum = crc32fast::hash(&line[9..]);
    // Eight digits into a place of eight bytes.
    let _ = write!(&mut line[..8], "{sum:08x}");
    line.push(b'\n');
    Ok(())
}

/// The line of a process that is about to become a command of the `n`th run, but for its number and its sum.
pub(crate) fn spawned_line(n: u64) -> Vec<u8> {
    format!("00000000 {{\"is\":\"spawned\",\"n\":{n},\"group\":{:>WIDTH$}}}\n", 0).into_bytes()
}

/// How many places there are for the number of a process.
const WIDTH: usize = 10;

/// Fills in what is missing in a [line](spawned_line): called in a process that was just forked, where nothing may be
/// allocated.
pub(crate) fn fill_spawned_line(line: &mut [u8], pid: u32) {
    let Some(end) = line.len().checked_sub(2) else { return };
    let mut rest = pid;
    for place in line[end - WIDTH..end].iter_mut().rev() {
        *place = if rest == 0 && pid != 0 { b' ' } else { b'0' + (rest % 10) as u8 };
        rest /= 10;
    }
    let sum = crc32fast::hash(&line[9..=end]);
    for (place, digit) in line[..8].iter_mut().zip((0..8).rev()) {
        *place = b"0123456789abcdef"[(sum >> (4 * digit)) as usize & 15];
    }
}

/// The records of a journal. A record that was torn can only be the last: it is the beginning of one, perhaps followed by
/// zeros, which stand for what never came to the disk.
pub(crate) fn decode(text: &[u8]) -> Result<Decoded, Unreadable> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = end
            .map_or(Err(corrupt("a record has no end")), |end| decode_line(&rest[..end], records.is_empty()));
        match line {
            Ok(record) => records.push(record),
            Err(newer @ Unreadable::Newer { .. }) => return Err(newer),
            Err(Unreadable::Corrupt { .. }) if is_torn(rest, records.is_empty()) => break,
            Err(Unreadable::Corrupt { what, .. }) => return Err(Unreadable::Corrupt { offset: at, what }),
        }
        at += end.map_or(rest.len(), |end| end + 1);
    }
    Ok(Decoded { records, whole: at })
}

/// Whether this is the beginning of a record, and nothing behind it but zeros.
fn is_torn(rest: &[u8], is_first: bool) -> bool {
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(&rest[..0], |last| &rest[..=last]);
    if written.contains(&b'\n') || written.contains(&0) {
        return false;
    }
    let mut first = Vec::new();
    if is_first {
        return encode(&Record::Journal { version: VERSION }, &mut first).is_ok()
            && first.starts_with(written);
    }
    written.iter().enumerate().all(|(at, byte)| match at {
        0..8 => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        8 => *byte == b' ',
        9 => *byte == b'{',
        _ => true,
    })
}

fn corrupt(what: impl Into<String>) -> Unreadable {
    Unreadable::Corrupt { offset: 0, what: what.into() }
}

fn decode_line(line: &[u8], is_first: bool) -> Result<Record, Unreadable> {
    let value = json_of(line)?;
    if is_first {
        match (value["is"].as_str(), value["version"].as_u64()) {
            (Some("journal"), Some(found)) if found > u64::from(VERSION) => {
                return Err(Unreadable::Newer { found });
            }
            (Some("journal"), Some(_)) => {}
            _ => return Err(corrupt("it does not begin as a journal does")),
        }
    }
    serde_json::from_value(value).map_err(|error| corrupt(format!("an unknown record: {error}")))
}

/// What a line holds, when its sum is right.
fn json_of(line: &[u8]) -> Result<Value, Unreadable> {
    let (sum, json) = line.split_at_checked(9).ok_or_else(|| corrupt("a line is too short"))?;
    if sum != format!("{:08x} ", crc32fast::hash(json)).as_bytes() {
        return Err(corrupt("a record does not have the sum that was written with it"));
    }
    serde_json::from_slice(json).map_err(|error| corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(records: &[Record]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut line = Vec::new();
        for record in records {
            encode(record, &mut line).unwrap();
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
                args: Map::new(),
                positional: Vec::new(),
            },
            Record::Intent { n: 1, job: "A".into(), attempt: 1, tries: 3, local },
            Record::Set { n: 1, key: "k".into(), value: Value::Null },
            Record::Settled { n: 1 },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let text = text(&some_records());
        assert_eq!(decode(&text), Ok(Decoded { records: some_records(), whole: text.len() }));
        assert_eq!(decode(b""), Ok(Decoded { records: vec![], whole: 0 }));
    }

    #[test]
    fn a_process_writes_of_itself_what_everybody_reads() {
        for pid in [1, 42, 4_194_304, i32::MAX as u32] {
            let mut line = [text(&some_records()), spawned_line(7)].concat();
            let at = line.len() - spawned_line(7).len();
            fill_spawned_line(&mut line[at..], pid);
            let read = decode(&line).unwrap().records.pop();
            assert_eq!(read, Some(Record::Spawned { n: 7, group: pid as i32, start: None }));
        }
    }

    #[test]
    fn wherever_it_is_cut_the_whole_records_before_are_read() {
        let text = text(&some_records());
        for cut in 0..text.len() {
            let whole = text[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let count = text[..cut].iter().filter(|byte| **byte == b'\n').count();
            let records = some_records()[..count].to_vec();
            assert_eq!(decode(&text[..cut]), Ok(Decoded { records, whole }), "cut at {cut}");
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
        let mut line = Vec::new();
        encode(&Record::Journal { version: VERSION + 1 }, &mut line).unwrap();
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
