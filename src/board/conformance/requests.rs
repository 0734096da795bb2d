//! What people ask for.

use super::subject::{Subject, append, claim, held, id, log, post, start, try_claim};
use crate::board::contract::Board;
use crate::board::error::BoardError;
use crate::board::values::{Item, Query, Renewal, Request};
use crate::flow::state::{State, Step};

fn state(board: &dyn Board, name: &str) -> State {
    board.postings(&Query::one(&id(name))).unwrap()[0].state
}

fn open(board: &dyn Board, name: &str) -> Vec<(u64, Request)> {
    board.postings(&Query::one(&id(name))).unwrap().remove(0).requests
}

pub(super) fn handed_on(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let first = claim(subject, &*board, &now, "one");
    assert_eq!(board.request(&now, &id("a"), Request::Retry).unwrap(), 1);
    assert_eq!(board.request(&now, &id("a"), Request::Cancel).unwrap(), 2);
    assert_eq!(state(&*board, "a"), State::Running, "it is for the owner to do");
    let both = vec![(1, Request::Retry), (2, Request::Cancel)];
    let asked = |renewal: &Renewal| match renewal {
        Renewal::Kept { requests, .. } => requests.clone(),
        Renewal::Lost => panic!("a request fences nobody"),
    };
    for _ in 0..2 {
        let renewed = board.renew(&now, &[held(&first)], subject.lease()).unwrap();
        assert_eq!(asked(&renewed[0]), both);
    }
    append(&*board, &now, &first, 0, &[Item::Step(Step::Answered { request: 1 })]).unwrap();
    let renewed = board.renew(&now, &[held(&first)], subject.lease()).unwrap();
    assert_eq!(asked(&renewed[0]), both[1..]);
    // The next owner finds what this one has not dealt with.
    let over = subject.pass(&now, subject.lease());
    let second = claim(subject, &*board, &over, "two");
    assert_eq!(second.posting.requests, both[1..]);
    append(&*board, &over, &second, 0, &[Item::Step(Step::Cancelled { reason: "asked".to_owned() })])
        .unwrap();
    assert_eq!((state(&*board, "a"), open(&*board, "a")), (State::Cancelled, vec![]));
    assert!(matches!(board.request(&over, &id("none"), Request::Cancel), Err(BoardError::Gone { .. })));
}

pub(super) fn at_once(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let refused = board.request(&now, &id("a"), Request::Retry).unwrap_err();
    assert_eq!(refused.to_string(), "a is posted: there is nothing to retry");
    board.request(&now, &id("a"), Request::Cancel).unwrap();
    assert_eq!(state(&*board, "a"), State::Cancelled, "nothing of it was begun");
    assert!(try_claim(subject, &*board, &now, "one").is_none());
    let refused = board.request(&now, &id("a"), Request::Cancel).unwrap_err();
    assert_eq!(refused.to_string(), "a is cancelled: there is nothing to cancel");

    board.request(&now, &id("a"), Request::Retry).unwrap();
    assert_eq!((state(&*board, "a"), open(&*board, "a")), (State::Suspended, vec![]));
    let taken = claim(subject, &*board, &now, "one");
    append(&*board, &now, &taken, 0, &[Item::Step(Step::Failed { reason: "no".to_owned() })]).unwrap();
    board.request(&now, &id("a"), Request::Retry).unwrap();
    let taken = claim(subject, &*board, &now, "one");
    assert_eq!(taken.term, 2);
    append(&*board, &now, &taken, 0, &[Item::Step(Step::Converged)]).unwrap();
    for request in [Request::Cancel, Request::Retry] {
        let refused = board.request(&now, &id("a"), request);
        assert!(
            matches!(refused, Err(BoardError::IllegalRequest { state: State::Converged, .. })),
            "{refused:?}"
        );
    }
    let steps: Vec<_> = log(&*board, "a")
        .iter()
        .map(|item| match item {
            Item::Step(step) => step.kind().to_string(),
            Item::Fact(fact) => panic!("{fact}"),
        })
        .collect();
    let expected = ["cancelled", "retried", "claimed", "failed", "retried", "claimed", "converged"];
    assert_eq!(steps, expected);
}
