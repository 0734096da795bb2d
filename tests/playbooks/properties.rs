//! Rules of playbooks, held against a naive model: which tasks become jobs, and what waits for what.

use std::collections::{BTreeMap, BTreeSet};

use dojob::JobGraph;
use dojob::playbook::{Playbook, Registry};
use proptest::prelude::*;
use serde_json::{Value, json};

const TAGS: [&str; 3] = ["x", "y", "z"];

/// A task as it is written.
#[derive(Clone, Debug)]
struct Written {
    /// Earlier tasks, by the distance to them.
    after: Vec<usize>,
    tags: BTreeSet<usize>,
    /// How many elements it is done for.
    elements: Option<usize>,
}

fn written() -> impl Strategy<Value = Written> {
    let after = prop::collection::vec(1_usize..6, 0..3);
    let tags = prop::collection::btree_set(0..TAGS.len(), 0..3);
    (after, tags, prop::option::weighted(0.3, 0_usize..4)).prop_map(|(after, tags, elements)| Written {
        after,
        tags,
        elements,
    })
}

/// The numbers of the tasks that a task waits for.
fn awaited(tasks: &[Written], number: usize) -> BTreeSet<usize> {
    tasks[number].after.iter().filter_map(|distance| number.checked_sub(*distance)).collect()
}

fn playbook(tasks: &[Written], is_graph: bool) -> Value {
    let task = |number: usize, task: &Written| {
        let mut value = json!({ "name": "sh", "id": format!("t{number}"), "args": { "line": "true" } });
        if is_graph {
            let after: Vec<String> = awaited(tasks, number).iter().map(|other| format!("t{other}")).collect();
            value["after"] = json!(after);
        }
        value["tags"] = task.tags.iter().map(|tag| TAGS[*tag]).collect();
        if let Some(elements) = task.elements {
            value["for_each"] = (0..elements).collect();
        }
        value
    };
    let tasks: Vec<Value> = tasks.iter().enumerate().map(|(number, each)| task(number, each)).collect();
    json!({ "order": if is_graph { "graph" } else { "sequence" }, "tasks": tasks })
}

fn wanted(task: &Written, tags: &[usize], skipped: &[usize]) -> bool {
    let has = |tags: &[usize]| tags.iter().any(|tag| task.tags.contains(tag));
    (tags.is_empty() || has(tags)) && !has(skipped)
}

/// The jobs of a task; those of a `for_each` are named after their elements.
fn jobs_of(tasks: &[Written], number: usize) -> Vec<String> {
    match tasks[number].elements {
        None => vec![format!("sh t{number}")],
        Some(elements) => (0..elements).map(|element| format!("sh t{number} ({element})")).collect(),
    }
}

/// By job, all that has to be over before it.
fn everything_before(graph: &JobGraph) -> BTreeMap<String, BTreeSet<String>> {
    let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // Dependencies come first.
    for node in graph.iter() {
        let mut all = BTreeSet::new();
        for other in node.dependencies() {
            all.extend(before.get(other.name()).into_iter().flatten().cloned());
            all.insert(other.name().to_owned());
        }
        before.insert(node.name().to_owned(), all);
    }
    before
}

/// What has to be over before each task: in a sequence all that stand before it, in a graph what it waits for, and what
/// that waits for, be it wanted or not.
fn model(tasks: &[Written], is_graph: bool) -> Vec<BTreeSet<usize>> {
    let mut before: Vec<BTreeSet<usize>> = Vec::new();
    for number in 0..tasks.len() {
        let direct = if is_graph { awaited(tasks, number) } else { (0..number).collect() };
        let further = direct.iter().flat_map(|other| before[*other].clone());
        before.push(further.chain(direct.iter().copied()).collect());
    }
    before
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_graph_is_what_the_playbook_says(
        tasks in prop::collection::vec(written(), 1..14),
        is_graph in any::<bool>(),
        tags in prop::collection::vec(0..TAGS.len(), 0..2),
        skipped in prop::collection::vec(0..TAGS.len(), 0..2),
    ) {
        // A tag that no task has is a mistake of its own.
        let known: BTreeSet<usize> = tasks.iter().flat_map(|task| task.tags.clone()).collect();
        let chosen = |tags: &[usize]| tags.iter().copied().filter(|tag| known.contains(tag)).collect::<Vec<_>>();
        let (tags, skipped) = (chosen(&tags), chosen(&skipped));
        let named = |tags: &[usize]| tags.iter().map(|tag| TAGS[*tag]).collect::<Vec<_>>();

        let text = playbook(&tasks, is_graph).to_string();
        let read = Playbook::options().load_text("playbook", text).unwrap();
        let read = read.tags(named(&tags)).skip_tags(named(&skipped));
        let graph = read.graph(&Registry::linked().unwrap()).unwrap();
        let before = everything_before(&graph);

        let is_wanted: Vec<bool> = tasks.iter().map(|task| wanted(task, &tags, &skipped)).collect();
        let all: Vec<(usize, String)> = (0..tasks.len())
            .filter(|number| is_wanted[*number])
            .flat_map(|number| jobs_of(&tasks, number).into_iter().map(move |job| (number, job)))
            .collect();
        let expected: BTreeSet<&String> = all.iter().map(|(_, job)| job).collect();
        let found: BTreeSet<&String> = before.keys().filter(|job| job.starts_with("sh t")).collect();
        prop_assert_eq!(&found, &expected);
        let model = model(&tasks, is_graph);
        for (number, job) in &all {
            for (other, other_job) in &all {
                let is_before = if number == other {
                    // The elements of one task follow each other in a sequence.
                    !is_graph && other_job < job
                } else {
                    model[*number].contains(other)
                };
                prop_assert_eq!(before[job].contains(other_job), is_before, "{} before {}", other_job, job);
            }
        }
    }

    #[test]
    fn what_is_in_a_playbook_reaches_the_job_as_it_is(text in "\\PC{0,40}", number in any::<i64>()) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        let vars = json!({ "text": text, "number": number, "root": root });
        let literal = json!({
            "tasks": [{ "name": "text_file", "args": { "path": format!("{root}/{number}"), "text": text } }],
        });
        let substituted = format!(
            "vars: {vars}, tasks: [{{ name: text_file, args {{ path: ${{vars.root}}/${{vars.number}}, text: ${{vars.text}} }} }}]"
        );
        for said in [literal.to_string(), substituted] {
            let playbook = Playbook::options().load_text("playbook", said).unwrap();
            let report = playbook.engine(&Registry::linked().unwrap()).unwrap().converge();
            prop_assert!(report.success());
            let file = directory.path().join(number.to_string());
            prop_assert_eq!(std::fs::read_to_string(&file).unwrap(), text.as_str());
            std::fs::remove_file(file).unwrap();
        }
    }
}
