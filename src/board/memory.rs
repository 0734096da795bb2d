//! A board in memory: for tests and simulations, as strict as any other, and gone with the process.
//!
//! Decides nothing itself: see [`rules`](super::rules).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;

use super::contract::{Board, Watching};
use super::error::BoardError;
use super::lease::Now;
use super::rules::{self, Content, Rank, Standing, Verdict};
use super::values::{
    Accepted, Append, Claim, ClaimRequest, Discard, Entry, Held, Item, KeyChange, NewPosting, Posting,
    PostingId, Query, Release, Renewal, Request,
};
use crate::clock::Wake;

/// A board in memory. Its clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct MemoryBoard {
    stored: Arc<Mutex<Stored>>,
}

#[derive(Debug, Default)]
struct Stored {
    postings: HashMap<PostingId, Kept>,
    /// By number.
    by_age: BTreeMap<u64, PostingId>,
    /// Those that are open, in the order in which they are claimed.
    open: BTreeMap<Rank, PostingId>,
    last_number: u64,
    keys: HashMap<String, Vec<u8>>,
    watchers: Vec<Weak<Watcher>>,
}

/// Lives for as long as whoever watches wants it to.
#[derive(Debug)]
struct Watcher {
    wake: Arc<Wake>,
}

#[derive(Debug)]
struct Kept {
    content: NewPosting,
    posted_at: Timestamp,
    changed_at: Timestamp,
    standing: Standing,
    log: Vec<Entry>,
    requests: Vec<(u64, Request)>,
}

impl MemoryBoard {
    /// An empty board.
    pub fn new() -> MemoryBoard {
        MemoryBoard::default()
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn posting(&self, with_body: bool) -> Posting {
        let Standing { number, priority, state, term, .. } = self.standing;
        Posting {
            number,
            id: self.content.id.clone(),
            flow: self.content.flow.clone(),
            body: with_body.then(|| self.content.body.clone()),
            priority,
            posted_at: self.posted_at,
            changed_at: self.changed_at,
            state,
            term,
            owner: self.standing.owner.clone(),
            not_before: self.standing.not_before,
            only_host: self.standing.only_host.clone(),
            requests: self.open_requests(),
        }
    }

    fn open_requests(&self) -> Vec<(u64, Request)> {
        let open = |(number, _): &&(u64, Request)| *number > self.standing.answered;
        self.requests.iter().filter(open).copied().collect()
    }

    /// Writes a step of the board.
    fn write_step(&mut self, now: &Now, after: Standing, step: crate::flow::Step) {
        let (number, at) = (after.entries, now.wall);
        self.log.push(Entry { number, term: after.term, position: None, at, item: Item::Step(step) });
        self.standing = after;
        self.changed_at = at;
    }

    fn write_append(&mut self, now: &Now, append: &Append<'_>, after: Standing) {
        if append.replaces {
            self.log.retain(|entry| matches!(entry.item, Item::Step(_)));
        }
        for ((position, number), item) in
            (append.position..).zip(self.standing.entries + 1..).zip(append.items)
        {
            if matches!(item, Item::Step(_)) {
                self.changed_at = now.wall;
            }
            let entry = Entry {
                number,
                term: append.term,
                position: Some(position),
                at: now.wall,
                item: item.clone(),
            };
            self.log.push(entry);
        }
        self.standing = after;
    }

    fn appended_at(&self, append: &Append<'_>) -> Vec<Entry> {
        let wanted = append.position..append.position + append.items.len() as u64;
        let is_there = |entry: &&Entry| {
            entry.term == append.term && entry.position.is_some_and(|position| wanted.contains(&position))
        };
        self.log.iter().filter(is_there).cloned().collect()
    }
}

impl Stored {
    fn find(&self, id: &PostingId) -> Result<&Kept, BoardError> {
        self.postings.get(id).ok_or_else(|| BoardError::Gone { posting: id.clone() })
    }

