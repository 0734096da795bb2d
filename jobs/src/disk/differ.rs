//! How what was found differs from what is wanted: reasons, and a difference to look at.

use std::io;
use std::path::Path;

use anyhow::Result;
use dojob::{Context, NotAsWanted};

use super::inspect::{Fingerprint, OpenFile, TEXT_LIMIT};

/// Collects all that is not as wanted about one thing; allocates nothing while there is nothing.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    reasons: Vec<String>,
    shown: Option<Shown>,
}

#[derive(Debug)]
enum Shown {
    Text { name: String, found: String, wanted: String },
    Other(String),
}

impl Differences {
    pub(crate) fn new() -> Self {
        Differences::default()
    }

    /// Adds a reason.
    pub(crate) fn add(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// Adds all reasons of others.
    pub(crate) fn add_all(&mut self, others: Differences) {
        self.reasons.extend(others.reasons);
    }

    /// Adds a reason and what is there in place of what; the last one given is shown.
    pub(crate) fn add_content(
        &mut self,
        reason: impl Into<String>,
        name: &Path,
        found: &[u8],
        wanted: &[u8],
    ) {
        self.add(reason);
        let name = name.display().to_string();
        self.shown = Some(match (text(found), text(wanted)) {
            (Some(found), Some(wanted)) => {
                Shown::Text { name, found: found.to_owned(), wanted: wanted.to_owned() }
            }
            _ => Shown::Other(change(&Fingerprint::of_bytes(found), &Fingerprint::of_bytes(wanted))),
        });
    }

    /// Adds a reason and the difference between two files' sizes and hashes.
    pub(crate) fn add_fingerprints(
        &mut self,
        reason: impl Into<String>,
        found: Option<&Fingerprint>,
        wanted: &Fingerprint,
    ) {
        self.add(reason);
        self.shown = Some(Shown::Other(match found {
            Some(found) => change(found, wanted),
            None => format!("nothing -> {wanted}"),
        }));
    }

    /// Adds a reason and a difference in words.
    pub(crate) fn add_difference(&mut self, reason: impl Into<String>, difference: impl Into<String>) {
        self.add(reason);
        self.shown = Some(Shown::Other(difference.into()));
    }

    /// Adds a reason and a list, as part of it or as a whole; in all there were `count`.
    pub(crate) fn add_lines(
        &mut self,
        reason: impl Into<String>,
        lines: impl IntoIterator<Item = String>,
        count: usize,
    ) {
        self.add(reason);
        let mut text = match self.shown.take() {
            Some(Shown::Other(text)) => text,
            _ => String::new(),
        };
        let mut left = count;
        for line in lines {
            left = left.saturating_sub(1);
            text += &line;
            text.push('\n');
        }
        if left > 0 {
            text += &format!("and {left} more\n");
        }
        self.shown = Some(Shown::Other(text));
    }

    /// All reasons in one sentence.
    pub(crate) fn reasons(&self) -> String {
        self.reasons.join("; ")
    }

    /// All reasons in one sentence, as an error; nothing where there is none.
    ///
    /// # Errors
    /// [`NotAsWanted`], where there is a reason.
    pub(crate) fn into_result(self) -> Result<()> {
        if self.reasons.is_empty() {
            return Ok(());
        }
        let error = NotAsWanted::new(self.reasons());
        Err(match self.shown {
            None => error,
            Some(Shown::Text { name, found, wanted }) => error.diff(&name, &found, &wanted),
            Some(Shown::Other(difference)) => error.difference(difference),
        }
        .into())
    }
}

fn change(found: &Fingerprint, wanted: &Fingerprint) -> String {
    format!("{found} -> {wanted}")
}

/// The bytes as a text of which a diff can be shown.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > TEXT_LIMIT || bytes.contains(&0) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Adds a reason, and how the file that was found (`None`: there is none) differs from the bytes that are wanted. It is
/// read from its beginning; where it is large, in pieces.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn add_file(
    cx: &Context,
    differences: &mut Differences,
    reason: impl Into<String>,
    name: &Path,
    found: Option<&mut OpenFile>,
    wanted: &[u8],
) -> io::Result<()> {
    if let Some(size) = found.as_ref().and_then(|found| large_of_another_size(found, wanted.len() as u64)) {
        let wanted = Fingerprint::of_bytes(wanted);
        differences.add_difference(reason, format!("{size} bytes -> {wanted}"));
        return Ok(());
    }
    match read(cx, found)? {
        Read::All(bytes) => differences.add_content(reason, name, &bytes, wanted),
        Read::Large(found) => {
            differences.add_fingerprints(reason, Some(&found), &Fingerprint::of_bytes(wanted));
        }
    }
    Ok(())
}

