//! `Archive`.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use dojob::{IntoJob, Outcome};
use dojob_jobs::Archive;
use serde_json::json;

use super::small_disk::SmallDisk;
use super::support::{as_nobody, converge, dry, failures, handed, has, outcome, prove, run, tree};

pub(super) const FORMATS: [&str; 5] = ["tar.gz", "tgz", "tar.xz", "tar.zst", "zip"];

pub(super) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with a bit of everything that all formats can hold.
pub(super) fn site(root: &Path) {
    let site = root.join("site");
    fs::create_dir_all(site.join("deep/er")).unwrap();
    fs::create_dir(site.join("empty")).unwrap();
    fs::write(site.join("index.html"), "Hello\n").unwrap();
    fs::write(site.join("nothing"), "").unwrap();
    fs::write(site.join("deep/er/run"), "#!/bin/sh\n").unwrap();
    fs::write(site.join("größe & more"), [0, 159, 146, 150]).unwrap();
    fs::write(site.join("n".repeat(200)), "a long name").unwrap();
    symlink("index.html", site.join("link")).unwrap();
    symlink("nowhere//at/./all/", site.join("dangling")).unwrap();
    symlink("t".repeat(150), site.join("long link")).unwrap();
    for (path, mode) in [("index.html", 0o640), ("deep/er/run", 0o755), ("empty", 0o700), ("nothing", 0o444)]
    {
        chmod(&site.join(path), mode);
    }
    for directory in ["", "deep", "deep/er"] {
        chmod(&site.join(directory), 0o755);
    }
}

fn job(root: &Path, target: &str) -> Archive {
    Archive::new(root.join("site"), root.join(target))
}

/// What cannot be compressed.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What `job` has to say about the tree, as the sentence behind "does not match".
fn reason(root: &Path, target: &str) -> String {
    let told = dry(job(root, target));
    assert_eq!(told.outcome, Outcome::WouldRun, "{told:?}");
    let start = format!("{0}/{target} does not match {0}/site: ", root.display());
    told.reason.strip_prefix(&start).unwrap_or(&told.reason).to_owned()
}

#[test]
fn an_archive_with_gzip_is_proved() {
    prove(site, |root| job(root, "site.tar.gz").into_job());
}

#[test]
fn an_archive_with_xz_is_proved() {
    prove(site, |root| job(root, "site.tar.xz").into_job());
}

#[test]
fn an_archive_with_zstd_is_proved() {
    prove(site, |root| job(root, "site.tar.zst").into_job());
}

#[test]
fn an_archive_with_zip_is_proved() {
    prove(site, |root| job(root, "site.zip").into_job());
}

#[test]
fn other_programs_unpack_to_the_same_tree() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        site(root.path());
        let archive = root.path().join(format!("site.{format}"));
        assert_eq!(outcome(Archive::new(root.path().join("site"), &archive)), Outcome::Changed);
        let out = root.path().join("out");
        fs::create_dir(&out).unwrap();
        let mut unpack = if format == "zip" {
            let mut unzip = Command::new("unzip");
            unzip.arg("-q").arg(&archive).arg("-d").arg(&out).env("LC_ALL", "C.UTF-8");
            unzip
        } else {
            let mut tar = Command::new("tar");
            tar.arg("-xpf").arg(&archive).arg("-C").arg(&out).arg("--no-same-owner");
            tar
        };
        let needed = match format {
            "zip" => "unzip",
            "tar.xz" => "xz",
            "tar.zst" => "zstd",
            _ => "tar",
        };
        if !has(needed) {
            continue;
        }
        assert!(run(&mut unpack).status.success(), "{format}");
        let site = tree(&root.path().join("site"), false);
        assert_eq!(tree(&out.join("site"), false), site, "{format}");
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "one top folder");
    }
}

#[test]
fn where_it_is_is_handed_on() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    for _ in 0..2 {
        let wanted = json!({ "path": root.path().join("site.zip") });
        assert_eq!(handed(Archive::new(root.path().join("site"), root.path().join("./site.zip"))), wanted);
    }
}

#[test]
fn the_same_folder_makes_the_same_bytes() {
    for format in FORMATS {
        let [one, other] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let bytes = [&one, &other].map(|root| {
            site(root.path());
            let file = root.path().join("site/index.html");
            // Made at other times, in another order.
            let time = UNIX_EPOCH + Duration::from_secs(root.path().as_os_str().len() as u64);
            File::open(&file).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
            let target = format!("site.{format}");
            assert_eq!(outcome(job(root.path(), &target)), Outcome::Changed);
            fs::read(root.path().join(target)).unwrap()
        });
        assert!(bytes[0] == bytes[1], "{format}");
    }
}

