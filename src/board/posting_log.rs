//! The log of a posting as the engine knows it: a [`Log`] over a claim of a board.
//!
//! Knows which records leave the machine and which do not; neither jobs nor how a board stores anything.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::contract::Board;
use super::error::BoardError;
use super::lease::Now;
use super::values::{Append, Claim, Durability, Entry, Item, PostingId};
use crate::engine::log::record::Record;
use crate::engine::log::{Log, LogError};
use crate::event::{Event, Observer};
use crate::flow::fact::{Fact, JobFact};
use crate::flow::{History, Impossible, Step};

/// A log with more facts than this may be worth a snapshot.
const LONG: usize = 500;
/// How many entries are read at a time.
const PAGE: usize = 1000;
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
        history_of(&*self.shared.board, &self.shared.posting)
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
        whole_log(&*self.board, &self.posting)
    }

    fn location(&self) -> String {
        format!("the log of {} on the board", self.posting)
    }
}

/// The log of a posting, page by page.
fn whole_log(board: &dyn Board, posting: &PostingId) -> Result<Vec<Entry>, BoardError> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.number);
        let page = board.read(posting, after, Some(PAGE))?;
        if page.is_empty() {
            return Ok(entries);
        }
        entries.extend(page);
    }
}

/// What a log comes to cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// It cannot be read.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// It says what cannot have happened.
    #[error("entry {entry} of the log of {posting}: {source}")]
    Impossible {
        /// The posting.
        posting: PostingId,
        /// The number of the entry.
        entry: u64,
        /// What cannot have happened.
        source: Impossible,
    },
}

/// What the log of a posting comes to.
///
/// # Errors
/// When it cannot be read, or says what cannot have happened.
pub fn history_of(board: &dyn Board, posting: &PostingId) -> Result<History, HistoryError> {
    fold(posting, &whole_log(board, posting)?)
}

fn fold(posting: &PostingId, entries: &[Entry]) -> Result<History, HistoryError> {
    let mut history = History::default();
    for entry in entries {
        let taken = match &entry.item {
            Item::Step(step) => history.step(entry.at, step),
            Item::Fact(text) => history.fact(text),
        };
        taken.map_err(|source| HistoryError::Impossible {
            posting: posting.clone(),
            entry: entry.number,
            source,
        })?;
    }
    Ok(history)
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
        let Some(fact) = JobFact::of(event) else { return };
        match serde_json::to_string(&Fact::Job(fact)) {
            Ok(text) if text.len() <= TOLD_IN_ONE => self.shared.told().push_back(text),
            told => tracing::warn!(
                "what has happened to a job of {} is left out of its log: {}",
                self.shared.posting,
                told.map_or_else(|error| error.to_string(), |text| format!("it has {} bytes", text.len()))
            ),
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
    use crate::flow::{JobState, JobStep, State as PostingState, Step};
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

    /// A run of two jobs whose log has what has happened to them.
    #[test]
    fn the_log_tells_what_has_happened_to_jobs() {
        let board = board();
        let log = take_over(&board, board.clone());
        let mut graph = JobGraph::builder();
        graph.run_only("made", |_| Ok(()));
        graph.run_only("broken", |_| anyhow::bail!("no")).after(["made"]);
        let engine = Engine::with_graph(graph.build().unwrap()).tries(2).simulate(1);
        let report = engine.journal(log.clone()).observe(log.clone()).converge();
        assert!(!report.success());
        log.append_steps([Step::Failed { reason: "broken: no".to_owned() }]).unwrap();
        let history = log.history().unwrap();
        assert_eq!(history.state, PostingState::Failed);
        let jobs: Vec<_> = history
            .jobs
            .iter()
            .map(|(name, job)| (name.as_str(), job.state, job.tries, job.reason.as_deref()))
            .collect();
        let expected = [("broken", JobState::Failed, 2, Some("no")), ("made", JobState::Converged, 1, None)];
        assert_eq!(jobs, expected);
    }

    fn told(job: &str, step: JobStep) -> String {
        serde_json::to_string(&Fact::Job(JobFact { job: job.to_owned(), step })).unwrap()
    }

    #[test]
    fn a_snapshot_keeps_what_has_happened_to_jobs() {
        let board = board();
        let log = take_over(&board, board.clone());
        let tell = |step| log.shared.told().push_back(told("a", step));
        tell(JobStep::TryBegan { attempt: 1, tries: 3 });
        log.append(1, 0, &[settled(1)]).unwrap();
        tell(JobStep::TryFailed);
        tell(JobStep::TryBegan { attempt: 2, tries: 3 });
        log.snapshot(1, &[settled(9)]).unwrap();
        tell(JobStep::Converged { changed: true });
        log.flush().unwrap();
        log.flush().expect("there is nothing left");
        let history = log.history().unwrap();
        assert_eq!((history.jobs["a"].state, history.jobs["a"].tries), (JobState::Converged, 2));
        assert_eq!(log.read().unwrap(), [settled(9)]);
    }

    #[test]
    fn much_that_was_told_goes_in_pieces() {
        let board = board();
        let appends = Arc::new(AtomicUsize::new(0));
        let counted = appends.clone();
        let counting = FaultyBoard::new(board.clone(), move |call| {
            counted.fetch_add(usize::from(call == "append"), Ordering::SeqCst);
            Fault::Works
        });
        let log = take_over(&board, Arc::new(counting));
        for job in 0..100 {
            let reason = "x".repeat(10_000);
            let job = format!("job {job}");
            for step in [JobStep::TryBegan { attempt: 1, tries: 1 }, JobStep::Failed { reason }] {
                log.shared.told().push_back(told(&job, step));
            }
        }
        log.append(1, 0, &[settled(1)]).unwrap();
        assert_eq!(appends.load(Ordering::SeqCst), 9, "twelve at a time");
        assert_eq!(log.history().unwrap().jobs.len(), 100);
        assert_eq!(log.read().unwrap(), [settled(1)]);
    }
}
