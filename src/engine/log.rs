//! What a crash must not lose: a log of records, each written before the effect that it announces.
//!
//! The engine, recovery and rollback know this trait alone; a store is a file on this machine, or a posting on a board. What the
//! records mean is their [`fold`], which is the same for every store.

#[cfg(test)]
pub(crate) mod conformance;
pub(crate) mod fold;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod record;

use std::io;

use self::fold::AtWork;
use self::record::Record;

/// Why a log did not do what was asked of it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another owner has taken over, with this term.
    #[error("another owner has taken over, with term {term}")]
    Fenced {
        /// Its term.
        term: u64,
    },
    /// Something else stands, or has to stand first, at this position.
    #[error("position {position} is not the next one in the log")]
    Conflict {
        /// The position that was given.
        position: u64,
    },
    /// The log is not there any more.
    #[error("the log is gone")]
    Gone,
    /// The store could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Io(error) => error,
            error => io::Error::other(error),
        }
    }
}

/// A sequence of records that survives the process.
///
/// Its owner has a *term*, and counts the records that it has appended in that term: their *positions*, from 0. A log has one
/// owner at a time; one that was taken over from is refused, never merged.
pub trait Log: Send + Sync {
    /// The term of its owner, when it was opened.
    fn term(&self) -> u64;

    /// Appends records, all of them or none, the first of them at `position`. When it returns they survive the process. The
    /// same append again, word for word, is accepted and changes nothing: the answer to the first may have been lost.
    ///
    /// # Errors
    /// [`LogError`]
    fn append(&self, term: u64, position: u64, records: &[Record]) -> Result<(), LogError>;

    /// Returns once everything that was appended so far survives power loss. Of several callers at once, one does it for all.
    ///
    /// # Errors
    /// [`LogError`]
    fn sync(&self) -> Result<(), LogError>;

    /// All records, the oldest first.
    ///
    /// # Errors
    /// [`LogError`]
    fn read(&self) -> Result<Vec<Record>, LogError>;

    /// Replaces everything by records that say the same, so that a log does not grow for ever. A store may leave it at what it
    /// has, where little would be gained. Positions go on as before.
    ///
    /// # Errors
    /// [`LogError`]
    fn snapshot(&self, term: u64, records: &[Record]) -> Result<(), LogError>;

    /// Whether it has grown so that a snapshot may be worth its price.
    fn is_long(&self) -> bool;

    /// Whether nothing can be appended, since it was opened for reading.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Where it is, for messages.
    fn location(&self) -> String;

    /// The machine that facts of the host are about; `None` where none are kept.
    fn host(&self) -> Option<&dyn Host> {
        None
    }
}

/// The machine on which a log of it is kept.
pub trait Host {
    /// Which start of the machine this is, where that can be told.
    fn boot(&self) -> Option<String>;

    /// When a process was started, in ticks since the machine's start, where that can be told.
    fn start_ticks(&self, pid: i32) -> Option<u64>;

    /// Ends what is left of a command that an earlier convergence has started, and returns how many processes that were.
    ///
    /// # Errors
    /// When one cannot be ended.
    fn end_survivors(&self, command: &AtWork, run: &str) -> io::Result<usize>;
}
