//! How the engine behaves, seen from outside: panics, cleanups, dry runs, storage, results, secrets, stops.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use dojob::{
    Clock, Context, CouldNotFindOut, Deps, Engine, Event, FailureKind, GraphBuilder, Job, JobGraph,
    NotAsWanted, Outcome, Phase, Report, Result, Retry, RunOnlyJob, Secret, SystemClock, VirtualClock, deps,
};
use serde_json::json;

#[path = "engine/handed.rs"]
mod handed;
#[path = "engine/permanent.rs"]
mod permanent;

/// What was heard of a run, in words.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn observer(&self) -> impl FnMut(&Event) + Send + 'static {
        let heard = self.clone();
        move |event: &Event| {
            let said = match event {
                Event::PhaseEnded { job, phase, attempt, passed, .. } => {
                    format!("{job}#{attempt}.{phase}: {}", if *passed { "pass" } else { "fail" })
                }
                Event::CleanupEnded { job, attempt, passed, .. } => {
                    format!("{job}#{attempt}.cleanup: {}", if *passed { "pass" } else { "fail" })
                }
                _ => return,
            };
            heard.0.lock().unwrap().push(said);
        }
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn is_set(cx: &Context, key: &str) -> Result<()> {
    ensure!(cx.global().get::<bool>(key)?.unwrap_or(false), "{key} is not set");
    Ok(())
}

fn set(cx: &Context, key: &str) -> Result<()> {
    Ok(cx.global().set(key, true)?)
}

/// A job that is as wanted once it has run.
fn settable(graph: &mut GraphBuilder, name: &'static str, after: &[&'static str]) {
    graph.job(name, move |cx| is_set(cx, name), move |cx| set(cx, name)).after(after.iter().copied());
}

fn engine(graph: GraphBuilder) -> Engine {
    Engine::with_graph(graph.build().unwrap()).clock(VirtualClock::new())
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    report.jobs().map(|job| (job.name(), job.outcome())).collect()
}

#[test]
fn a_panic_is_a_failure_of_its_phase_and_of_nothing_else() {
    let mut graph = JobGraph::builder();
    graph.job("check", |_| panic!("check fell over"), |_| unreachable!()).retry(Retry::tries(1));
    graph.job(
        "run",
        |cx| is_set(cx, "run"),
        |cx| {
            set(cx, "run")?;
            panic!("run fell over, its work done")
        },
    );
    graph.run_only("cleanup", |_| Ok(())).cleanup(|_| panic!("cleanup fell over"));
    settable(&mut graph, "other", &[]);
    let report = engine(graph).converge();
    assert_eq!(
        outcomes(&report),
        [
            ("check", Outcome::Failed),
            ("run", Outcome::Changed),
            ("cleanup", Outcome::Changed),
            ("other", Outcome::Changed)
        ]
    );
    let failure = &report.job("check").failures()[0];
    assert_eq!((failure.kind, failure.reason.as_str()), (FailureKind::Panic, "panicked: check fell over"));
    assert!(failure.location.as_ref().unwrap().contains("tests/engine.rs:"));
    let failures = report.job("run").failures();
    assert_eq!(failures[1].reason, "panicked: run fell over, its work done");
    let failed: Vec<_> = report.failed_cleanups().map(|cleanup| &*cleanup.job).collect();
    assert_eq!(failed, ["cleanup"]);
    assert_eq!((report.success(), report.exit_code()), (false, 1));
}

#[test]
fn an_error_of_run_is_recorded_and_does_not_decide() {
    let mut graph = JobGraph::builder();
    graph.job(
        "A",
        |cx| is_set(cx, "A"),
        |cx| {
            set(cx, "A")?;
            Err(anyhow!("inner").context("outer"))
        },
    );
    let report = engine(graph).converge();
    let job = report.job("A");
    assert_eq!((job.outcome(), job.tries(), job.reason()), (Outcome::Changed, 1, Some("A is not set")));
    let failure = &job.failures()[1];
    assert_eq!(
        (failure.phase, &*failure.reason, &*failure.causes),
        (Phase::Run, "outer: inner", &["inner".to_owned()][..])
    );
    assert_eq!(report.exit_code(), 0);
}

