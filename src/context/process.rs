//! Supervising one child process: feeding it, reading it, ending it and all of its process group in time.
//!
//! One thread does it all, in `poll`.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid};

use crate::clock::{Clock, SystemClock};
use crate::context::cancel::Cancel;
use crate::context::escaped;
use crate::context::proc::{members, stat};
use crate::event::Stream;

/// How often an exit is looked for where the platform has no descriptor to wait on.
const GLANCE: Duration = Duration::from_millis(10);
/// How long the members of a killed group may take to disappear.
const VANISHING: Duration = Duration::from_secs(2);
/// How long it may take until somebody takes note that an orphan has ended; some who should, do not.
const REAPING: Duration = Duration::from_millis(500);
/// What a pipe may still hold when the process that filled it has ended, and a good deal more.
const MOST_LEFT_IN_A_PIPE: usize = 1024 * 1024;

/// The process groups at work, so that all of them can be ended at once by somebody who does not supervise them.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    at_work: Mutex<AtWork>,
}

#[derive(Debug, Default)]
struct AtWork {
    groups: Vec<AtWorkGroup>,
    closed: bool,
}

#[derive(Debug)]
struct AtWorkGroup {
    id: Pid,
    cancel: Cancel,
    /// It was asked to end; a second time would mean something else to some programs.
    asked: bool,
}

impl AtWorkGroup {
    fn ask_to_end(&mut self) {
        if !std::mem::replace(&mut self.asked, true) {
            let _ = kill_process_group(self.id, Signal::TERM);
            // A stopped process (SIGSTOP) hears TERM only when it goes on.
            let _ = kill_process_group(self.id, Signal::CONT);
        }
    }
}

impl Groups {
    fn lock(&self) -> MutexGuard<'_, AtWork> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process as the leader of a group, which ends when `cancel` is asked. `None` once all were
    /// [killed](Groups::kill).
    ///
    /// No lock is held meanwhile: a program on a file system that does not answer is started for as long as that takes.
    pub(crate) fn spawn(&self, command: &mut Command, cancel: &Cancel) -> io::Result<Option<Child>> {
        if self.lock().closed {
            return Ok(None);
        }
        let mut child = command.spawn()?;
        let id = Pid::from_child(&child);
        let mut at_work = self.lock();
        if at_work.closed {
            drop(at_work);
            let _ = kill_process_group(id, Signal::KILL);
            let _ = child.wait();
            return Ok(None);
        }
        at_work.groups.push(AtWorkGroup { id, cancel: cancel.clone(), asked: false });
        Ok(Some(child))
    }

    fn forget(&self, group: Pid) {
        self.lock().groups.retain(|known| known.id != group);
    }

    /// Asks one group to end, once however often this is called.
    fn ask_to_end(&self, group: Pid) {
        let mut at_work = self.lock();
        at_work.groups.iter_mut().filter(|known| known.id == group).for_each(AtWorkGroup::ask_to_end);
    }

    fn was_asked_to_end(&self, group: Pid) -> bool {
        self.lock().groups.iter().any(|known| known.id == group && known.asked)
    }

    /// Asks those to end that a request to stop concerns: who supervises them may be held up by others.
    pub(crate) fn ask_cancelled_to_end(&self) {
        let mut at_work = self.lock();
        let cancelled = at_work.groups.iter_mut().filter(|known| known.cancel.is_asked());
        cancelled.for_each(AtWorkGroup::ask_to_end);
    }

    /// Kills every group at once, and lets no other begin.
    pub(crate) fn kill(&self) {
        let mut at_work = self.lock();
        at_work.closed = true;
        for group in &at_work.groups {
            let _ = kill_process_group(group.id, Signal::KILL);
        }
    }
}

/// How the supervision came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The process ended by itself.
    Exited,
    /// Its time was up.
    TimedOut,
    /// The run was asked to stop.
    Stopped,
}

