use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use dojob::{IntoJob, Outcome};
use dojob_jobs::File;
use serde_json::json;

use crate::support::*;

#[test]
fn a_file_is_made() {
    let root = prove(|_| {}, |root| File::new(root.join("motd"), "Hi\n").mode(0o640).into_job());
    assert_eq!(read(&root.path().join("motd")), "Hi\n");
    assert_eq!(mode(&root.path().join("motd")), 0o640);
    assert_eq!(names(root.path()), ["motd"]);
}

#[test]
fn a_file_is_replaced_and_keeps_its_mode() {
    let prepare = |root: &Path| {
        fs::write(root.join("motd"), "Old\n").unwrap();
        set_mode(&root.join("motd"), 0o604);
    };
    let root = prove(prepare, |root| File::new(root.join("motd"), "Hi\n").into_job());
    assert_eq!((read(&root.path().join("motd")).as_str(), mode(&root.path().join("motd"))), ("Hi\n", 0o604));
}

#[test]
fn a_file_that_may_say_anything_is_only_made() {
    let root = prove(|_| {}, |root| File::any(root.join("log")).mode(0o600).into_job());
    assert_eq!((read(&root.path().join("log")).as_str(), mode(&root.path().join("log"))), ("", 0o600));
    fs::write(root.path().join("log"), "a line\n").unwrap();
    assert_eq!(converge(File::any(root.path().join("log"))).counts().in_place, 1);
}

#[test]
fn what_would_be_done_is_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("motd");
    let job = || File::new(&path, "Hi\n").mode(0o644);
    assert_eq!(
        would(job(), root.path()),
        (
            "ROOT/motd does not exist".into(),
            "--- ROOT/motd\n+++ ROOT/motd (wanted)\n@@ -0,0 +1 @@\n+Hi\n".into()
        )
    );
    fs::write(&path, "Ho\n").unwrap();
    set_mode(&path, 0o600);
    assert_eq!(
        would(job(), root.path()),
        (
            "ROOT/motd differs; mode is 0600, not 0644".into(),
            "--- ROOT/motd\n+++ ROOT/motd (wanted)\n@@ -1 +1 @@\n-Ho\n+Hi\n".into()
        )
    );
    fs::write(&path, "Hi\n").unwrap();
    assert_eq!(would(job(), root.path()), ("mode is 0600, not 0644".into(), String::new()));
    fs::write(&path, b"a\0").unwrap();
    let (reason, diff) = would(job(), root.path());
    assert_eq!(reason, "ROOT/motd differs; mode is 0600, not 0644");
    assert_eq!(
        diff,
        "2 bytes, sha256 ffe9aaeaa2a2d5048174df0b80599ef0197ec024c4b051bc9860cff58ef7f9f3 -> 3 bytes, sha256 \
         c01a4cfa25cb895cdd0bb25181ba9c1622e93895a6de6f533a7299f70d6b0cfb"
    );
    let below = File::new(root.path().join("none/motd"), "");
    assert_eq!(
        would(below, root.path()).0,
        "ROOT/none/motd does not exist, nor does the directory ROOT/none"
    );
}

#[test]
fn a_mode_alone_is_set_in_place() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("motd");
    fs::write(&path, "Hi\n").unwrap();
    set_mode(&path, 0o600);
    let number = fs::metadata(&path).unwrap().ino();
    assert!(converge(File::new(&path, "Hi\n").mode(0o4755)).success());
    assert_eq!((mode(&path), fs::metadata(&path).unwrap().ino()), (0o4755, number));
}

#[test]
fn an_owner_alone_is_set_and_takes_no_bits_away() {
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("tool");
    fs::write(&path, "Hi\n").unwrap();
    set_mode(&path, 0o4755);
    let job = || File::new(&path, "Hi\n").owner(65534).group("nogroup");
    assert_eq!(would(job(), root.path()).0, "owner is root, not nobody; group is root, not nogroup");
    assert!(converge(job()).success());
    assert_eq!(mode(&path), 0o4755);
    assert!(converge(File::new(&path, "Ho\n")).success());
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.uid(), meta.gid(), mode(&path)), (65534, 65534, 0o4755), "all is kept");
}

