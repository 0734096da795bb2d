//! What the engine costs, beside the bare cost of the same work, in one run.
//!
//! `cargo bench` prints a table; nothing is asserted. `benches/README.md` holds the figures as they were measured.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a bench asks the machine for the time")]

use std::collections::HashMap;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use dojob::{Context, Deps, Engine, Job, JobGraph, Result};
use petgraph::graph::{DiGraph, NodeIndex};

/// A job in a graph of layers: it needs two of the layer below.
#[derive(Clone, PartialEq)]
struct Layered {
    layer: u32,
    place: u32,
    width: u32,
}

impl Layered {
    fn needs(&self) -> [Layered; 2] {
        let Layered { layer, place, width } = *self;
        [place, (place + 1) % width].map(|place| Layered { layer: layer - 1, place, width })
    }
}

fn name(layer: u32, place: u32) -> String {
    format!("job {layer}.{place}")
}

impl Job for Layered {
    fn name(&self) -> String {
        name(self.layer, self.place)
    }
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        if self.layer > 0 {
            deps.extend(self.needs());
        }
        deps
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        black_box(self.place);
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

type Call = Box<dyn FnMut() -> Result<()>>;

/// The bare cost of building: names in a map, nodes and edges in a petgraph.
fn bare_build(layers: u32, width: u32) -> (HashMap<String, NodeIndex>, DiGraph<(), ()>) {
    let mut names = HashMap::new();
    let mut graph = DiGraph::new();
    for layer in 0..layers {
        for place in 0..width {
            let node = graph.add_node(());
            names.insert(name(layer, place), node);
            if layer > 0 {
                for below in [place, (place + 1) % width] {
                    graph.add_edge(names[&name(layer - 1, below)], node, ());
                }
            }
        }
    }
    (names, graph)
}

/// The bare cost of converging: petgraph's order, and a call for each job.
fn bare_converge(graph: &DiGraph<(), ()>, calls: &mut [Call]) -> usize {
    let order = petgraph::algo::toposort(graph, None).expect("no circles");
    order.iter().filter(|node| calls[node.index()]().is_ok()).count()
}

fn dojob_build(layers: u32, width: u32) -> JobGraph {
    let mut graph = JobGraph::builder();
    for place in 0..width {
        graph.add(Layered { layer: layers - 1, place, width });
    }
    graph.build().expect("a good graph")
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn row(what: &str, time: Duration, beside: Option<(&str, Duration)>) {
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    match beside {
        Some((bare, bare_time)) => println!(
            "{what:<44} {:>12}   {bare:<34} {:>12}   ratio {:.2}",
            millis(time),
            millis(bare_time),
            time.as_secs_f64() / bare_time.as_secs_f64()
        ),
        None => println!("{what:<44} {:>12}", millis(time)),
    }
}

/// A million jobs in layers, all in place; in turn with the bare cost.
fn a_million_in_layers(rounds: usize) {
    const LAYERS: u32 = 1000;
    const WIDTH: u32 = 1000;
    let (mut built, mut bare_built, mut converged, mut bare_converged) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (time, graph) = timed(|| dojob_build(LAYERS, WIDTH));
        built.push(time);
        let mut engine = Engine::with_graph(graph);
        let (time, report) = timed(|| engine.converge());
        assert!(report.success());
        converged.push(time);
        drop((report, engine));

        let (time, (names, graph)) = timed(|| bare_build(LAYERS, WIDTH));
        bare_built.push(time);
        let mut calls: Vec<Call> = (0..LAYERS * WIDTH)
            .map(|place| -> Call {
                Box::new(move || {
                    black_box(place);
                    Ok(())
                })
            })
            .collect();
        let (time, count) = timed(|| bare_converge(&graph, &mut calls));
        assert_eq!(count, names.len());
        bare_converged.push(time);
    }
    row("1,000,000 in layers: build", median(built), Some(("HashMap and petgraph", median(bare_built))));
    row(
        "1,000,000 in layers: converge",
        median(converged),
        Some(("toposort and boxed calls", median(bare_converged))),
    );
}

/// What the rule costs that every phase of a single worker starts in the directory in which the run began: a system call
/// for each check, here alone.
fn going_back(rounds: usize) {
    let here = std::fs::File::open(".").expect("a working directory");
    let times = (0..rounds).map(|_| {
        timed(|| (0..1_000_000).for_each(|_| rustix::process::fchdir(&here).expect("it is still there"))).0
    });
    row("of that: going back to the directory", median(times.collect()), None);
}

/// Ten thousand jobs in layers, all in place, built and converged.
fn ten_thousand_in_layers(rounds: usize) {
    let times = (0..rounds).map(|_| {
        let (time, report) = timed(|| Engine::with_graph(dojob_build(100, 100)).converge());
        assert!(report.success());
        time
    });
    row("10,000 in layers: build and converge", median(times.collect()), None);
}

#[derive(Clone, PartialEq)]
struct Link(u32);

impl Job for Link {
    fn name(&self) -> String {
        name(0, self.0)
    }
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        if self.0 > 0 {
            deps.push(Link(self.0 - 1));
        }
        deps
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        anyhow::bail!("the first never passes")
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

/// A chain of a million jobs whose first never passes, built and converged.
fn a_failing_chain(rounds: usize) {
    const LENGTH: u32 = 1_000_000;
    let times = (0..rounds).map(|_| {
        let (time, report) = timed(|| {
            let engine = Engine::new(Link(LENGTH - 1)).expect("a good graph");
            engine.tries(3).retry_delay(Duration::ZERO).converge()
        });
        assert_eq!(report.counts().blocked, LENGTH as usize - 1);
        time
    });
    row("1,000,000 in a chain, the first fails", median(times.collect()), None);
}

/// Jobs that sleep, on more workers than there are processors.
fn sleepers(rounds: usize) {
    let times = (0..rounds).map(|_| {
        let mut graph = JobGraph::builder();
        for place in 0..64 {
            graph.run_only(name(0, place), |_| {
                std::thread::sleep(Duration::from_millis(100));
                Ok(())
            });
        }
        let mut engine = Engine::with_graph(graph.build().expect("a good graph")).workers(32);
        timed(|| engine.converge()).0
    });
    row(
        "64 sleep 100 ms on 32 workers",
        median(times.collect()),
        Some(("two rounds", Duration::from_millis(200))),
    );
}

/// What a job costs in memory, in a process of its own: the peak beside that of an empty process.
fn memory() {
    let peak = |jobs: u32| -> u64 {
        let own = std::env::current_exe().expect("a bench knows its own file");
        let output = Command::new(own).env(MEMORY, jobs.to_string()).output().expect("it starts");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
    };
    const JOBS: u32 = 1_000_000;
    let bytes = (peak(JOBS) - peak(1000)) / u64::from(JOBS);
    println!("{:<44} {bytes:>6} bytes a job", "1,000,000 in layers: peak memory");
}

const MEMORY: &str = "DOJOB_BENCH_MEMORY";

/// The process that [`memory`] starts.
fn memory_of(jobs: u32) {
    let report = Engine::with_graph(dojob_build(jobs / 1000, 1000)).converge();
    assert!(report.success());
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    println!("{}", kib * 1024);
}

/// From the start of a process to its end, of the example in `target/release/examples`.
fn starting(rounds: usize) {
    let own = std::env::current_exe().expect("a bench knows its own file");
    let example = own
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/release/deps")
        .join("examples/movie_night");
    let Ok(metadata) = std::fs::metadata(&example) else {
        println!("movie_night --list: run `cargo build --release --examples` first");
        return;
    };
    let times = (0..rounds).map(|_| {
        let (time, output) = timed(|| Command::new(&example).arg("--list").output().expect("it starts"));
        assert!(output.status.success());
        time
    });
    row("movie_night --list: start to end", median(times.collect()), None);
    println!("{:<44} {:>8.1} MiB", "movie_night: size, stripped", metadata.len() as f64 / f64::from(1 << 20));
}

fn main() {
    if let Some(jobs) = std::env::var(MEMORY).ok().and_then(|jobs| jobs.parse().ok()) {
        return memory_of(jobs);
    }
    a_million_in_layers(5);
    going_back(5);
    memory();
    ten_thousand_in_layers(21);
    a_failing_chain(5);
    sleepers(5);
    starting(51);
}
