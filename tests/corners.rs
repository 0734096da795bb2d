//! Corners that were decided: what happens when users' code, observers, secrets and stops meet in unlucky ways.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dojob::{
    Context, CouldNotFindOut, Deps, DummyJob, Engine, Event, GraphBuilder, Job, JobGraph, NotAsWanted,
    Outcome, Phase, Result, RunOnlyJob, Secret, StopHandle, VirtualClock, deps,
};
use serde_json::json;

fn engine(graph: GraphBuilder) -> Engine {
    Engine::with_graph(graph.build().unwrap()).clock(VirtualClock::new()).tries(1)
}

/// A counter, and a closure that adds one to it.
fn counter() -> (Arc<AtomicU32>, impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static) {
    let count = Arc::new(AtomicU32::new(0));
    let counts = count.clone();
    (count, move |_: &mut Context| {
        counts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    })
}

fn count_of(counter: &AtomicU32) -> u32 {
    counter.load(Ordering::SeqCst)
}

#[test]
fn a_failed_cleanup_stays_owed() {
    let mut graph = JobGraph::builder();
    graph.run_only("A", |_| Ok(())).cleanup(|_| bail!("stuck"));
    let mut engine = engine(graph);
    assert_eq!(engine.converge().cleanups().len(), 1);
    assert_eq!(engine.clean_up().len(), 1);
    assert_eq!(engine.converge().cleanups().len(), 2, "that of the run before, and its own");
}

#[test]
fn cleanups_of_several_runs_and_workers_come_in_reverse_order_of_the_runs() {
    for seed in 0..50 {
        let called = Arc::new(Mutex::new(Vec::new()));
        let mut graph = JobGraph::builder();
        for name in ["a", "b", "c"] {
            let called = called.clone();
            graph.run_only(name, |_| Ok(())).cleanup(move |cx| {
                called.lock().unwrap().push(cx.name().to_owned());
                bail!("still in use")
            });
        }
        let mut engine = engine(graph).simulate(seed).workers(3);
        engine.converge();
        let first = std::mem::take(&mut *called.lock().unwrap());
        engine.converge();
        assert_eq!(
            called.lock().unwrap()[3..],
            first,
            "seed {seed}: those of the first run after those of the second"
        );
    }
}

#[test]
fn an_observer_that_panics_takes_nobody_with_it() {
    for workers in [1, 3] {
        let (cleaned, clean) = counter();
        let heard = Arc::new(AtomicU32::new(0));
        let hears = heard.clone();
        let mut graph = JobGraph::builder();
        graph
            .run_only("a", |cx| cx.shell("echo line; true").run().map(drop).map_err(Into::into))
            .cleanup(clean);
        let mut engine = engine(graph)
            .workers(workers)
            .observe(|event: &Event| {
                assert!(!matches!(event, Event::Output { .. }), "an observer falls over")
            })
            .observe(move |_: &Event| _ = hears.fetch_add(1, Ordering::SeqCst));
        let report = engine.converge();
        assert!(report.success(), "{:?}", report.job("a").failures());
        assert_eq!(count_of(&cleaned), 1);
        assert!(count_of(&heard) > 8, "the other one hears everything");
    }
}

#[test]
fn a_grace_without_an_end_does_not_overflow() {
    let mut graph = JobGraph::builder();
    graph.run_only("a", |cx| {
        let command = cx.shell("sleep 1000").timeout(Duration::from_millis(100)).grace(Duration::MAX);
        ensure!(command.run().is_err(), "it was ended");
        Ok(())
    });
    assert!(engine(graph).converge().success());
}

#[derive(serde::Serialize)]
struct Args {
    password: Secret,
}

/// All that can be seen of a run of `body` with a secret argument.
fn seen(secret: &str, body: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static) -> String {
    let all = Arc::new(Mutex::new(String::new()));
    let hears = all.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("a", body);
    let mut engine = engine(graph)
        .args(&Args { password: Secret::from(secret.to_owned()) })
        .unwrap()
        .observe(move |event: &Event| hears.lock().unwrap().push_str(&format!("{}\n", json!(event))));
    let report = engine.converge();
    format!("{}{}{}", all.lock().unwrap(), json!(report), report.to_dot())
}

