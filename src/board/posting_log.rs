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
                    let what =
                        format!("entry {} of {} cannot be read: {error}", entry.number, self.location());
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use anyhow::ensure;
    use jiff::Timestamp;
    use serde_json::Map;

    use super::*;
    use crate::board::faulty::{Fault, FaultyBoard};
    use crate::board::memory::MemoryBoard;
    use crate::board::values::{ClaimRequest, NewPosting};
    use crate::flow::{State as PostingState, Step};
    use crate::{Engine, JobGraph, Outcome};

    fn now() -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, boot: "a boot".into(), since_boot: Duration::from_secs(9) }
    }

    fn id() -> PostingId {
        PostingId::new("a").unwrap()
    }

    /// A board with one posting.
    fn board() -> Arc<MemoryBoard> {
        let board = MemoryBoard::new();
        board.post(&now(), &NewPosting::new(id(), "a flow", *b"")).unwrap();
        Arc::new(board)
    }

    /// Claims the posting, from an owner that has been silent for a long time.
    fn take_over(board: &Arc<MemoryBoard>, answers: Arc<dyn Board>) -> PostingLog {
        let term = board.postings(&crate::board::Query::one(&id())).unwrap()[0].term;
        let time = move || now().after(Duration::from_secs(60) * u32::try_from(term).unwrap());
        let request = ClaimRequest {
            conductor: "one".to_owned(),
            host: "here".to_owned(),
            lease: Duration::from_secs(30),
            only: None,
            skip: Vec::new(),
        };
        let claim = board.claim(&time(), &request).unwrap().expect("there is one");
        PostingLog::new(answers, &claim, time)
    }

    fn settled(n: u64) -> Record {
        Record::Settled { n }
    }

    #[test]
    fn it_keeps_the_contract_of_logs() {
        let board = board();
        crate::engine::log::conformance::keeps_the_contract(&mut || {
            Box::new(take_over(&board, board.clone()))
        });
    }

    #[test]
    fn it_keeps_the_contract_of_logs_in_sqlite_too() {
        let directory = tempfile::TempDir::new().unwrap();
        let board = Arc::new(crate::board::SqliteBoard::open(directory.path().join("board.db")).unwrap());
        board.post(&now(), &NewPosting::new(id(), "a flow", *b"")).unwrap();
        let mut terms = 0;
        crate::engine::log::conformance::keeps_the_contract(&mut || {
            let time = now().after(Duration::from_secs(60) * terms);
            terms += 1;
            let request = ClaimRequest {
                conductor: "one".to_owned(),
                host: "here".to_owned(),
                lease: Duration::from_secs(30),
                only: None,
                skip: Vec::new(),
            };
            let claim = board.claim(&time, &request).unwrap().expect("there is one");
            Box::new(PostingLog::new(board.clone(), &claim, move || time.clone()))
        });
    }

    /// The engine owes the same, wherever its log is.
    #[test]
    fn what_is_owed_is_done_by_the_next_owner() {
        let board = board();
        let engine = |fails: bool| {
            let mut graph = JobGraph::builder();
            graph.run_only("maker", |cx| Ok(cx.local().set("made", 7)?)).cleanup(move |cx| {
                ensure!(cx.local().get::<u32>("made")? == Some(7), "its storage was lost");
                ensure!(!fails, "not yet");
                Ok(())
            });
            Engine::with_graph(graph.build().unwrap()).journal(take_over(&board, board.clone()))
        };
        let report = engine(true).converge();
        assert_eq!((report.job("maker").outcome(), report.failed_cleanups().count()), (Outcome::Changed, 1));
        assert_eq!(engine(true).pending().len(), 1);
        assert_eq!(engine(false).call_pending(false).failed_cleanups().count(), 0);
        assert!(engine(false).pending().is_empty());
    }

    #[test]
    fn nothing_runs_once_another_owner_has_taken_over() {
        let board = board();
        let mut graph = JobGraph::builder();
        graph.run_only("never", |_| panic!("it runs without a record"));
        let own = take_over(&board, board.clone());
        let mut engine = Engine::with_graph(graph.build().unwrap()).tries(1).journal(own);
        let _other = take_over(&board, board.clone());
        let report = engine.converge();
        let reason = report.job("never").reason().unwrap_or_default().to_owned();
        assert!(reason.contains("another owner has taken over, with term 2"), "{reason}");
    }

    #[test]
    fn what_is_true_on_one_machine_alone_stays_there() {
        let board = board();
        let log = take_over(&board, board.clone());
        let start = |pid, boot: Option<&str>, directory| Record::Start {
            run: "r".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            pid,
            boot: boot.map(str::to_owned),
            revert: false,
            directory,
            args: Map::new(),
            positional: Vec::new(),
        };
        let here = std::path::Path::new("/here").into();
        let spawned = Record::Spawned { n: 1, group: 5, start: Some(9), token: Some("t".to_owned()) };
        let starting = Record::Starting { n: 1, token: "t".to_owned() };
        let records =
            [start(7, Some("a boot"), Some(here)), settled(1), starting.clone(), spawned, settled(2)];
        log.append(1, 0, &records).unwrap();
        log.append(1, 5, &[starting]).unwrap();
        log.append(1, 6, &[settled(3)]).unwrap();
        assert_eq!(log.read().unwrap(), [start(0, None, None), settled(1), settled(2), settled(3)]);
    }

    /// A board whose n-th append fails so, and works from then on.
    fn failing(board: &Arc<MemoryBoard>, at: usize, fault: Fault) -> Arc<dyn Board> {
        let appends = AtomicUsize::new(0);
        Arc::new(FaultyBoard::new(board.clone(), move |call| match call {
            "append" if appends.fetch_add(1, Ordering::SeqCst) == at => fault,
            _ => Fault::Works,
        }))
    }

    #[test]
    fn an_append_whose_answer_was_lost_is_there_once() {
        for fault in [Fault::IsLost, Fault::AnswerIsLost] {
            for at in 0..4 {
                let board = board();
                let log = take_over(&board, failing(&board, at, fault));
                for n in 0..5 {
                    let record = [settled(n)];
                    if log.append(1, n, &record).is_err() {
                        log.append(1, n, &record).expect("it is answered the second time");
                    }
                }
                let all: Vec<_> = (0..5).map(settled).collect();
                assert_eq!(log.read().unwrap(), all, "{fault:?} at {at}");
            }
        }
    }

    /// The engine may do something else after a failure. What it was told had failed may be there then, but never twice, and never
    /// in the place of another record.
    #[test]
    fn another_append_after_one_that_was_not_answered_comes_after_it() {
        for fault in [Fault::IsLost, Fault::AnswerIsLost] {
            let board = board();
            let log = take_over(&board, failing(&board, 1, fault));
            log.append(1, 0, &[settled(0)]).unwrap();
            log.append(1, 1, &[settled(1)]).unwrap_err();
            log.append(1, 1, &[settled(2)]).unwrap();
            log.append_steps([Step::Converged]).unwrap();
            assert_eq!(log.read().unwrap(), [settled(0), settled(1), settled(2)]);
            let found = board.postings(&crate::board::Query::one(&id())).unwrap();
            assert_eq!(found[0].state, PostingState::Converged);
        }
    }

    #[test]
    fn a_snapshot_whose_answer_was_lost_is_made_once() {
        let board = board();
        let log = take_over(&board, failing(&board, 1, Fault::AnswerIsLost));
        log.append(1, 0, &[settled(0), settled(1)]).unwrap();
        log.snapshot(1, &[settled(9)]).unwrap_err();
        log.snapshot(1, &[settled(9)]).unwrap();
        log.append(1, 2, &[settled(2)]).unwrap();
        assert_eq!(log.read().unwrap(), [settled(9), settled(2)]);
    }
}
