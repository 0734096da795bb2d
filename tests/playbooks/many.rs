//! Playbooks as programs write them: very many tasks, or all on one line, or all wrong. They are read in bounded time
//! and memory, and what is wrong is told in a text that somebody can read.

use std::fmt::Write as _;

use dojob::playbook::{Playbook, Problems, Registry};

/// The names of the jobs, or what is wrong.
fn names(text: &str) -> Result<Vec<String>, Problems> {
    let playbook = Playbook::options().load_text("many", text)?;
    let graph = playbook.outline(&Registry::linked().unwrap())?;
    Ok(graph.iter().map(|job| job.name().to_owned()).collect())
}

fn tasks(count: usize, between: &str, task: &dyn Fn(usize) -> String) -> String {
    let tasks: Vec<String> = (0..count).map(task).collect();
    format!("\"tasks\": [{}]", tasks.join(between))
}

#[test]
fn ten_thousand_equal_names() {
    let equal =
        tasks(10_000, "\n", &|n| format!("{{ name: add_line, args {{ file: log, line: line {n} }} }}"));
    let found = names(&equal).unwrap();
    assert_eq!(found.len(), 10_000);
    assert_eq!(found[9_999], "add_line log #10000");
}

#[test]
fn all_on_one_line_where_each_waits_for_the_one_before() {
    let line = tasks(10_000, ", ", &|n| {
        let mut after = String::new();
        if n > 0 {
            let _ = write!(after, ", \"after\": \"t{}\"", n - 1);
        }
        format!("{{ \"name\": \"sh\", \"id\": \"t{n}\", \"args\": {{ \"line\": \"true\" }}{after} }}")
    });
    assert_eq!(names(&format!("{{ \"order\": \"graph\", {line} }}")).unwrap().len(), 10_000);
}

#[test]
fn a_hundred_thousand_problems_on_one_line() {
    let problems = names(&tasks(100_000, ",", &|_| "1".to_owned())).unwrap_err();
    assert_eq!(problems.0.len(), 1_000, "no more are kept");
    let told = problems.to_string();
    assert!(told.ends_with("\n\nand 99900 more"), "{}", &told[told.len() - 100..]);
    assert!(told.len() < 100_000, "{}", told.len());
    assert!(
        told.starts_with("error: a task is the number 1, expected an object\n --> many:1:11\n"),
        "{told}"
    );
}

#[test]
fn problems_far_behind_on_one_line() {
    let long = format!("\"vars\": {{ \"x\": \"{}\" }}, ", "x".repeat(8 << 20));
    let wrong = tasks(150, ", ", &|_| "{ \"name\": \"nothing\" }".to_owned());
    let told = names(&format!("{long}{wrong}")).unwrap_err().to_string();
    assert!(told.ends_with("\n\nand 50 more"));
    assert!(told.len() < 100_000, "{}", told.len());
}
