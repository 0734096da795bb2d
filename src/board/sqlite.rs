//! A board in a SQLite file, which any number of processes of one machine share.
//!
//! Decides nothing itself: see [`rules`](super::rules). Knows how a call becomes one transaction; the file and who waits for it are
//! [`store`]'s business, the text of the statements [`rows`]'.

mod backoff;
mod durable;
mod fault;
mod rows;
mod schema;

mod store;
mod wake_file;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Transaction;

use self::fault::Fault;
use self::rows::Row;
use self::store::Store;
use self::wake_file::WakeFile;
use super::contract::{Board, Watching};
use super::error::BoardError;
use super::lease::Now;
use super::rules::{self, Verdict};
use super::values::{
    Accepted, Append, Claim, ClaimRequest, Discard, Durability, Entry, Held, Item, KeyChange, NewPosting,
    Posting, PostingId, Query, Release, Renewal, Request,
};
use crate::clock::Wake;
use crate::flow::state::Step;

/// How a [`SqliteBoard`] is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// What [`Durability::Full`] comes to: with it, the loss of power loses nothing that was answered; with
    /// [`Relaxed`](Durability::Relaxed) it may lose the last calls, and the board stays whole.
    /// The death of processes loses nothing either way.
    pub durability: Durability,
    /// How long a call waits for others before it is refused with [`BoardError::Busy`].
    pub patience: Duration,
    /// How often a watch looks whether something has changed of which it was not told.
    pub poll: Duration,
}

impl Default for SqliteOptions {
    /// Durable, with 30 s of patience and two polls a second.
    fn default() -> Self {
        SqliteOptions {
            durability: Durability::Full,
            patience: Duration::from_secs(30),
            poll: Duration::from_millis(500),
        }
    }
}

/// A board in a SQLite file, shared by the processes of one machine.
///
/// Beside `PATH` there are SQLite's `PATH-wal` and `PATH-shm`, and `PATH-wake`, which is written to so that others wake up. The file
/// has to be on a disk of the machine: SQLite's write-ahead log does not work over a network. It is made for its owner
/// alone; whoever may write it decides what conductors run.
///
/// What was answered survives the death of any process. With [`Durability::Full`], the default, it also survives the loss of
/// power, as far as the disk keeps what it has confirmed. What may be lost then, and nothing else: renewals, what is appended with
/// [`Durability::Relaxed`], and a claim after which nothing else was appended; a later claim then has its term.
///
/// Leases are counted on `CLOCK_BOOTTIME`, so all processes have to see the same one, and those of another boot have run out.
pub struct SqliteBoard {
    store: Store,
    wake_file: WakeFile,
    poll: Duration,
}

impl SqliteBoard {
    /// Opens the board in this file, which is made where it is missing, and brings one of an earlier version to the present one.
    /// Any number of processes may do so at once.
    ///
    /// # Errors
    /// [`BoardError::Newer`], [`BoardError::NotABoard`], or when the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteBoard, BoardError> {
        SqliteBoard::open_with(path, SqliteOptions::default())
    }

    /// As [`open`](SqliteBoard::open), used otherwise than usual.
    ///
    /// # Errors
    /// As those of `open`.
    pub fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<SqliteBoard, BoardError> {
        let store = Store::open(path.as_ref(), options.durability, options.patience)?;
        let wake_file = WakeFile::open(path.as_ref()).map_err(|source| store.io(source))?;
        Ok(SqliteBoard { store, wake_file, poll: options.poll })
    }

    fn write<T>(
        &self,
        durability: Durability,
        work: impl FnMut(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, BoardError> {
        self.store.write(durability, work)
    }
}

impl std::fmt::Debug for SqliteBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteBoard").field("location", &self.store.location()).finish_non_exhaustive()
    }
}

fn gone(posting: &PostingId) -> Fault {
    BoardError::Gone { posting: posting.clone() }.into()
}

fn find(tx: &Transaction<'_>, posting: &PostingId) -> Result<Row, Fault> {
    rows::find(tx, posting)?.ok_or_else(|| gone(posting))
}

