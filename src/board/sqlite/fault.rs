//! Why a transaction was given up: by the board's rules, or by SQLite.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::board::error::BoardError;

/// Why a transaction was given up.
#[derive(Debug)]
pub(super) enum Fault {
    /// The board's rules refuse it.
    Refused(BoardError),
    /// SQLite does.
    Sqlite(rusqlite::Error),
}

impl From<BoardError> for Fault {
    fn from(error: BoardError) -> Self {
        Fault::Refused(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

/// Whether others are in the way, and it may be tried again.
pub(super) fn is_busy(fault: &Fault) -> bool {
    let Fault::Sqlite(error) = fault else { return false };
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What the caller is told. `waited`: for how long others were in the way.
pub(super) fn into_error(fault: Fault, path: &Path, waited: Duration) -> BoardError {
    let location = path.display().to_string();
    let error = match fault {
        Fault::Refused(error) => return error,
        fault if is_busy(&fault) => return BoardError::Busy { location, waited },
        Fault::Sqlite(error) => error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            BoardError::NotABoard { location, what: error.to_string() }
        }
        Some(ErrorCode::DiskFull) => {
            BoardError::Io { location, source: io::Error::new(io::ErrorKind::StorageFull, error) }
        }
        _ => BoardError::Io { location, source: io::Error::other(error) },
    }
}
