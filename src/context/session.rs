//! A session of its own for every command: no terminal to ask at, and a process group to end.
//!
//! The one room with unsafe code: what is done between fork and exec cannot be said to the standard library otherwise.
#![allow(unsafe_code, reason = "`pre_exec` is unsafe, since little may be done between fork and exec")]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets `command` begin a session, and with that a process group of which it is the leader. A program that would ask at
/// the terminal (for a password, say) then fails at once, where otherwise it would be stopped for ever.
pub(crate) fn begin(command: &mut Command) {
    // SAFETY: `setsid` is a system call that is safe between fork and exec: it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into));
    }
}
