//! The board under test, and what the tests have in common.

use std::time::Duration;

use jiff::Timestamp;

use crate::board::contract::Board;
use crate::board::error::BoardError;
use crate::board::lease::{DEFAULT_LEASE, Now};
use crate::board::values::{
    Accepted, Append, Claim, ClaimRequest, Durability, Held, Item, NewPosting, PostingId,
};

/// A board under test.
pub trait Subject: Sync {
    /// Opens the board once more: another hold on the same postings, as another process would have it. Empty at first.
    fn open(&self) -> Box<dyn Board>;

    /// The length of the leases that the tests ask for.
    fn lease(&self) -> Duration {
        DEFAULT_LEASE
    }

    /// Lets time pass, and returns the time then. A store that has a clock of its own has to wait; one that goes by the time
    /// that it is given need not.
    fn pass(&self, now: &Now, by: Duration) -> Now {
        now.after(by)
    }
}

/// When every test begins.
pub(super) fn start() -> Now {
    Now { wall: Timestamp::UNIX_EPOCH, boot: "a boot".into(), since_boot: Duration::from_secs(1000) }
}

pub(super) fn id(text: impl AsRef<str>) -> PostingId {
    PostingId::new(text).expect("an id")
}

pub(super) fn posting(name: &str) -> NewPosting {
    NewPosting::new(id(name), "a flow", name.as_bytes())
}

pub(super) fn post(board: &dyn Board, now: &Now, name: &str) {
    assert_eq!(board.post(now, &posting(name)).expect("a post"), Accepted::Now);
}

pub(super) fn request(subject: &dyn Subject, conductor: &str) -> ClaimRequest {
    ClaimRequest {
        conductor: conductor.to_owned(),
        host: "here".to_owned(),
        lease: subject.lease(),
        only: None,
        skip: Vec::new(),
    }
}

/// Claims the next posting, of which there has to be one.
pub(super) fn claim(subject: &dyn Subject, board: &dyn Board, now: &Now, conductor: &str) -> Claim {
    try_claim(subject, board, now, conductor).expect("there is something to claim")
}

pub(super) fn try_claim(
    subject: &dyn Subject,
    board: &dyn Board,
    now: &Now,
    conductor: &str,
) -> Option<Claim> {
    board.claim(now, &request(subject, conductor)).expect("a claim")
}

pub(super) fn held(claim: &Claim) -> Held {
    Held { posting: claim.posting.id.clone(), term: claim.term }
}

pub(super) fn facts<const N: usize>(texts: [&str; N]) -> Vec<Item> {
    texts.into_iter().map(|text| Item::Fact(text.to_owned())).collect()
}

/// Appends to the log of a claimed posting.
pub(super) fn append(
    board: &dyn Board,
    now: &Now,
    claim: &Claim,
    position: u64,
    items: &[Item],
) -> Result<Accepted, BoardError> {
    let append = Append {
        posting: &claim.posting.id,
        term: claim.term,
        position,
        items,
        replaces: false,
        durability: Durability::Full,
    };
    board.append(now, &append)
}

/// The items of a log.
pub(super) fn log(board: &dyn Board, name: &str) -> Vec<Item> {
    board.read(&id(name), 0, None).expect("a log").into_iter().map(|entry| entry.item).collect()
}

/// The facts of a log.
pub(super) fn facts_of(board: &dyn Board, name: &str) -> Vec<String> {
    let fact = |item| match item {
        Item::Fact(text) => Some(text),
        Item::Step(_) => None,
    };
    log(board, name).into_iter().filter_map(fact).collect()
}
