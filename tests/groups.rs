//! Groups that are reverted and attempted again: each test in the first part has the name of a behaviour that users of flow engines
//! count on.

#[path = "groups/beyond_the_table.rs"]
mod beyond_the_table;

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use anyhow::{bail, ensure};
use dojob::{
    Attempts, Context, Engine, Event, GraphBuilder, Group, IntoJob, JobGraph, OnFailure, Outcome, Report,
    Result, Retry, RevertEnding, RunOnlyJob, Secret, SkipDepth, VirtualClock, deps,
};

/// What happened, in order, and things that are done or not.
#[derive(Clone, Default)]
struct World {
    told: Arc<Mutex<Vec<String>>>,
    done: Arc<Mutex<BTreeMap<String, bool>>>,
}

impl World {
    fn note(&self, what: impl Into<String>) {
        self.told.lock().unwrap().push(what.into());
    }
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
    fn is(&self, name: &str) -> bool {
        self.done.lock().unwrap().get(name).copied().unwrap_or(false)
    }
    fn set(&self, name: &str, to: bool) {
        self.done.lock().unwrap().insert(name.to_owned(), to);
    }
    fn done(&self) -> Vec<String> {
        let done = self.done.lock().unwrap();
        done.iter().filter(|(_, is)| **is).map(|(name, _)| name.clone()).collect()
    }
}

/// A job that does a thing in the world and can revert that; `may` says whether it succeeds.
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
            move |_| {
                ensure!(checked.is(name), "{name} is not done");
                Ok(())
            },
            move |cx| {
                ran.note(format!("run {name}"));
                if may(cx) {
                    ran.set(name, true);
                }
                Ok(cx.local().set("attempt", cx.attempt())?)
            },
        )
        .retry(Retry::tries(1))
        .revert(move |cx| {
            let attempt: u32 = cx.local().require("attempt")?;
            ensure!(attempt == cx.attempt(), "it is attempt {} and not {attempt}", cx.attempt());
            reverted.note(format!("revert {name}"));
            reverted.set(name, false);
            Ok(())
        })
        .after(after.iter().copied());
}

fn always(_: &Context) -> bool {
    true
}

fn never(_: &Context) -> bool {
    false
}

fn engine(graph: GraphBuilder) -> Engine {
    Engine::with_graph(graph.build().unwrap()).clock(VirtualClock::new())
}

fn converge(graph: GraphBuilder) -> Report {
    engine(graph).converge()
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    report.jobs().map(|job| (job.name(), job.outcome())).collect()
}

#[test]
fn retry_success_linear() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    job(&mut graph, &world, "b", &["a"], |cx| cx.attempt() == 2);
    graph.add(Group::new("both").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    assert!(report.success());
    assert_eq!(world.told(), ["run a", "run b", "revert b", "revert a", "run a", "run b"]);
    assert_eq!(report.groups()[0].attempts, 2);
    assert_eq!((report.counts().changed, report.counts().reverted, report.counts().total()), (2, 0, 3));
}

#[test]
fn retry_exhausted_linear() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    job(&mut graph, &world, "b", &["a"], never);
    graph.add(Group::new("both").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    let once = ["run a", "run b", "revert b", "revert a"];
    assert_eq!(world.told(), [once, once].concat());
    assert_eq!(
        outcomes(&report),
        [("a", Outcome::Reverted), ("b", Outcome::Failed), ("both", Outcome::Blocked)]
    );
    assert_eq!(report.job("b").reason(), Some("b is not done"));
    assert!(!report.is_revert_incomplete());
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn revert_error_is_failure() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    graph.run_only("b", |_| Ok(())).revert(|_| bail!("it sticks")).after(["a"]);
    job(&mut graph, &world, "c", &["b"], never);
    graph.add(Group::new("all").jobs_named(["a", "b", "c"]).attempts(Attempts::times(3)));
    job(&mut graph, &world, "outside", &["all"], always);
    let report = converge(graph);
    assert_eq!(world.told(), ["run a", "run c", "revert c"]);
    assert!(report.is_revert_incomplete());
    let endings: Vec<_> = report.reverts().iter().map(|revert| (&*revert.job, &revert.ending)).collect();
    assert!(matches!(
        endings[..],
        [("c", RevertEnding::Reverted), ("b", RevertEnding::Failed(_)), ("a", RevertEnding::NotReached)]
    ));
    assert_eq!(report.groups()[0].attempts, 1);
    assert_eq!(report.job("outside").outcome(), Outcome::NotStarted);
}

