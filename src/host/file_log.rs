//! A log in a file on this machine: one that is locked, appended to, and made short.

mod lines;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use self::lines::{Decoded, FIRST, Sum, Unreadable, decode, encode};
use super::lock::{self, Holder, Lock};
use super::processes::Machine;
use super::state_dir;
use super::trust::{OwnDirectory, Refused};
use crate::clock::{Clock, SystemClock, Wake};
use crate::engine::log::record::{Record, VERSION};
use crate::engine::log::{Host, Log, LogError};

/// The file's name in its directory, and that of the next one while it is written.
const FILE: &str = "journal";
const NEXT: &str = "journal.new";
/// A file that is not longer than this is never rewritten for its length.
const SMALL: u64 = 64 * 1024;
/// How often somebody who waits for the lock looks again.
const GLANCE: Duration = Duration::from_millis(20);
/// How long it may take until all that a killed process had has gone with it.
const DYING: Duration = Duration::from_secs(2);

/// A journal cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process is at work in this scope.
    #[error("{} is locked by {holder}", directory.display())]
    Locked {
        /// The state directory.
        directory: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// There is no home to keep it in.
    #[error(
        "there is no place for the state directory: neither HOME nor XDG_STATE_HOME is set; name one (--state-dir)"
    )]
    NoPlace,
    /// The directory or the file cannot be made, opened or read.
    #[error("failed to {doing} {}; name another state directory (--state-dir), or mend this one", path.display())]
    Unusable {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Others than this user could have written there, and with that have anything removed in this user's name.
    #[error(
        "{} is not to be trusted: {why}; or name another state directory (--state-dir)",
        path.display()
    )]
    Untrusted {
        /// The directory or file.
        path: PathBuf,
        /// Why, and what to do about it.
        why: String,
    },
    /// What is in the file is not what was written.
    #[error(
        "{} is damaged in line {line} (byte {offset}): {what}; it was left as it is, and nothing was started. Cleanups may \
         be owed for what it says: read it, put things right by hand, and move it away, and the next start begins a new one",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Where that line begins, counted from 0.
        offset: usize,
        /// What does not fit.
        what: String,
    },
    /// A newer version of this library has written it.
    #[error("{} was written by a newer version (format {found}; this program knows up to {VERSION}); it was left as it is", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
    },
}

/// The journal of a scope: what [`Engine::journal`](crate::Engine::journal) is given, so that a killed process loses
/// nothing. It has the scope's lock for as long as it lives.
///
/// ```
/// # use dojob::{Context, Engine, Job, Journal, Result};
/// # #[derive(Clone, PartialEq)] struct Mount;
/// # impl Job for Mount {
/// #     fn check(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// # }
/// # let scratch = tempfile::tempdir()?;
/// # let directory = scratch.path().join("mount");
/// let mut engine = Engine::new(Mount)?.journal(Journal::open(directory)?);
/// let report = engine.converge(); // first calls what an earlier start left pending
/// # assert!(report.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Journal {
    directory: PathBuf,
    /// `None`: it is only looked at.
    lock: Option<Lock>,
    state: Mutex<State>,
    /// How many records were written, by this process.
    written: AtomicU64,
    synced: Mutex<Synced>,
    sync_ended: Condvar,
    watcher: OnceLock<Watcher>,
}

/// Is called at every step of a journal.
type Watcher = Box<dyn Fn() + Send + Sync>;

struct State {
    /// What was in it when it was opened, until something is appended.
    found: Vec<Record>,
    /// How many records this process has appended, and the last of its appends.
    position: u64,
    last: Option<(u64, Vec<Record>)>,
    file: Option<Arc<File>>,
    /// Whether its name may not be on the disk yet.
    is_new: bool,
    /// Of the whole records in it.
    length: u64,
    /// The sum of the last record, on which the next one follows.
    sum: Sum,
    /// Whether it was written by an earlier version, so that nothing can follow before it is written anew.
    is_old: bool,
    line: Vec<u8>,
    /// A record could neither be written nor reverted: nothing may follow it.
    is_broken: bool,
}

