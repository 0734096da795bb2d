//! What a crash must not lose: a file in which the engine writes down what it is about to do.
//!
//! Before a run of a job starts, its intent is written; what it puts into its local storage, when `set` returns; and that
//! its cleanup has succeeded. What is still open when the next start reads the file is what that start owes.
//!
//! The rooms below know one thing each: the bytes ([`record`]), what they mean ([`ledger`]), one at a time ([`lock`]),
//! survivors ([`processes`]), where it is kept ([`place`]), who else could have written there ([`trust`]). This one has the file, and decides nothing.

mod diary;
pub(crate) mod ledger;
pub(crate) mod lock;
pub(crate) mod place;
pub(crate) mod processes;
pub(crate) mod record;
pub(crate) mod trust;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use self::ledger::Ledger;
use self::lock::{Holder, Lock};
use self::record::{Decoded, FIRST, Location, Record, Sum, Unreadable, VERSION, decode, encode};
use self::trust::{OwnDirectory, Refused};
use crate::clock::{Clock, SystemClock, Wake};
use crate::context::args::Args;
use crate::context::diary::Page;
use crate::secret::{MASK, Redactor};

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
/// let report = engine.converge(); // pays first what an earlier start owes
/// # assert!(report.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Journal {
    shared: Arc<Shared>,
}

