//! Paths in directories that another user can write to, and what is never removed.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use dojob::Outcome;
use dojob_jobs::{Absent, Archive, AuthorizedKey, Directory, Download, File, Line, Prune, Symlink, Template};
use rustix::fs::{CWD, Mode as RawMode, OFlags, RenameFlags};
use tempfile::TempDir;

use crate::support::*;

const USER: u32 = 12345;

/// A root with a directory `home` of the user's, and `private` of root's with the files `one` and `two`, to which the
/// user's link `home/link` leads. `None` for who is not root.
fn home() -> Option<TempDir> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("private")).unwrap();
    set_mode(&at("private"), 0o700);
    for name in ["one", "two"] {
        fs::write(at("private").join(name), "precious\n").unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        fs::File::open(at("private").join(name)).unwrap().set_modified(old).unwrap();
    }
    fs::create_dir(at("home")).unwrap();
    symlink(at("private"), at("home/link")).unwrap();
    for name in ["home", "home/link"] {
        lchown(at(name), Some(USER), Some(USER)).unwrap();
    }
    Some(root)
}

fn is_untouched(root: &Path) {
    let private = root.join("private");
    assert_eq!(names(&private), ["one", "two"]);
    assert_eq!((mode(&private), fs::metadata(&private).unwrap().uid()), (0o700, 0));
    for name in ["one", "two"] {
        assert_eq!(read(&private.join(name)), "precious\n");
        assert_eq!(fs::metadata(private.join(name)).unwrap().uid(), 0);
    }
}

#[test]
fn a_link_that_another_user_could_have_made_is_not_followed() {
    let Some(root) = home() else { return };
    let link = root.path().join("home/link");
    let at = |name: &str| link.join(name);
    let told = [
        unknown(Absent::new(at("one")), root.path()),
        unknown(File::new(at("one"), "mine"), root.path()),
        unknown(File::any(at("new")), root.path()),
        unknown(Line::new(at("one"), "mine"), root.path()),
        unknown(Template::new(at("one"), "mine"), root.path()),
        unknown(Symlink::new(at("new"), "x"), root.path()),
        unknown(Directory::new(&link).mode(0o755), root.path()),
        unknown(Directory::new(at("new")), root.path()),
        unknown(Directory::new(&link).owner(USER).recursive(), root.path()),
        unknown(Directory::new(&link).purge(["none"]), root.path()),
        unknown(Prune::new(&link).keep(0), root.path()),
        unknown(Archive::new(&link, root.path().join("a.tar.gz")), root.path()),
        unknown(
            Download::new(format!("file://{}", at("one").display()), root.path().join("copy")),
            root.path(),
        ),
        unknown(File::copy(root.path().join("copy"), at("one")), root.path()),
    ];
    for told in told {
        assert!(
            told.contains("ROOT/home/link is a symbolic link that the user 12345 could have created"),
            "{told}"
        );
    }
    for job in [
        converge(File::new(at("one"), "mine")),
        converge(Absent::new(at("one"))),
        converge(Directory::new(&link).purge(["none"])),
        converge(Directory::new(&link).owner(USER).recursive()),
        converge(Prune::new(&link).keep(0)),
        converge(Line::new(at("one"), "mine")),
    ] {
        assert!(!job.success());
    }
    is_untouched(root.path());
}

#[test]
fn a_link_at_the_end_is_followed_no_more_than_one_on_the_way() {
    let Some(root) = home() else { return };
    let link = root.path().join("home/file");
    symlink(root.path().join("private/one"), &link).unwrap();
    for told in [
        unknown(File::new(&link, "mine").follow(), root.path()),
        unknown(Line::new(&link, "mine"), root.path()),
        unknown(AuthorizedKey::in_file(&link, KEY), root.path()),
    ] {
        assert!(told.contains("ROOT/home/file is a symbolic link"), "{told}");
    }
    // Without following it is replaced, as ever.
    assert!(converge(File::new(&link, "mine")).success());
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
    is_untouched(root.path());
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzTjY8yHbfyfGgbqcLYNPpIe0vDiQ0Jkh8Cf4yHdQWn rosa@laptop";

#[test]
fn links_that_nobody_else_could_have_made_go_on_working() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("real/deep")).unwrap();
    symlink("real", at("one")).unwrap();
    symlink(at("one"), at("two")).unwrap();
    symlink("../deep/file", at("real/deep/link")).unwrap();
    assert!(converge(File::new(at("two/deep/file"), "text\n")).success());
    assert!(converge(Line::new(at("two/deep/link"), "more")).success());
    assert_eq!(read(&at("real/deep/file")), "text\nmore\n");
    assert!(converge(Directory::new(at("two/../two/deep")).mode(0o711)).success());
    assert_eq!(mode(&at("real/deep")), 0o711);
    assert!(converge(Prune::new(at("two")).keep(0).recursive()).success());
    assert_eq!(names(&at("real/deep")), ["link"]);
    // What only the system can follow.
    let stdin = Command::new("true").output().map(|_| Path::new("/dev/stdin").exists()).unwrap_or(false);
    assert!(
        !stdin
            || !matches!(
                no_act(File::any("/proc/self/exe").follow()).jobs().last().unwrap().outcome(),
                Outcome::Failed
            )
    );
}

