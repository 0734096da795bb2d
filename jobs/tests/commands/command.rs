//! Any command as a job.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use dojob::{Engine, Job, JobGraph, OnFailure, Outcome, Secret};
use dojob_jobs::{Become, BecomeMethod, Command, CommandLine};
use serde_json::json;

use crate::support::{as_nobody, converge, engine, handed, is_root, lines, look, tree};

/// A job that makes the file `made`, and what says that it is there.
fn touch(root: &Path) -> Command {
    Command::new("echo made > made").check("test -e made || { echo there is none; exit 1; }").cwd(root)
}

#[test]
fn it_runs_once_and_a_dry_run_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let jobs = [touch(root.path()), Command::new(["touch", "made"]).creates("made").cwd(root.path())];
    for job in jobs {
        let before = tree(root.path());
        let came = look(job.clone());
        assert_eq!(came.outcome, Outcome::WouldRun);
        assert!(["there is none", "made does not exist"].contains(&came.reason.as_str()), "{came:?}");
        assert_eq!(tree(root.path()), before);
        assert_eq!(converge(job.clone()).outcome, Outcome::Changed);
        assert_eq!(converge(job).outcome, Outcome::InPlace);
        fs::remove_file(root.path().join("made")).unwrap();
    }
}

#[test]
fn what_creates_and_removes_is_told_at_once() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("old"), "").unwrap();
    symlink("nowhere", root.path().join("older")).unwrap();
    let job = Command::new("mv old new; rm older; mkdir -p a/b")
        .creates("new")
        .creates(root.path().join("a/b"))
        .removes("old")
        .removes("older")
        .cwd(root.path());
    let said = look(job.clone()).reason;
    let there = root.path().join("a/b").display().to_string();
    assert_eq!(said, format!("new does not exist; {there} does not exist; old exists; older exists"));
    assert_eq!(converge(job).outcome, Outcome::Changed);
}

#[test]
fn what_a_check_says() {
    let say = |check: &str| look(Command::new("true").check(check));
    assert_eq!(say("echo out; echo err >&2; echo; false").reason, "err");
    assert_eq!(say("echo one; echo two; echo '  '; exit 125").reason, "one; two");
    assert_eq!(say("exit 3").reason, "`exit 3` ended with exit status 3");
    assert_eq!(say("true").outcome, Outcome::InPlace);
    let long = say("head -c 1000 /dev/zero | tr '\\0' x; false").reason;
    assert_eq!(long, "x".repeat(400) + "…");
    let long = say("seq 100000 100099; seq -f 'line %g of many' 1 40 >&2; false").reason;
    assert!(
        long.starts_with("line 31 of many; line 32 of many; ") && long.ends_with("; line 40 of many"),
        "{long}"
    );
}

#[test]
fn what_a_passing_check_prints_is_handed_on_and_not_shown() {
    let root = tempfile::tempdir().unwrap();
    let job = Command::new("printf 'made \\n\\n' > made").check("cat made && echo err >&2").cwd(root.path());
    for outcome in [Outcome::Changed, Outcome::InPlace] {
        let (observer, seen) = lines();
        let report = engine(job.clone()).observe(observer).converge();
        let came = report.jobs().last().unwrap();
        assert_eq!(came.outcome(), outcome);
        assert_eq!(came.result(), Some(&json!({ "stdout": "made ", "stderr": "err" })));
        let seen = seen.lock().unwrap();
        assert!(!seen.iter().any(|line| line.contains("made ") || line == "err"), "{seen:?}");
    }
    let nothing = json!({ "stdout": "", "stderr": "" });
    assert_eq!(handed(Command::new("echo again").creates("made").cwd(root.path())), nothing);
    assert_eq!(handed(Command::new("touch new; echo out").creates("new").cwd(root.path())), nothing);
}

