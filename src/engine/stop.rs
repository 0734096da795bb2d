//! Ends a convergence early, from another thread or a signal.

use std::sync::Arc;

use crate::context::cancel::Cancel;
use crate::context::process::Groups;

/// Ends the runs of an engine early; a clone does the same.
#[derive(Clone, Default)]
pub struct StopHandle {
    pub(super) cancel: Cancel,
    pub(super) cancel_cleanup: Cancel,
    pub(super) groups: Arc<Groups>,
}

impl StopHandle {
    /// Nothing new starts from now on, running commands are asked to end, and cleanups are called. An engine that was
    /// stopped stays so: later runs of it start nothing.
    pub fn stop(&self) {
        self.cancel.ask();
        self.groups.ask_cancelled_to_end();
    }

    /// Whether [`stop`](StopHandle::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.cancel.is_asked()
    }

    /// Asks cleanups to end, too, which [`stop`](StopHandle::stop) does not touch: their commands end, and
    /// [`Context::is_cancelled`](crate::Context::is_cancelled) is true in them.
    pub fn stop_cleanups(&self) {
        self.cancel_cleanup.ask();
        self.groups.ask_cancelled_to_end();
    }

    /// Kills every running command with its process group, those of cleanups too, and lets no other begin: for one
    /// who is about to end the whole program.
    pub fn kill_commands(&self) {
        self.groups.kill();
    }
}

impl std::fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StopHandle").field("stopped", &self.is_stopped()).finish()
    }
}
