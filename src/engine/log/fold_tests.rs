//! Tests of the fold of records.

use proptest::prelude::*;

use super::*;

fn start(revert: bool) -> Record {
    Record::Start {
        run: "r".into(),
        at: Timestamp::UNIX_EPOCH,
        pid: 7,
        boot: None,
        revert,
        directory: None,
        args: Map::new(),
        positional: Vec::new(),
    }
}

fn intent(n: u64, job: &str) -> Record {
    Record::Intent { n, job: job.into(), attempt: 1, tries: 3, local: Map::new(), groups: Vec::new() }
}

fn owed(ledger: &Ledger) -> Vec<u64> {
    ledger.entries().filter(|(_, entry)| entry.obligation.owes_cleanup()).map(|(n, _)| n).collect()
}

#[test]
fn what_was_begun_is_owed_until_it_is_settled() {
    let mut ledger = Ledger::of(&[start(false), intent(1, "A"), intent(2, "B")]);
    assert_eq!((owed(&ledger), ledger.next()), (vec![1, 2], 3));
    ledger.apply(&Record::Settled { n: 1 });
    assert_eq!(owed(&ledger), [2]);
    ledger.apply(&Record::Settled { n: 2 });
    assert!(!ledger.is_empty(), "the dependents may not have seen it");
    ledger.apply(&Record::End { converged: true });
    assert!(ledger.is_empty());
}

#[test]
fn what_was_declined_is_not_owed_and_not_forgotten() {
    let ledger = Ledger::of(&[start(false), intent(1, "A"), Record::Declined { n: 1 }]);
    assert!(
        owed(&ledger).is_empty()
            && ledger.entry(1).is_some_and(|entry| entry.obligation == Obligation::Declined)
    );
    assert_eq!(Ledger::of(&ledger.records()), ledger);
}

#[test]
fn with_reverting_a_run_stays_after_its_cleanup_until_the_end() {
    let mut ledger = Ledger::of(&[start(true), intent(1, "A"), Record::Settled { n: 1 }]);
    assert!(ledger.entry(1).is_some_and(|entry| entry.obligation == Obligation::Revert));
    let compact = Ledger::of(&ledger.records());
    assert_eq!(compact, ledger);
    ledger.apply(&Record::End { converged: false });
    assert!(ledger.entry(1).is_none());
}

#[test]
fn undoing_ends_when_it_is_said_to_and_not_with_the_run() {
    let failures = BTreeMap::new();
    let mut ledger = Ledger::of(&[start(true), intent(1, "A"), Record::Undo { failures }]);
    ledger.apply(&Record::End { converged: false });
    assert!(ledger.undo().is_some() && ledger.entry(1).is_some_and(|entry| entry.obligation.is_revertible()));
    ledger.apply(&Record::Undone { n: 1 });
    ledger.apply(&Record::UndoEnded);
    assert!(ledger.undo().is_none());
    assert_eq!(owed(&ledger), [1]);
}

#[test]
fn a_change_is_unseen_until_the_reader_has_converged_after_it() {
    let mut ledger = Ledger::of(&[start(false), intent(1, "file"), Record::Settled { n: 1 }]);
    assert!(ledger.is_unseen("file", "service") && !ledger.is_unseen("other", "service"));
    ledger.apply(&Record::Seen { job: "service".into(), n: ledger.next() });
    assert!(!ledger.is_unseen("file", "service") && ledger.is_unseen("file", "another"));
    ledger.apply(&intent(2, "file"));
    assert!(ledger.is_unseen("file", "service"));
}

/// `H` is in `G`.
fn any_group() -> impl Strategy<Value = (String, Vec<String>)> {
    any::<bool>().prop_map(|inner| match inner {
        true => ("H".to_owned(), vec!["G".to_owned()]),
        false => ("G".to_owned(), Vec::new()),
    })
}

#[test]
fn a_group_that_is_reverted_goes_on_with_its_next_attempt_or_is_given_up() {
    let undo = |again| Record::GroupUndo {
        group: "G".into(),
        attempt: 2,
        within: Vec::new(),
        failures: BTreeMap::new(),
        again,
    };
    let undone = Record::GroupUndone { group: "G".into() };
    let mut ledger = Ledger::of(&[start(false), undo(true)]);
    assert_eq!(ledger.undoing_group().map(|(group, state)| (group, state.attempt)), Some(("G", 2)));
    ledger.apply(&undone);
    assert!(ledger.undoing_group().is_none());
    assert_eq!(ledger.group("G").map(|state| (state.attempt, &state.stage)), Some((3, &Stage::UnderWay)));

    let mut ledger = Ledger::of(&[start(false), undo(false), undone]);
    assert!(matches!(ledger.group("G").unwrap().stage, Stage::GivenUp { .. }));
    ledger.apply(&Record::End { converged: false });
    assert_eq!(ledger.group("G"), None, "the next convergence begins anew");
}

