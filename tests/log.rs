//! `tracing`: spans for those who subscribe, and what a job logs as its output.

use std::sync::{Arc, Mutex};

use dojob::{Engine, Event, JobGraph, VirtualClock};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Writes down every new span as the names of those around it and its fields.
struct Spans(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let mut fields = Fields(String::new());
        attributes.record(&mut fields);
        let around: Vec<&str> = cx
            .span_scope(id)
            .into_iter()
            .flat_map(|scope| scope.from_root())
            .map(|span| span.name())
            .collect();
        self.0.lock().unwrap().push(format!("{}{}", around.join(">"), fields.0));
    }
}

#[test]
fn there_is_a_span_for_every_job_try_and_phase() {
    let spans = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Spans(spans.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let mut graph = JobGraph::builder();
        graph.job(
            "A",
            |cx| Ok(cx.global().require::<bool>("A").map(drop)?),
            |cx| {
                if cx.try_number() == 2 {
                    cx.global().set("A", true)?;
                }
                Ok(())
            },
        );
        graph.dummy("B").after(["A"]);
        Engine::with_graph(graph.build().unwrap()).clock(VirtualClock::new()).converge();
    });
    assert_eq!(
        *spans.lock().unwrap(),
        [
            "job name=\"A\"",
            "job>try number=1 of=3",
            "job>try>phase phase=\"check\"",
            "job>try>phase phase=\"run\"",
            "job>try>phase phase=\"recheck\"",
            "job>try number=2 of=3",
            "job>try>phase phase=\"check\"",
            "job>try>phase phase=\"run\"",
            "job>try>phase phase=\"recheck\"",
            "job name=\"B\"",
            "job>try number=1 of=3",
        ]
    );
}

#[test]
fn what_a_job_logs_is_its_output() {
    const ALONE: &str = "DOJOB_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // The log belongs to the whole process, so this test is a process of its own.
        let own = std::env::current_exe().unwrap();
        let arguments = ["--exact", "what_a_job_logs_is_its_output", "--nocapture"];
        let output = std::process::Command::new(own).args(arguments).env(ALONE, "1").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(
            stderr.contains("ERROR log: outside of any job") && !stderr.contains("disk is full"),
            "{stderr}"
        );
        return;
    }
    dojob::init_log("error", false).unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let hears = lines.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("A", |cx| {
        tracing::info!(size = 7, "the file is written");
        tracing::error!("disk is full");
        tracing::debug!("details");
        cx.log("two\nlines");
        Ok(())
    });
    tracing::error!("outside of any job");
    let mut engine = Engine::with_graph(graph.build().unwrap()).workers(2).observe(move |event: &Event| {
        if let Event::Output { job, line, .. } = event {
            hears.lock().unwrap().push(format!("{job}: {line}"));
        }
    });
    assert!(engine.converge().success());
    assert_eq!(
        *lines.lock().unwrap(),
        ["A: the file is written size=7", "A: error: disk is full", "A: two", "A: lines"]
    );
}

/// The same line of code, whoever calls it: its filter must not remember where it was called first.
fn logs_from_anywhere(secret: &str) {
    tracing::error!("logged: {secret}");
}

#[test]
fn one_line_of_code_may_log_inside_and_outside_of_jobs() {
    const ALONE: &str = "DOJOB_TEST_ALONE_TOO";
    if std::env::var_os(ALONE).is_none() {
        let own = std::env::current_exe().unwrap();
        let arguments = ["--exact", "one_line_of_code_may_log_inside_and_outside_of_jobs", "--nocapture"];
        let output = std::process::Command::new(own).args(arguments).env(ALONE, "1").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(stderr.contains("logged: outside") && !stderr.contains("hunter2"), "{stderr}");
        return;
    }
    dojob::init_log("error", false).unwrap();
    logs_from_anywhere("outside");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let hears = lines.clone();
    let mut graph = JobGraph::builder();
    graph.run_only("A", |_| {
        logs_from_anywhere("hunter2");
        std::thread::spawn(|| logs_from_anywhere("hunter2 from a thread")).join().unwrap();
        Ok(())
    });
    let secret = dojob::Secret::new("hunter2".to_owned());
    let mut engine =
        Engine::with_graph(graph.build().unwrap()).mask(&secret).observe(move |event: &Event| {
            if let Event::Output { line, .. } = event {
                // An observer may log, too; that is no output of the job.
                logs_from_anywhere("observed");
                hears.lock().unwrap().push(line.clone());
            }
        });
    assert!(engine.converge().success());
    assert_eq!(*lines.lock().unwrap(), ["error: logged: ***"]);
}
