//! What is handed to a board and what it hands back.
//!
//! Plain values: nothing here decides anything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lease::{Lease, Now};
use crate::flow::state::{State, Step};

/// The most that one call may store, in bytes: the body of a posting, the value of a key, or all facts of an append. Every
/// backend takes this much.
pub const VALUE_LIMIT: usize = 1024 * 1024;

/// The name of a posting, chosen by whoever posts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PostingId(Arc<str>);

/// A text that cannot be the id of a posting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{:?} cannot be the id of a posting: it has to have 1 to 128 letters, digits and `.`, `_`, `:`, `-`, the first of them a letter or a digit",
    .0
)]
pub struct InvalidId(String);

impl PostingId {
    /// The id of this text.
    ///
    /// # Errors
    /// When it is not 1 to 128 ASCII letters, digits and `.`, `_`, `:`, `-`, the first of them a letter or a digit.
    pub fn new(text: impl AsRef<str>) -> Result<PostingId, InvalidId> {
        let text = text.as_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match begins && text.len() <= 128 && text.chars().all(fits) {
            true => Ok(PostingId(text.into())),
            false => Err(InvalidId(text.chars().take(200).collect())),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PostingId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        PostingId::new(text)
    }
}

impl From<PostingId> for String {
    fn from(id: PostingId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for PostingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPosting {
    /// Its name. Posted again under the same name, the same content is accepted, and other content is refused.
    pub id: PostingId,
    /// The name of the flow, for lists.
    pub flow: String,
    /// Everything else that a conductor needs; the board does not read it. At most [`VALUE_LIMIT`] bytes.
    pub body: Arc<[u8]>,
    /// Those with a higher one are claimed first.
    pub priority: i32,
    /// The time of day before which nobody claims it.
    pub not_before: Option<Timestamp>,
    /// What has to be so of a key, and then is: in one transaction with the post.
    pub key: Option<KeyChange>,
}

impl NewPosting {
    /// A posting of priority 0 that can be claimed at once.
    pub fn new(id: PostingId, flow: impl Into<String>, body: impl Into<Arc<[u8]>>) -> NewPosting {
        NewPosting { id, flow: flow.into(), body: body.into(), priority: 0, not_before: None, key: None }
    }
}

/// What a call came to that may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It was done.
    Now,
    /// It had been done before: nothing was changed.
    Before,
}

/// A change of a key that is made only where the key is as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// What it has to be; `None`: not there.
    pub expected: Option<Vec<u8>>,
    /// What it is then; `None`: it is removed. At most [`VALUE_LIMIT`] bytes.
    pub new: Option<Vec<u8>>,
}

/// A posting, as the board has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Posting {
    /// Counted up from posting to posting: of two postings the one with the lower number is older.
    pub number: u64,
    /// Its name.
    pub id: PostingId,
    /// The name of the flow.
    pub flow: String,
    /// What was posted; `None` where it was not asked for.
    pub body: Option<Arc<[u8]>>,
    /// Those with a higher one are claimed first.
    pub priority: i32,
    /// When it was posted.
    pub posted_at: Timestamp,
    /// When its last step was made.
    pub changed_at: Timestamp,
    /// Where it is on its way.
    pub state: State,
    /// The term of its last claim; 0 before the first.
    pub term: u64,
    /// Who has claimed it.
    pub owner: Option<Owner>,
    /// The time of day before which nobody claims it.
    pub not_before: Option<Timestamp>,
    /// The only host that may claim it.
    pub only_host: Option<String>,
    /// What people have asked for and nobody has dealt with yet, each with its number.
    pub requests: Vec<(u64, Request)>,
}

/// Who has claimed a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The conductor.
    pub conductor: String,
    /// The host that it is on.
    pub host: String,
    /// How long it may stay silent.
    pub lease: Lease,
}