#[test]
fn inner_retry_keeps_outer() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "before", &[], always);
    job(&mut graph, &world, "a", &["before"], always);
    job(&mut graph, &world, "b", &["a"], |cx| cx.attempt() == 2);
    graph.add(Group::new("inner").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    job(&mut graph, &world, "after", &["inner"], always);
    graph.add(Group::new("outer").jobs_named(["before", "inner", "after"]).attempts(Attempts::times(2)));
    assert!(converge(graph).success());
    assert_eq!(
        world.told(),
        ["run before", "run a", "run b", "revert b", "revert a", "run a", "run b", "run after"]
    );
}

/// Notes which attempt of the inner group it is, and fails.
fn counting(graph: &mut GraphBuilder, world: &World, name: &'static str) {
    let world = world.clone();
    graph
        .run_only(name, move |cx| {
            world.note(format!("outer {:?}, inner {}", cx.attempt_of("outer"), cx.attempt()));
            bail!("no")
        })
        .retry(Retry::tries(1));
}

#[test]
fn outer_retry_resets_inner() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    counting(&mut graph, &world, "a");
    graph.add(Group::new("inner").jobs_named(["a"]).attempts(Attempts::times(2)));
    graph.add(Group::new("outer").jobs_named(["inner"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    assert_eq!(
        world.told(),
        [
            "outer Some(1), inner 1",
            "outer Some(1), inner 2",
            "outer Some(2), inner 1",
            "outer Some(2), inner 2"
        ]
    );
    assert_eq!(report.groups().iter().map(|group| group.attempts).collect::<Vec<_>>(), [2, 2]);
}

/// `before`, then the group `inner` of `a` and `b`, which fails, then `after`.
fn with_inner(world: &World, attempts: Attempts) -> GraphBuilder {
    let mut graph = JobGraph::builder();
    job(&mut graph, world, "before", &[], always);
    job(&mut graph, world, "a", &["before"], always);
    job(&mut graph, world, "b", &["a"], never);
    graph.add(Group::new("inner").jobs_named(["a", "b"]).attempts(attempts));
    job(&mut graph, world, "after", &["inner"], always);
    job(&mut graph, world, "beside", &["before"], always);
    graph
}

#[test]
fn inner_exhausted_keeps_outer() {
    let world = World::default();
    let report = converge(with_inner(&world, Attempts::always_revert()));
    assert_eq!(world.told(), ["run before", "run a", "run b", "revert b", "revert a", "run beside"]);
    assert_eq!(world.done(), ["before", "beside"]);
    assert_eq!(report.job("after").outcome(), Outcome::Blocked);
    assert_eq!(report.job("after").because_of(), ["inner".into()]);
}

#[test]
fn inner_exhausted_revert_all() {
    let world = World::default();
    let report = converge(with_inner(&world, Attempts::always_revert_all()));
    assert_eq!(world.told(), ["run before", "run a", "run b", "revert b", "revert a", "revert before"]);
    assert_eq!(world.done(), [""; 0]);
    assert_eq!(report.job("before").outcome(), Outcome::Reverted);
    assert_eq!(report.job("beside").outcome(), Outcome::NotStarted);
}

#[test]
fn an_exhausted_group_that_keeps_is_left_as_it_is() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    job(&mut graph, &world, "b", &["a"], never);
    let keeps =
        Group::new("both").jobs_named(["a", "b"]).attempts(Attempts::times(2)).on_failure(OnFailure::Keep);
    graph.add(keeps);
    let report = converge(graph);
    assert_eq!(world.told(), ["run a", "run b", "revert b", "revert a", "run a", "run b"]);
    assert_eq!(report.job("a").outcome(), Outcome::Changed);
}

#[test]
fn the_policy_of_the_run_is_asked_last() {
    let world = World::default();
    let report = engine(with_inner(&world, Attempts::times(2))).on_failure(OnFailure::Revert).converge();
    let told = world.told();
    assert_eq!(told[..5], ["run before", "run a", "run b", "revert b", "revert a"]);
    // What was to start when the group failed has its turn before the group starts again.
    assert_eq!(
        told[5..],
        ["run beside", "run a", "run b", "revert b", "revert a", "revert beside", "revert before"]
    );
    assert_eq!(report.job("before").outcome(), Outcome::Reverted);
}

#[test]
fn times_is_total() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let noted = world.clone();
    graph
        .run_only("a", move |cx| {
            noted.note(format!("{} of {}", cx.attempt(), cx.attempts()));
            bail!("no")
        })
        .retry(Retry::tries(1));
    graph.add(Group::new("group").jobs_named(["a"]).attempts(Attempts::times(3)));
    converge(graph);
    assert_eq!(world.told(), ["1 of 3", "2 of 3", "3 of 3"]);
}

