//! `Unarchive`.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use dojob::{IntoJob, Outcome};
use dojob_jobs::{Archive, Size, Unarchive};
use tar::EntryType;

use super::pack::{FORMATS, chmod, site};
use super::support::{as_nobody, converge, dry, failures, has, outcome, prove, run, skipped, tree};

/// An entry as somebody may write it who means harm: no name is refused.
pub(super) struct Raw {
    name: &'static [u8],
    kind: EntryType,
    link: &'static str,
    mode: u32,
    content: Vec<u8>,
}

pub(super) fn raw(
    name: &'static str,
    kind: EntryType,
    link: &'static str,
    content: impl Into<Vec<u8>>,
) -> Raw {
    Raw { name: name.as_bytes(), kind, link, mode: 0o644, content: content.into() }
}

pub(super) fn file(name: &'static str, content: &str) -> Raw {
    raw(name, EntryType::Regular, "", content)
}

pub(super) fn directory(name: &'static str, mode: u32) -> Raw {
    Raw { mode, ..raw(name, EntryType::Directory, "", "") }
}

pub(super) fn link(name: &'static str, target: &'static str) -> Raw {
    raw(name, EntryType::Symlink, target, "")
}

pub(super) fn tarball(entries: &[Raw]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..entry.name.len()].copy_from_slice(entry.name);
        header.as_old_mut().linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(1234);
        header.set_gid(1234);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        tar.append(&header, &entry.content[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

/// `a.tar` with these entries, to be unpacked into `out`.
pub(super) fn job(root: &Path, entries: &[Raw]) -> Unarchive {
    fs::write(root.join("a.tar"), tarball(entries)).unwrap();
    Unarchive::new(root.join("a.tar"), root.join("out"))
}

/// Some of everything.
fn app() -> Vec<Raw> {
    vec![
        directory("./", 0o700),
        directory("./app/", 0o750),
        directory("./app/closed", 0o555),
        Raw { mode: 0o4755, ..file("./app/run", "#!/bin/sh\n") },
        file("./app/closed/read", "me"),
        file("./app/by/the/way", "no entries for the directories"),
        link("./app/latest", "closed/read"),
        raw("./app/other", EntryType::Link, "./app/run", ""),
    ]
}

/// Why an archive is not unpacked; nothing may have been changed.
pub(super) fn refused(root: &Path, job: Unarchive) -> String {
    let before = tree(root, true);
    let told = dry(job.clone());
    assert_eq!(told.outcome, Outcome::CouldNotFindOut, "{}", told.reason);
    let report = converge(job.clone());
    assert!(report.failure());
    assert_eq!(tree(root, true), before);
    let start =
        format!("could not find out whether {} matches {}: ", job.dest.display(), job.source.display());
    told.reason.strip_prefix(&start).unwrap_or(&told.reason).to_owned()
}

#[test]
fn a_new_folder_is_proved() {
    prove(|root| drop(job_once(root, &app())), |root| job_once(root, &app()).into_job());
}

#[test]
fn a_part_of_an_archive_is_proved() {
    prove(
        |root| drop(job_once(root, &app())),
        |root| job_once(root, &app()).strip_components(1).exclude(["by"]).into_job(),
    );
}

/// As [`job`], without writing the archive a second time.
fn job_once(root: &Path, entries: &[Raw]) -> Unarchive {
    let job = Unarchive::new(root.join("a.tar"), root.join("out"));
    if !root.join("a.tar").exists() {
        fs::write(root.join("a.tar"), tarball(entries)).unwrap();
    }
    job
}

#[test]
fn a_folder_that_is_there_is_proved() {
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("out/app")).unwrap();
        fs::write(root.join("out/app/run"), "something else").unwrap();
        fs::write(root.join("out/own"), "of somebody else").unwrap();
        job_once(root, &app());
    };
    prove(prepare, |root| job_once(root, &app()).into_job());
}

#[test]
fn what_is_unpacked_is_what_was_packed() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        site(root.path());
        let archive = root.path().join(format!("site.{format}"));
        assert_eq!(outcome(Archive::new(root.path().join("site"), &archive)), Outcome::Changed);
        // The name says nothing.
        let unnamed = root.path().join("archive");
        fs::rename(&archive, &unnamed).unwrap();
        let unarchive = Unarchive::new(&unnamed, root.path().join("out"));
        assert_eq!(outcome(unarchive.clone()), Outcome::Changed, "{format}");
        assert_eq!(
            tree(&root.path().join("out/site"), false),
            tree(&root.path().join("site"), false),
            "{format}"
        );
        assert_eq!(outcome(unarchive), Outcome::InPlace, "{format}");
    }
}

