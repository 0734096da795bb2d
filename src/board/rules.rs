//! What every board decides the same way: which posting is next, who owns it, and what an append, a renewal, a release and a
//! request are answered.
//!
//! Pure: a [`Standing`] and a question in, a new standing or a refusal out.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;

use super::error::BoardError;
use super::lease::{Lease, Now};
use super::values::{
    Accepted, Append, ClaimRequest, Entry, Held, Item, KeyChange, NewPosting, Owner, PostingId, Release,
    Request, VALUE_LIMIT,
};
use crate::flow::state::{State, Step, StepKind};

/// The longest name of a key, a flow, a conductor or a host, in bytes.
pub(super) const NAME_LIMIT: usize = 1024;

/// What a board has to know of a posting to decide about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its number among all postings.
    pub(super) number: u64,
    pub(super) priority: i32,
    pub(super) state: State,
    /// The term of its last claim; 0 before the first.
    pub(super) term: u64,
    /// Whoever has claimed it, exactly while it is running.
    pub(super) owner: Option<Owner>,
    /// Whether the claim was taken away from its owner.
    pub(super) was_taken_away: bool,
    /// How many items were appended in this term.
    pub(super) position: u64,
    /// The number of the last entry of its log.
    pub(super) entries: u64,
    pub(super) not_before: Option<Timestamp>,
    pub(super) only_host: Option<String>,
    /// The number of the last request, and of the last one that was dealt with.
    pub(super) requested: u64,
    pub(super) answered: u64,
}

/// What is claimed first: the higher priority, then the older posting.
pub(super) type Rank = (Reverse<i32>, u64);

/// What an append that is of this term comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is written, and this is so then.
    Write(Box<Standing>),
    /// It is accepted if it is what stands there already; see [`compare`].
    Compare,
}

impl Standing {
    /// Of a posting that is new.
    pub(super) fn of_new(number: u64, posting: &NewPosting) -> Standing {
        Standing {
            number,
            priority: posting.priority,
            state: State::Posted,
            term: 0,
            owner: None,
            was_taken_away: false,
            position: 0,
            entries: 0,
            not_before: posting.not_before,
            only_host: None,
            requested: 0,
            answered: 0,
        }
    }

    pub(super) fn rank(&self) -> Rank {
        (Reverse(self.priority), self.number)
    }

    /// Whether a conductor on this host may claim it.
    pub(super) fn is_claimable(&self, now: &Now, host: &str) -> bool {
        self.state.is_open()
            && self.owner.as_ref().is_none_or(|owner| owner.lease.has_run_out(now))
            && self.not_before.is_none_or(|time| now.wall >= time)
            && self.only_host.as_deref().is_none_or(|only| only == host)
    }

    /// After a claim, and the step that says so.
    pub(super) fn claimed(&self, now: &Now, request: &ClaimRequest) -> (Standing, Step) {
        let ClaimRequest { conductor, host, lease, .. } = request;
        let term = self.term + 1;
        let step = Step::Claimed { term, conductor: conductor.clone(), host: host.clone() };
        let owner =
            Owner { conductor: conductor.clone(), host: host.clone(), lease: Lease::begin(now, *lease) };
        let standing = Standing {
            state: State::Running,
            term,
            owner: Some(owner),
            was_taken_away: false,
            position: 0,
            entries: self.entries + 1,
            not_before: None,
            only_host: None,
            ..self.clone()
        };
        (standing, step)
    }

    /// After a renewal; `None`: the claim is lost.
    pub(super) fn renewed(&self, now: &Now, held: &Held, lease: Duration) -> Option<Standing> {
        let owner = self.owner.as_ref().filter(|_| self.term == held.term)?;
        let owner = Owner { lease: Lease::begin(now, lease), ..owner.clone() };
        Some(Standing { owner: Some(owner), ..self.clone() })
    }

