//! `Unarchive`, with archives by somebody who means harm, or who has tools that few others have.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use dojob::Outcome;
use dojob_jobs::{Size, Unarchive};
use tar::EntryType;

use super::pack::noise;
use super::small_disk::SmallDisk;
use super::support::{converge, failures, has, outcome, run};
use super::unpack::{Raw, directory, file, job, link, raw, refused, tarball};

/// Of GNU tar, for files with holes.
const HOLES: [&[&str]; 4] = [
    &["--format=gnu"],
    &["--format=posix", "--sparse-version=0.0"],
    &["--format=posix", "--sparse-version=0.1"],
    &["--format=posix", "--sparse-version=1.0"],
];

fn size(text: &str) -> Size {
    text.parse().unwrap()
}

/// A zip archive: lines of a Python program that has it as `z`.
fn zip(root: &Path, lines: &str) -> Unarchive {
    let archive = root.join("a.zip");
    let script = format!(
        "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n\
         def add(name, system, attributes, content=b''):\n \
         i = zipfile.ZipInfo(); i.filename = name; i.create_system = system; i.external_attr = attributes\n \
         z.writestr(i, content)\n{lines}\nz.close()\n"
    );
    let done = run(Command::new("python3").args(["-c", &script]).arg(&archive));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Unarchive::new(archive, root.join("out"))
}

fn mode(path: PathBuf) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn holes_are_unpacked_whatever_format_they_are_in() {
    if !has("tar") {
        return;
    }
    for format in HOLES {
        let root = tempfile::tempdir().unwrap();
        let made = File::create(root.path().join("holes")).unwrap();
        // Enough pieces for headers of their own.
        for piece in 0..40 {
            made.write_all_at(format!("piece {piece}").as_bytes(), piece * 100_000 + 17).unwrap();
        }
        made.set_len(5_000_000).unwrap();
        let empty = File::create(root.path().join("only a hole")).unwrap();
        empty.set_len(1_000_000).unwrap();
        let packed = run(Command::new("tar")
            .args(["--sparse", "-cf", "a.tar"])
            .args(format)
            .args(["holes", "only a hole"])
            .current_dir(root.path()));
        assert!(packed.status.success(), "{format:?}");
        let job = Unarchive::new(root.path().join("a.tar"), root.path().join("out"));
        assert_eq!(refused(root.path(), job.clone().max_size(size("5 MB"))), "it holds more than 5 MB");
        assert_eq!(outcome(job.clone().max_size(size("6 MB"))), Outcome::Changed, "{format:?}");
        for name in ["holes", "only a hole"] {
            let [packed, unpacked] = ["", "out"].map(|at| fs::read(root.path().join(at).join(name)).unwrap());
            assert!(packed == unpacked, "{format:?}: {name}");
        }
        assert_eq!(fs::read_dir(root.path().join("out")).unwrap().count(), 2);
        assert_eq!(outcome(job.clone()), Outcome::InPlace);
        // What is in a hole counts.
        let unpacked = File::options().write(true).open(root.path().join("out/holes")).unwrap();
        unpacked.write_all_at(b"x", 50_000).unwrap();
        assert_eq!(outcome(job.clone()), Outcome::Changed, "{format:?}");
        assert_eq!(outcome(job), Outcome::InPlace);
    }
}

/// A tar archive of one file, which an extended header says more about.
fn extended(records: &[(&str, &str)], kind: EntryType, content: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes()))).unwrap();
    let mut tar = tar.into_inner().unwrap();
    // Without the end that belongs behind the last entry.
    tar.truncate(1024);
    let mut own = tarball(&[raw("made-up", kind, "", content)]);
    tar.append(&mut own);
    tar
}

