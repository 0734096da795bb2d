//! Killed at every position of the log, before and after each record: the same end as undisturbed.
//!
//! A process that was killed leaves the records that it has written and the world as it was just then. Both are kept whenever a
//! record is written, and the next start is made with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::ensure;

use super::log::memory::MemoryLog;
use super::log::record::Record;
use super::log::{Log, LogError};
use crate::clock::VirtualClock;
use crate::context::Context;
use crate::job::group::Group;
use crate::job::policy::{Attempts, OnFailure};
use crate::{Engine, GraphBuilder, JobGraph, Report, Retry};

/// What there is: what each run has made, by the run's own number, and how many runs there were.
#[derive(Clone, Debug, Default, PartialEq)]
struct Things {
    made: BTreeMap<u32, String>,
    runs: u32,
}

#[derive(Clone, Default)]
struct World(Arc<Mutex<Things>>);

impl World {
    fn made(&self) -> Vec<String> {
        let mut made: Vec<String> = self.0.lock().unwrap().made.values().cloned().collect();
        made.sort();
        made.dedup();
        made
    }
}

/// Which run it is and what it makes: that of its innermost attempt.
fn thing(cx: &Context) -> String {
    let value: String = cx.attempt_value().unwrap_or_default();
    format!("{} {value}", cx.name())
}

