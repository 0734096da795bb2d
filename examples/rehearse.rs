//! Replays scripted graphs: reads one JSON object per line from a file or stdin, converges each with the real engine (one
//! worker, a virtual clock), and prints one line each: the phases in order, the outcome of every job, and the cleanups that
//! were called.
//!
//! ```text
//! cargo run --example rehearse -- tests/data/traces.jsonl
//! ```
//!
//! A line is `{"id": …, "scenario": {"root", "no_act", "default_tries", "do_cleanup", "jobs": […]}}`; a job has `name`,
//! `kind` (`job`, `runonly`, `dummy`), `deps`, `tries` and a script:
//!
//! | key | meaning |
//! | --- | --- |
//! | `fail_until: k` | a check passes when at least k runs have begun; a run-only job's run number n fails when n < k. `"never"`: never passes |
//! | `pass_at_check: j` | a check also passes when it is at least the j-th; checks that could not find out do not count |
//! | `run_fails_at: [n, …]` | these runs, counted from 1, return an error |
//! | `cannot_tell_at_try: [n, …]` | in these tries the check could not find out |
//! | `cleanup: true` | the job has a cleanup |
//! | `cleanup_fails: true` | the cleanup returns an error |
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is what the program is for")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, CouldNotFindOut, Engine, Event, JobGraph, Outcome, Retry, VirtualClock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: Value,
    pub(crate) scenario: Scenario,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) root: String,
    #[serde(default)]
    pub(crate) no_act: bool,
    pub(crate) default_tries: u32,
    #[serde(default = "yes")]
    pub(crate) do_cleanup: bool,
    pub(crate) jobs: Vec<Script>,
}

fn yes() -> bool {
    true
}

/// The scripted behavior of a job, call by call.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) deps: Vec<String>,
    #[serde(default)]
    pub(crate) tries: Option<u32>,
    #[serde(default)]
    pub(crate) fail_until: Until,
    #[serde(default)]
    pub(crate) pass_at_check: Option<u64>,
    #[serde(default)]
    pub(crate) run_fails_at: Vec<u64>,
    #[serde(default)]
    pub(crate) cannot_tell_at_try: Vec<u32>,
    #[serde(default)]
    pub(crate) cleanup: bool,
    #[serde(default)]
    pub(crate) cleanup_fails: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Job,
    RunOnly,
    Dummy,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Until {
    Runs(u64),
    Never(Never),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Never {
    Never,
}

impl Default for Until {
    fn default() -> Self {
        Until::Runs(0)
    }
}

impl Until {
    fn is_reached(self, runs: u64) -> bool {
        matches!(self, Until::Runs(needed) if runs >= needed)
    }
}

/// The outcome of a scenario.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Trace {
    pub(crate) events: Vec<String>,
    pub(crate) status: BTreeMap<String, Option<bool>>,
    pub(crate) converged: bool,
    pub(crate) cleanup: Vec<String>,
}

impl Script {
    /// Increments a counter of this job that lives as long as the run.
    fn count(&self, cx: &Context, what: &str) -> Result<u64> {
        let key = format!("{}.{what}", self.name);
        Ok(cx.global().update(&key, |count: Option<u64>| count.unwrap_or(0) + 1)?)
    }

    fn check(&self, cx: &Context) -> Result<()> {
        if self.cannot_tell_at_try.contains(&cx.try_number()) {
            bail!(CouldNotFindOut::new("how things are"));
        }
        let checks = self.count(cx, "checks")?;
        let runs = cx.global().get(&format!("{}.runs", self.name))?.unwrap_or(0);
        let by_itself = self.pass_at_check.is_some_and(|at| checks >= at);
        ensure!(by_itself || self.fail_until.is_reached(runs), "not as wanted after {runs} runs");
        Ok(())
    }

    fn run(&self, cx: &Context) -> Result<()> {
        let runs = self.count(cx, "runs")?;
        ensure!(!self.run_fails_at.contains(&runs), "run {runs} fails");
        ensure!(self.kind == Kind::Job || self.fail_until.is_reached(runs), "run {runs} is too early");
        Ok(())
    }

