use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dojob::IntoJob;
use dojob_jobs::Line;
use serde_json::json;

use crate::support::*;

const SSHD: &str = "Port 22\n#PermitRootLogin yes\nUsePAM yes\n";

fn job(root: &Path) -> Line {
    Line::new(root.join("sshd"), "PermitRootLogin no").regex("^#?PermitRootLogin ")
}

/// What the job makes of a text; nothing else may be left.
fn made(text: &str, job: impl Fn(Line) -> Line) -> String {
    let prepare = |root: &Path| fs::write(root.join("file"), text).unwrap();
    let root = prove(prepare, |root| job(Line::new(root.join("file"), "x = 1")).into_job());
    assert_eq!(names(root.path()), ["file"]);
    read(&root.path().join("file"))
}

/// There is nothing to do.
fn is_fine(text: &str, job: impl Fn(Line) -> Line) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), text).unwrap();
    let report = converge(job(Line::new(root.path().join("file"), "x = 1")));
    assert_eq!(report.counts().in_place, 1, "{}", failures(&report, root.path()));
}

/// Why nothing can be done.
fn error(text: &str, job: impl Fn(Line) -> Line) -> String {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), text).unwrap();
    failed(job(Line::new(root.path().join("file"), "x = 1")), root.path())
}

#[test]
fn a_line_is_replaced() {
    let root = prove(
        |root| {
            fs::write(root.join("sshd"), SSHD).unwrap();
            set_mode(&root.join("sshd"), 0o600);
        },
        |root| job(root).into_job(),
    );
    let path = root.path().join("sshd");
    assert_eq!((read(&path).as_str(), mode(&path)), ("Port 22\nPermitRootLogin no\nUsePAM yes\n", 0o600));
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("sshd"), SSHD).unwrap();
    assert_eq!(
        would(job(root.path()), root.path()),
        (
            "line 2 of ROOT/sshd differs".into(),
            "--- ROOT/sshd\n+++ ROOT/sshd (wanted)\n@@ -1,3 +1,3 @@\n Port 22\n-#PermitRootLogin yes\n\
             +PermitRootLogin no\n UsePAM yes\n"
                .into()
        )
    );
    assert_eq!(
        would(job(root.path()).hide(), root.path()),
        ("line 2 of ROOT/sshd differs".into(), String::new())
    );
    let added = Line::new(root.path().join("sshd"), "UseDNS no");
    assert_eq!(would(added, root.path()).0, "ROOT/sshd lacks the line");
    let removed = Line::none(root.path().join("sshd"), "^(Port|UsePAM)");
    assert_eq!(would(removed, root.path()).0, "lines 1 and 3 of ROOT/sshd to be removed");
}

#[test]
fn a_line_is_added_where_it_belongs() {
    assert_eq!(made("", |line| line), "x = 1\n");
    assert_eq!(made("a\nb", |line| line), "a\nb\nx = 1\n");
    assert_eq!(made("a\r\nb\r\n", |line| line), "a\r\nb\r\nx = 1\r\n");
    assert_eq!(made("a\nb\na\nb\n", |line| line.after("^a$")), "a\nb\na\nx = 1\nb\n");
    assert_eq!(made("a\nb\na\nb\n", |line| line.before("^b$")), "a\nx = 1\nb\na\nb\n");
    assert_eq!(made("a\n", |line| line.before("^")), "x = 1\na\n");
    assert_eq!(made("a\nx = 2\nb", |line| line.regex("^x =")), "a\nx = 1\nb");
    assert_eq!(made("x = 2", |line| line.regex("^x =")), "x = 1\n");
    assert_eq!(made("x = 2\nb\nx=3\n", |line| line.regex("^x ?=").every()), "x = 1\nb\n");
    assert_eq!(made("x = 2\nb\nx = 1\n", |line| line.regex("^x ?=").every()), "x = 1\nb\n");
}

