//! Good playbooks, from their text to what they have done.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dojob::playbook::{Playbook, Registry};
use dojob::{Console, Engine, Event, Outcome, Report};
use tempfile::TempDir;

use crate::printed::Printed;

/// A playbook in a directory of its own, which it knows as `${vars.here}`.
fn playbook(text: &str) -> (TempDir, Playbook) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("site.conf");
    fs::write(&path, text).unwrap();
    let loaded = Playbook::options().set("vars.here", home.path()).load(&path);
    (home, loaded.unwrap_or_else(|problems| panic!("{problems}")))
}

fn engine(playbook: &Playbook) -> Engine {
    let built = playbook.engine(&Registry::linked().unwrap());
    built.unwrap_or_else(|problems| panic!("{problems}")).retry_delay(Duration::ZERO)
}

fn names(playbook: &Playbook) -> Vec<String> {
    let graph = playbook.graph(&Registry::linked().unwrap()).unwrap_or_else(|problems| panic!("{problems}"));
    graph.iter().map(|job| job.name().to_owned()).collect()
}

fn text(home: &TempDir, name: &str) -> String {
    fs::read_to_string(home.path().join(name)).unwrap_or_default()
}

fn reason(report: &Report, job: &str) -> String {
    report.job(job).reason().map(str::to_owned).unwrap_or_default()
}

#[test]
fn a_second_run_changes_nothing_and_a_plan_never_does() {
    let (home, site) = playbook(
        "tasks: [
            { name: text_file, args { path: ${vars.here}/a, text: one } }
            { name: TextFile, args { path: ${vars.here}/b, text: two } }
        ]",
    );
    let plan = engine(&site).no_act(true).converge();
    assert_eq!(plan.exit_code(), 3);
    assert!(!home.path().join("a").exists());
    assert_eq!(engine(&site).converge().counts().changed, 2);
    assert_eq!((text(&home, "a").as_str(), text(&home, "b").as_str()), ("one", "two"));
    assert_eq!(engine(&site).converge().counts().in_place, 2);
}

#[test]
fn in_a_sequence_nothing_goes_on_behind_what_failed() {
    let (home, site) = playbook(
        "tasks: [
            { name: add_line, args { file: ${vars.here}/log, line: one } }
            { name: add_line, args { file: ${vars.here}/log, line: two, fail: true } }
            { name: add_line, args { file: ${vars.here}/log, line: three } }
        ]",
    );
    let report = engine(&site).workers(4).converge();
    assert_eq!(report.exit_code(), 1);
    assert_eq!(text(&home, "log"), "one\ntwo\n", "a run-only task has one try");
}

#[test]
fn a_run_only_task_is_tried_again_where_it_says_so() {
    let (home, site) = playbook(
        "tasks: [
            { name: add_line, tries: 3, retry_delay: 0s
              args { file: ${vars.here}/log, line: again, fail: true } }
        ]",
    );
    assert!(!engine(&site).converge().success());
    assert_eq!(text(&home, "log"), "again\nagain\nagain\n");
}

#[test]
fn a_task_says_how_often_it_is_tried_or_its_type_does() {
    let (_home, site) = playbook(
        "tasks: [
            { name: http_server, args { name: a, port: 1 } }
            { name: http_server, tries: 7, retry_delay: 2 min, args { name: b, port: 1 } }
        ]",
    );
    let graph = site.graph(&Registry::linked().unwrap()).unwrap();
    let retries: Vec<_> =
        graph.iter().map(|job| (job.retry().max_tries(), job.retry().min_delay())).collect();
    assert_eq!(retries, [(Some(2), None), (Some(7), Some(Duration::from_secs(120)))]);
}

