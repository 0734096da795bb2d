//! One at a time: jobs that edit the same file at once would undo each other's work, be they of this process or of
//! another one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use dojob::Context;

use super::lock::{self, Lock, Subject};

/// The files that are being edited.
static BUSY: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
static FREE: Condvar = Condvar::new();

/// How often somebody who waits looks up, to see whether there is still time.
const GLANCE: Duration = Duration::from_millis(50);

/// Held from reading a file to writing it.
pub(crate) struct EditLock {
    /// Of all processes; given back before the next thread of this one has its turn.
    lock: Option<Lock>,
    file: PathBuf,
}

/// Waits until nobody else edits the file: no other job of this process, and no other process of this program.
///
/// # Errors
/// When the run is asked to stop meanwhile, or the time of the task is over, or another process takes too long.
pub(crate) fn take(cx: &Context, path: &Path) -> Result<EditLock> {
    let file = real(&cx.working_directory().join(path));
    let mut turn = of_process(cx, path, file)?;
    if let Some(subject) = Subject::file(&turn.file) {
        turn.lock = Some(lock::take(cx, &subject, path)?);
    }
    Ok(turn)
}

/// As [`take`], for something that is no file of its own, but has a name in all processes. Who is not root, and root with
/// those others, locks `directory` for it.
///
/// # Errors
/// As there.
pub(crate) fn take_named(cx: &Context, name: String, directory: &Path, what: &Path) -> Result<EditLock> {
    let mut turn = of_process(cx, what, PathBuf::from(&name))?;
    let subject = Subject { name, directory: directory.to_owned() };
    turn.lock = Some(lock::take(cx, &subject, what)?);
    Ok(turn)
}

fn of_process(cx: &Context, path: &Path, file: PathBuf) -> Result<EditLock> {
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
    Ok(EditLock { lock: None, file })
}

/// Where a file is, or would be made, whatever links lead there.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let target = super::write::follow(path).unwrap_or_else(|_| path.to_owned());
    let parent = target.parent().and_then(|parent| parent.canonicalize().ok());
    parent.zip(target.file_name()).map_or_else(|| target.clone(), |(parent, name)| parent.join(name))
}

impl Drop for EditLock {
    fn drop(&mut self) {
        self.lock = None;
        let mut busy = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        busy.get_or_insert_default().remove(&self.file);
        FREE.notify_all();
    }
}