#[test]
fn a_line_that_is_there_stays_where_it_is() {
    is_fine("a\nx = 1\n", |line| line);
    is_fine("x = 1", |line| line);
    is_fine("x = 1\r\nb\r\n", |line| line);
    is_fine("x = 1\na\n", |line| line.after("^a"));
    is_fine("x = 1\n", |line| line.regex("^x"));
    is_fine("x = 1\nx = 1\n", |line| line.regex("^x"));
    is_fine("x = 1\n", |line| line.regex("^#x"));
}

#[test]
fn lines_are_removed() {
    let absent = |line: Line| Line { absent: true, ..line };
    assert_eq!(made("a\nx = 1\nb\nx = 1\n", absent), "a\nb\n");
    assert_eq!(made("a\nx = 1\nx = 2", |line| Line::none(line.path, "^x")), "a\n");
    is_fine("a\n", absent);
    let root = tempfile::tempdir().unwrap();
    let report = converge(Line::none(root.path().join("none"), "^x"));
    assert_eq!(report.counts().in_place, 1);
}

#[test]
fn bytes_that_are_no_text_are_left_alone() {
    let prepare = |root: &Path| fs::write(root.join("sshd"), b"caf\xe9\n#PermitRootLogin yes\n").unwrap();
    let root = prove(prepare, |root| job(root).into_job());
    assert_eq!(fs::read(root.path().join("sshd")).unwrap(), b"caf\xe9\nPermitRootLogin no\n");
}

#[test]
fn a_dry_run_does_not_promise_what_cannot_be_done() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "x = 2\nx = 3\n").unwrap();
    let mut graph = dojob::JobGraph::builder();
    let line = Line::new(&path, "x = 1").regex("^x");
    let name = dojob::Job::name(&line);
    graph.add(line);
    let report = dojob::Engine::with_graph(graph.build().unwrap()).no_act(true).converge();
    assert_eq!(report.job(&name).outcome(), dojob::Outcome::CouldNotFindOut);
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn what_cannot_be_done_is_told() {
    let text = error("x = 2\nb\nx = 3\n", |line| line.regex("^x"));
    assert!(
        text.contains(
            "check: could not find out how ROOT/file is to be edited: lines 1 and 3 of ROOT/file fit `regex`: make it fit \
             one, or allow `every`"
        ),
        "{text}"
    );
    let text = error("a\n", |line| line.after("^b"));
    assert!(text.contains("no line fits `after`, \"^b\""), "{text}");
    let root = tempfile::tempdir().unwrap();
    let text = failed(job(root.path()), root.path());
    assert!(text.contains("ROOT/sshd does not exist"), "{text}");
    fs::create_dir(root.path().join("sshd")).unwrap();
    let text = failed(job(root.path()).create(), root.path());
    assert!(text.contains("ROOT/sshd is a directory, not a file"), "{text}");
    symlink("loop", root.path().join("loop")).unwrap();
    let text = unknown(Line::new(root.path().join("loop"), "x"), root.path());
    assert!(text.contains("lead in a circle"), "{text}");
    let huge = fs::File::create(root.path().join("huge")).unwrap();
    huge.set_len(64 * 1024 * 1024 + 1).unwrap();
    let text = unknown(Line::new(root.path().join("huge"), "x"), root.path());
    assert_eq!(text, "could not find out what ROOT/huge says: it is larger than 64 MiB");
}

#[test]
fn a_missing_file_is_made_where_asked_for() {
    let root = prove(|_| {}, |root| job(root).create().into_job());
    assert_eq!(read(&root.path().join("sshd")), "PermitRootLogin no\n");
    assert_eq!(mode(&root.path().join("sshd")), 0o644);
}

