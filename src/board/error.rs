//! Why a board did not do what was asked of it.

use std::io;

use super::values::{PostingId, Request};
use crate::flow::state::{Illegal, State};

/// Why a board did not do what was asked of it. Nothing was changed, but for what [`Io`](BoardError::Io) says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The term is not the posting's any more.
    #[error(
        "{posting} is not this owner's any more: term {given} has ended, and its last claim has term {term}"
    )]
    Fenced {
        /// The posting.
        posting: PostingId,
        /// The term that was given.
        given: u64,
        /// The term of the posting's last claim; the one that was given where the claim was released.
        term: u64,
    },
    /// Something else stands, or has to stand first, at this position.
    #[error("position {position} is not the next one in the log of {posting}, which is {next}")]
    Conflict {
        /// The posting.
        posting: PostingId,
        /// The position that was given.
        position: u64,
        /// The next one.
        next: u64,
    },
    /// There is no such posting, or not any more.
    #[error("there is no posting {posting}")]
    Gone {
        /// The posting.
        posting: PostingId,
    },
    /// Other content was posted under the same id.
    #[error("{posting} was posted before, with other content")]
    OtherContent {
        /// The posting.
        posting: PostingId,
    },
    /// A key is not as expected.
    #[error("key {key:?} is not as expected")]
    KeyDiffers {
        /// The key.
        key: String,
        /// What it is; `None`: not there.
        found: Option<Vec<u8>>,
    },
    /// A value is larger than any board takes.
    #[error("{what} has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// Which value.
        what: String,
        /// Its size.
        size: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The posting is in a state in which that is not possible.
    #[error("{posting}: {illegal}")]
    IllegalStep {
        /// The posting.
        posting: PostingId,
        /// The state and the step.
        illegal: Illegal,
    },
    /// Nobody can ask for that in the state that the posting is in.
    #[error("{posting} is {state}: there is nothing to {}", request.name())]
    IllegalRequest {
        /// The posting.
        posting: PostingId,
        /// Its state.
        state: State,
        /// What was asked for.
        request: Request,
    },
    /// A step that the board alone writes, or one of this append after another that closes the posting.
    #[error("the owner of {posting} cannot append this step: {step}")]
    NotTheOwners {
        /// The posting.
        posting: PostingId,
        /// The step.
        step: crate::flow::StepKind,
    },
    /// A posting that is still open cannot be removed.
    #[error("{posting} is {state}, and cannot be removed before it has ended")]
    StillOpen {
        /// The posting.
        posting: PostingId,
        /// Its state.
        state: State,
    },
    /// A newer version of this library has written the board.
    #[error(
        "{location} was written by a newer version (format {found}; this program knows up to {known}); it was left as it is"
    )]
    Newer {
        /// Where the board is.
        location: String,
        /// Its format.
        found: i64,
        /// The highest format that is known here.
        known: i64,
    },
    /// What is there is something else.
    #[error("{location} is not a board: {what}; it was left as it is")]
    NotABoard {
        /// Where it is.
        location: String,
        /// What it is, or what is wrong with it.
        what: String,
    },
    /// Others were at work on the board for longer than this caller waits.
    #[error("{location} has been locked by others for {} s; it is asked again later", waited.as_secs())]
    Busy {
        /// Where the board is.
        location: String,
        /// How long was waited.
        waited: std::time::Duration,
    },
    /// The store could not be read or written. What was being written may be there or not: made again, word for word, it is
    /// there once.
    #[error("{location} failed: {source}")]
    Io {
        /// Where the board is.
        location: String,
        /// Why.
        source: io::Error,
    },
}

impl BoardError {
    /// Whether the same call may succeed later without anything else being done.
    pub fn is_transient(&self) -> bool {
        matches!(self, BoardError::Busy { .. } | BoardError::Io { .. })
    }
}
