//! What writing down costs: convergences with a journal beside the same ones without, in one run.
//!
//! `cargo bench --bench journal` prints a table; nothing is asserted. `benches/README.md` holds the figures as they were
//! measured.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a bench asks the machine for the time")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use dojob::{Engine, JobGraph, Journal};

const ROUNDS: usize = 11;

fn graph(jobs: usize, is_in_place: bool) -> JobGraph {
    let mut graph = JobGraph::builder();
    for number in 0..jobs {
        if is_in_place {
            graph.job(format!("job {number}"), |_| Ok(()), |_| Ok(()));
        } else {
            graph.run_only(format!("job {number}"), |_| Ok(())).cleanup(|_| Ok(()));
        }
    }
    graph.build().expect("a good graph")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One convergence, opening the journal included.
fn converge(graph: &JobGraph, state: Option<&Path>, set: impl Fn(Engine) -> Engine) -> Duration {
    let engine = set(Engine::with_graph(graph.clone()));
    let start = Instant::now();
    let mut engine = match state {
        Some(state) => engine.journal(Journal::open(state).expect("a state directory")),
        None => engine,
    };
    assert!(engine.converge().success());
    start.elapsed()
}

/// Medians without and with a journal, in turn.
fn both(graph: &JobGraph, state: &Path, set: impl Fn(Engine) -> Engine) -> (Duration, Duration) {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(converge(graph, None, &set));
        with.push(converge(graph, Some(state), &set));
    }
    (median(without), median(with))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn main() {
    let scratch =
        tempfile::tempdir_in(std::env::var_os("CARGO_TARGET_TMPDIR").unwrap_or_else(|| "target".into()))
            .expect("a directory on a disk");
    let state = scratch.path().join("state");

    for jobs in [1_000, 100_000] {
        let (without, with) = both(&graph(jobs, true), &state, |engine| engine);
        let more = (with.as_secs_f64() / without.as_secs_f64() - 1.0) * 100.0;
        println!(
            "{jobs} jobs in place: {:.0} us without, {:.0} us with a journal: {more:+.1} %",
            micros(without),
            micros(with)
        );
    }

    const RUNS: usize = 20_000;
    let (without, with) = both(&graph(RUNS, false), &state, |engine| engine);
    let each = (micros(with) - micros(without)) / RUNS as f64;
    println!(
        "{RUNS} runs with a cleanup: {:.1} us each without, {each:.2} us more with a journal",
        micros(without) / RUNS as f64
    );

    const DURABLE: usize = 200;
    let mut file = File::create(scratch.path().join("bare")).expect("a file");
    let bare = median(
        (0..DURABLE)
            .map(|_| {
                let start = Instant::now();
                file.write_all(&[b'x'; 80]).and_then(|()| file.sync_data()).expect("a disk");
                start.elapsed()
            })
            .collect(),
    );
    for workers in [1, 8] {
        let durable = |engine: Engine| engine.durable(true).workers(workers);
        let (without, with) = both(&graph(DURABLE, false), &state, durable);
        let each = (micros(with) - micros(without)) / DURABLE as f64;
        println!(
            "{DURABLE} durable runs, {workers} workers: {each:.0} us more each; a bare write and fsync takes {:.0} us",
            micros(bare)
        );
    }
}
