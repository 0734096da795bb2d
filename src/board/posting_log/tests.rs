//! What the engine writes down, on a board that may not answer.

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
    crate::engine::log::conformance::keeps_the_contract(&mut || Box::new(take_over(&board, board.clone())));
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
    let records = [start(7, Some("a boot"), Some(here)), settled(1), starting.clone(), spawned, settled(2)];
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
