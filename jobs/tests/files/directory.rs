use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use dojob::IntoJob;
use dojob_jobs::Directory;
use serde_json::json;

use crate::support::*;

#[test]
fn a_directory_is_made_with_all_on_the_way() {
    let root = prove(|_| {}, |root| Directory::new(root.join("srv/a/b")).mode(0o2750).into_job());
    assert_eq!(names(root.path()), ["srv", "srv/a", "srv/a/b"]);
    assert_eq!(["srv", "srv/a", "srv/a/b"].map(|name| mode(&root.path().join(name))), [0o755, 0o755, 0o2750]);
    prove(|_| {}, |root| Directory::new(root.join("a/b/")).into_job());
    prove(|_| {}, |root| Directory::new(root.join("a/b/../c/.")).into_job());
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("srv");
    assert_eq!(would(Directory::new(&path), root.path()).0, "ROOT/srv does not exist");
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o700);
    assert_eq!(converge(Directory::new(&path)).counts().in_place, 1);
    assert_eq!(would(Directory::new(&path).mode(0o750), root.path()).0, "mode is 0700, not 0750");
    assert!(converge(Directory::new(&path).mode(0o750)).success());
    assert_eq!(mode(&path), 0o750);
}

#[test]
fn a_link_to_a_directory_is_one() {
    let root = tempfile::tempdir().unwrap();
    let [target, link] = ["target", "link"].map(|name| root.path().join(name));
    fs::create_dir(&target).unwrap();
    symlink("target", &link).unwrap();
    assert!(converge(Directory::new(&link).mode(0o700)).success());
    assert_eq!(mode(&target), 0o700);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn what_is_in_the_way_is_removed_only_by_force() {
    let prepare = |root: &Path| fs::write(root.join("file"), "").unwrap();
    let root = prove(prepare, |root| Directory::new(root.join("file")).force().into_job());
    fs::write(root.path().join("other"), "").unwrap();
    symlink("nowhere", root.path().join("dangling")).unwrap();

    let text = failed(Directory::new(root.path().join("other")), root.path());
    assert!(text.contains("check: ROOT/other is a file, not a directory; `force` would remove it"), "{text}");
    assert!(
        text.contains("run: failed to make ROOT/other: it is a file, not a directory")
            || text.contains("run: ROOT/other is a file, not a directory"),
        "{text}"
    );
    let text = failed(Directory::new(root.path().join("dangling")), root.path());
    assert!(text.contains("ROOT/dangling is a symbolic link to nothing, not a directory"), "{text}");
    assert!(converge(Directory::new(root.path().join("dangling")).force()).success());
    assert!(!root.path().join("nowhere").exists() && root.path().join("dangling").is_dir());

    let below = Directory::new(root.path().join("other/below")).force();
    assert_eq!(
        unknown(below, root.path()),
        "could not find out what ROOT/other/below is (ROOT/other is no directory): Not a directory (os error 20)"
    );
}

#[test]
fn all_below_gets_modes() {
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("srv/a/b")).unwrap();
        fs::write(root.join("srv/a/file"), "").unwrap();
        set_mode(&root.join("srv/a"), 0o700);
        set_mode(&root.join("srv/a/file"), 0o600);
        symlink("/etc/passwd", root.join("srv/link")).unwrap();
    };
    let before = mode(Path::new("/etc/passwd"));
    let job = |root: &Path| Directory::new(root.join("srv")).mode(0o750).file_mode(0o640);
    let root = prove(prepare, |root| job(root).into_job());
    assert_eq!(["srv", "srv/a", "srv/a/b"].map(|name| mode(&root.path().join(name))), [0o750; 3]);
    assert_eq!(mode(&root.path().join("srv/a/file")), 0o640);
    assert_eq!(mode(Path::new("/etc/passwd")), before);

    set_mode(&root.path().join("srv/a/file"), 0o600);
    assert_eq!(would(job(root.path()), root.path()).0, "below it a/file: mode is 0600, not 0640");
    set_mode(&root.path().join("srv/a"), 0o700);
    assert_eq!(
        would(job(root.path()), root.path()),
        (
            "2 below it differ, such as a/file: mode is 0600, not 0640".into(),
            "a/file: mode is 0600, not 0640\na: mode is 0700, not 0750\n".into()
        )
    );
}

#[test]
fn all_below_gets_owners_and_links_themselves() {
    if !is_root() {
        return;
    }
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("srv/a")).unwrap();
        fs::write(root.join("srv/a/file"), "").unwrap();
        set_mode(&root.join("srv/a/file"), 0o4755);
        symlink("/etc/passwd", root.join("srv/link")).unwrap();
    };
    let job =
        |root: &Path| Directory::new(root.join("srv")).owner("nobody").group(65534).recursive().into_job();
    let root = prove(prepare, job);
    for name in ["srv", "srv/a", "srv/a/file", "srv/link"] {
        let meta = fs::symlink_metadata(root.path().join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (65534, 65534), "{name}");
    }
    assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), 0);
    assert_eq!(mode(&root.path().join("srv/a/file")), 0o4755);
}

