//! SIGINT and SIGTERM: the first asks to stop, the second ends everything.
//!
//! Knows a [`StopHandle`] and nothing else of the engine.

use std::io;
use std::thread;

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::signal_name;

use crate::engine::StopHandle;

/// The exit code of a program that a signal has ended.
const STOPPED: i32 = 130;

/// For as long as it lives, signals stop the engine.
pub(crate) struct SignalGuard {
    handle: Handle,
}

impl SignalGuard {
    pub(crate) fn install(stop: StopHandle) -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        thread::Builder::new().name("dojob-signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if stop.is_stopped() {
                    stop.kill_commands();
                    std::process::exit(STOPPED);
                }
                let name = signal_name(signal).unwrap_or("a signal");
                super::say(&format!("{name}: stopping; cleanups are called, a second signal ends at once"));
                stop.stop();
            }
        })?;
        Ok(SignalGuard { handle })
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.handle.close();
    }
}
