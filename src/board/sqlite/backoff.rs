//! How long to wait before a locked file is tried again.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(40);

/// The wait before a try: doubled from try to try up to a limit, and of that a random part, so that those who wait for each other
/// do not come back together. `random`: any number. `tries`: how many tries were made.
pub(super) fn pause(tries: u32, random: u64) -> Duration {
    let whole = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
    let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
    whole.mul_f64(0.25 + 0.75 * part)
}

/// Random numbers that are good enough for that, different in every process.
#[derive(Debug)]
pub(super) struct Random(AtomicU64);

impl Random {
    pub(super) fn new() -> Random {
        Random(AtomicU64::new(RandomState::new().hash_one(std::process::id())))
    }

    /// The next one, by SplitMix64.
    pub(super) fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_never_nothing() {
        assert_eq!(pause(0, u64::MAX / 2).as_micros(), 312);
        for tries in [0, 1, 5, 9, 10, 1_000_000] {
            assert!(pause(tries, 0) >= FIRST / 4);
            assert!(pause(tries, u64::MAX) <= LONGEST);
        }
        assert!(pause(0, u64::MAX) < pause(3, 0));
    }

    #[test]
    fn no_two_numbers_are_alike() {
        let random = Random::new();
        let numbers: std::collections::HashSet<u64> = (0..1000).map(|_| random.next()).collect();
        assert_eq!(numbers.len(), 1000);
    }
}