#[derive(Default)]
struct Synced {
    up_to: u64,
    is_under_way: bool,
    has_failed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Opens the journal in `directory`, which is made where it is missing, and takes its lock. What a crash has torn off
    /// at its end is cut away; nothing else is written before something is run.
    ///
    /// # Errors
    /// When somebody else has the lock, or the journal cannot be used.
    pub fn open(directory: impl AsRef<Path>) -> Result<Journal, JournalError> {
        Journal::open_with(directory.as_ref(), Some(Duration::ZERO))
    }

    /// As [`open`](Journal::open), but waits until the lock is free; at most for `limit`, where there is one.
    ///
    /// # Errors
    /// When the time is over, or the journal cannot be used.
    pub fn open_blocking(
        directory: impl AsRef<Path>,
        limit: Option<Duration>,
    ) -> Result<Journal, JournalError> {
        Journal::open_with(directory.as_ref(), limit)
    }

    /// Reads the journal in `directory`, without the lock and without a change: for dry runs and lists. Runs cannot be
    /// written down in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open_read_only(directory: impl AsRef<Path>) -> Result<Journal, JournalError> {
        let directory = directory.as_ref();
        let own = OwnDirectory::find(directory)
            .map_err(|refused| unusable("open the state directory", directory, refused))?;
        let text = own.map_or(Ok(Vec::new()), |own| read(&own, directory))?;
        let decoded = understand(&text, directory)?;
        Ok(Journal::new(directory, None, decoded, None))
    }

    fn open_with(directory: &Path, limit: Option<Duration>) -> Result<Journal, JournalError> {
        let Some(lock) = take_lock(directory, limit).map_err(|refused| {
            let doing =
                if directory.is_dir() { "open the state directory" } else { "make the state directory" };
            unusable(doing, directory, refused)
        })?
        else {
            let holder = lock::holder(directory);
            return Err(JournalError::Locked { directory: directory.to_owned(), holder });
        };
        let text = read(lock.directory(), directory)?;
        let decoded = understand(&text, directory)?;
        let mut file = None;
        if !text.is_empty() {
            let path = directory.join(FILE);
            let opened = open_file(lock.directory(), FILE, &path)
                .map_err(|refused| unusable("open the journal", &path, refused))?;
            if decoded.whole < text.len() {
                opened
                    .set_len(decoded.whole as u64)
                    .map_err(|error| unusable("cut the torn end of the journal", &path, error.into()))?;
            }
            file = Some(Arc::new(opened));
        }
        Ok(Journal::new(directory, Some(lock), decoded, file))
    }

    fn new(directory: &Path, lock: Option<Lock>, decoded: Decoded, file: Option<Arc<File>>) -> Self {
        let state = State {
            found: decoded.records,
            position: 0,
            last: None,
            file,
            is_new: false,
            length: decoded.whole as u64,
            sum: decoded.last,
            is_old: decoded.version < VERSION,
            line: Vec::new(),
            is_broken: false,
        };
        Journal {
            directory: directory.to_owned(),
            lock,
            state: Mutex::new(state),
            written: AtomicU64::new(0),
            synced: Mutex::default(),
            sync_ended: Condvar::new(),
            watcher: OnceLock::new(),
        }
    }

    /// The directory for the journal of a scope, by the platform's convention: below `DOJOB_STATE_DIR` where that is set,
    /// else `dojob` below `XDG_STATE_HOME`; else for root `/var/lib/dojob`, for others `~/.local/state/dojob` (macOS:
    /// `~/Library/Application Support/dojob`). A scope is what must not be worked on twice at once: the name of a program,
    /// and what it `adds` to it (the root that it works on, say). Nothing is made.
    ///
    /// # Errors
    /// When there is no home.
    pub fn usual_directory(program: &str, adds: Option<&str>) -> Result<PathBuf, JournalError> {
        let base = state_dir::usual().ok_or(JournalError::NoPlace)?;
        Ok(Journal::directory_below(&base, program, adds))
    }

    /// As [`usual_directory`](Journal::usual_directory), below `base`.
    pub fn directory_below(base: &Path, program: &str, adds: Option<&str>) -> PathBuf {
        state_dir::of_scope(base, program, adds)
    }

    /// Refuses a directory for scopes that is not this user's own, where there is one.
    #[cfg(feature = "cli")]
    pub(crate) fn trust_above(directory: &Path) -> Result<(), JournalError> {
        let Some(above) = directory.parent() else { return Ok(()) };
        match OwnDirectory::find(above) {
            Ok(_) => Ok(()),
            Err(refused) => Err(unusable("open the state directory", above, refused)),
        }
    }

    /// The directory that it is in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Calls `watcher` before and after every step in which the journal changes: for tests that kill the process there.
    #[must_use]
    pub fn watch(self, watcher: impl Fn() + Send + Sync + 'static) -> Self {
        let _ = self.watcher.set(Box::new(watcher));
        self
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("directory", &self.directory).finish_non_exhaustive()
    }
}