/// What to do with the child.
pub(crate) struct Orders<'a> {
    pub(crate) stdin: &'a [u8],
    pub(crate) timeout: Option<Duration>,
    /// From TERM to KILL.
    pub(crate) grace: Duration,
    pub(crate) cancel: &'a Cancel,
    pub(crate) groups: &'a Groups,
    /// What all of its processes carry in their environment, those too that have left its group.
    pub(crate) token: &'a str,
}

/// How far the ending of the group has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Asked { until: Duration },
    Killed { at: Duration },
}

/// Kills the group of a supervision that does not come to its end, and takes it off the list in any case.
struct Registered<'a> {
    groups: &'a Groups,
    group: Pid,
    ended: bool,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        self.groups.forget(self.group);
    }
}

/// Supervises `child`, which [`Groups::spawn`] has started with all of its streams piped, until it has ended, and hands
/// what it prints to `sink`. Where it was made to end, its whole group has ended, too. Processes that it left in the
/// background are left alone where it ended by itself, and nobody waits for them.
pub(crate) fn supervise(
    mut child: Child,
    orders: &Orders<'_>,
    sink: &mut dyn FnMut(Stream, &[u8]),
) -> io::Result<(ExitStatus, Ending)> {
    let group = Pid::from_child(&child);
    let mut registered = Registered { groups: orders.groups, group, ended: false };
    let ended = Supervision::new(&mut child, group, orders).and_then(|supervision| supervision.watch(sink));
    registered.ended = ended.is_ok();
    drop(registered);
    if ended.is_err() {
        reap(child);
    }
    ended
}

/// From now on processes whose parent has ended become children of this one, where the platform can do that (Linux): who
/// ends them also sees that they have ended. For programs that are dojob alone: a library does not do that to its host.
#[cfg(feature = "cli")]
pub(crate) fn inherit_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::debug!("orphans of commands are left to others: {error}");
    }
}

/// Takes note when a process ends that nobody waits for, or it stays a zombie for as long as this one lives.
pub(crate) fn reap(mut child: Child) {
    let reaper = std::thread::Builder::new().name("dojob-reaper".to_owned());
    let _ = reaper.spawn(move || child.wait());
}

/// Ends a group that nobody supervises: TERM, and KILL for those who are still there a while later.
pub(crate) fn end_group(group: Pid) -> io::Result<()> {
    let clock = SystemClock::new();
    let mut signals = [Signal::TERM, Signal::KILL].into_iter();
    let mut until = Duration::ZERO;
    while is_at_work(group) {
        if clock.now() >= until {
            let Some(signal) = signals.next() else {
                return Err(io::Error::other(format!("process group {group:?} cannot be ended")));
            };
            let _ = kill_process_group(group, signal);
            let _ = kill_process_group(group, Signal::CONT);
            until = clock.now() + VANISHING;
        }
        pause(&mut [], Some(GLANCE))?;
    }
    Ok(())
}

/// Ends the processes that carry this token, as [`end_group`] does a group; says how many there were.
pub(crate) fn end_carriers(token: &str) -> io::Result<usize> {
    let clock = SystemClock::new();
    let mut signals = [Signal::TERM, Signal::KILL].into_iter();
    let mut until = Duration::ZERO;
    let mut most = 0;
    loop {
        let carriers = escaped::carriers(token);
        most = most.max(carriers.len());
        if carriers.is_empty() {
            return Ok(most);
        }
        if clock.now() >= until {
            let Some(signal) = signals.next() else {
                return Err(io::Error::other(format!("processes {carriers:?} cannot be ended")));
            };
            for pid in carriers {
                escaped::send(pid, signal, token);
                escaped::send(pid, Signal::CONT, token);
            }
            until = clock.now() + VANISHING;
        }
        pause(&mut [], Some(GLANCE))?;
    }
}

struct Supervision<'a> {
    child: &'a mut Child,
    group: Pid,
    orders: &'a Orders<'a>,
    stdin: Option<std::process::ChildStdin>,
    written: usize,
    stdout: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
    exit: Option<OwnedFd>,
    asked_to_stop: OwnedFd,
    clock: SystemClock,
    stage: Stage,
    ending: Ending,
    /// Those that have left the group and were told to end.
    told: Vec<i32>,
}

