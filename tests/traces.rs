//! The traces of the original engine: 455 scripted graphs, and ours does with each of them what the original did, event
//! for event.

#[path = "../examples/rehearse.rs"]
#[allow(missing_docs, unreachable_pub, reason = "an example, used as a module")]
mod rehearse;

use rehearse::{Line, Trace};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    #[serde(flatten)]
    line: Line,
    expect: Trace,
}

#[test]
fn every_trace_is_equal_event_for_event() {
    let mut equal = 0;
    for line in include_str!("data/traces.jsonl").lines() {
        let Expected { line, expect } = serde_json::from_str(line).unwrap();
        let trace = rehearse::rehearse(&line.scenario).unwrap();
        assert_eq!(trace, expect, "trace {}", line.id);
        equal += 1;
    }
    assert_eq!(equal, 455);
}

#[test]
fn many_simulated_workers_end_as_one_does() {
    for (index, line) in
        include_str!("data/traces.jsonl").lines().enumerate().filter(|(index, _)| index % 5 == 0)
    {
        let Expected { line, expect } = serde_json::from_str(line).unwrap();
        let scenario = &line.scenario;
        let mut engine = dojob::Engine::with_graph(rehearse::graph(scenario).unwrap())
            .no_act(scenario.no_act)
            .tries(scenario.default_tries)
            .simulate(index as u64)
            .workers(1 + index % 7);
        assert_eq!(engine.converge().converged(), expect.converged, "trace {}", line.id);
    }
}