/// A job that notes what its group is attempted with, and succeeds with `good` only.
fn choosy(graph: &mut GraphBuilder, world: &World, good: &'static str) {
    let (noted, reverted) = (world.clone(), world.clone());
    graph
        .run_only("choosy", move |cx| {
            let value: String = cx.attempt_value()?;
            noted.note(&value);
            ensure!(value == good, "{value} is no good");
            Ok(())
        })
        .revert(move |cx| {
            reverted.note(format!("revert {}", cx.attempt_value::<String>()?));
            Ok(())
        })
        .retry(Retry::tries(1));
}

#[test]
fn for_each_in_order() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    choosy(&mut graph, &world, "z");
    let attempts = Attempts::for_each(["y", "x", "y", "z", "w"]);
    graph.add(Group::new("group").jobs_named(["choosy"]).attempts(attempts));
    let report = converge(graph);
    assert!(report.success());
    assert_eq!(world.told(), ["y", "revert y", "x", "revert x", "y", "revert y", "z"]);
    assert_eq!(report.groups()[0].value, Some("z".into()));
}

#[test]
fn for_each_empty() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    choosy(&mut graph, &world, "z");
    graph.add(Group::new("group").jobs_named(["choosy"]).attempts(Attempts::for_each([""; 0])));
    job(&mut graph, &world, "outside", &["group"], always);
    let report = converge(graph);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(
        outcomes(&report),
        [("choosy", Outcome::NotStarted), ("group", Outcome::Failed), ("outside", Outcome::Blocked)]
    );
    assert_eq!(report.job("group").reason(), Some("there is no value to attempt it with"));
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn for_each_empty_asks_the_group_around_it() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    choosy(&mut graph, &world, "z");
    let inner = Group::new("inner").jobs_named(["choosy"]).after_named(["a"]);
    graph.add(inner.attempts(Attempts::for_each([""; 0])));
    graph.add(Group::new("outer").jobs_named(["a", "inner"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    assert_eq!(world.told(), ["run a", "revert a", "run a", "revert a"]);
    assert_eq!(report.job("inner").outcome(), Outcome::Failed);
}

#[test]
fn for_each_from_storage() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    graph.run_only("find", |cx| Ok(cx.global().set("mirrors", ["x", "z"])?));
    choosy(&mut graph, &world, "z");
    let group = Group::new("group").jobs_named(["choosy"]).after_named(["find"]);
    graph.add(group.attempts(Attempts::for_each_stored("mirrors")));
    assert!(converge(graph).success());
    assert_eq!(world.told(), ["x", "revert x", "z"]);
}

#[test]
fn for_each_value_of_a_result() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    graph.run_only("find", |cx| Ok(cx.set_result(["x", "z"])?));
    choosy(&mut graph, &world, "z");
    let group = Group::new("group").jobs_named(["choosy"]).after_named(["find"]);
    graph.add(group.attempts(Attempts::for_each_result("find")));
    assert!(converge(graph).success());
    assert_eq!(world.told(), ["x", "revert x", "z"]);
}