impl<'a> Supervision<'a> {
    fn new(child: &'a mut Child, group: Pid, orders: &'a Orders<'a>) -> io::Result<Self> {
        let stdin = child.stdin.take().filter(|_| !orders.stdin.is_empty());
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        for descriptor in [
            stdin.as_ref().map(AsFd::as_fd),
            stdout.as_ref().map(AsFd::as_fd),
            stderr.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        {
            let flags = rustix::fs::fcntl_getfl(descriptor)?;
            rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK)?;
        }
        Ok(Supervision {
            exit: exit_descriptor(group),
            asked_to_stop: orders.cancel.descriptor()?,
            child,
            group,
            orders,
            stdin,
            written: 0,
            stdout,
            stderr,
            clock: SystemClock::new(),
            stage: Stage::Running,
            ending: Ending::Exited,
            told: Vec::new(),
        })
    }

    /// The loop: end what has to end, wait for news, feed and read; until the process is gone.
    fn watch(mut self, sink: &mut dyn FnMut(Stream, &[u8])) -> io::Result<(ExitStatus, Ending)> {
        let mut buffer = vec![0; 64 * 1024];
        let status = loop {
            self.advance_ending();
            self.wait_for_news()?;
            self.feed();
            self.read(&mut buffer, 1, sink);
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if self.is_beyond_killing() {
                // One that we may not signal (`sudo`), or that hangs in the kernel.
                return Err(io::Error::other(format!("process {} cannot be ended", self.child.id())));
            }
        };
        self.read(&mut buffer, MOST_LEFT_IN_A_PIPE / 4096, sink);
        if self.orders.groups.was_asked_to_end(self.group) {
            // By the request to stop itself, which this loop may not have seen yet.
            self.advance_ending();
        }
        if self.ending != Ending::Exited {
            self.end_the_rest()?;
        }
        Ok((status, self.ending))
    }

    /// Moves from running to asked to killed, when it is time.
    fn advance_ending(&mut self) {
        let now = self.clock.now();
        match self.stage {
            Stage::Running => {
                self.ending = if self.orders.cancel.is_asked() {
                    Ending::Stopped
                } else if self.orders.timeout.is_some_and(|timeout| now >= timeout) {
                    Ending::TimedOut
                } else {
                    return;
                };
                self.orders.groups.ask_to_end(self.group);
                self.signal_escaped(Signal::TERM);
                self.stage = Stage::Asked { until: now.saturating_add(self.orders.grace) };
            }
            Stage::Asked { until } if now >= until => {
                let _ = kill_process_group(self.group, Signal::KILL);
                self.signal_escaped(Signal::KILL);
                self.stage = Stage::Killed { at: now };
            }
            Stage::Asked { .. } | Stage::Killed { .. } => {}
        }
    }

    /// Those who have left the group; the members of it have had the signal already.
    fn signal_escaped(&mut self, signal: Signal) {
        for pid in self.escaped() {
            escaped::send(pid, signal, self.orders.token);
            escaped::send(pid, Signal::CONT, self.orders.token);
            self.told.push(pid);
        }
    }

