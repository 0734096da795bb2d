//! What happens when a job of a group, or of the whole run, has failed for good: values that say it, and no decisions.
//!
//! Who decides by them is the engine.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::secret::reveal;

/// What is done when a job has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// Everything stays as it is, all else that can be done is done, and the next start goes on from there.
    #[default]
    Keep,
    /// Nothing new starts, what is at work ends, and then every run that was started is reverted
    /// ([`Job::revert`](crate::Job::revert)). A job whose check passed was not changed and is left alone. A stop is no
    /// failure: nothing is reverted for it, and the next start goes on.
    Revert,
}

/// How often a [`Group`](crate::Group) is attempted, and with which values.
///
/// An attempt that fails is reverted before the next one starts. Once there is no attempt left, the group around it decides; where no
/// policy is around it, the group itself is reverted and nothing else is, unless it says
/// [`OnFailure::Keep`] or [`revert_all`](Attempts::revert_all).
///
/// ```
/// use dojob::Attempts;
/// use std::time::Duration;
///
/// let three_times = Attempts::times(3).delay(Duration::from_secs(5)).backoff(2.0); // waits 5 s, then 10 s
/// let each_mirror = Attempts::for_each(["ftp.example.org", "mirror.example.net"]);
/// # assert_ne!(three_times, each_mirror);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Attempts {
    source: AttemptSource,
    delay: Duration,
    backoff: f64,
    reverts_all: bool,
    secrets: Vec<String>,
}

/// What a group is told to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GroupSpec {
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) attempts: Option<Attempts>,
}

impl GroupSpec {
    /// Whether its runs may have to be reverted.
    pub(crate) fn may_revert(&self) -> bool {
        self.attempts.is_some() || self.on_failure == Some(OnFailure::Revert)
    }

    /// Whether it is reverted when no attempt is left and nobody around it decides.
    pub(crate) fn reverts(&self) -> bool {
        self.on_failure.map_or(self.attempts.is_some(), |on_failure| on_failure == OnFailure::Revert)
    }

    /// Whether then everything is reverted.
    pub(crate) fn reverts_all(&self) -> bool {
        self.attempts.as_ref().is_some_and(Attempts::reverts_all)
    }
}

/// What an attempt is made for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptSource {
    Times(u32),
    /// Each attempt takes the next value.
    Values(Vec<Value>),
    /// The same, with the list that is in the global storage when the group starts.
    Stored(Arc<str>),
    /// The same, with the result of this job.
    Result(Arc<str>),
    /// What was given has no JSON form.
    Invalid(String),
}

/// An attempts policy that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptsError {
    /// No attempt at all.
    #[error("has 0 attempts; give it at least 1")]
    NoAttempts,
    /// Less than 1, or not a number.
    #[error("has a backoff of {0}; give it 1 or more")]
    InvalidBackoff(f64),
    /// One of the values cannot be written down.
    #[error("has a value to attempt with that has no JSON form: {0}")]
    InvalidValue(String),
}

impl Attempts {
    fn new(source: AttemptSource) -> Attempts {
        Attempts { source, delay: Duration::ZERO, backoff: 1.0, reverts_all: false, secrets: Vec::new() }
    }

    /// At most `attempts` attempts, the first included. 0 is refused when the graph is built.
    pub fn times(attempts: u32) -> Attempts {
        Attempts::new(AttemptSource::Times(attempts))
    }

    /// One attempt for each value, in order, until one succeeds; jobs read theirs with
    /// [`Context::attempt_value`](crate::Context::attempt_value). Without any value the group fails before a job of it starts.
    pub fn for_each<T: Serialize>(values: impl IntoIterator<Item = T>) -> Attempts {
        let mut secrets = Vec::new();
        let encoded: Result<Vec<Value>, serde_json::Error> = values
            .into_iter()
            .map(|value| {
                let (value, found) = reveal(&value)?;
                secrets.extend(found);
                Ok(value)
            })
            .collect();
        let source = match encoded {
            Ok(values) => AttemptSource::Values(values),
            Err(error) => AttemptSource::Invalid(error.to_string()),
        };
        Attempts { secrets, ..Attempts::new(source) }
    }

