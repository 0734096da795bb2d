//! What every board promises.
//!
//! The essay in [`board`](crate::board) says why; [`conformance`](super::conformance) asks whether it is so.

use std::sync::Arc;

use super::error::BoardError;
use super::lease::Now;
use super::values::{
    Accepted, Append, Claim, ClaimRequest, Discard, Entry, Held, KeyChange, NewPosting, Posting, PostingId,
    Query, Release, Renewal, Request,
};
use crate::clock::Wake;

/// Where postings, claims and logs are kept.
///
/// Each call is one transaction: it is made as a whole or not at all, and its effect is seen by every process that calls
/// afterwards. What was answered survives the death of any process. A call whose answer is
/// [`BoardError::Io`] may have been made or not; each of them can be made again.
pub trait Board: Send + Sync {
    /// Puts a posting on the board. The same content under the same id is [accepted](Accepted::Before) again, and changes
    /// nothing, not even the key that it is tied to.
    ///
    /// # Errors
    /// [`OtherContent`](BoardError::OtherContent), [`KeyDiffers`](BoardError::KeyDiffers), [`TooLarge`](BoardError::TooLarge),
    /// or the store's.
    fn post(&self, now: &Now, posting: &NewPosting) -> Result<Accepted, BoardError>;

    /// Lists postings.
    ///
    /// # Errors
    /// The store's.
    fn postings(&self, query: &Query) -> Result<Vec<Posting>, BoardError>;

    /// Claims the next posting that nobody has, or whose owner's lease has run out: by priority, then age. `None`: there is none
    /// for this host at this time.
    ///
    /// # Errors
    /// The store's.
    fn claim(&self, now: &Now, request: &ClaimRequest) -> Result<Option<Claim>, BoardError>;

    /// Renews claims, all in one transaction, each for `lease` from `now`; what each came to, in their order. One that comes late is
    /// [kept](Renewal::Kept) as long as nobody has taken over.
    ///
    /// # Errors
    /// The store's.
    fn renew(&self, now: &Now, held: &[Held], lease: std::time::Duration)
    -> Result<Vec<Renewal>, BoardError>;

    /// Appends to the log of a posting. A step that closes the posting ends the claim. The same append again is
    /// [accepted](Accepted::Before), and changes nothing.
    ///
    /// # Errors
    /// [`Fenced`](BoardError::Fenced), [`Conflict`](BoardError::Conflict), [`Gone`](BoardError::Gone), an illegal step,
    /// [`TooLarge`](BoardError::TooLarge), or the store's.
    fn append(&self, now: &Now, append: &Append<'_>) -> Result<Accepted, BoardError>;

    /// The log of a posting, the oldest entry first: at most `limit` entries with a number higher than `after`.
    ///
    /// # Errors
    /// [`Gone`](BoardError::Gone), or the store's.
    fn read(&self, posting: &PostingId, after: u64, limit: Option<usize>) -> Result<Vec<Entry>, BoardError>;

    /// Asks for something, and returns the number of the request. A posting that was never claimed is cancelled at once, one that has
    /// ended is opened again at once; otherwise the owner, or the next one, reads it.
    ///
    /// # Errors
    /// [`Gone`](BoardError::Gone), [`IllegalRequest`](BoardError::IllegalRequest), or the store's.
    fn request(&self, now: &Now, posting: &PostingId, request: Request) -> Result<u64, BoardError>;

    /// Gives a claim back, or takes it away: the posting waits for a conductor again, and its former owner is fenced. Of an
    /// owner that is released already, it is [accepted](Accepted::Before) again.
    ///
    /// # Errors
    /// [`Gone`](BoardError::Gone), [`Fenced`](BoardError::Fenced) for an owner that is one no more, an illegal step where
    /// there is no claim to be taken away, or the store's.
    fn release(&self, now: &Now, release: &Release) -> Result<Accepted, BoardError>;

    /// The value of a key.
    ///
    /// # Errors
    /// The store's.
    fn key(&self, key: &str) -> Result<Option<Vec<u8>>, BoardError>;

    /// Changes a key, where it is as expected. Made again after its answer was lost, it is refused: the error has the value.
    ///
    /// # Errors
    /// [`KeyDiffers`](BoardError::KeyDiffers), [`TooLarge`](BoardError::TooLarge), or the store's.
    fn compare_and_set(&self, change: &KeyChange) -> Result<(), BoardError>;

    /// Calls `wake` when something may be there for a conductor or a waiting person: a post, a request, a release, or a
    /// posting's end; until what is returned is dropped. Wake-ups may come late, twice, or not at all: polling is the truth.
    ///
    /// # Errors
    /// The store's.
    fn watch(&self, wake: Arc<Wake>) -> Result<Watching, BoardError>;

    /// Removes postings that have ended, with their logs, and returns how many. Their ids are free again.
    ///
    /// # Errors
    /// [`Gone`](BoardError::Gone) and [`StillOpen`](BoardError::StillOpen) for a single one, or the store's.
    fn gc(&self, discard: &Discard) -> Result<u64, BoardError>;
}

/// A watch that goes on for as long as this lives.
pub struct Watching {
    _ends_when_dropped: Box<dyn Send + Sync>,
}

impl Watching {
    /// A watch that ends when `guard` is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Watching {
        Watching { _ends_when_dropped: Box::new(guard) }
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watching")
    }
}
