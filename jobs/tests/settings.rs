//! One setting of a configuration file, all else kept.

#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "support/converge.rs"]
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dojob::testing::Proof;
use dojob::{IntoJob, Job, Outcome};
use dojob_jobs::{Format, Setting};
use serde_json::{Value, json};
use tempfile::TempDir;

use small_disk::needs_room;
use support::{Came, as_nobody, converge, engine, is_root, lines, look, tree};

/// A file with this text, in a directory of its own.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(name);
    fs::write(&path, text).unwrap();
    (root, path)
}

fn plain(came: Came, root: &Path) -> Came {
    let plain = |text: String| text.replace(root.to_str().unwrap(), "ROOT");
    Came { outcome: came.outcome, reason: plain(came.reason), diff: plain(came.diff) }
}

const FILES: [(&str, &str); 4] = [
    ("a.ini", "; top\n[server]\n; for now\nport = 80\n"),
    ("a.json", "// top\n{\n  \"server\": {\n    \"port\": 80 // for now\n  }\n}\n"),
    ("a.toml", "# top\n[server]\nport = 80 # for now\n"),
    ("a.yaml", "# top\nserver:\n  port: 80 # for now\n"),
];

#[test]
fn a_value_is_changed_and_nothing_else() {
    for (name, text) in FILES {
        let (root, path) = file(name, text);
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let job = Setting::new(&path, "server.port", 8080);
        let before = tree(root.path());
        let came = plain(look(job.clone()), root.path());
        assert_eq!(tree(root.path()), before);
        let found = if name == "a.ini" { "\"80\"" } else { "80" };
        assert_eq!(
            (came.outcome, came.reason),
            (Outcome::WouldRun, format!("server.port is {found}, not 8080"))
        );
        assert!(came.diff.contains("for now\n") && came.diff.contains("8080"), "{}", came.diff);
        assert_eq!(converge(job.clone()).outcome, Outcome::Changed, "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text.replace("80", "8080"), "{name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        let before = tree(root.path());
        assert_eq!(converge(job).outcome, Outcome::InPlace);
        assert_eq!(tree(root.path()), before);
    }
}

#[test]
fn the_whole_difference_is_shown() {
    let (root, path) = file("a.toml", FILES[2].1);
    let came = plain(look(Setting::new(&path, "server.port", 8080)), root.path());
    let wanted = "--- ROOT/a.toml\n+++ ROOT/a.toml (wanted)\n@@ -1,3 +1,3 @@\n # top\n [server]\n-port = 80 # for now\n+port = 8080 # for now\n";
    assert_eq!(came.diff, wanted);
}

#[test]
fn a_setting_is_added_and_removed_again() {
    for (name, text) in FILES {
        let (_root, path) = file(name, text);
        assert_eq!(converge(Setting::new(&path, "server.host", "a.b")).outcome, Outcome::Changed, "{name}");
        let with = fs::read_to_string(&path).unwrap();
        assert_ne!(with, text);
        let gone = Setting::none(&path, "server.host");
        assert_eq!(look(gone.clone()).reason, "server.host is set");
        assert_eq!(converge(gone.clone()).outcome, Outcome::Changed, "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
        assert_eq!(look(gone).outcome, Outcome::InPlace);
    }
}

#[test]
fn a_missing_file_is_made_when_that_is_wanted() {
    for (name, _) in FILES {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        let job = Setting::new(&path, "a.b", "c");
        let came = plain(look(job.clone()), root.path());
        assert_eq!(came.reason, format!("ROOT/{name} does not exist"));
        assert_eq!(converge(job.clone()).outcome, Outcome::Failed);
        assert!(!path.exists());
        assert_eq!(converge(job.clone().create()).outcome, Outcome::Changed);
        assert_eq!(look(job).outcome, Outcome::InPlace);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    }
    let root = tempfile::tempdir().unwrap();
    assert_eq!(look(Setting::none(root.path().join("a.toml"), "a")).outcome, Outcome::InPlace);
}

#[test]
fn a_confidential_value_is_not_shown() {
    let (root, path) = file("a.yaml", "password: old-secret\n");
    let job = Setting::new(&path, "password", "new-secret").hide().backup();
    let came = look(job.clone());
    assert_eq!((came.reason.as_str(), came.diff.as_str()), ("password differs", ""));
    let (ears, seen) = lines();
    assert!(engine(job).observe(ears).converge().success());
    assert!(!seen.lock().unwrap().join("\n").contains("secret"));
    assert_eq!(fs::read_to_string(root.path().join("a.yaml.dojob-old")).unwrap(), "password: old-secret\n");
}

#[test]
fn a_file_that_is_not_accepted_stays_as_it_was() {
    let (root, path) = file("a.toml", "a = 1\n");
    let job = Setting::new(&path, "a", 2).validated_by(["grep", "-q", "a = 3", "{}"]);
    assert_eq!(converge(job).outcome, Outcome::Failed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    assert_eq!(
        converge(Setting::new(&path, "a", 3).validated_by(["grep", "-q", "a = 3", "{}"])).outcome,
        Outcome::Changed
    );
}

#[test]
fn a_link_is_followed_and_stays() {
    let (root, path) = file("a.toml", "a = 1\n");
    let link = root.path().join("link.toml");
    symlink("a.toml", &link).unwrap();
    assert_eq!(converge(Setting::new(&link, "a", 2)).outcome, Outcome::Changed);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(path).unwrap(), "a = 2\n");
}

#[test]
fn what_cannot_be_done_is_told() {
    let cases = [
        ("a.toml", "a = 1\n", "a.b", "failed to set `a.b` in ROOT/a.toml: `a` is a number, and has no `b`"),
        ("a.toml", "a = \n", "a", "failed to set `a` in ROOT/a.toml: failed to read it as TOML: line 1: "),
        (
            "a.toml",
            "[a]\nb = 1\n",
            "a",
            "failed to set `a` in ROOT/a.toml: a whole table is not replaced; set what is in it",
        ),
        ("a.json", "{\"a\": 1,, }", "a", "failed to set `a` in ROOT/a.json: failed to read it as JSON: "),
        (
            "a.json",
            "{\"a\": 1, \"a\": 1}",
            "a",
            "failed to set `a` in ROOT/a.json: failed to read it as JSON: `a` is there twice in one object",
        ),
        ("a.json", "[1]", "1", "failed to set `1` in ROOT/a.json: `` is a list of 1, and has no entry `1`"),
        (
            "a.yaml",
            "a: 1\na: 1\n",
            "a",
            "failed to set `a` in ROOT/a.yaml: failed to read it as YAML: `a` is there twice in one mapping",
        ),
        ("a.yaml", "a: [\n", "a", "failed to set `a` in ROOT/a.yaml: failed to read it as YAML: line "),
        (
            "a.yaml",
            "a: 1\n---\nb: 1\n",
            "a",
            "failed to set `a` in ROOT/a.yaml: failed to read it as YAML: it has several documents",
        ),
        (
            "a.yaml",
            "a:\n  - 1\n",
            "a",
            "failed to set `a` in ROOT/a.yaml: its value is written on lines of its own; edit it by hand",
        ),
        (
            "a.ini",
            "a=1\na=2\n",
            "a",
            "failed to set `a` in ROOT/a.ini: it is there 2 times, in lines 1, 2; leave one",
        ),
    ];
    for (name, text, key, said) in cases {
        let (root, path) = file(name, text);
        for came in [look(Setting::new(&path, key, 7)), converge(Setting::new(&path, key, 7))] {
            let came = plain(came, root.path());
            let said = format!("could not find out how ROOT/{name} is to be edited: {said}");
            assert!(came.reason.starts_with(&said), "{text:?}: {came:?}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let (root, path) = file("a.toml", "");
    fs::write(&path, b"a = '\xff'\n").unwrap();
    assert_eq!(
        plain(look(Setting::new(&path, "a", 1)), root.path()).reason,
        "could not find out how ROOT/a.toml is to be edited: failed to set `a` in ROOT/a.toml: it is not UTF-8: line 1, \
         offset 5: the byte 0xff"
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let came = plain(look(Setting::new(&path, "a", 1)), root.path());
    assert_eq!(came.reason, "ROOT/a.toml is a directory, not a file");
}

#[test]
fn what_may_not_be_read_is_not_changed() {
    if is_root("being somebody else") {
        as_nobody("inner_closed", "/usr/bin:/bin".as_ref(), &[]);
    }
}

#[test]
#[ignore = "called by `what_may_not_be_read_is_not_changed` as nobody"]
fn inner_closed() {
    let came = look(Setting::new(Path::new("/root").join("a.toml"), "a", 1).create());
    assert_eq!(came.outcome, Outcome::CouldNotFindOut, "{came:?}");
}

#[test]
fn fields_are_read_and_bad_ones_refused() {
    let whole = json!({"path": "/etc/app.conf", "key": ["server", "a.b", 0], "value": [1, {"c": null}],
        "absent": false, "format": "yaml", "create": true, "backup": true, "hide": true});
    let job: Setting = serde_json::from_value(whole.clone()).unwrap();
    let wanted = Setting::new("/etc/app.conf", ["server", "a.b", "0"], json!([1, {"c": null}]));
    assert_eq!(job, wanted.format(Format::Yaml).create().backup().hide());
    assert_eq!(job.name(), "Setting /etc/app.conf: server.a.b.0");
    assert_eq!(serde_json::from_value::<Setting>(serde_json::to_value(&job).unwrap()).unwrap(), job);
    let null: Setting = serde_json::from_value(json!({"path": "a.json", "key": "b", "value": null})).unwrap();
    assert_eq!(null, Setting::new("a.json", "b", Value::Null));

    let cases = [
        (json!({"key": "a", "value": 1}), "missing field `path`"),
        (json!({"path": "a.toml", "value": 1}), "missing field `key`"),
        (json!({"path": "", "key": "a", "value": 1}), "a path must not be empty"),
        (json!({"path": "a.toml", "key": "", "value": 1}), "a name in a key must not be empty; in `` one is"),
        (
            json!({"path": "a.toml", "key": "a..b", "value": 1}),
            "a name in a key must not be empty; in `a..b` one is",
        ),
        (json!({"path": "a.toml", "key": [], "value": 1}), "a key needs a name at least"),
        (json!({"path": "a.toml", "key": "a\n", "value": 1}), "a name in a key must be one line"),
        (json!({"path": "a.toml", "key": 7, "value": 1}), "invalid type: integer `7`, expected a key"),
        (json!({"path": "a.toml", "key": "a"}), "a setting needs a `value`, or has to be `absent`"),
        (
            json!({"path": "a.toml", "key": "a", "value": 1, "absent": true}),
            "a setting that is to be `absent` has no `value`",
        ),
        (
            json!({"path": "a.toml", "key": "a", "absent": true, "create": true}),
            "`create` is not allowed with `absent`",
        ),
        (
            json!({"path": "a.conf", "key": "a", "value": 1}),
            "what format a.conf has is not told by its name; say `format`",
        ),
        (
            json!({"path": "a.conf", "key": "a", "value": 1, "format": "xml"}),
            "unknown variant `xml`, expected one of `ini`",
        ),
        (json!({"path": "a.toml", "key": "a", "value": [null]}), "TOML has no null; say `absent`"),
        (
            json!({"path": "a.toml", "key": "a", "value": u64::MAX}),
            "18446744073709551615 is too large for TOML",
        ),
        (
            json!({"path": "a.ini", "key": "a", "value": {}}),
            "a list or an object has no place in an INI file",
        ),
        (json!({"path": "a.ini", "key": "a", "value": 1, "mode": "0644"}), "unknown field `mode`"),
    ];
    for (value, said) in cases {
        let error = serde_json::from_value::<Setting>(value.clone()).unwrap_err().to_string();
        assert!(error.starts_with(said), "{value}: {error}");
    }
    assert_eq!(look(Setting::new("a.toml", "a", Value::Null)).reason, "TOML has no null; say `absent`");
}

fn prove(name: &'static str, text: &'static str) {
    Proof::new(move |root| Setting::new(root.join(name), "server.port", 8080).backup())
        .prepare(move |root| fs::write(root.join(name), text).unwrap())
        .prove();
}

#[test]
fn an_interrupted_run_is_taken_up_in_ini() {
    prove(FILES[0].0, FILES[0].1);
}

#[test]
fn an_interrupted_run_is_taken_up_in_json() {
    prove(FILES[1].0, FILES[1].1);
}

#[test]
fn an_interrupted_run_is_taken_up_in_toml() {
    prove(FILES[2].0, FILES[2].1);
}

#[test]
fn an_interrupted_run_is_taken_up_in_yaml() {
    prove(FILES[3].0, FILES[3].1);
}

#[test]
fn an_interrupted_run_is_taken_up_where_the_file_is_new() {
    Proof::new(|root| Setting::new(root.join("a.toml"), "a.b", 1).create()).prove();
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    for (name, text) in FILES {
        let job = |root: &Path| Setting::new(root.join(name), "server.port", 8080);
        needs_room(&[(name, text)], name, |root| job(root).into_job());
        needs_room(&[(name, text)], name, |root| job(root).backup().into_job());
        needs_room(&[], name, |root| job(root).create().into_job());
    }
}

#[test]
fn many_at_once_do_not_undo_each_other() {
    for (name, text) in FILES {
        let (_root, path) = file(name, text);
        let mut graph = dojob::JobGraph::builder();
        for number in 0..24 {
            graph.add(Setting::new(&path, format!("server.key{number}").as_str(), number).into_job());
        }
        let report = dojob::Engine::with_graph(graph.build().unwrap()).workers(8).tries(1).converge();
        assert!(report.success(), "{report:?}");
        let text = fs::read_to_string(&path).unwrap();
        assert!((0..24).all(|number| text.contains(&format!("key{number}"))), "{text}");
    }
}

#[test]
fn an_entry_of_a_list_is_not_removed_by_its_number() {
    for (name, text, key) in [
        ("a.json", "{\"l\": [1, 2, 3]}", "l.0"),
        ("a.json", "[1, 2, 3]", "0"),
        ("a.toml", "l = [1, 2, 3]\n", "l.2"),
        ("a.toml", "[[t]]\na = 1\n[[t]]\na = 2\n", "t.0"),
        ("a.yaml", "l: [1, 2, 3]\n", "l.7"),
    ] {
        let (_root, path) = file(name, text);
        let report = engine(Setting::none(&path, key)).tries(3).converge();
        let job = report.jobs().next().unwrap();
        assert_eq!(job.tries(), 1, "{name} {key}");
        let reason = job.reason().unwrap_or_default();
        assert!(
            reason.contains("is not removed by its number") && reason.contains("set the whole list"),
            "{reason}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let (_root, path) = file("a.json", "{\"l\": [{\"a\": 1}]}");
    assert_eq!(converge(Setting::none(&path, "l.0.a")).outcome, Outcome::Changed);
    assert_eq!(converge(Setting::none(&path, "l.0.a")).outcome, Outcome::InPlace);
}

#[test]
fn one_and_one_point_zero_are_two_things_where_the_format_says_so() {
    for (name, text, wanted) in [
        ("a.toml", "a = 1\n", "a = 1.0\n"),
        ("a.yaml", "a: 1\n", "a: 1.0\n"),
        ("a.json", "{\"a\": 1}\n", "{\"a\": 1}\n"),
    ] {
        let (_root, path) = file(name, text);
        converge(Setting::new(&path, "a", 1.0));
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
        assert_eq!(converge(Setting::new(&path, "a", 1.0)).outcome, Outcome::InPlace);
    }
}

#[test]
fn a_byte_order_mark_and_the_ends_of_lines_stay() {
    for (name, text) in [
        ("a.ini", "[s]\r\na = 1\r\n"),
        ("a.toml", "[s]\r\na = 1\r\n"),
        ("a.yaml", "s:\r\n  a: 1\r\n"),
        ("a.json", "{\r\n  \"s\": {\r\n    \"a\": 1\r\n  }\r\n}\r\n"),
    ] {
        let text = format!("\u{feff}{text}");
        let (_root, path) = file(name, &text);
        assert_eq!(converge(Setting::new(&path, "s.a", 2)).outcome, Outcome::Changed, "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text.replace('1', "2"), "{name}");
        assert_eq!(converge(Setting::new(&path, "s.b", 3)).outcome, Outcome::Changed, "{name}");
        let with = fs::read_to_string(&path).unwrap();
        assert!(
            !with.contains("\r\r") && with.matches("\r\n").count() == with.matches('\n').count(),
            "{with:?}"
        );
        assert_eq!(converge(Setting::none(&path, "s.b")).outcome, Outcome::Changed, "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text.replace('1', "2"), "{name}");
    }
}

#[test]
fn an_ini_file_need_not_be_utf_8() {
    let (_root, path) = file("a.ini", "");
    fs::write(&path, b"; caf\xe9\na = \xff\nb = 1\n").unwrap();
    assert_eq!(converge(Setting::new(&path, "b", 2)).outcome, Outcome::Changed);
    assert_eq!(fs::read(&path).unwrap(), b"; caf\xe9\na = \xff\nb = 2\n");
    assert_eq!(converge(Setting::new(&path, "a", "x")).outcome, Outcome::Changed);
    assert_eq!(fs::read(&path).unwrap(), b"; caf\xe9\na = x\nb = 2\n");
}

#[test]
fn comments_behind_values_are_for_those_who_know_them() {
    let (_root, path) = file("a.ini", "a = 1 ; one\n");
    assert_eq!(converge(Setting::new(&path, "a", 1).inline_comments()).outcome, Outcome::InPlace);
    assert_eq!(converge(Setting::new(&path, "a", 2).inline_comments()).outcome, Outcome::Changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2 ; one\n");
    assert_eq!(converge(Setting::new(&path, "a", 2)).outcome, Outcome::Changed);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2\n");
    let json = json!({"path": "/a.toml", "key": "a", "value": 1, "inline_comments": true});
    let error = serde_json::from_value::<Setting>(json).unwrap_err().to_string();
    assert!(error.starts_with("`inline_comments` is for INI alone"), "{error}");
}
