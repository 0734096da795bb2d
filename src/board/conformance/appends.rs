//! Logs: positions, repetition, fencing, snapshots and steps.

use super::subject::{Subject, append, claim, facts, facts_of, held, id, log, post, start, try_claim};
use crate::board::error::BoardError;
use crate::board::values::{Accepted, Append, Durability, Item, Query, Renewal};
use crate::flow::state::{State, Step, StepKind};

fn step(step: Step) -> Vec<Item> {
    vec![Item::Step(step)]
}

fn reason() -> String {
    "a reason".to_owned()
}

pub(super) fn positions(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let taken = claim(subject, &*board, &now, "one");
    assert_eq!(append(&*board, &now, &taken, 0, &facts(["a", "b"])).unwrap(), Accepted::Now);
    for position in [3, 9, u64::from(u32::MAX)] {
        let ahead = append(&*board, &now, &taken, position, &facts(["x"]));
        assert!(
            matches!(&ahead, Err(BoardError::Conflict { position: at, next: 2, .. }) if *at == position),
            "{ahead:?}"
        );
    }
    assert_eq!(append(&*board, &now, &taken, 2, &facts(["c"])).unwrap(), Accepted::Now);
    for durability in [Durability::Relaxed, Durability::Full] {
        let nothing = Append {
            posting: &taken.posting.id,
            term: taken.term,
            position: 3,
            items: &[],
            replaces: false,
            durability,
        };
        board.append(&now, &nothing).expect("nothing, for the durability alone");
    }
    let later = subject.pass(&now, subject.lease());
    let next = claim(subject, &*board, &later, "two");
    append(&*board, &later, &next, 0, &facts(["d"])).expect("positions are counted per term");
    let numbers: Vec<_> = board
        .read(&id("a"), 0, None)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.number, entry.term, entry.position, entry.at == now.wall))
        .collect();
    let expected = [
        (1, 1, None, true),
        (2, 1, Some(0), true),
        (3, 1, Some(1), true),
        (4, 1, Some(2), true),
        (5, 2, None, false),
        (6, 2, Some(0), false),
    ];
    assert_eq!(numbers, expected);
    assert_eq!(facts_of(&*board, "a"), ["a", "b", "c", "d"]);
    let gone = Append {
        posting: &id("none"),
        term: 1,
        position: 0,
        items: &[],
        replaces: false,
        durability: Durability::Full,
    };
    assert!(matches!(board.append(&now, &gone), Err(BoardError::Gone { .. })));
}

pub(super) fn repeated(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let taken = claim(subject, &*board, &now, "one");
    let batches = [facts(["a"]).to_vec(), facts(["b", "c"]).to_vec(), facts([""]).to_vec()];
    let mut position = 0;
    for items in &batches {
        append(&*board, &now, &taken, position, items).unwrap();
        position += items.len() as u64;
    }
    position = 0;
    for items in &batches {
        assert_eq!(append(&*subject.open(), &now, &taken, position, items).unwrap(), Accepted::Before);
        position += items.len() as u64;
    }
    let refused = [
        (0, facts(["b"]).to_vec()),
        (0, facts(["a", "x"]).to_vec()),
        (1, facts(["b", "d"]).to_vec()),
        (1, facts(["c", "b"]).to_vec()),
        // Half of it is there: it is another append.
        (3, facts(["", "e"]).to_vec()),
        (0, step(Step::Converged)),
    ];
    for (position, items) in refused {
        let answer = append(&*board, &now, &taken, position, &items);
        assert!(
            matches!(answer, Err(BoardError::Conflict { next: 4, .. })),
            "{position} {items:?}: {answer:?}"
        );
    }
    assert_eq!(facts_of(&*board, "a"), ["a", "b", "c", ""]);
}

pub(super) fn stale(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let old = claim(subject, &*board, &now, "one");
    append(&*board, &now, &old, 0, &facts(["a", "b", "c"])).unwrap();
    let over = subject.pass(&now, subject.lease());
    let new = claim(subject, &*subject.open(), &over, "two");
    append(&*board, &over, &new, 0, &facts(["A"])).unwrap();
    for position in 0..6 {
        for items in [facts(["a"]), facts(["A"]), facts(["x"]), Vec::new(), step(Step::Converged)] {
            let answer = append(&*board, &over, &old, position, &items);
            assert!(
                matches!(answer, Err(BoardError::Fenced { given: 1, term: 2, .. })),
                "{position} {items:?}: {answer:?}"
            );
        }
    }
    // Nor is one with a term that is not there yet.
    let mut ahead = new.clone();
    ahead.term = 3;
    assert!(matches!(
        append(&*board, &over, &ahead, 0, &facts(["x"])),
        Err(BoardError::Fenced { given: 3, term: 2, .. })
    ));
    assert_eq!(facts_of(&*board, "a"), ["a", "b", "c", "A"]);
    append(&*board, &over, &new, 1, &facts(["B"])).expect("the owner goes on");
}

