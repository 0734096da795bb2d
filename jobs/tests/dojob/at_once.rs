//! Several processes that edit the same files at once, and what the numbers, results and secrets of a playbook come to in
//! a file.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::dojob;

/// A process with a state directory of its own.
fn start(home: &Path, name: &str, playbook: &serde_json::Value) -> Child {
    let path = home.join(format!("{name}.json"));
    fs::write(&path, playbook.to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_dojob"))
        .args(["run", path.to_str().unwrap()])
        .env("DOJOB_STATE_DIR", home.join(format!("state-{name}")))
        .current_dir(home)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn no_edit_of_several_processes_is_lost() {
    const PROCESSES: usize = 6;
    const EDITS: usize = 4;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let all = || (0..PROCESSES).flat_map(|process| (0..EDITS).map(move |edit| (process, edit)));
    for name in ["lines", "blocks", "settings.toml", "hosts"] {
        fs::write(at(name), "").unwrap();
    }
    fs::create_dir_all(at("root/etc/cron.d")).unwrap();
    fs::write(at("words"), all().map(|(p, e)| format!("old-{p}-{e}\n")).collect::<String>()).unwrap();
    let children: Vec<Child> = (0..PROCESSES)
        .map(|p| {
            let edits = (0..EDITS).flat_map(|e| {
                [
                    json!({ "name": "line", "args": { "path": "lines", "line": format!("{p}-{e}") } }),
                    json!({ "name": "block", "args": { "path": "blocks", "name": format!("{p}-{e}"), "content": "x" } }),
                    json!({ "name": "setting", "args": { "path": "settings.toml", "key": format!("t{e}.k{p}"), "value": e } }),
                    json!({ "name": "replace", "args": { "path": "words", "regex": format!("^old-{p}-{e}$"), "replacement": "new" } }),
                    json!({ "name": "hosts", "args": { "path": at("hosts"), "ip": format!("10.0.{p}.{e}"), "names": [format!("h{p}-{e}")] } }),
                    json!({ "name": "cron_entry", "args": { "name": format!("{p}-{e}"), "schedule": "@daily", "command": "x", "file": "all", "root": at("root") } }),
                ]
            });
            let mut edits: Vec<_> = edits.collect();
            // Nobody waits for what another one does first.
            let count = edits.len();
            edits.rotate_left(p % count);
            start(home.path(), &p.to_string(), &json!({ "tasks": edits }))
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let count = |name: &str, what: &str| fs::read_to_string(at(name)).unwrap().matches(what).count();
    let wanted = PROCESSES * EDITS;
    assert_eq!(count("lines", "\n"), wanted);
    assert_eq!(count("blocks", "x\n"), wanted);
    assert_eq!(count("settings.toml", "k"), wanted);
    assert_eq!(count("words", "new\n"), wanted);
    assert_eq!(count("hosts", "\n"), wanted);
    assert_eq!(count("root/etc/cron.d/all", "@daily"), wanted);
    let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let litter: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(".dojob")).collect();
    assert!(litter.is_empty(), "{litter:?}");
}

#[test]
fn an_edit_that_others_come_between_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "a\n").unwrap();
    // The command that has to accept the new file changes the old one, once.
    let accept = "test -e seen || { touch seen; echo b >> file; }; grep -q x \"$1\"";
    let playbook = json!({ "tasks": [{ "name": "line", "args": {
        "path": "file", "line": "x", "validate": ["sh", "-c", accept, "sh", "{}"],
    } }] });
    let output = start(home.path(), "one", &playbook).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(home.path().join("file")).unwrap(), "a\nb\nx\n");
}