#[test]
fn a_link_is_followed_and_the_old_file_kept() {
    let prepare = |root: &Path| {
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/sshd"), SSHD).unwrap();
        symlink("real/sshd", root.join("sshd")).unwrap();
    };
    let root = prove(prepare, |root| job(root).backup().into_job());
    assert!(fs::symlink_metadata(root.path().join("sshd")).unwrap().is_symlink());
    assert_eq!(names(root.path()), ["real", "real/sshd", "real/sshd.dojob-old", "sshd"]);
    assert_eq!(read(&root.path().join("real/sshd.dojob-old")), SSHD);
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let line = |mut value: serde_json::Value| {
        value["path"] = json!("/a");
        refused::<Line>(value)
    };
    assert_eq!(refused::<Line>(json!({ "line": "x" })), "missing field `path`");
    assert_eq!(refused::<Line>(json!({ "path": "", "line": "x" })), "a path must not be empty");
    assert_eq!(line(json!({})), "`line` is needed, unless `absent`");
    assert_eq!(line(json!({ "line": "a\nb" })), "`line` must be one line, without a NUL byte");
    assert_eq!(line(json!({ "line": "a\u{0}b" })), "`line` must be one line, without a NUL byte");
    assert!(
        line(json!({ "line": "a", "regex": "(" }))
            .starts_with("`regex` is no regular expression: regex parse error")
    );
    assert!(line(json!({ "line": "a", "after": "(" })).starts_with("`after` is no regular expression"));
    assert!(line(json!({ "line": "a", "before": "(" })).starts_with("`before` is no regular expression"));
    assert_eq!(
        line(json!({ "line": "a", "after": "b", "before": "c" })),
        "only one of `after` and `before` can be given"
    );
    assert_eq!(
        line(json!({ "absent": true })),
        "with `absent` either `line` or `regex` is needed, and not both"
    );
    assert_eq!(
        line(json!({ "absent": true, "line": "a", "create": true })),
        "`absent` goes with none of `after`, `before`, `every` and `create`"
    );
    assert_eq!(line(json!({ "line": "a", "every": true })), "`every` needs `regex`");
    assert_eq!(
        line(json!({ "line": "a", "hide": true })),
        "`hide` needs `regex`, after which the job is named"
    );
    assert!(line(json!({ "lines": "a" })).starts_with("unknown field `lines`"));
    for field in ["line", "regex", "after", "before", "absent", "every", "create", "backup", "hide"] {
        assert!(line(json!({ field: [1] })).starts_with("invalid type: sequence"), "{field}");
    }
    check_schema::<Line>("Line", &["path"]);
}

#[test]
fn the_line_of_a_hidden_one_is_nowhere() {
    let job = Line::new("/a", "password = hunter2").regex("^password").hide();
    assert_eq!(job.into_job().name(), "Line /a: ^password");
}

#[test]
fn a_file_that_is_not_accepted_stays_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("sshd"), SSHD).unwrap();
    let text = failures(
        &converge(job(root.path()).backup().validated_by(["grep", "-q", "nothing", "{}"])),
        root.path(),
    );
    assert!(text.contains("failed to write ROOT/sshd: the new file is not accepted"), "{text}");
    assert_eq!((read(&root.path().join("sshd")).as_str(), names(root.path()).len()), (SSHD, 1));
    assert!(converge(job(root.path()).validated_by(["grep", "-q", "no$", "{}"])).success());
}

#[test]
fn a_line_is_found_however_the_file_is_written() {
    let edited = |text: &[u8], job: &dyn Fn(&Path) -> Line| {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, text).unwrap();
        assert!(converge(job(&path)).success());
        fs::read(&path).unwrap()
    };
    let set = |path: &Path| Line::new(path, "name=x").regex("^name=.*$");
    assert_eq!(edited(b"name=na\xefve\nb\n", &set), b"name=x\nb\n");
    assert_eq!(edited(b"\xef\xbb\xbfname=1\n", &set), b"\xef\xbb\xbfname=x\n");
    assert_eq!(edited(b"a\r\nname=1\r\nb\n", &set), b"a\r\nname=x\r\nb\n");
    let none = |path: &Path| Line::none(path, "^name=.*$");
    assert_eq!(edited(b"\xef\xbb\xbfname=\xff\r\nb\r\n", &none), b"\xef\xbb\xbfb\r\n");
    let add = |path: &Path| Line::new(path, "x").before("^");
    assert_eq!(edited(b"\xef\xbb\xbfa\x0cb\xc2\x85c\n", &add), b"\xef\xbb\xbfx\na\x0cb\xc2\x85c\n");
}
