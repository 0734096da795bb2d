//! Whether an archive is that of a folder: entry by entry, while it streams by.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use anyhow::Result;
use dojob::{Context, CouldNotFindOut};

use super::folder::{Source, Sources};
use crate::disk::look::{Found, Links, open};
use crate::packed::read::{Content, Limits, ReadError, entries};
use crate::packed::{Entry, Format, Kind, show};

/// How many differences are listed; when there are more, no more is read.
const LISTED: usize = 100;

/// How many differences the reason names.
const NAMED: usize = 3;

/// Compared in pieces of this size.
const PIECE: usize = 64 * 1024;

/// What kinds of permissions zip knows.
const ZIP_MODE: u32 = 0o777;

/// How an archive is not that of the folder.
pub(crate) struct Difference {
    /// The first ones, for a sentence.
    pub(crate) reason: String,
    /// A line for each, as far as there is room.
    pub(crate) list: String,
}

/// Of one name.
enum Change {
    /// In the folder alone.
    Missing,
    /// In the archive alone.
    Extra,
    Changed(String),
}

#[derive(Default)]
struct Changes(Vec<(Vec<u8>, Change)>);

impl Changes {
    fn add(&mut self, name: &[u8], change: Change) {
        self.0.push((name.to_owned(), change));
    }

    fn are_enough(&self) -> bool {
        self.0.len() > LISTED
    }

    fn into_difference(self) -> Option<Difference> {
        let mut named = Vec::new();
        for (name, change) in self.0.iter().take(NAMED) {
            let name = show(name);
            named.push(match change {
                Change::Missing => format!("{name} is missing"),
                Change::Extra => format!("{name} is too much"),
                Change::Changed(how) => format!("{name} {how}"),
            });
        }
        let more = self.0.len() - named.len();
        if self.are_enough() {
            named.push("and many more".to_owned());
        } else if more > 0 {
            named.push(format!("and {more} more"));
        }
        let reason = named.join(", ");
        (!reason.is_empty()).then(|| Difference { reason, list: self.list() })
    }

    fn list(&self) -> String {
        let mut list = String::new();
        for (name, change) in self.0.iter().take(LISTED) {
            let name = show(name);
            // Writing to a string cannot fail.
            let _ = match change {
                Change::Missing => writeln!(list, "+ {name}"),
                Change::Extra => writeln!(list, "- {name}"),
                Change::Changed(how) => writeln!(list, "! {name} {how}"),
            };
        }
        if self.are_enough() {
            list.push_str("… and more\n");
        }
        list
    }
}

/// The list for an archive that is not there.
pub(crate) fn all_missing(sources: &Sources) -> String {
    let mut changes = Changes::default();
    sources.keys().take(LISTED + 1).for_each(|name| changes.add(name, Change::Missing));
    changes.list()
}