#[test]
fn in_a_graph_only_after_counts() {
    let (home, site) = playbook(
        "order: graph
        tasks: [
            { name: add_line, id: roof, after: [walls], args { file: ${vars.here}/log, line: roof } }
            { name: add_line, id: walls, after: floor, args { file: ${vars.here}/log, line: walls } }
            { name: add_line, id: floor, args { file: ${vars.here}/log, line: floor } }
            { name: add_line, id: garden, args { file: ${vars.here}/garden, line: tree } }
        ]",
    );
    let report = engine(&site).workers(2).converge();
    assert!(report.success());
    assert_eq!(text(&home, "log"), "floor\nwalls\nroof\n");
    let graph = site.graph(&Registry::linked().unwrap()).unwrap();
    let garden = graph.iter().find(|job| job.name() == "add_line garden").unwrap();
    assert_eq!(garden.dependencies().len() + garden.dependents().len(), 0);
}

#[test]
fn one_job_is_made_for_each_element() {
    let (home, site) = playbook(
        r#"vars { users: [ { name: ann, shell: /bin/sh }, { name: bob } ] }
        tasks: [
            { name: text_file, for_each: [a, 5], args { path: ${vars.here}/${item}, text: file ${item} } }
            { name: text_file, id: home, for_each: ${vars.users}
              args { path: ${vars.here}"/home-"${item.name}, text: "shell "${?item.shell} } }
            { name: text_file, for_each: [], args { path: ${item}, text: x } }
        ]"#,
    );
    assert!(engine(&site).converge().success());
    assert_eq!([text(&home, "a"), text(&home, "5")], ["file a", "file 5"]);
    assert_eq!([text(&home, "home-ann"), text(&home, "home-bob")], ["shell /bin/sh", "shell "]);
    assert_eq!(names(&site)[2..], ["text_file home (ann)", "text_file home (bob)"]);
}

