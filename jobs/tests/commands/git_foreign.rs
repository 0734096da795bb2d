//! Checkouts where other users can write: Git is not started in what they have prepared, nor where they could put something else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use dojob::Outcome;

use crate::git_checkout::Scene;
use crate::support::is_root;

const USER: u32 = 12345;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Whether it is refused for this reason, by a check and a run; what is there stays as it is.
fn is_refused(scene: &Scene, reason: &str) {
    let came = scene.look(scene.job().force(true));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut, "{came:?}");
    assert!(came.reason.contains(reason), "{came:?}");
    assert!(scene.converge(scene.job().force(true)).reason.contains(reason));
}

#[test]
fn what_another_user_has_prepared_is_not_made_a_repository() {
    if !is_root("a directory of another user") {
        return;
    }
    let scene = Scene::new();
    let victim = scene.root.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::create_dir(scene.dest()).unwrap();
    lchown(scene.dest(), Some(USER), Some(USER)).unwrap();
    is_refused(&scene, "ROOT/dest belongs to another user; set `become` to its owner");
    // Half a repository that would be made whole through links.
    fs::create_dir(scene.dest().join(".git")).unwrap();
    is_refused(&scene, "ROOT/dest belongs to another user");
    chown(scene.dest(), Some(0), Some(0)).unwrap();
    for part in ["objects", "info", "refs", "hooks", "config", "branches"] {
        let part = scene.dest().join(".git").join(part);
        symlink(&victim, &part).unwrap();
        lchown(&part, Some(USER), Some(USER)).unwrap();
        is_refused(&scene, "belongs to another user");
        fs::remove_file(&part).unwrap();
        fs::create_dir(&part).unwrap();
        chown(&part, Some(USER), Some(USER)).unwrap();
        is_refused(&scene, "belongs to another user");
        fs::remove_dir(&part).unwrap();
    }
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    // Anybody could put something into it.
    set_mode(&scene.dest(), 0o777);
    is_refused(&scene, "anybody may write to ROOT/dest");
    set_mode(&scene.dest(), 0o755);
    scene.prove(scene.job());
    let deep = scene.dest().join(".git/objects/info");
    chown(&deep, Some(USER), Some(USER)).unwrap();
    is_refused(&scene, "ROOT/dest/.git/objects/info belongs to another user");
}

#[test]
fn where_others_could_put_something_in_its_place_nothing_is_checked_out() {
    if !is_root("a directory of another user") {
        return;
    }
    let scene = Scene::new();
    let home = scene.root.path().join("home");
    fs::create_dir(&home).unwrap();
    let job = || dojob_jobs::GitCheckout::new(scene.source().to_str().unwrap(), home.join("app"));
    let refused = |reason: &str| {
        let came = scene.look(job());
        assert_eq!(came.outcome, Outcome::CouldNotFindOut, "{came:?}");
        assert!(came.reason.contains(reason), "{came:?}");
    };
    chown(&home, Some(USER), Some(USER)).unwrap();
    refused("to whom ROOT/home belongs, could put something else in the place of ROOT/home/app");
    chown(&home, Some(0), Some(USER)).unwrap();
    set_mode(&home, 0o775);
    refused("the group 12345 may write to ROOT/home, and could put something else in the place of");
    set_mode(&home, 0o777);
    refused("anybody may write to ROOT/home, and could put something else in the place of ROOT/home/app");
    // As in `/tmp`.
    set_mode(&home, 0o1777);
    scene.prove(job());
    assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "nothing is left beside");
    set_mode(&home, 0o777);
    refused("anybody may write to ROOT/home");
    // A directory on the way that somebody else could make first.
    set_mode(&home, 0o1777);
    let deeper = dojob_jobs::GitCheckout::new(scene.source().to_str().unwrap(), home.join("new/app"));
    assert!(scene.look(deeper).reason.contains("could put something else in the place of ROOT/home/new"));
}

/// What is there by the time of the cleanup is another user's: here a hook makes it so.
#[test]
fn the_cleanup_removes_no_lock_behind_a_link() {
    if !is_root("a link of another user") {
        return;
    }
    let scene = Scene::new();
    scene.prove(scene.job());
    let victim = scene.root.path().join("victim");
    fs::create_dir_all(victim.join("deep")).unwrap();
    for name in [".pwd.lock", "deep/Cargo.lock"] {
        fs::write(victim.join(name), "").unwrap();
    }
    let hook = scene.dest().join(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\nmv {0}/.git {0}/old\nln -s {1} {0}/.git\nchown -h {USER}:{USER} {0}/.git\nexit 1\n",
        scene.dest().display(),
        victim.display()
    );
    fs::write(&hook, script).unwrap();
    set_mode(&hook, 0o755);
    scene.commit("a", "two\n");
    assert_ne!(scene.converge(scene.job()).outcome, Outcome::Changed);
    assert!(scene.dest().join(".git").is_symlink(), "the hook was run");
    assert!(victim.join(".pwd.lock").exists() && victim.join("deep/Cargo.lock").exists());
}

#[test]
fn a_server_that_falls_silent_is_not_waited_for_for_good() {
    let scene = Scene::new();
    scene.prove(scene.job());
    let (hook, found) = (scene.dest().join(".git/hooks/post-checkout"), scene.root.path().join("found"));
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\nenv > {}\n", found.display())).unwrap();
    set_mode(&hook, 0o755);
    scene.commit("a", "two\n");
    scene.prove(scene.job());
    let found = fs::read_to_string(found).unwrap();
    let is_set = |line: &str| {
        let name = line.split('=').next().unwrap_or_default();
        std::env::var_os(name).is_some() || found.lines().any(|found| found == line)
    };
    assert!(is_set("GIT_HTTP_LOW_SPEED_LIMIT=1") && is_set("GIT_HTTP_LOW_SPEED_TIME=30"), "{found}");
    assert!(is_set(
        "GIT_SSH_COMMAND=ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=2"
    ));
}
