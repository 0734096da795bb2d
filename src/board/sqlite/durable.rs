//! Makes commits survive the loss of power: several at once, where several threads wait for it.
//!
//! SQLite is told not to (`synchronous = NORMAL`), as it would do it while it has the write lock, for each commit anew. What it does
//! without being told is to sync the write-ahead log before any of it is copied to the file proper, and the file before the
//! log is begun anew. So once the log is synced after a commit, that commit is on the disk, wherever it has got to meanwhile.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Durable {
    /// The write-ahead log. It is there after the first commit, and for as long as the board is open.
    log: PathBuf,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// How many commits there were, and how many of them are on the disk.
    committed: u64,
    synced: u64,
    is_under_way: bool,
    /// Once it has failed, nobody can tell what is on the disk: the kernel may take for written what is not.
    failure: Option<io::ErrorKind>,
}

/// How far the log has to be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commit(u64);

impl Durable {
    pub(super) fn new(board: &Path) -> Durable {
        let mut log = board.as_os_str().to_owned();
        log.push("-wal");
        Durable { log: log.into(), state: Mutex::default(), ended: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit was made.
    pub(super) fn committed(&self) -> Commit {
        let mut state = self.state();
        state.committed += 1;
        Commit(state.committed)
    }

    /// Returns once a commit is on the disk, and all before it. Of several callers at once, one does it for all.
    pub(super) fn sync(&self, commit: Commit) -> io::Result<()> {
        let mut state = self.state();
        loop {
            if state.synced >= commit.0 {
                return Ok(());
            }
            if let Some(kind) = state.failure {
                return Err(io::Error::new(kind, "an earlier call could not be brought to the disk"));
            }
            if !state.is_under_way {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_under_way = true;
        let up_to = state.committed;
        let file = state.file.take().map_or_else(|| File::open(&self.log), Ok);
        drop(state);
        let synced = file.and_then(|file| file.sync_data().map(|()| file));
        let mut state = self.state();
        state.is_under_way = false;
        self.ended.notify_all();
        match synced {
            Ok(file) => {
                (state.file, state.synced) = (Some(file), up_to);
                Ok(())
            }
            Err(error) => {
                state.failure = Some(error.kind());
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_for_all_that_was_committed_before_it() {
        let directory = tempfile::TempDir::new().unwrap();
        std::fs::write(directory.path().join("board-wal"), "").unwrap();
        let durable = Durable::new(&directory.path().join("board"));
        let commits = [durable.committed(), durable.committed(), durable.committed()];
        durable.sync(commits[1]).unwrap();
        assert_eq!(durable.state().synced, 3);
        let next = durable.committed();
        assert_eq!(durable.state().synced, 3);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| durable.sync(next).unwrap());
            }
        });
        assert_eq!(durable.state().synced, 4);
    }

    #[test]
    fn after_a_failure_nothing_is_taken_for_durable() {
        let directory = tempfile::TempDir::new().unwrap();
        let durable = Durable::new(&directory.path().join("board"));
        let first = durable.committed();
        assert_eq!(durable.sync(first).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(directory.path().join("board-wal"), "").unwrap();
        let error = durable.sync(durable.committed()).unwrap_err();
        assert_eq!(error.to_string(), "an earlier call could not be brought to the disk");
    }
}
