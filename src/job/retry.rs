//! How often a job is tried, and how long it waits in between.
//!
//! Only the numbers: who is tried next is the scheduler's business.

use std::time::Duration;

/// How often a job is tried, and how far apart; each on its own may be left to the engine.
///
/// ```
/// use dojob::Retry;
/// use std::time::Duration;
///
/// let five_times = Retry::tries(5);
/// let slowly = Retry::tries(5).delay(Duration::from_secs(30));
/// let as_often_as_the_engine_says = Retry::default().delay_secs(0.2);
/// # assert_ne!(five_times, slowly);
/// # assert_ne!(slowly, as_often_as_the_engine_says);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retry {
    tries: Option<u32>,
    delay: Option<Delay>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Delay {
    Valid(Duration),
    /// Kept as it was given, to be refused with the name of the job.
    Invalid(f64),
}

/// A policy that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// No try at all.
    #[error("has 0 tries; give it at least 1")]
    NoTries,
    /// Before the try that went before.
    #[error("has a retry delay of {0} seconds; give it 0 or more")]
    InvalidDelay(f64),
}

impl Retry {
    /// At most `tries` tries, the first included. 0 is refused when the graph is built.
    pub fn tries(tries: u32) -> Self {
        Retry { tries: Some(tries), delay: None }
    }

    /// From the start of one try to the start of the next. A try that takes longer is followed at once.
    pub fn delay(self, delay: Duration) -> Self {
        Retry { delay: Some(Delay::Valid(delay)), ..self }
    }

    /// As [`delay`](Retry::delay), in seconds. What is no time to wait (negative, not a number, beyond all times) is
    /// refused when the graph is built.
    pub fn delay_secs(self, seconds: f64) -> Self {
        let delay = Duration::try_from_secs_f64(seconds).map_or(Delay::Invalid(seconds), Delay::Valid);
        Retry { delay: Some(delay), ..self }
    }

    /// How many tries, where that is not left to the engine.
    pub fn max_tries(&self) -> Option<u32> {
        self.tries
    }

    /// The delay, where that is not left to the engine.
    pub fn min_delay(&self) -> Option<Duration> {
        match self.delay {
            Some(Delay::Valid(delay)) => Some(delay),
            Some(Delay::Invalid(_)) | None => None,
        }
    }

    pub(crate) fn mistakes(&self) -> impl Iterator<Item = RetryError> {
        let tries = (self.tries == Some(0)).then_some(RetryError::NoTries);
        let delay = match self.delay {
            Some(Delay::Invalid(seconds)) => Some(RetryError::InvalidDelay(seconds)),
            Some(Delay::Valid(_)) | None => None,
        };
        tries.into_iter().chain(delay)
    }
}
