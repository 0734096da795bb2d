//! Commands that others stand in the way of, who hold a lock: tried again until they let go, or for long enough.
//!
//! Knows how to wait; not whose locks there are.

use std::time::Duration;

use anyhow::ensure;
use dojob::{Clock, Command, Context, Result, SystemClock, Wake};

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs a command, again and again while what it says in failing is that a lock is held.
///
/// # Errors
/// When it fails for another reason, the lock is held for longer than `patience`, or the run is told to stop.
pub(crate) fn patiently<'cx>(
    cx: &'cx Context,
    patience: Duration,
    is_locked: impl Fn(&str) -> bool,
    command: impl Fn() -> Command<'cx>,
) -> Result<()> {
    let clock = SystemClock::new();
    let end = clock.now().saturating_add(patience);
    let mut is_told = false;
    loop {
        let error = match command().run() {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let said = error.output().map(|output| output.stderr.text()).unwrap_or_default();
        if !is_locked(&said) || clock.now() >= end {
            return Err(error.into());
        }
        if !is_told {
            cx.log("another process holds a lock: waiting for it");
            is_told = true;
        }
        ensure!(!cx.is_cancelled(), "the wait for another process, which holds a lock, was stopped");
        clock.wait(Some(clock.now() + PAUSE), &Wake::default());
    }
}