/// How the archive in `file` is not that of these sources.
///
/// # Errors
/// [`CouldNotFindOut`], where the folder cannot be read, or the run is asked to stop.
pub(crate) fn compare(
    cx: &Context,
    file: File,
    format: Format,
    mut sources: Sources,
) -> Result<Option<Difference>> {
    let mut changes = Changes::default();
    // Names that were in the archive already.
    let mut seen = BTreeSet::new();
    let compared = entries(cx, file, format, Limits::NONE, |entry, content| {
        let name = plain_name(&entry.name).to_owned();
        match sources.remove(&name) {
            Some(source) => {
                if let Some(how) = changed(&source, entry, content, format)? {
                    changes.add(&name, Change::Changed(how));
                }
                seen.insert(name);
            }
            None if seen.contains(&name) => {
                changes.add(&name, Change::Changed("is there more than once".to_owned()));
            }
            None => changes.add(&name, Change::Extra),
        }
        Ok(if changes.are_enough() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    match compared.map_err(anyhow::Error::downcast::<ReadError>) {
        Ok(()) => {}
        Err(Ok(error @ ReadError::Damaged { .. })) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let reason = format!("{error} ({cause})");
            return Ok(Some(Difference { list: format!("{reason}\n"), reason }));
        }
        Err(Ok(error)) => {
            return Err(CouldNotFindOut::new("what is in the archive").because(error).into());
        }
        Err(Err(error)) => return Err(error),
    }
    if !changes.are_enough() {
        sources.keys().for_each(|name| changes.add(name, Change::Missing));
    }
    changes.0.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(changes.into_difference())
}

/// A name without what says nothing: `./` before it, `/` behind.
fn plain_name(name: &[u8]) -> &[u8] {
    let mut name = name;
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
    }
    while let Some(rest) = name.strip_suffix(b"/") {
        name = rest;
    }
    name
}

/// How an entry is not as its source: "has mode 0600, not 0644".
fn changed(
    source: &Source,
    entry: &Entry,
    content: &mut Content<'_>,
    format: Format,
) -> Result<Option<String>> {
    let wanted = &source.entry;
    match (&wanted.kind, &entry.kind) {
        (Kind::Directory, Kind::Directory) => {}
        (Kind::File(wanted), Kind::File(found)) if wanted != found => {
            return Ok(Some(format!("has {found} bytes, not {wanted}")));
        }
        (Kind::File(_), Kind::File(_)) => {
            if !same_content(source, content)? {
                return Ok(Some("has other content".to_owned()));
            }
        }
        (Kind::Symlink(wanted), Kind::Symlink(found)) if wanted == found => {}
        (Kind::Symlink(wanted), Kind::Symlink(found)) => {
            return Ok(Some(format!("leads to {}, not {}", show(found), show(wanted))));
        }
        (wanted, found) => return Ok(Some(format!("is {}, not {}", kind(found), kind(wanted)))),
    }
    // No system asks for the mode of a link.
    let known = if format == Format::Zip { ZIP_MODE } else { 0o7777 };
    let mode = |entry: &Entry| entry.mode.map(|mode| mode & known);
    if !matches!(entry.kind, Kind::Symlink(_)) && mode(entry) != mode(wanted) {
        let found = mode(entry).map_or("unknown".to_owned(), |mode| format!("{mode:04o}"));
        return Ok(Some(format!("has mode {found}, not {:04o}", mode(wanted).unwrap_or_default())));
    }
    if wanted.modified.is_some() && wanted.modified != entry.modified {
        return Ok(Some("has another time".to_owned()));
    }
    Ok(None)
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Directory => "a directory",
        Kind::File(_) => "a file",
        Kind::Symlink(_) => "a symbolic link",
        Kind::HardLink(_) => "a hard link",
        Kind::Other(what) => what,
    }
}

/// Whether the file that was to be packed is the content of the entry.
fn same_content(source: &Source, content: &mut Content<'_>) -> Result<bool> {
    // Replaced by something else a moment ago: not the same.
    let Found::File(mut file) = open(&source.path, Links::Stay)? else { return Ok(false) };
    let (mut packed, mut own) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let length = content.fill(&mut packed)?;
        let same = fill(&mut file.file, &mut own).map_err(|error| {
            CouldNotFindOut::new(format!("what {} says", source.path.display())).because(error)
        })?;
        if packed[..length] != own[..same] {
            return Ok(false);
        }
        if length < PIECE {
            return Ok(true);
        }
    }
}

fn fill(reader: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_and_listed() {
        let mut changes = Changes::default();
        changes.add(b"a", Change::Missing);
        changes.add(b"b", Change::Extra);
        changes.add(b"c", Change::Changed("has mode 0600, not 0644".to_owned()));
        changes.add(b"d\n", Change::Missing);
        let difference = changes.into_difference().unwrap();
        assert_eq!(difference.reason, "a is missing, b is too much, c has mode 0600, not 0644, and 1 more");
        assert_eq!(difference.list, "+ a\n- b\n! c has mode 0600, not 0644\n+ d\\n\n");
        assert!(Changes::default().into_difference().is_none());
    }

    #[test]
    fn a_list_has_an_end() {
        let mut changes = Changes::default();
        (0..LISTED + 1).for_each(|number| changes.add(number.to_string().as_bytes(), Change::Missing));
        let difference = changes.into_difference().unwrap();
        assert!(difference.reason.ends_with("2 is missing, and many more"), "{}", difference.reason);
        assert_eq!(difference.list.lines().count(), LISTED + 1);
    }

    #[test]
    fn names_are_compared_without_decoration() {
        assert_eq!(plain_name(b"././a/b/"), b"a/b");
        assert_eq!(plain_name(b"a"), b"a");
    }
}
