//! One look at a port, a file, a process or a web server: `None` when it is as wanted, otherwise why not.
//!
//! Does not wait for anything but an answer, and for that not long.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
#[cfg(feature = "http")]
use ureq::http::Method;

use super::address::Address;
use super::subject::{LineOfFile, WhichProcess};
use crate::disk::inspect::{self, Found, Links};
#[cfg(feature = "http")]
use crate::http::{self, Call, Headers, Url, with_client};
use crate::patience::Deadline;
use crate::text;

/// How long a host may take to accept a connection.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long a web server may take to answer.
#[cfg(feature = "http")]
const ANSWERING: Duration = Duration::from_secs(10);
/// How long it may take however little time is left.
#[cfg(feature = "http")]
const AT_LEAST_ANSWERING: Duration = Duration::from_secs(1);
/// A line is held in memory as a whole, so that `^` and `$` are its ends; a longer one is passed over.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// How much of a program's name the kernel keeps.
const COMM: usize = 15;

/// So much of a file is read however little time is left: no more than a moment's work.
const AT_LEAST: u64 = 16 * 1024 * 1024;
/// Read from the system in pieces of this size.
const PIECE: usize = 64 * 1024;

type Looked = Result<Option<String>>;

/// For how long is looked.
pub(super) struct Patience<'a> {
    pub(super) cx: &'a Context,
    pub(super) deadline: &'a Deadline,
}

/// A file that is read until the deadline, or the end of the run.
struct Bounded<'a> {
    file: fs::File,
    read: u64,
    patience: &'a Patience<'a>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Patience { cx, deadline } = self.patience;
        if cx.is_cancelled() {
            return Err(io::Error::other("the run was asked to stop"));
        }
        if self.read >= AT_LEAST && deadline.is_over(cx) {
            return Err(ErrorKind::TimedOut.into());
        }
        let length = self.file.read(buffer)?;
        self.read += length as u64;
        Ok(length)
    }
}

pub(super) fn port_open(address: &Address) -> Looked {
    Ok(match connect(address)? {
        Connected::Yes => None,
        Connected::No(error) => Some(format!("nothing accepts connections at {address}: {error}")),
        Connected::Nowhere(error) => Some(format!("{address} has no address: {error}")),
    })
}

pub(super) fn port_closed(address: &Address) -> Looked {
    Ok(match connect(address)? {
        Connected::Yes => Some(format!("something accepts connections at {address}")),
        Connected::No(_) => None,
        Connected::Nowhere(error) => {
            Some(format!("{address} has no address, so whether it is closed cannot be told: {error}"))
        }
    })
}

/// What comes of an attempt to connect.
enum Connected {
    Yes,
    /// None of the host's addresses accepts it; the last one's reason.
    No(io::Error),
    /// The host's name leads nowhere, at the moment at least.
    Nowhere(io::Error),
}

/// Connects to the first of the host's addresses that lets it.
///
/// # Errors
/// When this machine is not able to connect to anything, or not allowed to.
fn connect(address: &Address) -> Result<Connected> {
    let addresses = match (address.host(), address.port()).to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return Ok(Connected::Nowhere(error)),
    };
    let mut refused = None;
    for one in addresses {
        match TcpStream::connect_timeout(&one, CONNECTING) {
            Ok(_) => return Ok(Connected::Yes),
            Err(error) if is_our_own(&error) => {
                return Err(error).or_could_not_find_out(format!("whether {address} accepts connections"));
            }
            Err(error) => refused = Some(error),
        }
    }
    Ok(match refused {
        Some(error) => Connected::No(error),
        None => Connected::Nowhere(ErrorKind::NotFound.into()),
    })
}

/// Whether an error says something of this machine or process, and nothing of the other one.
fn is_our_own(error: &io::Error) -> bool {
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let is_own = |errno| own.contains(&errno);
    error.kind() == ErrorKind::PermissionDenied || Errno::from_io_error(error).is_some_and(is_own)
}

pub(super) fn exists(path: &Path, shown: &Path) -> Looked {
    Ok(inspect::meta(path, Links::Follow)?.is_none().then(|| format!("{} does not exist", shown.display())))
}

pub(super) fn gone(path: &Path, shown: &Path) -> Looked {
    Ok(inspect::meta(path, Links::Stay)?.is_some().then(|| format!("{} exists", shown.display())))
}

pub(super) fn line(path: &Path, wanted: &LineOfFile, patience: &Patience<'_>) -> Looked {
    let shown = wanted.file.display();
    let file = match inspect::open(path, Links::Follow)? {
        Found::Nothing => return Ok(Some(format!("{shown} does not exist"))),
        Found::File(file) => file.file,
        other => {
            let what = format!("{shown} is {}, and has no lines", other.what().unwrap_or("no file"));
            return Err(CouldNotFindOut::new(format!("what is in {shown}")).because(what).into());
        }
    };
    let mut reader = BufReader::with_capacity(PIECE, Bounded { file, read: 0, patience });
    match line_in(&mut reader, wanted) {
        Err(error) if error.chain().any(is_timeout) => {
            let read = reader.get_ref().read / 1024 / 1024;
            Ok(Some(format!("no line in the first {read} MiB of {shown} has `{}`", wanted.pattern)))
        }
        looked => looked,
    }
}

fn is_timeout(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::TimedOut)
}

