//! The command line of `examples/own_tasks.rs`, in an empty home.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::{Ran, command};

const GOOD: &str = "tasks: [
    { name: note, tags: [notes], args { path: notes/milk, text: none left } }
    { name: say_hello, register: hello, args { friend: Ann } }
    { name: note, id: log, args { path: notes/log, text: greeted ${results.hello.greeted} } }
]
";

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("good.conf"), GOOD).unwrap();
    fs::write(home.path().join("bad.conf"), "tasks: [ { name: nte, args { path: x, text: y } } ]\n").unwrap();
    home
}

fn ran(home: &TempDir, args: &[&str]) -> Ran {
    command("own_tasks", home).args(args).output().unwrap().into()
}

fn told(code: i32, stdout: &str, stderr: &str) -> Ran {
    Ran { code: Some(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

const BAD: &str = "error: there is no task type `nte`
 --> bad.conf:1:18
  |
1 | tasks: [ { name: nte, args { path: x, text: y } } ]
  |                  ^^^
hint: did you mean `note`?
";

#[test]
fn it_is_run_until_nothing_is_left_to_do() {
    let home = home();
    let plan = "would run note notes/milk: there is no note
would run say_hello Ann (after note notes/milk)
unknown note log until say_hello Ann: could not find out what is wanted: the result of `say_hello Ann` is not known before it is in place
dry run: 3 jobs, 2 would run, 1 unknown (TIME)
";
    assert_eq!(ran(&home, &["plan", "good.conf"]), told(3, plan, ""));
    assert_eq!(
        fs::read_dir(home.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name() == "notes").count(),
        0
    );
    let first = "changed note notes/milk: there is no note
changed say_hello Ann
changed note log: there is no note
converged: 3 jobs, 3 changed (TIME)
";
    assert_eq!(ran(&home, &["run", "good.conf"]), told(0, "", first));
    let second = "changed say_hello Ann\nconverged: 3 jobs, 2 in place, 1 changed (TIME)\n";
    assert_eq!(ran(&home, &["run", "good.conf"]), told(0, "", second));
    assert_eq!(fs::read_to_string(home.path().join("notes/log")).unwrap(), "greeted Ann\n");
}

#[test]
fn a_bad_playbook_ends_with_2_wherever_it_is_named() {
    let home = home();
    for args in
        [&["run", "bad.conf"][..], &["plan", "bad.conf"], &["graph", "bad.conf"], &["validate", "bad.conf"]]
    {
        assert_eq!(ran(&home, args), told(2, "", BAD), "{args:?}");
    }
    assert_eq!(
        ran(&home, &["validate", "good.conf", "bad.conf", "good.conf"]),
        told(2, "good.conf: 3 tasks, valid\ngood.conf: 3 tasks, valid\n", BAD)
    );
    let missing = ran(&home, &["run", "nowhere.conf"]);
    assert_eq!(missing, told(2, "", "error: there is no file nowhere.conf\n"));
}

#[test]
fn standard_input_is_a_playbook() {
    let home = home();
    let mut child = command("own_tasks", &home)
        .args(["run", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"tasks: [ { name: say_hello, args { friend: 5, times: x } } ]")
        .unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    let wanted = "error: `times` is the string `x`, expected a whole number from 0 to 255
 --> standard input:1:52
  |
1 | tasks: [ { name: say_hello, args { friend: 5, times: x } } ]
  |                                                      ^
";
    assert_eq!(ran, told(2, "", &wanted.replace(":52", ":54")));
}

#[test]
fn variables_and_tags_are_given_on_the_command_line() {
    let home = home();
    fs::write(
        home.path().join("site.conf"),
        "vars { friend: Ann }, tasks: [ { name: say_hello, tags: [a, b], args { friend: ${vars.friend} } }
         { name: say_hello, args { friend: nobody } } ]",
    )
    .unwrap();
    fs::write(home.path().join("vars.conf"), "vars { friend: Bob }").unwrap();
    let listed =
        |more: &[&str]| ran(&home, &[&["run", "site.conf", "--list", "--tags", "b,a"], more].concat());
    assert_eq!(listed(&[]), told(0, "say_hello Ann  (runs every time)\n", ""));
    assert_eq!(listed(&["--vars", "vars.conf"]), told(0, "say_hello Bob  (runs every time)\n", ""));
    assert_eq!(
        listed(&["--set", "vars.friend=Cem", "--vars", "vars.conf"]),
        told(0, "say_hello Cem  (runs every time)\n", "")
    );
    assert_eq!(
        listed(&["--set", "friend=Cem"]),
        told(
            2,
            "",
            "error: a playbook has no `friend`
 --> --set:1:1
  |
1 | friend=\"Cem\"
  | ^^^^^^
hint: variables of your own are below `vars`: `vars { friend: … }` is used as `${vars.friend}`
"
        )
    );
}

#[test]
fn task_types_are_told() {
    let home = home();
    assert_eq!(
        ran(&home, &["types"]),
        told(0, "note       A note in a file\nsay_hello  Says hello, every time\n", "")
    );
    let one = "say_hello

    Says hello, every time.

Arguments:
    friend: a string; required
        Whom to greet.
    times: a whole number from 0 to 255; default 1
        How many times.

Example:
    { name: say_hello, args: { friend: \"…\" } }

From own_tasks::SayHello (package dojob).
";
    assert_eq!(ran(&home, &["types", "SayHello"]), told(0, one, ""));
    assert_eq!(
        ran(&home, &["types", "notes"]),
        told(2, "", "error: there is no task type `notes`; did you mean `note`?\n")
    );
}

#[test]
fn a_graph_is_drawn_and_nothing_is_started() {
    let home = home();
    assert_eq!(ran(&home, &["graph", "good.conf", "-o", "good.svg"]), told(0, "", ""));
    let svg = fs::read_to_string(home.path().join("good.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("say_hello Ann"), "{svg}");
    assert!(ran(&home, &["graph", "good.conf"]).stdout.starts_with("digraph"));
    assert_eq!(ran(&home, &["graph", "good.conf", "-o", "good.doc"]).code, Some(2));
    assert!(!home.path().join("notes").exists());
}

#[test]
fn a_starter_is_a_good_playbook_that_does_nothing() {
    let home = home();
    assert_eq!(ran(&home, &["new", "mine.conf"]), told(0, "", "wrote mine.conf\n"));
    assert_eq!(ran(&home, &["validate", "mine.conf"]), told(0, "mine.conf: 0 tasks, valid\n", ""));
    assert_eq!(ran(&home, &["run", "mine.conf"]).code, Some(0));
    let text = fs::read_to_string(home.path().join("mine.conf")).unwrap();
    assert!(text.contains("own_tasks run mine.conf  "), "{text}");
    assert!(
        text.contains("#     { name: note, args { path: /tmp/notes/milk, text: \"none left\" } }\n"),
        "{text}"
    );
    assert_eq!(
        ran(&home, &["new", "mine.conf"]),
        told(2, "", "error: mine.conf already exists; choose another name\n")
    );
    assert_eq!(ran(&home, &["new"]).stdout.replace(" FILE  ", " mine.conf  "), text);
}

#[test]
fn it_tells_of_itself() {
    let home = home();
    let schema: serde_json::Value = serde_json::from_str(&ran(&home, &["schema"]).stdout).unwrap();
    assert_eq!(schema["$defs"]["dojob.task"]["properties"]["name"]["enum"][0], "note");
    for shell in ["bash", "zsh", "fish"] {
        assert!(ran(&home, &["completions", shell]).stdout.contains("own_tasks"), "{shell}");
    }
    assert!(ran(&home, &["man"]).stdout.contains(".TH own_tasks"));
    assert_eq!(ran(&home, &["man", "pages"]).code, Some(0));
    assert!(home.path().join("pages/own_tasks-run.1").exists());
    let help = ran(&home, &["run", "--help"]).stdout;
    assert!(
        help.contains("--no-act") && help.contains("--skip-tags") && !help.contains("--completions"),
        "{help}"
    );
}

#[test]
fn two_starts_on_one_playbook_do_not_share_a_scope_with_another() {
    let home = home();
    fs::write(home.path().join("other.conf"), GOOD).unwrap();
    let scopes = |home: &TempDir| fs::read_dir(home.path().join("state")).map_or(0, Iterator::count);
    ran(&home, &["run", "good.conf"]);
    ran(&home, &["run", "./good.conf"]);
    assert_eq!(scopes(&home), 1, "it is the same file");
    ran(&home, &["run", "other.conf"]);
    assert_eq!(scopes(&home), 2);
}

#[test]
fn nobody_is_asked_for_a_secret_in_vain() {
    let home = home();
    let text = r#"secrets { token { command: "echo asked >> asked; echo swordfish" } }
        tasks: [ { name: note, args { path: token, text: ${secrets.token} } } ]"#;
    fs::write(home.path().join("secret.conf"), text).unwrap();
    let asked = || fs::read_to_string(home.path().join("asked")).unwrap_or_default().lines().count();

    assert_eq!(ran(&home, &["run", "secret.conf", "--only", "nonsense"]).code, Some(2));
    assert_eq!(ran(&home, &["run", "secret.conf", "--list"]).code, Some(0));
    let playbook = home.path().join("secret.conf").canonicalize().unwrap();
    let scope = dojob::Journal::directory_below(&home.path().join("state"), "own_tasks", playbook.to_str());
    let other_start = dojob::Journal::open(scope).unwrap();
    assert_eq!(ran(&home, &["run", "secret.conf"]).code, Some(4));
    assert_eq!(asked(), 0);

    drop(other_start);
    assert_eq!(ran(&home, &["run", "secret.conf"]).code, Some(0));
    assert_eq!(asked(), 1);
    assert_eq!(fs::read_to_string(home.path().join("token")).unwrap().trim(), "swordfish");
}

#[test]
fn only_knows_tasks_by_their_ids() {
    let home = home();
    let text = r#"order: graph, tasks: [
        { name: note, id: first, args { path: one, text: a } }
        { name: note, id: many, for_each: [b, c], args { path: ${item}, text: x } }
        { name: note, id: tagged, tags: t, args { path: d, text: x } }
    ]"#;
    fs::write(home.path().join("ids.conf"), text).unwrap();
    let listed = |args: &[&str]| ran(&home, &[&["run", "ids.conf", "--list", "--only"], args].concat());
    assert_eq!(listed(&["first"]).stdout, "note first\n");
    assert_eq!(listed(&["note first"]).stdout, "note first\n");
    assert_eq!(listed(&["many"]).stdout, "note many (b)\nnote many (c)\n");
    let wrong = "error: no task has the id `mny`, and no job has that name; did you mean `many`?\n";
    assert_eq!(listed(&["mny"]), told(2, "", wrong));
    let left_out = ran(&home, &["run", "ids.conf", "--skip-tags", "t", "--only", "tagged"]);
    let wrong = "error: task `tagged` makes no jobs: its tags exclude it, or its `for_each` is empty\n";
    assert_eq!(left_out, told(2, "", wrong));
}

#[test]
fn a_plan_is_on_standard_output_and_how_it_came_about_on_standard_error() {
    let home = home();
    let ran = ran(&home, &["plan", "good.conf", "-v"]);
    assert!(ran.stdout.starts_with("would run note notes/milk: there is no note\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("dry run: 3 jobs, 2 would run, 1 unknown (TIME)\n"), "{}", ran.stdout);
    assert_eq!(
        ran.stderr,
        "note notes/milk.check: fail \"there is no note\"\nsay_hello Ann.check: fail\nnote log.check: fail \"could not find out what is wanted: the result of `say_hello Ann` is not known before it is in place\"\n"
    );
}

#[test]
fn empty_standard_input_is_no_playbook() {
    let home = home();
    let ran: Ran = command("own_tasks", &home).args(["run", "-"]).output().unwrap().into();
    let wrong = "error: standard input is empty: did the command that writes it succeed?\n";
    assert_eq!(ran, told(2, "", wrong));
}
