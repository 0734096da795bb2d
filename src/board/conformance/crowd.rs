//! Many at once, and much.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::subject::{Subject, append, claim, post, posting, start, try_claim};
use crate::board::error::BoardError;
use crate::board::values::{Append, Durability, Item, KeyChange, NewPosting, Query};
use crate::flow::state::{State, Step};

const THREADS: usize = 16;

pub(super) fn exclusive(subject: &dyn Subject) {
    const POSTINGS: usize = 320;
    let now = start();
    let first = subject.open();
    (0..POSTINGS).for_each(|number| post(&*first, &now, &format!("p{number}")));
    let in_work: Vec<AtomicBool> = (0..POSTINGS).map(|_| AtomicBool::new(false)).collect();
    let done: Mutex<Vec<usize>> = Mutex::default();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (now, in_work, done) = (&now, &in_work, &done);
            scope.spawn(move || {
                let board = subject.open();
                let conductor = format!("thread {thread}");
                while let Some(taken) = try_claim(subject, &*board, now, &conductor) {
                    let number: usize = taken.posting.id.as_str()[1..].parse().unwrap();
                    assert!(!in_work[number].swap(true, Ordering::SeqCst), "two have {number} at once");
                    assert_eq!(taken.term, 1, "{number} was claimed before");
                    in_work[number].store(false, Ordering::SeqCst);
                    append(&*board, now, &taken, 0, &[Item::Step(Step::Converged)]).unwrap();
                    done.lock().unwrap().push(number);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_unstable();
    assert_eq!(done, (0..POSTINGS).collect::<Vec<_>>(), "each exactly once");
    let left = Query { states: Some(vec![State::Posted, State::Running, State::Suspended]), ..Query::all() };
    assert!(first.postings(&left).unwrap().is_empty());
}

pub(super) fn takeover(subject: &dyn Subject) {
    let first = subject.open();
    let mut now = start();
    post(&*first, &now, "a");
    claim(subject, &*first, &now, "the first");
    for round in 0..10 {
        now = subject.pass(&now, subject.lease());
        let winners: Mutex<Vec<u64>> = Mutex::default();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (now, winners) = (&now, &winners);
                scope.spawn(move || {
                    let board = subject.open();
                    if let Some(taken) = try_claim(subject, &*board, now, &format!("thread {thread}")) {
                        winners.lock().unwrap().push(taken.term);
                    }
                });
            }
        });
        assert_eq!(winners.into_inner().unwrap(), [round + 2], "one of them, with the next term");
    }
}

pub(super) fn counting(subject: &dyn Subject) {
    const EACH: u64 = 20;
    let board = subject.open();
    let refusals = AtomicU64::new(0);
    let count = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<u64>().expect("a number");
    let set = |expected: Option<&[u8]>, new: u64| KeyChange {
        key: "count".to_owned(),
        expected: expected.map(<[u8]>::to_vec),
        new: Some(new.to_string().into_bytes()),
    };
    board.compare_and_set(&set(None, 0)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let board = subject.open();
                let mut found = board.key("count").unwrap().expect("it is there");
                let mut left = EACH;
                while left > 0 {
                    let next = count(&found) + 1;
                    match board.compare_and_set(&set(Some(&found), next)) {
                        Ok(()) => (left, found) = (left - 1, next.to_string().into_bytes()),
                        Err(BoardError::KeyDiffers { found: Some(other), .. }) => {
                            refusals.fetch_add(1, Ordering::Relaxed);
                            found = other;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let found = board.key("count").unwrap().expect("it is there");
    assert_eq!(count(&found), THREADS as u64 * EACH, "{} changes were refused", refusals.into_inner());
}

pub(super) fn many(subject: &dyn Subject) {
    const POSTINGS: u64 = 10_000;
    let (board, now) = (subject.open(), start());
    let priority = |number: u64| (number * 7919 % 5) as i32;
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (board, now) = (&board, &now);
            scope.spawn(move || {
                for number in (thread..POSTINGS).step_by(THREADS) {
                    let priority = priority(number);
                    board.post(now, &NewPosting { priority, ..posting(&format!("p{number}")) }).unwrap();
                }
            });
        }
    });
    let mut expected: BTreeMap<(i32, u64), String> = BTreeMap::new();
    let mut query = Query { limit: Some(999), ..Query::all() };
    loop {
        let page = board.postings(&query).unwrap();
        let Some(last) = page.last() else { break };
        query.after = last.number;
        expected.extend(
            page.into_iter().map(|posting| ((-posting.priority, posting.number), posting.id.to_string())),
        );
    }
    let names: HashSet<&String> = expected.values().collect();
    assert_eq!((expected.len() as u64, names.len() as u64), (POSTINGS, POSTINGS));
    for name in expected.values() {
        let taken = claim(subject, &*board, &now, "one");
        assert_eq!(taken.posting.id.as_str(), name);
        let converged = Append {
            posting: &taken.posting.id,
            term: taken.term,
            position: 0,
            items: &[Item::Step(Step::Converged)],
            replaces: false,
            durability: Durability::Relaxed,
        };
        board.append(&now, &converged).unwrap();
    }
    assert!(try_claim(subject, &*board, &now, "one").is_none());
    let ended = Query { states: Some(vec![State::Converged]), ..Query::all() };
    assert_eq!(board.postings(&ended).unwrap().len() as u64, POSTINGS);
}