#[test]
fn in_a_sticky_directory_only_ones_own_links_are_followed() {
    let Some(root) = home() else { return };
    let shared = root.path().join("shared");
    fs::create_dir(&shared).unwrap();
    set_mode(&shared, 0o1777);
    symlink(root.path().join("private"), shared.join("own")).unwrap();
    symlink(root.path().join("private"), shared.join("other")).unwrap();
    lchown(shared.join("other"), Some(USER), Some(USER)).unwrap();
    assert!(converge(File::new(shared.join("own/one"), "precious\n")).success());
    let told = unknown(File::new(shared.join("other/one"), "mine"), root.path());
    assert!(told.contains("that anybody could have created"), "{told}");
    set_mode(&shared, 0o777);
    assert!(unknown(File::new(shared.join("own/one"), "mine"), root.path()).contains("anybody"));
    // Who may write as a group, or by an access control list.
    set_mode(&shared, 0o775);
    assert!(converge(File::new(shared.join("own/one"), "precious\n")).success());
    chown(&shared, Some(0), Some(USER)).unwrap();
    assert!(unknown(File::new(shared.join("own/one"), "mine"), root.path()).contains("the group 12345"));
    is_untouched(root.path());
}

#[test]
fn a_file_with_several_names_is_left_alone_where_others_can_write() {
    let Some(root) = home() else { return };
    let name = root.path().join("home/name");
    fs::hard_link(root.path().join("private/one"), &name).unwrap();
    let told = [
        unknown(File::any(&name).owner(USER), root.path()),
        unknown(File::copy(root.path().join("copy"), &name), root.path()),
        unknown(Line::new(&name, "mine"), root.path()),
        unknown(AuthorizedKey::in_file(&name, KEY), root.path()),
    ];
    for told in told {
        assert!(told.contains("it has several names (hard links)"), "{told}");
    }
    let job = Directory::new(root.path().join("home")).owner(USER).recursive();
    let text = failures(&converge(job), root.path());
    assert!(text.contains("failed to change ROOT/home/name: it has several names"), "{text}");
    is_untouched(root.path());
    // A user's own file with two names is nobody else's.
    let root = home().unwrap();
    let own = root.path().join("home/own");
    fs::write(&own, "").unwrap();
    chown(&own, Some(USER), Some(USER)).unwrap();
    fs::hard_link(&own, root.path().join("home/again")).unwrap();
    assert!(converge(File::any(&own).mode(0o600)).success());
    assert!(converge(Directory::new(root.path().join("home")).owner(0).recursive()).success());
}

#[test]
fn rights_of_a_users_program_do_not_go_to_another_user() {
    let Some(root) = home() else { return };
    let program = root.path().join("home/program");
    fs::write(&program, "").unwrap();
    chown(&program, Some(USER), Some(USER)).unwrap();
    set_mode(&program, 0o6755);
    assert!(converge(Directory::new(root.path().join("home")).owner(0).group(0).recursive()).success());
    assert_eq!(mode(&program), 0o755);
    chown(&program, Some(USER), Some(USER)).unwrap();
    set_mode(&program, 0o4755);
    assert!(converge(File::new(&program, "new").owner(0)).success());
    assert_eq!(mode(&program), 0o755);
}

/// Swaps two names again and again as the user, until it is dropped.
struct Swapping(std::process::Child);

impl Drop for Swapping {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SWAPPED: &str = "DOJOB_TEST_SWAPPED";

fn swapping(directory: &Path, names: [&str; 2]) -> Swapping {
    let child = Command::new("setpriv")
        .args(["--reuid=12345", "--regid=12345", "--clear-groups", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["swapped::swaps_until_it_is_ended", "--exact", "--nocapture"])
        .env(SWAPPED, format!("{}\n{}\n{}", directory.display(), names[0], names[1]))
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("setpriv");
    Swapping(child)
}

#[test]
fn swaps_until_it_is_ended() {
    let Ok(what) = std::env::var(SWAPPED) else { return };
    let lines: Vec<&str> = what.lines().collect();
    let [one, two] = [1, 2].map(|index| Path::new(lines[0]).join(lines[index]));
    for _ in 0..2_000_000 {
        if rustix::fs::renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE).is_err() {
            return;
        }
    }
}

/// Runs `job` many times while the user swaps `home/work`, with files named as those of `private`, and `home/link`.
fn while_swapped(job: impl Fn(&Path)) {
    let Some(root) = home() else { return };
    set_mode(root.path(), 0o755);
    let work = root.path().join("home/work");
    fs::create_dir(&work).unwrap();
    chown(&work, Some(USER), Some(USER)).unwrap();
    let opened = fs::File::open(&work).unwrap();
    let _swapping = swapping(&root.path().join("home"), ["work", "link"]);
    // The test program may be out of the user's reach.
    let is_swapped = || fs::symlink_metadata(&work).is_ok_and(|found| found.is_symlink());
    if !(0..5_000_000).any(|_| is_swapped()) {
        eprintln!("skipped: the user {USER} cannot run this program");
        return;
    }
    for _ in 0..150 {
        for name in ["one", "two"] {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&opened, name, flags, RawMode::RUSR).map(drop).unwrap();
        }
        job(root.path());
        is_untouched(root.path());
    }
}