#[test]
fn work_that_shows_late_is_a_change() {
    let mut graph = JobGraph::builder();
    let check = |cx: &mut Context| match (cx.phase(), cx.try_number()) {
        (Phase::Check, 3) => Ok(()),
        (_, number) => bail!("not up yet, try {number}"),
    };
    graph.job("server", check, |_| Ok(()));
    let report = engine(graph).converge();
    let job = report.job("server");
    assert_eq!((job.outcome(), job.tries(), job.reason()), (Outcome::Changed, 3, Some("not up yet, try 1")));
}

#[derive(Clone, PartialEq)]
struct Counting {
    calls: u32,
}

impl Job for Counting {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.calls += 1;
        let seen: u32 = cx.local().get("seen")?.unwrap_or(0);
        cx.local().set("seen", seen + 1)?;
        ensure!(self.calls == seen + 1, "the value and the local storage are of different tries");
        bail!("call {}", self.calls)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        ensure!((self.calls, cx.local().require::<u32>("seen")?) == (1, 1), "not fresh");
        Ok(())
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        ensure!((self.calls, cx.local().require::<u32>("seen")?) == (2, 2), "not what the run had");
        cx.log(format_args!("after try {}", cx.try_number()));
        Ok(())
    }
}

#[test]
fn every_try_has_a_fresh_clone_and_its_cleanup_gets_the_same() {
    let heard = Heard::default();
    let mut engine = Engine::new(Counting { calls: 0 })
        .unwrap()
        .clock(VirtualClock::new())
        .tries(2)
        .observe(heard.observer());
    let report = engine.converge();
    assert_eq!(report.job("Counting").reason(), Some("call 2"));
    assert_eq!(
        heard.all(),
        [
            "Counting#1.check: fail",
            "Counting#1.run: pass",
            "Counting#1.recheck: fail",
            "Counting#2.check: fail",
            "Counting#2.run: pass",
            "Counting#2.recheck: fail",
            "Counting#2.cleanup: pass",
            "Counting#1.cleanup: pass",
        ]
    );
}

#[test]
fn cleanups_are_called_last_in_first_out_for_runs_alone() {
    let heard = Heard::default();
    let mut graph = JobGraph::builder();
    graph.job("in place", |_| Ok(()), |_| unreachable!()).cleanup(|_| unreachable!());
    graph.run_only("first", |_| Ok(())).cleanup(|_| Ok(()));
    graph.run_only("second", |_| Ok(())).cleanup(|_| bail!("stuck"));
    graph.run_only("third", |_| Ok(())).cleanup(|_| Ok(()));
    graph.run_only("without", |_| Ok(()));
    let report = engine(graph).observe(heard.observer()).converge();
    let cleanups: Vec<String> = heard.all().into_iter().filter(|line| line.contains("cleanup")).collect();
    assert_eq!(cleanups, ["third#1.cleanup: pass", "second#1.cleanup: fail", "first#1.cleanup: pass"]);
    assert!(report.converged() && !report.success());
    assert_eq!(report.exit_code(), 1, "a converged run whose cleanup failed");
}

