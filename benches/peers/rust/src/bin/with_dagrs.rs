//! dagrs: nodes with actions that receive from those they need and then tell those that need them; on Tokio.

use std::sync::Arc;

use dagrs::async_trait::async_trait;
use dagrs::tokio::runtime::{Builder, Runtime};
use dagrs::{Action, Content, DagrsResult, DefaultNode, EnvVar, ExecutionReport};
use dagrs::{Graph, InChannels, Node, NodeId, NodeName, NodeTable, OutChannels, Output};
use peers::{NAP, WIDTH, called};

/// Waits for all that it needs, fails when one of them has.
struct Nothing;

#[async_trait]
impl Action for Nothing {
    async fn run(&self, needed: &mut InChannels, needing: &mut OutChannels, _: Arc<EnvVar>) -> Output {
        if needed.map(|content| content.is_err()).await.contains(&true) {
            return Output::execution_failed("blocked");
        }
        called();
        needing.broadcast(Content::new(())).await;
        Output::empty()
    }
}

fn start(runtime: &Runtime, mut graph: Graph) -> DagrsResult<ExecutionReport> {
    runtime.block_on(graph.async_start())
}

fn layers(size: u32) {
    let width = WIDTH as usize;
    let mut names = NodeTable::new();
    let mut graph = Graph::new();
    let nodes: Vec<NodeId> = (0..size as usize)
        .map(|number| {
            let name = format!("job {}.{}", number / width, number % width);
            graph.add_node(DefaultNode::with_action(name, Nothing, &mut names)).expect("a new name")
        })
        .collect();
    for (number, node) in nodes.iter().enumerate().take(size as usize - width) {
        let (layer, place) = (number / width, number % width);
        // It is needed by the one above it, and by the one before that.
        let above = [place, (place + width - 1) % width].map(|place| nodes[(layer + 1) * width + place]);
        graph.add_edge(*node, above).expect("no circles");
    }
    graph.set_env(EnvVar::new(names));
    let report = start(&Runtime::new().expect("a runtime"), graph).expect("all succeed");
    assert_eq!(report.node_succeeded, size as usize);
}

/// Fails at every try. A node type of its own, since only such a one can be retried.
struct Fails {
    id: NodeId,
    needed: InChannels,
    needing: OutChannels,
}

#[async_trait]
impl Node for Fails {
    fn id(&self) -> NodeId {
        self.id
    }
    fn name(&self) -> NodeName {
        "job 0".to_owned()
    }
    fn input_channels(&mut self) -> &mut InChannels {
        &mut self.needed
    }
    fn output_channels(&mut self) -> &mut OutChannels {
        &mut self.needing
    }
    async fn run(&mut self, _: Arc<EnvVar>) -> Output {
        called();
        Output::execution_failed("never")
    }
    fn max_retries(&self) -> u32 {
        2
    }
    fn retry_delay_ms(&self, _: u32) -> u64 {
        0
    }
}

fn chain(size: u32) {
    let mut names = NodeTable::new();
    let mut graph = Graph::new();
    let id = names.alloc_id_for("job 0");
    let first = Fails { id, needed: InChannels::default(), needing: OutChannels::default() };
    let mut last = graph.add_node(first).expect("a new name");
    for number in 1..size {
        let link = DefaultNode::with_action(format!("job {number}"), Nothing, &mut names);
        let node = graph.add_node(link).expect("a new name");
        graph.add_edge(last, [node]).expect("no circles");
        last = node;
    }
    graph.set_env(EnvVar::new(names));
    start(&Runtime::new().expect("a runtime"), graph).expect_err("it cannot succeed");
}

/// Sleeps as a thread does. (An action that awaits a timer would need no workers at all.)
struct Sleeps;

#[async_trait]
impl Action for Sleeps {
    async fn run(&self, _: &mut InChannels, _: &mut OutChannels, _: Arc<EnvVar>) -> Output {
        std::thread::sleep(NAP);
        Output::empty()
    }
}

fn sleepers(size: u32) {
    let mut names = NodeTable::new();
    let mut graph = Graph::new();
    for number in 0..size {
        let sleeper = DefaultNode::with_action(format!("job {number}"), Sleeps, &mut names);
        graph.add_node(sleeper).expect("a new name");
    }
    graph.set_env(EnvVar::new(names));
    let runtime = Builder::new_multi_thread().worker_threads(32).build().expect("a runtime");
    start(&runtime, graph).expect("all succeed");
}

/// A graph cannot be asked for its nodes, so the names are those it was given.
fn list(size: u32) {
    let mut names = NodeTable::new();
    let mut graph = Graph::new();
    for number in 0..size {
        let name = format!("job {number}");
        graph.add_node(DefaultNode::with_action(name.clone(), Nothing, &mut names)).expect("a new name");
        println!("{name}");
    }
}

fn main() {
    peers::main(|graph, size| match graph {
        "layers" => layers(size),
        "chain" => chain(size),
        "sleepers" => sleepers(size),
        "list" => list(size),
        _ => panic!("no such graph"),
    });
}
