//! Leases, and the time by which they are counted.
//!
//! Pure, but for [`Now::of_this_machine`], the one call that asks. The essay in [`board`](crate::board) says whose clock counts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{self, Clock, SystemClock};

/// How long an owner may stay silent before another may take over, unless a conductor says otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// The time at which a board is asked something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time of day: for history and plans.
    pub wall: Timestamp,
    /// Which start of the machine `since_boot` is counted from.
    pub boot: Arc<str>,
    /// `CLOCK_BOOTTIME`: for leases.
    pub since_boot: Duration,
}

impl Now {
    /// The time on this machine. Where there is no `CLOCK_BOOTTIME`, the nearest clock that it has.
    pub fn of_this_machine() -> Now {
        static BOOT: OnceLock<Arc<str>> = OnceLock::new();
        // Where boots cannot be told apart, the time since the last one has to do.
        let boot = BOOT.get_or_init(|| clock::boot_id().unwrap_or_else(|| "unknown".to_owned()).into());
        Now { wall: SystemClock::new().wall(), boot: boot.clone(), since_boot: clock::since_boot() }
    }

    /// The same time, later by a duration.
    #[must_use]
    pub fn after(&self, by: Duration) -> Now {
        Now {
            wall: self.wall.checked_add(by).unwrap_or(Timestamp::MAX),
            boot: self.boot.clone(),
            since_boot: self.since_boot.saturating_add(by),
        }
    }
}

/// Until when an owner may stay silent, on a clock that starts with the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which start of the machine `until` is counted from.
    pub boot: Arc<str>,
    /// The first instant at which another may take over, on `CLOCK_BOOTTIME`.
    pub until: Duration,
}

impl Lease {
    /// The lease of a claim or a renewal that was sent at `now`.
    pub fn begin(now: &Now, length: Duration) -> Lease {
        Lease { boot: now.boot.clone(), until: now.since_boot.saturating_add(length) }
    }

    /// Whether another may take over.
    pub fn has_run_out(&self, now: &Now) -> bool {
        self.boot != now.boot || now.since_boot >= self.until
    }

    /// When the owner has to stop, on the same clock: earlier by a margin.
    pub fn stops_at(&self, margin: Duration) -> Duration {
        self.until.saturating_sub(margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_for_its_length_and_not_over_a_start_of_the_machine() {
        let now = Now { wall: Timestamp::UNIX_EPOCH, boot: "one".into(), since_boot: Duration::from_secs(5) };
        let lease = Lease::begin(&now, Duration::from_secs(30));
        let after = |seconds| now.after(Duration::from_secs(seconds));
        assert!(!lease.has_run_out(&now) && !lease.has_run_out(&after(29)) && lease.has_run_out(&after(30)));
        assert_eq!(lease.stops_at(Duration::from_secs(3)), Duration::from_secs(32));
        let restarted = Now { boot: "two".into(), since_boot: Duration::ZERO, ..now };
        assert!(lease.has_run_out(&restarted));
    }

    #[test]
    fn this_machine_has_a_clock_that_does_not_go_back() {
        let (first, second) = (Now::of_this_machine(), Now::of_this_machine());
        assert_eq!(first.boot, second.boot);
        assert!(first.since_boot <= second.since_boot && first.since_boot > Duration::ZERO);
    }
}
