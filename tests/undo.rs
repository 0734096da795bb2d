//! Reverting what cannot be finished, in one process: each test has the name of a behaviour that users of flow engines
//! count on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{bail, ensure};
use dojob::testing::{Fault, Faults};
use dojob::{
    Engine, GraphBuilder, JobGraph, Journal, OnFailure, Outcome, Phase, Refusal, Report, Result, Retry,
    RevertEnding, VirtualClock,
};

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Things that are done or not; they outlive an engine, as the world does.
#[derive(Clone, Default)]
struct World(Arc<Mutex<BTreeMap<String, bool>>>);

impl World {
    fn is(&self, name: &str) -> bool {
        self.0.lock().unwrap().get(name).copied().unwrap_or(false)
    }
    fn set(&self, name: &str, to: bool) {
        self.0.lock().unwrap().insert(name.to_owned(), to);
    }
}

/// A job that does a thing in the world, and can undo it.
fn doing(graph: &mut GraphBuilder, world: &World, log: &Log, name: &'static str, after: &[&'static str]) {
    let (checked, ran, reverted) = (world.clone(), world.clone(), world.clone());
    let (run_log, revert_log, cleanup_log) = (log.clone(), log.clone(), log.clone());
    graph
        .job(
            name,
            move |_| {
                ensure!(checked.is(name), "{name} is not done");
                Ok(())
            },
            move |cx| {
                run_log.note(format!("run {name}"));
                ran.set(name, true);
                Ok(cx.set_result(format!("result of {name}"))?)
            },
        )
        .retry(Retry::tries(2))
        .revert(move |cx| {
            let result: Option<String> = cx.own_result()?;
            ensure!(
                result == Some(format!("result of {name}")),
                "it is not handed its result, but {result:?}"
            );
            revert_log.note(format!("revert {name}"));
            reverted.set(name, false);
            Ok(())
        })
        .cleanup(move |_| {
            cleanup_log.note(format!("clean {name}"));
            Ok(())
        })
        .after(after.iter().copied());
}

/// A job that cannot be done.
fn failing(graph: &mut GraphBuilder, log: &Log, name: &'static str, after: &[&'static str]) {
    let (run_log, revert_log) = (log.clone(), log.clone());
    graph
        .job(
            name,
            move |_| bail!("{name} cannot be done"),
            move |_| {
                run_log.note(format!("run {name}"));
                Ok(())
            },
        )
        .retry(Retry::tries(1))
        .revert(move |_| {
            revert_log.note(format!("revert {name}"));
            Ok(())
        })
        .after(after.iter().copied());
}

fn engine(graph: GraphBuilder) -> Engine {
    Engine::with_graph(graph.build().unwrap()).on_failure(OnFailure::Revert).clock(VirtualClock::new())
}

/// `a`, `b` on it, `c` on that, which cannot be done, and `d` on that.
fn line(world: &World, log: &Log) -> GraphBuilder {
    let mut graph = JobGraph::builder();
    doing(&mut graph, world, log, "a", &[]);
    doing(&mut graph, world, log, "b", &["a"]);
    failing(&mut graph, log, "c", &["b"]);
    doing(&mut graph, world, log, "d", &["c"]);
    graph
}

fn endings(report: &Report) -> Vec<(&str, &'static str)> {
    let ending = |ending: &RevertEnding| match ending {
        RevertEnding::Reverted => "reverted",
        RevertEnding::NoRevert => "no revert",
        RevertEnding::Failed(_) => "failed",
        RevertEnding::NotReached => "not reached",
        _ => "unknown",
    };
    report.reverts().iter().map(|revert| (&*revert.job, ending(&revert.ending))).collect()
}

#[test]
fn retry_exhausted_linear() {
    let (world, log) = (World::default(), Log::default());
    let report = engine(line(&world, &log)).converge();
    let expected = ["run a", "run b", "run c", "revert c", "revert b", "revert a", "clean b", "clean a"];
    assert_eq!(log.take(), expected);
    assert!(!world.is("a") && !world.is("b"));
    assert_eq!(report.job("c").reason(), Some("c cannot be done"));
    assert_eq!((report.job("a").outcome(), report.job("d").outcome()), (Outcome::Reverted, Outcome::Blocked));
    assert_eq!((report.counts().reverted, report.is_revert_incomplete(), report.exit_code()), (2, false, 1));
}

#[test]
fn keep_is_the_default() {
    let (world, log) = (World::default(), Log::default());
    let report = engine(line(&world, &log)).on_failure(OnFailure::Keep).converge();
    assert_eq!(log.take(), ["run a", "run b", "run c", "clean b", "clean a"]);
    assert!(world.is("a") && report.reverts().is_empty());
}