#[test]
fn who_waits_for_a_task_waits_for_all_of_its_elements() {
    let (_home, site) = playbook(
        "order: graph
        tasks: [
            { name: sh, id: last, after: all, args { line: \"true\" } }
            { name: sh, id: all, for_each: [a, b, c], args { line: echo ${item} } }
            { name: sh, id: none, for_each: [], args { line: \"true\" } }
            { name: sh, id: empty, after: none, args { line: \"true\" } }
        ]",
    );
    assert_eq!(
        names(&site),
        ["sh all (a)", "sh all (b)", "sh all (c)", "all of all", "sh last", "all of none", "sh empty"]
    );
    assert!(engine(&site).converge().success());
}

#[test]
fn results_are_handed_on() {
    let (home, site) = playbook(
        r#"tasks: [
            { name: add_line, register: log, args { file: ${vars.here}/log, line: hello } }
            { name: sh, register: each, for_each: [1, 2], args { line: echo ${item} } }
            { name: text_file
              args { path: ${vars.here}/told, text: ${results.log.lines}" line, "${results.log.last}", "${results.each.1} } }
            { name: http_server, args { name: web, port: ${results.log.lines} } }
        ]"#,
    );
    let report = engine(&site).converge();
    assert!(report.success(), "{}", reason(&report, &names(&site)[2]));
    assert_eq!(text(&home, "told"), "1 line, hello, 2");
}

#[test]
fn results_make_an_order_where_there_is_none() {
    let (_home, site) = playbook(
        "order: graph
        tasks: [
            { name: text_file, id: told, args { path: ${vars.here}/told, text: ${results.kernel} } }
            { name: sh, id: ask, register: kernel, args { line: uname } }
        ]",
    );
    assert_eq!(names(&site), ["sh ask", "text_file told"]);
    assert!(engine(&site).converge().success());
}

#[test]
fn what_a_result_is_no_good_for_is_told_when_it_is_there() {
    let (_home, site) = playbook(
        "tasks: [
            { name: sh, register: port, args { line: echo eighty } }
            { name: http_server, id: web, tries: 1, args { name: web, port: ${results.port} } }
        ]",
    );
    let report = engine(&site).converge();
    assert!(!report.success());
    let said = reason(&report, "http_server web");
    assert!(
        said.contains("`port` is the string `eighty`, expected a whole number from 0 to 65535"),
        "{said}"
    );
    assert!(said.contains("site.conf:3:13"), "{said}");
}

#[test]
fn a_result_that_is_missing_is_told() {
    let (_home, site) = playbook(
        "tasks: [
            { name: http_server, id: none, register: none, args { name: web, port: 1 } }
            { name: sh, id: use, tries: 1, args { line: echo ${results.none} } }
            { name: sh, id: may, tries: 1, args { line: echo ${?results.none} } }
        ]",
    );
    let report = engine(&site).converge();
    let said = reason(&report, "sh use");
    assert!(said.contains("`${results.none}`: `http_server none` has handed on no result"), "{said}");
}

#[test]
fn a_task_does_not_take_longer_than_its_timeout() {
    let (_home, site) = playbook(
        "tasks: [ { name: sh, id: slow, tries: 2, retry_delay: 0s, timeout: 50ms, args { line: sleep 600 } } ]",
    );
    let tries = Arc::new(Mutex::new(0));
    let counted = tries.clone();
    let report = engine(&site)
        .observe(move |event: &Event| {
            if matches!(event, Event::TryStarted { .. }) {
                *counted.lock().unwrap() += 1;
            }
        })
        .converge();
    let said = reason(&report, "sh slow");
    assert!(said.contains("the task did not end within its timeout of 50ms"), "{said}");
    assert_eq!(report.job("sh slow").outcome(), Outcome::Failed);
    assert_eq!(*tries.lock().unwrap(), 1, "there is no time left for another");
}

#[test]
fn tags_choose_tasks_and_keep_their_order() {
    const TEXT: &str = "order: graph
        tasks: [
            { name: sh, id: a, tags: [web], args { line: a } }
            { name: sh, id: b, after: a, args { line: b } }
            { name: sh, id: c, after: b, tags: [web, db], args { line: c } }
        ]";
    let chosen = |choose: fn(Playbook) -> Playbook| {
        let (_home, site) = playbook(TEXT);
        let graph = choose(site).graph(&Registry::linked().unwrap()).unwrap();
        let needs =
            |job: dojob::Node<'_>| job.dependencies().map(|job| job.name().to_owned()).collect::<Vec<_>>();
        graph.iter().map(|job| (job.name().to_owned(), needs(job))).collect::<Vec<_>>()
    };
    let told = |name: &str, needs: &[&str]| {
        (name.to_owned(), needs.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(chosen(|site| site.tags(["web"])), [told("sh a", &[]), told("sh c", &["sh a"])]);
    assert_eq!(chosen(|site| site.skip_tags(["db"])), [told("sh a", &[]), told("sh b", &["sh a"])]);
    assert_eq!(chosen(|site| site.tags(["web"]).skip_tags(["web"])), [told("nothing to do", &[])]);
}

#[test]
fn types_that_bring_jobs_along_bring_them_along() {
    let (home, site) = playbook(
        "tasks: [
            { name: text_files, args { directory: ${vars.here}, names: [a, b] } }
            { name: text_file, args { path: ${vars.here}/c, text: c } }
        ]",
    );
    assert!(engine(&site).converge().success());
    assert_eq!([text(&home, "a"), text(&home, "b"), text(&home, "c")], ["a", "b", "c"]);
}

#[test]
fn text_and_numbers_are_converted_where_the_other_is_wanted() {
    let (home, site) = playbook(
        r#"tasks: [
            { name: text_file, args { path: ${vars.here}/version, text: 3.10 } }
            { name: http_server, args { name: 7, port: "80", public: "yes", env { DEBUG: true } } }
        ]"#,
    );
    assert!(engine(&site).converge().success());
    assert_eq!(text(&home, "version"), "3.10");
}

#[test]
fn a_user_is_passed_to_types_that_know_one() {
    let (_home, site) =
        playbook("tasks: [ { name: http_server, become: www, args { name: web, port: 80 } } ]");
    let said = Arc::new(Mutex::new(String::new()));
    let heard = said.clone();
    let report = engine(&site)
        .observe(move |event: &Event| {
            if let Event::Output { line, .. } = event {
                heard.lock().unwrap().push_str(line);
            }
        })
        .converge();
    assert!(report.success());
    assert_eq!(*said.lock().unwrap(), "web listens on 80 as www, None");
}

#[test]
fn facts_are_asked_for_by_name_and_once() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("site.conf");
    fs::write(
        &path,
        "vars { where: ${facts.os.family} }
        tasks: [
            { name: sh, for_each: ${facts.users}, tags: [${facts.os.family}], args { line: echo ${item} ${vars.where} } }
        ]",
    )
    .unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let site = Playbook::options()
        .facts(move |name| {
            noted.lock().unwrap().push(name.to_owned());
            Ok(Some(match name {
                "users" => serde_json::json!(["ann", "bob"]),
                _ => "debian".into(),
            }))
        })
        .load(&path)
        .unwrap();
    assert_eq!(names(&site), ["sh echo ann debian", "sh echo bob debian"]);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["os.family", "users"]);
}

#[test]
fn a_secret_is_handed_on_and_never_seen() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("key"), "hunter2\n").unwrap();
    let path = home.path().join("site.conf");
    fs::write(
        &path,
        format!(
            r#"secrets {{
                a {{ file: {0}/key }}
                b {{ command: [echo, swordfish] }}
                c {{ command: "printf open-sesame" }}
                unused {{ env: NOBODY_SETS_THIS }}
            }}
            tasks: [
                {{ name: http_server, id: web, args {{ name: web, port: 80, password: ${{secrets.a}} }} }}
                {{ name: sh, args {{ line: "echo "${{secrets.b}} }} }}
                {{ name: text_file, args {{ path: {0}/c, text: ${{secrets.c}} }} }}
            ]"#,
            home.path().display()
        ),
    )
    .unwrap();
    let site = Playbook::load(&path).unwrap();
    let registry = Registry::linked().unwrap();
    site.validate(&registry).unwrap();
    let mut printed = Printed::default();
    for engine in [site.engine(&registry).unwrap(), Engine::with_graph(site.graph(&registry).unwrap())] {
        let report = engine.observe(Console::debug().to(printed.clone())).converge();
        assert!(report.success());
        printed.write_all(&serde_json::to_vec(&report).unwrap()).unwrap();
        printed.write_all(report.to_dot().as_bytes()).unwrap();
        fs::remove_file(home.path().join("c")).unwrap();
    }
    let printed = printed.text();
    for secret in ["hunter2", "swordfish", "open-sesame"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("web listens on 80 as nobody, Some(\"***\")"), "{printed}");
    assert_eq!(names(&site)[1], "sh echo ${secrets.b}");
}

