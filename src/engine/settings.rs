//! What a user has asked an engine for, as far as it concerns what comes before and after the jobs.

use crate::job::policy::OnFailure;

/// What a user has asked for.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) no_act: bool,
    /// Whether a dry run calls the checks behind a job that is not in place, too.
    pub(super) look_ahead: bool,
    /// Whether cleanups are called.
    pub(super) cleanup: bool,
    /// Whether what is written down has to survive power loss, also for jobs that do not ask for it.
    pub(super) durable: bool,
    pub(super) on_failure: OnFailure,
    /// Whether a group of the graph may ask for everything to be reverted.
    pub(super) may_revert_all: bool,
    /// Whether a rollback that was interrupted is given up.
    pub(super) forget_undo: bool,
}

impl Settings {
    /// Whether this is a dry run that calls all checks.
    pub(super) fn looks_ahead(self) -> bool {
        self.no_act && self.look_ahead
    }

    /// Whether every run may have to be reverted.
    pub(super) fn reverts(self) -> bool {
        self.reverts_on_failure() || self.may_revert_all
    }

    /// Whether everything is reverted when a job has failed for good that no group sees to.
    pub(super) fn reverts_on_failure(self) -> bool {
        self.on_failure == OnFailure::Revert
    }
}