#[test]
fn secrets_are_handed_on_and_masked_in_what_is_shown() {
    let job = Command::new("true").check("echo \"the $TOKEN\"").secret_env("TOKEN", "hunter2".to_owned());
    assert_eq!(handed(job.clone()), json!({ "stdout": "the ***", "stderr": "" }));
    let mut graph = JobGraph::builder();
    let name = job.name();
    let asked = name.clone();
    graph.add(job);
    graph
        .run_only("reader", move |cx| {
            let result: serde_json::Value = cx.result(&asked)?;
            anyhow::ensure!(result["stdout"] == "the hunter2", "it was masked");
            Ok(())
        })
        .after([name]);
    let report = Engine::with_graph(graph.build().unwrap()).tries(1).converge();
    assert!(report.success(), "{report:?}");
}

#[test]
fn what_a_check_cannot_find_out_is_not_run() {
    let root = tempfile::tempdir().unwrap();
    let job = |check: Command| check.cwd(root.path());
    let touch = || Command::new("touch made");
    let cases = [
        (
            job(touch().check(["no-such-program"])),
            "failed to run `no-such-program`: there is no program `no-such-program`; install it or set PATH",
        ),
        (
            job(touch().check("no-such-program 2>/dev/null")),
            "`no-such-program 2>/dev/null` ended with exit status 127",
        ),
        (
            job(touch().check("echo what >&2; exit 2").check_no([1])),
            "`echo what >&2; exit 2` ended with exit status 2: what",
        ),
        (job(touch().check("kill -9 $$")), "`kill -9 $$` ended with signal: 9 (SIGKILL)"),
        (
            job(touch().check("sleep 1000").timeout(Duration::from_millis(1))),
            "`sleep 1000` did not end within 1ms and was stopped",
        ),
    ];
    for (job, said) in cases {
        for came in [look(job.clone()), converge(job)] {
            assert_eq!(came.reason, format!("could not find out whether `touch made` has to run: {said}"));
            assert!([Outcome::CouldNotFindOut, Outcome::Failed].contains(&came.outcome), "{came:?}");
        }
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_run_that_fails_says_how() {
    let came = converge(Command::new("echo first >&2; echo last >&2; exit 7").creates("/nowhere"));
    assert_eq!(came.outcome, Outcome::Failed);
    let job = Command::new("touch made; exit 7").creates("made");
    for (accept, phase) in [(vec![0, 7], "pass"), (vec![0], "fail")] {
        let root = tempfile::tempdir().unwrap();
        let (observer, seen) = lines();
        let report = engine(job.clone().cwd(root.path()).accept(accept)).observe(observer).converge();
        assert!(report.success(), "the recheck decides");
        let seen = seen.lock().unwrap().join("\n");
        assert!(seen.contains(&format!("run {phase}")), "{seen}");
    }
}

#[test]
fn it_reads_what_it_is_given_and_secrets_are_not_seen() {
    let root = tempfile::tempdir().unwrap();
    let job = Command::new("cat > in; echo \"$PLAIN $TOKEN\"; echo \"$PLAIN $TOKEN\" > env; cat in")
        .creates("in")
        .cwd(root.path())
        .env("PLAIN", "plain")
        .secret_env("TOKEN", Secret::new("hunter2".to_owned()));
    let (observer, seen) = lines();
    let secret = job.clone().secret_stdin(Secret::new("swordfish".to_owned()));
    assert!(engine(secret.clone()).observe(observer).converge().success());
    assert_eq!(fs::read_to_string(root.path().join("in")).unwrap(), "swordfish");
    assert_eq!(fs::read_to_string(root.path().join("env")).unwrap(), "plain hunter2\n");
    let seen = seen.lock().unwrap().join("\n");
    assert!(seen.contains("plain ***") && !seen.contains("hunter2") && !seen.contains("swordfish"), "{seen}");
    assert!(!format!("{secret:?}").contains("hunter2") && !format!("{secret:?}").contains("swordfish"));

    fs::remove_file(root.path().join("in")).unwrap();
    assert!(engine(job.stdin("open")).converge().success());
    assert_eq!(fs::read_to_string(root.path().join("in")).unwrap(), "open");
}

#[test]
fn its_cleanup_is_called_after_a_run_alone() {
    let root = tempfile::tempdir().unwrap();
    let job = Command::new("touch made scratch").creates("made").cleanup("rm scratch").cwd(root.path());
    let report = engine(job.clone()).converge();
    assert!(report.success() && report.failed_cleanups().count() == 0);
    assert!(!root.path().join("scratch").exists());
    let report = engine(job).converge();
    assert!(report.success() && report.cleanups().is_empty());
}

#[test]
fn it_is_taken_back_when_another_job_fails() {
    let root = tempfile::tempdir().unwrap();
    let mut graph = JobGraph::builder();
    let job = Command::new("touch made").creates("made").revert("rm made").cwd(root.path());
    let name = job.name();
    graph.add(job);
    graph.run_only("fails", |_| anyhow::bail!("no")).after([name]);
    graph.root("fails");
    let report = Engine::with_graph(graph.build().unwrap()).tries(1).on_failure(OnFailure::Revert).converge();
    assert!(report.failure());
    assert!(!root.path().join("made").exists());
}

#[test]
fn it_runs_as_somebody_else() {
    if !is_root("becoming somebody else") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let made = root.path().join("who");
    fs::write(&made, "").unwrap();
    fs::set_permissions(&made, PermissionsExt::from_mode(0o666)).unwrap();
    fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for run in ["id -un > who".into(), CommandLine::from(["sh", "-c", "id -un >who"])] {
        let job = Command::new(run).check("test \"$(cat who)\" = \"$(id -un)\"").cwd(root.path());
        assert_eq!(converge(job.clone().as_user("nobody")).outcome, Outcome::Changed);
        assert_eq!(fs::read_to_string(&made).unwrap(), "nobody\n");
        assert_eq!(converge(job.clone().as_user("nobody")).outcome, Outcome::InPlace);
        assert_eq!(look(job).outcome, Outcome::WouldRun);
        fs::write(&made, "").unwrap();
    }
    let missing = Command::new("true").check(["no-such-program"]).as_user("nobody");
    let said = look(missing).reason;
    assert!(said.contains("exit status 127: setpriv: failed to execute no-such-program"), "{said}");
}

#[test]
fn every_field_is_read() {
    let job: Command = serde_json::from_value(json!({
        "run": ["make", "-j", 4],
        "check": "make -q",
        "check_no": [1],
        "creates": "out",
        "removes": ["a", "b"],
        "cleanup": "make clean",
        "revert": ["make", "undo"],
        "env": {"CC": "cc"},
        "secret_env": {"TOKEN": "hunter2"},
        "cwd": "/srv",
        "timeout": "5 min",
        "stdin": "y\n",
        "accept": [0, 2],
        "become": {"user": "rosa", "method": "sudo"},
    }))
    .unwrap();
    let wanted = Command::new(["make", "-j", "4"])
        .check("make -q")
        .check_no([1])
        .creates("out")
        .removes("a")
        .removes("b")
        .cleanup("make clean")
        .revert(["make", "undo"])
        .env("CC", "cc")
        .secret_env("TOKEN", "hunter2".to_owned())
        .cwd("/srv")
        .timeout(Duration::from_secs(300))
        .stdin("y\n")
        .accept([0, 2])
        .as_user(Become::new("rosa").method(BecomeMethod::Sudo));
    assert_eq!(job, wanted);
    assert_eq!(job.name(), "Command make -j 4");
    let written = serde_json::to_value(&job).unwrap();
    assert_eq!(
        (&written["run"], &written["secret_env"]["TOKEN"]),
        (&json!(["make", "-j", "4"]), &json!("***"))
    );
    let short: Command = serde_json::from_value(json!({"run": "a", "creates": "b", "user": "rosa"})).unwrap();
    assert_eq!(short, Command::new("a").creates("b").as_user("rosa"));
}

#[test]
fn what_cannot_be_meant_is_refused_at_once() {
    let whole = "a command needs `check`, `creates` or `removes`, or nobody can tell whether it has to run; \
                 one that is to run every time is a `ShellScript` (`script_path: sh`, `script_args: [-c, …]`)";
    let cases = [
        (json!({"run": "a"}), whole),
        (json!({"run": "a", "creates": []}), whole),
        (json!({"creates": "b"}), "missing field `run`"),
        (
            json!({"run": 7, "creates": "b"}),
            "invalid type: integer `7`, expected a command: a list of words, or a line for the shell",
        ),
        (json!({"run": "", "creates": "b"}), "a command must not be empty"),
        (json!({"run": "a", "check": []}), "a command must not be empty"),
        (json!({"run": "a", "cleanup": "\0", "creates": "b"}), "a command must not contain a NUL byte"),
        (json!({"run": "a", "creates": ""}), "a path must not be empty"),
        (json!({"run": "a", "removes": ["b\0"]}), "a path must not contain a NUL byte"),
        (json!({"run": "a", "creates": 1}), "invalid type: integer `1`, expected a path or a list of paths"),
        (json!({"run": "a", "creates": "b", "removes": "b"}), "b cannot be in both `creates` and `removes`"),
        (json!({"run": "a", "creates": "b", "cwd": ""}), "a path must not be empty"),
        (
            json!({"run": "a", "creates": "b", "stdin": "x", "secret_stdin": "y"}),
            "`stdin` and `secret_stdin` cannot both be given",
        ),
        (json!({"run": "a", "creates": "b", "accept": []}), "`accept` must not be empty"),
        (
            json!({"run": "a", "creates": "b", "accept": [256]}),
            "256 in `accept` is not possible: exit codes from 0 to 255 are",
        ),
        (
            json!({"run": "a", "check": "b", "check_no": [0]}),
            "0 in `check_no` is not possible: exit codes from 1 to 255 are",
        ),
        (json!({"run": "a", "creates": "b", "check_no": [1]}), "`check_no` requires `check`"),
        (
            json!({"run": "a", "creates": "b", "env": {"": "c"}}),
            "`` is no name of a variable: it must not be empty, nor contain `=` or a NUL byte",
        ),
        (
            json!({"run": "a", "creates": "b", "env": {"A=": "c"}}),
            "`A=` is no name of a variable: it must not be empty, nor contain `=` or a NUL byte",
        ),
        (
            json!({"run": "a", "creates": "b", "secret_env": {"A": "\0"}}),
            "the variable A must not contain a NUL byte",
        ),
        (
            json!({"run": "a", "creates": "b", "env": {"A": "1"}, "secret_env": {"A": "2"}}),
            "the variable A is given twice, once as a secret",
        ),
        (
            json!({"run": "a", "creates": "b", "become": ""}),
            "`` is no name of a user to become: a name such as `postgres` is wanted",
        ),
        (
            json!({"run": "a", "creates": "b", "timeout": 5}),
            "invalid type: integer `5`, expected a duration such as `5s`",
        ),
    ];
    for (value, said) in cases {
        let error = serde_json::from_value::<Command>(value.clone()).unwrap_err();
        assert_eq!(error.to_string(), said, "{value}");
    }
    let error =
        serde_json::from_value::<Command>(json!({"run": "a", "creates": "b", "shell": true})).unwrap_err();
    assert!(error.to_string().starts_with("unknown field `shell`"), "{error}");
}

#[test]
fn a_mistake_in_rust_is_an_error_of_the_check() {
    let came = converge(Command::new("true"));
    assert_eq!(came.outcome, Outcome::Failed);
    assert!(came.reason.starts_with("a command needs `check`"), "{came:?}");
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let came = look(Command::new("true").check("true").cwd("/nowhere"));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert_eq!(
        came.reason,
        "could not find out whether `true` has to run: failed to run `true`: there is no directory /nowhere"
    );
}

#[test]
fn what_may_not_be_looked_at_is_not_missing() {
    if !is_root("a directory that is closed for others") {
        return;
    }
    as_nobody("command::inner_closed", OsStr::new("/usr/bin:/bin"), &[]);
}

#[test]
#[ignore = "called by `what_may_not_be_looked_at_is_not_missing` as nobody"]
fn inner_closed() {
    let came = look(Command::new("true").creates(Path::new("/root").join("made")));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut, "{came:?}");
}

#[test]
fn its_schema_describes_every_field() {
    let schema = schemars::schema_for!(Command);
    let schema = schema.as_value();
    assert_eq!(schema["required"], json!(["run"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    for (field, property) in schema["properties"].as_object().unwrap() {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{field}: {property}");
    }
}