#[test]
fn what_is_swapped_for_a_link_while_it_is_worked_on_is_not_followed() {
    let work = |root: &Path| root.join("home/work");
    while_swapped(|root| {
        converge(File::new(work(root).join("one"), "mine"));
        converge(Line::new(work(root).join("two"), "mine"));
        converge(Directory::new(work(root).join("new")).owner(USER));
        converge(Symlink::new(work(root).join("link"), "x"));
    });
    while_swapped(|root| drop(converge(Directory::new(work(root)).purge(["none"]))));
    while_swapped(|root| drop(converge(Directory::new(work(root)).owner(USER).recursive())));
    while_swapped(|root| drop(converge(Prune::new(work(root)).keep(0).recursive())));
    while_swapped(|root| drop(converge(Absent::new(work(root).join("one")).recursive())));
    while_swapped(|root| {
        let archive = root.join("archive.tar.gz");
        converge(Archive::new(root.join("home"), &archive));
        let packed = Command::new("tar").arg("-xzOf").arg(&archive).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&packed.stdout), "");
        let _ = fs::remove_file(&archive);
    });
}

#[test]
fn what_the_system_needs_is_not_removed_by_any_name() {
    let root = tempfile::tempdir().unwrap();
    for path in
        ["/etc", "/usr", "/var/../etc", "//etc", "/var/lib", "/home", "/proc", "/tmp", "/usr/bin/../lib"]
    {
        let told = [
            unknown(Absent::new(path).recursive(), root.path()),
            unknown(File::new(path, "x").force(), root.path()),
            unknown(Symlink::new(path, "/x").force(), root.path()),
        ];
        for told in told {
            assert!(told.contains("which the system needs") && told.contains("whether"), "{path}: {told}");
        }
    }
    for path in ["/etc", "/var/log/../../usr"] {
        assert!(
            unknown(Directory::new(path).purge(["x"]), root.path()).contains("of which the system"),
            "{path}"
        );
        assert!(unknown(Prune::new(path).keep(1), root.path()).contains("of which the system"), "{path}");
    }
    // A link that has the name of one, such as `/bin`, too.
    if fs::symlink_metadata("/bin").is_ok_and(|found| found.is_symlink()) {
        assert!(unknown(Absent::new("/bin"), root.path()).contains("it is /bin"));
        assert!(unknown(File::new("/bin", "x"), root.path()).contains("it is /bin"));
    }
    // A link to one is only a link.
    symlink("/etc", root.path().join("link")).unwrap();
    assert!(converge(Absent::new(root.path().join("link"))).success());
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn what_this_process_works_in_is_not_removed() {
    let root = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    for path in [here.as_path(), here.parent().unwrap()] {
        let told = unknown(Absent::new(path).recursive(), root.path());
        assert!(told.contains("the working directory") || told.contains("which the system needs"), "{told}");
    }
}

#[test]
fn nothing_is_removed_that_is_or_has_a_mount_point() {
    let Some(root) = home() else { return };
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("tree/below/mounted")).unwrap();
    let mount = Command::new("mount").arg("--bind").args([at("private"), at("tree/below/mounted")]).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        return;
    }
    let told = [
        unknown(Absent::new(at("tree")).recursive(), root.path()),
        unknown(Absent::new(at("tree/below/mounted")).recursive(), root.path()),
        unknown(File::new(at("tree/below"), "x").force(), root.path()),
        unknown(Symlink::new(at("tree"), "x").force(), root.path()),
        unknown(Directory::new(at("tree")).purge(["none"]), root.path()),
    ];
    let pruned = converge(Prune::new(at("tree")).keep(0).recursive());
    let unmounted = Command::new("umount").arg(at("tree/below/mounted")).output();
    assert!(unmounted.is_ok_and(|output| output.status.success()));
    for told in told {
        assert!(told.contains("mount point"), "{told}");
    }
    assert!(pruned.success());
    is_untouched(root.path());
    assert!(converge(Absent::new(at("tree")).recursive()).success());
}

#[test]
fn a_tilde_is_refused_in_every_path() {
    let tilde = |path: &str| serde_json::json!({ "path": path });
    assert!(refused::<Directory>(tilde("~/app")).contains("which is not expanded"));
    assert!(refused::<File>(tilde("~rosa/app")).contains("which is not expanded"));
    assert!(refused::<Absent>(tilde("~")).contains("which is not expanded"));
    let link = serde_json::json!({ "path": "/a", "target": "~/b" });
    assert!(refused::<Symlink>(link).contains("which is not expanded"));
    let key = serde_json::json!({ "path": "~/.ssh/authorized_keys", "key": KEY });
    assert!(refused::<AuthorizedKey>(key).contains("`~` is not expanded"));
}
