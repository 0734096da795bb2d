//! A session of its own for every command: no terminal to ask at, and a process group to end; and an end with its parent.
//!
//! The one room with unsafe code: what is done between fork and exec cannot be said to the standard library otherwise.
#![allow(unsafe_code, reason = "`pre_exec` is unsafe, since little may be done between fork and exec")]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets `command` begin a session, and with that a process group of which it is the leader. A program that would ask at
/// the terminal (for a password, say) then fails at once, where otherwise it would be stopped for ever.
///
/// One that is `bound` is killed when this process dies, where the platform can do that (Linux; not for a program that
/// takes on other rights, as `sudo` does).
pub(crate) fn begin(command: &mut Command, bound: bool) {
    let parent = rustix::process::getpid();
    let begin = move || {
        rustix::process::setsid()?;
        if bound {
            die_with(parent)?;
        }
        Ok(())
    };
    // SAFETY: these are system calls that are safe between fork and exec: they allocate nothing and take no lock.
    unsafe {
        command.pre_exec(begin);
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: rustix::process::Pid) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have died before this was said.
    match rustix::process::getppid() {
        Some(now) if now == parent => Ok(()),
        _ => Err(rustix::io::Errno::SRCH.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: rustix::process::Pid) -> std::io::Result<()> {
    Ok(())
}
