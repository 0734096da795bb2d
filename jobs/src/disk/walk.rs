//! Walks through everything below a directory without following links: each step is taken from a directory that is already
//! open, so that a link put in the way meanwhile has no effect.
//!
//! Holds one open directory for each level.

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dojob::{CouldNotFindOut, OrCouldNotFindOut};
use rustix::fs::{AtFlags, Dir, Mode as RawMode, OFlags};
use rustix::io::Errno;

use super::at::{self, Fault, Links};
use super::inspect::{Meta, refused, unlisted, unseen};
use super::removal::open_here;

/// Something below the directory.
pub(crate) struct WalkedEntry<'a> {
    /// The directory that it is in, open.
    pub(crate) parent: BorrowedFd<'a>,
    /// Its name there.
    pub(crate) name: &'a CStr,
    /// Where it is, from the directory that is walked through.
    pub(crate) path: &'a Path,
    pub(crate) meta: Meta,
}

/// Whether the walk goes into a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enter {
    Yes,
    /// Unless something is mounted there.
    UnlessMounted,
    No,
}

/// A walk under way.
struct Walk<'a> {
    root: &'a Path,
    /// Where it is, from the root.
    path: PathBuf,
    /// The directories that it is in, the outermost first.
    open: Vec<Dir>,
}

/// Calls `visit` for all that is below `root`, a directory before what is in it, otherwise in no order. What disappears
/// meanwhile is left out.
///
/// # Errors
/// Those of `visit`, which end the walk; [`CouldNotFindOut`] when something cannot be seen.
pub(crate) fn walk(root: &Path, visit: impl FnMut(&WalkedEntry<'_>) -> Result<Enter>) -> Result<()> {
    walk_from(root, open_directory(root)?, visit)
}

/// Opens a directory to list it. A link at its end is followed where nobody else could have put it there: who names it
/// means the directory.
///
/// # Errors
/// [`CouldNotFindOut`] when it cannot be opened.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
    at::open(path, Links::Follow, flags).map_err(|fault| match fault {
        Fault::System(errno) => unlisted(path, errno),
        fault => refused(path, fault),
    })
}

/// Opens a directory that is open already once more, to list it from the start.
///
/// # Errors
/// As [`open_directory`].
pub(crate) fn open_again(path: &Path, directory: &OwnedFd) -> Result<OwnedFd> {
    open(directory, c".").map_err(|errno| unlisted(path, errno))
}

/// As [`walk`], from a directory that is open already; `root` is its path, for messages.
///
/// # Errors
/// As there.
pub(crate) fn walk_from(
    root: &Path,
    directory: OwnedFd,
    mut visit: impl FnMut(&WalkedEntry<'_>) -> Result<Enter>,
) -> Result<()> {
    let mut walk = Walk { root, path: PathBuf::new(), open: Vec::new() };
    walk.enter(directory)?;
    while let Some(directory) = walk.open.last_mut() {
        let Some(entry) = directory.read() else {
            walk.open.pop();
            walk.path.pop();
            continue;
        };
        let entry = entry.map_err(|errno| walk.unseen(errno))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        walk.path.push(OsStr::from_bytes(name.to_bytes()));
        match walk.visit(name, &mut visit)? {
            Some(below) => walk.enter(below)?,
            None => {
                walk.path.pop();
            }
        }
    }
    Ok(())
}

fn open(from: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    rustix::fs::openat(from, name, flags, RawMode::empty())
}

impl Walk<'_> {
    fn unseen(&self, errno: Errno) -> anyhow::Error {
        unseen(&self.root.join(&self.path), errno)
    }

    fn enter(&mut self, directory: OwnedFd) -> Result<()> {
        let directory = Dir::new(directory).map_err(|errno| self.unseen(errno))?;
        self.open.push(directory);
        Ok(())
    }

    /// Visits what has this name in the innermost directory; where it is one that is to be entered, it is opened.
    fn visit(
        &self,
        name: &CStr,
        visit: &mut impl FnMut(&WalkedEntry<'_>) -> Result<Enter>,
    ) -> Result<Option<OwnedFd>> {
        let Some(directory) = self.open.last() else { return Ok(None) };
        let parent = directory.fd().map_err(|errno| self.unseen(errno))?;
        let meta = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Meta::from(stat),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.unseen(errno)),
        };
        let entry = WalkedEntry { parent, name, path: &self.path, meta };
        let enter = visit(&entry)?;
        if enter == Enter::No || !meta.is_dir() {
            return Ok(None);
        }
        let opened = if enter == Enter::Yes { open(parent, name) } else { open_here(parent, name) };
        match opened {
            // What is there now is another one, which was not judged.
            Ok(below) if rustix::fs::fstat(&below).is_ok_and(|now| Meta::from(now).id != meta.id) => {
                let path = self.root.join(&self.path);
                Err(CouldNotFindOut::new(format!("what {} is", path.display()))
                    .because("it was replaced by another directory meanwhile")
                    .into())
            }
            Ok(below) => Ok(Some(below)),
            // Gone, or no directory any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            // Another mount, where that is not to be entered.
            Err(Errno::XDEV) if enter == Enter::UnlessMounted => Ok(None),
            Err(errno) => Err(unlisted(&self.root.join(&self.path), errno)),
        }
    }
}

