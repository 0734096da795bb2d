use std::fs;
use std::os::unix::fs::{MetadataExt, symlink as link};
use std::path::Path;

use dojob::IntoJob;
use dojob_jobs::Symlink;
use serde_json::json;

use crate::support::*;

#[test]
fn a_link_is_made_and_changed() {
    let job = |root: &Path| Symlink::new(root.join("current"), "releases/42").into_job();
    let root = prove(|_| {}, job);
    assert_eq!(fs::read_link(root.path().join("current")).unwrap(), Path::new("releases/42"));
    let root = prove(|root| link("releases/41", root.join("current")).unwrap(), job);
    assert_eq!(fs::read_link(root.path().join("current")).unwrap(), Path::new("releases/42"));
    assert_eq!(names(root.path()), ["current"]);
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("current");
    assert_eq!(would(Symlink::new(&path, "b"), root.path()).0, "ROOT/current does not exist");
    link("a", &path).unwrap();
    assert_eq!(
        would(Symlink::new(&path, "b"), root.path()),
        ("ROOT/current leads to a, not to b".into(), "-ROOT/current -> a\n+ROOT/current -> b\n".into())
    );
}

#[test]
fn what_is_in_the_way_is_removed_only_by_force() {
    let job = |root: &Path| Symlink::new(root.join("current"), "b").force().into_job();
    prove(|root| fs::write(root.join("current"), "").unwrap(), job);
    let root = prove(|root| fs::create_dir_all(root.join("current/below")).unwrap(), job);
    assert_eq!(names(root.path()), ["current"]);
    fs::write(root.path().join("file"), "").unwrap();
    let text = failed(Symlink::new(root.path().join("file"), "b"), root.path());
    assert!(
        text.contains("check: ROOT/file is a file, not a symbolic link; `force` would remove it"),
        "{text}"
    );
    assert!(text.contains("run: failed to make the symbolic link ROOT/file: it is a file"), "{text}");
    let text = failed(Symlink::new(root.path().join("none/link"), "b"), root.path());
    assert!(text.contains("the directory ROOT/none does not exist"), "{text}");
}

#[test]
fn the_link_itself_gets_its_owner() {
    if !is_root() {
        return;
    }
    let prepare = |root: &Path| {
        fs::write(root.join("target"), "").unwrap();
        link("target", root.join("link")).unwrap();
    };
    let job =
        |root: &Path| Symlink::new(root.join("link"), "target").owner("nobody").group("nogroup").into_job();
    let root = prove(prepare, job);
    assert_eq!(fs::symlink_metadata(root.path().join("link")).unwrap().uid(), 65534);
    assert_eq!(fs::metadata(root.path().join("link")).unwrap().uid(), 0);
    fs::remove_file(root.path().join("link")).unwrap();
    assert!(converge(job(root.path())).success());
    assert_eq!(fs::symlink_metadata(root.path().join("link")).unwrap().gid(), 65534);
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let symlink = refused::<Symlink>;
    assert_eq!(symlink(json!({ "path": "/a" })), "missing field `target`");
    assert_eq!(symlink(json!({ "path": "/a", "target": "" })), "a path must not be empty");
    assert_eq!(symlink(json!({ "path": "/a", "target": "a\0" })), "a path must not contain a NUL byte");
    assert!(symlink(json!({ "path": "/a/", "target": "b" })).starts_with("a path of a file must end"));
    assert!(
        symlink(json!({ "path": "/a", "target": "b", "mode": "0644" })).starts_with("unknown field `mode`")
    );
    for field in ["target", "owner", "group", "force"] {
        let mut value = json!({ "path": "/a", "target": "b" });
        value[field] = json!([1]);
        assert!(symlink(value).starts_with("invalid type: sequence"), "{field}");
    }
    check_schema::<Symlink>("Symlink", &["path", "target"]);
    let root = tempfile::tempdir().unwrap();
    assert!(failed(Symlink::new("", "b"), root.path()).contains("a path must not be empty"));
    let text = failed(Symlink::new(root.path().join("a"), ""), root.path());
    assert!(text.contains("bad `target`: a path must not be empty"), "{text}");
}

#[test]
fn without_rights_nothing_is_claimed() {
    if let Some(root) = as_nobody() {
        assert!(unknown(Symlink::new(root.join("closed/a"), "b"), &root).contains("run this as a user"));
        assert!(
            failures(&converge(Symlink::new(root.join("new"), "b")), &root).contains("Permission denied")
        );
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    set_mode(root.path(), 0o755);
    fs::create_dir(root.path().join("closed")).unwrap();
    set_mode(&root.path().join("closed"), 0o700);
    run_as_nobody("symlink::without_rights_nothing_is_claimed", root.path());
    assert_eq!(names(root.path()), ["closed"]);
}