#[test]
fn numbers_of_a_playbook_stay_as_they_were_written() {
    let home = tempfile::tempdir().unwrap();
    let playbook = home.path().join("p.conf");
    fs::write(
        &playbook,
        r#"
vars { v: 1.10, big: 18446744073709551616, list: [1.50, { a: 1e3 }] }
tasks: [
  { name: setting, args { path: a.ini, key: v, value: ${vars.v}, create: true } }
  { name: setting, for_each: [007, 1e3, -0, 2.0], args { path: a.ini, key: [k, n${item}], value: ${item} } }
  { name: setting, args { path: a.json, key: big, value: ${vars.big}, create: true } }
  { name: setting, args { path: a.json, key: list, value: ${vars.list} } }
  { name: setting, args { path: a.yaml, key: big, value: ${vars.big}, create: true } }
  { name: setting, args { path: a.toml, key: list, value: ${vars.list}, create: true } }
  { name: template, args { path: t, template: "{{ big }} {{ f }}", vars { big: ${vars.big}, f: 1.5 } } }
]"#,
    )
    .unwrap();
    let run = || dojob(home.path(), &["run", playbook.to_str().unwrap()]);
    let (code, _, stderr) = run();
    assert_eq!(code, Some(0), "{stderr}");
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!(read("a.ini"), "v = 1.10\n\n[k]\nn007 = 007\nn1e3 = 1e3\nn-0 = -0\nn2.0 = 2.0\n");
    let json: String = read("a.json").split_whitespace().collect();
    assert_eq!(json, r#"{"big":18446744073709551616,"list":[1.50,{"a":1e3}]}"#);
    assert_eq!(read("a.yaml"), "big: 18446744073709551616\n");
    assert_eq!(read("a.toml"), "list = [1.50, { a = 1e3 }]\n");
    assert_eq!(read("t"), "18446744073709551616 1.5");
    let (_, _, stderr) = run();
    assert!(stderr.contains("nothing to do"), "{stderr}");
    for (args, wanted) in [
        ("name: setting, args { path: a.json, key: a, value: 007 }", "007 is not how JSON writes a number"),
        (
            "name: setting, args { path: a.toml, key: a, value: ${vars.big} }",
            "18446744073709551616 is too large for TOML",
        ),
        ("name: setting, args { path: a.yaml, key: a, value: 1e3 }", "1e3 is a text for readers of YAML 1.1"),
        (
            "name: template, args { path: t, template: x, vars { v: 1.10 } }",
            "would write the number 1.10 as 1.1",
        ),
    ] {
        fs::write(&playbook, format!("vars.big: 18446744073709551616\ntasks: [ {{ {args} }} ]")).unwrap();
        let (code, _, stderr) = run();
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(wanted), "{stderr}");
    }
}

#[test]
fn results_and_secrets_stand_for_themselves_in_patterns() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let run = |task: &str| {
        fs::write(at("file"), "axb\na.b\n").unwrap();
        let first =
            "{ name: shell_script, register: r, args { script_path: printf, script_args: [\"a.b\"] } }";
        let playbook = format!("secrets {{ s {{ file: {:?} }} }}\ntasks: [ {first}\n{task} ]", at("secret"));
        fs::write(at("p.conf"), playbook).unwrap();
        let (code, _, stderr) = dojob(home.path(), &["run", "p.conf"]);
        (code, stderr, fs::read_to_string(at("file")).unwrap())
    };
    fs::write(at("secret"), "pa$1").unwrap();
    let replace = |replacement: &str, regex: &str| {
        format!("{{ name: replace, args {{ path: file, regex: {regex}, replacement: {replacement} }} }}")
    };
    let (code, stderr, text) = run(&replace("\"x\"${secrets.s}", "\"(a)\""));
    assert_ne!(code, Some(0), "{stderr}");
    assert!(stderr.contains("`${secrets.s}` has a `$` in it, which stands for a group here"), "{stderr}");
    assert_eq!(text, "axb\na.b\n");
    let (code, stderr, _) = run(&replace("x", "${secrets.s}"));
    assert_ne!(code, Some(0), "{stderr}");
    assert!(stderr.contains("characters in it that have a meaning in a regular expression"), "{stderr}");
    let (code, stderr, text) = run(&replace("new", "\"^\"${results.r.stdout}\"$\""));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(text, "axb\nnew\n");
}
