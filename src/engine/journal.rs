//! What a crash must not lose: a file in which the engine writes down what it is about to do.
//!
//! Before a run of a job starts, its intent is written; what it puts into its local storage, when `set` returns; and that
//! its cleanup has succeeded. What is still open when the next start reads the file is what that start owes.
//!
//! The rooms below know one thing each: the bytes ([`record`]), what they mean ([`ledger`]), one at a time ([`lock`]),
//! survivors ([`processes`]), where it is kept ([`place`]). This one has the file, and decides nothing.

mod diary;
pub(crate) mod ledger;
pub(crate) mod lock;
pub(crate) mod place;
pub(crate) mod processes;
pub(crate) mod record;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use self::ledger::Ledger;
use self::lock::{Holder, Lock};
use self::record::{Record, Unreadable, VERSION, decode, encode};
use crate::clock::{Clock, SystemClock, Wake};
use crate::context::args::Args;
use crate::context::diary::Page;
use crate::event::Failure;
use crate::secret::Redactor;

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
    /// What is in the file is not what was written.
    #[error(
        "{} is damaged at byte {offset}: {what}; it was left as it is. Cleanups may be owed for what it says: read it, put \
         things right by hand, and move it away",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where, counted from 0.
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
        let (ledger, _, _) = read(directory)?;
        Ok(Journal::new(directory, None, ledger, None, 0))
    }

    fn open_with(directory: &Path, limit: Option<Duration>) -> Result<Journal, JournalError> {
        let unusable = |doing, source| JournalError::Unusable { doing, path: directory.to_owned(), source };
        // To look first takes a moment, to make what is there already waits for whoever writes to the disk.
        if !directory.is_dir() {
            make_directory(directory).map_err(|source| unusable("make the state directory", source))?;
        }
        let Some(lock) =
            take_lock(directory, limit).map_err(|source| unusable("open the state directory", source))?
        else {
            let holder = lock::holder(directory);
            return Err(JournalError::Locked { directory: directory.to_owned(), holder });
        };
        let (ledger, whole, length) = read(directory)?;
        let mut file = None;
        if length > 0 {
            let path = directory.join(FILE);
            let unusable = |doing, source| JournalError::Unusable { doing, path: path.clone(), source };
            let opened = open_file(&path).map_err(|source| unusable("open the journal", source))?;
            if whole < length {
                opened
                    .set_len(whole)
                    .map_err(|source| unusable("cut the torn end of the journal", source))?;
            }
            file = Some(Arc::new(opened));
        }
        Ok(Journal::new(directory, Some(lock), ledger, file, whole))
    }

    fn new(
        directory: &Path,
        lock: Option<Lock>,
        ledger: Ledger,
        file: Option<Arc<File>>,
        length: u64,
    ) -> Self {
        let state = State {
            ledger,
            file,
            is_new: false,
            length,
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

fn take_lock(directory: &Path, limit: Option<Duration>) -> io::Result<Option<Lock>> {
    let clock = SystemClock::new();
    loop {
        if let Some(lock) = Lock::take(directory)? {
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

/// Makes a directory and those above it that are missing, and brings their names to the disk.
fn make_directory(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What the journal in a directory says, how long its whole records are, and how long it is.
fn read(directory: &Path) -> Result<(Ledger, u64, u64), JournalError> {
    let file = directory.join(FILE);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Ledger::default(), 0, 0)),
        Err(source) => return Err(JournalError::Unusable { doing: "read the journal", path: file, source }),
    };
    match decode(&text) {
        Ok(decoded) => Ok((Ledger::of(&decoded.records), decoded.whole as u64, text.len() as u64)),
        Err(Unreadable::Corrupt { offset, what }) => Err(JournalError::Damaged { file, offset, what }),
        Err(Unreadable::Newer { found }) => Err(JournalError::Newer { file, found }),
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
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
    pub(crate) fn begin(&self, at: Timestamp, revert: bool, args: &Args, redactor: &Redactor) {
        let mut state = self.state();
        let pid = std::process::id();
        // Two convergences of one process may begin in the same instant of a clock that stands still.
        let run = format!("{at}/{pid}/{}", state.ledger.next());
        state.run = run.as_str().into();
        let (args, positional) = args.without_secrets(redactor);
        state.has_begun = false;
        state.start = Some(Record::Start { run, at, pid, boot: None, revert, args, positional });
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

    /// Things are going to be taken back, for these failures.
    pub(crate) fn undo(&self, failures: BTreeMap<String, Failure>, durable: bool) -> io::Result<()> {
        self.append(&Record::Undo { failures }, durable)
    }

    /// A convergence has ended by itself: what is not open any more can be forgotten.
    pub(crate) fn end(&self, converged: bool) -> io::Result<()> {
        let mut state = self.state();
        state.start = None;
        let end = Record::End { converged };
        let has_begun = std::mem::take(&mut state.has_begun);
        if has_begun || state.ledger.is_changed_by_end(converged) {
            self.write(&mut state, &[&end])?;
        }
        self.compact(&mut state)
    }

    /// Makes the file as short as what it says.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        let mut state = self.state();
        self.compact(&mut state)
    }

    /// Removes the file where it says nothing any more, and rewrites it where it says little in many words.
    fn compact(&self, state: &mut State) -> io::Result<()> {
        if state.file.is_none() || self.lock.is_none() {
            return Ok(());
        }
        if state.ledger.is_empty() {
            self.step(|| std::fs::remove_file(self.path()))?;
            (state.file, state.length, state.ledger) = (None, 0, Ledger::default());
            // Where nothing was to survive power loss, what comes back after it is paid once more, and that is all.
            return self.sync_names(lock(&self.synced).up_to > 0);
        }
        if state.length <= SMALL {
            return Ok(());
        }
        let mut text = Vec::new();
        let mut line = Vec::new();
        for record in state.ledger.records() {
            encode(&record, &mut line)?;
            text.extend_from_slice(&line);
        }
        let length = text.len() as u64;
        if length * 2 > state.length {
            return Ok(());
        }
        let next = self.directory.join(NEXT);
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
        file.write_all(&text)?;
        file.sync_all()?;
        self.step(|| std::fs::rename(&next, self.path()))?;
        self.lock.as_ref().map_or(Ok(()), Lock::sync_names)?;
        state.ledger =
            Ledger::of(&decode(&text).map_err(|error| io::Error::other(error.to_string()))?.records);
        (state.file, state.length) = (Some(Arc::new(open_file(&self.path())?)), length);
        Ok(())
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
        if self.lock.is_none() {
            return Err(io::Error::other("the journal was opened only to be looked at"));
        }
        if state.is_broken {
            return Err(io::Error::other("the journal could not be written to before"));
        }
        let mut text = Vec::with_capacity(256);
        if state.length == 0 {
            encode(&Record::Journal { version: VERSION }, &mut state.line)?;
            text.extend_from_slice(&state.line);
        }
        for record in records {
            encode(record, &mut state.line)?;
            text.extend_from_slice(&state.line);
        }
        let file = match &state.file {
            Some(file) => file.clone(),
            None => {
                let file = Arc::new(open_file(&self.path())?);
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