/// Writes a step of the board itself, and with it the posting as it is then.
fn write_step(tx: &Transaction<'_>, now: &Now, row: &mut Row, step: Step) -> Result<(), Fault> {
    row.changed_at = now.wall;
    let standing = &row.standing;
    let entry = Entry {
        number: standing.entries,
        term: standing.term,
        position: None,
        at: now.wall,
        item: Item::Step(step),
    };
    rows::insert_entry(tx, standing.number, &entry)?;
    rows::update(tx, row)?;
    Ok(())
}

fn write_append(
    tx: &Transaction<'_>,
    now: &Now,
    row: &mut Row,
    append: &Append<'_>,
    first: u64,
) -> Result<(), Fault> {
    let number = row.standing.number;
    if append.replaces {
        rows::delete_facts(tx, number)?;
    }
    for ((position, entry), item) in (append.position..).zip(first..).zip(append.items) {
        if matches!(item, Item::Step(_)) {
            row.changed_at = now.wall;
        }
        let item = item.clone();
        let entry = Entry { number: entry, term: append.term, position: Some(position), at: now.wall, item };
        rows::insert_entry(tx, number, &entry)?;
    }
    rows::update(tx, row)?;
    Ok(())
}

fn set_key(tx: &Transaction<'_>, change: &KeyChange) -> Result<(), Fault> {
    rules::expect_key(change, rows::key(tx, &change.key)?.as_deref())?;
    rows::set_key(tx, &change.key, change.new.as_deref())?;
    Ok(())
}

impl Board for SqliteBoard {
    fn post(&self, now: &Now, posting: &NewPosting) -> Result<Accepted, BoardError> {
        rules::fits_post(posting)?;
        let accepted = self.write(Durability::Full, |tx| {
            if let Some(there) = rows::content(tx, &posting.id)? {
                return Ok(there.content().posted_again(posting)?);
            }
            if let Some(change) = &posting.key {
                set_key(tx, change)?;
            }
            rows::insert(tx, now, posting)?;
            Ok(Accepted::Now)
        })?;
        self.wake_file.poke();
        Ok(accepted)
    }

    fn postings(&self, query: &Query) -> Result<Vec<Posting>, BoardError> {
        self.store.read(|tx| Ok(rows::list(tx, query)?))
    }

    fn claim(&self, now: &Now, request: &ClaimRequest) -> Result<Option<Claim>, BoardError> {
        rules::fits_claim(request)?;
        // A look without the write lock: whoever finds nothing holds up nobody.
        if self.store.read(|tx| Ok(rows::next(tx, now, request)?))?.is_none() {
            return Ok(None);
        }
        // The first append that has to survive the loss of power brings the claim to the disk with it. Before that nothing was
        // begun, so that a claim that is lost, and whose term is then another's, has done nothing.
        self.write(Durability::Relaxed, |tx| {
            let Some(mut row) = rows::next(tx, now, request)? else { return Ok(None) };
            let (after, step) = row.standing.claimed(now, request);
            row.standing = after;
            write_step(tx, now, &mut row, step)?;
            let body = rows::body(tx, row.standing.number)?;
            let requests = rows::open_requests(tx, &row.standing)?;
            let lease = row.standing.owner.as_ref().map(|owner| owner.lease.clone());
            let term = row.standing.term;
            let posting = row.into_posting(Some(body), requests);
            Ok(lease.map(|lease| Claim { posting, term, lease }))
        })
    }