/// The names in a directory, sorted.
///
/// # Errors
/// [`CouldNotFindOut`] when it cannot be read.
pub(crate) fn names(directory: &Path) -> Result<Vec<OsString>> {
    names_in(directory, &open_directory(directory)?)
}

/// The same of a directory that is open; `path` is its own, for messages.
///
/// # Errors
/// As there.
pub(crate) fn names_in(path: &Path, directory: &OwnedFd) -> Result<Vec<OsString>> {
    let what = || format!("what is in {}", path.display());
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).map_err(io::Error::from).or_could_not_find_out(what())? {
        let entry = entry.map_err(io::Error::from).or_could_not_find_out(what())?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Opens what a walk has come by, unless it is a link by now.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open_entry(entry: &WalkedEntry<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(entry.parent, entry.name, flags, RawMode::empty())
        .with_context(|| format!("failed to open {}", entry.path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn walked(root: &Path, enter: impl Fn(&Path) -> bool) -> Vec<String> {
        let mut seen = Vec::new();
        walk(root, |entry| {
            assert!(entry.path.as_os_str().as_bytes().ends_with(entry.name.to_bytes()));
            seen.push(entry.path.display().to_string());
            Ok(if enter(entry.path) { Enter::Yes } else { Enter::No })
        })
        .unwrap();
        seen.sort();
        seen
    }

    #[test]
    fn all_below_is_visited_and_no_link_followed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        fs::write(root.path().join("a/b/file"), "").unwrap();
        fs::create_dir(root.path().join("empty")).unwrap();
        symlink("..", root.path().join("a/up")).unwrap();
        assert_eq!(walked(root.path(), |_| true), ["a", "a/b", "a/b/c", "a/b/file", "a/up", "empty"]);
        assert_eq!(walked(root.path(), |path| path != Path::new("a/b")), ["a", "a/b", "a/up", "empty"]);
        assert_eq!(names(root.path()).unwrap(), ["a", "empty"]);
        let link = root.path().join("a/up");
        assert_eq!(walked(&link, |_| false), ["a", "empty"]);
    }

    #[test]
    fn what_is_no_directory_is_told() {
        let root = tempfile::tempdir().unwrap();
        let error = walk(&root.path().join("none"), |_| Ok(Enter::Yes)).unwrap_err();
        assert!(error.is::<CouldNotFindOut>() && error.to_string().contains("what is in "), "{error}");
        assert!(names(&root.path().join("none")).unwrap_err().is::<CouldNotFindOut>());
    }

    #[test]
    fn a_deep_tree_needs_no_deep_stack() {
        let root = tempfile::tempdir().unwrap();
        let mut path = root.path().to_owned();
        for _ in 0..200 {
            path.push("d");
        }
        fs::create_dir_all(&path).unwrap();
        assert_eq!(walked(root.path(), |_| true).len(), 200);
    }
}