#[test]
fn a_hole_of_any_length_has_limits() {
    let root = tempfile::tempdir().unwrap();
    let told = |bytes: Vec<u8>| {
        fs::write(root.path().join("a.tar"), bytes).unwrap();
        refused(root.path(), Unarchive::new(root.path().join("a.tar"), root.path().join("out")))
    };
    let huge = "1125899906842624";
    let map = [("GNU.sparse.size", huge), ("GNU.sparse.name", "a"), ("GNU.sparse.map", "0,1")];
    assert_eq!(told(extended(&map, EntryType::Regular, "x")), "it holds more than 16 GiB");
    // The older way: the real size is in the header, and the only piece is empty and lies at the end.
    let mut old = tarball(&[raw("a", EntryType::GNUSparse, "", "")]);
    let mut header = tar::Header::from_byte_slice(&old[..512]).clone();
    header.as_gnu_mut().unwrap().sparse[0].offset.copy_from_slice(b"00777777777\0");
    header.as_gnu_mut().unwrap().sparse[0].numbytes.copy_from_slice(b"00000000000\0");
    header.as_gnu_mut().unwrap().realsize.copy_from_slice(b"00777777777\0");
    header.set_cksum();
    old[..512].copy_from_slice(header.as_bytes());
    fs::write(root.path().join("a.tar"), old).unwrap();
    let job = Unarchive::new(root.path().join("a.tar"), root.path().join("out"));
    assert_eq!(refused(root.path(), job.max_size(size("1 MiB"))), "it holds more than 1 MiB");

    // What contradicts itself, and what would be understood otherwise elsewhere.
    for (records, kind) in [
        (vec![("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,1,0,1")], EntryType::Regular),
        (vec![("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,5")], EntryType::Regular),
        (vec![("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,1")], EntryType::Directory),
        (vec![("SCHILY.realsize", "9")], EntryType::Regular),
        (vec![("path", "a\nb")], EntryType::Regular),
    ] {
        let told = told(extended(&records, kind, "x"));
        assert!(told.starts_with("it is damaged, or no tar archive: "), "{records:?}: {told}");
    }
}

#[test]
fn what_comes_out_counts_and_not_what_is_around_it() {
    let root = tempfile::tempdir().unwrap();
    let entries = [directory("d", 0o755), file("d/a", "12345"), file("d/b", "67890"), link("d/c", "a")];
    assert_eq!(
        refused(root.path(), job(root.path(), &entries).max_size(Size::bytes(9))),
        "it holds more than 9 B"
    );
    assert_eq!(outcome(job(root.path(), &entries).max_size(Size::bytes(10))), Outcome::Changed);
}

#[test]
fn what_no_try_can_unpack_is_tried_once() {
    let bad: Vec<Vec<Raw>> = vec![
        vec![file("../evil", "")],
        vec![raw("b", EntryType::Link, "a", "")],
        vec![file("a", ""), file("a/b", "")],
        vec![file("a", "1"), raw("b", EntryType::Link, "a", ""), file("a", "2")],
        vec![file("d/a", ""), file("d", "")],
        vec![link("d", "e"), directory("d", 0o755)],
    ];
    for entries in bad {
        let root = tempfile::tempdir().unwrap();
        let job = job(root.path(), &entries);
        refused(root.path(), job.clone());
        assert_eq!(converge(job).jobs().next().unwrap().tries(), 1);
    }
    let root = tempfile::tempdir().unwrap();
    let large = job(root.path(), &[file("a", "12345")]).max_size(Size::bytes(1));
    assert_eq!(converge(large).jobs().next().unwrap().tries(), 1);
}

#[test]
fn a_hard_link_puts_no_link_where_it_leads_out() {
    let root = tempfile::tempdir().unwrap();
    let hard = |name, target| raw(name, EntryType::Link, target, "");
    let entries = || [link("x/y/a", "../.."), hard("b", "x/y/a")];
    let why = "the entry `b` is a link to `../..`, out of the folder; allow it with `outside_links`, or `exclude` it";
    assert_eq!(refused(root.path(), job(root.path(), &entries())), why);
    // A link that an earlier archive has brought is not in this one.
    assert_eq!(outcome(job(root.path(), &[link("x/y/a", "../..")])), Outcome::Changed);
    assert_eq!(
        refused(root.path(), job(root.path(), &[hard("b", "x/y/a")])),
        "the entry `b` is a hard link to `x/y/a`, and no file of that name comes before it in the archive"
    );
    assert_eq!(outcome(job(root.path(), &entries()).outside_links()), Outcome::Changed);
    assert_eq!(outcome(job(root.path(), &entries()).outside_links()), Outcome::InPlace);
    // At the same depth it leads to the same place.
    let root = tempfile::tempdir().unwrap();
    let same = || job(root.path(), &[link("x/y/a", "../.."), hard("x/y/b", "x/y/a")]);
    assert_eq!(outcome(same()), Outcome::Changed);
    assert_eq!(outcome(same()), Outcome::InPlace);
    assert_eq!(fs::read_link(root.path().join("out/x/y/b")).unwrap(), Path::new("../.."));
}

