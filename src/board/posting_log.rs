//! The log of a posting as the engine knows it: a [`Log`] over a claim of a board.
//!
//! Knows which records leave the machine and which do not; neither jobs nor how a board stores anything.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::contract::Board;
use super::error::BoardError;
use super::lease::Now;
use super::values::{Append, Claim, Durability, Item, PostingId};
use crate::engine::log::record::Record;
use crate::engine::log::{Log, LogError};
use crate::flow::fact::Fact;

/// A log with more facts than this may be worth a snapshot.
const LONG: usize = 500;
/// How many entries are read at a time.
const PAGE: usize = 1000;

/// The log of a claimed posting, for [`Engine::journal`](crate::Engine::journal): what the engine writes down is kept on the
/// board, so that whoever claims the posting next can go on with it.
///
/// What is true on one machine alone stays out of it: process groups of commands, the boot and the working directory. The next owner
/// may be another machine, and it pays cleanups and reverts in its own working directory.
pub struct PostingLog {
    board: Arc<dyn Board>,
    posting: PostingId,
    term: u64,
    now: Box<dyn Fn() -> Now + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many records the engine has appended, and the last of its appends.
    records: u64,
    last: Option<(u64, Vec<Record>)>,
    /// How many items were appended to the board in this term.
    position: u64,
    /// What may be on the board or not. Before anything else it is sent again.
    unanswered: Option<Batch>,
    /// Whether something was appended that the loss of power may undo.
    is_relaxed: bool,
    /// How many facts there are, as far as is known.
    length: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Batch {
    items: Vec<Item>,
    replaces: bool,
    durability: Durability,
}

impl PostingLog {
    /// The log of the posting that was claimed, before anything was appended to it in that term. `now`: the time at which each append is made.
    pub fn new(
        board: Arc<dyn Board>,
        claim: &Claim,
        now: impl Fn() -> Now + Send + Sync + 'static,
    ) -> PostingLog {
        let (posting, term) = (claim.posting.id.clone(), claim.term);
        PostingLog { board, posting, term, now: Box::new(now), state: Mutex::default() }
    }

    /// Appends steps of the posting, after everything that the engine has appended. What was appended before survives the loss of
    /// power then too, as far as the board promises that.
    ///
    /// # Errors
    /// As [`Board::append`].
    pub fn append_steps(&self, steps: impl IntoIterator<Item = crate::flow::Step>) -> Result<(), BoardError> {
        let items = steps.into_iter().map(Item::Step).collect();
        self.send(&mut self.state(), Batch { items, replaces: false, durability: Durability::Full })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a batch at the next position, after the one that was not answered, if any. That one again is sent once.
    fn send(&self, state: &mut State, batch: Batch) -> Result<(), BoardError> {
        if let Some(earlier) = state.unanswered.take() {
            let is_same = earlier == batch;
            self.deliver(state, earlier)?;
            if is_same {
                return Ok(());
            }
        }
        self.deliver(state, batch)
    }

    fn deliver(&self, state: &mut State, batch: Batch) -> Result<(), BoardError> {
        let append = Append {
            posting: &self.posting,
            term: self.term,
            position: state.position,
            items: &batch.items,
            replaces: batch.replaces,
            durability: batch.durability,
        };
        match self.board.append(&(self.now)(), &append) {
            Ok(_) => {
                state.position += batch.items.len() as u64;
                state.is_relaxed = batch.durability == Durability::Relaxed;
                state.length = batch.items.len() + if batch.replaces { 0 } else { state.length };
                Ok(())
            }
            Err(error) => {
                if error.is_transient() {
                    state.unanswered = Some(batch);
                }
                Err(error)
            }
        }
    }

    fn facts(&self) -> Result<Vec<Fact>, LogError> {
        let mut facts = Vec::new();
        let mut after = 0;
        loop {
            let page = self.board.read(&self.posting, after, Some(PAGE)).map_err(into_log_error)?;
            let Some(last) = page.last() else { return Ok(facts) };
            after = last.number;
            for entry in page {
                let Item::Fact(text) = entry.item else { continue };
                let unreadable = |error| {
                    let what = format!("entry {} of {} cannot be read: {error}", entry.number, self.location());
                    LogError::Io(io::Error::new(io::ErrorKind::InvalidData, what))
                };
                facts.push(serde_json::from_str(&text).map_err(unreadable)?);
            }
        }
    }
}

impl fmt::Debug for PostingLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PostingLog { posting, term, .. } = self;
        f.debug_struct("PostingLog").field("posting", posting).field("term", term).finish_non_exhaustive()
    }
}

