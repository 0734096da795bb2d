//! Posts, lists, keys and limits.

use std::sync::Arc;

use jiff::Timestamp;

use super::subject::{Subject, append, claim, facts_of, id, post, posting, start, try_claim};
use crate::board::error::BoardError;
use crate::board::values::{
    Accepted, Discard, Item, KeyChange, NewPosting, Posting, Query, Request, VALUE_LIMIT,
};
use crate::flow::state::{State, Step};

fn names(postings: &[Posting]) -> Vec<&str> {
    postings.iter().map(|posting| posting.id.as_str()).collect()
}

fn change(key: &str, expected: Option<&str>, new: Option<&str>) -> KeyChange {
    let bytes = |text: &str| text.as_bytes().to_vec();
    KeyChange { key: key.to_owned(), expected: expected.map(bytes), new: new.map(bytes) }
}

pub(super) fn idempotent(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    let first = NewPosting { priority: 3, not_before: Some(now.wall), ..posting("a") };
    assert_eq!(board.post(&now, &first).unwrap(), Accepted::Now);
    let later = subject.pass(&now, subject.lease());
    assert_eq!(subject.open().post(&later, &first).unwrap(), Accepted::Before);
    let others = [
        NewPosting { flow: "another".to_owned(), ..first.clone() },
        NewPosting { body: Arc::from(&b"another"[..]), ..first.clone() },
        NewPosting { priority: 4, ..first.clone() },
        NewPosting { not_before: None, ..first.clone() },
    ];
    for other in others {
        let refused = board.post(&now, &other);
        assert!(matches!(&refused, Err(BoardError::OtherContent { .. })), "{refused:?}");
    }
    let found = board.postings(&Query::one(&id("a"))).unwrap();
    assert_eq!((found.len(), found[0].posted_at, found[0].state), (1, now.wall, State::Posted));
    assert_eq!(found[0].body.as_deref(), Some(&b"a"[..]));
    // What becomes of it afterwards is no part of what was posted.
    let taken = claim(subject, &*board, &now, "one");
    append(&*board, &now, &taken, 0, &[Item::Step(Step::Converged)]).unwrap();
    assert_eq!(board.post(&later, &first).unwrap(), Accepted::Before);
    assert!(try_claim(subject, &*board, &later, "two").is_none(), "it has ended");
}

pub(super) fn tied_to_a_key(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    let tied = |name: &str, expected: Option<&str>, new: &str| NewPosting {
        key: Some(change("watermark", expected, Some(new))),
        ..posting(name)
    };
    assert_eq!(board.post(&now, &tied("one", None, "1")).unwrap(), Accepted::Now);
    let refused = board.post(&now, &tied("two", None, "2"));
    assert!(
        matches!(&refused, Err(BoardError::KeyDiffers { found: Some(found), .. }) if found == b"1"),
        "{refused:?}"
    );
    assert!(board.postings(&Query::one(&id("two"))).unwrap().is_empty(), "it was made without its key");
    assert_eq!(board.post(&now, &tied("two", Some("1"), "2")).unwrap(), Accepted::Now);
    assert_eq!(board.post(&now, &tied("one", None, "1")).unwrap(), Accepted::Before);
    assert_eq!(board.key("watermark").unwrap().as_deref(), Some(&b"2"[..]), "a post again changes no key");
    let other = NewPosting { priority: 1, ..tied("one", Some("2"), "3") };
    assert!(matches!(board.post(&now, &other), Err(BoardError::OtherContent { .. })));
    assert_eq!(board.key("watermark").unwrap().as_deref(), Some(&b"2"[..]), "a refused post changes no key");
}

pub(super) fn keys(subject: &dyn Subject) {
    let board = subject.open();
    assert_eq!(board.key("k").unwrap(), None);
    board.compare_and_set(&change("k", None, Some("1"))).unwrap();
    let refused = board.compare_and_set(&change("k", None, Some("2")));
    assert!(
        matches!(&refused, Err(BoardError::KeyDiffers { key, found: Some(found) }) if key == "k" && found == b"1"),
        "{refused:?}"
    );
    board.compare_and_set(&change("k", Some("1"), Some(""))).unwrap();
    assert_eq!(subject.open().key("k").unwrap().as_deref(), Some(&b""[..]), "empty is not absent");
    board.compare_and_set(&change("k", Some(""), None)).unwrap();
    assert_eq!(board.key("k").unwrap(), None);
    board.compare_and_set(&change("k", None, None)).unwrap();
    let refused = board.compare_and_set(&change("k", Some(""), Some("3")));
    assert!(matches!(refused, Err(BoardError::KeyDiffers { found: None, .. })), "{refused:?}");
}

