//! A disk that is easily full.
#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test binary uses a part of it; what is skipped is told"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dojob::{AnyJob, Engine};
use tempfile::TempDir;

/// What fills a disk.
const FILLER: &str = "filler";

/// A file system of a few pages, while it lives.
pub(crate) struct SmallDisk {
    path: PathBuf,
    /// Removed when nothing is mounted there any more.
    _root: Option<TempDir>,
}

impl SmallDisk {
    /// One of its own; `None`, which in CI is a failure, for those who may not mount.
    pub(crate) fn new() -> Option<Self> {
        let root = tempfile::tempdir().expect("a directory");
        let mut disk = SmallDisk::at(root.path())?;
        disk._root = Some(root);
        Some(disk)
    }

    /// As [`new`](SmallDisk::new), mounted there.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).expect("a directory");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(path).output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "skipped in CI: needs the right to mount");
            eprintln!("skipped: needs the right to mount");
            return None;
        }
        Some(SmallDisk { path: path.to_owned(), _root: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves no room for a single byte.
    pub(crate) fn fill(&self) {
        let mut filler = fs::File::create(self.path.join(FILLER)).expect("a file");
        loop {
            match filler.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: another test, just forked, may have something of it open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

/// Names, modes, owners and contents, and when a file was written; not the filler.
fn seen(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        let mut told = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
        } else {
            let content = fs::read(&path).expect("a file");
            let written = (meta.ino(), meta.mtime(), meta.mtime_nsec());
            told += &format!(" {written:?} {}", String::from_utf8_lossy(&content));
        }
        seen.insert(path, told);
    }
    seen.remove(&root.join(FILLER));
    seen
}

/// Where there is no room left the job fails, says so of this file, and leaves everything as it was; where there is some again, it
/// converges.
pub(crate) fn needs_room(files: &[(&str, &str)], about: &str, job: impl Fn(&Path) -> AnyJob) {
    let Some(disk) = SmallDisk::new() else { return };
    for (name, text) in files {
        let path = disk.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    disk.fill();
    let before = seen(disk.path());
    let converge = || Engine::new(job(disk.path())).expect("a graph of one job").tries(1).converge();
    let report = converge();
    let came = report.jobs().last().expect("one job");
    let failures: Vec<String> = came.failures().iter().map(|failure| failure.reason.clone()).collect();
    let full = |said: &String| said.contains("No space left on device") && said.contains(about);
    assert!(failures.iter().any(full), "{}: {failures:?}", came.name());
    assert_eq!(report.failed_cleanups().count(), 0, "{}", came.name());
    assert_eq!(seen(disk.path()), before, "{}", came.name());

    fs::remove_file(disk.path().join(FILLER)).expect("the filler is there");
    let report = converge();
    assert!(report.success(), "{report:?}");
}
