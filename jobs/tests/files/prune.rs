use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use dojob::{Engine, IntoJob, VirtualClock};
use dojob_jobs::{Prune, Span};
use serde_json::json;

use crate::small_disk::SmallDisk;
use crate::support::*;

const DAY: u64 = 24 * 60 * 60;

/// Files that are so many days old.
#[allow(clippy::disallowed_methods, reason = "ages count from the machine's time")]
fn files(root: &Path, files: &[(&str, u64)]) {
    for (name, days) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(&path).unwrap();
        file.set_len(10).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * DAY)).unwrap();
    }
}

fn backups(root: &Path) {
    files(root, &[("a.gz", 1), ("b.gz", 10), ("c.gz", 40), ("d.gz", 50), ("notes", 60), ("old/e.gz", 70)]);
    symlink("a.gz", root.join("link.gz")).unwrap();
}

fn days(days: u64) -> Span {
    Duration::from_secs(days * DAY).into()
}

#[test]
fn an_empty_list_of_patterns_is_not_taken_for_all_files() {
    let read =
        |job: serde_json::Value| serde_json::from_value::<Prune>(job).map_err(|error| error.to_string());
    let error = read(json!({ "path": "/srv/backup", "keep": 1, "patterns": [] })).unwrap_err();
    assert_eq!(error, "`patterns` is empty: leave it out for all files, or give one at least");
    let all = read(json!({ "path": "/srv/backup", "keep": 1 })).unwrap();
    assert_eq!(all, Prune::new("/srv/backup").keep(1));
    assert!(read(json!({ "path": "/srv/backup", "keep": 1, "exclude": [] })).is_ok(), "that is none");
}

/// What is left.
fn left(job: impl Fn(Prune) -> Prune) -> Vec<String> {
    let root = prove(backups, |root| job(Prune::new(root)).into_job());
    names(root.path()).into_iter().filter(|name| name != "old" && name != "link.gz").collect()
}

#[test]
fn ages_count_from_the_clock_of_the_engine() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("old");
    fs::write(&path, "").unwrap();
    let prune = |now: u64| {
        let clock = VirtualClock::new();
        clock.advance(Duration::from_secs(now));
        let report =
            Engine::new(Prune::new(root.path()).older_than(days(30))).unwrap().clock(clock).converge();
        assert!(report.success(), "{report:?}");
        path.exists()
    };
    let written = u64::try_from(fs::metadata(&path).unwrap().mtime()).unwrap();
    assert!(prune(written + 29 * DAY));
    assert!(!prune(written + 31 * DAY));
}

#[test]
fn old_files_are_removed() {
    assert_eq!(left(|prune| prune.older_than(days(30))), ["a.gz", "b.gz", "old/e.gz"]);
    assert_eq!(
        left(|prune| prune.older_than(days(45)).pattern("*.gz")),
        ["a.gz", "b.gz", "c.gz", "notes", "old/e.gz"]
    );
    assert_eq!(left(|prune| prune.older_than(days(30)).recursive()), ["a.gz", "b.gz"]);
    assert_eq!(
        left(|prune| prune.older_than(days(30)).recursive().pattern("*.gz")),
        ["a.gz", "b.gz", "notes"]
    );
    assert_eq!(
        left(|prune| prune.older_than(days(0)).recursive().pattern("old/*")),
        ["a.gz", "b.gz", "c.gz", "d.gz", "notes"]
    );
    assert_eq!(
        left(|prune| prune.older_than(days(5)).exclude("*.gz")),
        ["a.gz", "b.gz", "c.gz", "d.gz", "old/e.gz"]
    );
}

#[test]
fn the_newest_stay() {
    assert_eq!(left(|prune| prune.keep(2)), ["a.gz", "b.gz", "old/e.gz"]);
    assert_eq!(
        left(|prune| prune.keep(4).recursive().pattern("*.gz")),
        ["a.gz", "b.gz", "c.gz", "d.gz", "notes"]
    );
    assert_eq!(left(|prune| prune.keep(3).older_than(days(5))), ["a.gz", "b.gz", "c.gz", "old/e.gz"]);
    assert_eq!(left(|prune| prune.keep(1).older_than(days(45))), ["a.gz", "b.gz", "c.gz", "old/e.gz"]);
    assert_eq!(left(|prune| prune.keep(0)), ["old/e.gz"]);
    let root = tempfile::tempdir().unwrap();
    backups(root.path());
    assert_eq!(converge(Prune::new(root.path()).keep(5)).counts().in_place, 1);
}