    fn clean_up(&self) -> Result<()> {
        ensure!(!self.cleanup_fails, "the cleanup fails");
        Ok(())
    }
}

/// The graph of a scenario.
///
/// # Errors
/// All errors in the graph.
pub(crate) fn graph(scenario: &Scenario) -> Result<JobGraph> {
    let mut graph = JobGraph::builder();
    for script in &scenario.jobs {
        let script = Arc::new(script.clone());
        let (checks, runs, cleans) = (script.clone(), script.clone(), script.clone());
        let mut node = match script.kind {
            Kind::Job => graph.job(&*script.name, move |cx| checks.check(cx), move |cx| runs.run(cx)),
            Kind::RunOnly => graph.run_only(&*script.name, move |cx| runs.run(cx)),
            Kind::Dummy => graph.dummy(&*script.name),
        };
        node = node.after(script.deps.iter().map(String::as_str));
        if let Some(tries) = script.tries {
            node = node.retry(Retry::tries(tries));
        }
        if script.cleanup {
            node.cleanup(move |_| cleans.clean_up());
        }
    }
    graph.root(&*scenario.root);
    Ok(graph.build()?)
}

/// Converges a scenario.
///
/// # Errors
/// All errors in the graph, or a default of 0 tries.
pub(crate) fn rehearse(scenario: &Scenario) -> Result<Trace> {
    ensure!(scenario.default_tries > 0, "default_tries is 0; give it at least 1");
    let heard = Arc::new(Mutex::new(Trace::default()));
    let hears = heard.clone();
    let mut engine = Engine::with_graph(graph(scenario)?)
        .no_act(scenario.no_act)
        .tries(scenario.default_tries)
        .retry_delay(std::time::Duration::ZERO)
        .cleanup(scenario.do_cleanup)
        .clock(VirtualClock::new())
        .observe(move |event: &Event| {
            let Ok(mut trace) = hears.lock() else { return };
            match event {
                Event::PhaseEnded { job, phase, passed, .. } => {
                    let verdict = if *passed { "pass" } else { "fail" };
                    trace.events.push(format!("{job}.{phase}: {verdict}"));
                }
                Event::CleanupEnded { job, attempt, .. } => trace.cleanup.push(format!("{job}#{attempt}")),
                _ => {}
            }
        });
    let report = engine.converge();
    let mut trace = heard.lock().map(|mut trace| std::mem::take(&mut *trace)).unwrap_or_default();
    trace.converged = report.converged();
    trace.status = report
        .jobs()
        .map(|job| {
            let status = match job.outcome() {
                Outcome::InPlace | Outcome::Changed => Some(true),
                Outcome::Blocked | Outcome::Unknown => None,
                _ => Some(false),
            };
            (job.name().to_owned(), status)
        })
        .collect();
    Ok(trace)
}

fn rehearse_line(line: &str) -> Result<String> {
    let line: Line = serde_json::from_str(line)?;
    #[derive(Serialize)]
    struct Answer<'a> {
        id: &'a Value,
        #[serde(flatten)]
        trace: Trace,
    }
    Ok(serde_json::to_string(&Answer { id: &line.id, trace: rehearse(&line.scenario)? })?)
}

fn rehearse_all(input: impl BufRead, mut output: impl Write) -> Result<bool> {
    let mut good = true;
    for (index, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("failed to read line {}", index + 1))?;
        if line.trim().is_empty() {
            continue;
        }
        match rehearse_line(&line) {
            Ok(answer) => writeln!(output, "{answer}").context("failed to write")?,
            Err(error) => {
                good = false;
                eprintln!("error: line {}: {error:#}", index + 1);
            }
        }
    }
    output.flush().context("failed to write")?;
    Ok(good)
}

#[allow(dead_code, reason = "a test uses the rest of this file, too")]
fn main() -> ExitCode {
    let output = io::BufWriter::new(io::stdout().lock());
    let result = match std::env::args_os().nth(1) {
        Some(path) if path != "-" => File::open(&path)
            .with_context(|| format!("failed to open {}", path.display()))
            .and_then(|file| rehearse_all(BufReader::new(file), output)),
        _ => rehearse_all(io::stdin().lock(), output),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
