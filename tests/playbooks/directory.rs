//! A directory as a playbook: which files are its own, and that none of their tasks is lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dojob::playbook::{Playbook, Registry};

fn names(directory: &Path) -> Result<Vec<String>, String> {
    let home = format!("{}/", directory.display());
    let told = |problems: dojob::playbook::Problems| problems.to_string().replace(&home, "");
    let playbook = Playbook::load(directory).map_err(told)?;
    let graph = playbook.outline(&Registry::linked().unwrap()).map_err(told)?;
    Ok(graph.iter().map(|job| job.name().to_owned()).collect())
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

#[test]
fn every_file_has_its_tasks_as_if_it_were_alone() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "common.inc", "tasks: [ { name: sh, args { line: common } } ]");
    write(home.path(), "10.conf", "tasks: [ { name: sh, args { line: first } } ]");
    write(
        home.path(),
        "20.conf",
        "include \"common.inc\"\ntasks: ${tasks} [ { name: sh, args { line: second } } ]",
    );
    write(home.path(), "30.conf", "tasks: [], tasks: [ { name: sh, args { line: third } } ]");
    write(home.path(), "40.conf", "include \"common.inc\"\ntasks += { name: sh, args { line: fourth } }");
    assert_eq!(
        names(home.path()).unwrap(),
        ["sh first", "sh common", "sh second", "sh third", "sh common #2", "sh fourth"]
    );
}

#[test]
fn hidden_files_are_none_of_it_and_links_that_lead_nowhere_are_told_of() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "10.conf", "tasks: [ { name: sh, args { line: first } } ]");
    write(home.path(), ".h.conf", "tasks: [ { name: sh, args { line: hidden } } ]");
    symlink("nobody", home.path().join(".#10.conf")).unwrap();
    fs::create_dir(home.path().join("sub.conf")).unwrap();
    assert_eq!(names(home.path()).unwrap(), ["sh first"]);
    symlink("10.conf", home.path().join("20.conf")).unwrap();
    assert_eq!(names(home.path()).unwrap(), ["sh first", "sh first #2"]);
    symlink("gone.conf", home.path().join("30.conf")).unwrap();
    symlink("40.conf", home.path().join("40.conf")).unwrap();
    let told = names(home.path()).unwrap_err();
    let (first, second) = told.split_once("\n\n").unwrap();
    assert_eq!(
        first,
        "error: 30.conf is a link to gone.conf, which does not exist\nhint: remove the link if its tasks are not wanted"
    );
    assert!(second.starts_with("error: failed to read 40.conf: "), "{second}");
}

#[test]
fn a_fact_is_text_whatever_characters_it_has() {
    let fact = "\u{F0000}secrets\u{F0002}t\u{F0001}${secrets.t}";
    let options = Playbook::options().facts(move |_| Ok(Some(serde_json::json!([fact]))));
    let text =
        "secrets { t { env: T } }, tasks: [ { name: sh, for_each: ${facts.x}, args { line: ${item} } } ]";
    let graph = options.load_text("facts", text).unwrap().outline(&Registry::linked().unwrap()).unwrap();
    assert_eq!(graph.iter().map(|node| node.name()).collect::<Vec<_>>(), [format!("sh {fact}")]);
}

#[test]
fn a_plan_that_was_made_with_other_facts_is_refused() {
    let engine = |fact: &'static str| {
        let options = Playbook::options().facts(move |_| Ok(Some(serde_json::json!(fact))));
        let text = "tasks: [ { name: sh, id: greeting, args { line: echo ${facts.x} } } ]";
        let graph = options.load_text("facts", text).unwrap().outline(&Registry::linked().unwrap()).unwrap();
        dojob::Engine::with_graph(graph).look_ahead(true)
    };
    let mut dry = engine("one").no_act(true);
    let report = dry.converge();
    let plan = dry.plan(&report).unwrap();
    assert_eq!(engine("one").fits(&plan), Ok(()));
    let changes = vec![dojob::GraphChange::Changed { job: "sh greeting".to_owned() }];
    assert_eq!(engine("two").apply(&plan).unwrap_err(), dojob::PlanMismatch::Graph { changes });
}
