//! Claims, leases, renewals and releases.

use std::time::Duration;

use super::subject::{
    Subject, append, claim, facts, held, id, log, post, posting, request, start, try_claim,
};
use crate::board::contract::Board;
use crate::board::error::BoardError;
use crate::board::lease::Now;
use crate::board::values::{Accepted, ClaimRequest, Held, Item, NewPosting, Owner, Query, Release, Renewal};
use crate::flow::state::{State, Step};

const INSTANT: Duration = Duration::from_millis(1);

fn give_back(posting: &str, term: Option<u64>) -> Release {
    Release {
        posting: id(posting),
        term,
        reason: "a reason".to_owned(),
        after_death: false,
        not_before: None,
        only_host: None,
    }
}

fn owner(board: &dyn Board, name: &str) -> Option<Owner> {
    board.postings(&Query::one(&id(name))).unwrap().remove(0).owner
}

pub(super) fn order(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    for (name, priority) in
        [("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0), ("f", i32::MAX), ("g", i32::MIN)]
    {
        board.post(&now, &NewPosting { priority, ..posting(name) }).unwrap();
    }
    let names = std::iter::from_fn(|| try_claim(subject, &*board, &now, "one"))
        .map(|claim| claim.posting.id.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["f", "b", "d", "a", "e", "c", "g"]);
    // Whatever is taken over stands where it stood.
    post(&*board, &now, "h");
    let later = subject.pass(&now, subject.lease());
    let names = std::iter::from_fn(|| try_claim(subject, &*board, &later, "two"))
        .map(|claim| claim.posting.id.to_string());
    assert_eq!(names.collect::<Vec<_>>(), ["f", "b", "d", "a", "e", "h", "c", "g"]);
}

pub(super) fn terms(subject: &dyn Subject) {
    let (board, mut now) = (subject.open(), start());
    post(&*board, &now, "a");
    for term in 1..=4 {
        let conductor = format!("conductor {term}");
        let taken = claim(subject, &*subject.open(), &now, &conductor);
        assert_eq!((taken.term, taken.posting.term, taken.posting.state), (term, term, State::Running));
        assert_eq!(taken.posting.body.as_deref(), Some(&b"a"[..]), "a claim comes with what was posted");
        assert!(try_claim(subject, &*board, &now, "another").is_none());
        now = subject.pass(&now, subject.lease());
    }
    let claimed = |term: u64| {
        Item::Step(Step::Claimed { term, conductor: format!("conductor {term}"), host: "here".to_owned() })
    };
    assert_eq!(log(&*board, "a"), (1..=4).map(claimed).collect::<Vec<_>>());
    let entries = board.read(&id("a"), 0, None).unwrap();
    let numbers: Vec<_> = entries.iter().map(|entry| (entry.number, entry.term, entry.position)).collect();
    assert_eq!(numbers, [(1, 1, None), (2, 2, None), (3, 3, None), (4, 4, None)]);
}

pub(super) fn expiry(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let first = claim(subject, &*board, &now, "one");
    let half = subject.pass(&now, subject.lease() / 2);
    let renewed = board.renew(&half, &[held(&first)], subject.lease()).unwrap();
    assert!(matches!(&renewed[..], [Renewal::Kept { requests, .. }] if requests.is_empty()), "{renewed:?}");
    assert_eq!(log(&*board, "a").len(), 1, "a renewal is nothing for the log");
    let whole = subject.pass(&half, subject.lease() - subject.lease() / 4);
    assert!(try_claim(subject, &*board, &whole, "two").is_none(), "a renewed lease holds");
    // A renewal that comes late is kept, since nobody has taken over.
    let late = subject.pass(&whole, subject.lease());
    let renewed = board.renew(&late, &[held(&first)], subject.lease()).unwrap();
    assert!(matches!(renewed[..], [Renewal::Kept { .. }]), "{renewed:?}");
    assert!(try_claim(subject, &*board, &late, "two").is_none());
    append(&*board, &late, &first, 0, &facts(["x"])).expect("its term stands");
    let over = subject.pass(&late, subject.lease() + INSTANT);
    let second = claim(subject, &*board, &over, "two");
    assert_eq!(second.term, 2);
    assert_eq!(owner(&*board, "a").map(|owner| owner.conductor).as_deref(), Some("two"));
    assert_eq!(board.renew(&over, &[held(&first)], subject.lease()).unwrap(), [Renewal::Lost]);
    assert!(matches!(
        board.renew(&over, &[held(&second)], subject.lease()).unwrap()[..],
        [Renewal::Kept { .. }]
    ));
}

pub(super) fn other_boot(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let first = claim(subject, &*board, &now, "one");
    if board.postings(&Query::one(&id("a"))).unwrap()[0].owner.as_ref().map(|owner| &*owner.lease.boot)
        != Some("a boot")
    {
        return; // The store has a clock of its own.
    }
    let restarted = Now { boot: "another boot".into(), since_boot: Duration::from_secs(3), ..now };
    let second = claim(subject, &*board, &restarted, "two");
    assert_eq!((first.term, second.term), (1, 2));
}

pub(super) fn conditions(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    let later = subject.pass(&now, subject.lease() / 2);
    let timed = NewPosting { priority: 9, not_before: Some(later.wall), ..posting("timed") };
    board.post(&now, &timed).unwrap();
    post(&*board, &now, "plain");
    post(&*board, &now, "pinned");
    let pinned = board
        .claim(&now, &ClaimRequest { only: Some(id("pinned")), ..request(subject, "one") })
        .unwrap()
        .expect("it was asked for");
    let release = Release { only_host: Some("there".to_owned()), ..give_back("pinned", Some(pinned.term)) };
    board.release(&now, &release).unwrap();

    let skip = ClaimRequest { skip: vec![id("plain")], ..request(subject, "one") };
    assert!(board.claim(&now, &skip).unwrap().is_none(), "nothing is left for it");
    let timed = ClaimRequest { only: Some(id("timed")), ..request(subject, "one") };
    assert!(board.claim(&now, &timed).unwrap().is_none(), "it is too early");
    let there = ClaimRequest { host: "there".to_owned(), skip: skip.skip, ..request(subject, "one") };
    assert_eq!(board.claim(&now, &there).unwrap().expect("it is its host").posting.id.as_str(), "pinned");
    assert_eq!(claim(subject, &*board, &now, "one").posting.id.as_str(), "plain");
    assert!(try_claim(subject, &*board, &now, "one").is_none());
    assert_eq!(claim(subject, &*board, &later, "one").posting.id.as_str(), "timed");
    let unknown = ClaimRequest { only: Some(id("unknown")), ..request(subject, "one") };
    assert!(board.claim(&now, &unknown).unwrap().is_none());
}

pub(super) fn release(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let refused = board.release(&now, &give_back("a", None));
    assert!(matches!(&refused, Err(BoardError::IllegalStep { .. })), "nobody has it: {refused:?}");
    let first = claim(subject, &*board, &now, "one");
    append(&*board, &now, &first, 0, &facts(["x"])).unwrap();
    let back = give_back("a", Some(first.term));
    assert_eq!(board.release(&now, &back).unwrap(), Accepted::Now);
    assert_eq!(board.release(&now, &back).unwrap(), Accepted::Before, "its answer may have been lost");
    assert_eq!(board.postings(&Query::one(&id("a"))).unwrap()[0].state, State::Suspended);
    assert!(matches!(append(&*board, &now, &first, 1, &facts(["y"])), Err(BoardError::Fenced { .. })));
    assert_eq!(board.renew(&now, &[held(&first)], subject.lease()).unwrap(), [Renewal::Lost]);

    let second = claim(subject, &*board, &now, "two");
    assert_eq!(second.term, 2);
    assert!(matches!(board.release(&now, &back), Err(BoardError::Fenced { given: 1, term: 2, .. })));
    append(&*board, &now, &second, 0, &facts(["z"])).unwrap();
    // A person takes it away: everything of the owner is refused from now on, also what is there already.
    assert_eq!(board.release(&now, &give_back("a", None)).unwrap(), Accepted::Now);
    for (position, items) in [(0, facts(["z"])), (1, facts(["w"]))] {
        assert!(matches!(append(&*board, &now, &second, position, &items), Err(BoardError::Fenced { .. })));
    }
    assert!(matches!(
        board.release(&now, &give_back("a", Some(second.term))),
        Err(BoardError::Fenced { .. })
    ));
    let third = claim(subject, &*board, &now, "three");
    assert_eq!(third.term, 3);
    let steps: Vec<_> = log(&*board, "a")
        .into_iter()
        .filter_map(|item| match item {
            Item::Step(Step::Released { taken_away, reason, .. }) => Some((taken_away, reason)),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [(false, "a reason".to_owned()), (true, "a reason".to_owned())]);
    assert!(matches!(board.release(&now, &give_back("none", None)), Err(BoardError::Gone { .. })));
}

pub(super) fn renewals(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    names.iter().for_each(|name| post(&*board, &now, name));
    let mut all: Vec<Held> = names.iter().map(|_| held(&claim(subject, &*board, &now, "one"))).collect();
    board.release(&now, &give_back("p3", None)).unwrap();
    all.push(Held { posting: id("none"), term: 1 });
    all.push(Held { posting: id("p0"), term: 7 });
    let half = subject.pass(&now, subject.lease() / 2);
    let answers = board.renew(&half, &all, subject.lease()).unwrap();
    let lost: Vec<_> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| **answer == Renewal::Lost)
        .map(|(at, _)| at)
        .collect();
    assert_eq!((answers.len(), lost), (22, vec![3, 20, 21]));
    let over = subject.pass(&now, subject.lease() + INSTANT);
    assert_eq!(claim(subject, &*board, &over, "two").posting.id.as_str(), "p3");
    assert!(try_claim(subject, &*board, &over, "two").is_none(), "the others were renewed");
    assert!(board.renew(&over, &[], subject.lease()).unwrap().is_empty());
}
