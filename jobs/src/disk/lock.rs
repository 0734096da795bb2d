//! One process at a time: what several processes of this program edit at once, each has for itself.
//!
//! Root locks a file of its own in `/run/dojob`, which nobody else can lock. Others have no such place that is sure to be
//! the same for all of their processes: they lock the directory that the file is in. So does root, where others may write
//! there, but not for long: whoever may read a directory can lock it. Knows processes; for the threads of one see
//! [`edit_lock`](super::edit_lock).

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dojob::Context;
use rustix::fs::{AtFlags, FlockOperation, Mode as RawMode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::inspect::{Fingerprint, Meta};
use crate::patience::Deadline;

/// Where root's lock files are; nobody else may write there.
const PLACE: &str = "/run/dojob";

/// How many of the files there are looked at, when those that were left are removed.
const MOST_SWEPT: usize = 1000;

/// From one attempt to the next.
const GLANCE: Duration = Duration::from_millis(20);
/// How long root waits for others, who may only want to be in the way.
const FOR_OTHERS: Duration = Duration::from_secs(10);
/// How long everybody else waits.
const FOR_OWN: Duration = Duration::from_secs(60);

/// What is locked: a name that is the same in all processes, and the directory that others lock for it.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

/// Held until it is dropped.
pub(super) struct Lock {
    _own: Option<OwnFile>,
    _directory: Option<Directory>,
}

/// A lock file of root's.
struct OwnFile {
    place: OwnedFd,
    name: String,
    file: OwnedFd,
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // Whoever waits for this one sees that it has gone, and takes another.
        let _ = rustix::fs::unlinkat(&self.place, self.name.as_str(), AtFlags::empty());
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// A locked directory.
struct Directory(OwnedFd);

impl Drop for Directory {
    fn drop(&mut self) {
        // Not left to closing it: a program that is just being started may have it as well.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

impl Subject {
    /// A file, by where it really is; its directory has to be there.
    pub(super) fn file(path: &Path) -> Option<Self> {
        let (directory, name) = (path.parent()?, path.file_name()?);
        let stat = rustix::fs::stat(directory).ok()?;
        let (device, number) = Meta::from(stat).id;
        let name = Fingerprint::of_bytes(name.as_encoded_bytes()).hex();
        let name = format!("{device:x}-{number:x}-{}", &name[..32]);
        Some(Subject { name, directory: directory.to_owned() })
    }
}

/// Waits until no other process has it.
///
/// # Errors
/// When the run is asked to stop meanwhile, or it takes too long.
pub(super) fn take(cx: &Context, subject: &Subject, what: &Path) -> Result<Lock> {
    let is_root = geteuid().is_root();
    let place = if is_root { place()? } else { None };
    let own = place.map(|place| own_file(cx, place, &subject.name, what)).transpose()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    // A directory that cannot be read cannot be locked, by others neither.
    let directory = rustix::fs::open(&subject.directory, flags, RawMode::empty()).ok();
    let directory = match directory {
        Some(directory) if own.is_none() || is_of_others(&directory)? => {
            lock_directory(cx, directory, own.is_some(), &subject.directory, what)?
        }
        _ => None,
    };
    Ok(Lock { _own: own, _directory: directory })
}

fn is_of_others(directory: &OwnedFd) -> Result<bool> {
    let meta = Meta::from(rustix::fs::fstat(directory)?);
    Ok(meta.uid != 0 || meta.mode.bits() & 0o022 != 0)
}

/// The directory of lock files; `None` where none can be made.
fn place() -> Result<Option<OwnedFd>> {
    match rustix::fs::mkdir(PLACE, RawMode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(_) => return Ok(None),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::open(PLACE, flags, RawMode::empty());
    let place = place.with_context(|| format!("failed to open {PLACE}, where files are locked"))?;
    let meta = Meta::from(rustix::fs::fstat(&place)?);
    ensure!(
        meta.uid == 0 && meta.mode.bits() & 0o022 == 0,
        "{PLACE}, where files are locked, is not root's alone; remove it"
    );
    Ok(Some(place))
}

/// Removes what processes have left that were killed.
fn sweep(place: &OwnedFd) {
    let Ok(entries) = rustix::fs::Dir::read_from(place) else { return };
    for entry in entries.flatten().take(MOST_SWEPT) {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let Ok(file) = rustix::fs::openat(place, entry.file_name(), flags, RawMode::empty()) else {
            continue;
        };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && is_at(place, entry.file_name(), &file)
        {
            let _ = rustix::fs::unlinkat(place, entry.file_name(), AtFlags::empty());
        }
    }
}

/// Whether the file is still there under its name; who had it locked before removes it.
fn is_at(place: &OwnedFd, name: impl rustix::path::Arg, file: &OwnedFd) -> bool {
    let now = rustix::fs::statat(place, name, AtFlags::SYMLINK_NOFOLLOW).map(Meta::from);
    let own = rustix::fs::fstat(file).map(Meta::from);
    now.is_ok_and(|now| own.is_ok_and(|own| now.id == own.id))
}

fn own_file(cx: &Context, place: OwnedFd, name: &str, what: &Path) -> Result<OwnFile> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| sweep(&place));
    loop {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place, name, flags, RawMode::RUSR | RawMode::WUSR)
            .with_context(|| format!("failed to lock {} in {PLACE}", what.display()))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                if is_at(&place, name, &file) {
                    return Ok(OwnFile { place, name: name.to_owned(), file });
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => wait(cx, what)?,
            Err(errno) => return Err(errno).with_context(|| format!("failed to lock {}", what.display())),
        }
    }
}

fn lock_directory(
    cx: &Context,
    directory: OwnedFd,
    may_go_on: bool,
    path: &Path,
    what: &Path,
) -> Result<Option<Directory>> {
    let id = Meta::from(rustix::fs::fstat(&directory)?).id;
    let patience = match may_go_on {
        // Whoever was in the way once may be for ever: that costs a run its patience once, not at every edit.
        true if given_up().contains(&id) => Duration::ZERO,
        true => FOR_OTHERS,
        false => FOR_OWN,
    };
    let deadline = Deadline::after(cx, patience);
    loop {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Directory(directory))),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if !deadline.is_over(cx) => wait(cx, what)?,
            Err(Errno::WOULDBLOCK) if may_go_on => {
                given_up().insert(id);
                cx.log(format!(
                    "{} has been locked by another process for too long; going on without the lock",
                    path.display()
                ));
                return Ok(None);
            }
            Err(Errno::WOULDBLOCK) => bail!(
                "another process has {} locked for more than {} s, so {} is not edited",
                path.display(),
                patience.as_secs(),
                what.display()
            ),
            // Not every file system has locks.
            Err(_) => return Ok(None),
        }
    }
}

/// The directories that root has waited for in vain.
fn given_up() -> MutexGuard<'static, HashSet<(u64, u64)>> {
    static GIVEN_UP: LazyLock<Mutex<HashSet<(u64, u64)>>> = LazyLock::new(Mutex::default);
    GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(cx: &Context, what: &Path) -> Result<()> {
    cx.wait(GLANCE).with_context(|| {
        format!("another process is editing {}, and there is no time to wait for it", what.display())
    })
}