#[test]
fn a_result_to_attempt_with_has_to_come_before() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    graph.run_only("find", |cx| Ok(cx.set_result(["x", "z"])?));
    choosy(&mut graph, &world, "z");
    graph.add(Group::new("group").jobs_named(["choosy"]).attempts(Attempts::for_each_result("find")));
    assert_eq!(
        graph.build().unwrap_err().to_string(),
        "the job graph has a mistake: the group `group` is attempted for each value of the result of `find`, and does not come \
         after it; add it to what the group comes after"
    );
}

#[test]
fn what_is_no_list_is_nothing_to_attempt_with() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    choosy(&mut graph, &world, "z");
    graph.add(Group::new("group").jobs_named(["choosy"]).attempts(Attempts::for_each_stored("mirrors")));
    let report = converge(graph);
    assert_eq!(
        report.job("group").reason(),
        Some("there is no value to attempt it with: what is stored under `mirrors` is not there")
    );
    let mut graph = JobGraph::builder();
    graph.run_only("find", |cx| Ok(cx.global().set("mirrors", "x")?));
    choosy(&mut graph, &world, "z");
    let group = Group::new("group").jobs_named(["choosy"]).after_named(["find"]);
    graph.add(group.attempts(Attempts::for_each_stored("mirrors")));
    let report = converge(graph);
    let reason = report.job("group").reason().unwrap().to_owned();
    assert_eq!(reason, "what is stored under `mirrors` is no list of values to attempt it with");
}

#[test]
fn parallel_siblings_reverted() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let both = Arc::new(Barrier::new(2));
    let sibling = both.clone();
    job(&mut graph, &world, "sibling", &[], move |cx| {
        if cx.attempt() == 1 {
            sibling.wait();
        }
        true
    });
    let failing = both.clone();
    job(&mut graph, &world, "failing", &[], move |cx| {
        if cx.attempt() == 1 {
            failing.wait();
        }
        cx.attempt() == 2
    });
    graph.add(Group::new("group").jobs_named(["sibling", "failing"]).attempts(Attempts::times(2)));
    assert!(engine(graph).workers(2).converge().success());
    let told = world.told();
    assert_eq!(told.iter().filter(|line| *line == "revert sibling").count(), 1, "{told:?}");
    let reverted = told.iter().position(|line| line == "revert sibling").unwrap();
    assert_eq!(told[reverted + 1..].iter().filter(|line| *line == "run sibling").count(), 1, "{told:?}");
    assert_eq!(told.iter().position(|line| line == "revert failing"), Some(2), "{told:?}");
}

#[test]
fn running_sibling_ends_first() {
    // The failing job ends while its sibling is in the middle of its run.
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let (begun, failed) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (sibling_begun, sibling_failed, ended) = (begun.clone(), failed.clone(), world.clone());
    job(&mut graph, &world, "sibling", &[], move |_| {
        sibling_begun.wait();
        sibling_failed.wait();
        ended.note("sibling ends");
        true
    });
    job(&mut graph, &world, "failing", &[], move |_| {
        begun.wait();
        false
    });
    graph.add(Group::new("group").jobs_named(["sibling", "failing"]).attempts(Attempts::always_revert()));
    let engine = engine(graph).workers(2).observe(move |event: &Event| {
        if matches!(event, Event::JobSettled { job, .. } if &**job == "failing") {
            failed.wait();
        }
    });
    let report = { engine }.converge();
    let told = world.told();
    assert_eq!(told[2..], ["sibling ends", "revert failing", "revert sibling"], "{told:?}");
    assert_eq!(report.job("sibling").outcome(), Outcome::Reverted);
}