    /// As [`for_each`](Attempts::for_each), with the list that is in the [global storage](crate::Context::global) under `key`
    /// when the group starts.
    pub fn for_each_stored(key: impl Into<Arc<str>>) -> Attempts {
        Attempts::new(AttemptSource::Stored(key.into()))
    }

    /// As [`for_each`](Attempts::for_each), with the list that the job `job` has handed on as its
    /// [result](crate::Context::set_result). The group has to come after that job.
    pub fn for_each_result(job: impl Into<Arc<str>>) -> Attempts {
        Attempts::new(AttemptSource::Result(job.into()))
    }

    /// One attempt; when it fails the group is reverted.
    pub fn always_revert() -> Attempts {
        Attempts::times(1)
    }

    /// One attempt; when it fails everything that this run has run is reverted, outside of the group, too.
    pub fn always_revert_all() -> Attempts {
        Attempts::times(1).revert_all()
    }

    /// How long to wait after a failed attempt was reverted before the next one starts; no time unless this is called.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Attempts {
        Attempts { delay, ..self }
    }

    /// The factor by which the delay grows from attempt to attempt; 1 unless this is called.
    #[must_use]
    pub fn backoff(self, factor: f64) -> Attempts {
        Attempts { backoff: factor, ..self }
    }

    /// When no attempt is left, everything that this run has run is reverted, outside of the group, too. No group around it is
    /// asked.
    #[must_use]
    pub fn revert_all(self) -> Attempts {
        Attempts { reverts_all: true, ..self }
    }

    pub(crate) fn source(&self) -> &AttemptSource {
        &self.source
    }

    pub(crate) fn reverts_all(&self) -> bool {
        self.reverts_all
    }

    /// The values, where they are known.
    #[cfg(feature = "playbook")]
    pub(crate) fn values(&self) -> Option<&[Value]> {
        match &self.source {
            AttemptSource::Values(values) => Some(values),
            _ => None,
        }
    }

    /// The secrets among the values.
    pub(crate) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// How many attempts there are, where that is known before the group starts.
    pub(crate) fn count(&self) -> Option<u32> {
        match &self.source {
            AttemptSource::Times(times) => Some(*times),
            AttemptSource::Values(values) => Some(u32::try_from(values.len()).unwrap_or(u32::MAX)),
            AttemptSource::Stored(_) | AttemptSource::Result(_) | AttemptSource::Invalid(_) => None,
        }
    }

    /// How long to wait before this attempt, counted from 1.
    pub(crate) fn delay_before(&self, attempt: u32) -> Duration {
        let Some(earlier) = attempt.checked_sub(2) else { return Duration::ZERO };
        let factor = self.backoff.powi(i32::try_from(earlier).unwrap_or(i32::MAX));
        Duration::try_from_secs_f64(self.delay.as_secs_f64() * factor).unwrap_or(Duration::MAX)
    }

    pub(crate) fn mistakes(&self) -> Vec<AttemptsError> {
        let mut mistakes = Vec::new();
        match &self.source {
            AttemptSource::Times(0) => mistakes.push(AttemptsError::NoAttempts),
            AttemptSource::Invalid(why) => mistakes.push(AttemptsError::InvalidValue(why.clone())),
            _ => {}
        }
        if self.backoff.is_nan() || self.backoff < 1.0 {
            mistakes.push(AttemptsError::InvalidBackoff(self.backoff));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_grows_by_its_factor() {
        let attempts = Attempts::times(4).delay(Duration::from_secs(5)).backoff(2.0);
        let delays: Vec<u64> = (1..=4).map(|attempt| attempts.delay_before(attempt).as_secs()).collect();
        assert_eq!(delays, [0, 5, 10, 20]);
        assert_eq!(attempts.backoff(1e300).delay_before(4), Duration::MAX);
    }

    #[test]
    fn all_mistakes_are_found() {
        assert_eq!(
            Attempts::times(0).backoff(0.5).mistakes(),
            [AttemptsError::NoAttempts, AttemptsError::InvalidBackoff(0.5)]
        );
        let no_text = [std::collections::BTreeMap::from([((1, 2), 3)])];
        assert!(matches!(Attempts::for_each(no_text).mistakes()[..], [AttemptsError::InvalidValue(_)]));
        assert_eq!(Attempts::for_each(Vec::<u8>::new()).mistakes(), []);
    }
}