#[test]
fn a_source_is_copied() {
    for size in [3, 100_000, 3_000_000] {
        let prepare = move |root: &Path| fs::write(root.join("from"), vec![b'x'; size]).unwrap();
        let root = prove(prepare, |root| File::copy(root.join("to"), root.join("from")).into_job());
        assert_eq!(fs::read(root.path().join("to")).unwrap(), vec![b'x'; size]);
        let mut other = vec![b'x'; size];
        other[size - 1] = b'y';
        fs::write(root.path().join("to"), &other).unwrap();
        let job = || File::copy(root.path().join("to"), root.path().join("from"));
        assert_eq!(would(job(), root.path()).0, "ROOT/to differs");
        assert!(converge(job()).success());
        assert_eq!(fs::read(root.path().join("to")).unwrap(), vec![b'x'; size]);
    }
}

#[test]
fn a_source_that_is_missing_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let job = |from: &str| File::copy(root.path().join("to"), root.path().join(from));
    assert_eq!(
        unknown(job("none"), root.path()),
        "could not find out what ROOT/to is to say: there is no ROOT/none to copy"
    );
    assert_eq!(
        unknown(job("."), root.path()),
        "could not find out what ROOT/to is to say: ROOT/. is a directory, not a file"
    );
}

#[test]
fn a_link_is_replaced_or_followed() {
    let root = tempfile::tempdir().unwrap();
    let [target, link] = ["target", "link"].map(|name| root.path().join(name));
    fs::write(&target, "Old\n").unwrap();
    symlink("target", &link).unwrap();
    assert!(would(File::new(&link, "Hi\n").follow(), root.path()).1.contains("-Old\n+Hi\n"));
    assert!(converge(File::new(&link, "Hi\n").follow()).success());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&target), "Hi\n");

    let job = || File::new(&link, "Hi\n");
    assert_eq!(would(job(), root.path()).0, "ROOT/link is a symbolic link to target, not a file");
    assert!(converge(job()).success());
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    assert_eq!(names(root.path()), ["link", "target"]);
}

#[test]
fn a_link_to_nothing_is_followed_to_what_it_leads_to() {
    let prepare = |root: &Path| symlink("target", root.join("link")).unwrap();
    let root = prove(prepare, |root| File::new(root.join("link"), "Hi\n").follow().into_job());
    assert_eq!(read(&root.path().join("target")), "Hi\n");
}

#[test]
fn a_circle_of_links_is_told() {
    let root = tempfile::tempdir().unwrap();
    symlink("loop", root.path().join("loop")).unwrap();
    let reason = "could not find out what ROOT/loop/motd is (its symbolic links lead in a circle): Too many \
                  levels of symbolic links (os error 40)";
    assert_eq!(unknown(File::new(root.path().join("loop/motd"), ""), root.path()), reason);
    assert!(unknown(File::new(root.path().join("loop"), "").follow(), root.path()).contains("in a circle"));
    assert!(converge(File::new(root.path().join("loop"), "Hi\n")).success());
}

#[test]
fn what_is_in_the_way_is_removed_only_by_force() {
    let prepare = |root: &Path| {
        fs::create_dir_all(root.join("motd/below")).unwrap();
        fs::write(root.join("motd/below/file"), "").unwrap();
    };
    let root = prove(prepare, |root| File::new(root.join("motd"), "Hi\n").force().into_job());
    assert_eq!(names(root.path()), ["motd"]);

    let directory = root.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let text = failed(File::new(&directory, "Hi\n"), root.path());
    assert!(text.contains("ROOT/directory is a directory, not a file; `force` would remove it"), "{text}");

    let socket = root.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let text = failed(File::new(&socket, "Hi\n"), root.path());
    assert!(text.contains("ROOT/socket is a socket, not a file; `force` would remove it"), "{text}");
    assert!(converge(File::new(&socket, "Hi\n").force()).success());
    assert_eq!(read(&socket), "Hi\n");
}