fn into_log_error(error: BoardError) -> LogError {
    match error {
        BoardError::Fenced { term, .. } => LogError::Fenced { term },
        BoardError::Conflict { position, .. } => LogError::Conflict { position },
        BoardError::Gone { .. } => LogError::Gone,
        error => LogError::Io(io::Error::other(error)),
    }
}

/// What of a record may leave the machine; `None`: nothing.
fn leaves_the_machine(record: &Record) -> Option<Record> {
    match record {
        Record::Journal { .. }
        | Record::Starting { .. }
        | Record::Spawned { .. }
        | Record::Finished { .. }
        | Record::Ended { .. } => None,
        Record::Start { run, at, revert, args, positional, pid: _, boot: _, directory: _ } => {
            Some(Record::Start {
                run: run.clone(),
                at: *at,
                // No process has this number.
                pid: 0,
                boot: None,
                revert: *revert,
                directory: None,
                args: args.clone(),
                positional: positional.clone(),
            })
        }
        record => Some(record.clone()),
    }
}

/// Whether a record announces an effect on the world, so that it must not be lost once that was begun.
fn announces_an_effect(record: &Record) -> bool {
    matches!(
        record,
        Record::Start { .. }
            | Record::Intent { .. }
            | Record::Set { .. }
            | Record::Unset { .. }
            | Record::Undo { .. }
    )
}

fn items(records: &[Record]) -> Result<Vec<Item>, LogError> {
    let text = |record| serde_json::to_string(&Fact::Engine(record)).map(Item::Fact);
    let items = records.iter().filter_map(leaves_the_machine).map(text);
    items.collect::<Result<_, _>>().map_err(|error| LogError::Io(error.into()))
}

impl Log for PostingLog {
    fn term(&self) -> u64 {
        self.term
    }

    fn append(&self, term: u64, position: u64, records: &[Record]) -> Result<(), LogError> {
        if term != self.term {
            return Err(LogError::Fenced { term: self.term });
        }
        let mut state = self.state();
        if state.last.as_ref().is_some_and(|(at, last)| *at == position && last == records) {
            return Ok(());
        }
        if position != state.records {
            return Err(LogError::Conflict { position });
        }
        let items = items(records)?;
        if !items.is_empty() {
            let announces = records.iter().any(announces_an_effect);
            let durability = if announces { Durability::Full } else { Durability::Relaxed };
            self.send(&mut state, Batch { items, replaces: false, durability }).map_err(into_log_error)?;
        }
        state.records += records.len() as u64;
        state.last = Some((position, records.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        let mut state = self.state();
        if !state.is_relaxed && state.unanswered.is_none() {
            return Ok(());
        }
        let nothing = Batch { items: Vec::new(), replaces: false, durability: Durability::Full };
        self.send(&mut state, nothing).map_err(into_log_error)
    }

    fn read(&self) -> Result<Vec<Record>, LogError> {
        let mut state = self.state();
        let facts = self.facts()?;
        state.length = facts.len();
        let records = facts.into_iter().map(|fact| match fact {
            Fact::Engine(record) => record,
        });
        Ok(records.collect())
    }

    fn snapshot(&self, term: u64, records: &[Record]) -> Result<(), LogError> {
        if term != self.term {
            return Err(LogError::Fenced { term: self.term });
        }
        let mut state = self.state();
        let items = items(records)?;
        let batch = Batch { items, replaces: true, durability: Durability::Full };
        self.send(&mut state, batch).map_err(into_log_error)
    }

    fn is_long(&self) -> bool {
        self.state().length > LONG
    }

    fn location(&self) -> String {
        format!("the log of {} on the board", self.posting)
    }
}
