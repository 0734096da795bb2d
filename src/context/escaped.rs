//! Processes that have left the process group of their command (`setsid`): found by a variable in their environment.
//!
//! Reads Linux's `/proc`; elsewhere nothing is found.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(target_os = "linux")]
use rustix::process::Pid;
use rustix::process::Signal;

use super::proc::stat;

/// The variable that every command has in its environment, and with it all that it starts. A program that starts others
/// with an environment of their own (`sudo`, say) takes it from them.
pub(crate) const COMMAND_VARIABLE: &str = "DOJOB_COMMAND";

/// A value for [`COMMAND_VARIABLE`] that no other command of this machine has had since its start, and that nobody can guess: who
/// gives it to a process of their own has it ended.
pub(crate) fn new_token() -> String {
    static PROCESS: OnceLock<String> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let process = PROCESS.get_or_init(|| {
        let pid = std::process::id();
        let started = stat(pid.cast_signed()).and_then(|fields| fields.get(19).cloned());
        let secret = RandomState::new().build_hasher().finish();
        format!("{pid}-{}-{secret:016x}", started.unwrap_or_default())
    });
    format!("{process}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The processes that carry this token, without those that have ended.
pub(crate) fn carriers(token: &str) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != own && carries(*pid, token)).collect()
}

fn carries(pid: i32, token: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let wanted = format!("{COMMAND_VARIABLE}={token}");
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Sends a signal to a process that carries this token, and not to one that has taken its number meanwhile.
#[cfg(target_os = "linux")]
pub(crate) fn send(pid: i32, signal: Signal, token: &str) {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(process) = process.filter(|_| carries(pid, token)) {
        let _ = pidfd_send_signal(&process, signal);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn send(_: i32, _: Signal, _: &str) {}