#[test]
fn revert_error_is_failure() {
    let (world, log) = (World::default(), Log::default());
    let graph = line(&world, &log).build().unwrap();
    let faults = Faults::new().always("b", Phase::Revert, Fault::Fail);
    let mut engine = Engine::with_graph(graph.with_faults(faults).unwrap()).on_failure(OnFailure::Revert);
    let report = engine.converge();
    assert_eq!(log.take(), ["run a", "run b", "run c", "revert c"]);
    assert_eq!(endings(&report), [("c", "reverted"), ("b", "failed"), ("a", "not reached")]);
    assert!(report.is_revert_incomplete() && world.is("a") && world.is("b"));
    assert_eq!((report.job("a").outcome(), report.exit_code()), (Outcome::Changed, 1));
}

#[test]
fn nothing_new_starts() {
    let (world, log) = (World::default(), Log::default());
    let mut graph = JobGraph::builder();
    failing(&mut graph, &log, "first", &[]);
    doing(&mut graph, &world, &log, "second", &[]);
    let report = engine(graph).converge();
    assert_eq!(log.take(), ["run first", "revert first"]);
    assert_eq!(report.job("second").outcome(), Outcome::NotStarted);
    assert!(!report.is_stopped(), "nobody has stopped it");
}

#[test]
fn not_started_not_reverted() {
    let (world, log) = (World::default(), Log::default());
    let mut graph = JobGraph::builder();
    doing(&mut graph, &world, &log, "a", &[]);
    graph
        .job("blind", |_| bail!(dojob::CouldNotFindOut::new("anything")), |_| unreachable!())
        .after(["a"])
        .revert(|_| unreachable!());
    let report = engine(graph).converge();
    assert_eq!(endings(&report), [("a", "reverted")]);
}

#[test]
fn check_passed_not_reverted() {
    let (world, log) = (World::default(), Log::default());
    world.set("a", true);
    engine(line(&world, &log)).converge();
    assert_eq!(log.take(), ["run b", "run c", "revert c", "revert b", "clean b"]);
    assert!(world.is("a"));
}

#[test]
fn failed_job_is_reverted() {
    let told = Arc::new(Mutex::new(None));
    let mut graph = JobGraph::builder();
    graph.run_only("other", |_| Ok(())).revert(|_| Ok(()));
    let tell = told.clone();
    graph
        .job("failed", |_| bail!("it is so"), |_| bail!("it was in vain"))
        .retry(Retry::tries(2).delay(Duration::ZERO))
        .after(["other"])
        .revert(move |cx| {
            *tell.lock().unwrap() = cx.failures().get("failed").cloned();
            Ok(())
        });
    let report = engine(graph).converge();
    assert_eq!(endings(&report), [("failed", "reverted"), ("failed", "reverted"), ("other", "reverted")]);
    assert_eq!(report.reverts().iter().map(|revert| revert.attempt).collect::<Vec<_>>(), [2, 1, 1]);
    let told = told.lock().unwrap().clone().unwrap();
    assert_eq!((told.reason.as_str(), told.phase), ("it is so", Phase::Recheck));
}

#[test]
fn revert_sees_failures() {
    let seen = Log::default();
    let mut graph = JobGraph::builder();
    let note = seen.clone();
    graph.run_only("a", |cx| Ok(cx.set_result(7)?)).revert(move |cx| {
        let names: Vec<&str> = cx.failures().keys().map(String::as_str).collect();
        note.note(format!("{} {:?}", names.join(","), cx.own_result::<u32>()?));
        Ok(())
    });
    graph.job("b", |_| bail!("no"), |_| Ok(())).after(["a"]).retry(Retry::tries(1));
    engine(graph).converge();
    assert_eq!(seen.take(), ["b Some(7)"]);
}

#[test]
fn reverse_across_tries() {
    let log = Log::default();
    let mut graph = JobGraph::builder();
    for name in ["a", "b"] {
        let note = log.clone();
        graph
            .job(name, |_| bail!("never"), |_| Ok(()))
            .retry(Retry::tries(if name == "a" { 3 } else { 2 }).delay(Duration::ZERO))
            .revert(move |cx| {
                note.note(format!("{name}{}", cx.try_number()));
                Ok(())
            });
    }
    // a1 b1 a2 b2, and b has failed: its runs come first, then the other's.
    engine(graph).converge();
    assert_eq!(log.take(), ["b2", "b1", "a2", "a1"]);
}

#[test]
fn errors_apart() {
    let mut graph = JobGraph::builder();
    graph
        .job("a", |_| bail!("not so"), |_| bail!("the run's own error"))
        .retry(Retry::tries(1))
        .revert(|_| bail!("the revert's own error"));
    let report = engine(graph).converge();
    let reasons: Vec<&str> =
        report.job("a").failures().iter().map(|failure| failure.reason.as_str()).collect();
    assert_eq!(reasons, ["not so", "the run's own error", "not so"]);
    let RevertEnding::Failed(failure) = &report.reverts()[0].ending else { panic!("{report:?}") };
    assert_eq!((failure.reason.as_str(), failure.phase), ("the revert's own error", Phase::Revert));
}

