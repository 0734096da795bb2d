//! Journals that were damaged, torn, or written by other versions.

use std::fs;
use std::path::Path;

use dojob::{Engine, Journal, JournalError};

use super::{Log, engine, one};

pub(super) fn error(directory: &Path) -> String {
    let error = Journal::open(directory).unwrap_err();
    let mut text = error.to_string().replace(&directory.display().to_string(), "DIR");
    if let Some(source) = std::error::Error::source(&error) {
        text.push_str(&format!(": {source}"));
    }
    text
}

#[test]
fn a_damaged_journal_is_left_as_it_is_and_says_where() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    engine(one(root.path(), &log, "maker", true), root.path()).converge();
    let file = root.path().join("journal");
    let mut text = fs::read(&file).unwrap();
    let second = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    text[second + 20] ^= 1;
    fs::write(&file, &text).unwrap();
    assert_eq!(
        error(root.path()),
        format!(
            "DIR/journal is damaged in line 2 (byte {second}): the record does not have the sum that was written with it: it \
             was changed, or one before it was taken out, added or moved; it was left as it is, and nothing was started. \
             Cleanups may be owed for what it says: read it, put things right by hand, and move it away, and the next start \
             begins a new one"
        )
    );
    assert_eq!(fs::read(&file).unwrap(), text);
}

#[test]
fn a_torn_end_is_cut_and_the_rest_is_owed() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    engine(one(root.path(), &log, "maker", true), root.path()).converge();
    let file = root.path().join("journal");
    let whole = fs::read(&file).unwrap();
    for torn in [&whole[..whole.len() - 1], &[&whole[..], b"0123"].concat(), &[&whole[..], &[0; 40]].concat()]
    {
        fs::write(&file, torn).unwrap();
        let journal = Journal::open(root.path()).unwrap();
        let owed = Engine::with_graph(one(root.path(), &log, "maker", false)).journal(journal).pending();
        assert_eq!(owed.len(), 1);
        assert!(whole.starts_with(&fs::read(&file).unwrap()));
    }
}

#[test]
fn a_newer_journal_is_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let json = br#"{"is":"journal","version":4,"more":"of it"}"#;
    let line = format!("{:08x} {}\n", crc32(json), String::from_utf8_lossy(json));
    fs::write(root.path().join("journal"), &line).unwrap();
    assert_eq!(
        error(root.path()),
        "DIR/journal was written by a newer version (format 4; this program knows up to 3); it was left as it is"
    );
    assert_eq!(fs::read_to_string(root.path().join("journal")).unwrap(), line);
}

/// Bit by bit, as the standard has it, to be sure that the format is what its page says.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 },
        )
    })
}

#[test]
fn a_record_that_is_taken_out_of_the_middle_is_missed() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    engine(one(root.path(), &log, "maker", true), root.path()).converge();
    let file = root.path().join("journal");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for missing in 0..lines.len() - 1 {
        let mut left = lines.clone();
        left.remove(missing);
        fs::write(&file, left.concat()).unwrap();
        for error in
            [Journal::open(root.path()).unwrap_err(), Journal::open_read_only(root.path()).unwrap_err()]
        {
            assert!(matches!(error, JournalError::Damaged { line, .. } if line == missing + 1), "{error}");
        }
    }
}

#[test]
fn pending_cleanups_of_the_first_version_are_called_and_written_on_in_the_current_one() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let records = [
        r#"{"is":"journal","version":1}"#,
        r#"{"is":"start","run":"r","at":"2026-01-01T00:00:00Z","pid":1,"revert":false}"#,
        r#"{"is":"intent","n":0,"job":"maker","try":1,"tries":1,"local":{"beside":"a name"}}"#,
    ];
    let line = |json: &&str| format!("{:08x} {json}\n", crc32(json.as_bytes()));
    fs::write(root.path().join("journal"), records.iter().map(line).collect::<String>()).unwrap();
    let report = engine(one(root.path(), &log, "maker", true), root.path()).converge();
    assert_eq!(report.failed_cleanups().count(), 2, "that of then, and that of now");
    let text = fs::read_to_string(root.path().join("journal")).unwrap();
    assert!(text.contains(r#"{"is":"journal","version":3}"#), "{text}");
    assert_eq!(engine(one(root.path(), &log, "maker", false), root.path()).converge().exit_code(), 0);
    assert!(!root.path().join("journal").exists());
}

#[test]
fn what_the_second_version_has_written_is_called_and_written_on_in_the_current_one() {
    let (root, log) = (tempfile::tempdir().unwrap(), Log::default());
    let mut sum = "00000000".to_owned();
    let mut text = String::new();
    for json in [
        r#"{"is":"journal","version":2}"#,
        r#"{"is":"start","run":"r","at":"2026-01-01T00:00:00Z","pid":1,"revert":false}"#,
        r#"{"is":"intent","n":0,"job":"maker","try":1,"tries":1,"local":{"beside":"a name"}}"#,
    ] {
        sum = format!("{:08x}", crc32(format!("{sum} {json}").as_bytes()));
        text.push_str(&format!("{sum} {json}\n"));
    }
    fs::write(root.path().join("journal"), text).unwrap();
    let report = engine(one(root.path(), &log, "maker", true), root.path()).converge();
    assert_eq!(report.failed_cleanups().count(), 2, "that of then, and that of now");
    let text = fs::read_to_string(root.path().join("journal")).unwrap();
    assert!(text.contains(r#"{"is":"journal","version":3}"#), "{text}");
    assert_eq!(engine(one(root.path(), &log, "maker", false), root.path()).converge().exit_code(), 0);
}