#[test]
fn permissions_in_a_zip_are_taken_from_a_unix_alone() {
    if !has("python3") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let job = zip(
        root.path(),
        "add('dos', 0, 0x20)\nadd('read-only', 0, 0x21)\nadd('dir/', 0, 0x10)\nadd('nt', 10, 0o100666 << 16)\n\
         add('back\\\\slash', 0, 0)\nadd('python', 0, 0o100666 << 16)\n\
         add('unix', 3, 0o100640 << 16)\nadd('bare', 3, 0o640 << 16)\nadd('none', 3, 0x20)\n\
         add('setuid', 3, 0o104755 << 16)\nadd('link', 3, 0o120777 << 16, b'unix')\nadd('d', 3, 0o040700 << 16)",
    );
    assert_eq!(outcome(job.clone()), Outcome::Changed);
    let out = root.path().join("out");
    for name in ["dos", "read-only", "nt", "back/slash", "python", "none"] {
        assert_eq!(mode(out.join(name)), 0o644, "{name}");
    }
    assert_eq!([mode(out.join("dir")), mode(out.join("back"))], [0o755, 0o755]);
    assert_eq!([mode(out.join("unix")), mode(out.join("bare"))], [0o640, 0o640]);
    assert_eq!([mode(out.join("setuid")), mode(out.join("d"))], [0o755, 0o700]);
    assert!(out.join("d").is_dir());
    assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("unix"));
    assert_eq!(outcome(job.clone()), Outcome::InPlace);
    assert_eq!(outcome(job.clone().special_bits()), Outcome::Changed);
    assert_eq!(mode(out.join("setuid")), 0o4755);
    assert_eq!(outcome(job.special_bits()), Outcome::InPlace);
}

#[test]
fn what_a_zip_may_not_hold_is_named() {
    if !has("python3") {
        return;
    }
    for (lines, why) in [
        (
            "add('dev', 3, 0o020666 << 16)",
            "the entry `dev` is a device, which is never unpacked; `exclude` it",
        ),
        (
            "add('disk', 3, 0o060666 << 16)",
            "the entry `disk` is a device, which is never unpacked; `exclude` it",
        ),
        (
            "add('pipe', 3, 0o010666 << 16)",
            "the entry `pipe` is a named pipe, which is never unpacked; `exclude` it",
        ),
        (
            "add('sock', 3, 0o140666 << 16)",
            "the entry `sock` is a socket, which is never unpacked; `exclude` it",
        ),
        ("add('..\\\\x', 0, 0)", "the entry `../x` would lead out of the folder"),
        ("add('\\\\x', 10, 0)", "the entry `/x` would lead out of the folder"),
        (
            "add('l', 3, 0o120777 << 16, b'../..')",
            "the entry `l` is a link to `../..`, out of the folder; allow it with `outside_links`, or `exclude` it",
        ),
        (
            "add('l', 3, 0o120777 << 16, b'a' * 4097)",
            "the entry `l` is a link to nothing that a link can lead to",
        ),
        ("add('l', 3, 0o120777 << 16)", "the entry `l` is a link to nothing that a link can lead to"),
        (
            "add('a', 3, 0)\nadd('a/', 3, 0)",
            "the entry `a/` is there as a directory and as something else; `exclude` it",
        ),
        ("add('l', 3, 0o120777 << 16, b'.')\nadd('l/x', 3, 0)", "the entry `l/x` lies behind the link `l`"),
    ] {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(refused(root.path(), zip(root.path(), lines)), why);
    }
}

#[test]
fn a_full_disk_leaves_the_folder_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let small = root.path().join("small");
    let Some(_disk) = SmallDisk::at(&small) else { return };
    let large = tarball(&[file("a", "new"), raw("noise", EntryType::Regular, "", noise(300_000))]);
    fs::write(root.path().join("large.tar"), large).unwrap();
    let unarchive = |dest: &str| Unarchive::new(root.path().join("large.tar"), small.join(dest));
    let failed = failures(unarchive("new"));
    assert!(failed[1].contains("failed to unpack noise: No space left on device"), "{failed:?}");
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    fs::create_dir(small.join("old")).unwrap();
    fs::write(small.join("old/a"), "old").unwrap();
    assert!(failures(unarchive("old"))[1].contains("No space left on device"));
    assert_eq!(fs::read_to_string(small.join("old/a")).unwrap(), "old");
    assert_eq!(fs::read_dir(small.join("old")).unwrap().count(), 1);

    // Another file system in the folder.
    fs::write(root.path().join("b.tar"), tarball(&[file("small/a", "x")])).unwrap();
    let across = Unarchive::new(root.path().join("b.tar"), root.path());
    let failed = failures(across);
    assert!(
        failed[1].contains(
            "small/a in its place: it is on another file system than the folder; `exclude` it here"
        ),
        "{failed:?}"
    );
}