    fn find_mut(&mut self, id: &PostingId) -> Result<&mut Kept, BoardError> {
        self.postings.get_mut(id).ok_or_else(|| BoardError::Gone { posting: id.clone() })
    }

    /// Keeps the index of what is open as the posting is now.
    fn index(&mut self, id: &PostingId) {
        let Some(kept) = self.postings.get(id) else { return };
        let rank = kept.standing.rank();
        match kept.standing.state.is_open() {
            true => _ = self.open.insert(rank, id.clone()),
            false => _ = self.open.remove(&rank),
        }
    }

    fn wake(&mut self) {
        self.watchers.retain(|watcher| match watcher.upgrade() {
            Some(watcher) => {
                watcher.wake.wake();
                true
            }
            None => false,
        });
    }

    fn set_key(&mut self, change: &KeyChange) -> Result<(), BoardError> {
        rules::expect_key(change, self.keys.get(&change.key).map(Vec::as_slice))?;
        match &change.new {
            Some(value) => _ = self.keys.insert(change.key.clone(), value.clone()),
            None => _ = self.keys.remove(&change.key),
        }
        Ok(())
    }

    fn remove(&mut self, id: &PostingId) {
        if let Some(kept) = self.postings.remove(id) {
            self.by_age.remove(&kept.standing.number);
            self.open.remove(&kept.standing.rank());
        }
    }
}

impl Board for MemoryBoard {
    fn post(&self, now: &Now, posting: &NewPosting) -> Result<Accepted, BoardError> {
        rules::fits_post(posting)?;
        let mut stored = self.stored();
        if let Some(there) = stored.postings.get(&posting.id) {
            return Content::of(&there.content).posted_again(posting);
        }
        if let Some(change) = &posting.key {
            stored.set_key(change)?;
        }
        stored.last_number += 1;
        let standing = Standing::of_new(stored.last_number, posting);
        let kept = Kept {
            content: posting.clone(),
            posted_at: now.wall,
            changed_at: now.wall,
            standing,
            log: Vec::new(),
            requests: Vec::new(),
        };
        let number = stored.last_number;
        stored.by_age.insert(number, posting.id.clone());
        stored.postings.insert(posting.id.clone(), kept);
        stored.index(&posting.id);
        stored.wake();
        Ok(Accepted::Now)
    }

    fn postings(&self, query: &Query) -> Result<Vec<Posting>, BoardError> {
        let stored = self.stored();
        let fits = |kept: &&Kept| {
            let standing = &kept.standing;
            standing.number > query.after
                && query.ids.as_ref().is_none_or(|ids| ids.contains(&kept.content.id))
                && query.states.as_ref().is_none_or(|states| states.contains(&standing.state))
                && query.claimable.as_ref().is_none_or(|(now, host)| standing.is_claimable(now, host))
        };
        let order: Box<dyn Iterator<Item = &PostingId>> = match query.claimable {
            Some(_) => Box::new(stored.open.values()),
            None => Box::new(stored.by_age.values()),
        };
        let found = order.filter_map(|id| stored.postings.get(id)).filter(fits);
        let limit = query.limit.unwrap_or(usize::MAX);
        Ok(found.take(limit).map(|kept| kept.posting(query.with_body)).collect())
    }

    fn claim(&self, now: &Now, request: &ClaimRequest) -> Result<Option<Claim>, BoardError> {
        rules::fits_claim(request)?;
        let mut stored = self.stored();
        let is_next = |id: &&PostingId| {
            rules::is_wanted(request, id) && stored.postings[*id].standing.is_claimable(now, &request.host)
        };
        let Some(id) = stored.open.values().find(is_next).cloned() else { return Ok(None) };
        let kept = stored.find_mut(&id)?;
        let (after, step) = kept.standing.claimed(now, request);
        kept.write_step(now, after, step);
        let posting = kept.posting(true);
        let lease = kept.standing.owner.as_ref().map(|owner| owner.lease.clone());
        Ok(lease.map(|lease| Claim { term: posting.term, posting, lease }))
    }