#[test]
fn archives_of_other_programs_are_unpacked() {
    let root = tempfile::tempdir().unwrap();
    site(root.path());
    let original = tree(&root.path().join("site"), false);
    let pack = |program: &str, args: &[&str]| {
        let done = run(Command::new(program).current_dir(root.path()).args(args));
        assert!(done.status.success(), "{program} {args:?}");
    };
    let commands: [(&str, &str, &[&str]); 6] = [
        ("gzip", "tar", &["-czf", "a", "site"]),
        ("xz", "tar", &["-cJf", "a", "site"]),
        ("zstd", "tar", &["--zstd", "-cf", "a", "site"]),
        ("tar", "tar", &["-cf", "a", "--format=pax", "site"]),
        ("tar", "tar", &["-cf", "a", "--format=gnu", "site"]),
        ("zip", "zip", &["-qry", "a.zip", "site"]),
    ];
    for (needed, program, args) in commands {
        if !has(needed) {
            continue;
        }
        pack(program, args);
        let archive = root.path().join(if program == "zip" { "a.zip" } else { "a" });
        let dest = root.path().join("out");
        assert_eq!(outcome(Unarchive::new(&archive, &dest)), Outcome::Changed, "{args:?}");
        assert_eq!(tree(&dest.join("site"), false), original, "{args:?}");
        assert_eq!(outcome(Unarchive::new(&archive, &dest)), Outcome::InPlace, "{args:?}");
        fs::remove_dir_all(dest).unwrap();
        fs::remove_file(archive).unwrap();
    }
}

#[test]
fn modes_owners_and_links_are_as_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let mode = |name: &str| fs::symlink_metadata(out.join(name)).unwrap().mode() & 0o7777;
    assert_eq!(outcome(job(root.path(), &app())), Outcome::Changed);
    assert_eq!(mode(""), 0o755, "not what the archive says of its top");
    assert_eq!([mode("app"), mode("app/closed"), mode("app/by")], [0o750, 0o555, 0o755]);
    assert_eq!(mode("app/run"), 0o755, "no setuid");
    let ids = |name: &str| {
        fs::symlink_metadata(out.join(name)).map(|meta| (meta.ino(), meta.uid(), meta.gid())).unwrap()
    };
    assert_eq!(ids("app/run").0, ids("app/other").0, "two names of one file");
    assert_ne!(ids("app/run").1, 1234, "not whom the archive says");
    assert_eq!(fs::metadata(out.join("app/run")).unwrap().mtime(), 1_000_000_000);

    let told = dry(job(root.path(), &app()).special_bits());
    assert!(told.reason.ends_with("app/run is not as wanted: mode is 0755, not 4755"), "{}", told.reason);
    assert_eq!(outcome(job(root.path(), &app()).special_bits()), Outcome::Changed);
    assert_eq!(mode("app/run"), 0o4755);

    if !rustix::process::geteuid().is_root() {
        return skipped("root");
    }
    let owned = job(root.path(), &app()).special_bits().owner(4711).group(4712);
    let told = dry(owned.clone());
    assert!(
        told.diff
            .contains("! app/latest is not as wanted: owner is root, not 4711; group is root, not 4712\n"),
        "{}",
        told.diff
    );
    assert_eq!(outcome(owned.clone()), Outcome::Changed);
    assert_eq!(outcome(owned.clone()), Outcome::InPlace);
    for name in ["app", "app/closed/read", "app/latest", "app/other"] {
        let (_, uid, gid) = ids(name);
        assert_eq!((uid, gid), (4711, 4712), "{name}");
    }
    fs::remove_dir_all(&out).unwrap();
    assert_eq!(outcome(owned), Outcome::Changed);
    for name in ["", "app/by", "app/by/the", "app/by/the/way"] {
        let (_, uid, gid) = ids(name);
        assert_eq!((uid, gid), (4711, 4712), "{name}");
    }
}