#[test]
fn touching_a_file_changes_nothing_unless_times_are_kept() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let touch = |seconds| {
        let file = File::open(root.path().join("site/index.html")).unwrap();
        file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(seconds))).unwrap();
    };
    touch(1_000_000_000);
    let plain = job(root.path(), "site.tar.gz");
    let with_times = job(root.path(), "times.tar.gz").keep_times();
    assert_eq!([outcome(plain.clone()), outcome(with_times.clone())], [Outcome::Changed; 2]);
    touch(1_000_000_001);
    assert_eq!(outcome(plain), Outcome::InPlace);
    let told = dry(with_times.clone());
    assert!(told.reason.ends_with("site/index.html has another time"), "{}", told.reason);
    assert_eq!(outcome(with_times), Outcome::Changed);

    let before = UNIX_EPOCH - Duration::from_secs(1_000_000);
    let file = File::open(root.path().join("site/index.html")).unwrap();
    file.set_times(FileTimes::new().set_modified(before)).unwrap();
    let old = job(root.path(), "old.tar.gz").keep_times();
    assert_eq!(
        [outcome(old.clone()), outcome(old)],
        [Outcome::Changed, Outcome::InPlace],
        "a time before 1970"
    );

    let zip = job(root.path(), "times.zip").keep_times();
    assert!(failures(zip)[0].contains("zip cannot keep times"));
}

#[test]
fn each_difference_is_told() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let (root, target) = (root.path(), format!("site.{format}"));
        site(root);
        let told = dry(job(root, &target));
        assert_eq!(told.reason, format!("{}/{target} does not exist", root.display()));
        assert!(told.diff.starts_with("+ site\n+ site/dangling\n+ site/deep\n"), "{}", told.diff);
        assert_eq!(outcome(job(root, &target)), Outcome::Changed);

        let at = |name: &str| root.join("site").join(name);
        fs::write(at("index.html"), "HELLO\n").unwrap();
        assert_eq!(reason(root, &target), "site/index.html has other content");
        fs::write(at("index.html"), "Hi\n").unwrap();
        assert_eq!(reason(root, &target), "site/index.html has 6 bytes, not 3");
        fs::write(at("index.html"), "Hello\n").unwrap();
        chmod(&at("index.html"), 0o600);
        assert_eq!(reason(root, &target), "site/index.html has mode 0640, not 0600");
        chmod(&at("index.html"), 0o640);
        chmod(&at("empty"), 0o750);
        assert_eq!(reason(root, &target), "site/empty has mode 0700, not 0750");
        chmod(&at("empty"), 0o700);
        fs::remove_file(at("link")).unwrap();
        assert_eq!(reason(root, &target), "site/link is too much");
        symlink("elsewhere", at("link")).unwrap();
        assert_eq!(reason(root, &target), "site/link leads to index.html, not elsewhere");
        fs::remove_file(at("link")).unwrap();
        fs::create_dir(at("link")).unwrap();
        assert_eq!(reason(root, &target), "site/link is a symbolic link, not a directory");
        fs::write(at("link/new\n"), "").unwrap();
        fs::remove_file(at("nothing")).unwrap();
        fs::remove_dir(at("empty")).unwrap();
        let told = dry(job(root, &target));
        let start = format!("{0}/{target} does not match {0}/site: ", root.display());
        let first = "site/empty is too much, site/link is a symbolic link, not a directory, site/link/new\\n is missing, and 1 more";
        assert_eq!(told.reason, format!("{start}{first}"));
        assert_eq!(
            told.diff,
            "- site/empty\n! site/link is a symbolic link, not a directory\n+ site/link/new\\n\n- site/nothing\n"
        );
        assert_eq!(outcome(job(root, &target)), Outcome::Changed);
        assert_eq!(outcome(job(root, &target)), Outcome::InPlace);
    }
}

#[test]
fn many_differences_end_somewhere() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    (0..300).for_each(|number| fs::write(root.path().join(format!("site/{number:03}")), "").unwrap());
    assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::Changed);
    (0..300).for_each(|number| fs::write(root.path().join(format!("site/{number:03}")), "x").unwrap());
    let told = dry(job(root.path(), "site.tar.gz"));
    assert!(told.reason.ends_with("site/002 has 0 bytes, not 1, and many more"), "{}", told.reason);
    assert_eq!(told.diff.lines().count(), 101);
}