    fn renew(&self, now: &Now, held: &[Held], lease: Duration) -> Result<Vec<Renewal>, BoardError> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        // After the loss of power the lease would have run out anyhow.
        self.write(Durability::Relaxed, |tx| {
            let mut renewed = Vec::with_capacity(held.len());
            for held in held {
                let row = rows::find(tx, &held.posting)?;
                let after = row.as_ref().and_then(|row| row.standing.renewed(now, held, lease));
                renewed.push(match after.as_ref().and_then(|after| Some((after, after.owner.as_ref()?))) {
                    None => Renewal::Lost,
                    Some((after, owner)) => {
                        rows::set_lease(tx, after.number, &owner.lease)?;
                        let requests = rows::open_requests(tx, after)?;
                        Renewal::Kept { lease: owner.lease.clone(), requests }
                    }
                });
            }
            Ok(renewed)
        })
    }

    fn append(&self, now: &Now, append: &Append<'_>) -> Result<Accepted, BoardError> {
        let (accepted, closed) = self.write(append.durability, |tx| {
            let mut row = find(tx, append.posting)?;
            match row.standing.judge(append)? {
                Verdict::Compare => {
                    let there = rows::appended_at(tx, row.standing.number, append)?;
                    Ok((row.standing.compare(append, &there)?, false))
                }
                Verdict::Write(after) => {
                    let first = row.standing.entries + 1;
                    row.standing = *after;
                    write_append(tx, now, &mut row, append, first)?;
                    Ok((Accepted::Now, !row.standing.state.is_open()))
                }
            }
        })?;
        if closed {
            self.wake_file.poke();
        }
        Ok(accepted)
    }

    fn read(&self, posting: &PostingId, after: u64, limit: Option<usize>) -> Result<Vec<Entry>, BoardError> {
        self.store.read(|tx| {
            let number = rows::number(tx, posting)?.ok_or_else(|| gone(posting))?;
            Ok(rows::entries(tx, number, after, limit)?)
        })
    }

    fn request(&self, now: &Now, posting: &PostingId, request: Request) -> Result<u64, BoardError> {
        let number = self.write(Durability::Full, |tx| {
            let mut row = find(tx, posting)?;
            let (after, step) = row.standing.requested(posting, request)?;
            row.standing = after;
            let number = row.standing.requested;
            rows::insert_request(tx, &row.standing, now, request)?;
            match step {
                Some(step) => write_step(tx, now, &mut row, step)?,
                None => rows::update(tx, &row)?,
            }
            Ok(number)
        })?;
        self.wake_file.poke();
        Ok(number)
    }

    fn release(&self, now: &Now, release: &Release) -> Result<Accepted, BoardError> {
        rules::fits_release(release)?;
        let accepted = self.write(Durability::Full, |tx| {
            let mut row = find(tx, &release.posting)?;
            let Some((after, step)) = row.standing.released(release)? else { return Ok(Accepted::Before) };
            row.standing = after;
            write_step(tx, now, &mut row, step)?;
            Ok(Accepted::Now)
        })?;
        self.wake_file.poke();
        Ok(accepted)
    }

    fn key(&self, key: &str) -> Result<Option<Vec<u8>>, BoardError> {
        self.store.read(|tx| Ok(rows::key(tx, key)?))
    }

    fn compare_and_set(&self, change: &KeyChange) -> Result<(), BoardError> {
        rules::fits_key(change)?;
        self.write(Durability::Full, |tx| set_key(tx, change))?;
        self.wake_file.poke();
        Ok(())
    }

    fn watch(&self, wake: Arc<Wake>) -> Result<Watching, BoardError> {
        let look = self.store.another()?;
        let watcher = self.wake_file.watch(look, self.poll, wake).map_err(|source| self.store.io(source))?;
        Ok(Watching::new(watcher))
    }

    fn gc(&self, discard: &Discard) -> Result<u64, BoardError> {
        self.write(Durability::Full, |tx| {
            let numbers = match discard {
                Discard::Posting(id) => {
                    let row = find(tx, id)?;
                    rules::is_removable(id, row.standing.state)?;
                    vec![row.standing.number]
                }
                Discard::ClosedBefore(time) => rows::closed_before(tx, *time)?,
            };
            for number in &numbers {
                rows::remove(tx, *number)?;
            }
            Ok(numbers.len() as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_refuses_and_goes_on_once_there_is_room() {
        let directory = tempfile::TempDir::new().unwrap();
        let board = SqliteBoard::open(directory.path().join("board.db")).unwrap();
        let now = Now::of_this_machine();
        let large =
            |name: &str| NewPosting::new(PostingId::new(name).unwrap(), "a flow", vec![b'x'; 900_000]);
        // A limit on the size of the file is answered as a full disk is.
        let limit = |pages: u32| {
            board
                .write(Durability::Full, |tx| {
                    Ok(tx.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
                })
                .unwrap();
        };
        limit(300);
        board.post(&now, &large("a")).unwrap();
        let error = board.post(&now, &large("b")).unwrap_err();
        assert!(
            matches!(&error, BoardError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
            "{error}"
        );
        limit(u32::MAX - 1);
        board.post(&now, &large("b")).unwrap();
        assert_eq!(board.postings(&Query::all()).unwrap().len(), 2);
    }
}