#[test]
fn a_panic_in_a_revert_is_its_failure() {
    let mut graph = JobGraph::builder();
    graph.job("a", |_| bail!("no"), |_| Ok(())).retry(Retry::tries(1)).revert(|_| panic!("oh"));
    let report = engine(graph).converge();
    assert!(report.is_revert_incomplete());
}

#[test]
fn running_sibling_ends_first() {
    for seed in 0..50 {
        let (world, log) = (World::default(), Log::default());
        let mut graph = JobGraph::builder();
        doing(&mut graph, &world, &log, "a", &[]);
        failing(&mut graph, &log, "b", &[]);
        doing(&mut graph, &world, &log, "c", &[]);
        let report = engine(graph).workers(3).simulate(seed).converge();
        let log = log.take();
        let first_revert = log.iter().position(|line| line.starts_with("revert")).unwrap();
        assert!(!log[first_revert..].iter().any(|line| line.starts_with("run")), "seed {seed}: {log:?}");
        let runs = log.iter().filter(|line| line.starts_with("run")).count();
        let reverts = log.iter().filter(|line| line.starts_with("revert")).count();
        assert_eq!(runs, reverts, "seed {seed}: {log:?}");
        assert!(!world.is("a") && !world.is("c"), "seed {seed}");
        assert_eq!(report.counts().failed, 1);
    }
}

#[test]
fn times_is_total() {
    let log = Log::default();
    let note = log.clone();
    let mut graph = JobGraph::builder();
    graph
        .run_only("a", move |cx| {
            note.note(format!("{} of {}", cx.try_number(), cx.tries()));
            bail!("no")
        })
        .retry(Retry::tries(3).delay(Duration::ZERO));
    engine(graph).converge();
    assert_eq!(log.take(), ["1 of 3", "2 of 3", "3 of 3"]);
}

#[test]
fn second_run_does_nothing() {
    let (world, log) = (World::default(), Log::default());
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let mut graph = JobGraph::builder();
        doing(&mut graph, &world, &log, "a", &[]);
        doing(&mut graph, &world, &log, "b", &["a"]);
        let journal = Journal::open(directory.path().join("state")).unwrap();
        assert!(engine(graph).journal(journal).converge().success());
        let expected: &[&str] = if round == 0 { &["run a", "run b", "clean b", "clean a"] } else { &[] };
        assert_eq!(log.take(), expected);
    }
}

#[test]
fn suspended_not_done() {
    let (world, log) = (World::default(), Log::default());
    let directory = tempfile::tempdir().unwrap();
    let mut graph = JobGraph::builder();
    doing(&mut graph, &world, &log, "a", &[]);
    graph.job("asked to stop", |_| bail!("no"), |_| Ok(())).after(["a"]);
    let mut stopped = engine(graph).journal(Journal::open(directory.path()).unwrap());
    let stop = stopped.stop_handle();
    stopped = stopped.observe(move |event: &dojob::Event| {
        if matches!(event, dojob::Event::TryStarted { job, .. } if &**job == "asked to stop") {
            stop.stop();
        }
    });
    let report = stopped.converge();
    assert!(report.is_stopped() && report.reverts().is_empty() && world.is("a"));
    assert_eq!(report.job("asked to stop").outcome(), Outcome::Stopped);
    drop(stopped);
    // What was begun then is taken back with what is begun now.
    log.take();
    let mut graph = JobGraph::builder();
    doing(&mut graph, &world, &log, "a", &[]);
    failing(&mut graph, &log, "asked to stop", &["a"]);
    let report = engine(graph).journal(Journal::open(directory.path()).unwrap()).converge();
    assert_eq!(log.take(), ["run asked to stop", "revert asked to stop", "revert a"]);
    assert!(!world.is("a") && report.pending().is_empty());
}

/// An engine that goes on undoing `line`, with a journal that a first one has left stuck at `b`.
fn stuck(world: &World, log: &Log, directory: &tempfile::TempDir) {
    let faults = Faults::new().always("b", Phase::Revert, Fault::Fail);
    let graph = line(world, log).build().unwrap().with_faults(faults).unwrap();
    let journal = Journal::open(directory.path()).unwrap();
    let report = Engine::with_graph(graph).on_failure(OnFailure::Revert).journal(journal).converge();
    assert!(report.is_revert_incomplete());
    log.take();
}

