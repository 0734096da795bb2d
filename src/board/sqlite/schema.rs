//! The tables, and how a file of an earlier version gets them.
//!
//! Migrations are counted by `user_version`, and each is made in one transaction, so that several processes may open a file at
//! once and one of them makes it.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::fault::Fault;
use crate::board::error::BoardError;

/// What marks a SQLite file as a board: "dojb".
const APPLICATION: i64 = 0x646f_6a62;

/// What leads from each version to the next one, the first from an empty file. What has been released is never changed.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE posting (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        flow TEXT NOT NULL,
        priority INTEGER NOT NULL,
        -- As it was posted, in nanoseconds since 1970, like every time of day.
        posted_not_before INTEGER,
        posted_at INTEGER NOT NULL,
        changed_at INTEGER NOT NULL,
        state TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        term INTEGER NOT NULL,
        position INTEGER NOT NULL,
        entries INTEGER NOT NULL,
        -- The owner: all of these, or none.
        conductor TEXT,
        host TEXT,
        lease_boot TEXT,
        -- In nanoseconds since that boot.
        lease_until INTEGER,
        was_taken_away INTEGER NOT NULL,
        not_before INTEGER,
        only_host TEXT,
        requested INTEGER NOT NULL,
        answered INTEGER NOT NULL
    ) STRICT;
    -- Who looks for work does not wade through what is claimed.
    CREATE INDEX posting_waiting ON posting (priority DESC, number) WHERE is_open AND conductor IS NULL;
    CREATE INDEX posting_claimed ON posting (lease_boot, lease_until) WHERE conductor IS NOT NULL;
    CREATE INDEX posting_closed ON posting (changed_at) WHERE NOT is_open;
    -- Apart from what changes, since SQLite writes rows as a whole.
    CREATE TABLE body (number INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    -- slot: the posting's number times 2^32, plus the entry's own. So a log is in one place, and needs no other index.
    CREATE TABLE entry (
        slot INTEGER PRIMARY KEY,
        term INTEGER NOT NULL,
        position INTEGER,
        at INTEGER NOT NULL,
        -- One of the two.
        step TEXT,
        fact TEXT
    ) STRICT;
    CREATE TABLE request (slot INTEGER PRIMARY KEY, at INTEGER NOT NULL, request TEXT NOT NULL) STRICT;
    CREATE TABLE key (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"];

/// The version that is written.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// Sets a connection up, and brings the file to the present version.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Fault> {
    connection.pragma_update_and_check(None, "journal_size_limit", 64 * 1024 * 1024, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // In one transaction, since another process may be in the middle of making it a board.
    let tx = Transaction::new(connection, TransactionBehavior::Deferred)?;
    let is_current = check(&version_of(&tx)?, path)?;
    drop(tx);
    if is_current {
        return Ok(());
    }
    // Only now, since it is written to the file, which might not have been a board.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let tx = Transaction::new(connection, TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = version_of(&tx)?;
    if !check(&found, path)? {
        for migration in MIGRATIONS.iter().skip(usize::try_from(found.version).unwrap_or_default()) {
            tx.execute_batch(migration)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", VERSION)?;
    }
    tx.commit()?;
    Ok(())
}

struct Found {
    application: i64,
    version: i64,
    tables: i64,
}

fn version_of(connection: &Connection) -> Result<Found, rusqlite::Error> {
    let one = |sql: &str| connection.query_row(sql, (), |row| row.get(0));
    Ok(Found {
        application: one("PRAGMA application_id")?,
        version: one("PRAGMA user_version")?,
        tables: one("SELECT count(*) FROM sqlite_schema")?,
    })
}

/// Whether a file is of the present version; refuses one that cannot be brought to it.
fn check(found: &Found, path: &Path) -> Result<bool, Fault> {
    let location = path.display().to_string();
    match *found {
        Found { application: APPLICATION, version, .. } if version > VERSION => {
            Err(BoardError::Newer { location, found: version, known: VERSION }.into())
        }
        Found { application: APPLICATION, version, .. } => Ok(version == VERSION),
        Found { application: 0, version: 0, tables: 0 } => Ok(false),
        _ => {
            let what = "it is a SQLite database of another program".to_owned();
            Err(BoardError::NotABoard { location, what }.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(batch: &str) -> String {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(batch).unwrap();
        match prepare(&mut connection, Path::new("board.db")) {
            Err(Fault::Refused(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_of_another_program_is_left_as_it_is() {
        let expected =
            "board.db is not a board: it is a SQLite database of another program; it was left as it is";
        assert_eq!(refusal("CREATE TABLE people (name TEXT)"), expected);
        assert_eq!(refusal("PRAGMA application_id = 7; PRAGMA user_version = 1"), expected);
    }

    #[test]
    fn a_file_of_a_newer_version_is_left_as_it_is() {
        let batch = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 99");
        assert_eq!(
            refusal(&batch),
            "board.db was written by a newer version (format 99; this program knows up to 1); it was left as it is"
        );
    }

    #[test]
    fn a_file_that_is_prepared_is_not_prepared_again() {
        let mut connection = Connection::open_in_memory().unwrap();
        prepare(&mut connection, Path::new("board.db")).unwrap();
        connection.execute_batch("INSERT INTO key VALUES ('k', x'00')").unwrap();
        prepare(&mut connection, Path::new("board.db")).unwrap();
        let keys: i64 = connection.query_row("SELECT count(*) FROM key", (), |row| row.get(0)).unwrap();
        assert_eq!(keys, 1);
    }
}