#[test]
fn each_difference_is_told_and_mended_alone() {
    let root = tempfile::tempdir().unwrap();
    let job = job(root.path(), &app());
    let told = dry(job.clone());
    assert_eq!(told.reason, format!("{}/out does not exist", root.path().display()));
    assert!(told.diff.starts_with("+ app\n+ app/by/the/way\n+ app/closed\n"), "{}", told.diff);
    assert_eq!(outcome(job.clone()), Outcome::Changed);

    let app = root.path().join("out/app");
    let right = tree(&root.path().join("out"), false);
    let inode = |name: &str| fs::symlink_metadata(app.join(name)).unwrap().ino();
    let untouched = [inode("by/the/way"), inode("latest")];
    let start = format!("{0}/out does not match {0}/a.tar: ", root.path().display());
    let mends = |expected: &str| {
        let told = dry(job.clone());
        assert_eq!(told.reason.strip_prefix(&start), Some(expected));
        assert_eq!(outcome(job.clone()), Outcome::Changed, "{expected}");
        assert_eq!(tree(&root.path().join("out"), false), right, "{expected}");
        assert_eq!(outcome(job.clone()), Outcome::InPlace, "{expected}");
    };
    chmod(&app.join("closed"), 0o755);
    fs::write(app.join("closed/read"), "it").unwrap();
    mends("app/closed is not as wanted: mode is 0755, not 0555, app/closed/read has other content");
    fs::write(app.join("closed/read"), "more").unwrap();
    mends("app/closed/read has 4 bytes, not 2");
    chmod(&app.join("closed/read"), 0o600);
    mends("app/closed/read is not as wanted: mode is 0600, not 0644");
    assert_eq!([inode("by/the/way"), inode("latest")], untouched, "what was right is not written again");

    fs::remove_file(app.join("latest")).unwrap();
    mends("app/latest is missing");
    fs::remove_file(app.join("latest")).unwrap();
    symlink("elsewhere", app.join("latest")).unwrap();
    mends("app/latest leads to elsewhere, not closed/read");
    fs::remove_file(app.join("latest")).unwrap();
    fs::write(app.join("latest"), "").unwrap();
    mends("app/latest is a file, not a symbolic link");
    fs::remove_file(app.join("run")).unwrap();
    symlink("/etc/passwd", app.join("run")).unwrap();
    mends("app/other is no other name of app/run, app/run is a symbolic link, not a file");
    fs::remove_file(app.join("other")).unwrap();
    fs::copy(app.join("run"), app.join("other")).unwrap();
    mends("app/other is no other name of app/run");
    // What is in the folder besides is nobody's business here.
    fs::write(app.join("own"), "").unwrap();
    assert_eq!(outcome(job.clone()), Outcome::InPlace);
}

#[test]
fn what_cannot_be_mended_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let app_job = || job_once(root.path(), &app());
    fs::create_dir_all(out.join("app/run")).unwrap();
    app_job();
    let told = refused(root.path(), app_job());
    let shown = root.path().display();
    assert_eq!(
        told,
        format!(
            "could not find out how to unpack {shown}/out/app/run: it is a directory, and has to be no directory; remove it, or `exclude` it"
        )
    );
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("app"), "").unwrap();
    assert!(
        refused(root.path(), app_job())
            .ends_with("out/app: it is a file, and has to be a directory; remove it, or `exclude` it")
    );
    // A link to a directory elsewhere is not followed.
    fs::remove_file(out.join("app")).unwrap();
    fs::create_dir(root.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", out.join("app")).unwrap();
    assert!(refused(root.path(), app_job()).contains("it is a symbolic link, and has to be a directory"));
    fs::remove_file(out.join("app")).unwrap();
    fs::create_dir(out.join("app")).unwrap();
    symlink("../../elsewhere", out.join("app/by")).unwrap();
    assert!(
        refused(root.path(), app_job())
            .ends_with("app/by is there, and no directory; links are not followed")
    );
    assert_eq!(fs::read_dir(root.path().join("elsewhere")).unwrap().count(), 0);
    // The folder itself.
    fs::remove_dir_all(&out).unwrap();
    fs::write(&out, "").unwrap();
    assert!(refused(root.path(), app_job()).ends_with("it is a file; remove it, or choose another path"));
    fs::remove_file(&out).unwrap();
    symlink("nowhere", &out).unwrap();
    assert!(
        refused(root.path(), app_job()).ends_with("it is a symbolic link to something that does not exist")
    );
    // To a directory, it is followed.
    fs::remove_file(&out).unwrap();
    symlink("elsewhere", &out).unwrap();
    assert_eq!(outcome(app_job()), Outcome::Changed);
    assert_eq!(outcome(app_job()), Outcome::InPlace);
    assert!(root.path().join("elsewhere/app/run").exists());
}