/// A job that makes a thing. `may` says whether that is good.
fn job(
    graph: &mut GraphBuilder,
    world: &World,
    name: &'static str,
    after: &[&'static str],
    may: impl Fn(&Context) -> bool + Send + Sync + 'static,
) {
    let (checked, ran, reverted) = (world.clone(), world.clone(), world.clone());
    graph
        .job(
            name,
            move |cx| {
                ensure!(may(cx), "it is no good");
                ensure!(checked.made().contains(&thing(cx)), "it is not made");
                Ok(())
            },
            move |cx| {
                let number = {
                    let mut things = ran.0.lock().unwrap();
                    things.runs += 1;
                    things.runs
                };
                cx.local().set("number", number)?;
                ran.0.lock().unwrap().made.insert(number, thing(cx));
                Ok(())
            },
        )
        .retry(Retry::tries(1))
        .revert(move |cx| {
            // Killed before it was set, the run has made nothing.
            if let Some(number) = cx.local().get::<u32>("number")? {
                let made = reverted.0.lock().unwrap().made.remove(&number);
                ensure!(
                    made.is_none_or(|made| made == thing(cx)),
                    "it is not told what its run was attempted with"
                );
            }
            Ok(())
        })
        .after(after.iter().copied());
}

/// `before`; then a group of `a` and of an inner group of `b` and `c`, and `d`; then `after`.
fn nested(world: &World, inner: Attempts, outer: Attempts, may: fn(&Context) -> bool) -> GraphBuilder {
    let mut graph = JobGraph::builder();
    job(&mut graph, world, "before", &[], |_| true);
    job(&mut graph, world, "a", &[], |_| true);
    job(&mut graph, world, "b", &[], |_| true);
    job(&mut graph, world, "c", &["b"], may);
    graph.add(Group::new("inner").jobs_named(["b", "c"]).after_named(["a"]).attempts(inner));
    job(&mut graph, world, "d", &["inner"], |_| true);
    graph.add(Group::new("outer").jobs_named(["a", "inner", "d"]).after_named(["before"]).attempts(outer));
    job(&mut graph, world, "after", &["outer"], |_| true);
    graph
}

/// What a killed process leaves.
#[derive(Clone)]
struct Left {
    records: Vec<Record>,
    things: Things,
}

/// A log that keeps what a process would leave that is killed before or after each record.
struct Watched {
    log: MemoryLog,
    world: World,
    left: Arc<Mutex<Vec<Left>>>,
}

impl Watched {
    fn keep(&self) {
        if matches!(self.log.read().unwrap().last(), Some(Record::End { .. })) {
            // What comes after the end is another convergence.
            return;
        }
        let left = Left { records: self.log.read().unwrap(), things: self.world.0.lock().unwrap().clone() };
        self.left.lock().unwrap().push(left);
    }
}

impl Log for Watched {
    fn term(&self) -> u64 {
        self.log.term()
    }
    fn append(&self, term: u64, position: u64, records: &[Record]) -> Result<(), LogError> {
        self.keep();
        self.log.append(term, position, records)?;
        self.keep();
        Ok(())
    }
    fn sync(&self) -> Result<(), LogError> {
        self.log.sync()
    }
    fn read(&self) -> Result<Vec<Record>, LogError> {
        self.log.read()
    }
    fn snapshot(&self, term: u64, records: &[Record]) -> Result<(), LogError> {
        self.keep();
        self.log.snapshot(term, records)
    }
    fn is_long(&self) -> bool {
        self.log.is_long()
    }
    fn location(&self) -> String {
        self.log.location()
    }
}

/// Starts with what was left, to the end. Returns the report, what there is then, and what would be left by a kill on the way.
fn start(make: &dyn Fn(&World) -> Engine, left: &Left) -> (Report, Vec<String>, Vec<Left>) {
    let world = World(Arc::new(Mutex::new(left.things.clone())));
    let first = MemoryLog::default().take_over();
    if !left.records.is_empty() {
        first.append(first.term(), 0, &left.records).unwrap();
    }
    let kept = Arc::new(Mutex::new(Vec::new()));
    let log = Watched { log: first.take_over(), world: world.clone(), left: kept.clone() };
    let report = make(&world).journal(log).clock(VirtualClock::new()).converge();
    let kept = kept.lock().unwrap().clone();
    (report, world.made(), kept)
}

/// Whatever is killed where, also twice: once it has come to an end, that is the same.
fn the_same_end(make: impl Fn(&World) -> Engine) -> Vec<String> {
    let nothing = Left { records: Vec::new(), things: Things::default() };
    let (report, made, left) = start(&make, &nothing);
    assert!(left.len() > 10, "{}", left.len());
    let mut starts = 0;
    for (at, first) in left.iter().enumerate() {
        let (again, made_again, left_again) = start(&make, first);
        let records = || first.records.iter().map(|record| format!("{record:?}\n")).collect::<String>();
        assert_eq!(made_again, made, "killed at {at}, after\n{}", records());
        assert_eq!(again.converged(), report.converged(), "killed at {at}, after\n{}", records());
        for second in left_again.iter().skip(at % 41).step_by(41) {
            let (last, made_last, _) = start(&make, second);
            let records = || second.records.iter().map(|record| format!("{record:?}\n")).collect::<String>();
            assert_eq!(made_last, made, "killed at {at} and again, after\n{}", records());
            assert_eq!(
                last.converged(),
                report.converged(),
                "killed at {at} and again, after\n{}",
                records()
            );
            starts += 1;
        }
    }
    assert!(starts > 10, "{starts}");
    made
}

fn last_of_all(cx: &Context) -> bool {
    cx.attempt_of("outer") == Some(2) && cx.attempt_of("inner") == Some(2)
}

fn engine(graph: GraphBuilder) -> Engine {
    Engine::with_graph(graph.build().unwrap())
}

#[test]
fn a_group_in_a_group_comes_to_its_last_attempt() {
    let made = the_same_end(|world| {
        engine(nested(world, Attempts::for_each(["x", "y"]), Attempts::times(2), last_of_all))
    });
    assert_eq!(made, ["a ", "after ", "b y", "before ", "c y", "d "]);
}

#[test]
fn exhausted_groups_are_reverted_and_outside_of_them_nothing_is() {
    let never = |_: &Context| false;
    let made = the_same_end(|world| {
        engine(nested(world, Attempts::for_each(["x", "y"]), Attempts::times(2), never))
    });
    assert_eq!(made, ["before "]);
}

#[test]
fn an_exhausted_group_may_have_everything_reverted() {
    let never = |_: &Context| false;
    let made = the_same_end(|world| {
        engine(nested(world, Attempts::times(2).revert_all(), Attempts::times(2), never))
    });
    assert_eq!(made, [""; 0]);
    let made = the_same_end(|world| {
        engine(nested(world, Attempts::times(2), Attempts::times(2), never)).on_failure(OnFailure::Revert)
    });
    assert_eq!(made, [""; 0]);
}

#[test]
fn values_that_were_found_when_the_group_started_stay_the_same() {
    let made = the_same_end(|world| {
        let mut graph = JobGraph::builder();
        let asked = world.clone();
        // Finds other values once anything was made.
        graph.run_only("find", move |cx| {
            let values = if asked.made().is_empty() { vec!["x", "y"] } else { vec!["z"] };
            Ok(cx.global().set("values", values)?)
        });
        job(&mut graph, world, "a", &[], |_| true);
        job(&mut graph, world, "b", &["a"], |cx| {
            cx.attempt_value::<String>().is_ok_and(|value| value == "y")
        });
        let group = Group::new("group").jobs_named(["a", "b"]).after_named(["find"]);
        graph.add(group.attempts(Attempts::for_each_stored("values")));
        engine(graph)
    });
    assert_eq!(made, ["a y", "b y"]);
}

/// The group in a group, which comes to its last attempt, killed only where `is_there` says.
fn comes_to_its_last_attempt_when_killed(is_there: impl Fn(&[Record]) -> bool) {
    let make = |world: &World| {
        engine(nested(world, Attempts::for_each(["x", "y"]), Attempts::times(2), last_of_all))
    };
    let (_, made, left) = start(&make, &Left { records: Vec::new(), things: Things::default() });
    let killed: Vec<&Left> = left.iter().filter(|left| is_there(&left.records)).collect();
    assert!(!killed.is_empty());
    for left in killed {
        let (report, made_again, _) = start(&make, left);
        assert_eq!(made_again, made);
        assert!(report.converged());
    }
}

#[test]
fn crash_after_failure() {
    comes_to_its_last_attempt_when_killed(|records| matches!(records.last(), Some(Record::GroupUndo { .. })));
}

#[test]
fn crash_after_policy() {
    let is_asked =
        |record: Option<&Record>| matches!(record, Some(Record::GroupUndone { .. } | Record::Attempt { .. }));
    comes_to_its_last_attempt_when_killed(|records| is_asked(records.last()));
}

#[test]
fn crash_in_revert() {
    comes_to_its_last_attempt_when_killed(|records| matches!(records.last(), Some(Record::Undone { .. })));
}

#[test]
fn interrupted_in_retry() {
    // Some jobs of the attempt have begun anew, and others have not.
    let has_begun_again = |records: &[Record]| {
        let attempt = records.iter().rposition(|record| matches!(record, Record::Attempt { .. }));
        attempt.is_some_and(|at| records[at..].iter().any(|record| matches!(record, Record::Intent { .. })))
    };
    comes_to_its_last_attempt_when_killed(has_begun_again);
}

#[test]
fn resume_after_job_removed() {
    let never = |_: &Context| false;
    let whole = |world: &World| engine(nested(world, Attempts::times(1), Attempts::times(1), never));
    let (_, _, left) = start(&whole, &Left { records: Vec::new(), things: Things::default() });
    let killed = left.iter().find(|left| matches!(left.records.last(), Some(Record::GroupUndo { .. })));
    // The same groups, without `b`.
    let less = |world: &World| {
        let mut graph = JobGraph::builder();
        job(&mut graph, world, "a", &[], |_| true);
        job(&mut graph, world, "c", &[], never);
        graph.add(Group::new("inner").jobs_named(["c"]).after_named(["a"]).attempts(Attempts::times(1)));
        graph.add(Group::new("outer").jobs_named(["a", "inner"]).attempts(Attempts::times(1)));
        engine(graph)
    };
    let (report, made, _) = start(&less, killed.unwrap());
    assert_eq!(made, ["b ", "before "], "what can be reverted is");
    assert!(report.pending().iter().any(|pending| &*pending.job == "b" && !pending.has_job));
}

#[test]
fn resume_keeps_success() {
    let make = |world: &World| engine(nested(world, Attempts::times(1), Attempts::times(1), |_| true));
    let (_, made, left) = start(&make, &Left { records: Vec::new(), things: Things::default() });
    // Each of the six jobs is run once, and once more only where it was killed in the middle of its run.
    for left in left.iter().filter(|left| matches!(left.records.last(), Some(Record::Intent { .. }))) {
        let halfway = left.things.runs - left.things.made.len() as u32;
        let world = World(Arc::new(Mutex::new(left.things.clone())));
        let log = MemoryLog::default().take_over();
        log.append(log.term(), 0, &left.records).unwrap();
        let report = make(&world).journal(log.take_over()).clock(VirtualClock::new()).converge();
        assert!(report.converged());
        assert_eq!((world.made(), world.0.lock().unwrap().runs), (made.clone(), 6 + halfway));
    }
}
