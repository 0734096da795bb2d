//! One at a time: an advisory lock on the state directory, and who has it.
//!
//! The lock is one of the directory itself (`flock`), so that nothing has to be written for it, and it dies with its
//! holder.

use std::fmt;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::processes;
use super::trust::OwnDirectory;

/// Who has the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process, where that can be told.
    pub pid: Option<u32>,
    /// When that process was started, where that can be told.
    pub since: Option<Timestamp>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        match self.since {
            Some(since) => write!(f, ", at work since {since:.0}"),
            None => Ok(()),
        }
    }
}

/// The lock; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    directory: OwnDirectory,
}

impl Lock {
    /// Takes the lock of a directory, or returns `None` where somebody else has it.
    pub(crate) fn take(directory: OwnDirectory) -> io::Result<Option<Lock>> {
        match flock(&directory.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { directory })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &OwnDirectory {
        &self.directory
    }

    /// Brings names that were made or removed in the directory to the disk.
    pub(crate) fn sync_names(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory.file)?)
    }
}

/// A process that was just forked by another thread has the lock's descriptor, too, until it is its own program; so it is
/// not enough to close it.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.directory.file, FlockOperation::Unlock);
    }
}

/// Who has the lock of a directory, as far as that can be told.
pub(crate) fn holder(directory: &Path) -> Holder {
    let pid = rustix::fs::stat(directory).ok().and_then(|stat| {
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| holder_in(line, stat.st_dev, stat.st_ino))
    });
    let since = pid.and_then(|pid| processes::started_at(pid.try_into().ok()?));
    Holder { pid, since }
}

/// The process in a line of Linux's table of locks, `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`, when it is about
/// this file. Who waits for it has an arrow in the line.
fn holder_in(line: &str, device: u64, inode: u64) -> Option<u32> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else { return None };
    let mut parts = file.split(':');
    let mut hex = || u32::from_str_radix(parts.next()?, 16).ok();
    let found = rustix::fs::makedev(hex()?, hex()?);
    let is_it = found == device && file.rsplit(':').next()?.parse() == Ok(inode);
    // Zero, or less: a process that cannot be seen from here (outside of a container, say).
    pid.parse().ok().filter(|pid| is_it && *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_once_and_is_free_when_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let take = || Lock::take(OwnDirectory::make(directory.path()).unwrap()).unwrap();
        let lock = take().unwrap();
        assert!(take().is_none());
        if cfg!(target_os = "linux") {
            assert_eq!(holder(directory.path()).pid, Some(std::process::id()));
        }
        drop(lock);
        assert!(take().is_some());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is written for it");
    }

    #[test]
    fn the_holder_is_found_in_the_table() {
        let device = rustix::fs::makedev(0x08, 0x11);
        let line = "12: FLOCK  ADVISORY  WRITE 4711 08:11:1234 0 EOF";
        assert_eq!(holder_in(line, device, 1234), Some(4711));
        assert_eq!(holder_in(line, device, 12345), None);
        assert_eq!(holder_in("12: -> FLOCK  ADVISORY  WRITE 4712 08:11:1234 0 EOF", device, 1234), None);
        assert_eq!(holder_in("12: POSIX  ADVISORY  WRITE 4711 08:11:1234 0 EOF", device, 1234), None);
        assert_eq!(holder_in("12: FLOCK  ADVISORY  WRITE 0 08:11:1234 0 EOF", device, 1234), None);
    }
}