    /// Whether an append is taken.
    pub(super) fn judge(&self, append: &Append<'_>) -> Result<Verdict, BoardError> {
        let Append { posting, term, position, items, .. } = *append;
        fits_append(append)?;
        if term != self.term || self.was_taken_away {
            return Err(self.fenced(posting, term));
        }
        if position < self.position {
            return Ok(Verdict::Compare);
        }
        if self.owner.is_none() {
            return Err(self.fenced(posting, term));
        }
        if position > self.position {
            return Err(self.conflict(append));
        }
        let mut after = self.clone();
        for item in items {
            if let Item::Step(step) = item {
                after.take_step_of_the_owner(posting, step)?;
            }
        }
        after.position += items.len() as u64;
        after.entries += items.len() as u64;
        Ok(Verdict::Write(Box::new(after)))
    }

    fn take_step_of_the_owner(&mut self, posting: &PostingId, step: &Step) -> Result<(), BoardError> {
        let kind = step.kind();
        if !kind.is_the_owners() {
            return Err(BoardError::NotTheOwners { posting: posting.clone(), step: kind });
        }
        self.state = self.after(posting, kind)?;
        if let Step::Answered { request } = step {
            self.answered = self.answered.max((*request).min(self.requested));
        }
        if !self.state.is_open() {
            self.close();
        }
        Ok(())
    }

    fn after(&self, posting: &PostingId, step: StepKind) -> Result<State, BoardError> {
        let refused = |illegal| BoardError::IllegalStep { posting: posting.clone(), illegal };
        self.state.after(step).map_err(refused)
    }

    /// Nobody has it any more, and what was asked of it has become void.
    fn close(&mut self) {
        self.owner = None;
        self.answered = self.requested;
    }

    fn fenced(&self, posting: &PostingId, given: u64) -> BoardError {
        BoardError::Fenced { posting: posting.clone(), given, term: self.term }
    }

    fn conflict(&self, append: &Append<'_>) -> BoardError {
        BoardError::Conflict {
            posting: append.posting.clone(),
            position: append.position,
            next: self.position,
        }
    }

    /// Whether an append is what stands at its place. `stored`: the entries at its positions that are there.
    pub(super) fn compare(&self, append: &Append<'_>, stored: &[Entry]) -> Result<Accepted, BoardError> {
        let given = (append.position..).zip(append.items);
        let same = stored.len() == append.items.len()
            && given.zip(stored).all(|((position, item), entry)| {
                entry.position == Some(position) && entry.term == append.term && entry.item == *item
            });
        if same { Ok(Accepted::Before) } else { Err(self.conflict(append)) }
    }

    /// After a release, and the step that says so; `None`: it was released before.
    pub(super) fn released(&self, release: &Release) -> Result<Option<(Standing, Step)>, BoardError> {
        let Release { posting, term, reason, after_death, not_before, only_host } = release;
        if let Some(term) = *term {
            if term != self.term || self.was_taken_away {
                return Err(self.fenced(posting, term));
            }
            if self.state == State::Suspended {
                return Ok(None);
            }
            if self.owner.is_none() {
                return Err(self.fenced(posting, term));
            }
        }
        let step = Step::Released {
            reason: reason.clone(),
            taken_away: term.is_none(),
            after_death: *after_death,
            not_before: *not_before,
            only_host: only_host.clone(),
        };
        let standing = Standing {
            state: self.after(posting, step.kind())?,
            owner: None,
            was_taken_away: term.is_none(),
            entries: self.entries + 1,
            not_before: *not_before,
            only_host: only_host.clone(),
            ..self.clone()
        };
        Ok(Some((standing, step)))
    }

    /// After a request, and the step that it brings about at once, if any. The request has the number
    /// [`requested`](Standing::requested).
    pub(super) fn requested(
        &self,
        posting: &PostingId,
        request: Request,
    ) -> Result<(Standing, Option<Step>), BoardError> {
        let step = match (request, self.state) {
            (Request::Cancel, State::Posted) => {
                Some(Step::Cancelled { reason: "before it was begun".to_owned() })
            }
            (_, State::Running | State::Suspended) => None,
            (Request::Retry, state) if state.after(StepKind::Retried).is_ok() => Some(Step::Retried),
            (request, state) => {
                return Err(BoardError::IllegalRequest { posting: posting.clone(), state, request });
            }
        };
        let mut after = Standing { requested: self.requested + 1, ..self.clone() };
        if let Some(step) = &step {
            after.state = self.after(posting, step.kind())?;
            after.entries += 1;
            after.close();
        }
        Ok((after, step))
    }
}

