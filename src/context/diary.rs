//! What a run does, written down while it does it: the page of one run in a diary.
//!
//! Does not know who keeps the diary, nor for whom.

use std::io;
use std::process::Child;
use std::sync::Arc;

use serde_json::Value;

/// The variable that every command of a run has in its environment, where a diary is kept; its value is the name of the
/// convergence.
pub(crate) const RUN_VARIABLE: &str = "DOJOB_RUN";

/// Keeps what a crash must not lose.
pub(crate) trait Diary: Send + Sync {
    /// Whether `job` may have changed something that `reader` has not seen.
    fn is_unseen(&self, job: &str, reader: &str) -> bool;
    /// The `n`th run has put something into its local storage; no value: a secret.
    fn set(&self, n: u64, durable: bool, key: &str, value: Option<&Value>) -> io::Result<()>;
    /// Its cleanup has succeeded.
    fn settled(&self, n: u64, durable: bool) -> io::Result<()>;
    /// It was reverted.
    fn undone(&self, n: u64, durable: bool) -> io::Result<()>;
    /// It is about to start a command, whose processes will carry this token: written down first, so that there is none of
    /// which nobody knows.
    fn starting(&self, n: u64, token: &str) -> io::Result<()>;
    /// That command is at work, as the leader of this process group.
    fn spawned(&self, n: u64, token: &str, group: i32);
    /// That command has ended by itself, or was not started at all.
    fn ended(&self, n: u64, token: &str);
}

/// Where one run of a job is written down.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) diary: Arc<dyn Diary>,
    pub(crate) n: u64,
    /// The name of the convergence that has begun it, which its commands carry.
    pub(crate) run: Arc<str>,
    /// Whether it has to survive power loss.
    pub(crate) durable: bool,
}

impl Page {
    pub(crate) fn set(&self, key: &str, value: Option<&Value>) -> io::Result<()> {
        self.diary.set(self.n, self.durable, key, value)
    }

    /// Its cleanup has succeeded, or there is nothing to clean up.
    pub(crate) fn settled(&self) -> io::Result<()> {
        self.diary.settled(self.n, self.durable)
    }

    /// It was reverted.
    pub(crate) fn undone(&self) -> io::Result<()> {
        self.diary.undone(self.n, self.durable)
    }

    /// Starts a command, which is noted for as long as it is at work. One whose end is not noted is ended by the next
    /// start.
    pub(crate) fn spawn(
        &self,
        token: &str,
        spawn: impl FnOnce() -> io::Result<Option<Child>>,
    ) -> io::Result<Option<Child>> {
        self.diary.starting(self.n, token)?;
        let spawned = spawn();
        match &spawned {
            Ok(Some(child)) => self.diary.spawned(self.n, token, child.id().cast_signed()),
            Ok(None) | Err(_) => self.ended(token),
        }
        spawned
    }

    pub(crate) fn ended(&self, token: &str) {
        self.diary.ended(self.n, token);
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("n", &self.n).finish_non_exhaustive()
    }
}
