//! Commands as another user, in fact.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dojob::{CommandError, Context, Engine, JobGraph, Outcome, Result};
use dojob_jobs::{Become, BecomeMethod};

use crate::support::{Came, as_nobody, is_root};

/// What a command says as `wanted`.
fn say(wanted: Become, argv: &'static [&'static str]) -> Came {
    let mut graph = JobGraph::builder();
    let check = move |cx: &mut Context| -> Result<()> {
        let said = wanted.command(cx, argv)?.quiet().run()?.text();
        anyhow::bail!("{said}")
    };
    graph.job("say", check, |_| Ok(()));
    Came::of(&Engine::with_graph(graph.build().unwrap()).no_act(true).converge())
}

#[test]
fn root_becomes_anybody() {
    if !is_root("becoming somebody else") {
        return;
    }
    let argv = &["sh", "-c", "id -un; id -gn; id -Gn; echo $HOME $USER $LOGNAME; echo \"$0\"", "a  b"];
    let nobody = "nobody\nnogroup\nnogroup\n/nonexistent nobody nobody\na  b";
    for wanted in [Become::new("nobody"), Become::new("nobody").method(BecomeMethod::Su)] {
        let came = say(wanted, argv);
        assert_eq!((came.outcome, came.reason.as_str()), (Outcome::WouldRun, nobody));
    }
    assert_eq!(say(Become::new("root"), &["id", "-un"]).reason, "root");
}

#[test]
fn nobody_becomes_somebody_who_is_not_there() {
    let came = say(Become::new("no-such-user"), &["true"]);
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert_eq!(
        came.reason,
        "could not find out how to become no-such-user: there is no user `no-such-user`; create it first, by a job that this one needs"
    );
}

#[test]
fn a_name_that_is_none_is_an_error_for_those_who_write_rust_too() {
    let came = say(Become::new("-u\0"), &["true"]);
    assert_eq!(came.reason, "`-u\\0` is no name of a user to become: a name such as `postgres` is wanted");
    let came = say(Become::new("root"), &[]);
    assert_eq!(came.reason, "there is no program to run");
}

/// A `sudo` that lets anybody do anything, or nothing.
fn sudo(directory: &Path, script: &str) {
    let file = directory.join("sudo");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

fn with_sudo(test: &str, script: &str) {
    if !is_root("being somebody else") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    sudo(scratch.path(), script);
    let mut path = scratch.path().as_os_str().to_owned();
    path.push(":/usr/bin:/bin");
    as_nobody(test, &path, &[]);
}

#[test]
fn others_use_sudo() {
    with_sudo("r#become::inner_sudo", "echo \"$*\"; shift 5; exec \"$@\"");
}

#[test]
#[ignore = "called by `others_use_sudo` as nobody"]
fn inner_sudo() {
    assert_eq!(say(Become::new("root"), &["echo", "a b"]).reason, "-n -H -u root -- env echo a b\na b");
    assert_eq!(say(Become::new("nobody"), &["echo", "a b"]).reason, "a b");
}

#[test]
fn a_sudo_that_asks_for_a_password_is_not_taken_for_the_commands_no() {
    with_sudo("r#become::inner_password", "echo 'sudo: a password is required' >&2; exit 1");
}

#[test]
#[ignore = "called by `a_sudo_that_asks_for_a_password_is_not_taken_for_the_commands_no` as nobody"]
fn inner_password() {
    let came = say(Become::new("root"), &["false"]);
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert_eq!(
        came.reason,
        "could not find out how to become root: let `sudo` run any command as that user without a password (NOPASSWD): `sudo -n -H -u root -- env true` failed with exit status 1: sudo: a password is required"
    );
    let came = say(Become::new("root").method(BecomeMethod::Su), &["id", "-un"]);
    assert_eq!(
        came.reason,
        "could not find out how to become root: `su` asks for a password unless it is root that calls it; choose `sudo`, `doas` or `run0`"
    );
}

#[test]
fn a_missing_tool_is_told() {
    if is_root("being somebody else") {
        as_nobody("r#become::inner_missing", OsStr::new("/nowhere"), &[]);
    }
}

#[test]
#[ignore = "called by `a_missing_tool_is_told` as nobody"]
fn inner_missing() {
    let came = say(Become::new("root").method(BecomeMethod::Doas), &["true"]);
    assert_eq!(
        came.reason,
        "could not find out how to become root: there is no program `doas`; install it, or choose another method"
    );
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
}

#[test]
fn a_command_error_is_still_a_command_error() {
    let mut graph = JobGraph::builder();
    graph.run_only("fail", |cx| {
        let error = Become::new("root").command(cx, &["false"])?.run().unwrap_err();
        assert!(matches!(error, CommandError::Failed(_)), "{error:?}");
        Ok(())
    });
    if is_root("becoming root") {
        assert!(Engine::with_graph(graph.build().unwrap()).converge().success());
    }
}