/// Refuses a name or a value that is larger than any board takes.
fn fits(what: impl FnOnce() -> String, size: usize, limit: usize) -> Result<(), BoardError> {
    if size <= limit { Ok(()) } else { Err(BoardError::TooLarge { what: what(), size, limit }) }
}

fn fits_append(append: &Append<'_>) -> Result<(), BoardError> {
    let size = append.items.iter().map(|item| match item {
        Item::Fact(text) => text.len(),
        Item::Step(step) => match step {
            Step::Failed { reason }
            | Step::Reverted { reason }
            | Step::RevertIncomplete { reason }
            | Step::Cancelled { reason }
            | Step::Parked { reason } => reason.len(),
            _ => 0,
        },
    });
    fits(|| format!("an append to the log of {}", append.posting), size.sum(), VALUE_LIMIT)
}

/// Refuses what is larger than any board takes.
pub(super) fn fits_post(posting: &NewPosting) -> Result<(), BoardError> {
    fits(|| format!("the body of {}", posting.id), posting.body.len(), VALUE_LIMIT)?;
    fits(|| format!("the flow's name of {}", posting.id), posting.flow.len(), NAME_LIMIT)?;
    posting.key.as_ref().map_or(Ok(()), fits_key)
}

/// Refuses what is larger than any board takes.
pub(super) fn fits_claim(request: &ClaimRequest) -> Result<(), BoardError> {
    fits(|| "the name of a conductor".to_owned(), request.conductor.len(), NAME_LIMIT)?;
    fits(|| "the name of a host".to_owned(), request.host.len(), NAME_LIMIT)
}

/// Refuses what is larger than any board takes.
pub(super) fn fits_key(change: &KeyChange) -> Result<(), BoardError> {
    let shown = || change.key.chars().take(40).collect::<String>();
    fits(|| format!("the name of key {:?}", shown()), change.key.len(), NAME_LIMIT)?;
    let size = change.new.as_ref().map_or(0, Vec::len);
    fits(|| format!("the value of key {:?}", shown()), size, VALUE_LIMIT)
}

/// Refuses what is larger than any board takes.
pub(super) fn fits_release(release: &Release) -> Result<(), BoardError> {
    let host = release.only_host.as_ref().map_or(0, String::len);
    fits(|| format!("the reason of a release of {}", release.posting), release.reason.len(), VALUE_LIMIT)?;
    fits(|| "the name of a host".to_owned(), host, NAME_LIMIT)
}

/// Refuses a change of a key that is not as expected.
pub(super) fn expect_key(change: &KeyChange, found: Option<&[u8]>) -> Result<(), BoardError> {
    if found == change.expected.as_deref() {
        return Ok(());
    }
    Err(BoardError::KeyDiffers { key: change.key.clone(), found: found.map(<[u8]>::to_vec) })
}

/// What was posted under an id, as far as it has to be the same when it is posted again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content<'a> {
    pub(super) flow: &'a str,
    pub(super) body: &'a [u8],
    pub(super) priority: i32,
    pub(super) not_before: Option<Timestamp>,
}

impl<'a> Content<'a> {
    pub(super) fn of(posting: &'a NewPosting) -> Content<'a> {
        let NewPosting { flow, body, priority, not_before, .. } = posting;
        Content { flow, body, priority: *priority, not_before: *not_before }
    }

    /// What a post under an id comes to that is taken.
    pub(super) fn posted_again(&self, posting: &NewPosting) -> Result<Accepted, BoardError> {
        match *self == Content::of(posting) {
            true => Ok(Accepted::Before),
            false => Err(BoardError::OtherContent { posting: posting.id.clone() }),
        }
    }
}

/// Whether a claimant wants this posting.
pub(super) fn is_wanted(request: &ClaimRequest, id: &PostingId) -> bool {
    request.only.as_ref().is_none_or(|only| only == id) && !request.skip.contains(id)
}

/// Refuses to remove a posting that is still open.
pub(super) fn is_removable(posting: &PostingId, state: State) -> Result<(), BoardError> {
    match state.is_open() {
        true => Err(BoardError::StillOpen { posting: posting.clone(), state }),
        false => Ok(()),
    }
}
