//! The log of a posting as the engine knows it: a [`Log`] over a claim of a board.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::contract::Board;
use super::error::BoardError;
use super::history::{self, HistoryError};
use super::lease::Now;
use super::values::{Append, Claim, Durability, Entry, Item, PostingId};
use crate::engine::log::record::Record;
use crate::engine::log::{Log, LogError};
use crate::event::{Event, Observer};
use crate::flow::fact::{Fact, JobFact};
use crate::flow::{History, Step};

/// A log with more facts than this may be worth a snapshot.
const LONG: usize = 500;
/// How much of what was told goes with one append, in bytes, and how long a single piece may be.
const TOLD_AT_ONCE: usize = 128 * 1024;
const TOLD_IN_ONE: usize = 64 * 1024;

/// The log of a claimed posting, for [`Engine::journal`](crate::Engine::journal): what the engine writes down is kept on the
/// board, so that whoever claims the posting next can go on with it.
///
/// What is true on one machine alone stays out of it: process groups of commands, the boot and the working directory. The next owner
/// may be another machine, and it pays cleanups and reverts in its own working directory.
#[derive(Clone)]
pub struct PostingLog {
    shared: Arc<Shared>,
}

struct Shared {
    board: Arc<dyn Board>,
    posting: PostingId,
    term: u64,
    now: Box<dyn Fn() -> Now + Send + Sync>,
    state: Mutex<State>,
    /// What has happened to jobs, and goes with whatever is appended next. Apart, since whoever tells it does not wait for the
    /// board.
    told: Mutex<VecDeque<String>>,
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

#[derive(Clone, Debug)]
struct Batch {
    /// What was told of jobs before, which goes with it.
    told: Vec<Item>,
    asked: Vec<Item>,
    replaces: bool,
    durability: Durability,
}

impl PostingLog {
    /// The log of the posting that was claimed, before anything was appended to it in that term. `now`: the time at which each
    /// append is made. Its clones are the same log.
    pub fn new(
        board: Arc<dyn Board>,
        claim: &Claim,
        now: impl Fn() -> Now + Send + Sync + 'static,
    ) -> PostingLog {
        let (posting, term) = (claim.posting.id.clone(), claim.term);
        let (state, told) = (Mutex::default(), Mutex::default());
        PostingLog { shared: Arc::new(Shared { board, posting, term, now: Box::new(now), state, told }) }
    }

    /// Appends steps of the posting, after everything that was appended or told. All of that survives the loss of power then
    /// too, as far as the board promises it.
    ///
    /// # Errors
    /// As [`Board::append`].
    pub fn append_steps(&self, steps: impl IntoIterator<Item = Step>) -> Result<(), BoardError> {
        let asked = steps.into_iter().map(Item::Step).collect();
        self.shared.send(&mut self.shared.state(), asked, false, Durability::Full)
    }

    /// Appends what was told of jobs and has not gone with anything else.
    ///
    /// # Errors
    /// As [`Board::append`].
    pub fn flush(&self) -> Result<(), BoardError> {
        let mut state = self.shared.state();
        match self.shared.told().is_empty() && state.unanswered.is_none() {
            true => Ok(()),
            false => self.shared.send(&mut state, Vec::new(), false, Durability::Relaxed),
        }
    }

