//! `docs/events.md` says what the JSON lines have: every event and field that comes is documented, and every documented
//! one comes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use dojob::{
    Attempts, Context, CouldNotFindOut, EVENT_VERSION, Engine, Event, Group, JobGraph, Journal, JsonLines,
    NotAsWanted, OnFailure, Retry, SkipDepth, VirtualClock,
};
use serde_json::Value;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Field, type, and whether it may be absent, of every section of the page that has a table.
type Schema = BTreeMap<String, BTreeMap<String, (String, bool)>>;

fn documented() -> Schema {
    let page = include_str!("../docs/events.md");
    let mut schema = Schema::new();
    let mut section = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            section = title.trim_start_matches("# ").to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, field, kind, meaning, _] = cells[..]
            && let Some(field) = field.strip_prefix('`')
        {
            let fields = schema.entry(section.clone()).or_default();
            fields.insert(
                field.trim_end_matches('`').to_owned(),
                (kind.to_owned(), meaning.ends_with("may be absent")),
            );
        }
    }
    schema
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array of strings" => value.as_array().is_some_and(|values| values.iter().all(Value::is_string)),
        "any" => true,
        other => panic!("the page knows a type `{other}`"),
    }
}

/// Lines of runs in which everything happens.
fn lines() -> Vec<Value> {
    let written = Shared::default();
    for no_act in [false, true] {
        let mut graph = JobGraph::builder();
        graph.job("in place", |cx| Ok(cx.set_result(7)?), |_| Ok(()));
        graph
            .run_only("changed", |cx| Ok(cx.shell("echo out; echo err >&2").run().map(drop)?))
            .cleanup(|_| bail!("stuck"));
        graph.job(
            "failed",
            |_| bail!(NotAsWanted::new("differs").diff("f", "a", "b")),
            |_| Err(anyhow!("inner").context("outer")),
        );
        graph.job("panics", |_| panic!("oh"), |_| Ok(()));
        graph.job("blind", |_| bail!(CouldNotFindOut::new("where it is").permanent()), |_| Ok(()));
        graph.dummy("blocked").after(["failed"]);
        let engine = Engine::with_graph(graph.build().unwrap()).no_act(no_act).clock(VirtualClock::new());
        engine.observe(JsonLines::new(written.clone()).diff(true)).converge();
    }
    let mut graph = JobGraph::builder();
    graph.dummy("first");
    let succeeds_at_last = |cx: &mut Context| {
        ensure!(cx.attempt() == 2, "not yet");
        Ok(())
    };
    graph.run_only("each", succeeds_at_last).after(["first"]).retry(Retry::tries(1));
    let group = Group::new("group").jobs_named(["first", "each"]);
    graph.add(group.attempts(Attempts::for_each(["a", "b"]).delay(Duration::from_secs(1))));
    graph.dummy("skipped").only_if(SkipDepth::Itself, |_| Ok(false));
    let engine = Engine::with_graph(graph.build().unwrap()).clock(VirtualClock::new());
    engine.observe(JsonLines::new(written.clone())).converge();
    let state = tempfile::tempdir().unwrap();
    for (no_act, is_stubborn) in [(false, true), (true, true), (false, false)] {
        let mut graph = JobGraph::builder();
        graph.run_only("first", |_| Ok(())).revert(|_| Ok(())).cleanup(|_| Ok(()));
        graph.run_only("second", |_| bail!("no")).after(["first"]).retry(Retry::tries(1)).revert(move |_| {
            anyhow::ensure!(!is_stubborn, "it sticks");
            Ok(())
        });
        let journal =
            if no_act { Journal::open_read_only(state.path()) } else { Journal::open(state.path()) };
        let engine = Engine::with_graph(graph.build().unwrap()).no_act(no_act).journal(journal.unwrap());
        let engine = engine.on_failure(OnFailure::Revert).clock(VirtualClock::new());
        engine.observe(JsonLines::new(written.clone())).converge();
    }
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_can_be_read_back_from_their_lines() {
    for mut line in lines() {
        line.as_object_mut().unwrap().remove("v");
        let event: Event =
            serde_json::from_value(line.clone()).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(serde_json::to_value(&event).unwrap(), line);
    }
    let negative = r#"{"event":"retry_scheduled","job":"A","try":2,"tries":3,"seconds":-1.0}"#;
    assert!(serde_json::from_str::<Event>(negative).is_err());
}

#[test]
fn the_page_and_the_lines_agree() {
    let schema = documented();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut look_at = |section: &str, object: &Value| {
        let fields = schema.get(section).unwrap_or_else(|| panic!("{section} is not documented"));
        let object = object.as_object().unwrap();
        for (field, value) in object.iter().filter(|(field, _)| !matches!(field.as_str(), "v" | "event")) {
            let (kind, _) =
                fields.get(field).unwrap_or_else(|| panic!("{section}.{field} is not documented"));
            assert!(is_a(value, kind), "{section}.{field} is {value}, documented as {kind}");
            seen.entry(section.to_owned()).or_default().insert(field.clone());
        }
        for (field, (_, may_be_absent)) in fields {
            assert!(*may_be_absent || object.contains_key(field), "{section}.{field} is absent: {object:?}");
        }
    };
    for line in lines() {
        assert_eq!(line["v"], EVENT_VERSION);
        look_at(line["event"].as_str().unwrap(), &line);
        if let Some(failure) = line.get("failure") {
            look_at("failure", failure);
        }
    }
    for (section, fields) in &schema {
        // Only after a crash; the tests that kill a program see to it.
        let is_rare = section == "survivors_ended";
        for field in fields.keys().filter(|field| field.as_str() != "backtrace" && !is_rare) {
            assert!(
                seen.get(section).is_some_and(|seen| seen.contains(field)),
                "{section}.{field} is documented and never comes"
            );
        }
    }
}

#[test]
fn every_outcome_is_documented() {
    let page = include_str!("../docs/events.md");
    let lines = lines();
    let counts = lines.last().unwrap()["counts"].as_object().unwrap();
    for outcome in counts.keys() {
        assert!(page.contains(&format!("`{outcome}`")), "{outcome} is not documented");
    }
    for outcome in lines.iter().filter_map(|line| line["outcome"].as_str()) {
        assert!(counts.contains_key(outcome), "{outcome} is not counted");
    }
}
