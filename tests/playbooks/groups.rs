//! Groups of tasks: which job is in which group, what waits for what, and what is left out.

use std::fs;
use std::time::Duration;

use dojob::playbook::{Playbook, Registry};
use dojob::{JobGraph, Report};
use tempfile::TempDir;

fn graph(playbook: Playbook) -> JobGraph {
    playbook.graph(&Registry::linked().unwrap()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn loaded(text: &str) -> Playbook {
    Playbook::options().load_text("groups", text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Each job with the jobs that it waits for.
fn waits(graph: &JobGraph) -> Vec<String> {
    let waits = graph.iter().map(|job| {
        let before: Vec<&str> = job.dependencies().map(|before| before.name()).collect();
        format!("{} <- {}", job.name(), before.join(", "))
    });
    waits.collect()
}

const NESTED: &str = "tasks: [
    { name: sh, id: begin, args { line: uname } }
    { group { name: outer, tasks: [
        { name: sh, id: one, tags: few, args { line: uname } }
        { group { name: inner, on_failure: revert, tasks: [
            { name: sh, id: two, args { line: uname } }
            { name: sh, id: three, args { line: uname } }
        ] } }
    ] } }
    { name: sh, id: end, tags: few, args { line: uname } }
]";

#[test]
fn in_a_sequence_a_group_takes_its_place_as_a_whole() {
    assert_eq!(
        waits(&graph(loaded(NESTED))),
        [
            "sh begin <- ",
            "sh one <- sh begin",
            "sh two <- sh one",
            "sh three <- sh two",
            "inner <- sh two, sh three",
            "outer <- sh one, inner",
            "sh end <- outer",
        ]
    );
}

#[test]
fn a_group_without_a_wanted_task_is_left_out() {
    let few = loaded(NESTED).tags(["few"]);
    assert_eq!(waits(&graph(few)), ["sh one <- ", "outer <- sh one", "sh end <- outer"]);
    let none = loaded("tasks: [ { group { name: a, tasks: [] } } ]");
    assert_eq!(waits(&graph(none)), ["nothing to do <- "]);
}

#[test]
fn in_a_graph_outsiders_wait_for_the_whole_group_and_its_tasks_for_what_it_comes_after() {
    let site = loaded(
        "order: graph
        tasks: [
            { group { name: all, after: first, tasks: [
                { name: sh, id: a, args { line: uname } }
                { name: sh, id: each, for_each: [1, 2], args { line: echo ${item} } }
                { name: sh, id: b, after: each, args { line: uname } }
            ] } }
            { name: sh, id: first, args { line: uname } }
            { name: sh, id: by_name, after: all, args { line: uname } }
            { name: sh, id: by_task, after: a, args { line: uname } }
        ]",
    );
    let mut waits = waits(&graph(site));
    waits.sort();
    assert_eq!(
        waits,
        [
            "all <- sh a, sh each (1), sh each (2), all of each, sh b",
            "all of each <- sh each (1), sh each (2)",
            "sh a <- sh first",
            "sh b <- all of each, sh first",
            "sh by_name <- all",
            "sh by_task <- all",
            "sh each (1) <- sh first",
            "sh each (2) <- sh first",
            "sh first <- ",
        ]
    );
}

fn converged(text: &str, workers: usize) -> (TempDir, Report) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("site.conf");
    fs::write(&path, text).unwrap();
    let site = Playbook::options().set("vars.here", home.path()).load(&path);
    let site = site.unwrap_or_else(|problems| panic!("{problems}"));
    let engine = site.engine(&Registry::linked().unwrap()).unwrap_or_else(|problems| panic!("{problems}"));
    let report = engine.retry_delay(Duration::ZERO).workers(workers).converge();
    (home, report)
}

#[test]
fn arguments_have_the_value_and_the_number_of_the_attempt() {
    let (home, report) = converged(
        r#"tasks: [
            { group { name: outer, attempts { for_each: [ { word: no }, { word: yes } ] }, tasks: [
                { group { name: inner, attempts: 2, tasks: [
                    { name: sh, args {
                        line: "cd "${vars.here}"; echo "${attempt.value.word} ${attempt.number}" >> log; test "${attempt.value.word}${attempt.number}" = yes2"
                    } }
                ] } }
            ] } }
        ]"#,
        1,
    );
    assert!(report.success());
    assert_eq!(fs::read_to_string(home.path().join("log")).unwrap(), "no 1\nno 2\nyes 1\nyes 2\n");
}

#[test]
fn no_more_jobs_than_a_limit_allows_are_at_work_at_once() {
    let (_home, report) = converged(
        r#"order: graph, limit { lock: 1 }
        tasks: [
            { name: sh, for_each: [1, 2, 3, 4, 5, 6, 7, 8], uses: lock
              args { line: "cd "${vars.here}" && mkdir lock && echo "${item}" && rmdir lock" } }
        ]"#,
        8,
    );
    assert!(report.success());
}
