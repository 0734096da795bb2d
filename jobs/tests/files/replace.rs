use std::fs;
use std::path::Path;

use dojob::IntoJob;
use dojob_jobs::Replace;
use serde_json::json;

use crate::support::*;

fn made(text: &str, regex: &'static str, replacement: &'static str) -> String {
    let prepare = |root: &Path| fs::write(root.join("file"), text).unwrap();
    let root = prove(prepare, |root| Replace::new(root.join("file"), regex, replacement).into_job());
    assert_eq!(names(root.path()), ["file"]);
    read(&root.path().join("file"))
}

#[test]
fn all_that_fits_is_replaced() {
    assert_eq!(made("a b\na\n", "a", "x"), "x b\nx\n");
    assert_eq!(made("a = 1\nb = 2\n", "^(\\w) = (?<value>\\d)$", "$1: ${value}"), "a: 1\nb: 2\n");
    assert_eq!(made("cost\n", "cost", "$$5"), "$5\n");
    assert_eq!(made("a\nb\nc\n", "(?s)a.*b\n", ""), "c\n");
    assert_eq!(made("  a\n b\n", "^ +", ""), "a\nb\n");
}

#[test]
fn behind_the_last_line_there_is_none() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    for text in ["a = 1\nb = 2\n", "a\r\n", "a\n\u{fffd}\n", ""] {
        fs::write(&path, text).unwrap();
        for regex in ["^\\s*$", "^$", "(?-u)^$", "\\r?^$", "\\z"] {
            let report = converge(Replace::new(&path, regex, "# blank"));
            assert_eq!(report.counts().in_place, 1, "{text:?} {regex}");
        }
    }
    assert_eq!(made("a\n\nb\n", "^$", "# blank"), "a\n# blank\nb\n");
    assert_eq!(made("a\r\n\r\nb\r\n", "^$", "# blank"), "a\r\n# blank\r\nb\r\n");
    assert_eq!(made("a\n\nb\n", "(?-u)^$", "# blank"), "a\n# blank\nb\n");
    assert_eq!(made("a\nb", "b\\z", "c"), "a\nc");
    assert_eq!(made("a\nb\n", "b\n\\z", ""), "a\n");
}

#[test]
fn what_fits_already_as_it_should_is_fine() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "x = 1\n").unwrap();
    for (regex, replacement) in [("^x = .*", "x = 1"), ("y", "z"), ("^(x)", "$1")] {
        assert_eq!(converge(Replace::new(&path, regex, replacement)).counts().in_place, 1, "{regex}");
    }
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "a\nb\na\n").unwrap();
    assert_eq!(
        would(Replace::new(&path, "a", "x"), root.path()),
        (
            "ROOT/file has 2 places to be replaced".into(),
            "--- ROOT/file\n+++ ROOT/file (wanted)\n@@ -1,3 +1,3 @@\n-a\n+x\n b\n-a\n+x\n".into()
        )
    );
    assert_eq!(
        would(Replace::new(&path, "b", "x").hide(), root.path()),
        ("ROOT/file has 1 place to be replaced".into(), String::new())
    );
}

#[test]
fn what_would_never_end_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "a\n").unwrap();
    let text = failed(Replace::new(&path, "a", "aa"), root.path());
    let wanted =
        "`regex` would change what it has replaced in ROOT/file again, and so each time: make it fit less";
    assert!(
        text.contains(&format!("check: could not find out how ROOT/file is to be edited: {wanted}")),
        "{text}"
    );
    assert!(
        failed(Replace::new(root.path().join("none"), "a", "b"), root.path())
            .contains("ROOT/none does not exist")
    );
}

#[test]
fn the_old_file_is_kept() {
    let prepare = |root: &Path| fs::write(root.join("file"), "a\n").unwrap();
    let root = prove(prepare, |root| Replace::new(root.join("file"), "a", "b").backup().into_job());
    assert_eq!(read(&root.path().join("file.dojob-old")), "a\n");
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let replace = |more: serde_json::Value| {
        let mut value = json!({ "path": "/a", "regex": "a", "replacement": "b" });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused::<Replace>(value)
    };
    assert_eq!(refused::<Replace>(json!({ "path": "/a", "regex": "a" })), "missing field `replacement`");
    assert_eq!(replace(json!({ "path": "" })), "a path must not be empty");
    assert_eq!(replace(json!({ "regex": "" })), "`regex` must not be empty");
    assert!(replace(json!({ "regex": "(" })).starts_with("`regex` is no regular expression"));
    assert!(replace(json!({ "regexp": "(" })).starts_with("unknown field `regexp`"));
    for field in ["regex", "replacement", "backup", "hide"] {
        assert!(replace(json!({ field: [1] })).starts_with("invalid type: sequence"), "{field}");
    }
    check_schema::<Replace>("Replace", &["path", "regex", "replacement"]);
}

#[test]
fn a_group_that_is_not_there_is_refused_when_read() {
    let replace = |replacement: &str| {
        refused::<Replace>(json!({ "path": "/a", "regex": "^(port)=(\\d+)", "replacement": replacement }))
    };
    let lacks = "refers to a group that the regular expression does not have; write";
    assert_eq!(replace("$3"), format!("bad `replacement`: `$3` {lacks} `$$` for a `$`"));
    assert_eq!(replace("port=$HOME"), format!("bad `replacement`: `$HOME` {lacks} `$$` for a `$`"));
    assert_eq!(
        replace("$1x=new"),
        format!("bad `replacement`: `$1x` {lacks} `${{1}}x` for group 1, or `$$` for a `$`")
    );
    assert_eq!(made("port=1\n", "^(port)=(\\d+)", "${1}x=$$HOME"), "portx=$HOME\n");
}

#[test]
fn line_ends_and_marks_are_no_part_of_what_is_matched() {
    assert_eq!(made("a=1\r\nb=2\r\n", "^b=2$", "b=9\nc=9"), "a=1\r\nb=9\r\nc=9\r\n");
    assert_eq!(made("\u{feff}a\nb\r\n", "^[ab]$", "x"), "\u{feff}x\nx\r\n");
    assert_eq!(made("a\r\nb\r\n", "\r$", ""), "a\nb\n");
}

#[test]
fn bytes_that_are_no_utf_8_are_matched_and_survive() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, b"caf\xe9\nname=na\xefve\n").unwrap();
    assert!(converge(Replace::new(&path, "^name=.*$", "name=x")).success());
    assert_eq!(fs::read(&path).unwrap(), b"caf\xe9\nname=x\n");
    fs::write(&path, b"\xff\xfea\0\n\0").unwrap();
    let told = unknown(Replace::new(&path, "a", "b"), root.path());
    assert!(told.ends_with("it is UTF-16, not UTF-8; convert it first"), "{told}");
    assert!(
        failed(Replace::new(&path, "a", "b"), root.path())
            .contains("it is UTF-16, not UTF-8; convert it first")
    );
}
