//! Reading the log of a posting from a board, and what it comes to.
//!
//! What a log means is the flow's business.

use super::contract::Board;
use super::error::BoardError;
use super::values::{Entry, Item, PostingId};
use crate::flow::{History, Impossible};

/// How many entries are read at a time.
const PAGE: usize = 1000;

/// The log of a posting, page by page.
pub(super) fn whole_log(board: &dyn Board, posting: &PostingId) -> Result<Vec<Entry>, BoardError> {
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
