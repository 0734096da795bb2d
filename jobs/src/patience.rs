//! Waiting for others, and for no longer than somebody is willing to: by the engine's clock, and until the run is told to stop.

use std::time::Duration;

use dojob::{Command, Context, Result, Stopped};
use jiff::Timestamp;

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// When a wait ends in any case.
pub(crate) struct Deadline(Timestamp);

impl Deadline {
    /// So long from now.
    pub(crate) fn after(cx: &Context, time: Duration) -> Self {
        Deadline(cx.now().checked_add(time).unwrap_or(Timestamp::MAX))
    }

    /// Whether it has come.
    pub(crate) fn is_over(&self, cx: &Context) -> bool {
        cx.now() >= self.0
    }

    /// How long it is until then.
    pub(crate) fn left(&self, cx: &Context) -> Duration {
        Duration::try_from(self.0.duration_since(cx.now())).unwrap_or_default()
    }

    /// Waits for so long, but not beyond the end.
    pub(crate) fn pause(&self, cx: &Context, time: Duration) -> Result<(), Stopped> {
        cx.wait(time.min(self.left(cx)))
    }
}

/// Runs a command that somebody who holds a lock may stand in the way of: again and again while what it says in failing is that.
///
/// # Errors
/// When it fails for another reason, the lock is held for longer than `patience`, or the run is told to stop.
pub(crate) fn patiently<'cx>(
    cx: &'cx Context,
    patience: Duration,
    is_locked: impl Fn(&str) -> bool,
    command: impl Fn() -> Command<'cx>,
) -> Result<()> {
    let deadline = Deadline::after(cx, patience);
    let mut is_told = false;
    loop {
        let error = match command().run() {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let said = error.output().map(|output| output.stderr.text()).unwrap_or_default();
        if !is_locked(&said) || deadline.is_over(cx) {
            return Err(error.into());
        }
        if !is_told {
            cx.log("another process holds a lock: waiting for it");
            is_told = true;
        }
        deadline.pause(cx, PAUSE)?;
    }
}