#[test]
fn of_the_same_age_one_order_decides() {
    let root = tempfile::tempdir().unwrap();
    let time = fs::metadata(root.path()).unwrap().modified().unwrap();
    for name in ["a", "b", "c"] {
        fs::File::create(root.path().join(name)).unwrap().set_modified(time).unwrap();
    }
    assert!(converge(Prune::new(root.path()).keep(2)).success());
    assert_eq!(names(root.path()), ["b", "c"]);
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    backups(root.path());
    assert_eq!(
        would(Prune::new(root.path()).older_than(days(30)), root.path()),
        (
            "3 files of 30 bytes in ROOT are to be removed, such as c.gz".into(),
            "-ROOT/c.gz\n-ROOT/d.gz\n-ROOT/notes\n".into()
        )
    );
    assert_eq!(would(Prune::new(root.path()).older_than(days(55)), root.path()).0, "notes is to be removed");
    let many: Vec<_> = (0..150).map(|number| (format!("{number:03}.log"), 90)).collect();
    files(root.path(), &many.iter().map(|(name, days)| (name.as_str(), *days)).collect::<Vec<_>>());
    let (reason, diff) = would(Prune::new(root.path()).keep(0).pattern("*.log"), root.path());
    assert!(reason.starts_with("150 files of 1500 bytes in ROOT are to be removed, such as "), "{reason}");
    assert!(diff.ends_with("\nand 50 more\n") && diff.lines().count() == 101, "{diff}");
}

#[test]
fn where_nothing_is_nothing_is_to_be_done() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(converge(Prune::new(root.path().join("none")).keep(0)).counts().in_place, 1);
    fs::write(root.path().join("file"), "").unwrap();
    let text = failed(Prune::new(root.path().join("file")).keep(0), root.path());
    assert!(text.contains("ROOT/file is a file, not a directory"), "{text}");
    symlink("loop", root.path().join("loop")).unwrap();
    assert!(unknown(Prune::new(root.path().join("loop")).keep(0), root.path()).contains("in a circle"));
}

#[test]
fn dangerous_roots_are_refused() {
    let root = tempfile::tempdir().unwrap();
    for (number, path) in ["/etc", "/usr/.", "/var/../etc"].iter().enumerate() {
        assert!(
            unknown(Prune::new(path).keep(9_999_999), root.path())
                .contains("of which the system itself lives")
        );
        let link = root.path().join(number.to_string());
        symlink(path, &link).unwrap();
        assert!(
            unknown(Prune::new(link).keep(9_999_999), root.path())
                .contains("of which the system itself lives")
        );
    }
    for path in ["/", "/.", "/etc/..", "..", "."] {
        let text = refused::<Prune>(json!({ "path": path, "keep": 9_999_999 }));
        assert!(text.starts_with("nothing may be removed below `/`"), "{text}");
    }
}

#[test]
fn other_file_systems_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::at(&root.path().join("mounted")) else { return };
    files(root.path(), &[("mounted/a", 9), ("b", 9)]);
    assert!(converge(Prune::new(root.path()).keep(0).recursive()).success());
    assert_eq!(names(root.path()), ["mounted", "mounted/a"]);
    drop(disk);
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let prune = |more: serde_json::Value| {
        let mut value = json!({ "path": "/a", "keep": 3 });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refused::<Prune>(value)
    };
    assert_eq!(
        refused::<Prune>(json!({ "path": "/a" })),
        "`older_than` or `keep` is needed: otherwise all files would be removed"
    );
    assert_eq!(prune(json!({ "path": "" })), "a path must not be empty");
    assert!(
        prune(json!({ "older_than": "a while" })).contains("\"a while\", expected a duration such as `5s`")
    );
    assert!(
        prune(json!({ "older_than": 5 }))
            .starts_with("invalid type: integer `5`, expected a duration such as `5s`")
    );
    assert!(prune(json!({ "keep": -1 })).starts_with("invalid value: integer `-1`"));
    assert!(prune(json!({ "patterns": ["[a"] })).starts_with("bad `patterns`: bad pattern"));
    assert_eq!(prune(json!({ "exclude": [""] })), "bad `exclude`: a pattern must not be empty");
    assert!(prune(json!({ "age": "5 days" })).starts_with("unknown field `age`"));
    for field in ["older_than", "keep", "recursive"] {
        assert!(prune(json!({ field: [1] })).starts_with("invalid type: sequence"), "{field}");
    }
    check_schema::<Prune>("Prune", &["path"]);
    let job: Prune = serde_json::from_value(json!({ "path": "/a", "older_than": "2 weeks" })).unwrap();
    assert_eq!(job, Prune::new("/a").older_than(days(14)));
}

#[test]
fn without_rights_nothing_is_claimed() {
    if let Some(root) = as_nobody() {
        assert!(unknown(Prune::new(root.join("closed")).keep(0), &root).contains("run this as a user"));
        let text = failures(&converge(Prune::new(root.join("foreign")).keep(0)), &root);
        assert!(text.contains("failed to remove ROOT/foreign/a: Permission denied"), "{text}");
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    set_mode(root.path(), 0o755);
    files(root.path(), &[("closed/a", 1), ("foreign/a", 1)]);
    set_mode(&root.path().join("closed"), 0o700);
    run_as_nobody("prune::without_rights_nothing_is_claimed", root.path());
    assert_eq!(names(root.path()), ["closed", "closed/a", "foreign", "foreign/a"]);
}
