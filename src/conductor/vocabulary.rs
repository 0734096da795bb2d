//! What goes into the conductor's machine and what comes out of it.
//!
//! Plain values. All times are readings of the conductor's own `CLOCK_BOOTTIME`.

use std::time::Duration;

use crate::board::{
    Accepted, BoardError, Claim, ClaimRequest, DEFAULT_LEASE, Durability, Held, Item, PostingId, Renewal,
};
use crate::flow::Loss;

/// How a conductor works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Its name: another one for each process, also for one that is started anew.
    pub conductor: String,
    /// The host that it is on.
    pub host: String,
    /// How many postings it runs at once.
    pub workers: usize,
    /// How long it may stay silent before others take over. It renews at a third of that.
    pub lease: Duration,
    /// How long before the end of its lease it stops working.
    pub margin: Duration,
    /// How often it looks for work of which nobody has told it.
    pub poll: Duration,
    /// How long it waits before it asks a board again that could not be asked.
    pub backoff: Duration,
    /// How long postings may go on after it was asked to end, before they are handed back.
    pub drain: Duration,
    /// How often owners may be lost, or their agents may die, in the same phase of the same job, until the posting is parked.
    pub losses: u32,
}

impl Settings {
    /// What is usual: one posting at once, the default lease, two polls a second.
    pub fn new(conductor: impl Into<String>, host: impl Into<String>) -> Settings {
        Settings {
            conductor: conductor.into(),
            host: host.into(),
            workers: 1,
            lease: DEFAULT_LEASE,
            margin: DEFAULT_LEASE / 10,
            poll: Duration::from_millis(500),
            backoff: Duration::from_secs(1),
            drain: Duration::from_secs(60),
            losses: 5,
        }
    }
}

/// Why a call to the board came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It may have been made or not; the same call again may succeed.
    Unanswered,
    /// The claim is not this conductor's any more.
    Lost,
    /// The board refuses it, and will again.
    Refused,
}

impl From<&BoardError> for Trouble {
    fn from(error: &BoardError) -> Self {
        match error {
            error if error.is_transient() => Trouble::Unanswered,
            BoardError::Fenced { .. } | BoardError::Conflict { .. } | BoardError::Gone { .. } => {
                Trouble::Lost
            }
            _ => Trouble::Refused,
        }
    }
}

/// How an agent has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Every job has converged.
    Converged,
    /// A job has failed for good.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// A job has failed for good, and everything was reverted.
    Reverted {
        /// Why it failed, for people.
        reason: String,
    },
    /// A job has failed for good, and not everything could be reverted.
    RevertIncomplete {
        /// What was not, and why, for people.
        reason: String,
    },
    /// It has stopped, as it was asked to, and run its cleanups; the posting can go on elsewhere or be closed.
    Stopped,
    /// It has died, or what it said made no sense.
    Died {
        /// How, for people.
        reason: String,
    },
}

/// What the machine is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// It is now at least the time that [`Machine::wakes_at`](super::Machine::wakes_at) said, or the conductor begins.
    Time,
    /// Something may have happened on the board.
    Woken,
    /// What an [`Effect::Claim`] came to.
    Claimed {
        /// When the claim was sent.
        sent: Duration,
        /// What was claimed.
        result: Result<Option<Box<Claim>>, Trouble>,
    },
    /// What an [`Effect::Inspect`] came to.
    Inspected {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// Where owners were lost most often.
        result: Result<Option<Loss>, Trouble>,
    },
    /// What an [`Effect::Renew`] came to.
    Renewed {
        /// When the renewals were sent.
        sent: Duration,
        /// Which they were.
        held: Vec<Held>,
        /// An answer for each.
        result: Result<Vec<Renewal>, Trouble>,
    },
    /// What an [`Effect::Append`] came to.
    Appended {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// The position that it was for.
        position: u64,
        /// Whether it is there.
        result: Result<Accepted, Trouble>,
    },
    /// What an [`Effect::Release`] came to.
    Released {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// Whether it was released.
        result: Result<Accepted, Trouble>,
    },
    /// An agent asks for something to be appended.
    AgentAsks {
        /// The posting.
        posting: PostingId,
        /// The term that the agent was started with.
        term: u64,
        /// The number of the question, by which the agent knows the answer.
        question: u64,
        /// What is to be appended.
        items: Vec<Item>,
        /// What has to have happened when it is answered.
        durability: Durability,
    },
    /// An agent has ended, and its commands with it.
    AgentEnded {
        /// The posting.
        posting: PostingId,
        /// The term that the agent was started with.
        term: u64,
        /// How.
        ending: Ending,
    },
    /// The conductor is asked to end.
    Drain,
}

/// How an agent is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stop {
    /// It begins nothing more, runs its cleanups, and ends.
    Gently,
    /// At once, and its commands with it: the claim is lost.
    AtOnce,
}

/// What people are told, once each time that it becomes so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The board cannot be asked; the conductor waits, and goes on with what it has for as long as its leases last.
    BoardIsAway,
    /// The board can be asked again.
    BoardIsBack,
    /// A claim was lost: others may have taken over.
    ClaimLost {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
    },
}

/// What has to be done for the machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Effect {
    /// Claim the next posting; answered by [`Input::Claimed`].
    Claim(ClaimRequest),
    /// Read where owners of this posting were lost; answered by [`Input::Inspected`].
    Inspect {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
    },
    /// Renew these claims, in one call; answered by [`Input::Renewed`].
    Renew(Vec<Held>),
    /// Append to the log of a posting; answered by [`Input::Appended`].
    Append {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// The position.
        position: u64,
        /// What.
        items: Vec<Item>,
        /// How durably.
        durability: Durability,
    },
    /// Hand a posting back; answered by [`Input::Released`].
    Release {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// Why, for people.
        reason: String,
        /// Whether its agent has died.
        after_death: bool,
        /// For how long nobody is to claim it again.
        delay: Duration,
    },
    /// Start an agent.
    StartAgent {
        /// What was claimed.
        claim: Box<Claim>,
        /// When it has to stop unless it is told of a later time.
        stops_at: Duration,
        /// Whether it only does what is owed, since the posting was cancelled.
        only_debts: bool,
    },
    /// Tell an agent that what it asked for is on the board.
    Answer {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// The number of its question.
        question: u64,
        /// When it has to stop unless it is told of a later time.
        stops_at: Duration,
    },
    /// Tell an agent that the board does not take what it asked for.
    Refuse {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// The number of its question.
        question: u64,
    },
    /// Tell an agent of a later time at which it has to stop.
    Extend {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// When it has to stop.
        stops_at: Duration,
    },
    /// Have an agent stop; answered by [`Input::AgentEnded`].
    StopAgent {
        /// The posting.
        posting: PostingId,
        /// The term.
        term: u64,
        /// How.
        how: Stop,
    },
    /// Tell people.
    Tell(Notice),
    /// There is nothing left to do: the conductor ends.
    End,
}