#[test]
fn nothing_leaves_the_folder() {
    let bad: Vec<(Vec<Raw>, &str)> = vec![
        (vec![file("ok", ""), file("../evil", "")], "the entry `../evil` would lead out of the folder"),
        (vec![file("a/../../evil", "")], "the entry `a/../../evil` would lead out of the folder"),
        (vec![file("/tmp/evil", "")], "the entry `/tmp/evil` would lead out of the folder"),
        (vec![directory("..", 0o777)], "the entry `..` would lead out of the folder"),
        (
            vec![link("a", "../.."), file("a/evil", "")],
            "the entry `a` is a link to `../..`, out of the folder; allow it with `outside_links`, or `exclude` it",
        ),
        (vec![link("a", "."), file("a/evil", "")], "the entry `a/evil` lies behind the link `a`"),
        (
            vec![raw("a", EntryType::Link, "../a.tar", "")],
            "the entry `../a.tar` would lead out of the folder",
        ),
        (
            vec![raw("a", EntryType::Link, "/etc/passwd", "")],
            "the entry `/etc/passwd` would lead out of the folder",
        ),
        (
            vec![raw("null", EntryType::Char, "", "")],
            "the entry `null` is a device, which is never unpacked; `exclude` it",
        ),
        (
            vec![raw("pipe", EntryType::Fifo, "", "")],
            "the entry `pipe` is a named pipe, which is never unpacked; `exclude` it",
        ),
    ];
    for (entries, why) in bad {
        let root = tempfile::tempdir().unwrap();
        for exists in [false, true] {
            if exists {
                fs::create_dir(root.path().join("out")).unwrap();
            }
            let job = job(root.path(), &entries);
            assert_eq!(refused(root.path(), job), why);
        }
    }
    // Allowed, a link out is made, and still not followed.
    let root = tempfile::tempdir().unwrap();
    let allowed = job(root.path(), &[link("a", "../.."), link("b", "/etc")]).outside_links();
    assert_eq!(outcome(allowed), Outcome::Changed);
    let behind = job(root.path(), &[link("a", "../.."), file("a/evil", "")]).outside_links();
    assert_eq!(refused(root.path(), behind), "the entry `a/evil` lies behind the link `a`");
    // Also when it is from an earlier time, and only what is behind it is in the archive.
    let later = job(root.path(), &[file("a/evil", "")]);
    assert!(
        refused(root.path(), later).ends_with("out/a is there, and no directory; links are not followed")
    );
    // And in a zip.
    if has("python3") {
        let script =
            "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\nz.writestr('../evil', 'x')\n";
        let done = run(Command::new("python3").args(["-c", script]).arg(root.path().join("a.zip")));
        assert!(done.status.success());
        let told = refused(root.path(), Unarchive::new(root.path().join("a.zip"), root.path().join("new")));
        assert_eq!(told, "the entry `../evil` would lead out of the folder");
    }
}

#[test]
fn the_last_entry_of_a_name_counts() {
    let root = tempfile::tempdir().unwrap();
    let entries = || [file("a", "old"), link("b", "a"), file("a", "new"), file("b", "file")];
    assert_eq!(outcome(job(root.path(), &entries())), Outcome::Changed);
    assert_eq!(fs::read_to_string(root.path().join("out/a")).unwrap(), "new");
    assert_eq!(outcome(job(root.path(), &entries())), Outcome::InPlace);
    fs::write(root.path().join("out/c"), "").unwrap();
    chmod(&root.path().join("out/b"), 0o600);
    assert_eq!(outcome(job(root.path(), &entries())), Outcome::Changed);
    assert_eq!(fs::read_to_string(root.path().join("out/a")).unwrap(), "new");
    assert_eq!(fs::read_to_string(root.path().join("out/b")).unwrap(), "file");
}

