//! Processes of this machine: when they were started, and which of an earlier run are still there.
//!
//! Reads Linux's `/proc`; elsewhere it knows nothing, and then nobody is taken for a survivor.

use std::io;

use jiff::{SignedDuration, Timestamp};
use rustix::process::Pid;

use crate::clock::boot_id;
use crate::context::proc::{members, stat};
use crate::context::process::{end_carriers, end_group};
use crate::context::recorder::RUN_VARIABLE;
use crate::engine::log::Host;
use crate::engine::log::fold::AtWork;

/// This machine.
pub(crate) struct Machine;

impl Host for Machine {
    fn boot(&self) -> Option<String> {
        boot_id()
    }

    fn start_ticks(&self, pid: i32) -> Option<u64> {
        start_ticks(pid)
    }

    fn end_survivors(&self, command: &AtWork, run: &str) -> io::Result<usize> {
        end_survivors(command, run)
    }
}

/// When a process was started, in ticks since the machine's start.
fn start_ticks(pid: i32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// The time of day at which a process was started.
pub(crate) fn started_at(pid: i32) -> Option<Timestamp> {
    let ticks = i64::try_from(start_ticks(pid)?).ok()?;
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    // Linux counts in hundredths of a second for programs, whatever the kernel's own rate is.
    Timestamp::from_second(boot).ok()?.checked_add(SignedDuration::from_millis(ticks * 10)).ok()
}

/// How often a process without an environment is looked at again, to let it take one on.
const GLANCES: usize = 1_000;

/// Whether a process, or who started it, was started by a run of this name.
fn is_of(pid: i32, run: &str) -> bool {
    let wanted = format!("{RUN_VARIABLE}={run}");
    for _ in 0..GLANCES {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        // One that is just becoming another program has none for a moment.
        if !environment.is_empty() || stat(pid).is_none() {
            return environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
        }
        std::thread::yield_now();
    }
    false
}

/// Ends what is left of a command that an earlier run has started, also of what has left its process group, and says how
/// many processes there were.
fn end_survivors(command: &AtWork, run: &str) -> io::Result<usize> {
    let of_group = match command.group {
        Some((group, start)) => end_group_of(group, start, run)?,
        None => 0,
    };
    let escaped = command.token.as_deref().map_or(Ok(0), end_carriers)?;
    Ok(of_group + escaped)
}

/// Ends the group that `group` was the leader of. A group of that number that is somebody else's by now is left alone.
fn end_group_of(group: i32, start: Option<u64>, run: &str) -> io::Result<usize> {
    let Some(pid) = Pid::from_raw(group).filter(|_| group > 1) else { return Ok(0) };
    let members = members(group).unwrap_or_default();
    let is_ours = match start_ticks(group).zip(start) {
        Some((found, start)) => found == start,
        // The leader has ended; its number may have been another's since.
        None => members.iter().any(|pid| is_of(*pid, run)),
    };
    if !is_ours || members.is_empty() {
        return Ok(0);
    }
    end_group(pid)?;
    Ok(members.len())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A group of two whose leader ends when its standard input does.
    struct Group(Child);

    impl Group {
        fn start(run: &str) -> Group {
            let mut command = Command::new("sh");
            command.args(["-c", "sleep 1000 & echo; read _"]).env(RUN_VARIABLE, run).process_group(0);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut line = [0];
            child.stdout.take().unwrap().read_exact(&mut line).unwrap();
            Group(child)
        }

        fn number(&self) -> i32 {
            self.0.id() as i32
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            let group = Pid::from_raw(self.number()).unwrap();
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_survivor_is_ended_and_a_stranger_is_not() {
        let group = Group::start("mine");
        let start = start_ticks(group.number());
        assert_eq!(end_group_of(group.number(), Some(start.unwrap() + 1), "mine").unwrap(), 0);
        assert_eq!(members(group.number()).unwrap().len(), 2);
        assert_eq!(end_group_of(group.number(), start, "mine").unwrap(), 2);
        assert_eq!(end_group_of(group.number(), start, "mine").unwrap(), 0);
    }

    #[test]
    fn survivors_whose_leader_has_ended_are_known_by_their_run() {
        let mut group = Group::start("mine");
        let start = start_ticks(group.number());
        drop(group.0.stdin.take());
        group.0.wait().unwrap();
        assert_eq!(end_group_of(group.number(), start, "another").unwrap(), 0);
        assert_eq!(end_group_of(group.number(), start, "mine").unwrap(), 1);
    }

    #[test]
    fn this_process_was_started_a_while_ago() {
        let started = started_at(std::process::id() as i32).unwrap();
        let boot = started_at(1).unwrap();
        assert!(boot <= started);
        assert!(boot_id().is_some_and(|id| id.len() == 36));
    }
}
