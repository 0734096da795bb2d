//! An attempt of a group, as the jobs in it see it.

use std::sync::Arc;

use serde_json::Value;

/// An attempt of a group that a job is in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupAttempt {
    pub(crate) group: Arc<str>,
    /// Counted from 1.
    pub(crate) number: u32,
    pub(crate) attempts: u32,
    /// What it is attempted with.
    pub(crate) value: Option<Value>,
    /// The attempt of the next group around it that has attempts.
    pub(crate) outer: Option<Arc<GroupAttempt>>,
}
