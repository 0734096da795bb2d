//! Whether an archive is that of a folder: entry by entry, while it streams by.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::ControlFlow;

use anyhow::Result;
use dojob::{Context, CouldNotFindOut};

use super::folder::{Source, Sources};
use crate::packed::changes::{Change, Changes, Difference, LISTED};
use crate::packed::read::{Content, Limits, ReadError, entries};
use crate::packed::{ArchiveEntry, EntryKind, Format, show};

/// What kinds of permissions zip knows.
const ZIP_MODE: u32 = 0o777;

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
    entry: &ArchiveEntry,
    content: &mut Content<'_>,
    format: Format,
) -> Result<Option<String>> {
    let wanted = &source.entry;
    match (&wanted.kind, &entry.kind) {
        (EntryKind::Directory, EntryKind::Directory) => {}
        (EntryKind::File(wanted), EntryKind::File(found)) if wanted != found => {
            return Ok(Some(format!("has {found} bytes, not {wanted}")));
        }
        (EntryKind::File(_), EntryKind::File(_)) => {
            if !same_content(source, content)? {
                return Ok(Some("has other content".to_owned()));
            }
        }
        (EntryKind::Symlink(wanted), EntryKind::Symlink(found)) if wanted == found => {}
        (EntryKind::Symlink(wanted), EntryKind::Symlink(found)) => {
            return Ok(Some(format!("leads to {}, not {}", show(found), show(wanted))));
        }
        (wanted, found) => return Ok(Some(format!("is {}, not {}", kind(found), kind(wanted)))),
    }
    // No system asks for the mode of a link.
    let known = if format == Format::Zip { ZIP_MODE } else { 0o7777 };
    let mode = |entry: &ArchiveEntry| entry.mode.map(|mode| mode & known);
    if !matches!(entry.kind, EntryKind::Symlink(_)) && mode(entry) != mode(wanted) {
        let found = mode(entry).map_or("unknown".to_owned(), |mode| format!("{mode:04o}"));
        return Ok(Some(format!("has mode {found}, not {:04o}", mode(wanted).unwrap_or_default())));
    }
    if wanted.modified.is_some() && wanted.modified != entry.modified {
        return Ok(Some("has another time".to_owned()));
    }
    Ok(None)
}

fn kind(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::Directory => "a directory",
        EntryKind::File(_) => "a file",
        EntryKind::Symlink(_) => "a symbolic link",
        EntryKind::HardLink(_) => "a hard link",
        EntryKind::Other(what) => what,
    }
}

/// Whether the file that was to be packed is the content of the entry.
fn same_content(source: &Source, content: &mut Content<'_>) -> Result<bool> {
    match source.open()? {
        Some(mut file) => content.is_in(&mut file, &source.path),
        // Replaced by something else a moment ago: not the same.
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_decoration() {
        assert_eq!(plain_name(b"././a/b/"), b"a/b");
        assert_eq!(plain_name(b"a"), b"a");
    }
}