#[test]
fn nothing_new_starts() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "failing", &[], never);
    job(&mut graph, &world, "later", &[], always);
    job(&mut graph, &world, "outside", &[], always);
    graph.add(Group::new("group").jobs_named(["failing", "later"]).attempts(Attempts::always_revert()));
    let report = converge(graph);
    assert_eq!(world.told(), ["run failing", "revert failing", "run outside"]);
    assert_eq!(report.job("later").outcome(), Outcome::NotStarted);
}

#[test]
fn not_started_not_reverted() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "failing", &[], |cx| cx.attempt() == 2);
    job(&mut graph, &world, "later", &["failing"], always);
    graph.add(Group::new("group").jobs_named(["failing", "later"]).attempts(Attempts::times(2)));
    assert!(converge(graph).success());
    assert_eq!(world.told(), ["run failing", "revert failing", "run failing", "run later"]);
}

#[test]
fn check_passed_not_reverted() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    world.set("there", true);
    job(&mut graph, &world, "there", &[], always);
    job(&mut graph, &world, "failing", &["there"], never);
    graph.add(Group::new("group").jobs_named(["there", "failing"]).attempts(Attempts::times(2)));
    let report = converge(graph);
    assert_eq!(world.told(), ["run failing", "revert failing", "run failing", "revert failing"]);
    assert_eq!(report.job("there").outcome(), Outcome::InPlace);
}

#[test]
fn failed_job_is_reverted() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let noted = world.clone();
    graph.run_only("failing", |_| bail!("out of paper")).retry(Retry::tries(2)).revert(move |cx| {
        noted.note(format!("try {}: {}", cx.try_number(), cx.failures()["failing"].reason));
        Ok(())
    });
    // Its run starts later, and it is reverted later all the same.
    job(&mut graph, &world, "sibling", &[], always);
    graph.add(Group::new("group").jobs_named(["failing", "sibling"]).attempts(Attempts::always_revert()));
    converge(graph);
    assert_eq!(world.told(), ["run sibling", "try 2: out of paper", "try 1: out of paper", "revert sibling"]);
}

#[test]
fn revert_sees_failures() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let noted = world.clone();
    graph.run_only("first", |cx| Ok(cx.set_result(7)?)).revert(move |cx| {
        noted.note(format!("{:?} {:?}", cx.own_result::<u32>()?, cx.failures().keys().collect::<Vec<_>>()));
        Ok(())
    });
    job(&mut graph, &world, "failing", &["first"], never);
    graph.add(Group::new("group").jobs_named(["first", "failing"]).attempts(Attempts::always_revert()));
    // Fails as well, and is none of the group's business.
    job(&mut graph, &world, "outside", &[], never);
    graph.root("outside").root("group");
    converge(graph);
    assert_eq!(world.told(), ["run outside", "run failing", "revert failing", "Some(7) [\"failing\"]"]);
}

#[test]
fn reverse_across_nesting() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    job(&mut graph, &world, "b", &["a"], always);
    job(&mut graph, &world, "c", &["b"], always);
    job(&mut graph, &world, "d", &["inner"], always);
    job(&mut graph, &world, "e", &["d"], always);
    job(&mut graph, &world, "f", &["second"], never);
    graph.add(Group::new("inner").jobs_named(["b", "c"]).attempts(Attempts::times(2)));
    graph.add(Group::new("second").jobs_named(["e"]).attempts(Attempts::times(2)));
    graph.add(
        Group::new("outer")
            .jobs_named(["a", "inner", "d", "second", "f"])
            .attempts(Attempts::always_revert()),
    );
    converge(graph);
    let told = world.told();
    assert_eq!(told[..6], ["run a", "run b", "run c", "run d", "run e", "run f"]);
    assert_eq!(told[6..], ["revert f", "revert e", "revert d", "revert c", "revert b", "revert a"]);
}