    /// What the whole log comes to.
    ///
    /// # Errors
    /// When it cannot be read, or says what cannot have happened.
    pub fn history(&self) -> Result<History, HistoryError> {
        history::history_of(&*self.shared.board, &self.shared.posting)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends at the next position, after what was not answered, if anything. That one again is sent once.
    fn send(
        &self,
        state: &mut State,
        asked: Vec<Item>,
        replaces: bool,
        durability: Durability,
    ) -> Result<(), BoardError> {
        if let Some(earlier) = state.unanswered.take() {
            let is_same = earlier.asked == asked && earlier.replaces == replaces && !asked.is_empty();
            self.deliver(state, earlier)?;
            if is_same {
                return Ok(());
            }
        }
        loop {
            // A snapshot has what was told in it.
            let (told, is_all) = if replaces { (Vec::new(), true) } else { self.take_told() };
            if is_all {
                return self.deliver(state, Batch { told, asked, replaces, durability });
            }
            let durability = Durability::Relaxed;
            self.deliver(state, Batch { told, asked: Vec::new(), replaces: false, durability })?;
        }
    }

    fn told(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes as much of what was told as goes with one append, and whether that is all.
    fn take_told(&self) -> (Vec<Item>, bool) {
        let mut told = self.told();
        let mut size = 0;
        let fits = told.iter().take_while(|text| {
            size += text.len();
            size <= TOLD_AT_ONCE
        });
        let count = fits.count();
        let taken = told.drain(..count).map(Item::Fact).collect();
        (taken, told.is_empty())
    }

    fn deliver(&self, state: &mut State, batch: Batch) -> Result<(), BoardError> {
        let items = [&batch.told[..], &batch.asked[..]].concat();
        let append = Append {
            posting: &self.posting,
            term: self.term,
            position: state.position,
            items: &items,
            replaces: batch.replaces,
            durability: batch.durability,
        };
        match self.board.append(&(self.now)(), &append) {
            Ok(_) => {
                state.position += items.len() as u64;
                state.is_relaxed = batch.durability == Durability::Relaxed;
                state.length = items.len() + if batch.replaces { 0 } else { state.length };
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

    fn entries(&self) -> Result<Vec<Entry>, BoardError> {
        history::whole_log(&*self.board, &self.posting)
    }

    fn location(&self) -> String {
        format!("the log of {} on the board", self.posting)
    }
}

impl fmt::Debug for PostingLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { posting, term, .. } = &*self.shared;
        f.debug_struct("PostingLog").field("posting", posting).field("term", term).finish_non_exhaustive()
    }
}

/// What happens to jobs is written down for people to see, with whatever is appended next.
impl Observer for PostingLog {
    fn observe(&mut self, event: &Event) {
        for fact in JobFact::of(event) {
            match serde_json::to_string(&Fact::Job(fact)) {
                Ok(text) if text.len() <= TOLD_IN_ONE => self.shared.told().push_back(text),
                told => tracing::warn!(
                    "what has happened to a job of {} is left out of its log: {}",
                    self.shared.posting,
                    told.map_or_else(
                        |error| error.to_string(),
                        |text| format!("it has {} bytes", text.len())
                    )
                ),
            }
        }
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
            | Record::Attempt { .. }
            | Record::GroupUndo { .. }
    )
}

fn text(fact: &Fact) -> Result<Item, LogError> {
    serde_json::to_string(fact).map(Item::Fact).map_err(|error| LogError::Io(error.into()))
}

fn items(records: &[Record]) -> Result<Vec<Item>, LogError> {
    let facts = records.iter().filter_map(leaves_the_machine).map(Fact::Engine);
    facts.map(|fact| text(&fact)).collect()
}

impl Log for PostingLog {
    fn term(&self) -> u64 {
        self.shared.term
    }

    fn append(&self, term: u64, position: u64, records: &[Record]) -> Result<(), LogError> {
        self.refuse_others(term)?;
        let mut state = self.shared.state();
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
            self.shared.send(&mut state, items, false, durability).map_err(into_log_error)?;
        }
        state.records += records.len() as u64;
        state.last = Some((position, records.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        let mut state = self.shared.state();
        if !state.is_relaxed && state.unanswered.is_none() {
            return Ok(());
        }
        self.shared.send(&mut state, Vec::new(), false, Durability::Full).map_err(into_log_error)
    }

    fn read(&self) -> Result<Vec<Record>, LogError> {
        let mut state = self.shared.state();
        let entries = self.shared.entries().map_err(into_log_error)?;
        let mut records = Vec::new();
        state.length = 0;
        for entry in entries {
            let Item::Fact(text) = entry.item else { continue };
            state.length += 1;
            match serde_json::from_str(&text) {
                Ok(Fact::Engine(record)) => records.push(record),
                Ok(_) => {}
                Err(error) => {
                    let (number, location) = (entry.number, self.location());
                    let what = format!("entry {number} of {location} cannot be read: {error}");
                    return Err(LogError::Io(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
            }
        }
        Ok(records)
    }

    fn snapshot(&self, term: u64, records: &[Record]) -> Result<(), LogError> {
        self.refuse_others(term)?;
        let mut state = self.shared.state();
        if let Some(earlier) = state.unanswered.take() {
            self.shared.deliver(&mut state, earlier).map_err(into_log_error)?;
        }
        let mut history = self.history().map_err(|error| match error {
            HistoryError::Board(error) => into_log_error(error),
            error => LogError::Io(io::Error::other(error)),
        })?;
        let told: Vec<String> = self.shared.told().iter().cloned().collect();
        for text in &told {
            history.fact(text).map_err(|error| LogError::Io(io::Error::other(error)))?;
        }
        let mut items = items(records)?;
        for fact in history.job_facts() {
            items.push(text(&fact)?);
        }
        let sent = self.shared.send(&mut state, items, true, Durability::Full);
        if sent.as_ref().is_err_and(|error| !error.is_transient()) {
            // What is too much for one call stays as it is.
            return sent.or_else(|error| match error {
                BoardError::TooLarge { .. } => Ok(()),
                error => Err(into_log_error(error)),
            });
        }
        self.shared.told().drain(..told.len());
        sent.map_err(into_log_error)
    }

    fn is_long(&self) -> bool {
        self.shared.state().length > LONG
    }

    fn location(&self) -> String {
        self.shared.location()
    }
}

impl PostingLog {
    fn refuse_others(&self, term: u64) -> Result<(), LogError> {
        match term == self.shared.term {
            true => Ok(()),
            false => Err(LogError::Fenced { term: self.shared.term }),
        }
    }
}

#[cfg(test)]
mod tests;
