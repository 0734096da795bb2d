//! Several files as one: what each has by itself under a joined key is joined.

use std::fs;
use std::path::PathBuf;

use dojob::playbook::Problems;
use dojob::playbook::hocon_for_tests::{Input, Loaded, Override, Settings, load};
use serde_json::Value;

mod support {
    pub(crate) mod hocon;
}
use support::hocon::{library, text};

/// Files by these texts, read as one; `common.inc` has `common`.
fn read(texts: &[&str], overrides: &[&str]) -> Result<Loaded, Problems> {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("common.inc"), "tasks: [ common ], shared: yes").unwrap();
    let paths = texts.iter().enumerate().map(|(index, text)| {
        let path = scratch.path().join(format!("{index}0.conf"));
        fs::write(&path, text).unwrap();
        path
    });
    let paths: Vec<PathBuf> = paths.collect();
    let overrides = overrides.iter().map(|text| Override::Set((*text).to_owned())).collect();
    let settings = Settings { joined: vec!["tasks".to_owned()], overrides, ..Settings::default() };
    load(&Input::Files(paths), &settings)
}

fn tasks(texts: &[&str]) -> String {
    read(texts, &[])
        .map_or_else(|problems| problems.0[0].message.clone(), |loaded| loaded.value["tasks"].to_string())
}

#[test]
fn the_parser_is_used_as_a_library() {
    assert!(library("a = 1", &Default::default()).is_some());
}

#[test]
fn a_file_may_write_its_tasks_several_times() {
    assert_eq!(tasks(&["tasks: [a]", "tasks: [], tasks: [b]"]), r#"["a","b"]"#);
    assert_eq!(
        tasks(&["tasks: [a]", "tasks: [x], tasks: [b], tasks: [c]", "tasks: [d]"]),
        r#"["a","c","d"]"#
    );
    assert_eq!(tasks(&["tasks: [a], tasks: [b]", "tasks: []"]), r#"["b"]"#);
    assert_eq!(tasks(&["tasks: [a]", "tasks += b, tasks += c", "tasks += d"]), r#"["a","b","c","d"]"#);
    assert_eq!(tasks(&["tasks: [a]", "tasks: [b], tasks: ${tasks}[c]", ""]), r#"["a","b","c"]"#);
    assert_eq!(tasks(&["tasks: [a]", "x: [b], tasks: ${x}${x}"]), r#"["a","b","b"]"#);
    assert_eq!(tasks(&["x: 1", "tasks: [b]", "y: 1"]), r#"["b"]"#);
    assert_eq!(tasks(&["x: 1", "y: 1"]), "null");
}

#[test]
fn a_file_may_include_others_with_tasks() {
    let common = "include \"common.inc\"\n";
    assert_eq!(tasks(&["tasks: [a]", common]), r#"["a","common"]"#);
    assert_eq!(tasks(&["tasks: [a]", &format!("{common}tasks: [second]")]), r#"["a","second"]"#);
    assert_eq!(tasks(&["tasks: [a]", &format!("{common}tasks += second")]), r#"["a","common","second"]"#);
    assert_eq!(tasks(&["tasks: [a]", &format!("tasks: [second]\n{common}")]), r#"["a","common"]"#);
    assert_eq!(tasks(&[common, common]), r#"["common","common"]"#);
}

#[test]
fn what_a_file_refers_to_is_its_own_while_it_is_written_and_the_whole_elsewhere() {
    assert_eq!(tasks(&["tasks: [a]", "tasks: ${tasks}[b]"]), "`tasks` refers to itself: tasks -> tasks");
    assert_eq!(tasks(&["tasks: [a]", "tasks: ${?tasks}[b]"]), r#"["a","b"]"#);
    let all = read(&["tasks: [a], all: ${tasks}", "tasks: [b]"], &[]).unwrap().value;
    assert_eq!(all["all"], serde_json::json!(["a", "b"]));
    assert_eq!(tasks(&["tasks: [${x}], x: 1", "x: 2, tasks: [${x}]"]), "[2,2]");
    assert_eq!(
        tasks(&["tasks: ${x}, x: ${tasks}", "tasks: [b]"]),
        "`tasks` refers to itself: tasks -> x -> tasks"
    );
}

#[test]
fn what_stands_over_the_files_stands_over_all_of_them() {
    let files = ["tasks: [a]", "tasks: [], tasks: [b]"];
    let over = |set: &str| read(&files, &[set]).unwrap().value["tasks"].clone();
    assert_eq!(over("tasks+=c"), serde_json::json!(["a", "b", "c"]));
    assert_eq!(over("tasks=[c]"), serde_json::json!(["c"]));
    assert_eq!(over("x=[1]"), serde_json::json!(["a", "b"]));
}

#[test]
fn what_is_no_list_is_told_of() {
    assert_eq!(tasks(&["tasks: [a]", "tasks: { b: 1 }"]), "a list and an object cannot be joined");
    let objects =
        read(&["tasks: { a: 1 }", "tasks { b: ${?tasks.a}, c: ${?tasks.d}, d: 2 }"], &[]).unwrap().value;
    assert_eq!(objects["tasks"], serde_json::json!({ "a": 1, "c": 2, "d": 2 }));
    let one = load(&text("tasks: [a], tasks: [b]"), &Settings::default()).unwrap().value;
    assert_eq!(one["tasks"], Value::from(vec!["b"]), "one file alone is as it was");
}
