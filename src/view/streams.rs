//! Standard output and standard error of a program that can be asked to stop: a reader that does not read, or a terminal
//! that is held (Ctrl-S), does not keep it from stopping.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::clock::{Clock, SystemClock};
use crate::context::cancel::Cancel;
use crate::context::process::pause;

/// How long a reader may take, all in all, once the program has been asked to stop.
const GRACE: Duration = Duration::from_secs(1);
/// A pipe that is ready for writing takes this much without waiting (POSIX guarantees 512, Linux 4096).
const CHUNK: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

static STOPPING: LazyLock<Stopping> = LazyLock::new(|| {
    let cancel = Cancel::default();
    Stopping { asked: cancel.descriptor().ok(), cancel, clock: SystemClock::new(), until: Mutex::default() }
});

struct Stopping {
    cancel: Cancel,
    /// Readable once that was asked. Without it (no descriptor is left) a request is seen before the next wait only.
    asked: Option<OwnedFd>,
    clock: SystemClock,
    /// Until when readers are waited for; set by the first writer that sees the request.
    until: Mutex<Option<Duration>>,
}

/// From now on nobody waits for long for those who read what this program prints.
pub(crate) fn stop_waiting() {
    STOPPING.cancel.ask();
}

/// Standard output, unbuffered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stdout;

/// Standard error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stderr;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(io::stdout().as_fd(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(io::stderr().as_fd(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a short line to standard error if that takes it at once. Otherwise the line is lost.
pub(crate) fn try_say(line: &str) {
    let stderr = io::stderr();
    let mut waited = [PollFd::new(&stderr, PollFlags::OUT)];
    if pause(&mut waited, Some(Duration::ZERO)).is_ok() && waited[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(&stderr, format!("{line}\n").as_bytes());
    }
}

/// Writes some of `bytes` as soon as `out` takes them.
///
/// # Errors
/// `TimedOut` when the program has been asked to stop and `out` takes nothing.
fn write(out: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let chunk = &bytes[..bytes.len().min(CHUNK)];
    loop {
        STOPPING.wait_for(out)?;
        match rustix::io::write(out, chunk) {
            // Another process may have filled it since, or it was given to us in this mode.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            written => return Ok(written?),
        }
    }
}

impl Stopping {
    fn wait_for(&self, out: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            let is_asked = self.cancel.is_asked();
            let timeout = is_asked.then(|| self.until().saturating_sub(self.clock.now()));
            let mut waited = vec![PollFd::from_borrowed_fd(out, PollFlags::OUT)];
            if let Some(asked) = self.asked.as_ref().filter(|_| !is_asked) {
                waited.push(PollFd::from_borrowed_fd(asked.as_fd(), PollFlags::IN));
            }
            pause(&mut waited, timeout)?;
            // An error or a hang-up is for the write to report.
            if !waited[0].revents().is_empty() {
                return Ok(());
            }
            if is_asked && self.clock.now() >= self.until() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the reader does not read"));
            }
        }
    }

    fn until(&self) -> Duration {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until.get_or_insert_with(|| self.clock.now() + GRACE)
    }
}