#[test]
fn no_part_of_a_secret_is_seen() {
    let password = |cx: &Context| cx.arg::<String>("password");
    let all = seen("hunter2hunter2", |cx| {
        let line = "head -c 16379 /dev/zero | tr '\\0' x; echo hunter2hunter2";
        Ok(cx.shell(line).run().map(drop)?)
    });
    assert!(!all.contains("xhunt") && !all.contains("er2\""), "cut in two by a long line");
    let all = seen("it's secret", move |cx| Ok(cx.command("false").arg(password(cx)?).run().map(drop)?));
    assert!(!all.contains("s secret"), "quoted for a shell: {all}");
    let all = seen("pa\"ss\\word", move |cx| bail!("it says {:?}", password(cx)?));
    assert!(!all.contains("word\\") && !all.contains("ss\\"), "escaped: {all}");
}

#[test]
fn a_secret_in_a_name_is_refused() {
    let mut graph = JobGraph::builder();
    graph.dummy("log in as hunter2");
    let error = engine(graph).args(&Args { password: Secret::from("hunter2".to_owned()) }).unwrap_err();
    assert!(error.to_string().starts_with("the name of a job has a secret argument in it"), "{error}");
}

#[test]
fn an_error_of_arguments_shows_none_of_them() {
    let mut graph = JobGraph::builder();
    graph.dummy("a");
    let error = engine(graph).args(&[Secret::from("hunter2".to_owned())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "keyword arguments have to be a struct or a map with string keys, this is a list"
    );
}

#[test]
fn secrets_are_stored_and_handed_on_as_they_are() {
    let mut graph = JobGraph::builder();
    graph.run_only("a", |cx| {
        cx.global().set("token", Secret::from("tok-4711".to_owned()))?;
        cx.set_result(Secret::from("res-4711".to_owned()))?;
        Ok(())
    });
    graph
        .run_only("b", |cx| {
            let (token, result): (Secret, Secret) = (cx.global().require("token")?, cx.result("a")?);
            ensure!(
                (token.expose().as_str(), result.expose().as_str()) == ("tok-4711", "res-4711"),
                "masked for good"
            );
            Ok(())
        })
        .after(["a"]);
    let report = engine(graph).converge();
    assert!(report.success(), "{:?}", report.job("b").reason());
    assert_eq!(report.job("a").result(), Some(&json!("***")));
}

#[test]
fn what_a_check_may_not_have_seen_is_not_changed() {
    let (ran, run) = counter();
    let mut graph = JobGraph::builder();
    let check = |_: &mut Context| {
        Err(anyhow::Error::from(NotAsWanted::new("differs"))).context(CouldNotFindOut::new("what is there"))
    };
    graph.job("a", check, run);
    assert_eq!(engine(graph).converge().job("a").outcome(), Outcome::Failed);
    assert_eq!(count_of(&ran), 0);
}

#[test]
fn nothing_to_converge_is_no_success() {
    let mut graph = JobGraph::builder();
    graph.dummy("a");
    let error = graph.build().unwrap().only(Vec::<String>::new()).unwrap_err();
    assert_eq!(error.to_string(), "the job graph has a mistake: there are no jobs");
}

#[derive(Clone)]
struct Incomparable;

impl PartialEq for Incomparable {
    fn eq(&self, _: &Self) -> bool {
        panic!("who knows")
    }
}

impl RunOnlyJob for Incomparable {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Both;

impl DummyJob for Both {
    fn deps(&self) -> Deps {
        deps![Incomparable, Incomparable]
    }
}

#[test]
fn a_comparison_that_panics_is_a_mistake_of_the_graph() {
    let error = JobGraph::new(Both).unwrap_err().to_string();
    assert!(error.contains("`Incomparable`") && error.contains("who knows"), "{error}");
}

/// Panics when a try lets go of it.
#[derive(PartialEq)]
struct Clingy {
    in_a_try: bool,
}

impl Clone for Clingy {
    fn clone(&self) -> Self {
        Clingy { in_a_try: true }
    }
}

impl Drop for Clingy {
    fn drop(&mut self) {
        assert!(!self.in_a_try || std::thread::panicking(), "do not let me go");
    }
}

impl Job for Clingy {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_job_that_panics_when_it_is_dropped_harms_nobody() {
    let mut engine = Engine::new(Clingy { in_a_try: false }).unwrap();
    assert!(engine.converge().success());
}

#[test]
fn nothing_is_detached_after_a_stop() {
    let handle: Arc<Mutex<Option<StopHandle>>> = Arc::default();
    let stops = handle.clone();
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log");
    let mut graph = JobGraph::builder();
    graph.run_only("a", move |cx| {
        let fed = cx.command("true").stdin("something").detach(&log).unwrap_err();
        ensure!(
            fed.to_string().starts_with("`true` cannot be detached: nothing would enforce its timeout"),
            "{fed}"
        );
        stops.lock().unwrap().as_ref().unwrap().stop();
        ensure!(cx.command("true").detach(&log).is_err() && !log.exists(), "detached");
        panic!("all is well")
    });
    let mut engine = engine(graph);
    *handle.lock().unwrap() = Some(engine.stop_handle());
    assert_eq!(engine.converge().job("a").reason(), Some("panicked: all is well"));
}

#[test]
fn a_passing_check_is_never_followed_by_a_run_whatever_others_do_to_the_directory() {
    const ALONE: &str = "DOJOB_TEST_ALONE";
    let name = "a_passing_check_is_never_followed_by_a_run_whatever_others_do_to_the_directory";
    if std::env::var_os(ALONE).is_none() {
        // The directory belongs to the whole process, so this test is a process of its own.
        let own = std::env::current_exe().unwrap();
        let output =
            std::process::Command::new(own).args(["--exact", name]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let moved = Arc::new(Barrier::new(2));
    let settled = Arc::new(Barrier::new(2));
    let (moves, waits) = ((moved.clone(), settled.clone()), moved);
    let (ran, run) = counter();
    let mut graph = JobGraph::builder();
    graph.run_only("culprit", move |_| {
        std::env::set_current_dir("/")?;
        moves.0.wait();
        moves.1.wait();
        Ok(())
    });
    let check = move |cx: &mut Context| {
        if cx.phase() == Phase::Check {
            waits.wait();
        }
        Ok(())
    };
    graph.job("innocent", check, run);
    let report = Engine::with_graph(graph.build().unwrap())
        .tries(1)
        .workers(2)
        .observe(move |event: &Event| {
            if matches!(event, Event::JobSettled { job, .. } if &**job == "innocent") {
                settled.wait();
            }
        })
        .converge();
    assert_eq!(count_of(&ran), 0);
    let reason = report.job("innocent").reason().unwrap();
    assert!(
        reason.contains("the working directory was changed during this phase, by this job or one"),
        "{reason}"
    );
    assert!(Path::new("/") != std::env::current_dir().unwrap(), "put back");
}

#[test]
fn a_far_result_may_be_read_by_all_and_by_nobody_else() {
    let mut graph = JobGraph::builder();
    graph.run_only("0", |cx| Ok(cx.set_result(7)?));
    for at in 1..5000_u32 {
        let body = |cx: &mut Context| {
            ensure!(cx.result::<u32>("0")? == 7, "wrong");
            Ok(())
        };
        graph.run_only(at.to_string(), body).after([(at - 1).to_string()]);
    }
    for at in 0..2000_u32 {
        let node = graph.run_only(format!("stranger {at}"), |cx| {
            ensure!(cx.result::<u32>("0").is_err(), "it may");
            Ok(())
        });
        if at > 0 {
            node.after([format!("stranger {}", at - 1)]);
        }
    }
    assert!(engine(graph).converge().success());
}

#[test]
fn cleanups_can_be_asked_to_end() {
    let handle: Arc<Mutex<Option<StopHandle>>> = Arc::default();
    let stops = handle.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("a", |_| Ok(())).cleanup(move |cx| {
        ensure!(!cx.is_cancelled(), "too early");
        stops.lock().unwrap().as_ref().unwrap().stop_cleanups();
        ensure!(cx.is_cancelled() && cx.command("true").run().is_err(), "not asked");
        Ok(())
    });
    let mut engine = engine(graph);
    *handle.lock().unwrap() = Some(engine.stop_handle());
    assert!(engine.converge().success());
}