#[test]
fn crash_in_revert() {
    let (world, log, directory) = (World::default(), Log::default(), tempfile::tempdir().unwrap());
    stuck(&world, &log, &directory);
    let mut again = engine(line(&world, &log)).journal(Journal::open(directory.path()).unwrap());
    let report = again.converge();
    assert_eq!(log.take(), ["revert b", "revert a", "clean b", "clean a"], "it goes on, and ends there");
    assert_eq!(endings(&report), [("b", "reverted"), ("a", "reverted")]);
    assert!(!world.is("a") && !report.is_revert_incomplete() && again.pending().is_empty());
    assert_eq!((report.counts().not_started, report.exit_code()), (4, 1));
    let report = again.converge();
    assert_eq!(report.job("c").outcome(), Outcome::Failed, "the next one begins anew");
}

#[test]
fn a_revert_that_fails_again_stays_owed_though_its_cleanup_was_left_out() {
    let (world, log, directory) = (World::default(), Log::default(), tempfile::tempdir().unwrap());
    let failing_at_b = |cleanup| {
        let faults = Faults::new().always("b", Phase::Revert, Fault::Fail);
        let graph = line(&world, &log).build().unwrap().with_faults(faults).unwrap();
        let engine = Engine::with_graph(graph).on_failure(OnFailure::Revert).cleanup(cleanup);
        engine.clock(VirtualClock::new()).journal(Journal::open(directory.path()).unwrap()).converge()
    };
    assert!(failing_at_b(false).is_revert_incomplete());
    assert!(failing_at_b(true).is_revert_incomplete(), "the next start tries the revert again, and fails");
    log.take();
    let mut third = engine(line(&world, &log)).journal(Journal::open(directory.path()).unwrap());
    let report = third.converge();
    assert_eq!(endings(&report), [("b", "reverted"), ("a", "reverted")]);
    assert_eq!(log.take(), ["revert b", "revert a"], "and what was left out stays left out");
    assert!(!world.is("b"));
}

#[test]
fn another_policy_is_refused_until_the_undoing_is_forgotten() {
    let (world, log, directory) = (World::default(), Log::default(), tempfile::tempdir().unwrap());
    stuck(&world, &log, &directory);
    let keep = || {
        let journal = Journal::open(directory.path()).unwrap();
        engine(line(&world, &log)).on_failure(OnFailure::Keep).journal(journal)
    };
    let report = keep().converge();
    assert_eq!(report.exit_code(), 4);
    let refusal = report.refusal().unwrap();
    assert!(matches!(refusal, Refusal::UnfinishedRevert { failed, .. } if failed == &["c"]));
    let text = "an earlier start began to revert what it did, since c failed, and did not finish";
    assert_eq!(refusal.to_string(), text);
    assert!(log.take().is_empty());
    assert_eq!(report.pending().iter().filter(|cleanup| cleanup.phase == Phase::Revert).count(), 2);

    let report = keep().forget_undo(true).converge();
    assert_eq!(report.refusal(), None);
    assert_eq!(
        log.take(),
        ["clean b", "clean a", "run c"],
        "pending cleanups are called, and a and b stay as they are"
    );
    assert!(world.is("a"));
}

#[test]
fn resume_after_job_removed() {
    let (world, log, directory) = (World::default(), Log::default(), tempfile::tempdir().unwrap());
    stuck(&world, &log, &directory);
    let mut graph = JobGraph::builder();
    doing(&mut graph, &world, &log, "a", &[]);
    failing(&mut graph, &log, "c", &["a"]);
    let mut without_b = engine(graph).journal(Journal::open(directory.path()).unwrap());
    let report = without_b.converge();
    assert_eq!(log.take(), ["revert a", "clean a"]);
    let lost: Vec<(&str, Phase, bool)> =
        report.pending().iter().map(|cleanup| (&*cleanup.job, cleanup.phase, cleanup.has_job)).collect();
    assert_eq!(lost, [("b", Phase::Revert, false)]);
    let kept = without_b.pending();
    assert!(
        kept.iter().any(|cleanup| &*cleanup.job == "b" && cleanup.phase == Phase::Revert),
        "it is kept: {kept:?}"
    );
    drop(without_b);
    let report = engine(line(&world, &log)).journal(Journal::open(directory.path()).unwrap()).converge();
    assert_eq!(
        (log.take(), endings(&report)),
        (vec!["revert b".to_owned(), "clean b".to_owned()], vec![("b", "reverted")])
    );
}

#[test]
fn resume_keeps_success() {
    let (world, log, directory) = (World::default(), Log::default(), tempfile::tempdir().unwrap());
    let result: Result<()> = (|| {
        for _ in 0..2 {
            let mut graph = JobGraph::builder();
            doing(&mut graph, &world, &log, "a", &[]);
            failing(&mut graph, &log, "b", &["a"]);
            engine(graph).on_failure(OnFailure::Keep).journal(Journal::open(directory.path())?).converge();
        }
        Ok(())
    })();
    result.unwrap();
    assert_eq!(log.take(), ["run a", "run b", "clean a", "run b"]);
}
