//! A file beside the board that is written to so that others wake up, and those who watch it.
//!
//! A wake-up may be lost: SQLite's own count of changes is looked at as well, now and then.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::clock::Wake;

pub(super) struct WakeFile {
    path: PathBuf,
    file: File,
}

/// A thread that wakes somebody; it ends when this is dropped.
pub(super) struct Watcher {
    /// Closed, it ends the thread.
    end: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl WakeFile {
    pub(super) fn open(board: &Path) -> io::Result<WakeFile> {
        let mut path = board.as_os_str().to_owned();
        path.push("-wake");
        let path = PathBuf::from(path);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        Ok(WakeFile { path, file })
    }

    /// Wakes all who watch, in any process. When it fails they find out later.
    pub(super) fn poke(&self) {
        let _ = self.file.write_at(b".", 0);
    }

    /// Calls `wake` whenever somebody pokes, and, looking every `poll`, whenever the file of the board was changed.
    pub(super) fn watch(&self, look: Connection, poll: Duration, wake: Arc<Wake>) -> io::Result<Watcher> {
        let pokes = inotify(&self.path);
        if let Err(error) = &pokes {
            tracing::warn!(
                "failed to watch {}: {error}; what happens on the board is seen up to {poll:?} later",
                self.path.display()
            );
        }
        let (ended, end) = pipe_with(PipeFlags::CLOEXEC)?;
        let thread = std::thread::Builder::new()
            .name("board watch".to_owned())
            .spawn(move || watch(&ended, pokes.ok().as_ref(), &look, poll, &wake))?;
        Ok(Watcher { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(target_os = "linux")]
fn inotify(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    add_watch(&inotify, path, WatchFlags::MODIFY)?;
    Ok(inotify)
}

#[cfg(not(target_os = "linux"))]
fn inotify(_: &Path) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether there was anything to read; it is all read then.
fn drain(inotify: &OwnedFd) -> bool {
    let mut buffer = [0; 4096];
    let mut has_read = false;
    while matches!(rustix::io::read(inotify, &mut buffer), Ok(length) if length > 0) {
        has_read = true;
    }
    has_read
}

fn watch(ended: &OwnedFd, pokes: Option<&OwnedFd>, look: &Connection, every: Duration, wake: &Wake) {
    let every = Timespec::try_from(every.max(Duration::from_millis(1))).ok();
    // How often others have changed the file, as this connection counts. Where it cannot be read, nothing is told from that.
    let changes = || look.query_row("PRAGMA data_version", (), |row| row.get::<_, i64>(0)).ok();
    let mut seen = changes();
    // What has happened before the watch began, nobody has told.
    wake.wake();
    loop {
        let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
        fds.extend(pokes.map(|pokes| PollFd::new(pokes, PollFlags::IN)));
        match poll(&mut fds, every.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !fds[0].revents().is_empty() {
            return;
        }
        let found = changes();
        if pokes.is_some_and(drain) || found != seen {
            seen = found;
            wake.wake();
        }
    }
}