#[test]
fn errors_apart() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    graph.run_only("a", |_| Ok(())).revert(|_| bail!("it sticks"));
    job(&mut graph, &world, "b", &["a"], never);
    graph.add(Group::new("group").jobs_named(["a", "b"]).attempts(Attempts::always_revert()));
    let report = converge(graph);
    assert_eq!(report.job("b").reason(), Some("b is not done"));
    let RevertEnding::Failed(failure) = &report.reverts()[1].ending else { panic!("it was reverted") };
    assert_eq!(failure.reason, "it sticks");
    assert_eq!(report.job("a").reason(), None);
}

#[test]
fn second_run_does_nothing() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    job(&mut graph, &world, "b", &["a"], |cx| cx.attempt() == 2);
    graph.add(Group::new("both").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    let mut engine = engine(graph);
    assert!(engine.converge().success());
    world.told();
    let report = engine.converge();
    assert_eq!((report.counts().in_place, world.told()), (3, vec![]));
    assert_eq!(report.groups()[0].attempts, 1);
}

#[test]
fn suspended_not_done() {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    job(&mut graph, &world, "a", &[], always);
    job(&mut graph, &world, "b", &["a"], always);
    graph.add(Group::new("both").jobs_named(["a", "b"]).attempts(Attempts::times(2)));
    let engine = engine(graph);
    let stop = engine.stop_handle();
    let report = {
        engine.observe(move |event: &Event| {
            if matches!(event, Event::JobSettled { .. }) {
                stop.stop()
            }
        })
    }
    .converge();
    assert_eq!(world.told(), ["run a"]);
    assert_eq!(
        outcomes(&report),
        [("a", Outcome::Changed), ("b", Outcome::NotStarted), ("both", Outcome::NotStarted)]
    );
    assert_eq!(report.exit_code(), 130);
}

/// Four jobs, each after the one before; the condition of the second is false.
fn skipped(depth: SkipDepth) -> Vec<&'static str> {
    let (world, mut graph) = (World::default(), JobGraph::builder());
    let names = ["a", "b", "c", "d"];
    for (at, name) in names.into_iter().enumerate() {
        let after = at.checked_sub(1).map(|before| names[before]);
        let noted = world.clone();
        let job = graph
            .run_only(name, move |_| {
                noted.note(name);
                Ok(())
            })
            .after(after);
        if name == "b" {
            job.only_if(depth, |_| Ok(false));
        }
    }
    graph.add(Group::new("group").jobs_named(["b", "c"]));
    let report = converge(graph);
    assert!(report.success());
    let ran = report.jobs().filter(|job| job.outcome() == Outcome::Changed).map(|job| job.name().to_owned());
    assert_eq!(ran.collect::<Vec<_>>(), world.told());
    let count = report.jobs().filter(|job| job.outcome() == Outcome::Skipped).count();
    assert_eq!(report.counts().skipped, count);
    names.into_iter().filter(|name| report.job(name).outcome() == Outcome::Skipped).collect()
}

#[test]
fn skip_depths() {
    assert_eq!(skipped(SkipDepth::Itself), ["b"]);
    assert_eq!(skipped(SkipDepth::Dependents), ["b", "c"]);
    assert_eq!(skipped(SkipDepth::Group), ["b", "c"]);
    assert_eq!(skipped(SkipDepth::After), ["b", "c", "d"]);
}

#[test]
fn missing_input_before_start() {
    let mut graph = JobGraph::builder();
    graph.run_only("resolve", |cx| Ok(cx.provide("address", "10.0.0.7")?)).provides(["address"]);
    graph.run_only("deploy", |_| panic!("it starts")).requires(["adress"]);
    graph.run_only("report", |_| panic!("it starts")).requires(["colour"]);
    assert_eq!(
        graph.build().unwrap_err().to_string(),
        "the job graph has 2 mistakes:\n  \
         - `deploy` requires `adress`, which no job provides; did you mean `address`?\n  \
         - `report` requires `colour`, which no job provides"
    );
}