pub(super) fn snapshot(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let first = claim(subject, &*board, &now, "one");
    append(&*board, &now, &first, 0, &facts(["a", "b"])).unwrap();
    let over = subject.pass(&now, subject.lease());
    let second = claim(subject, &*board, &over, "two");
    append(&*board, &over, &second, 0, &facts(["c"])).unwrap();
    let items = facts(["abc"]);
    let snapshot = Append {
        posting: &second.posting.id,
        term: second.term,
        position: 1,
        items: &items,
        replaces: true,
        durability: Durability::Full,
    };
    assert!(matches!(board.append(&over, &Append { term: 1, ..snapshot }), Err(BoardError::Fenced { .. })));
    assert_eq!(facts_of(&*board, "a"), ["a", "b", "c"], "what was refused has replaced nothing");
    assert_eq!(board.append(&over, &snapshot).unwrap(), Accepted::Now);
    assert_eq!(board.append(&over, &snapshot).unwrap(), Accepted::Before);
    assert_eq!(facts_of(&*board, "a"), ["abc"]);
    append(&*board, &over, &second, 2, &facts(["d"])).expect("positions go on");
    assert_eq!(facts_of(&*board, "a"), ["abc", "d"]);
    assert!(matches!(
        append(&*board, &over, &second, 0, &facts(["c"])),
        Err(BoardError::Conflict { next: 3, .. })
    ));
    let steps = log(&*board, "a").into_iter().filter(|item| matches!(item, Item::Step(_)));
    assert_eq!(steps.count(), 2, "steps stay");
}

pub(super) fn closing(subject: &dyn Subject) {
    let now = start();
    let endings = [
        (Step::Converged, State::Converged),
        (Step::Failed { reason: reason() }, State::Failed),
        (Step::Reverted { reason: reason() }, State::Reverted),
        (Step::RevertIncomplete { reason: reason() }, State::RevertIncomplete),
        (Step::Cancelled { reason: reason() }, State::Cancelled),
        (Step::Parked { reason: reason() }, State::Parked),
    ];
    for (number, (ending, state)) in endings.into_iter().enumerate() {
        let board = subject.open();
        let name = format!("p{number}");
        post(&*board, &now, &name);
        let taken = claim(subject, &*board, &now, "one");
        let items = [Item::Fact("x".to_owned()), Item::Step(ending)];
        append(&*board, &now, &taken, 0, &items).unwrap();
        assert_eq!(
            append(&*board, &now, &taken, 0, &items).unwrap(),
            Accepted::Before,
            "its answer was lost"
        );
        let found = board.postings(&Query::one(&id(&name))).unwrap().remove(0);
        assert_eq!((found.state, found.owner), (state, None));
        let after = append(&*board, &now, &taken, 2, &facts(["y"]));
        assert!(matches!(after, Err(BoardError::Fenced { .. })), "{after:?}");
        assert_eq!(board.renew(&now, &[held(&taken)], subject.lease()).unwrap(), [Renewal::Lost]);
        let over = subject.pass(&now, subject.lease() * 2);
        assert!(try_claim(subject, &*board, &over, "two").is_none());
        assert_eq!(facts_of(&*board, &name), ["x"]);
    }
}

pub(super) fn illegal_steps(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    let taken = claim(subject, &*board, &now, "one");
    let claimed = Step::Claimed { term: 2, conductor: "one".to_owned(), host: "here".to_owned() };
    let released = Step::Released {
        reason: reason(),
        taken_away: false,
        after_death: false,
        not_before: None,
        only_host: None,
    };
    for (not_the_owners, kind) in
        [(claimed, StepKind::Claimed), (released, StepKind::Released), (Step::Retried, StepKind::Retried)]
    {
        let refused = append(&*board, &now, &taken, 0, &step(not_the_owners));
        assert!(matches!(refused, Err(BoardError::NotTheOwners { step, .. }) if step == kind), "{refused:?}");
    }
    let twice = [Item::Step(Step::Converged), Item::Step(Step::Failed { reason: reason() })];
    let refused = append(&*board, &now, &taken, 0, &twice).unwrap_err();
    assert_eq!(refused.to_string(), "a: a posting that is converged cannot be failed");
    assert_eq!(log(&*board, "a").len(), 1, "nothing of what was refused is there");
    assert_eq!(board.postings(&Query::one(&id("a"))).unwrap()[0].state, State::Running);
}

pub(super) fn pages(subject: &dyn Subject) {
    let (board, now) = (subject.open(), start());
    post(&*board, &now, "a");
    post(&*board, &now, "b");
    let taken = [claim(subject, &*board, &now, "one"), claim(subject, &*board, &now, "one")];
    for position in 0..50 {
        for taken in &taken {
            let fact = format!("{} {position}", taken.posting.id);
            append(&*board, &now, taken, position, &[Item::Fact(fact)]).unwrap();
        }
    }
    let mut after = 0;
    let mut found = Vec::new();
    loop {
        let page = board.read(&id("a"), after, Some(7)).unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = last.number;
        found.extend(page.into_iter().map(|entry| entry.item));
    }
    assert_eq!(found, log(&*board, "a"));
    let expected: Vec<_> = (0..50).map(|position| format!("a {position}")).collect();
    assert_eq!(facts_of(&*board, "a"), expected);
}