/// As [`add_file`], where what is wanted is in a file, too.
///
/// # Errors
/// When one of them cannot be read.
pub(crate) fn add_files(
    cx: &Context,
    differences: &mut Differences,
    reason: impl Into<String>,
    name: &Path,
    found: Option<&mut OpenFile>,
    wanted: &mut OpenFile,
) -> io::Result<()> {
    if let Some(size) = found.as_ref().and_then(|found| large_of_another_size(found, wanted.meta.size)) {
        let wanted = read(cx, Some(wanted))?.fingerprint();
        differences.add_difference(reason, format!("{size} bytes -> {wanted}"));
        return Ok(());
    }
    let nothing = found.is_none();
    match (read(cx, found)?, read(cx, Some(wanted))?) {
        (Read::All(found), Read::All(wanted)) => differences.add_content(reason, name, &found, &wanted),
        (found, wanted) => {
            let found = (!nothing).then(|| found.fingerprint());
            differences.add_fingerprints(reason, found.as_ref(), &wanted.fingerprint());
        }
    }
    Ok(())
}

/// The size of a file that is not read at all: it is too large to be shown, and to hash it says no more than its size does. It
/// may be larger than what can ever be read.
fn large_of_another_size(found: &OpenFile, wanted: u64) -> Option<u64> {
    Some(found.meta.size).filter(|size| *size > TEXT_LIMIT as u64 && *size != wanted)
}

enum Read {
    All(Vec<u8>),
    Large(Fingerprint),
}

impl Read {
    fn fingerprint(&self) -> Fingerprint {
        match self {
            Read::All(bytes) => Fingerprint::of_bytes(bytes),
            Read::Large(fingerprint) => *fingerprint,
        }
    }
}

fn read(cx: &Context, file: Option<&mut OpenFile>) -> io::Result<Read> {
    let Some(file) = file else { return Ok(Read::All(Vec::new())) };
    file.rewind()?;
    if let Some(bytes) = file.read(TEXT_LIMIT)? {
        return Ok(Read::All(bytes));
    }
    file.rewind()?;
    Ok(Read::Large(file.digest(cx)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: &[u8], wanted: &[u8]) -> (String, String) {
        let mut differences = Differences::new();
        differences.add_content("/x differs", Path::new("/x"), found, wanted);
        differences.add("mode is 0600, not 0644");
        let error = differences.into_result().unwrap_err();
        let error = error.downcast_ref::<NotAsWanted>().unwrap();
        (error.to_string(), error.difference_found().unwrap_or_default().to_owned())
    }

    #[test]
    fn all_reasons_are_told() {
        assert!(Differences::new().into_result().is_ok());
        assert_eq!(shown(b"a", b"b").0, "/x differs; mode is 0600, not 0644");
    }

    #[test]
    fn text_gets_a_diff_and_the_rest_sizes_and_hashes() {
        assert_eq!(shown(b"a\n", b"b\n").1, "--- /x\n+++ /x (wanted)\n@@ -1 +1 @@\n-a\n+b\n");
        let binary = shown(b"a\0", b"b\n").1;
        assert!(
            binary.starts_with("2 bytes, sha256 ") && binary.contains(" -> 2 bytes, sha256 "),
            "{binary}"
        );
        let large = vec![b'x'; TEXT_LIMIT + 1];
        assert!(shown(b"", &large).1.contains("-> 1048577 bytes, sha256 "));
        assert!(shown(b"\xff", b"").1.contains("-> 0 bytes, sha256 "));
    }
}
