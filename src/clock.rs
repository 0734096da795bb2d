//! Time, the only place that asks the machine for it.
//!
//! Knows nothing of jobs. Everything above takes time as an argument or asks a [`Clock`] that was passed in.
#![allow(clippy::disallowed_methods, reason = "this is the one room that may")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Where the engine's time comes from: the machine, or a test.
pub trait Clock: Send + Sync {
    /// Time since an origin of the clock's own choosing; never goes back.
    fn now(&self) -> Duration;

    /// The time of day, for people and logs; decides nothing.
    fn wall(&self) -> Timestamp;

    /// Returns when `now()` is at least `until`, or as soon as somebody calls [`Wake::wake`]; `None` waits for that
    /// alone.
    fn wait(&self, until: Option<Duration>, wake: &Wake);

    /// Whether time moves only because somebody waits: then nobody should wait for it while others are at work.
    fn stands_still(&self) -> bool {
        false
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn wall(&self) -> Timestamp {
        (**self).wall()
    }

    fn wait(&self, until: Option<Duration>, wake: &Wake) {
        (**self).wait(until, wake);
    }

    fn stands_still(&self) -> bool {
        (**self).stands_still()
    }
}

/// What ends a [`Clock::wait`] early. A call that comes before the wait is not lost.
#[derive(Debug, Default)]
pub struct Wake {
    called: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    /// Ends the wait under way, or the next one.
    pub fn wake(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call, at most for `timeout` of the machine's time; says whether one came, and forgets it.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let called = self.lock();
        let mut called = match timeout {
            None => {
                self.changed.wait_while(called, |called| !*called).unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                self.changed
                    .wait_timeout_while(called, timeout, |called| !*called)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        std::mem::take(&mut *called)
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn wait(&self, until: Option<Duration>, wake: &Wake) {
        match until {
            None => _ = wake.wait(None),
            // The deadline is looked at again after a wait: a condition variable may return a little early.
            Some(until) => loop {
                let left = until.saturating_sub(self.now());
                if left.is_zero() || wake.wait(Some(left)) {
                    return;
                }
            },
        }
    }
}

/// A clock that stands still until somebody waits, and then jumps to the end of the wait: retries that take an hour
/// take no time in a test, and durations are always the same.
#[derive(Debug, Default)]
pub struct VirtualClock {
    nanos: AtomicU64,
}

impl VirtualClock {
    /// A clock that stands at zero; its time of day starts at the Unix epoch.
    pub fn new() -> Self {
        VirtualClock::default()
    }

    /// Moves the clock on, as a job that takes time does in a test.
    pub fn advance(&self, by: Duration) {
        let add = |now: u64| Some(now.saturating_add(nanos(by)));
        let _ = self.nanos.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(self.now()).unwrap_or(Timestamp::MAX)
    }

    fn wait(&self, until: Option<Duration>, wake: &Wake) {
        match until {
            None => _ = wake.wait(None),
            Some(until) => _ = self.nanos.fetch_max(nanos(until), Ordering::SeqCst),
        }
    }

    fn stands_still(&self) -> bool {
        true
    }
}

/// Which start of the machine this is, where that can be told.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// How long ago the machine was started, with the time that it has slept.
#[cfg(feature = "board")]
pub(crate) fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    // On macOS this one goes on while the machine sleeps.
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let wake = Wake::default();
        wake.wake();
        SystemClock::new().wait(None, &wake);
    }

    #[test]
    fn the_virtual_clock_jumps_to_the_end_of_a_wait() {
        let clock = VirtualClock::new();
        clock.wait(Some(Duration::from_secs(3600)), &Wake::default());
        assert_eq!(clock.now(), Duration::from_secs(3600));
        clock.wait(Some(Duration::from_secs(60)), &Wake::default());
        assert_eq!(clock.now(), Duration::from_secs(3600), "time never goes back");
    }
}
