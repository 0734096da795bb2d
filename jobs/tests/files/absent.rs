use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dojob::IntoJob;
use dojob_jobs::Absent;
use serde_json::json;

use crate::support::*;

#[test]
fn what_is_there_is_removed() {
    let job = |root: &Path| Absent::new(root.join("it")).into_job();
    for prepare in [
        |root: &Path| fs::write(root.join("it"), "").unwrap(),
        |root: &Path| fs::create_dir(root.join("it")).unwrap(),
        |root: &Path| symlink("/etc", root.join("it")).unwrap(),
        |root: &Path| symlink("it", root.join("it")).unwrap(),
    ] {
        let root = prove(prepare, job);
        assert!(names(root.path()).is_empty());
    }
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn a_directory_with_something_in_it_is_removed_only_when_asked_for() {
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("it/below")).unwrap();
        fs::write(root.join("it/below/file"), "").unwrap();
        symlink("/etc", root.join("it/link")).unwrap();
    };
    let root = tempfile::tempdir().unwrap();
    prepare(root.path());
    let text = failed(Absent::new(root.path().join("it")), root.path());
    assert!(
        text.contains("check: ROOT/it is a directory with something in it; `recursive` would remove it all"),
        "{text}"
    );
    assert!(text.contains("run: failed to remove ROOT/it: it is a directory with something in it"), "{text}");
    let root = prove(prepare, |root| Absent::new(root.join("it")).recursive().into_job());
    assert!(names(root.path()).is_empty());
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn what_cannot_be_there_is_absent() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    for name in ["none", "none/below", "file/below"] {
        assert_eq!(converge(Absent::new(root.path().join(name))).counts().in_place, 1, "{name}");
    }
    assert_eq!(would(Absent::new(root.path().join("file")), root.path()).0, "ROOT/file is there: a file");
    symlink("loop", root.path().join("loop")).unwrap();
    assert!(unknown(Absent::new(root.path().join("loop/below")), root.path()).contains("lead in a circle"));
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let absent = refused::<Absent>;
    assert_eq!(absent(json!({})), "missing field `path`");
    assert_eq!(absent(json!({ "path": "" })), "a path must not be empty");
    assert_eq!(absent(json!({ "path": "\0" })), "a path must not contain a NUL byte");
    for path in ["/", "/.", "..", "/a/.."] {
        let text = absent(json!({ "path": path, "recursive": true }));
        assert!(text.starts_with("nothing may be removed below `/`"), "{text}");
    }
    assert!(absent(json!({ "path": "/a", "force": true })).starts_with("unknown field `force`"));
    assert!(absent(json!({ "path": "/a", "recursive": "yes" })).starts_with("invalid type: string"));
    assert!(absent(json!({ "path": 1 })).starts_with("invalid type: integer"));
    check_schema::<Absent>("Absent", &["path"]);
    let root = tempfile::tempdir().unwrap();
    assert!(failed(Absent::new("/").recursive(), root.path()).contains("nothing may be removed"));
}

#[test]
fn without_rights_nothing_is_claimed() {
    if let Some(root) = as_nobody() {
        assert!(unknown(Absent::new(root.join("closed/a")), &root).contains("run this as a user"));
        assert!(failures(&converge(Absent::new(root.join("foreign"))), &root).contains("Permission denied"));
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    set_mode(root.path(), 0o755);
    fs::create_dir(root.path().join("closed")).unwrap();
    set_mode(&root.path().join("closed"), 0o700);
    fs::write(root.path().join("foreign"), "").unwrap();
    run_as_nobody("absent::without_rights_nothing_is_claimed", root.path());
    assert_eq!(names(root.path()), ["closed", "foreign"]);
}