fn take_lock(directory: &Path, limit: Option<Duration>) -> Result<Option<Lock>, Refused> {
    let clock = SystemClock::new();
    loop {
        if let Some(lock) = Lock::take(OwnDirectory::make(directory)?)? {
            return Ok(Some(lock));
        }
        let now = clock.now();
        // Of a holder that has died, a command may have the lock for a moment longer, until it is its own program.
        let is_dying = now < DYING && lock::holder(directory).since.is_none();
        let limit = if is_dying { limit.map(|limit| limit.max(DYING)) } else { limit };
        if limit.is_some_and(|limit| now >= limit) {
            return Ok(None);
        }
        let until = now + GLANCE;
        clock.wait(Some(limit.map_or(until, |limit| until.min(limit))), &Wake::default());
    }
}

fn unusable(doing: &'static str, path: &Path, refused: Refused) -> JournalError {
    match refused {
        Refused::Untrusted { path, why } => JournalError::Untrusted { path, why },
        Refused::Io(source) => JournalError::Unusable { doing, path: path.to_owned(), source },
    }
}

/// Opens a file to write on at its end; it is made where it is missing.
fn open_file(directory: &OwnDirectory, name: &str, shown: &Path) -> Result<File, Refused> {
    directory.open(name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE, shown)
}

