//! One posting in the hands of a conductor: its stage, its deadline, and what is being appended to its log.

use std::collections::VecDeque;
use std::time::Duration;

use super::vocabulary::{Effect, Ending, Stop};
use crate::board::{Claim, Durability, Item, PostingId};
use crate::flow::Step;

/// Where a claim is on its way through the conductor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its log is being read.
    Inspecting,
    /// Its agent is at work. How it was asked to stop, if it was.
    Running(Option<Stop>),
    /// The step that closes it is being appended; no agent is left.
    Closing,
    /// It is being handed back; no agent is left.
    Releasing { reason: String, after_death: bool },
    /// The claim is lost, and its agent has not ended yet.
    Lost,
}

/// Something that is appended: one at a time, in order, until it is answered.
#[derive(Clone, Debug)]
struct Asked {
    items: Vec<Item>,
    durability: Durability,
    /// The agent's question that it answers; `None`: the conductor's own.
    question: Option<u64>,
}

/// A call for this claim, of which there is one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    None,
    UnderWay,
    /// It was not answered: again at this time.
    Again(Duration),
}

/// A claim, and all that belongs to it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) claim: Box<Claim>,
    pub(super) stage: Stage,
    /// When the claim is of no use any more.
    pub(super) stops_at: Duration,
    /// Whether people have asked for its end.
    pub(super) is_cancelled: bool,
    /// The last request that was answered.
    answered: u64,
    position: u64,
    queue: VecDeque<Asked>,
    call: Call,
}

impl Work {
    pub(super) fn new(claim: Box<Claim>, stops_at: Duration) -> Work {
        let position = 0;
        Work {
            claim,
            stage: Stage::Inspecting,
            stops_at,
            is_cancelled: false,
            answered: 0,
            position,
            queue: VecDeque::new(),
            call: Call::UnderWay,
        }
    }

    pub(super) fn posting(&self) -> PostingId {
        self.claim.posting.id.clone()
    }

    pub(super) fn term(&self) -> u64 {
        self.claim.term
    }

    /// Whether an agent is there that has to end before the claim is forgotten.
    pub(super) fn has_agent(&self) -> bool {
        matches!(self.stage, Stage::Running(_) | Stage::Lost)
    }

    /// When it has something to do next.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        if self.stage == Stage::Lost {
            return None;
        }
        let again = if let Call::Again(time) = self.call { Some(time) } else { None };
        Some(again.map_or(self.stops_at, |time| time.min(self.stops_at)))
    }

    /// The call under way was answered.
    pub(super) fn answered(&mut self) {
        self.call = Call::None;
    }

    /// The call under way was not answered.
    pub(super) fn ask_again(&mut self, at: Duration) {
        self.call = Call::Again(at);
    }

    pub(super) fn append(&mut self, items: Vec<Item>, durability: Durability, question: Option<u64>) {
        self.queue.push_back(Asked { items, durability, question });
    }

    /// Notes once that a request was dealt with.
    pub(super) fn note_answered(&mut self, request: u64) {
        if request > self.answered {
            self.answered = request;
            let step = Item::Step(Step::Answered { request });
            self.append(vec![step], Durability::Relaxed, None);
        }
    }

    /// Appends the step that closes the posting, once its agent has ended. What an agent still had to be answered is appended first, as
    /// it may have happened.
    pub(super) fn close(&mut self, step: Step) {
        self.stage = Stage::Closing;
        self.append(vec![Item::Step(step)], Durability::Full, None);
    }

    /// Begins the next call, where none is under way. `backoff`: how long a posting rests whose agent has died.
    pub(super) fn next_call(&mut self, now: Duration, backoff: Duration) -> Option<Effect> {
        let is_free = match self.call {
            Call::None => true,
            Call::UnderWay => false,
            Call::Again(time) => now >= time,
        };
        if !is_free {
            return None;
        }
        let (posting, term) = (self.posting(), self.term());
        let effect = match (&self.stage, self.queue.front()) {
            (Stage::Lost, _) => None,
            (Stage::Inspecting, _) => Some(Effect::Inspect { posting, term }),
            (_, Some(Asked { items, durability, .. })) => Some(Effect::Append {
                posting,
                term,
                position: self.position,
                items: items.clone(),
                durability: *durability,
            }),
            (Stage::Releasing { reason, after_death }, None) => Some(Effect::Release {
                posting,
                term,
                reason: reason.clone(),
                after_death: *after_death,
                delay: if *after_death { backoff } else { Duration::ZERO },
            }),
            (Stage::Running(_) | Stage::Closing, None) => None,
        };
        self.call = if effect.is_some() { Call::UnderWay } else { Call::None };
        effect
    }

    /// The append under way is on the board; the answer to the agent that asked for it. `None`: it was not under way.
    pub(super) fn appended(&mut self, position: u64) -> Option<Option<u64>> {
        if self.call != Call::UnderWay || position != self.position {
            return None;
        }
        let asked = self.queue.pop_front()?;
        self.position += asked.items.len() as u64;
        self.call = Call::None;
        Some(asked.question)
    }

    /// The append under way is refused for good: the agent's question that it was for, if it was for one.
    pub(super) fn refused(&mut self) -> Option<u64> {
        self.call = Call::None;
        self.queue.pop_front()?.question
    }

    /// Its agent has ended: nobody waits for answers. What was asked for is appended all the same, since it may have happened.
    pub(super) fn forget_questions(&mut self) {
        self.queue.iter_mut().for_each(|asked| asked.question = None);
    }

    /// Whether everything is appended.
    pub(super) fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.call == Call::None
    }
}

/// The step that an agent's end comes to; `None`: none yet.
pub(super) fn closing_step(ending: &Ending) -> Option<Step> {
    match ending.clone() {
        Ending::Converged => Some(Step::Converged),
        Ending::Failed { reason } => Some(Step::Failed { reason }),
        Ending::Reverted { reason } => Some(Step::Reverted { reason }),
        Ending::RevertIncomplete { reason } => Some(Step::RevertIncomplete { reason }),
        Ending::Stopped | Ending::Died { .. } => None,
    }
}
