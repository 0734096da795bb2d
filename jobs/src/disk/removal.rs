//! Removing a name in a directory that is open, with all that is below: what was judged, and nothing else. Links are not
//! followed, and mount points are not crossed.
//!
//! Holds one open directory for each level.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode as RawMode, OFlags, Stat};
use rustix::io::Errno;

use super::at::{Links, place};

/// Removes what is at `path`, a directory with all that is in it; a link at the end is not followed. Nothing is fine, too.
///
/// # Errors
/// When something is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match place(path, Links::Stay) {
        Ok(place) => remove_at(&place.directory, &place.name, None),
        Err(super::at::Fault::System(Errno::NOENT)) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// The same for a name in a directory; where it is a directory, it has to be the one that was `judged`, by file system and
/// number.
///
/// # Errors
/// When something is there and cannot be removed, or it is another one, or a mount point is in the way.
pub(crate) fn remove_at(directory: impl AsFd, name: &OsStr, judged: Option<(u64, u64)>) -> io::Result<()> {
    let directory = directory.as_fd();
    if !is_directory(directory, name)? {
        return unlink(directory, name, AtFlags::empty());
    }
    let Some(top) = enter(directory, name)? else { return Ok(()) };
    if judged.is_some_and(|judged| rustix::fs::fstat(&top).is_ok_and(|found| id(&found) != judged)) {
        return Err(io::Error::other("it was replaced by another directory meanwhile"));
    }
    let mut open = vec![(Dir::new(top)?, name.to_owned())];
    while let Some((innermost, _)) = open.last_mut() {
        let Some(entry) = innermost.read() else {
            let Some((_, name)) = open.pop() else { break };
            let parent = match open.last() {
                Some((parent, _)) => parent.fd()?,
                None => directory,
            };
            unlink(parent, &name, AtFlags::REMOVEDIR)?;
            continue;
        };
        let entry = entry?;
        let name: CString = entry.file_name().to_owned();
        if name.as_c_str() == c"." || name.as_c_str() == c".." {
            continue;
        }
        let name = OsString::from_vec(name.into_bytes());
        let at = innermost.fd()?;
        let is_directory = match entry.file_type() {
            FileType::Unknown => is_directory(at, &name)?,
            kind => kind == FileType::Directory,
        };
        if !is_directory {
            unlink(at, &name, AtFlags::empty())?;
        } else if let Some(below) = enter(at, &name)? {
            open.push((Dir::new(below)?, name));
        }
    }
    Ok(())
}

fn is_directory(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<bool> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn unlink(at: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> io::Result<()> {
    match rustix::fs::unlinkat(at, name, flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::BUSY) => Err(mounted(name)),
        Err(Errno::ROFS) if is_gone(at, name) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether there is nothing of this name. A file system that cannot be written says of every name that it cannot be removed.
pub(crate) fn is_gone(at: BorrowedFd<'_>, name: &OsStr) -> bool {
    rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW).is_err_and(|errno| errno == Errno::NOENT)
}

fn mounted(name: &OsStr) -> io::Error {
    let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
    io::Error::new(io::ErrorKind::ResourceBusy, format!("`{name}` is a mount point: unmount it first"))
}

/// Opens a directory to list it; `None` where it is gone.
fn enter(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    match open_here(at, name) {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::XDEV) => Err(mounted(name)),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a directory in another one, where it is on the same mount: `XDEV` if not.
pub(super) fn open_here(at: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::ResolveFlags;
        let stay = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        match rustix::fs::openat2(at, name, flags, RawMode::empty(), stay) {
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            opened => return opened,
        }
    }
    let opened = rustix::fs::openat(at, name, flags, RawMode::empty())?;
    let [found, around] = [rustix::fs::fstat(&opened)?, rustix::fs::fstat(at)?];
    if found.st_dev == around.st_dev { Ok(opened) } else { Err(Errno::XDEV) }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' types differ by platform")]
fn id(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn what_a_link_leads_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let [tree, other] = ["tree", "other"].map(|name| root.path().join(name));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("precious"), "").unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        symlink(&other, tree.join("a/link")).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists() && other.join("precious").exists());
        remove(&tree).unwrap();
        remove(&tree.join("none/below")).unwrap();
    }

    #[test]
    fn a_directory_that_was_not_judged_stays() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("directory");
        fs::create_dir(&directory).unwrap();
        let found = fs::metadata(&directory).unwrap();
        let at = fs::File::open(root.path()).unwrap();
        let error = remove_at(&at, "directory".as_ref(), Some((found.dev(), found.ino() + 1))).unwrap_err();
        assert_eq!(error.to_string(), "it was replaced by another directory meanwhile");
        assert!(directory.exists());
        remove_at(&at, "directory".as_ref(), Some((found.dev(), found.ino()))).unwrap();
        assert!(!directory.exists());
    }
}
