//! Scripts and programs that run every time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dojob::{Outcome, RunOnlyJob};
use dojob_jobs::ShellScript;
use serde_json::json;

use crate::support::{converge, engine, handed, lines, look, tree};

fn script(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// What a script prints.
fn said(job: ShellScript) -> String {
    let (ears, seen) = lines();
    let report = engine(job).observe(ears).converge();
    assert!(report.success(), "{:?}", report.jobs().last().unwrap().reason());
    let seen = seen.lock().unwrap();
    let phases = ["check fail: ", "run pass", "recheck pass"];
    seen.iter().filter(|line| !phases.contains(&line.as_str())).cloned().collect::<Vec<_>>().join("\n")
}

fn read(value: serde_json::Value) -> ShellScript {
    serde_json::from_value(value).unwrap()
}

#[test]
fn existing_configurations_are_read() {
    let job = read(json!({"script_path": "uname", "script_args": "-a"}));
    assert_eq!(job, ShellScript::new("uname").args(["-a"]));
    assert!(said(job.clone()).contains(said(read(json!({"script_path": "uname"}))).as_str()));
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a file"), "").unwrap();
    let job = read(json!({
        "script_path": "find",
        "script_args": [".", "-type", "f"],
        "working_directory_path": root.path(),
    }));
    assert_eq!(said(job), "./a file");
}

#[test]
fn a_text_is_split_as_a_shell_does_it() {
    let args = |text: serde_json::Value| read(json!({"script_path": "x", "script_args": text})).script_args;
    assert_eq!(args(json!("-a  'b c' \"d e\" f\\ g $HOME *")), ["-a", "b c", "d e", "f g", "$HOME", "*"]);
    assert_eq!(args(json!("")), [""; 0]);
    assert_eq!(args(json!("''")), [""]);
    assert_eq!(args(json!(null)), [""; 0]);
    assert_eq!(args(json!(5)), ["5"]);
    assert_eq!(args(json!(["a b", 1, 2.5, true])), ["a b", "1", "2.5", "true"]);
}

#[test]
fn it_runs_every_time_and_never_in_a_dry_run() {
    let root = tempfile::tempdir().unwrap();
    let job = ShellScript::new("sh").args(["-c", "echo x >> runs"]).working_directory(root.path());
    let before = tree(root.path());
    assert_eq!(look(job.clone()).outcome, Outcome::WouldRun);
    assert_eq!(tree(root.path()), before);
    for _ in 0..2 {
        assert_eq!(converge(job.clone()).outcome, Outcome::Changed);
    }
    assert_eq!(fs::read_to_string(root.path().join("runs")).unwrap(), "x\nx\n");
}

#[test]
fn a_file_is_found_from_the_working_directory() {
    let root = tempfile::tempdir().unwrap();
    script(&root.path().join("own-script"), "#!/bin/sh\necho own \"$@\"\necho err >&2\n", 0o755);
    script(&root.path().join("uname"), "#!/bin/sh\necho mine\n", 0o755);
    let at = |path: &str| ShellScript::new(path).working_directory(root.path());
    for path in ["own-script", "./own-script", root.path().join("own-script").to_str().unwrap()] {
        let lines = said(at(path).args(["a b"]));
        assert!(lines.contains("own a b") && lines.contains("err"), "{lines}");
    }
    assert_eq!(said(at("./uname")), "mine");
    assert_ne!(said(at("uname")), "mine", "PATH comes first");
}

#[test]
fn what_it_prints_is_handed_on() {
    let of = |line: &str| handed(ShellScript::new("sh").args(["-c", line]));
    assert_eq!(
        of("echo; echo one; echo 'two '; echo; echo; echo err >&2"),
        json!({ "stdout": "\none\ntwo ", "stderr": "err", "exit_code": 0 })
    );
    assert_eq!(of("true"), json!({ "stdout": "", "stderr": "", "exit_code": 0 }));
    assert_eq!(of("printf 'ab\\r\\n'")["stdout"], "ab\r");
    let no_text = json!({ "dojob.not_text": "it is not UTF-8: offset 1, the byte 0xff" });
    assert_eq!(of("printf 'a\\377b\\n'"), json!({ "stdout": no_text, "stderr": "", "exit_code": 0 }));
    let long = of("head -c 2000000 /dev/zero | tr '\\0' x; echo end");
    let long = long["stdout"].as_str().unwrap();
    assert!(long.starts_with("xxx") && long.ends_with("xend") && long.len() < 1_100_000, "{}", long.len());
    assert!(long.contains("\n[951428 bytes left out]\n"));

    let report = engine(ShellScript::new("sh").args(["-c", "echo x; exit 3"])).converge();
    assert_eq!(report.jobs().last().unwrap().result(), None);
}

#[test]
fn failures_say_what_is_wrong() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| ShellScript::new(path).working_directory(root.path());
    script(&root.path().join("text"), "echo\n", 0o644);
    script(&root.path().join("lost"), "#!/no/such/interpreter\n", 0o755);
    let came = |job| {
        let came = converge(job);
        assert_eq!(came.outcome, Outcome::Failed);
        came.reason.replace(root.path().to_str().unwrap(), "ROOT")
    };
    let fail = at("sh").args(["-c", "echo out; echo one >&2; echo two >&2; exit 3"]);
    assert_eq!(
        came(fail),
        "`sh -c 'echo out; echo one >&2; echo two >&2; exit 3'` failed with exit status 3: one; two"
    );
    assert_eq!(
        came(at("no-such-program")),
        "failed to run `no-such-program`: there is no program `no-such-program`; install it or set PATH"
    );
    assert_eq!(
        came(at("./gone.sh")),
        "failed to run `ROOT/./gone.sh`: there is no program `ROOT/./gone.sh`; install it or set PATH"
    );
    assert_eq!(
        came(at("./text")),
        "ROOT/./text cannot be executed; say `chmod +x`, or give it to an interpreter (`script_path: sh`)"
    );
    assert_eq!(came(at("lost")), "failed to run `ROOT/lost`: the interpreter named in ROOT/lost is missing");
    assert_eq!(
        came(ShellScript::new("true").working_directory("/nowhere")),
        "failed to run `true`: there is no directory /nowhere"
    );
}