#[test]
fn a_damaged_archive_is_written_anew() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let target = format!("site.{format}");
        site(root.path());
        // By far the most of the archive.
        fs::write(root.path().join("site/noise"), noise(65_536)).unwrap();
        let path = root.path().join(&target);
        assert_eq!(outcome(job(root.path(), &target)), Outcome::Changed);
        let whole = fs::read(&path).unwrap();
        // Cut off anywhere, also within the last checksum.
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let told = reason(root.path(), &target);
            assert!(
                told.contains("is damaged, or no") || told.contains("is missing"),
                "{format} {length} {told}"
            );
            assert_eq!(outcome(job(root.path(), &target)), Outcome::Changed, "{format} {length}");
            assert!(fs::read(&path).unwrap() == whole, "{format} {length}");
        }
        // A byte of a content is another.
        let mut other = whole.clone();
        other[whole.len() / 2] ^= 0x10;
        fs::write(&path, &other).unwrap();
        assert_eq!(outcome(job(root.path(), &target)), Outcome::Changed, "{format}");
        // It is of another format.
        fs::write(&path, "no archive at all").unwrap();
        assert_eq!(outcome(job(root.path(), &target)), Outcome::Changed, "{format}");
    }
}

#[test]
fn an_archive_of_another_program_is_accepted() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let tar = |args: &[&str]| {
        assert!(run(Command::new("tar").current_dir(root.path()).args(args)).status.success());
    };
    // Backwards, with times and owners of its own, and as the formats that there are.
    for format in ["gnu", "pax"] {
        tar(&["--format", format, "--sort=none", "--owner=me:1000", "-czf", "site.tar.gz", "./site"]);
        assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::InPlace, "{format}");
    }
    tar(&["-czf", "site.tar.gz", "site", "site/index.html"]);
    assert_eq!(reason(root.path(), "site.tar.gz"), "site/index.html is there more than once");
    fs::hard_link(root.path().join("site/index.html"), root.path().join("site/z")).unwrap();
    tar(&["--sort=name", "-czf", "site.tar.gz", "site"]);
    assert_eq!(reason(root.path(), "site.tar.gz"), "site/z is a hard link, not a file");
    assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::Changed);
    assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::InPlace);
}

#[test]
fn what_is_excluded_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let out = |patterns: &[&str]| {
        let told = dry(job(root.path(), "site.tar.gz").exclude(patterns.iter().copied()));
        told.diff.lines().map(|line| line.trim_start_matches("+ ").to_owned()).collect::<Vec<_>>()
    };
    let all = out(&[]);
    assert!(all.contains(&"site/deep/er/run".to_owned()));
    let without: Vec<_> = all.iter().filter(|name| !name.starts_with("site/deep")).cloned().collect();
    assert_eq!(out(&["deep"]), without);
    assert_eq!(out(&["/deep/"]), without);
    assert_eq!(out(&["er/run"]), all);
    assert!(!out(&["run"]).contains(&"site/deep/er/run".to_owned()));

    // What is excluded need not be readable, nor of a kind that can be packed.
    assert!(run(Command::new("mkfifo").arg(root.path().join("site/pipe"))).status.success());
    let told = dry(job(root.path(), "site.tar.gz"));
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(
        told.reason.ends_with("site/pipe is a named pipe, which cannot be packed; `exclude` it"),
        "{}",
        told.reason
    );
    assert_eq!(outcome(job(root.path(), "site.tar.gz").exclude(["pipe"])), Outcome::Changed);
}

#[test]
fn an_archive_inside_of_its_folder_does_not_contain_itself() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    symlink("deep", root.path().join("site/way")).unwrap();
    for target in ["site/site.tar.gz", "site/deep/site.zip", "site/way/by-a-link.tar.zst"] {
        let job = job(root.path(), target);
        assert_eq!(outcome(job.clone()), Outcome::Changed);
        assert_eq!(outcome(job.clone()), Outcome::InPlace, "{target}");
        // What an unfinished run has left does not count either.
        let left = root.path().join(target).with_file_name(".dojob-0123456789abcdef");
        fs::write(&left, "half").unwrap();
        assert_eq!(outcome(job.clone()), Outcome::InPlace, "{target}");
        fs::remove_file(left).unwrap();
        if !target.ends_with("zip") {
            let told = dry(job.keep_times());
            assert!(told.reason.contains("the archive would be inside of it"), "{}", told.reason);
        }
        fs::remove_file(root.path().join(target)).unwrap();
    }
}