/// Which postings to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Query {
    /// Only these.
    pub ids: Option<Vec<PostingId>>,
    /// Only those in one of these states.
    pub states: Option<Vec<State>>,
    /// Only those that a conductor on this host could claim at this time; in the order in which they would be claimed.
    pub claimable: Option<(Now, String)>,
    /// Only those with a higher number; for the next page of a list by age.
    pub after: u64,
    /// At most so many.
    pub limit: Option<usize>,
    /// Whether what was posted is wanted too.
    pub with_body: bool,
}

impl Query {
    /// All postings, the oldest first.
    pub fn all() -> Query {
        Query::default()
    }

    /// One posting, with what was posted.
    pub fn one(id: &PostingId) -> Query {
        Query { ids: Some(vec![id.clone()]), with_body: true, ..Query::default() }
    }
}

/// Who claims, and what.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The conductor.
    pub conductor: String,
    /// The host that it is on.
    pub host: String,
    /// How long it may stay silent.
    pub lease: Duration,
    /// This posting alone; otherwise the next one by priority, then age.
    pub only: Option<PostingId>,
    /// Not these: the conductor has refused them for now.
    pub skip: Vec<PostingId>,
}

/// A posting that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The posting as it is now, with what was posted.
    pub posting: Posting,
    /// The term of the claim.
    pub term: u64,
    /// How long the owner may stay silent.
    pub lease: Lease,
}

/// A claim that its owner keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The posting.
    pub posting: PostingId,
    /// The term of the claim.
    pub term: u64,
}

/// What a renewal of one claim came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is kept.
    Kept {
        /// How long the owner may stay silent from now on.
        lease: Lease,
        /// What people have asked for and nobody has dealt with yet, each with its number.
        requests: Vec<(u64, Request)>,
    },
    /// It is lost: others have claimed the posting, it was released, closed, or is gone.
    Lost,
}

/// What people ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// To end it, with its cleanups.
    Cancel,
    /// To try once more what has failed.
    Retry,
}

impl Request {
    /// Its name, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Request::Cancel => "cancel",
            Request::Retry => "retry",
        }
    }

    /// The request of this name.
    pub fn from_name(name: &str) -> Option<Request> {
        [Request::Cancel, Request::Retry].into_iter().find(|request| request.name() == name)
    }
}

/// One thing in the log of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A step, which changes the state of the posting.
    Step(Step),
    /// A fact of its jobs, as text; the board does not read it.
    Fact(String),
}

/// A line of the log of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counted up from 1; a gap is where facts were replaced.
    pub number: u64,
    /// The term in which it was written; of a request that was granted at once, the last one before.
    pub term: u64,
    /// Its position among those of its owner; `None`: the board has written it.
    pub position: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub item: Item,
}

/// What has to have happened when an append is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It survives the death of any process.
    Relaxed,
    /// It survives the loss of power too, as far as the backend promises that, and so does everything appended before.
    #[default]
    Full,
}

/// What an owner appends to the log of its posting.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    /// The posting.
    pub posting: &'a PostingId,
    /// The owner's term.
    pub term: u64,
    /// How many items the owner has appended in this term before.
    pub position: u64,
    /// What is appended, all or nothing. Facts of at most [`VALUE_LIMIT`] bytes together. None at all: for the durability alone.
    pub items: &'a [Item],
    /// Whether it takes the place of all facts so far. Steps stay.
    pub replaces: bool,
    /// What has to have happened when it is answered.
    pub durability: Durability,
}

/// A claim that is given up, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The posting.
    pub posting: PostingId,
    /// The owner's term; `None`: a person takes the claim away, whoever has it.
    pub term: Option<u64>,
    /// Why, for people.
    pub reason: String,
    /// Whether whoever ran it for the owner has died.
    pub after_death: bool,
    /// The time of day before which nobody claims it again.
    pub not_before: Option<Timestamp>,
    /// The only host that may claim it.
    pub only_host: Option<String>,
}

/// What is removed from a board, with its log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discard {
    /// Every posting that was closed before this time of day.
    ClosedBefore(Timestamp),
    /// This posting, which has to be closed.
    Posting(PostingId),
}