#[test]
fn what_is_not_listed_is_removed() {
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("conf.d/old/below")).unwrap();
        for name in ["site.conf", "a.pem", "b.pem", "a.conf", ".dojob-0123456789abcdef"] {
            fs::write(root.join("conf.d").join(name), "").unwrap();
        }
        symlink("/etc", root.join("conf.d/link")).unwrap();
    };
    let job = |root: &Path| Directory::new(root.join("conf.d")).purge(["site.conf", "*.pem"]);
    let before = tempfile::tempdir().unwrap();
    prepare(before.path());
    assert_eq!(
        would(job(before.path()), before.path()),
        (
            "3 names are not listed, such as a.conf".into(),
            "-ROOT/conf.d/a.conf\n-ROOT/conf.d/link\n-ROOT/conf.d/old\n".into()
        )
    );
    let root = prove(prepare, |root| job(root).into_job());
    assert_eq!(
        names(&root.path().join("conf.d")),
        [".dojob-0123456789abcdef", "a.pem", "b.pem", "site.conf"]
    );
    assert!(Path::new("/etc/passwd").exists());
    fs::write(root.path().join("conf.d/new"), "").unwrap();
    assert_eq!(would(job(root.path()), root.path()).0, "new is not listed");
}

#[test]
fn a_name_that_is_listed_stays_also_where_it_reads_like_a_pattern() {
    let root = tempfile::tempdir().unwrap();
    for name in ["[x]", "x", "a*", "ab"] {
        fs::write(root.path().join(name), "").unwrap();
    }
    let job = Directory::new(root.path()).purge(["[x]", "a*"]);
    let mut engine = dojob::Engine::new(job).unwrap();
    assert!(engine.converge().success());
    assert_eq!(names(root.path()), ["[x]", "a*", "ab", "x"], "`[x]` is the name and the pattern for `x`");
}

#[test]
fn nobody_purges_the_root() {
    let root = tempfile::tempdir().unwrap();
    symlink("/", root.path().join("link")).unwrap();
    let reason = unknown(Directory::new(root.path().join("link")).purge(["*"]), root.path());
    assert_eq!(
        reason,
        "could not find out what may be removed below ROOT/link: it is /, of which the system itself lives"
    );
    for path in ["/", "/etc/..", "."] {
        let text = refused::<Directory>(json!({ "path": path, "purge": true }));
        assert!(text.starts_with("refusing to purge it: nothing may be removed below `/`"), "{text}");
    }
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let directory = refused::<Directory>;
    assert_eq!(directory(json!({})), "missing field `path`");
    assert_eq!(directory(json!({ "path": "" })), "a path must not be empty");
    assert_eq!(directory(json!({ "path": "/a\0" })), "a path must not contain a NUL byte");
    assert_eq!(directory(json!({ "path": "/a", "file_mode": "0644" })), "`file_mode` needs `recursive`");
    assert_eq!(directory(json!({ "path": "/a", "keep": ["a"] })), "`keep` needs `purge`");
    assert_eq!(
        directory(json!({ "path": "/a", "purge": true, "keep": ["a/b"] })),
        "`keep` lists names in the directory itself, without `/`"
    );
    assert!(
        directory(json!({ "path": "/a", "purge": true, "keep": ["[a"] }))
            .starts_with("bad `keep`: bad pattern")
    );
    assert!(directory(json!({ "path": "/a", "state": "present" })).starts_with("unknown field `state`"));
    for field in ["owner", "group", "recursive", "purge", "force", "mode", "file_mode"] {
        let text = directory(json!({ "path": "/a", field: [1] }));
        assert!(text.starts_with("invalid type: sequence"), "{field}: {text}");
    }
    check_schema::<Directory>("Directory", &["path"]);
}

#[test]
fn without_rights_nothing_is_claimed() {
    if let Some(root) = as_nobody() {
        assert!(unknown(Directory::new(root.join("closed/a")), &root).contains("run this as a user"));
        assert!(
            unknown(Directory::new(root.join("closed")).recursive(), &root).contains("run this as a user")
        );
        assert!(unknown(Directory::new(root.join("closed")).purge(["a"]), &root).contains("what is in"));
        let failed = |job| failures(&converge(job), &root);
        assert!(failed(Directory::new(root.join("new"))).contains("Permission denied"));
        assert!(
            failed(Directory::new(root.join("foreign")).mode(0o777)).contains("failed to set the mode 0777")
        );
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    set_mode(root.path(), 0o755);
    fs::create_dir(root.path().join("foreign")).unwrap();
    fs::create_dir(root.path().join("closed")).unwrap();
    set_mode(&root.path().join("closed"), 0o700);
    run_as_nobody("directory::without_rights_nothing_is_claimed", root.path());
}