    fn renew(&self, now: &Now, held: &[Held], lease: Duration) -> Result<Vec<Renewal>, BoardError> {
        let mut stored = self.stored();
        let renewed = held.iter().map(|held| {
            let Some(kept) = stored.postings.get_mut(&held.posting) else { return Renewal::Lost };
            let Some(after) = kept.standing.renewed(now, held, lease) else { return Renewal::Lost };
            kept.standing = after;
            match &kept.standing.owner {
                Some(owner) => Renewal::Kept { lease: owner.lease.clone(), requests: kept.open_requests() },
                None => Renewal::Lost,
            }
        });
        Ok(renewed.collect())
    }

    fn append(&self, now: &Now, append: &Append<'_>) -> Result<Accepted, BoardError> {
        let mut stored = self.stored();
        let kept = stored.find_mut(append.posting)?;
        match kept.standing.judge(append)? {
            Verdict::Compare => kept.standing.compare(append, &kept.appended_at(append)),
            Verdict::Write(after) => {
                let closes = !after.state.is_open();
                kept.write_append(now, append, *after);
                if closes {
                    stored.index(append.posting);
                    stored.wake();
                }
                Ok(Accepted::Now)
            }
        }
    }

    fn read(&self, posting: &PostingId, after: u64, limit: Option<usize>) -> Result<Vec<Entry>, BoardError> {
        let stored = self.stored();
        let log = &stored.find(posting)?.log;
        let from = log.partition_point(|entry| entry.number <= after);
        Ok(log[from..].iter().take(limit.unwrap_or(usize::MAX)).cloned().collect())
    }

    fn request(&self, now: &Now, posting: &PostingId, request: Request) -> Result<u64, BoardError> {
        let mut stored = self.stored();
        let kept = stored.find_mut(posting)?;
        let (after, step) = kept.standing.requested(posting, request)?;
        let number = after.requested;
        kept.requests.push((number, request));
        match step {
            Some(step) => kept.write_step(now, after, step),
            None => kept.standing = after,
        }
        stored.index(posting);
        stored.wake();
        Ok(number)
    }

    fn release(&self, now: &Now, release: &Release) -> Result<Accepted, BoardError> {
        rules::fits_release(release)?;
        let mut stored = self.stored();
        let kept = stored.find_mut(&release.posting)?;
        let Some((after, step)) = kept.standing.released(release)? else { return Ok(Accepted::Before) };
        kept.write_step(now, after, step);
        stored.wake();
        Ok(Accepted::Now)
    }

    fn key(&self, key: &str) -> Result<Option<Vec<u8>>, BoardError> {
        Ok(self.stored().keys.get(key).cloned())
    }

    fn compare_and_set(&self, change: &KeyChange) -> Result<(), BoardError> {
        rules::fits_key(change)?;
        let mut stored = self.stored();
        stored.set_key(change)?;
        stored.wake();
        Ok(())
    }

    fn watch(&self, wake: Arc<Wake>) -> Result<Watching, BoardError> {
        let watcher = Arc::new(Watcher { wake });
        self.stored().watchers.push(Arc::downgrade(&watcher));
        Ok(Watching::new(watcher))
    }

    fn gc(&self, discard: &Discard) -> Result<u64, BoardError> {
        let mut stored = self.stored();
        let gone: Vec<PostingId> = match discard {
            Discard::Posting(id) => {
                rules::is_removable(id, stored.find(id)?.standing.state)?;
                vec![id.clone()]
            }
            Discard::ClosedBefore(time) => {
                let is_old = |kept: &&Kept| !kept.standing.state.is_open() && kept.changed_at < *time;
                stored.postings.values().filter(is_old).map(|kept| kept.content.id.clone()).collect()
            }
        };
        gone.iter().for_each(|id| stored.remove(id));
        Ok(gone.len() as u64)
    }
}