#[test]
fn a_secret_that_is_not_there_is_told_before_anything_runs() {
    let (home, site) = playbook(
        "secrets { token { env: NOBODY_SETS_THIS }, key { file: /nowhere/at/all }, no { command: \"false\" } }
        tasks: [
            { name: add_line, args { file: ${vars.here}/log, line: one } }
            { name: sh, args { line: ${secrets.token}${secrets.key}${secrets.no} } }
        ]",
    );
    let registry = Registry::linked().unwrap();
    site.validate(&registry).unwrap();
    let problems = site.engine(&registry).unwrap_err().to_string();
    assert!(
        problems.contains(
            "error: failed to fetch the secret `token`: the variable `NOBODY_SETS_THIS` is not set"
        )
    );
    assert!(
        problems.contains("failed to fetch the secret `key`: /nowhere/at/all: No such file"),
        "{problems}"
    );
    assert!(
        problems.contains("failed to fetch the secret `no`: `/bin/sh` ended with exit status: 1"),
        "{problems}"
    );
    assert!(!home.path().join("log").exists());
}

#[test]
fn several_files_are_one_playbook() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write(
        "10-first.conf",
        "vars { word: hello }\ntasks: [ { name: sh, register: a, args { line: echo 1 } } ]",
    );
    write("20-second.conf", "tasks: [ { name: sh, args { line: echo ${vars.word} ${results.a} } } ]");
    write("notes.txt", "tasks: [ { name: nothing } ]");
    let site = Playbook::load(home.path()).unwrap();
    assert_eq!(names(&site), ["sh echo 1", "sh echo hello ${results.a}"]);
    assert!(engine(&site).converge().success());
    write("30-third.conf", "tasks: [ { name: shh } ]");
    let problems = Playbook::load(home.path()).unwrap().validate(&Registry::linked().unwrap()).unwrap_err();
    assert!(problems.to_string().contains("30-third.conf:1:18"), "{problems}");
    let empty = Playbook::load(Path::new("tests/playbooks/bad/shared")).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "error: there are no files that end with `.conf` in tests/playbooks/bad/shared"
    );
}

