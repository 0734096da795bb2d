//! The file: two connections to it, transactions on them, and patience with those who have it locked.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::backoff::{Random, pause};
use super::durable::Durable;
use super::fault::{Fault, into_error, is_busy};
use super::schema;
use crate::board::error::BoardError;
use crate::board::values::Durability;
use crate::clock::{Clock, SystemClock, Wake};

pub(super) struct Store {
    path: PathBuf,
    /// Of several threads one writes at a time, as of several processes. Reading goes on beside it.
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// `None`: full durability is not asked for.
    durable: Option<Durable>,
    patience: Patience,
}

/// How long somebody waits for a file that others have locked.
struct Patience {
    limit: Duration,
    clock: SystemClock,
    random: Random,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub(super) fn open(path: &Path, full: Durability, limit: Duration) -> Result<Store, BoardError> {
        let patience = Patience { limit, clock: SystemClock::new(), random: Random::new() };
        // SQLite gives the files beside it the mode of this one.
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|source| BoardError::Io { location: path.display().to_string(), source })?;
        let mut writer = connect(path)?;
        patience.bear(path, || schema::prepare(&mut writer, path))?;
        let mut reader = connect(path)?;
        patience.bear(path, || schema::prepare(&mut reader, path))?;
        let durable = (full == Durability::Full).then(|| Durable::new(path));
        let (writer, reader) = (Mutex::new(writer), Mutex::new(reader));
        Ok(Store { path: path.to_owned(), writer, reader, durable, patience })
    }

    pub(super) fn location(&self) -> String {
        self.path.display().to_string()
    }

    /// Another connection, for somebody who only looks.
    pub(super) fn another(&self) -> Result<Connection, BoardError> {
        connect(&self.path)
    }

    pub(super) fn io(&self, source: io::Error) -> BoardError {
        BoardError::Io { location: self.location(), source }
    }

    /// Makes one transaction that writes. `work` is called again where others were in the way.
    pub(super) fn write<T>(
        &self,
        durability: Durability,
        mut work: impl FnMut(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, BoardError> {
        let mut writer = lock(&self.writer);
        let value = self.patience.bear(&self.path, || {
            // The write lock is taken at the start: a transaction that reads first and writes then may have to be given up.
            let tx = Transaction::new(&mut writer, TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })?;
        let Some(durable) = &self.durable else { return Ok(value) };
        let commit = durable.committed();
        // Others go on while the disk works.
        drop(writer);
        if durability == Durability::Full {
            durable.sync(commit).map_err(|source| self.io(source))?;
        }
        Ok(value)
    }

    /// Makes one transaction that only reads: all that it sees is of one instant.
    pub(super) fn read<T>(
        &self,
        mut work: impl FnMut(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, BoardError> {
        let mut reader = lock(&self.reader);
        self.patience.bear(&self.path, || {
            let tx = Transaction::new(&mut reader, TransactionBehavior::Deferred)?;
            work(&tx)
        })
    }
}

impl Patience {
    /// Tries again while others have the file locked, and at last gives up.
    fn bear<T>(&self, path: &Path, mut work: impl FnMut() -> Result<T, Fault>) -> Result<T, BoardError> {
        let began = self.clock.now();
        let mut tries = 0;
        loop {
            let fault = match work() {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let waited = self.clock.now().saturating_sub(began);
            if !is_busy(&fault) || waited >= self.limit {
                return Err(into_error(fault, path, waited));
            }
            let until = self.clock.now() + pause(tries, self.random.next());
            self.clock.wait(Some(until), &Wake::default());
            tries += 1;
        }
    }
}

fn connect(path: &Path) -> Result<Connection, BoardError> {
    // One thread at a time has a connection, so that SQLite need not see to it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    let quick = connection.and_then(|connection| {
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    });
    quick.map_err(|error| into_error(error.into(), path, Duration::ZERO))
}