#[test]
fn cleanups_can_be_switched_off_and_called_by_hand() {
    let called = Arc::new(AtomicU32::new(0));
    let counts = called.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("A", |_| Ok(())).cleanup(move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let mut engine = engine(graph).cleanup(false);
    assert!(engine.converge().cleanups().is_empty());
    assert!(engine.converge().cleanups().is_empty());
    assert_eq!(called.load(Ordering::Relaxed), 0);
    assert_eq!(engine.clean_up().len(), 1, "of the last run: those before were declined");
    assert_eq!(engine.clean_up().len(), 0, "once");
    assert_eq!(called.load(Ordering::Relaxed), 1);
    engine.converge();
    let mut dry = engine.no_act(true);
    assert!(dry.converge().cleanups().is_empty() && dry.clean_up().is_empty(), "never in a dry run");
    assert_eq!(called.load(Ordering::Relaxed), 1);
    assert_eq!(dry.no_act(false).clean_up().len(), 1, "it is still open");
}

#[test]
fn a_dry_run_calls_checks_alone() {
    let heard = Heard::default();
    let mut graph = JobGraph::builder();
    graph.job(
        "different",
        |_| bail!(NotAsWanted::new("it differs").diff("f", "a\n", "b\n")),
        |_| unreachable!(),
    );
    graph.job("invisible", |_| bail!(CouldNotFindOut::new("who you are")), |_| unreachable!());
    graph.job("broken", |_| panic!("oh"), |_| unreachable!());
    graph.run_only("always", |_| unreachable!()).cleanup(|_| unreachable!());
    graph.job("in place", |_| Ok(()), |_| unreachable!());
    graph.job("later", |_| unreachable!(), |_| unreachable!()).after(["in place", "different", "invisible"]);
    let report = engine(graph).no_act(true).observe(heard.observer()).converge();
    assert_eq!(
        outcomes(&report),
        [
            ("different", Outcome::WouldRun),
            ("invisible", Outcome::CouldNotFindOut),
            ("broken", Outcome::CouldNotFindOut),
            ("always", Outcome::WouldRun),
            ("in place", Outcome::InPlace),
            ("later", Outcome::Unknown),
        ]
    );
    assert!(heard.all().iter().all(|line| line.contains("#1.check: ")), "{:?}", heard.all());
    assert_eq!(report.job("different").diff(), Some("--- f\n+++ f (wanted)\n@@ -1 +1 @@\n-a\n+b\n"));
    assert_eq!(report.job("later").because_of(), ["different".into(), "invisible".into()]);
    assert_eq!(report.job("invisible").reason(), Some("could not find out who you are"));
    assert_eq!(report.exit_code(), 1, "it could not find out");
}

#[test]
fn exit_codes_of_dry_runs() {
    let mut graph = JobGraph::builder();
    graph.job("A", |_| bail!("no"), |_| Ok(()));
    assert_eq!(engine(graph).no_act(true).converge().exit_code(), 3);
    let mut graph = JobGraph::builder();
    graph.job("A", |_| Ok(()), |_| Ok(()));
    assert_eq!(engine(graph).no_act(true).converge().exit_code(), 0);
}

#[test]
fn what_cannot_be_seen_is_not_changed_and_is_tried_again() {
    let mut graph = JobGraph::builder();
    let check = |cx: &mut Context| match cx.try_number() {
        1 => bail!(std::io::Error::from(std::io::ErrorKind::PermissionDenied)),
        2 => Err(cx.command("no-such-program-anywhere").run().unwrap_err().into()),
        _ => is_set(cx, "A"),
    };
    graph.job("A", check, |cx| {
        ensure!(cx.try_number() == 3, "called in the dark");
        set(cx, "A")
    });
    let heard = Heard::default();
    let report = engine(graph).observe(heard.observer()).converge();
    assert_eq!(report.job("A").outcome(), Outcome::Changed);
    assert_eq!(
        heard.all(),
        ["A#1.check: fail", "A#2.check: fail", "A#3.check: fail", "A#3.run: pass", "A#3.recheck: pass"]
    );
}

#[test]
fn retries_wait_in_virtual_time_and_hold_nobody_back() {
    let clock = Arc::new(VirtualClock::new());
    let starts = Arc::new(Mutex::new(Vec::new()));
    let mut graph = JobGraph::builder();
    for (name, delay) in [("slow", 3600), ("quick", 10)] {
        let (starts, clock) = (starts.clone(), clock.clone());
        graph
            .job(
                name,
                move |cx| {
                    if cx.phase() == Phase::Check {
                        starts.lock().unwrap().push((name, clock.now().as_secs()));
                        clock.advance(Duration::from_secs(4)); // the try itself takes a while
                    }
                    ensure!(cx.try_number() == 3, "not yet");
                    Ok(())
                },
                |_| Ok(()),
            )
            .retry(Retry::tries(3).delay(Duration::from_secs(delay)));
    }
    let report = Engine::with_graph(graph.build().unwrap()).clock(clock.clone()).converge();
    assert!(report.success());
    assert_eq!(
        *starts.lock().unwrap(),
        [("slow", 0), ("quick", 4), ("quick", 14), ("quick", 24), ("slow", 3600), ("slow", 7200)]
    );
}

#[test]
fn a_stop_lets_nothing_new_start_and_cleans_up() {
    let heard = Heard::default();
    let handle: Arc<Mutex<Option<dojob::StopHandle>>> = Arc::default();
    let stops = handle.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("before", |_| Ok(())).cleanup(|cx| {
        // Cleanups have a cancellation of their own: their commands still run.
        ensure!(!cx.is_cancelled(), "cancelled");
        cx.command("true").run()?;
        Ok(())
    });
    graph.job("failing", |_| bail!("not yet"), |_| Ok(()));
    graph.run_only("stopping", move |cx| {
        stops.lock().unwrap().as_ref().unwrap().stop();
        ensure!(cx.is_cancelled(), "not cancelled");
        ensure!(cx.command("true").run().unwrap_err().to_string() == "`true` was stopped", "it ran");
        Ok(())
    });
    settable(&mut graph, "after", &["stopping"]);
    let mut engine = engine(graph).observe(heard.observer());
    *handle.lock().unwrap() = Some(engine.stop_handle());
    let report = engine.converge();
    assert_eq!(
        outcomes(&report),
        [
            ("before", Outcome::Changed),
            ("failing", Outcome::Stopped),
            ("stopping", Outcome::Changed),
            ("after", Outcome::NotStarted)
        ]
    );
    assert!(report.is_stopped() && report.exit_code() == 130);
    assert_eq!(heard.all().last().unwrap(), "before#1.cleanup: pass");
    let again = engine.converge();
    assert!(again.jobs().all(|job| job.outcome() == Outcome::NotStarted), "it stays stopped");
}

#[test]
fn a_sleeping_engine_wakes_when_it_is_stopped() {
    let mut graph = JobGraph::builder();
    graph.job("never", |_| bail!("no"), |_| Ok(())).retry(Retry::tries(2).delay(Duration::from_secs(86_400)));
    let (tell, told) = std::sync::mpsc::channel();
    let mut engine =
        Engine::with_graph(graph.build().unwrap()).clock(SystemClock::new()).observe(move |event: &Event| {
            if matches!(event, Event::RetryScheduled { .. }) {
                tell.send(()).unwrap();
            }
        });
    let stop = engine.stop_handle();
    let stopper = std::thread::spawn(move || {
        told.recv().unwrap();
        stop.stop();
    });
    assert_eq!(engine.converge().job("never").outcome(), Outcome::Stopped);
    stopper.join().unwrap();
}

#[test]
fn with_one_worker_every_phase_starts_where_the_run_began() {
    // The directory belongs to the whole process, so this test is a process of its own.
    run_alone("with_one_worker_every_phase_starts_where_the_run_began", || {
        let began = std::env::current_dir().unwrap();
        let moves = |_: &mut Context| {
            std::env::set_current_dir("/")?;
            Ok(())
        };
        let mut graph = JobGraph::builder();
        graph.run_only("mover", moves).cleanup(moves);
        let expected = began.clone();
        graph
            .run_only("next", move |cx| {
                ensure!(std::env::current_dir()? == expected, "moved");
                ensure!(cx.command("pwd").run()?.text() == expected.to_string_lossy(), "commands are moved");
                Ok(())
            })
            .after(["mover"]);
        assert!(engine(graph).tries(1).converge().success());

        let mut graph = JobGraph::builder();
        graph.run_only("mover", moves);
        let report = engine(graph).tries(1).workers(2).converge();
        let reason = report.job("mover").reason().unwrap();
        assert!(reason.starts_with("the working directory was changed during this phase"), "{reason}");
        assert_eq!(std::env::current_dir().unwrap(), began, "put back");
    });
}

/// Runs `body` in a process of its own: this test binary again, for the one test of this name.
fn run_alone(test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "DOJOB_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let own = std::env::current_exe().unwrap();
    let output = std::process::Command::new(own).args(["--exact", test]).env(INSIDE, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn two_runs_of_an_engine_know_nothing_of_each_other() {
    let mut graph = JobGraph::builder();
    settable(&mut graph, "A", &[]);
    let mut engine = engine(graph);
    for _ in 0..2 {
        assert_eq!(engine.converge().job("A").outcome(), Outcome::Changed, "the global storage is new");
    }
}

#[derive(Clone, PartialEq)]
struct Link {
    at: u32,
}

impl Job for Link {
    fn name(&self) -> String {
        format!("Link {}", self.at)
    }
    fn deps(&self) -> Deps {
        if self.at == 0 { deps![] } else { deps![Link { at: self.at - 1 }] }
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        ensure!(self.at > 0 || cx.arg("whole")?, "the first link is broken");
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_chain_of_a_million_jobs_is_built_and_settles() {
    const LENGTH: u32 = 1_000_000;
    let mut engine = Engine::new(Link { at: LENGTH - 1 })
        .unwrap()
        .retry_delay(Duration::ZERO)
        .args(&json!({"whole": true}))
        .unwrap();
    assert_eq!(engine.converge().counts().in_place, LENGTH as usize);
    let mut engine = engine.args(&json!({"whole": false})).unwrap();
    let report = engine.converge();
    assert_eq!((report.counts().failed, report.counts().blocked), (1, LENGTH as usize - 1));
    assert_eq!(report.job("Link 7").because_of(), ["Link 6".into()]);
    assert_eq!(report.job("Link 0").tries(), 3);
}

#[test]
fn threads_end_as_one_worker_does() {
    let build = || {
        let mut graph = JobGraph::builder();
        for at in 0..300_u32 {
            let name = format!("{at}");
            let check = move |cx: &mut Context| {
                let runs: u32 = cx.global().get(cx.name())?.unwrap_or(0);
                ensure!(at % 37 != 36 && runs >= at % 4, "after {runs} runs");
                Ok(())
            };
            let run = |cx: &mut Context| {
                cx.global().update(cx.name(), |runs: Option<u32>| runs.unwrap_or(0) + 1)?;
                Ok(())
            };
            let after =
                [at / 2, at / 3, at.saturating_sub(7)].into_iter().filter(|dependency| *dependency < at);
            graph.job(name, check, run).after(after.map(|dependency| dependency.to_string()));
        }
        Engine::with_graph(graph.build().unwrap()).retry_delay(Duration::from_micros(50))
    };
    let one = build().converge();
    for workers in [2, 8, 64] {
        let many = build().workers(workers).converge();
        assert_eq!(outcomes(&many), outcomes(&one), "{workers} workers");
    }
    assert!(one.counts().failed > 0 && one.counts().blocked > 0 && one.counts().changed > 0);
}

#[test]
fn a_report_is_json() {
    let mut graph = JobGraph::builder();
    settable(&mut graph, "A", &[]);
    graph.job("B", |_| bail!("no"), |_| Ok(())).after(["A"]);
    graph.dummy("C").after(["B"]);
    let report = engine(graph).tries(2).converge();
    let json = json!(report);
    assert_eq!(
        json["jobs"][0],
        json!({
            "name": "A", "kind": "job", "outcome": "changed", "tries": 1, "seconds": 0.0, "reason": "A is not set",
            "failures": [{"phase": "check", "try": 1, "kind": "error", "reason": "A is not set"}],
        })
    );
    assert_eq!(
        json["jobs"][2],
        json!({"name": "C", "kind": "dummy", "outcome": "blocked", "tries": 0, "seconds": 0.0, "because_of": ["B"]})
    );
    assert_eq!(
        (&json["v"], &json["success"], &json["partial_success"]),
        (&json!(2), &json!(false), &json!(true))
    );
    assert_eq!(json["counts"]["blocked"], 1);
    assert_eq!(json["started"], "1970-01-01T00:00:00Z");
}
