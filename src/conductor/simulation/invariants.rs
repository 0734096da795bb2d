//! What has to be so at the end of a run, whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::agent::{JOBS, job_name};
use super::world::World;
use crate::board::{Board, Entry, Item, Posting, Query, history_of};
use crate::engine::log::record::Record;
use crate::flow::fact::Fact;
use crate::flow::{State, Step};

pub(super) fn hold(world: &World) {
    for posting in world.board.postings(&Query::all()).expect("the list") {
        let log = world.board.read(&posting.id, 0, None).expect("a log");
        every_entry_is_of_the_owner_of_its_term(&posting, &log);
        a_posting_ends_once(&posting, &log);
        the_history_is_possible(world, &posting);
        a_run_is_announced_before_it_begins(world, &posting, &log);
        what_has_converged_is_as_wanted(world, &posting);
        a_term_has_one_owner(world, &posting, &log);
    }
}

fn every_entry_is_of_the_owner_of_its_term(posting: &Posting, log: &[Entry]) {
    let mut term = 0;
    let mut position = 0;
    for entry in log {
        match &entry.item {
            Item::Step(Step::Claimed { term: claimed, .. }) => {
                assert_eq!(*claimed, term + 1, "terms of {} grow by one", posting.id);
                (term, position) = (*claimed, 0);
            }
            _ => assert_eq!(entry.term, term, "{}: entry {} is of a former owner", posting.id, entry.number),
        }
        if let Some(found) = entry.position {
            assert_eq!(found, position, "{}: entry {}", posting.id, entry.number);
            position += 1;
        }
    }
}

fn a_posting_ends_once(posting: &Posting, log: &[Entry]) {
    let converged = log.iter().filter(|entry| entry.item == Item::Step(Step::Converged)).count();
    let expected = usize::from(posting.state == State::Converged);
    assert_eq!(converged, expected, "{} is {}", posting.id, posting.state);
    assert!(!posting.state.is_open(), "{} is {}", posting.id, posting.state);
    let only_cancelled = posting.id.as_str() == "p7" && posting.state == State::Cancelled;
    assert!(
        posting.state == State::Converged || only_cancelled || posting.state == State::Failed,
        "{posting:?}"
    );
}

fn the_history_is_possible(world: &World, posting: &Posting) {
    let history = history_of(&world.board, &posting.id).expect("a history");
    assert_eq!(history.state, posting.state, "{}", posting.id);
}

fn a_run_is_announced_before_it_begins(world: &World, posting: &Posting, log: &[Entry]) {
    let announced: BTreeSet<(u64, String)> = log
        .iter()
        .filter_map(|entry| match &entry.item {
            Item::Fact(text) => match serde_json::from_str(text).expect("a fact") {
                Fact::Engine(Record::Intent { job, .. }) => Some((entry.term, job)),
                _ => None,
            },
            Item::Step(_) => None,
        })
        .collect();
    for begun in world.begun.iter().filter(|begun| begun.posting == posting.id) {
        assert!(announced.contains(&(begun.term, job_name(begun.job))), "{begun:?}");
    }
}

fn what_has_converged_is_as_wanted(world: &World, posting: &Posting) {
    if posting.state == State::Converged {
        for job in 0..JOBS {
            assert!(world.done.contains(&(posting.id.clone(), job)), "{} job {job}", posting.id);
        }
    }
}

fn a_term_has_one_owner(world: &World, posting: &Posting, log: &[Entry]) {
    let claims: BTreeMap<u64, &String> = log
        .iter()
        .filter_map(|entry| match &entry.item {
            Item::Step(Step::Claimed { term, conductor, .. }) => Some((*term, conductor)),
            _ => None,
        })
        .collect();
    for ((_, term), (conductor, incarnation)) in world.owners.iter().filter(|((of, _), _)| *of == posting.id)
    {
        assert_eq!(*claims[term], format!("conductor {conductor}.{incarnation}"));
    }
}