#[test]
fn an_attempt_begins_those_in_it_anew() {
    let attempt = |group: &str, attempt, within: &[&str]| Record::Attempt {
        group: group.into(),
        attempt,
        within: within.iter().map(|name| (*name).to_owned()).collect(),
        values: None,
    };
    let mut ledger = Ledger::of(&[attempt("G", 1, &[]), attempt("H", 2, &["G"])]);
    ledger.apply(&attempt("G", 1, &[]));
    assert!(ledger.group("H").is_some(), "the attempt goes on");
    ledger.apply(&attempt("G", 2, &[]));
    assert!(ledger.group("H").is_none() && ledger.group("G").is_some());
}

fn any_record() -> impl Strategy<Value = Record> {
    let n = 0..6_u64;
    prop_oneof![
        any::<bool>().prop_map(start),
        (n.clone(), "[AB]").prop_map(|(n, job)| intent(n, &job)),
        (n.clone(), any::<bool>()).prop_map(|(n, value)| Record::Set {
            n,
            key: "k".into(),
            value: value.into()
        }),
        n.clone().prop_map(|n| Record::Unset { n, key: "k".into() }),
        n.clone().prop_map(|n| Record::Starting { n, token: "t".into() }),
        (n.clone(), any::<bool>()).prop_map(|(n, has)| Record::Spawned {
            n,
            group: 5,
            start: Some(9),
            token: has.then(|| "t".into())
        }),
        n.clone().prop_map(|n| Record::Finished { n, token: "t".into() }),
        n.clone().prop_map(|n| Record::Ended { n, group: 5 }),
        n.clone().prop_map(|n| Record::Tried { n, result: 1.into() }),
        Just(Record::Undo { failures: BTreeMap::new() }),
        n.clone().prop_map(|n| Record::Undone { n }),
        Just(Record::UndoEnded),
        (n.clone(), "[AB]", any::<bool>()).prop_map(|(n, job, inner)| Record::Intent {
            n,
            job,
            attempt: 1,
            tries: 1,
            local: Map::new(),
            groups: if inner { vec!["G".into(), "H".into()] } else { vec!["G".into()] },
        }),
        any_group().prop_flat_map(|(group, within)| {
            (1..4_u32, proptest::option::of(0..3_i32)).prop_map(move |(attempt, value)| Record::Attempt {
                group: group.clone(),
                attempt,
                within: within.clone(),
                values: value.map(|value| vec![value.into()]),
            })
        }),
        any_group().prop_flat_map(|(group, within)| {
            (1..4_u32, any::<bool>()).prop_map(move |(attempt, again)| Record::GroupUndo {
                group: group.clone(),
                attempt,
                within: within.clone(),
                failures: BTreeMap::new(),
                again,
            })
        }),
        any_group().prop_map(|(group, _)| Record::GroupUndone { group }),
        ("[AB]", 0..3_i32).prop_map(|(job, value)| Record::Provided {
            job,
            values: [("v".to_owned(), Value::from(value))].into_iter().collect(),
        }),
        n.clone().prop_map(|n| Record::Settled { n }),
        n.clone().prop_map(|n| Record::Declined { n }),
        ("[AB]", n).prop_map(|(job, n)| Record::Seen { job, n }),
        any::<bool>().prop_map(|converged| Record::End { converged }),
        Just(Record::AllSeen),
    ]
}

proptest! {
    #[test]
    fn every_record_has_a_text_that_says_the_same(record in any_record()) {
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    /// A snapshot may take the place of any prefix: it means the same, now and after whatever follows.
    #[test]
    fn compacting_changes_nothing(
        before in prop::collection::vec(any_record(), 0..30),
        after in prop::collection::vec(any_record(), 0..30),
    ) {
        let told = |ledger: &Ledger| {
            let entries: Vec<_> = ledger.entries().map(|(n, entry)| {
                let start = ledger.start_of(entry).clone();
                (n, start, Entry { start: 0, ..entry.clone() })
            }).collect();
            (
                entries,
                ledger.undo.clone(),
                ledger.marks.clone(),
                ledger.seen.clone(),
                (ledger.groups.clone(), ledger.provided.clone()),
            )
        };
        let mut whole = Ledger::of(&before);
        let mut compact = Ledger::of(&whole.records());
        prop_assert_eq!(told(&whole), told(&compact));
        // A start has to come before intents, as it does.
        for record in std::iter::once(&start(true)).chain(&after) {
            whole.apply(record);
            compact.apply(record);
        }
        prop_assert_eq!(told(&whole), told(&compact));
    }
}
