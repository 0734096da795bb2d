//! What a job sees of the attempts of its groups.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::group_attempt::GroupAttempt;
use super::{Context, mismatch};

/// There is no such value to attempt with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The job is in no group that is attempted for each of several values.
    #[error("`{job}` is in no group that is attempted for each of several values")]
    NoValue {
        /// The job that asks.
        job: String,
    },
    /// The value is not of the type asked for.
    #[error("the value that `{group}` is attempted with {}", mismatch::mismatch(.expected, .source))]
    WrongType {
        /// The group.
        group: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
}

impl Context {
    fn group_attempts(&self) -> impl Iterator<Item = &GroupAttempt> {
        std::iter::successors(self.group_attempt.as_deref(), |attempt| attempt.outer.as_deref())
    }

    /// Which attempt of its group this is, counted from 1: of the innermost [`Group`](crate::Group) around the job that has
    /// [`Attempts`](crate::Attempts). Outside of such a group it is 1.
    pub fn attempt(&self) -> u32 {
        self.group_attempts().next().map_or(1, |attempt| attempt.number)
    }

    /// How many attempts that group may have.
    pub fn attempts(&self) -> u32 {
        self.group_attempts().next().map_or(1, |attempt| attempt.attempts)
    }

    /// Which attempt of this group, one of those around the job, it is; `None` where the group has no attempts, or the job is not in it.
    pub fn attempt_of(&self, group: &str) -> Option<u32> {
        self.group_attempts().find(|attempt| &*attempt.group == group).map(|attempt| attempt.number)
    }

    /// What its group is attempted with this time: of the innermost group around the job that is attempted
    /// [for each](crate::Attempts::for_each) of several values. A revert sees the value of the attempt that it reverts.
    ///
    /// # Errors
    /// When there is none, or it is not a `T`.
    pub fn attempt_value<T: DeserializeOwned>(&self) -> Result<T, AttemptError> {
        let found = self.group_attempts().find_map(|attempt| Some((&attempt.group, attempt.value.as_ref()?)));
        let (group, value) = found.ok_or_else(|| AttemptError::NoValue { job: self.name().to_owned() })?;
        T::deserialize(value).map_err(|source| AttemptError::WrongType {
            group: group.to_string(),
            expected: std::any::type_name::<T>(),
            source,
        })
    }

    pub(crate) fn set_group_attempt(&mut self, attempt: Option<Arc<GroupAttempt>>) {
        self.group_attempt = attempt;
    }
}
