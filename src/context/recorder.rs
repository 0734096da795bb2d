//! What a run does, written down while it does it: the page of one run in a recorder.
//!
//! Does not know who keeps the recorder, nor for whom.

use std::io;
use std::process::Child;
use std::sync::Arc;

use serde_json::Value;

/// The variable that every command of a run has in its environment, where a recorder is kept; its value is the name of the
/// convergence.
pub(crate) const RUN_VARIABLE: &str = "DOJOB_RUN";

/// Keeps what a crash must not lose.
pub(crate) trait Recorder: Send + Sync {
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
pub(crate) struct RunRecord {
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) n: u64,
    /// The name of the convergence that has begun it, which its commands carry.
    pub(crate) run: Arc<str>,
    /// Whether it has to survive power loss.
    pub(crate) durable: bool,
}

impl RunRecord {
    pub(crate) fn set(&self, key: &str, value: Option<&Value>) -> io::Result<()> {
        self.recorder.set(self.n, self.durable, key, value)
    }

    /// Its cleanup has succeeded, or there is nothing to clean up.
    pub(crate) fn settled(&self) -> io::Result<()> {
        self.recorder.settled(self.n, self.durable)
    }

    /// It was reverted.
    pub(crate) fn undone(&self) -> io::Result<()> {
        self.recorder.undone(self.n, self.durable)
    }

    /// Starts a command, which is noted for as long as it is at work. One whose end is not noted is ended by the next
    /// start.
    pub(crate) fn spawn(
        &self,
        token: &str,
        spawn: impl FnOnce() -> io::Result<Option<Child>>,
    ) -> io::Result<Option<Child>> {
        self.recorder.starting(self.n, token)?;
        let spawned = spawn();
        match &spawned {
            Ok(Some(child)) => self.recorder.spawned(self.n, token, child.id().cast_signed()),
            Ok(None) | Err(_) => self.ended(token),
        }
        spawned
    }

    pub(crate) fn ended(&self, token: &str) {
        self.recorder.ended(self.n, token);
    }
}

impl std::fmt::Debug for RunRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunRecord").field("n", &self.n).finish_non_exhaustive()
    }
}