    /// Takes note of the end of those that have left the group, where this process inherits them (see
    /// [`inherit_orphans`]), or else gives whoever does the time for that.
    fn let_them_be_reaped(&self) -> io::Result<()> {
        let until = self.clock.now() + REAPING;
        let is_there = |pid: &i32| {
            let orphan = Pid::from_raw(*pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
            !matches!(orphan, Some(Ok(Some(_)))) && stat(*pid).is_some()
        };
        while self.told.iter().any(is_there) && self.clock.now() < until {
            pause(&mut [], Some(GLANCE))?;
        }
        Ok(())
    }

    fn escaped(&self) -> Vec<i32> {
        let members = members(self.group.as_raw_nonzero().get()).unwrap_or_default();
        let carriers = escaped::carriers(self.orders.token);
        carriers.into_iter().filter(|pid| !members.contains(pid)).collect()
    }

    /// Whether it was killed and has had the time to go.
    fn is_beyond_killing(&self) -> bool {
        matches!(self.stage, Stage::Killed { at } if self.clock.now().saturating_sub(at) > VANISHING)
    }

    fn wait_for_news(&self) -> io::Result<()> {
        let deadline = match self.stage {
            Stage::Running => self.orders.timeout,
            Stage::Asked { until } => Some(until),
            Stage::Killed { at } => Some(at + VANISHING),
        };
        let mut timeout = deadline.map(|deadline| deadline.saturating_sub(self.clock.now()));
        if self.exit.is_none() {
            timeout = Some(timeout.map_or(GLANCE, |timeout| timeout.min(GLANCE)));
        }
        let stop = (self.stage == Stage::Running).then(|| self.asked_to_stop.as_fd());
        let mut descriptors: Vec<PollFd<'_>> = [
            (self.stdout.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (self.stderr.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (self.stdin.as_ref().map(AsFd::as_fd), PollFlags::OUT),
            (self.exit.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (stop, PollFlags::IN),
        ]
        .into_iter()
        .filter_map(|(descriptor, flags)| Some(PollFd::from_borrowed_fd(descriptor?, flags)))
        .collect();
        pause(&mut descriptors, timeout)
    }

    fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        match stdin.write(&self.orders.stdin[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if is_temporary(&error) => return,
            // It does not want to read on; that is its right.
            Err(_) => self.written = self.orders.stdin.len(),
        }
        if self.written == self.orders.stdin.len() {
            self.stdin = None;
        }
    }

    fn read(&mut self, buffer: &mut [u8], times: usize, sink: &mut dyn FnMut(Stream, &[u8])) {
        drain(&mut self.stdout, Stream::Stdout, buffer, times, sink);
        drain(&mut self.stderr, Stream::Stderr, buffer, times, sink);
    }

    /// Waits for those who did not follow their leader, and kills them when the grace is over.
    fn end_the_rest(&mut self) -> io::Result<()> {
        loop {
            let escaped = self.escaped();
            if escaped.is_empty() && !is_at_work(self.group) {
                return self.let_them_be_reaped();
            }
            self.advance_ending();
            if self.is_beyond_killing() {
                // One of those that nobody may signal, or that hang in the kernel.
                return Ok(());
            }
            if matches!(self.stage, Stage::Killed { .. }) {
                // Some may have been started since.
                self.signal_escaped(Signal::KILL);
            }
            pause(&mut [], Some(GLANCE))?;
        }
    }
}

fn drain(
    pipe: &mut Option<impl Read>,
    stream: Stream,
    buffer: &mut [u8],
    times: usize,
    sink: &mut dyn FnMut(Stream, &[u8]),
) {
    for _ in 0..times {
        let Some(reader) = pipe else { return };
        match reader.read(buffer) {
            Ok(count) if count > 0 => sink(stream, &buffer[..count]),
            Err(error) if is_temporary(&error) => return,
            Ok(_) | Err(_) => *pipe = None,
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Waits until one of these is ready, or for so long.
pub(crate) fn pause(descriptors: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up: a wait that ends a moment early would go round once more for nothing.
    let timeout = timeout.map(|timeout| {
        Timespec::try_from(timeout.saturating_add(Duration::from_micros(1)))
            .unwrap_or(Timespec { tv_sec: i32::MAX.into(), tv_nsec: 0 })
    });
    match poll(descriptors, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process of the group is there and no zombie: one whose parent does not reap it (the init of a container,
/// say) has ended all the same.
fn is_at_work(group: Pid) -> bool {
    // "Not permitted" means that somebody is there.
    if test_kill_process_group(group) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    // Without Linux's /proc there is only the signal's word.
    members(group.as_raw_nonzero().get()).is_none_or(|members| !members.is_empty())
}

#[cfg(target_os = "linux")]
fn exit_descriptor(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn exit_descriptor(_: Pid) -> Option<OwnedFd> {
    None
}
