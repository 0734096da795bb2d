//! A dry run that looks ahead: every check is called, and what stands behind a job that would run is given as things
//! stand, with that job named.

use std::sync::{Arc, Mutex};

use anyhow::{bail, ensure};
use dojob::{
    Console, Context, CouldNotFindOut, Engine, Event, GraphBuilder, JobGraph, Outcome, Report, Result,
};

fn in_place(_: &mut Context) -> Result<()> {
    Ok(())
}

fn differs(_: &mut Context) -> Result<()> {
    bail!("it differs")
}

fn blind(_: &mut Context) -> Result<()> {
    bail!(CouldNotFindOut::new("how it is"))
}

fn never(_: &mut Context) -> Result<()> {
    unreachable!("a dry run runs nothing")
}

fn look_ahead(build: impl FnOnce(&mut GraphBuilder)) -> Report {
    let mut graph = JobGraph::builder();
    build(&mut graph);
    Engine::with_graph(graph.build().unwrap()).no_act(true).look_ahead(true).converge()
}

/// Outcome, what it waits for, and the reason, of each job.
fn found(report: &Report) -> Vec<(String, Outcome, String, String)> {
    let of = |job: dojob::JobReport<'_>| {
        let reason = job.reason().unwrap_or_default().to_owned();
        (job.name().to_owned(), job.outcome(), job.because_of().join(", "), reason)
    };
    report.jobs().map(of).collect()
}

fn row(name: &str, outcome: Outcome, because_of: &str, reason: &str) -> (String, Outcome, String, String) {
    (name.to_owned(), outcome, because_of.to_owned(), reason.to_owned())
}

#[test]
fn every_check_is_called_and_what_stands_before_is_named() {
    let report = look_ahead(|graph| {
        graph.job("first", in_place, never);
        graph.job("directory", differs, never).after(["first"]);
        graph.job("file", differs, never).after(["directory"]);
        graph.job("other", in_place, never).after(["directory"]);
        graph.job("service", in_place, never).after(["other", "first"]);
        graph.job("remote", blind, never).after(["service"]);
        graph.job("last", differs, never).after(["remote", "file"]);
        graph.run_only("always", never).after(["other"]);
    });
    use Outcome::{InPlace, Unknown, WouldRun};
    assert_eq!(
        found(&report),
        [
            row("first", InPlace, "", ""),
            row("directory", WouldRun, "", "it differs"),
            row("file", WouldRun, "directory", "it differs"),
            row("other", InPlace, "directory", ""),
            row("service", InPlace, "directory", ""),
            row("remote", Unknown, "directory", "could not find out how it is"),
            row("last", WouldRun, "remote, file", "it differs"),
            row("always", WouldRun, "directory", ""),
        ]
    );
    let counts = report.counts();
    assert_eq!((counts.in_place, counts.may_change, counts.would_run, counts.unknown), (3, 2, 4, 1));
    assert_eq!(counts.total(), 8);
    assert!(!report.job("first").may_change() && report.job("service").may_change());
    assert!(!report.converged() && report.partial_success());
    assert_eq!(report.exit_code(), 3);
}

#[test]
fn what_cannot_be_found_out_with_nothing_before_it_is_no_matter_of_waiting() {
    let report = look_ahead(|graph| {
        graph.job("blind", blind, never);
        graph.job("behind", differs, never).after(["blind"]);
        graph.job("panics", |_| panic!("oh"), never).after(["blind"]);
    });
    use Outcome::{CouldNotFindOut, Unknown, WouldRun};
    assert_eq!(
        found(&report),
        [
            row("blind", CouldNotFindOut, "", "could not find out how it is"),
            row("behind", WouldRun, "blind", "it differs"),
            row("panics", Unknown, "blind", "panicked: oh"),
        ]
    );
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn without_it_checks_behind_a_job_that_would_run_are_not_called() {
    let mut graph = JobGraph::builder();
    graph.job("directory", differs, never);
    graph.job("file", |_| unreachable!("it is behind"), never).after(["directory"]);
    let report = Engine::with_graph(graph.build().unwrap()).no_act(true).converge();
    assert_eq!(report.job("file").outcome(), Outcome::Unknown);
    assert_eq!(report.job("file").tries(), 0);
    assert_eq!(report.counts().may_change, 0);
}

#[test]
fn it_is_nothing_to_a_run() {
    let mut graph = JobGraph::builder();
    graph.job("fails", differs, |_| Ok(()));
    graph.job("behind", |_| unreachable!("it is blocked"), never).after(["fails"]);
    let mut engine = Engine::with_graph(graph.build().unwrap()).tries(1).look_ahead(true);
    assert_eq!(engine.converge().job("behind").outcome(), Outcome::Blocked);
}

#[test]
fn a_result_is_known_only_of_what_is_in_place() {
    let report = look_ahead(|graph| {
        graph.job("before", differs, never);
        graph.job("known", |cx| Ok(cx.set_result(7)?), never).after(["before"]);
        graph.job(
            "open",
            |cx| {
                cx.set_result(7)?;
                differs(cx)
            },
            never,
        );
        let of_known = |cx: &mut Context| {
            ensure!(cx.result::<i32>("known")? == 8, "it is not 8");
            Ok(())
        };
        let of_open = |cx: &mut Context| {
            ensure!(cx.result::<i32>("open")? == 8, "it is not 8");
            Ok(())
        };
        graph.job("of known", of_known, never).after(["known"]);
        graph.job("of open", of_open, never).after(["open"]);
    });
    assert_eq!(report.job("of known").outcome(), Outcome::WouldRun);
    assert_eq!(report.job("of known").reason(), Some("it is not 8"));
    assert_eq!(report.job("of open").outcome(), Outcome::Unknown);
    assert_eq!(
        report.job("of open").reason(),
        Some("the result of `open` is not known before it is in place")
    );
}

#[test]
fn what_would_run_counts_as_a_change_for_those_who_ask() {
    let restart = |cx: &mut Context| {
        ensure!(!cx.changed("settings")?, "the settings change");
        Ok(())
    };
    let report = look_ahead(|graph| {
        graph.job("settings", differs, never);
        graph.job("service", restart, never).after(["settings"]);
    });
    assert_eq!(report.job("service").outcome(), Outcome::WouldRun);
    assert_eq!(report.job("service").reason(), Some("the settings change"));
}

#[test]
fn a_check_knows_that_it_is_early() {
    let is_early = |early: bool| {
        move |cx: &mut Context| {
            assert_eq!(cx.is_early(), early, "{}", cx.name());
            Ok(())
        }
    };
    for (no_act, look_ahead) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut graph = JobGraph::builder();
        graph.job("in place", is_early(false), never);
        graph.job("first", is_early(false), never).after(["in place"]);
        graph.run_only("runs", |_| Ok(()));
        graph.job("second", is_early(no_act), never).after(["runs"]);
        graph.job("third", is_early(no_act), never).after(["second", "first"]);
        let mut engine = Engine::with_graph(graph.build().unwrap()).no_act(no_act).look_ahead(look_ahead);
        let expected = if no_act && !look_ahead { Outcome::Unknown } else { Outcome::InPlace };
        assert_eq!(engine.converge().job("third").outcome(), expected);
    }
}

