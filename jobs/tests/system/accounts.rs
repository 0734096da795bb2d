//! Users and groups, by the real tools, in a tree of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use dojob::testing::Proof;
use dojob::{Engine, Outcome, deps};
use dojob_jobs::{Group, Presence, User};
use tempfile::TempDir;

use crate::chroot::run;
use crate::tree::{content, converge, ended, is_root, no_act, prove, read, tree, write};

const HASH: &str = "$6$salt$hash";

/// The least that the tools need.
fn machine() -> TempDir {
    let tree = tree(&[
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/group", "root:x:0:\nadm:x:4:\nusers:x:100:\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("etc/gshadow", "root:*::\nadm:*::\nusers:*::\n"),
        (
            "etc/login.defs",
            "USERGROUPS_ENAB yes\nHOME_MODE 0750\nUID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\n",
        ),
        ("etc/skel/.profile", "umask 022\n"),
        ("etc/skel/bin/hello", "#!/bin/sh\necho hello\n"),
    ]);
    fs::set_permissions(tree.path().join("etc/shadow"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(tree.path().join("etc/skel/bin/hello"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("bin/hello", tree.path().join("etc/skel/hi")).unwrap();
    tree
}

fn machine_with_rosa() -> TempDir {
    let tree = machine();
    let report = converge(User::new("rosa").groups(["adm"]).root(tree.path()));
    assert!(report.success(), "{:?}", ended(&report));
    tree
}

fn line(root: &Path, file: &str, name: &str) -> String {
    let text = read(root, file);
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap_or_default().to_owned()
}

/// A proof in a tree beside the directory that is compared: the tools leave copies of old files, and locks when they are
/// killed, which are not the job's business. What matters is compared by this.
fn accounts_of(root: &Path) -> String {
    let root = beside(root);
    let text = |file: &str| {
        let mut lines: Vec<String> = read(&root, file).lines().map(str::to_owned).collect();
        lines.sort();
        lines.join("\n")
    };
    // Not `gshadow`, which a killed tool leaves behind the others, and which nobody misses but `grpck`.
    let files = ["etc/passwd", "etc/group", "etc/shadow"].map(text);
    let home = root.join("home");
    let homes = if home.exists() { format!("{:#?}", content(&home)) } else { String::new() };
    format!("{}\n{homes}", files.join("\n"))
}

fn beside(root: &Path) -> std::path::PathBuf {
    root.with_file_name("tree")
}

/// Makes that tree anew.
fn anew(machine: fn() -> TempDir) -> impl Fn(&Path) {
    move |root| {
        let made = machine();
        run("cp", ["-a", made.path().join(".").to_str().unwrap(), beside(root).to_str().unwrap()]);
    }
}

#[test]
fn a_user_survives_kills() {
    if !is_root("a_user_survives_kills") {
        return;
    }
    let rosa = |root: &Path| User::new("rosa").groups(["adm"]).password_hash(HASH).root(beside(root));
    Proof::new(rosa).prepare(anew(machine)).look(accounts_of).instants(8).prove();
}

#[test]
fn a_change_of_a_user_survives_kills() {
    if !is_root("a_change_of_a_user_survives_kills") {
        return;
    }
    let rosa = |root: &Path| {
        User::new("rosa").shell("/bin/dash").groups(["users"]).password_hash(HASH).root(beside(root))
    };
    Proof::new(rosa).prepare(anew(machine_with_rosa)).look(accounts_of).instants(8).prove();
}

#[test]
fn a_removal_of_a_user_survives_kills() {
    if !is_root("a_removal_of_a_user_survives_kills") {
        return;
    }
    let rosa = |root: &Path| User::new("rosa").state(Presence::Absent).remove_home(true).root(beside(root));
    Proof::new(rosa).prepare(anew(machine_with_rosa)).look(accounts_of).instants(8).prove();
}

#[test]
fn a_group_survives_kills() {
    if !is_root("a_group_survives_kills") {
        return;
    }
    let web = |root: &Path| Group::new("web").gid(4000).root(beside(root));
    Proof::new(web).prepare(anew(machine)).look(accounts_of).instants(8).prove();
}

#[test]
fn a_group_is_proved() {
    if !is_root("a_group_is_proved") {
        return;
    }
    let tree = prove(machine, |root| Group::new("web").gid(4000).root(root));
    assert_eq!(line(tree.path(), "etc/group", "web"), "web:x:4000:");
    let tree = prove(machine, |root| Group::new("users").gid(101).root(root));
    assert_eq!(line(tree.path(), "etc/group", "users"), "users:x:101:");
    let tree = prove(machine, |root| Group::new("users").state(Presence::Absent).root(root));
    assert_eq!(line(tree.path(), "etc/group", "users"), "");
}

#[test]
fn a_user_is_proved() {
    if !is_root("a_user_is_proved") {
        return;
    }
    let tree = prove(machine, |root| {
        let rosa = User::new("rosa").uid(1234).group("users").groups(["adm"]).shell("/bin/sh");
        rosa.comment("Rosa L.").password_hash(HASH).root(root)
    });
    let root = tree.path();
    assert_eq!(line(root, "etc/passwd", "rosa"), "rosa:x:1234:100:Rosa L.:/home/rosa:/bin/sh");
    assert_eq!(line(root, "etc/group", "adm"), "adm:x:4:rosa");
    assert!(line(root, "etc/shadow", "rosa").starts_with("rosa:$6$salt$hash:"));

    let home = fs::metadata(root.join("home/rosa")).unwrap();
    assert_eq!((home.mode() & 0o7777, home.uid(), home.gid()), (0o750, 1234, 100));
    assert_eq!(read(root, "home/rosa/.profile"), "umask 022\n");
    let hello = fs::metadata(root.join("home/rosa/bin/hello")).unwrap();
    assert_eq!((hello.mode() & 0o7777, hello.uid(), hello.gid()), (0o755, 1234, 100));
    let link = fs::symlink_metadata(root.join("home/rosa/hi")).unwrap();
    assert!(link.is_symlink() && link.uid() == 1234);
}

#[test]
fn a_change_of_a_user_is_proved() {
    if !is_root("a_change_of_a_user_is_proved") {
        return;
    }
    let tree = prove(machine_with_rosa, |root| {
        let rosa = User::new("rosa").uid(1500).groups(["users"]).exact_groups(true).shell("/bin/dash");
        rosa.home("/srv/rosa").password_hash(HASH).locked(true).root(root)
    });
    let root = tree.path();
    assert!(line(root, "etc/passwd", "rosa").ends_with(":/srv/rosa:/bin/dash"));
    assert_eq!(
        (line(root, "etc/group", "adm"), line(root, "etc/group", "users")),
        ("adm:x:4:".into(), "users:x:100:rosa".into())
    );
    assert!(line(root, "etc/shadow", "rosa").starts_with("rosa:!$6$salt$hash:"));
    assert_eq!(fs::metadata(root.join("srv/rosa")).unwrap().uid(), 1500);
}

#[test]
fn groups_are_added_and_the_others_stay() {
    if !is_root("groups_are_added_and_the_others_stay") {
        return;
    }
    let tree = prove(machine_with_rosa, |root| User::new("rosa").groups(["users", "users"]).root(root));
    assert_eq!(line(tree.path(), "etc/group", "adm"), "adm:x:4:rosa");
    assert_eq!(line(tree.path(), "etc/group", "users"), "users:x:100:rosa");
}

#[test]
fn a_lock_alone_leaves_the_password() {
    if !is_root("a_lock_alone_leaves_the_password") {
        return;
    }
    let with_password = || {
        let tree = machine();
        assert!(converge(User::new("rosa").password_hash(HASH).root(tree.path())).success());
        tree
    };
    let tree = prove(with_password, |root| User::new("rosa").locked(true).root(root));
    assert!(line(tree.path(), "etc/shadow", "rosa").starts_with("rosa:!$6$salt$hash:"));
    assert!(converge(User::new("rosa").locked(false).root(tree.path())).success());
    assert!(line(tree.path(), "etc/shadow", "rosa").starts_with("rosa:$6$salt$hash:"));
}

/// An account that is there, and its home is not.
fn homeless() -> TempDir {
    let tree = machine_with_rosa();
    fs::remove_dir_all(tree.path().join("home/rosa")).unwrap();
    tree
}

#[test]
fn a_user_without_a_home_gets_one_that_is_asked_for() {
    if !is_root("a_user_without_a_home_gets_one_that_is_asked_for") {
        return;
    }
    let tree = prove(homeless, |root| User::new("rosa").create_home(true).root(root));
    assert_eq!(content(&tree.path().join("home")), content(&machine_with_rosa().path().join("home")));
    prove(homeless, |root| User::new("rosa").home("/home/rosa").root(root));

    let tree = homeless();
    let report = no_act(User::new("rosa").create_home(true).root(tree.path()));
    assert_eq!(
        ended(&report),
        (Outcome::WouldRun, Some("the home directory /home/rosa does not exist".to_owned()))
    );
    assert_eq!(no_act(User::new("rosa").create_home(false).root(tree.path())).counts().in_place, 1);
}

#[test]
fn no_home_is_made_that_was_not_asked_for() {
    if !is_root("no_home_is_made_that_was_not_asked_for") {
        return;
    }
    let tree = homeless();
    assert_eq!(no_act(User::new("rosa").root(tree.path())).counts().in_place, 1);
    let report = converge(User::new("rosa").groups(["users"]).shell("/bin/sh").root(tree.path()));
    assert_eq!(ended(&report).0, Outcome::Changed);
    assert!(!tree.path().join("home/rosa").exists());

    // Paths that stand for "none".
    for home in ["/nonexistent", "/dev/null"] {
        let report = converge(User::new("daemon").home(home).root(tree.path()));
        assert!(report.success(), "{:?}", ended(&report));
        assert_eq!(no_act(User::new("daemon").home(home).root(tree.path())).counts().in_place, 1);
    }
    assert!(!tree.path().join("nonexistent").exists() && !tree.path().join("dev").exists());
    let report = converge(User::new("d").home("/nonexistent").create_home(true).root(tree.path()));
    assert_eq!(ended(&report).0, Outcome::Failed);
}

#[test]
fn a_home_that_could_not_be_made_is_missed_by_the_next_try() {
    if !is_root("a_home_that_could_not_be_made_is_missed_by_the_next_try") {
        return;
    }
    let tree = machine();
    // What homes are made from cannot be copied.
    fs::remove_dir_all(tree.path().join("etc/skel")).unwrap();
    write(tree.path(), "etc/skel", "");
    let rosa = || Engine::new(User::new("rosa").root(tree.path())).unwrap();
    let report = rosa().tries(2).retry_delay(std::time::Duration::ZERO).converge();
    let reason = "the home directory /home/rosa does not exist";
    assert_eq!(ended(&report), (Outcome::Failed, Some(reason.to_owned())));
}

#[test]
fn an_account_expires() {
    if !is_root("an_account_expires") {
        return;
    }
    let expires =
        |tree: &TempDir| line(tree.path(), "etc/shadow", "rosa").split(':').nth(7).unwrap().to_owned();
    let tree = prove(machine, |root| User::new("rosa").expires("2030-01-31").root(root));
    assert_eq!(expires(&tree), "21945");
    let tree = prove(machine_with_rosa, |root| User::new("rosa").expires("2030-01-31").root(root));
    assert_eq!(expires(&tree), "21945");
    let report = no_act(User::new("rosa").expires("never").root(tree.path()));
    assert_eq!(ended(&report), (Outcome::WouldRun, Some("expires 2030-01-31, not never".to_owned())));
    assert!(converge(User::new("rosa").expires("never").root(tree.path())).success());
    assert_eq!(expires(&tree), "");
}

#[test]
fn a_user_is_removed_with_and_without_the_home() {
    if !is_root("a_user_is_removed_with_and_without_the_home") {
        return;
    }
    let tree = prove(machine_with_rosa, |root| User::new("rosa").state(Presence::Absent).root(root));
    assert!(tree.path().join("home/rosa/.profile").exists());
    assert_eq!(line(tree.path(), "etc/passwd", "rosa"), "");

    let gone = |root: &Path| User::new("rosa").state(Presence::Absent).remove_home(true).root(root);
    let tree = prove(machine_with_rosa, gone);
    assert!(!tree.path().join("home/rosa").exists());
}

#[test]
fn a_home_that_leads_out_of_the_tree_stays_inside() {
    if !is_root("a_home_that_leads_out_of_the_tree_stays_inside") {
        return;
    }
    let linked = || {
        let tree = machine();
        fs::create_dir(tree.path().join("data")).unwrap();
        symlink("/data", tree.path().join("home")).unwrap();
        tree
    };
    let tree = prove(linked, |root| User::new("rosa").root(root));
    assert!(tree.path().join("data/rosa/.profile").exists());
}

#[test]
fn users_and_their_groups_are_made_at_once() {
    if !is_root("users_and_their_groups_are_made_at_once") {
        return;
    }
    #[derive(Clone, PartialEq)]
    struct Team(std::path::PathBuf);
    impl dojob::DummyJob for Team {
        fn deps(&self) -> dojob::Deps {
            let mut deps = deps![];
            deps.extend((0..8).map(|n| Group::new(format!("g{n}")).root(&self.0)));
            deps.extend((0..8).map(|n| User::new(format!("u{n}")).root(&self.0)));
            deps
        }
    }
    let tree = machine();
    let report = Engine::new(Team(tree.path().to_owned())).unwrap().tries(1).workers(8).converge();
    assert!(report.success(), "{report:?}");
    assert_eq!(report.counts().changed, 16);
}

#[test]
fn a_secret_hash_is_shown_nowhere() {
    if !is_root("a_secret_hash_is_shown_nowhere") {
        return;
    }
    let tree = machine_with_rosa();
    // A tree in which the tool fails.
    fs::remove_file(tree.path().join("etc/shadow")).unwrap();
    write(tree.path(), "etc/shadow/in_the_way", "");
    let report = converge(User::new("rosa").password_hash(HASH).root(tree.path()));
    assert!(!report.success());
    let shown = serde_json::to_string(&report).unwrap();
    assert!(!shown.contains(HASH), "{shown}");
    assert!(!format!("{:?}", User::new("rosa").password_hash(HASH)).contains(HASH));
}
