//! SIGINT, SIGTERM and SIGHUP: the first asks to stop, the second ends everything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::engine::StopHandle;
use crate::view::streams;

/// The exit code of a program that a signal has ended.
const STOPPED: i32 = 130;

/// For as long as it lives, a first signal stops the engine. Afterwards every signal ends the program at once: the
/// default actions do not come back by themselves.
pub(crate) struct SignalGuard {
    is_over: Arc<AtomicBool>,
}

impl SignalGuard {
    pub(crate) fn install(stop: StopHandle) -> io::Result<Self> {
        let mut wanted = vec![SIGINT, SIGTERM];
        // A dropped connection is a reason to stop, unless `nohup` says otherwise.
        if !is_ignored(SIGHUP) {
            wanted.push(SIGHUP);
        }
        let mut signals = Signals::new(wanted)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        thread::Builder::new().name("dojob-signals".to_owned()).spawn(move || {
            let mut is_first = true;
            for signal in signals.forever() {
                if !is_first || over.load(Ordering::Acquire) {
                    stop.stop_cleanups();
                    stop.kill_commands();
                    // Not by way of the standard library, which flushes standard output first and may wait for that.
                    signal_hook::low_level::exit(STOPPED);
                }
                is_first = false;
                stop.stop();
                streams::stop_waiting();
                // A second signal must not wait until this could be written.
                let name = signal_name(signal).unwrap_or("a signal");
                streams::try_say(&format!(
                    "{name}: stopping; cleanups are called, a second signal ends at once"
                ));
            }
        })?;
        Ok(SignalGuard { is_over })
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// Whether whoever started this program has told it to pass over the signal; where that cannot be found out, it has.
fn is_ignored(signal: i32) -> bool {
    let ignored = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    ignored().is_none_or(|mask| mask & (1 << (signal - 1)) != 0)
}