#[test]
fn a_new_archive_is_for_its_owner_alone() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let path = root.path().join("site.tar.gz");
    let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
    assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::Changed);
    assert_eq!(mode(), 0o600);
    let wanted = job(root.path(), "site.tar.gz").mode(0o640);
    assert_eq!(dry(wanted.clone()).reason, "mode is 0600, not 0640");
    assert_eq!(outcome(wanted), Outcome::Changed);
    assert_eq!(mode(), 0o640);
    fs::write(root.path().join("site/new"), "").unwrap();
    assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::Changed);
    assert_eq!(mode(), 0o640, "it stays as it is");
}

#[test]
fn a_link_in_place_of_the_archive_is_followed() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    symlink("real.zip", root.path().join("latest.zip")).unwrap();
    assert_eq!(outcome(job(root.path(), "latest.zip")), Outcome::Changed);
    assert!(fs::symlink_metadata(root.path().join("latest.zip")).unwrap().is_symlink());
    assert_eq!(outcome(job(root.path(), "real.zip")), Outcome::InPlace);
}

#[test]
fn names_that_are_no_text_need_tar() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    fs::write(root.path().join("site").join(OsStr::from_bytes(b"b\xffd")), "").unwrap();
    for format in ["tar.gz", "tar.xz", "tar.zst"] {
        let target = format!("site.{format}");
        assert_eq!(outcome(job(root.path(), &target)), Outcome::Changed);
        assert_eq!(outcome(job(root.path(), &target)), Outcome::InPlace);
    }
    let failed = failures(job(root.path(), "site.zip"));
    assert!(
        failed[1].ends_with(
            "failed to pack site/b\\xffd: `site/b\\xffd` is no UTF-8, which zip needs; tar does not"
        ),
        "{failed:?}"
    );
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4, "nothing is left of it");

    // The folder itself, and the archive.
    let folder = root.path().join(OsStr::from_bytes(b"f\xff"));
    fs::create_dir(&folder).unwrap();
    let target = root.path().join(OsStr::from_bytes(b"f\xff.tar.gz"));
    assert_eq!(outcome(Archive::new(&folder, &target)), Outcome::Changed);
    assert_eq!(outcome(Archive::new(&folder, &target)), Outcome::InPlace);
}

#[test]
fn what_is_in_the_way_is_named() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let shown = root.path().display();
    let told =
        |input: &str, target: &str| dry(Archive::new(root.path().join(input), root.path().join(target)));

    let missing = told("nowhere", "a.zip");
    assert_eq!(missing.outcome, Outcome::CouldNotFindOut);
    assert_eq!(
        missing.reason,
        format!(
            "could not find out what belongs into an archive of {shown}/nowhere: there is no such directory"
        )
    );
    let file = told("site/index.html", "a.zip");
    assert!(file.reason.ends_with("it is a file, and no directory"), "{}", file.reason);

    fs::create_dir(root.path().join("d.zip")).unwrap();
    let directory = told("site", "d.zip");
    assert_eq!(directory.outcome, Outcome::CouldNotFindOut);
    assert_eq!(
        directory.reason,
        format!(
            "could not find out how to write {shown}/d.zip: {shown}/d.zip is a directory; remove it, or choose another path"
        )
    );

    let failed = failures(Archive::new(root.path().join("site"), root.path().join("no/where/a.zip")));
    assert!(
        failed[1].contains("no/where does not exist; a `directory` before this one can make it"),
        "{failed:?}"
    );

    symlink("circle.zip", root.path().join("circle.zip")).unwrap();
    assert!(told("site", "circle.zip").reason.contains("lead in a circle"));
    assert!(told("site", "site/index.html/a.zip").reason.contains("is no directory"));
}

