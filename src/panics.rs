//! Catching panics of users' code, with their message, place and backtrace, and without the default hook's noise.
//!
//! Knows nothing of jobs. The first use wraps the process's panic hook: a panic that is caught here is remembered
//! instead of printed, every other one goes to the hook that was there before.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// A panic that was caught.
#[derive(Debug, Default)]
pub(crate) struct Caught {
    /// What it said.
    pub(crate) message: String,
    /// `file:line:column`.
    pub(crate) location: Option<String>,
    /// Where the environment asks for one.
    pub(crate) backtrace: Option<String>,
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<(Option<String>, Option<String>)> = const { RefCell::new((None, None)) };
}

static HOOK: Once = Once::new();

/// Calls `call`. What it was working on when it panicked must not be trusted: the engine hands every try a fresh clone.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Caught> {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(
            move |info| if CATCHING.get() { remember(info) } else { before(info) },
        ));
    });
    let before = CATCHING.replace(true);
    // What a panic that somebody else caught has left there is not ours.
    PLACE.take();
    let result = catch_unwind(AssertUnwindSafe(call));
    CATCHING.set(before);
    result.map_err(|payload| {
        let (location, backtrace) = PLACE.take();
        Caught { message: message(payload.as_ref()), location, backtrace }
    })
}

fn remember(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    PLACE.set((info.location().map(ToString::to_string), backtrace));
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_place() {
        assert_eq!(catch(|| 7).unwrap(), 7);
        let caught = catch(|| panic!("no {}", "more")).unwrap_err();
        assert_eq!(caught.message, "no more");
        assert!(caught.location.unwrap().contains("panics.rs:"));
        let caught = catch(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(caught.message, "a panic without a message");
    }

    #[test]
    fn catching_nests() {
        let caught = catch(|| {
            let inner = catch(|| panic!("inner")).unwrap_err();
            panic!("outer after {}", inner.message)
        });
        let caught: Caught = Result::<(), _>::unwrap_err(caught);
        assert_eq!(caught.message, "outer after inner");
    }
}