#[test]
fn many_workers_find_the_same() {
    let build = |graph: &mut GraphBuilder| {
        for number in 0..60_u32 {
            let check = [in_place, differs, blind][(number % 7 % 3) as usize];
            let before: Vec<String> = [2, 5, 9]
                .iter()
                .filter(|step| number >= **step && number % **step == 0)
                .map(|step| format!("job {}", number - step))
                .collect();
            graph.job(format!("job {number}"), check, never).after(before);
        }
    };
    let one = look_ahead(build);
    for workers in [2, 8] {
        let mut graph = JobGraph::builder();
        build(&mut graph);
        let engine = Engine::with_graph(graph.build().unwrap()).no_act(true).look_ahead(true);
        assert_eq!(found(&engine.workers(workers).converge()), found(&one));
    }
}

/// What a job would be that stands behind a thousand others costs no more than the edges between them.
#[test]
fn a_long_chain_behind_one_that_would_run() {
    let report = look_ahead(|graph| {
        graph.job("job 0", differs, never);
        for number in 1..50_000 {
            graph.job(format!("job {number}"), in_place, never).after([format!("job {}", number - 1)]);
        }
    });
    assert_eq!(report.counts().may_change, 49_999);
    assert_eq!(report.job("job 49999").because_of(), ["job 0".into()]);
}

#[test]
fn events_and_the_report_in_json_have_it() {
    let events: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let kept = events.clone();
    let mut graph = JobGraph::builder();
    graph.job("directory", differs, never);
    graph.job("file", in_place, never).after(["directory"]);
    let mut engine = Engine::with_graph(graph.build().unwrap())
        .no_act(true)
        .look_ahead(true)
        .observe(move |event: &Event| kept.lock().unwrap().push(serde_json::to_value(event).unwrap()));
    let report = serde_json::to_value(engine.converge()).unwrap();
    let events = events.lock().unwrap();
    assert_eq!(events[0]["look_ahead"], true);
    let settled =
        events.iter().find(|event| event["event"] == "job_settled" && event["job"] == "file").unwrap();
    for job in [settled, &report["jobs"][1]] {
        assert_eq!(job["outcome"], "in_place");
        assert_eq!(job["because_of"], serde_json::json!(["directory"]));
    }
    assert_eq!(report["counts"]["may_change"], 1);
    assert_eq!(events.last().unwrap()["counts"]["may_change"], 1);
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn people_and_pictures_are_shown_it() {
    let written = Shared::default();
    let mut graph = JobGraph::builder();
    graph.job("directory", differs, never);
    graph.job("file", differs, never).after(["directory"]);
    graph.job("other", in_place, never).after(["directory"]);
    graph.job("remote", blind, never).after(["file", "other"]);
    let clock = dojob::VirtualClock::new();
    let engine = Engine::with_graph(graph.build().unwrap()).no_act(true).look_ahead(true).clock(clock);
    let report = engine.observe(Console::normal().to(written.clone())).converge();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_eq!(
        text,
        "would run directory: it differs\n\
         would run file: it differs (after directory)\n\
         in place other (may change after directory)\n\
         unknown remote until file, directory: could not find out how it is\n\
         dry run: 4 jobs, 1 in place, 2 would run, 1 unknown (0 ms)\n"
    );
    let svg = report.to_svg();
    for told in
        ["would run after directory", "in place, may change after directory", "unknown until file, directory"]
    {
        assert!(svg.contains(told), "{told:?} is not in\n{svg}");
    }
    assert!(svg.contains("<g class=\"in-place\" stroke-dasharray=\"5 3\">"), "{svg}");
    for picture in [report.to_dot(), report.to_mermaid(), svg] {
        assert_eq!(
            picture.matches("may change").count() - picture.matches("may change after").count(),
            1,
            "{picture}"
        );
    }
}