#[test]
fn names_are_stable_and_unique() {
    let (_home, site) = playbook(
        "tasks: [
            { name: sh, args { line: echo hello } }
            { name: sh, args { line: echo hello } }
            { name: sh, id: greeting, args { line: echo hello } }
            { name: Sh, args { line: echo ${TODAY} } }
            { name: sh, args { line: \"one\\n  two\" } }
            { name: choosy }
        ]",
    );
    assert_eq!(
        names(&site),
        ["sh echo hello", "sh echo hello #2", "sh greeting", "sh echo TODAY", "sh one two", "choosy"]
    );
}

#[test]
fn a_playbook_without_tasks_is_done() {
    let (_home, site) = playbook("tasks: []");
    assert!(site.is_empty());
    assert!(engine(&site).converge().success());
}

#[test]
fn tasks_that_may_have_one_target_are_looked_at_once_more_at_the_end() {
    let both = |one: &str, other: &str| {
        playbook(&format!(
            "tasks: [
                {{ name: owned, id: one, args {{ path: ${{vars.here}}/x, value: {one} }} }}
                {{ name: owned, id: other, same_target: allowed, args {{ path: ${{vars.here}}/./x, value: {other} }} }}
            ]"
        ))
    };
    let (home, site) = both("a", "b");
    let report = engine(&site).converge();
    assert!(!report.success());
    let look = format!("last look at {}", home.path().canonicalize().unwrap().join("x").display());
    let said = reason(&report, &look);
    assert!(said.contains("`owned one` and `owned other` conflict at"), "{said}");
    assert!(said.contains("it says `b`"), "{said}");
    assert_eq!(report.job(&look).tries(), 1, "another try would find the same");

    let (_home, site) = both("a", "a");
    assert!(engine(&site).converge().success());
    // A task that its tags leave out is at odds with nobody.
    let (_home, site) = playbook(
        "tasks: [
            { name: owned, tags: on, args { path: ${vars.here}/x, value: a } }
            { name: owned, tags: off, args { path: ${vars.here}/x, value: b } }
        ]",
    );
    assert!(site.validate(&Registry::linked().unwrap()).is_err());
    for tag in ["on", "off"] {
        assert!(engine(&site.clone().tags([tag])).converge().success(), "{tag}");
    }
}

#[test]
fn what_is_meant_as_it_stands_is_said_so() {
    let (home, site) = playbook(
        r#"tasks: [
            { name: text_file, args { path: ${vars.here}/a, text: "\u0024{HOME} and $""{HOME}" } }
            { name: text_file, args { path: ${vars.here}/b, text: """${HOME} {{.Name}}""" } }
            { name: text_file, verbatim: true, args { path: ${vars.here}/c, text: "${vars.x} {{ x }}" } }
        ]"#,
    );
    assert!(engine(&site).converge().success());
    assert_eq!(text(&home, "a"), "${HOME} and ${HOME}");
    assert_eq!(text(&home, "b"), "${HOME} {{.Name}}");
    assert_eq!(text(&home, "c"), "${vars.x} {{ x }}");
}

#[test]
fn a_job_is_called_the_same_however_its_element_is_written() {
    let called = |element: &str| {
        let (_home, site) =
            playbook(&format!("tasks: [ {{ name: sh, for_each: [{element}], args {{ line: echo }} }} ]"));
        names(&site)
    };
    assert_eq!(called("{ user: ann, group: staff }"), ["sh echo (staff)"]);
    assert_eq!(called("{ group: staff, user: ann }"), ["sh echo (staff)"]);
    assert_eq!(called("{ port: 1, name: web }"), called("{ name: web, port: 1 }"));
}