/// Hears of every step of a journal.
type Watcher = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Shared {
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

struct State {
    ledger: Ledger,
    file: Option<Arc<File>>,
    /// Whether its name may not be on the disk yet.
    is_new: bool,
    /// Of the whole records in it.
    length: u64,
    /// The sum of the last record, on which the next one follows.
    sum: Sum,
    /// Whether it was written by an earlier version, so that nothing can follow before it is written anew.
    is_old: bool,
    /// The record of the convergence under way, until something has to be written down.
    start: Option<Record>,
    /// The name of the convergence under way.
    run: Arc<str>,
    /// Whether an intent of the convergence under way was written.
    has_begun: bool,
    line: Vec<u8>,
    /// A record could neither be written nor taken back: nothing may follow it.
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
    pub fn wait(directory: impl AsRef<Path>, limit: Option<Duration>) -> Result<Journal, JournalError> {
        Journal::open_with(directory.as_ref(), limit)
    }

    /// Reads the journal in `directory`, without the lock and without a change: for dry runs and lists. Runs cannot be
    /// written down in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(directory: impl AsRef<Path>) -> Result<Journal, JournalError> {
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
            ledger: Ledger::of(&decoded.records),
            file,
            is_new: false,
            length: decoded.whole as u64,
            sum: decoded.last,
            is_old: decoded.version < VERSION,
            start: None,
            run: "".into(),
            has_begun: false,
            line: Vec::new(),
            is_broken: false,
        };
        Journal {
            shared: Arc::new(Shared {
                directory: directory.to_owned(),
                lock,
                state: Mutex::new(state),
                written: AtomicU64::new(0),
                synced: Mutex::default(),
                sync_ended: Condvar::new(),
                watcher: OnceLock::new(),
            }),
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
        let base = place::usual().ok_or(JournalError::NoPlace)?;
        Ok(Journal::directory_below(&base, program, adds))
    }

    /// As [`usual_directory`](Journal::usual_directory), below `base`.
    pub fn directory_below(base: &Path, program: &str, adds: Option<&str>) -> PathBuf {
        place::of_scope(base, program, adds)
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
        &self.shared.directory
    }

    /// Calls `watcher` before and after every step in which the journal changes: for tests that kill the process there.
    #[must_use]
    pub fn watch(self, watcher: impl Fn() + Send + Sync + 'static) -> Self {
        let _ = self.shared.watcher.set(Box::new(watcher));
        self
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("directory", &self.shared.directory).finish_non_exhaustive()
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

/// A directory as it is written down.
pub(crate) fn without_secrets(directory: &Path, redactor: &Redactor) -> Location {
    match Location::from(directory) {
        Location::Text(text) if redactor.finds_in(&text) => Location::Text(redactor.mask(&text).into_owned()),
        Location::Bytes(bytes) if redactor.finds_in(&String::from_utf8_lossy(&bytes)) => {
            Location::Text(MASK.to_owned())
        }
        location => location,
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn synced(&self) -> MutexGuard<'_, Synced> {
        lock(&self.synced)
    }

    /// Looks at what is open.
    pub(crate) fn with_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.state().ledger)
    }

    /// Where the journal is.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// A convergence begins. That is written down together with its first intent.
    pub(crate) fn begin(
        &self,
        at: Timestamp,
        revert: bool,
        directory: &Path,
        args: &Args,
        redactor: &Redactor,
    ) {
        let mut state = self.state();
        let pid = std::process::id();
        // Two convergences of one process may begin in the same instant of a clock that stands still.
        let run = format!("{at}/{pid}/{}", state.ledger.next());
        state.run = run.as_str().into();
        let (args, positional) = args.without_secrets(redactor);
        state.has_begun = false;
        // Where it is not known, `.` would lead a later start astray.
        let directory = directory.is_absolute().then(|| without_secrets(directory, redactor));
        state.start = Some(Record::Start { run, at, pid, boot: None, revert, directory, args, positional });
    }

    /// Writes down that a run of a job is about to begin, and returns where the rest of it is to be written.
    pub(crate) fn intend(self: &Arc<Self>, intent: Record, n: u64, durable: bool) -> io::Result<Page> {
        let mut state = self.state();
        match state.start.take() {
            Some(mut start) => {
                if let Record::Start { boot, .. } = &mut start {
                    *boot = processes::boot_id();
                }
                let written = self.write(&mut state, &[&start, &intent]);
                state.has_begun = written.is_ok();
                if written.is_err() {
                    state.start = Some(start);
                }
                written?;
            }
            None => self.write(&mut state, &[&intent])?,
        }
        let run = state.run.clone();
        drop(state);
        if let Err(error) = self.sync(durable) {
            // It is not begun, so nobody owes anything for it.
            let _ = self.append(&Record::Settled { n }, false);
            return Err(error);
        }
        Ok(Page { diary: self.clone(), n, run, durable })
    }

    /// Where a run that was begun earlier goes on to be written down.
    pub(crate) fn page(self: &Arc<Self>, n: u64, run: &str, durable: bool) -> Page {
        Page { diary: self.clone(), n, run: run.into(), durable }
    }

    /// Whether it may be written to.
    pub(crate) fn is_ours(&self) -> bool {
        self.lock.is_some()
    }

    pub(crate) fn append(&self, record: &Record, durable: bool) -> io::Result<()> {
        let mut state = self.state();
        self.write(&mut state, &[record])?;
        drop(state);
        self.sync(durable)
    }

    /// A convergence has ended by itself: what is not open any more can be forgotten.
    pub(crate) fn end(&self, converged: bool, durable: bool) -> io::Result<()> {
        let mut state = self.state();
        state.start = None;
        let end = Record::End { converged };
        let has_begun = std::mem::take(&mut state.has_begun);
        if has_begun || state.ledger.is_changed_by_end(converged) {
            self.write(&mut state, &[&end])?;
        }
        self.compact(&mut state)?;
        let is_there = state.file.is_some();
        drop(state);
        self.sync(durable && is_there)
    }

    /// Makes the file as short as what it says.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        let mut state = self.state();
        self.compact(&mut state)
    }

    /// Removes the file where it says nothing any more, and rewrites it where it says little in many words.
    fn compact(&self, state: &mut State) -> io::Result<()> {
        let Some(lock) = self.lock.as_ref().filter(|_| state.file.is_some()) else { return Ok(()) };
        if state.ledger.is_empty() {
            let directory = &lock.directory().file;
            self.step(|| Ok(rustix::fs::unlinkat(directory, FILE, AtFlags::empty())?))?;
            (state.file, state.length, state.sum, state.is_old) = (None, 0, FIRST, false);
            state.ledger = Ledger::default();
            // Where nothing was to survive power loss, what comes back after it is paid once more, and that is all.
            return self.sync_names(self.synced().up_to > 0);
        }
        if state.length <= SMALL {
            return Ok(());
        }
        let (text, sum) = text_of(&state.ledger)?;
        if text.len() as u64 * 2 > state.length {
            return Ok(());
        }
        self.replace(lock, state, &text, sum)
    }

    /// Writes what an earlier version has written anew, so that records can follow on it.
    fn upgrade(&self, state: &mut State) -> io::Result<()> {
        let Some(lock) = self.lock.as_ref().filter(|_| state.is_old && !state.is_broken) else {
            return Ok(());
        };
        let (text, sum) = text_of(&state.ledger)?;
        self.replace(lock, state, &text, sum)
    }

    /// Puts this text, complete and on the disk, in the place of the file. As long as any of that fails the old one is
    /// there, and written on.
    fn replace(&self, lock: &Lock, state: &mut State, text: &[u8], sum: Sum) -> io::Result<()> {
        let directory = lock.directory();
        let ledger = decode(text).map_err(|error| io::Error::other(error.to_string()))?;
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
        (state.ledger, state.is_old) = (Ledger::of(&ledger.records), false);
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

    /// Writes records, all of them or none, and takes them into the ledger.
    fn write(&self, state: &mut State, records: &[&Record]) -> io::Result<()> {
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
        records.iter().for_each(|record| state.ledger.apply(record));
        Ok(())
    }

    /// Brings all that was written so far to the disk, when that is asked for. Of several who ask at once, one does it for
    /// all. Once that has failed nobody is told again that it has succeeded: what the system could not write it may have
    /// dropped, and a second `fsync` would not say so.
    fn sync(&self, durable: bool) -> io::Result<()> {
        if !durable {
            return Ok(());
        }
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

/// The shortest text that says what a ledger does, and the sum of its last record.
fn text_of(ledger: &Ledger) -> io::Result<(Vec<u8>, Sum)> {
    let (mut text, mut line, mut sum) = (Vec::new(), Vec::new(), FIRST);
    for record in ledger.records() {
        encode(&record, &mut sum, &mut line)?;
        text.extend_from_slice(&line);
    }
    Ok((text, sum))
}