fn line_in(mut reader: &mut impl BufRead, wanted: &LineOfFile) -> Looked {
    let shown = wanted.file.display();
    let what = || format!("what is in {shown}");
    if let Some(encoding) = text::wide(reader.fill_buf().or_could_not_find_out(what())?) {
        return Err(CouldNotFindOut::new(what()).because(format!("it is {encoding}, not UTF-8")).into());
    }
    let mut line = Vec::new();
    let mut too_long = None;
    for number in 1_u64.. {
        line.clear();
        let read = (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.or_could_not_find_out(what())? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            too_long = too_long.or(Some(number));
            reader.skip_until(b'\n').or_could_not_find_out(what())?;
            continue;
        }
        let mark = if number == 1 { text::MARK.as_bytes() } else { b"" };
        let found = line.strip_prefix(mark).unwrap_or(&line);
        let found = match found.strip_suffix(b"\n") {
            Some(found) => found.strip_suffix(b"\r").unwrap_or(found),
            None => found,
        };
        if wanted.pattern.is_in(found) {
            return Ok(None);
        }
    }
    if let Some(number) = too_long {
        let why = format!("line {number} is longer than {} MiB", LONGEST_LINE / 1024 / 1024);
        return Err(CouldNotFindOut::new(what()).because(why).into());
    }
    Ok(Some(format!("no line in {shown} has `{}`", wanted.pattern)))
}

pub(super) fn process_gone(start: &Path, process: &WhichProcess) -> Looked {
    let pid = match process {
        WhichProcess::Pid(pid) => i32::try_from(*pid).ok(),
        WhichProcess::PidFile(path) => match pid_in(&start.join(path), path)? {
            None => return Ok(None),
            pid => pid,
        },
        WhichProcess::Name(name) => return process_of_name(Path::new("/proc"), name),
    };
    let Some(pid) = pid.and_then(Pid::from_raw) else { return Ok(None) };
    let lives = match test_kill_process(pid) {
        Ok(()) | Err(Errno::PERM) => !is_zombie(pid),
        Err(_) => false,
    };
    Ok(lives.then(|| format!("process {} is still there", pid.as_raw_nonzero())))
}

/// The number in a file; `None` without a file.
fn pid_in(path: &Path, shown: &Path) -> Result<Option<i32>> {
    const LONGEST: usize = 1024;
    let Some(text) = inspect::read_text(path, LONGEST)? else { return Ok(None) };
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    let what = || CouldNotFindOut::new(format!("which process {} names", shown.display()));
    Ok(Some(pid.ok_or_else(|| what().because(format!("`{}` is no number of one", text.trim())))?))
}

/// Whether it has ended, and only its parent has not asked how.
fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    state(&stat).is_some_and(|state| matches!(state, 'Z' | 'X'))
}

/// The letter behind the name, which may contain anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn process_of_name(proc: &Path, name: &str) -> Looked {
    let what = format!("whether there is a process {name}");
    let wanted = &name.as_bytes()[..name.len().min(COMM)];
    for entry in fs::read_dir(proc).or_could_not_find_out(&what)? {
        let entry = entry.or_could_not_find_out(&what)?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that ends while we look is gone.
        let Ok(comm) = fs::read(entry.path().join("comm")) else { continue };
        let stat = || fs::read_to_string(entry.path().join("stat")).ok();
        if comm.trim_ascii_end() == wanted
            && stat().and_then(|stat| state(&stat)).is_some_and(|state| !matches!(state, 'Z' | 'X'))
        {
            return Ok(Some(format!("process {pid} ({name}) is still there")));
        }
    }
    Ok(None)
}

/// One request, which ends when the run is asked to stop.
#[cfg(feature = "http")]
pub(super) fn http(patience: &Patience<'_>, url: &Url, status: Option<&[u16]>) -> Looked {
    let none = Headers::new();
    let call = Call { follow: false, ..Call::new(Method::GET, url, &none) };
    let Patience { cx, deadline } = patience;
    let time = ANSWERING.min(deadline.left(cx).max(AT_LEAST_ANSWERING));
    let answer = match with_client(cx, http::Patience::in_all(Some(time.into())), |client| {
        Ok(client.send(&call)?.status)
    }) {
        Ok(answer) => answer,
        Err(error) if cx.is_cancelled() => return Err(error),
        Err(error) => return Ok(Some(format!("{error:#}"))),
    };
    let fits = match status {
        Some(status) => status.contains(&answer),
        None => (200..=299).contains(&answer),
    };
    Ok((!fits).then(|| format!("{url} answers {answer}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_process_is_behind_its_name() {
        assert_eq!(state("7 (a) Z b) S 1 7 7"), Some('S'));
        assert_eq!(state("7 (sh) Z 1"), Some('Z'));
        assert_eq!(state(""), None);
    }

    #[test]
    fn processes_are_found_by_name() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, comm, state) in
            [("1", "init", 'S'), ("20", "a-very-long-nam", 'R'), ("30", "dead", 'Z'), ("self", "x", 'S')]
        {
            let directory = proc.path().join(pid);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(directory.join("stat"), format!("{pid} ({comm}) {state} 0")).unwrap();
        }
        let look = |name| process_of_name(proc.path(), name).unwrap();
        assert_eq!(look("init").unwrap(), "process 1 (init) is still there");
        assert_eq!(
            look("a-very-long-name-indeed").unwrap(),
            "process 20 (a-very-long-name-indeed) is still there"
        );
        assert_eq!([look("dead"), look("x"), look("ini")], [None, None, None]);
    }
}
