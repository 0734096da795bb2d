//! A board that fails when it is told to: before the call was made, or after, so that its answer is lost.

use std::sync::Arc;
use std::time::Duration;

use super::contract::{Board, Watching};
use super::error::BoardError;
use super::lease::Now;
use super::values::{
    Accepted, Append, Claim, ClaimRequest, Discard, Entry, Held, KeyChange, NewPosting, Posting, PostingId,
    Query, Release, Renewal, Request,
};
use crate::clock::Wake;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Works,
    /// It does not reach the board.
    IsLost,
    /// It reaches the board, and its answer is lost.
    AnswerIsLost,
}

/// A board whose calls fail as `decide` says, which is told the name of each.
pub(crate) struct FaultyBoard<D> {
    board: Arc<dyn Board>,
    decide: D,
}

impl<D: Fn(&'static str) -> Fault> FaultyBoard<D> {
    pub(crate) fn new(board: Arc<dyn Board>, decide: D) -> Self {
        FaultyBoard { board, decide }
    }

    fn call<T>(
        &self,
        name: &'static str,
        call: impl FnOnce(&dyn Board) -> Result<T, BoardError>,
    ) -> Result<T, BoardError> {
        let lost = || {
            let source = std::io::ErrorKind::ConnectionReset.into();
            Err(BoardError::Io { location: "the board".to_owned(), source })
        };
        match (self.decide)(name) {
            Fault::Works => call(&*self.board),
            Fault::IsLost => lost(),
            Fault::AnswerIsLost => call(&*self.board).and_then(|_| lost()),
        }
    }
}

impl<D: Fn(&'static str) -> Fault + Send + Sync> Board for FaultyBoard<D> {
    fn post(&self, now: &Now, posting: &NewPosting) -> Result<Accepted, BoardError> {
        self.call("post", |board| board.post(now, posting))
    }

    fn postings(&self, query: &Query) -> Result<Vec<Posting>, BoardError> {
        self.call("postings", |board| board.postings(query))
    }

    fn claim(&self, now: &Now, request: &ClaimRequest) -> Result<Option<Claim>, BoardError> {
        self.call("claim", |board| board.claim(now, request))
    }

    fn renew(&self, now: &Now, held: &[Held], lease: Duration) -> Result<Vec<Renewal>, BoardError> {
        self.call("renew", |board| board.renew(now, held, lease))
    }

    fn append(&self, now: &Now, append: &Append<'_>) -> Result<Accepted, BoardError> {
        self.call("append", |board| board.append(now, append))
    }

    fn read(&self, posting: &PostingId, after: u64, limit: Option<usize>) -> Result<Vec<Entry>, BoardError> {
        self.call("read", |board| board.read(posting, after, limit))
    }

    fn request(&self, now: &Now, posting: &PostingId, request: Request) -> Result<u64, BoardError> {
        self.call("request", |board| board.request(now, posting, request))
    }

    fn release(&self, now: &Now, release: &Release) -> Result<Accepted, BoardError> {
        self.call("release", |board| board.release(now, release))
    }

    fn key(&self, key: &str) -> Result<Option<Vec<u8>>, BoardError> {
        self.call("key", |board| board.key(key))
    }

    fn compare_and_set(&self, change: &KeyChange) -> Result<(), BoardError> {
        self.call("compare_and_set", |board| board.compare_and_set(change))
    }

    fn watch(&self, wake: Arc<Wake>) -> Result<Watching, BoardError> {
        self.call("watch", |board| board.watch(wake))
    }

    fn gc(&self, discard: &Discard) -> Result<u64, BoardError> {
        self.call("gc", |board| board.gc(discard))
    }
}
