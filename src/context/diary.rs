//! What a run does, written down while it does it: the page of one run in a diary.
//!
//! Does not know who keeps the diary, nor for whom.

use std::io;
use std::sync::Arc;

use serde_json::Value;

/// The variable that every command of a run has in its environment, where a diary is kept; its value is the name of the
/// convergence.
pub(crate) const RUN_VARIABLE: &str = "DOJOB_RUN";

/// Keeps what a crash must not lose.
pub(crate) trait Diary: Send + Sync {
    /// The name of the convergence that is under way.
    fn run(&self) -> &str;
    /// Whether `job` may have changed something that `reader` has not seen.
    fn is_unseen(&self, job: &str, reader: &str) -> bool;
    /// The `n`th run has put something into its local storage; no value: a secret.
    fn set(&self, n: u64, durable: bool, key: &str, value: Option<&Value>) -> io::Result<()>;
    /// Its cleanup has succeeded.
    fn settled(&self, n: u64) -> io::Result<()>;
    /// It was taken back.
    fn undone(&self, n: u64) -> io::Result<()>;
    /// It has started a command, as the leader of this process group.
    fn spawned(&self, n: u64, group: i32);
    /// That command has ended by itself.
    fn ended(&self, n: u64, group: i32);
}

/// Where one run of a job is written down.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) diary: Arc<dyn Diary>,
    pub(crate) n: u64,
    /// Whether it has to survive power loss.
    pub(crate) durable: bool,
}

impl Page {
    pub(crate) fn set(&self, key: &str, value: Option<&Value>) -> io::Result<()> {
        self.diary.set(self.n, self.durable, key, value)
    }

    /// Notes a command for as long as it is at work. One whose end is not noted is ended by the next start.
    pub(crate) fn spawned(&self, group: i32) {
        self.diary.spawned(self.n, group);
    }

    pub(crate) fn ended(&self, group: i32) {
        self.diary.ended(self.n, group);
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("n", &self.n).finish_non_exhaustive()
    }
}