#[test]
fn the_old_file_is_kept_once() {
    let prepare = |root: &Path| {
        fs::write(root.join("motd"), "One\n").unwrap();
        set_mode(&root.join("motd"), 0o600);
    };
    let root = prove(prepare, |root| File::new(root.join("motd"), "Two\n").backup().into_job());
    let [path, kept] = ["motd", "motd.dojob-old"].map(|name| root.path().join(name));
    assert_eq!((read(&path).as_str(), read(&kept).as_str(), mode(&kept)), ("Two\n", "One\n", 0o600));
    assert!(converge(File::new(&path, "Three\n").backup()).success());
    assert_eq!((read(&path).as_str(), read(&kept).as_str()), ("Three\n", "Two\n"));
    // Interrupted between keeping and replacing: both are one file.
    fs::remove_file(&kept).unwrap();
    fs::hard_link(&path, &kept).unwrap();
    assert!(converge(File::new(&path, "Four\n").backup()).success());
    assert_eq!((read(&path).as_str(), read(&kept).as_str()), ("Four\n", "Three\n"));
    // A mode alone is not worth a backup.
    assert!(converge(File::new(&path, "Four\n").backup().mode(0o640)).success());
    assert_eq!(read(&kept), "Three\n");
    assert_eq!(names(root.path()), ["motd", "motd.dojob-old"]);
}

#[test]
fn a_secret_is_not_shown() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("key");
    fs::write(&path, "old swordfish").unwrap();
    let job = || File::secret(&path, "hunter2".to_owned());
    assert_eq!(would(job(), root.path()), ("ROOT/key differs".into(), String::new()));
    assert!(!format!("{:?}", job()).contains("hunter2"));
    assert!(converge(job()).success());
    assert_eq!(read(&path), "hunter2");
    let hidden = File::new(&path, "confidential").hide();
    assert_eq!(would(hidden, root.path()), ("ROOT/key differs".into(), String::new()));
}

#[test]
fn a_path_need_not_be_a_text() {
    prove(|_| {}, |root| File::new(root.join(OsStr::from_bytes(b"not-a-text-\xff")), "Hi\n").into_job());
}

#[test]
fn what_cannot_be_is_refused_when_read() {
    let file = |value| refused::<File>(value);
    assert_eq!(file(json!({ "content": "" })), "missing field `path`");
    assert_eq!(file(json!({ "path": "" })), "a path must not be empty");
    assert_eq!(file(json!({ "path": "/a\0b" })), "a path must not contain a NUL byte");
    assert_eq!(
        file(json!({ "path": "/etc/" })),
        "a path of a file must end with its name, not with `/`, `.` or `..`"
    );
    assert_eq!(
        file(json!({ "path": "/a", "content": "", "source": "/b" })),
        "only one of `content`, `secret` and `source` can be given"
    );
    assert_eq!(file(json!({ "path": "/a", "source": "" })), "a path must not be empty");
    assert_eq!(
        file(json!({ "path": "/a", "mode": "rw" })),
        "`rw` is no mode: write three or four octal digits, such as `0644` or `0755`"
    );
    assert_eq!(
        file(json!({ "path": "/a", "mode": 644 })),
        "the mode 644 may be octal or not: write it in quotes, such as \"0644\""
    );
    assert!(file(json!({ "path": "/a", "owner": "" })).starts_with("it must not be empty"));
    assert!(
        file(json!({ "path": "/a", "modes": "0644" })).starts_with("unknown field `modes`, expected one of")
    );
    for field in ["content", "secret", "source", "owner", "group", "backup", "follow", "force", "hide"] {
        let text = file(json!({ "path": "/a", field: [1] }));
        assert!(text.starts_with("invalid type: sequence"), "{field}: {text}");
    }
}