#[test]
fn wrong_values_are_refused_where_they_are_read() {
    let read =
        |json: serde_json::Value| serde_json::from_value::<Archive>(json).map_err(|error| error.to_string());
    let with = |input: &str, target: &str| {
        read(serde_json::json!({"input_directory_path": input, "target_file_path": target}))
    };
    assert_eq!(with("/srv/site/", "/b/s.tgz"), Ok(Archive::new("/srv/site/", "/b/s.tgz")));
    let error = |input: &str, target: &str| with(input, target).unwrap_err();
    let endings = "the name of an archive ends in .tar.gz, .tgz, .tar.xz, .tar.zst or .zip";
    assert_eq!(error("/s", "/b/s.rar"), format!("`/b/s.rar` does not say its format: {endings}"));
    assert_eq!(error("/s", "/b/s.tar"), format!("`/b/s.tar` does not say its format: {endings}"));
    assert_eq!(error("/s", ""), "a path must not be empty");
    assert_eq!(error("/s", "/b/\0.zip"), "a path must not contain a NUL byte");
    assert_eq!(
        error("/s", "/b/s.zip/"),
        "a path of a file must end with its name, not with `/`, `.` or `..`"
    );
    assert_eq!(error("", "/b/s.zip"), "a path must not be empty");
    assert_eq!(error("/", "/b/s.zip"), "the top folder of the archive is named after `/`, which has no name");
    assert!(error("/s/..", "/b/s.zip").contains("`/s/..`, which has no name"));

    let full = |field: &str, value: serde_json::Value| {
        let mut json = serde_json::json!({"input_directory_path": "/s", "target_file_path": "/s.zip"});
        json[field] = value;
        read(json).unwrap_err()
    };
    assert!(full("exclude", "*.log".into()).contains("invalid type: string"));
    assert!(full("exclude", serde_json::json!(["a["])).starts_with("`a[` is no pattern of names to exclude"));
    assert!(full("exclude", serde_json::json!([""])).starts_with("`` is no pattern of names to exclude"));
    assert!(full("mode", 644.into()).contains("may be octal or not"));
    assert!(full("owner", "".into()).contains("must not be empty"));
    assert!(full("compress", true.into()).contains("unknown field `compress`"));
    assert!(
        read(serde_json::json!({"input_directory_path": "/s"}))
            .unwrap_err()
            .contains("missing field `target_file_path`")
    );

    // Made in Rust: an error of the check.
    let wrong =
        [Archive::new("/tmp", "/b/s.rar"), Archive::new("/", "/s.zip"), Archive::new("/tmp", "a\0.zip")];
    for job in wrong {
        assert!(converge(job).failure());
    }
}

#[test]
fn what_was_written_can_be_read() {
    let job =
        Archive::new("/srv/site", "/b/site.tar.zst").exclude(["*.log"]).mode(0o640).owner("root").group(0);
    let json = serde_json::to_value(&job).unwrap();
    assert_eq!(serde_json::from_value::<Archive>(json).unwrap(), job);
    let small = serde_json::to_string(&Archive::new("/s", "/s.zip")).unwrap();
    assert_eq!(small, r#"{"input_directory_path":"/s","target_file_path":"/s.zip"}"#);
    assert_eq!(dojob::Job::name(&job), "Archive /b/site.tar.zst");
    let schema = serde_json::to_value(schemars::schema_for!(Archive)).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["input_directory_path", "target_file_path"]));
    for (name, property) in schema["properties"].as_object().unwrap() {
        assert!(property["description"].is_string(), "{name}");
    }
}

#[test]
fn what_may_not_be_read_is_named() {
    if !as_nobody("pack::what_may_not_be_read_is_named") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    assert_eq!(outcome(job(root.path(), "site.tar.gz")), Outcome::Changed);
    let secret = root.path().join("site/index.html");
    chmod(&secret, 0);
    let told = dry(job(root.path(), "site.tar.gz"));
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(
        told.reason.contains("site/index.html is (run this as a user who may read it, or as root)"),
        "{}",
        told.reason
    );
    chmod(&secret, 0o640);
    let deep = root.path().join("site/deep");
    chmod(&deep, 0);
    let told = dry(job(root.path(), "site.tar.gz"));
    assert_eq!(told.outcome, Outcome::CouldNotFindOut);
    assert!(
        told.reason.contains("site/deep (run this as a user who may read it, or as root)"),
        "{}",
        told.reason
    );
    assert_eq!(outcome(job(root.path(), "site.tar.gz").exclude(["deep"])), Outcome::Changed);
    chmod(&deep, 0o755);
    // A directory in which nothing can be written.
    fs::create_dir(root.path().join("closed")).unwrap();
    chmod(&root.path().join("closed"), 0o555);
    let failed = failures(job(root.path(), "closed/site.tar.gz"));
    assert!(
        failed[1].contains("closed/site.tar.gz: ") && failed[1].contains("ermission denied"),
        "{failed:?}"
    );
}

#[test]
fn a_full_disk_leaves_the_old_archive() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let small = root.path().join("small");
    let Some(_disk) = SmallDisk::at(&small) else { return };
    assert_eq!(outcome(job(root.path(), "small/site.tar.gz")), Outcome::Changed);
    let before = tree(&small, true);
    fs::write(root.path().join("site/noise"), noise(300_000)).unwrap();
    let failed = failures(job(root.path(), "small/site.tar.gz"));
    assert!(failed[1].contains("No space left on device"), "{failed:?}");
    let names: Vec<_> = fs::read_dir(&small).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["site.tar.gz"]);
    let without_time = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_time(&tree(&small, true)), without_time(&before));
}
