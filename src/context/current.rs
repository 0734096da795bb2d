//! Which job this thread is at work for: what lets `tracing` lines and panics find their job.
//!
//! Set by [`Context`](super::Context) for the length of a phase; does not know who asks.

use std::cell::RefCell;
use std::sync::Arc;

use crate::event::{Emitter, Phase, Stream, is_delivering};

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the log of the command line reads them"))]
struct Current {
    emitter: Arc<Emitter>,
    job: Arc<str>,
    phase: Phase,
}

/// For as long as it lives, the lines of this thread are those of a job.
#[must_use]
pub(crate) struct AtWork {
    before: Option<Current>,
}

impl AtWork {
    pub(crate) fn start(emitter: &Arc<Emitter>, job: &Arc<str>, phase: Phase) -> Self {
        let current = Current { emitter: emitter.clone(), job: job.clone(), phase };
        AtWork { before: CURRENT.replace(Some(current)) }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// Whether this thread is at work for a job.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the log of the command line calls it"))]
pub(crate) fn is_at_work() -> bool {
    !is_delivering() && CURRENT.with_borrow(Option::is_some)
}

/// Hands `text` on as output of the job that this thread is at work for; says whether there is one.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the log of the command line calls it"))]
pub(crate) fn log(text: &str) -> bool {
    if is_delivering() {
        return false;
    }
    let current = CURRENT.with_borrow(|current| {
        current.as_ref().map(|current| (current.emitter.clone(), current.job.clone(), current.phase))
    });
    match current {
        Some((emitter, job, phase)) => {
            emitter.output(&job, phase, Stream::Log, text);
            true
        }
        None => false,
    }
}