#[test]
fn bombs_are_not_unpacked() {
    let root = tempfile::tempdir().unwrap();
    let large = job(root.path(), &[raw("a", EntryType::Regular, "", vec![0; 3_000_000])]);
    assert_eq!(refused(root.path(), large.clone().max_size(1_000_000)), "it holds more than 1 MB");
    let many: Vec<Raw> = (0..20).map(|_| file("a", "")).collect();
    let many = job(root.path(), &many);
    assert_eq!(refused(root.path(), many.clone().max_entries(19)), "it holds more than 19 entries");
    assert_eq!(outcome(many.max_entries(20)), Outcome::Changed);

    // 20 MB of zeroes in 20 kB, as a content, as what is behind the end, and as a name.
    let zip = |bytes: Vec<u8>| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&bytes).unwrap();
        fs::write(root.path().join("bomb"), gz.finish().unwrap()).unwrap();
        Unarchive::new(root.path().join("bomb"), root.path().join("new"))
            .max_size("10 MiB".parse::<Size>().unwrap())
    };
    let bomb = zip(tarball(&[raw("a", EntryType::Regular, "", vec![0; 20_000_000])]));
    assert_eq!(refused(root.path(), bomb), "it holds more than 10 MiB");
    let mut padded = tarball(&[file("a", "")]);
    padded.resize(20_000_000, 0);
    assert_eq!(refused(root.path(), zip(padded)), "it holds more than 10 MiB");
    let name = zip(tarball(&[
        raw("././@LongLink", EntryType::GNULongName, "", vec![b'a'; 5_000_000]),
        file("a", ""),
    ]));
    let told = refused(root.path(), name);
    assert!(told.contains("the description of an entry is too long"), "{told}");

    // A size that is not true.
    let mut short = tarball(&[file("a", "")]);
    let mut header = tar::Header::from_byte_slice(&short[..512]).clone();
    header.set_size(1 << 40);
    header.set_cksum();
    short[..512].copy_from_slice(header.as_bytes());
    let untrue = zip(short);
    assert_eq!(refused(root.path(), untrue.clone()), "it holds more than 10 MiB");
    let told = refused(root.path(), untrue.max_size("2 TiB".parse::<Size>().unwrap()));
    assert!(told.starts_with("it is damaged, or no tar.gz archive"), "{told}");
}

#[test]
fn what_is_no_archive_is_named() {
    let root = tempfile::tempdir().unwrap();
    let told = |name: &str| {
        let told = refused(root.path(), Unarchive::new(root.path().join(name), root.path().join("out")));
        told.replace(&root.path().display().to_string(), "ROOT")
    };
    assert_eq!(told("missing"), "could not find out what is in ROOT/missing: there is no such file");
    fs::write(root.path().join("text.tar.gz"), "hello").unwrap();
    assert_eq!(
        told("text.tar.gz"),
        "could not find out what is in ROOT/text.tar.gz: it is no archive that is known: neither tar, tar.gz, tar.xz, tar.zst nor zip"
    );
    fs::create_dir(root.path().join("directory")).unwrap();
    assert_eq!(
        told("directory"),
        "could not find out what is in ROOT/directory: it is a directory, and no file"
    );
    fs::write(root.path().join("empty.tar"), vec![0; 1024]).unwrap();
    assert!(told("empty.tar").contains("it is no archive that is known"));
    symlink("circle", root.path().join("circle")).unwrap();
    assert!(told("circle").contains("lead in a circle"));

    // Cut off, each of them.
    site(root.path());
    for format in FORMATS {
        let archive = root.path().join(format!("site.{format}"));
        assert_eq!(outcome(Archive::new(root.path().join("site"), &archive)), Outcome::Changed);
        let whole = fs::read(&archive).unwrap();
        fs::write(&archive, &whole[..whole.len() - 5]).unwrap();
        assert!(told(&format!("site.{format}")).starts_with("it is damaged, or no"), "{format}");
    }

    let nothing = job(root.path(), &[file("a/b", "")]).strip_components(2);
    assert_eq!(
        refused(root.path(), nothing),
        "there is nothing in it to unpack; is `strip_components` too high, or `exclude` too wide?"
    );
}

