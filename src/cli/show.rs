//! Opens a picture in the viewer of the desktop.
//!
//! The viewer belongs to the person at the desktop and not to the run: it has a session of its own, and may stay open for
//! as long as it likes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::context::session;

/// Opens a file with the program that the desktop has for its kind.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// How long an opener has to say that it cannot. One that is still at work then is taken for a viewer.
const GRACE: Duration = Duration::from_secs(2);
/// How many names are tried for a file of our own.
const NAMES: u32 = 100;

/// A picture could not be shown; it is where it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    /// There is no opener.
    #[error("failed to show {}: the program `{OPENER}` is not installed; open the file by hand", path.display())]
    NoOpener { path: PathBuf },
    /// The opener cannot be started.
    #[error("failed to show {}: `{OPENER}` does not start", path.display())]
    Start { path: PathBuf, source: io::Error },
    /// The opener has failed.
    #[error("failed to show {}: `{OPENER}` ended with {status}{}; open the file by hand", path.display(), meaning(*status))]
    Failed { path: PathBuf, status: ExitStatus },
}

/// What `xdg-open` means by an exit code.
fn meaning(status: ExitStatus) -> &'static str {
    match status.code() {
        Some(3) if OPENER == "xdg-open" => ": it found no program for such files",
        _ => "",
    }
}

/// Opens the file, and waits only for as long as it takes to see whether that fails.
pub(crate) fn show(path: &Path) -> Result<(), ShowError> {
    // An absolute path looks neither like a flag nor like an address.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut command = Command::new(OPENER);
    command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    session::begin(&mut command, false);
    crate::secret::withheld(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ShowError::NoOpener { path }),
        Err(source) => return Err(ShowError::Start { path, source }),
    };
    let (send, ended) = mpsc::channel();
    // It ends with the opener, or with this process.
    let waiter = thread::Builder::new().name("dojob-viewer".to_owned());
    let waiting = waiter.spawn(move || send.send(child.wait()));
    match waiting.ok().and_then(|_| ended.recv_timeout(GRACE).ok()) {
        Some(Ok(status)) if !status.success() => Err(ShowError::Failed { path, status }),
        _ => Ok(()),
    }
}

/// Writes a picture as a file of our own in the temporary directory.
pub(crate) fn write_temporary(program: &str, svg: &str) -> io::Result<PathBuf> {
    let (mut file, path) = create_temporary(program)?;
    file.write_all(svg.as_bytes())?;
    Ok(path)
}

/// Never an existing file: in a directory for everybody, it may be somebody's link to another one.
fn create_temporary(program: &str) -> io::Result<(File, PathBuf)> {
    let own = format!("{program}-{}", std::process::id());
    let directory = std::env::temp_dir();
    let mut names = (0..NAMES).map(|number| match number {
        0 => directory.join(format!("{own}.svg")),
        _ => directory.join(format!("{own}-{number}.svg")),
    });
    names
        .find_map(|path| match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
            opened => Some(opened.map(|file| (file, path))),
        })
        .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
}