#[test]
fn what_cannot_be_is_an_error_in_rust_too() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("motd");
    for (job, wanted) in [
        (File::new("", ""), "a path must not be empty"),
        (File::new("a\0b", ""), "a path must not contain a NUL byte"),
        (File::new("/", ""), "a path of a file must end with its name"),
        (File { source: Some("/a".into()), ..File::new(&path, "") }, "only one of"),
        (File::new(&path, "").mode(0o100_644), "`100644` is no mode"),
        (File::new(&path, "").owner("nobody-has-this-name"), "there is no user `nobody-has-this-name`"),
        (File::new(&path, "").group("nobody-has-this-name"), "there is no group `nobody-has-this-name`"),
        (File::new(&path, "").owner(u32::MAX), "4294967295 is the number of no user"),
    ] {
        let text = failed(job, root.path());
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn a_job_is_written_as_it_is_read() {
    let job = File::new("/etc/motd", "Hi\n").mode(0o644).owner("root").backup();
    let value = serde_json::to_value(&job).unwrap();
    assert_eq!(
        value,
        json!({
            "path": "/etc/motd", "content": "Hi\n", "mode": "0644", "owner": "root",
            "backup": true, "follow": false, "force": false, "hide": false,
        })
    );
    assert_eq!(serde_json::from_value::<File>(value).unwrap(), job);
    check_schema::<File>("File", &["path"]);
}

#[test]
fn without_rights_nothing_is_claimed() {
    if let Some(root) = as_nobody() {
        let closed = unknown(File::new(root.join("closed/motd"), "Hi\n"), &root);
        assert_eq!(
            closed,
            "could not find out what ROOT/closed/motd is (run this as a user who may read it, or as root): \
             Permission denied (os error 13)"
        );
        assert!(unknown(File::new(root.join("unreadable"), "Hi\n"), &root).contains("run this as a user"));
        let told = told(&converge(File::new(root.join("foreign"), "Hi\n")), &root);
        assert_eq!(told.outcome, Outcome::Failed);
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    set_mode(root.path(), 0o755);
    fs::create_dir(root.path().join("closed")).unwrap();
    set_mode(&root.path().join("closed"), 0o700);
    fs::write(root.path().join("unreadable"), "").unwrap();
    set_mode(&root.path().join("unreadable"), 0o600);
    fs::write(root.path().join("foreign"), "").unwrap();
    let before = tree(root.path());
    run_as_nobody("file::without_rights_nothing_is_claimed", root.path());
    assert_eq!(tree(root.path()), before);
}

#[test]
fn somebody_elses_file_is_not_taken_over() {
    if let Some(root) = as_nobody() {
        // We may replace it, the directory being ours, but not give it back.
        let report = converge(File::new(root.join("motd"), "Hi\n"));
        let text = failures(&report, &root);
        assert!(text.contains("failed to give it to root:root"), "{text}");
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("motd"), "Old\n").unwrap();
    chown(root.path(), Some(65534), Some(65534)).unwrap();
    run_as_nobody("file::somebody_elses_file_is_not_taken_over", root.path());
    assert_eq!((read(&root.path().join("motd")).as_str(), names(root.path()).len()), ("Old\n", 1));
}

#[test]
fn a_command_that_changes_the_new_file_does_not_accept_it() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "old\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for change in [
        "sed -i s/new/other/ $0",
        "echo >> $0",
        "chmod 644 $0",
        "rm $0",
        "cp $0 $0.x; mv $0.x $0",
        "touch $0.x",
    ] {
        let job = File::new(&path, "new\n").validated_by(["sh", "-c", change, "{}"]);
        let report = converge(job);
        for left in names(root.path()).iter().filter(|name| name.ends_with(".x")) {
            fs::remove_file(root.path().join(left)).unwrap();
        }
        if change.starts_with("touch") {
            assert!(report.success(), "a file beside it is no change of it");
            continue;
        }
        let text = failures(&report, root.path());
        assert!(
            text.contains(
                "the new file is not accepted: `sh` changed the new file, which it is to look at only"
            ),
            "{change}: {text}"
        );
        assert_eq!((read(&path).as_str(), names(root.path()).len()), ("old\n", 1), "{change}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
}

#[test]
fn a_source_whose_size_is_not_told_is_copied_once() {
    let root = tempfile::tempdir().unwrap();
    for source in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(content) = fs::read_to_string(source) else { continue };
        let path = root.path().join("file");
        assert!(converge(File::copy(&path, source)).success(), "{source}");
        assert_eq!(read(&path), content);
        assert_eq!(converge(File::copy(&path, source)).counts().in_place, 1, "{source}");
        fs::write(&path, content[1..].to_owned() + "x").unwrap();
        assert_eq!(would(File::copy(&path, source), root.path()).0, "ROOT/file differs");
        fs::remove_file(&path).unwrap();
    }
    let version = fs::read_to_string("/proc/version").unwrap();
    assert_eq!(converge(File::new("/proc/version", version)).counts().in_place, 1, "nor that of a target");
}

#[test]
fn a_file_that_is_not_accepted_stays_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("sudoers");
    fs::write(&path, "good\n").unwrap();
    let job = |content: &str| File::new(&path, content).validated_by(["grep", "-q", "good", "{}"]);
    let text = failures(&converge(job("bad\n")), root.path());
    assert!(
        text.contains("run: failed to write ROOT/sudoers: the new file is not accepted: `grep -q good "),
        "{text}"
    );
    assert_eq!((read(&path).as_str(), names(root.path()).len()), ("good\n", 1));
    assert!(converge(job("very good\n")).success());
    assert_eq!(read(&path), "very good\n");
    let text = failures(&converge(File::new(&path, "").validated_by(["no-such-program", "{}"])), root.path());
    assert!(text.contains("the new file is not accepted: failed to run `no-such-program "), "{text}");
    assert_eq!(
        refused::<File>(json!({ "path": "/a", "validate": ["visudo"] })),
        "`validate` needs an argument with `{}`, which stands for the new file"
    );
    assert!(
        refused::<File>(json!({ "path": "/a", "validate": "visudo {}" })).starts_with("invalid type: string")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_access_control_list_stays_with_the_name() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    use rustix::io::Errno;

    const ACL: &str = "system.posix_acl_access";
    // As the kernel takes it: the owner, user 65534, the group, the mask and all others, each with rights and number.
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 4, 65534), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend(tag.to_le_bytes().into_iter().chain(rights.to_le_bytes()).chain(id.to_le_bytes()));
    }
    let found = |path: &Path| {
        let mut buffer = vec![0; 1000];
        getxattr(path, ACL, &mut buffer[..]).map(|length| buffer[..length].to_vec())
    };

    let root = tempfile::tempdir().unwrap();
    let [with, without] = ["with", "without"].map(|name| root.path().join(name));
    for path in [&with, &without] {
        fs::write(path, "old").unwrap();
    }
    if setxattr(&with, ACL, &list, XattrFlags::empty()) == Err(Errno::OPNOTSUPP) {
        return; // A file system without such lists.
    }
    setxattr(root.path(), "system.posix_acl_default", &list, XattrFlags::empty()).unwrap();
    assert!(converge(File::new(&with, "new")).success());
    assert_eq!(found(&with).unwrap(), list);
    assert!(converge(File::new(&without, "new")).success());
    assert_eq!(found(&without), Err(Errno::NODATA));
    assert_eq!((mode(&with), mode(&without)), (0o640, 0o644));
}