#[test]
fn names_that_are_no_text_are_unpacked() {
    let root = tempfile::tempdir().unwrap();
    let name = Raw { name: b"n\xff/f\n\xfe", ..file("", "x") };
    let job = job(root.path(), &[name]);
    assert!(dry(job.clone()).diff.contains("+ n\\xff/f\\n\\xfe\n"));
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert_eq!(outcome(job), Outcome::InPlace);
    assert!(root.path().join("out").join(OsStr::from_bytes(b"n\xff/f\n\xfe")).exists());
}

#[test]
fn wrong_values_are_refused_where_they_are_read() {
    let read = |field: &str, value: serde_json::Value| {
        let mut json = serde_json::json!({"source": "/a.tar", "dest": "/out"});
        json[field] = value;
        serde_json::from_value::<Unarchive>(json).map_err(|error| error.to_string())
    };
    let error = |field: &str, value: serde_json::Value| read(field, value).unwrap_err();
    assert_eq!(read("max_size", "1 GiB".into()), Ok(Unarchive::new("/a.tar", "/out").max_size(1 << 30)));
    assert_eq!(error("source", "".into()), "a path must not be empty");
    assert_eq!(error("source", "/a\0".into()), "a path must not contain a NUL byte");
    assert!(error("dest", "/".into()).starts_with("a path of a file must end with its name"));
    assert!(error("strip_components", (-1).into()).contains("expected u32"));
    assert!(error("exclude", serde_json::json!(["a["])).contains("is no pattern of names"));
    assert!(error("max_size", "much".into()).contains("`much` is not a size such as `10 MiB`"));
    assert!(error("max_entries", "much".into()).contains("expected u64"));
    assert!(error("owner", "".into()).contains("must not be empty"));
    assert!(error("mode", "0644".into()).contains("unknown field `mode`"));
    for wrong in [
        Unarchive::new("", "/out"),
        Unarchive::new("/a.tar", "a\0b"),
        Unarchive::new("/a", "/o").exclude(["["]),
    ] {
        assert!(converge(wrong).failure());
    }
    let schema = serde_json::to_value(schemars::schema_for!(Unarchive)).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["source", "dest"]));
    let small = serde_json::to_string(&Unarchive::new("/a", "/b")).unwrap();
    assert_eq!(small, r#"{"source":"/a","dest":"/b"}"#);
}

#[test]
fn a_user_without_rights_unpacks_what_is_theirs() {
    if !as_nobody("unpack::a_user_without_rights_unpacks_what_is_theirs") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let job = job(root.path(), &app());
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    assert_eq!(outcome(job.clone()), Outcome::InPlace);
    assert_eq!(fs::metadata(root.path().join("out/app/closed")).unwrap().mode() & 0o777, 0o555);
    chmod(&root.path().join("out/app/closed"), 0);
    let told = dry(job.clone());
    assert_eq!(told.outcome, Outcome::CouldNotFindOut, "{}", told.reason);
    chmod(&root.path().join("out/app/closed"), 0o555);
    chmod(&root.path().join("a.tar"), 0);
    assert!(dry(job).reason.contains("run this as a user who may read it, or as root"));
}

#[test]
fn a_directory_that_has_no_entry_is_there_as_wanted_or_not_at_all() {
    if !as_nobody("unpack::a_directory_that_has_no_entry_is_there_as_wanted_or_not_at_all") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    fs::create_dir(&out).unwrap();
    let job = job(root.path(), &[link("by/the/way", "nowhere")]);
    // In its middle it breaks off, since nobody may give away what is theirs.
    let failed = failures(job.clone().owner(4711));
    assert!(failed[1].contains("out/by: failed to give it to 4711:"), "{failed:?}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "the mode of what is there is never looked at");
    assert_eq!(outcome(job), Outcome::Changed);
    let mode = |name: &str| fs::metadata(out.join(name)).unwrap().mode() & 0o7777;
    assert_eq!([mode("by"), mode("by/the")], [0o755, 0o755]);
}

#[test]
fn nothing_is_made_where_there_is_no_directory() {
    let root = tempfile::tempdir().unwrap();
    let path: PathBuf = root.path().join("missing/out");
    let unarchive = Unarchive { dest: path, ..job(root.path(), &app()) };
    let failed = failures(unarchive);
    assert!(
        failed[1].contains("missing does not exist; a `directory` before this one can make it"),
        "{failed:?}"
    );
    let names: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.tar"]);
}
