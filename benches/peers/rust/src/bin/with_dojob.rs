//! dojob: job types as values; nobody listens, one worker where nothing else is said.

use std::time::Duration;

use dojob::{Context, Deps, DummyJob, Engine, Job, JobGraph, Result};
use peers::{NAP, WIDTH, called};

#[derive(Clone, PartialEq)]
struct Layered {
    layer: u32,
    place: u32,
}

impl Job for Layered {
    fn name(&self) -> String {
        format!("job {}.{}", self.layer, self.place)
    }
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        if self.layer > 0 {
            deps.extend(
                [self.place, (self.place + 1) % WIDTH].map(|place| Layered { layer: self.layer - 1, place }),
            );
        }
        deps
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        called();
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

/// All of the uppermost layer.
#[derive(Clone, PartialEq)]
struct All {
    layers: u32,
}

impl DummyJob for All {
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        deps.extend((0..WIDTH).map(|place| Layered { layer: self.layers - 1, place }));
        deps
    }
}

fn layers(size: u32) {
    let report = Engine::new(All { layers: size / WIDTH }).expect("a good graph").converge();
    assert!(report.success());
}

/// Only the first fails; those above it would pass.
#[derive(Clone, PartialEq)]
struct Link(u32);

impl Job for Link {
    fn name(&self) -> String {
        format!("job {}", self.0)
    }
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        if self.0 > 0 {
            deps.push(Link(self.0 - 1));
        }
        deps
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        anyhow::ensure!(self.0 > 0, "never");
        called();
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        called();
        Ok(())
    }
}

fn chain(size: u32) {
    let engine = Engine::new(Link(size - 1)).expect("a good graph");
    let report = engine.tries(3).retry_delay(Duration::ZERO).converge();
    assert_eq!(report.counts().blocked, size as usize - 1);
}

fn sleepers(size: u32) {
    let mut graph = JobGraph::builder();
    for number in 0..size {
        graph.run_only(format!("job {number}"), |_| {
            std::thread::sleep(NAP);
            Ok(())
        });
    }
    let report = Engine::with_graph(graph.build().expect("a good graph")).workers(32).converge();
    assert!(report.success());
}

fn main() {
    peers::main(|graph, size| match graph {
        "layers" => layers(size),
        "chain" => chain(size),
        "sleepers" => sleepers(size),
        _ => panic!("no such graph"),
    });
}
