//! One at a time: jobs that edit the same file at once would undo each other's work.
//!
//! Knows files by where they really are, since one file has many names; not what is done with them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use dojob::Context;

/// The files that are being edited.
static BUSY: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
static FREE: Condvar = Condvar::new();

/// How often somebody who waits looks up, to see whether there is still time.
const GLANCE: Duration = Duration::from_millis(50);

/// Held from reading a file to writing it.
pub(crate) struct Turn(PathBuf);

/// Waits until nobody else of this process edits the file.
///
/// # Errors
/// When the run is asked to stop meanwhile, or the time of the task is over.
pub(crate) fn take(cx: &Context, path: &Path) -> Result<Turn> {
    let file = real(&cx.working_directory().join(path));
    let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
    while busy.get_or_insert_default().contains(&file) {
        ensure!(
            !cx.is_cancelled(),
            "another job is editing {}, and there is no time to wait for it",
            path.display()
        );
        busy = FREE.wait_timeout(busy, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
    }
    busy.get_or_insert_default().insert(file.clone());
    Ok(Turn(file))
}

/// Where a file is, or would be made, whatever links lead there.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    parent.zip(path.file_name()).map_or_else(|| path.to_owned(), |(parent, name)| parent.join(name))
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        busy.get_or_insert_default().remove(&self.0);
        FREE.notify_all();
    }
}