#[test]
fn what_cannot_be_meant_is_refused_at_once() {
    let quote = "a quote or a backslash at the end of `it's` has nothing that belongs to it";
    let cases = [
        (json!({}), "missing field `script_path`"),
        (json!({"script_path": ""}), "a path must not be empty"),
        (json!({"script_path": "a\0"}), "a path must not contain a NUL byte"),
        (
            json!({"script_path": "/bin/"}),
            "a path of a file must end with its name, not with `/`, `.` or `..`",
        ),
        (json!({"script_path": 7}), "invalid type: integer `7`, expected path string"),
        (json!({"script_path": "a", "script_args": "it's"}), quote),
        (json!({"script_path": "a", "script_args": ["\0"]}), "`script_args` must not contain a NUL byte"),
        (
            json!({"script_path": "a", "script_args": {}}),
            "invalid type: map, expected arguments: a list, or one text that is split as a shell does it",
        ),
        (json!({"script_path": "a", "working_directory_path": ""}), "a path must not be empty"),
    ];
    for (value, said) in cases {
        let error = serde_json::from_value::<ShellScript>(value.clone()).unwrap_err();
        assert_eq!(error.to_string(), said, "{value}");
    }
    let error =
        serde_json::from_value::<ShellScript>(json!({"script_path": "a", "script_arg": "b"})).unwrap_err();
    assert!(error.to_string().starts_with("unknown field `script_arg`, expected one of"), "{error}");
    assert_eq!(converge(ShellScript::new("")).reason, "a path must not be empty");
    assert_eq!(
        converge(ShellScript::new("a").args(["\0"])).reason,
        "`script_args` must not contain a NUL byte"
    );
}

#[test]
fn it_is_written_as_it_is_read_and_its_name_says_what_it_runs() {
    let job = ShellScript::new("find").args([".", "-name", "a\nb"]).working_directory("/srv");
    assert_eq!(read(serde_json::to_value(&job).unwrap()), job);
    assert_eq!(job.name(), "ShellScript find . -name a b");
}