#[cfg(target_os = "linux")]
#[test]
fn a_huge_file_needs_little_memory() {
    const SIZE: u64 = 150 * 1024 * 1024;
    if let Some(root) = as_nobody() {
        let [from, to] = ["from", "to"].map(|name| root.join(name));
        fs::File::create(&from).unwrap().set_len(SIZE).unwrap();
        assert!(converge(File::copy(&to, &from)).success());
        assert_eq!(fs::metadata(&to).unwrap().len(), SIZE);
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes < 60 * 1024, "{kilobytes} kB");
        return;
    }
    if !is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    set_mode(root.path(), 0o777);
    run_as_nobody("file::a_huge_file_needs_little_memory", root.path());
}

#[test]
fn what_would_fail_in_the_same_way_again_is_tried_once() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("text"), "a\na\n").unwrap();
    fs::create_dir(at("directory")).unwrap();
    let tries = |report: dojob::Report| report.jobs().last().unwrap().tries();
    assert_eq!(tries(converge(File::new(at("new"), "x").validated_by(["false", "{}"]))), 1);
    assert_eq!(tries(converge(File::new(at("missing/new"), "x"))), 1);
    assert_eq!(tries(converge(File::copy(at("new"), at("directory/nothing")))), 1);
    assert_eq!(tries(converge(File::new(at("directory"), "x"))), 1);
    assert_eq!(tries(converge(dojob_jobs::Line::new(at("missing"), "x"))), 1);
    assert_eq!(tries(converge(dojob_jobs::Line::new(at("text"), "b").regex("a"))), 1);
}