/// The text of the journal in a directory; empty where there is none.
fn read(directory: &OwnDirectory, shown: &Path) -> Result<Vec<u8>, JournalError> {
    let path = shown.join(FILE);
    let mut text = Vec::new();
    let read = match directory.open(FILE, OFlags::RDONLY, &path) {
        Ok(mut file) => file.read_to_end(&mut text).map_err(Refused::Io),
        Err(Refused::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(refused) => Err(refused),
    };
    read.map(|_| text).map_err(|refused| unusable("read the journal", &path, refused))
}

/// What the text of a journal says.
fn understand(text: &[u8], directory: &Path) -> Result<Decoded, JournalError> {
    let file = directory.join(FILE);
    decode(text).map_err(|error| match error {
        Unreadable::Corrupt { line, offset, what } => JournalError::Damaged { file, line, offset, what },
        Unreadable::Newer { found } => JournalError::Newer { file, found },
    })
}

/// The term of every owner: the lock lets one be the owner at a time, and dies with it.
const TERM: u64 = 0;

fn refuse_others(term: u64) -> Result<(), LogError> {
    if term == TERM { Ok(()) } else { Err(LogError::Fenced { term: TERM }) }
}

impl Log for Journal {
    fn term(&self) -> u64 {
        TERM
    }

    fn append(&self, term: u64, position: u64, records: &[Record]) -> Result<(), LogError> {
        refuse_others(term)?;
        let mut state = self.state();
        if state.last.as_ref().is_some_and(|(at, last)| *at == position && last == records) {
            return Ok(());
        }
        if position != state.position {
            return Err(LogError::Conflict { position });
        }
        self.write(&mut state, records)?;
        state.found.clear();
        state.position += records.len() as u64;
        state.last = Some((position, records.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        Ok(self.sync_all()?)
    }

    fn read(&self) -> Result<Vec<Record>, LogError> {
        let state = self.state();
        if state.position == 0 {
            return Ok(state.found.clone());
        }
        drop(state);
        let directory = OwnDirectory::find(&self.directory).map_err(Refused::into_io)?;
        let text = directory.map_or(Ok(Vec::new()), |own| read(&own, &self.directory));
        let decoded = text.and_then(|text| understand(&text, &self.directory));
        Ok(decoded.map_err(io::Error::other)?.records)
    }

    fn snapshot(&self, term: u64, records: &[Record]) -> Result<(), LogError> {
        refuse_others(term)?;
        Ok(self.compact(&mut self.state(), records)?)
    }

    fn is_long(&self) -> bool {
        self.state().length > SMALL
    }

    fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    fn location(&self) -> String {
        self.path().display().to_string()
    }

    fn host(&self) -> Option<&dyn Host> {
        Some(&Machine)
    }
}

impl Journal {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn synced(&self) -> MutexGuard<'_, Synced> {
        lock(&self.synced)
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// Removes the file where nothing is left to say, and rewrites it where that makes it shorter by half.
    fn compact(&self, state: &mut State, records: &[Record]) -> io::Result<()> {
        let Some(lock) = self.lock.as_ref().filter(|_| state.file.is_some()) else { return Ok(()) };
        if records.is_empty() {
            let directory = &lock.directory().file;
            self.step(|| Ok(rustix::fs::unlinkat(directory, FILE, AtFlags::empty())?))?;
            (state.file, state.length, state.sum, state.is_old) = (None, 0, FIRST, false);
            state.found.clear();
            // Where nothing was to survive power loss, what comes back after it is paid once more, and that is all.
            return self.sync_names(self.synced().up_to > 0);
        }
        let (text, sum) = text_of(records)?;
        if text.len() as u64 * 2 > state.length {
            return Ok(());
        }
        self.replace(lock, state, &text, sum)?;
        if state.position == 0 {
            state.found = records.to_vec();
        }
        Ok(())
    }

    /// Writes what an earlier version has written anew, so that records can follow on it.
    fn upgrade(&self, state: &mut State) -> io::Result<()> {
        let Some(lock) = self.lock.as_ref().filter(|_| state.is_old && !state.is_broken) else {
            return Ok(());
        };
        let (text, sum) = text_of(&state.found)?;
        self.replace(lock, state, &text, sum)
    }

    /// Puts this text, complete and on the disk, in the place of the file. As long as any of that fails the old one is
    /// there, and written on.
    fn replace(&self, lock: &Lock, state: &mut State, text: &[u8], sum: Sum) -> io::Result<()> {
        let directory = lock.directory();
        decode(text).map_err(|error| io::Error::other(error.to_string()))?;
        match rustix::fs::unlinkat(&directory.file, NEXT, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let file = open_file(directory, NEXT, &self.directory.join(NEXT)).map_err(Refused::into_io)?;
        (&file).write_all(text)?;
        file.sync_all()?;
        let at = directory.file.as_fd();
        self.step(|| Ok(rustix::fs::renameat(at, NEXT, at, FILE)?))?;
        // From here on it is the journal, whatever else may fail.
        (state.file, state.length, state.sum) = (Some(Arc::new(file)), text.len() as u64, sum);
        state.is_old = false;
        // After a power loss the old one may be there again, without what would follow on the new one.
        lock.sync_names().inspect_err(|_| state.is_broken = true)
    }

    fn step<T>(&self, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let watch = || self.watcher.get().into_iter().for_each(|watcher| watcher());
        watch();
        let done = step()?;
        watch();
        Ok(done)
    }

    /// Writes records, all of them or none.
    fn write(&self, state: &mut State, records: &[Record]) -> io::Result<()> {
        let Some(lock) = &self.lock else {
            return Err(io::Error::other("the journal was opened only to be looked at"));
        };
        if state.is_broken {
            return Err(io::Error::other("the journal could not be written to before"));
        }
        self.upgrade(state)?;
        let mut text = Vec::with_capacity(256);
        let mut sum = state.sum;
        if state.length == 0 {
            encode(&Record::Journal { version: VERSION }, &mut sum, &mut state.line)?;
            text.extend_from_slice(&state.line);
        }
        for record in records {
            encode(record, &mut sum, &mut state.line)?;
            text.extend_from_slice(&state.line);
        }
        let file = match &state.file {
            Some(file) => file.clone(),
            None => {
                let opened = open_file(lock.directory(), FILE, &self.path());
                let file = Arc::new(opened.map_err(Refused::into_io)?);
                (state.file, state.is_new) = (Some(file.clone()), true);
                file
            }
        };
        let written = self.step(|| (&*file).write_all(&text));
        if let Err(error) = written {
            // A part of it may have been written, behind which nothing could be read.
            state.is_broken = file.set_len(state.length).is_err();
            return Err(error);
        }
        state.length += text.len() as u64;
        state.sum = sum;
        self.written.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Brings all that was written so far to the disk. Of several who ask at once, one does it for
    /// all. Once that has failed nobody is told again that it has succeeded: what the system could not write it may have
    /// dropped, and a second `fsync` would not say so.
    fn sync_all(&self) -> io::Result<()> {
        let wanted = self.written.load(Ordering::Acquire);
        let mut synced = lock(&self.synced);
        while synced.up_to < wanted {
            if synced.has_failed {
                return Err(io::Error::other("an earlier record could not be brought to the disk"));
            }
            if synced.is_under_way {
                synced = self.sync_ended.wait(synced).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            synced.is_under_way = true;
            drop(synced);
            let up_to = self.written.load(Ordering::Acquire);
            let done = self.sync_file();
            synced = lock(&self.synced);
            synced.is_under_way = false;
            match &done {
                Ok(()) => synced.up_to = synced.up_to.max(up_to),
                Err(_) => synced.has_failed = true,
            }
            self.sync_ended.notify_all();
            done?;
        }
        Ok(())
    }

    fn sync_file(&self) -> io::Result<()> {
        let (file, is_new) = {
            let mut state = self.state();
            (state.file.clone(), std::mem::take(&mut state.is_new))
        };
        file.map_or(Ok(()), |file| file.sync_data())?;
        // The name of a new file has to get there, too.
        self.sync_names(is_new)
    }

    fn sync_names(&self, wanted: bool) -> io::Result<()> {
        self.lock.as_ref().filter(|_| wanted).map_or(Ok(()), Lock::sync_names)
    }
}

/// The text of a file with these records, and the sum of its last line.
fn text_of(records: &[Record]) -> io::Result<(Vec<u8>, Sum)> {
    let (mut text, mut line, mut sum) = (Vec::new(), Vec::new(), FIRST);
    let header = Record::Journal { version: VERSION };
    let records = records.iter().filter(|record| !matches!(record, Record::Journal { .. }));
    for record in std::iter::once(&header).chain(records) {
        encode(record, &mut sum, &mut line)?;
        text.extend_from_slice(&line);
    }
    Ok((text, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_contract_of_logs() {
        let directory = tempfile::tempdir().unwrap();
        let mut open = || Box::new(Journal::open(directory.path()).unwrap()) as Box<dyn Log>;
        crate::engine::log::conformance::keeps_the_contract(&mut open);
    }
}