pub(super) fn lists(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    for name in ["c", "a", "d", "b"] {
        post(&*board, &now, name);
    }
    let list = |query: Query| board.postings(&query).unwrap();
    assert_eq!(names(&list(Query::all())), ["c", "a", "d", "b"]);
    let first = list(Query { limit: Some(3), ..Query::all() });
    assert_eq!(names(&first), ["c", "a", "d"]);
    assert!(first.iter().all(|posting| posting.body.is_none()), "a body that nobody asked for");
    assert_eq!(names(&list(Query { after: first[2].number, ..Query::all() })), ["b"]);
    let ids = Some(vec![id("b"), id("none"), id("c"), id("b")]);
    assert_eq!(names(&list(Query { ids, ..Query::all() })), ["c", "b"]);
    let taken = claim(subject, &*board, &now, "one");
    assert_eq!(taken.posting.id.as_str(), "c");
    let in_state = |states: &[State]| list(Query { states: Some(states.to_vec()), ..Query::all() });
    assert_eq!(names(&in_state(&[State::Running])), ["c"]);
    assert_eq!(names(&in_state(&[State::Posted, State::Running, State::Suspended])), ["c", "a", "d", "b"]);
    append(&*board, &now, &taken, 0, &[Item::Step(Step::Converged)]).unwrap();
    assert_eq!(names(&in_state(&[State::Converged])), ["c"]);
    assert_eq!(names(&in_state(&[State::Posted, State::Running])), ["a", "d", "b"]);
    let claimable = Query { claimable: Some((now.clone(), "here".to_owned())), ..Query::all() };
    assert_eq!(names(&list(claimable)), ["a", "d", "b"]);
    assert!(list(Query::one(&id("none"))).is_empty());
}

pub(super) fn limits(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    let whole = "x".repeat(VALUE_LIMIT);
    let more = "x".repeat(VALUE_LIMIT + 1);
    let refused = |outcome: Result<(), BoardError>, message: &str| {
        let error = outcome.expect_err("it is too large");
        assert!(matches!(error, BoardError::TooLarge { size, limit: VALUE_LIMIT, .. } if size > VALUE_LIMIT));
        assert_eq!(error.to_string(), message);
    };

    let body = |text: &str| NewPosting { body: Arc::from(text.as_bytes()), ..posting("a") };
    refused(
        board.post(&now, &body(&more)).map(drop),
        "the body of a has 1048577 bytes; the limit is 1048576",
    );
    board.post(&now, &body(&whole)).unwrap();
    assert_eq!(board.postings(&Query::one(&id("a"))).unwrap()[0].body.as_deref(), Some(whole.as_bytes()));

    refused(
        board.compare_and_set(&change("k", None, Some(&more))),
        "the value of key \"k\" has 1048577 bytes; the limit is 1048576",
    );
    board.compare_and_set(&change("k", None, Some(&whole))).unwrap();
    assert_eq!(board.key("k").unwrap().as_deref(), Some(whole.as_bytes()));

    let taken = claim(subject, &*board, &now, "one");
    let fact = |text: &str| Item::Fact(text.to_owned());
    let both = [fact(&whole), fact("y")];
    refused(
        append(&*board, &now, &taken, 0, &both).map(drop),
        "an append to the log of a has 1048577 bytes; the limit is 1048576",
    );
    assert!(facts_of(&*board, "a").is_empty());
    append(&*board, &now, &taken, 0, &both[..1]).unwrap();
    append(&*board, &now, &taken, 1, &both[1..]).unwrap();
    assert_eq!(facts_of(&*board, "a"), [whole.as_str(), "y"]);
}

pub(super) fn removal(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    for name in ["old", "new", "open"] {
        post(&*board, &now, name);
    }
    let later = subject.pass(&now, subject.lease() / 2);
    for at in [&now, &later] {
        let taken = claim(subject, &*board, at, "one");
        append(&*board, at, &taken, 0, &[Item::Fact("done".to_owned()), Item::Step(Step::Converged)])
            .unwrap();
    }
    assert_eq!(board.gc(&Discard::ClosedBefore(later.wall)).unwrap(), 1);
    let left = board.postings(&Query::all()).unwrap();
    assert_eq!(names(&left), ["new", "open"]);
    assert!(matches!(board.read(&id("old"), 0, None), Err(BoardError::Gone { .. })));
    let refused = board.gc(&Discard::Posting(id("open")));
    assert!(matches!(&refused, Err(BoardError::StillOpen { state: State::Posted, .. })), "{refused:?}");
    assert!(matches!(board.gc(&Discard::Posting(id("old"))), Err(BoardError::Gone { .. })));
    assert_eq!(board.gc(&Discard::Posting(id("new"))).unwrap(), 1);
    assert_eq!(board.gc(&Discard::ClosedBefore(Timestamp::MAX)).unwrap(), 0);
    assert!(matches!(board.request(&later, &id("new"), Request::Retry), Err(BoardError::Gone { .. })));
    // The id is free again, and nothing of its former log is left.
    post(&*board, &later, "old");
    assert!(facts_of(&*board, "old").is_empty());
    assert_eq!(names(&board.postings(&Query::all()).unwrap()), ["open", "old"], "it is the youngest now");
}
