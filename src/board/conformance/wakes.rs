//! Wake-ups: they may be lost, so that whoever waits polls as well.

use std::sync::Arc;
use std::time::Duration;

use super::subject::{Subject, append, id, post, posting, start, try_claim};
use crate::board::contract::Board;
use crate::board::values::{Item, Query, Request};
use crate::clock::Wake;
use crate::flow::state::{State, Step};

/// How often a waiting person would look on their own.
const POLL: Duration = Duration::from_secs(1);
/// When a test gives up.
const PATIENCE: usize = 60;

/// Waits until something is so, looking after each wake-up and now and then.
fn wait_for(wake: &Wake, what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if is_so() {
            return;
        }
        wake.wait(Some(POLL));
    }
    panic!("neither woken nor found: {what}");
}

pub(super) fn found(subject: &dyn Subject) {
    let now = start();
    let board = subject.open();
    let state = |board: &dyn Board, name: &str| {
        board.postings(&Query::one(&id(name))).unwrap().first().map(|posting| posting.state)
    };
    std::thread::scope(|scope| {
        // One who waits for work, and does it.
        scope.spawn(|| {
            let own = subject.open();
            let wake = Arc::new(Wake::default());
            let _watching = own.watch(wake.clone()).unwrap();
            for _ in 0..20 {
                let mut next = None;
                wait_for(&wake, "work", || {
                    next = try_claim(subject, &*own, &now, "one");
                    next.is_some()
                });
                let next = next.expect("it was found");
                append(&*own, &now, &next, 0, &[Item::Step(Step::Converged)]).unwrap();
            }
        });
        // One who posts, and waits for the end of each.
        let wake = Arc::new(Wake::default());
        let watching = board.watch(wake.clone()).unwrap();
        for number in 0..20 {
            let name = format!("p{number}");
            post(&*board, &now, &name);
            wait_for(&wake, "the end", || state(&*board, &name) == Some(State::Converged));
        }
        drop(watching);
    });
    // Without a watch there is no wake-up, and polling finds it all the same.
    post(&*board, &now, "cancelled");
    subject.open().request(&now, &id("cancelled"), Request::Cancel).unwrap();
    assert_eq!(state(&*board, "cancelled"), Some(State::Cancelled));
    assert!(board.post(&now, &posting("cancelled")).is_ok());
    assert!(try_claim(subject, &*board, &now, "one").is_none());
}
