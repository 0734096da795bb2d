//! The flags about what is owed and who is at work, with a real binary.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use tempfile::TempDir;

use crate::support;

/// Starts the movie night in a way that it is at work until it is killed.
struct AtWork(std::process::Child);

impl AtWork {
    fn start(home: &TempDir) -> AtWork {
        let mut command = support::command("movie_night", home);
        command.args(["-v", "--pace", "30"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It has the lock when it says anything.
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        AtWork(child)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(home: &TempDir, args: &[&str]) -> support::Ran {
    support::command("movie_night", home).args(args).output().unwrap().into()
}

#[test]
fn a_second_start_in_one_scope_ends_with_4_and_says_who_is_at_work() {
    let home = tempfile::tempdir().unwrap();
    let first = AtWork::start(&home);
    let state = home.path().join("state/movie_night");
    let ran = run(&home, &[]);
    assert_eq!(ran.code, Some(4));
    let (before, after) = ran.stderr.split_once(", at work since 20").unwrap();
    assert_eq!(before, format!("error: {} is locked by process {}", state.display(), first.0.id()));
    assert!(after.ends_with("Z\n"), "{after}");
    assert_eq!(run(&home, &["--wait=0.05"]).code, Some(4));
    assert_eq!(run(&home, &["--list"]).code, Some(0), "a list needs no lock");
    assert_eq!(run(&home, &["-n"]).code, Some(3), "nor does a dry run");
    assert_eq!(
        run(&home, &["--state-dir", "elsewhere", "--battery-state", "charged", "--couch-space"]).code,
        Some(0)
    );
    drop(first);
    assert_eq!(run(&home, &["--wait", "--battery-state", "charged", "--couch-space"]).code, Some(0));
}

#[test]
fn pending_cleanups_are_listed_and_called() {
    let home = tempfile::tempdir().unwrap();
    let nothing = run(&home, &["--pending"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "nothing is pending\n"));
    run(&home, &["--battery-state", "charged", "--couch-space", "--no-cleanup"]);
    let declined = run(&home, &["--pending"]);
    assert!(
        declined
            .stdout
            .lines()
            .any(|line| line.starts_with("declined: cleanup of CleanCouch (try 1 of the run of 20"))
    );
    let json: serde_json::Value =
        serde_json::from_str(&run(&home, &["--pending", "--format", "json"]).stdout).unwrap();
    assert!(
        json.as_array()
            .unwrap()
            .iter()
            .all(|cleanup| cleanup["declined"] == true && cleanup["phase"] == "cleanup")
    );
    assert_eq!(run(&home, &["--cleanup-only"]).stderr, "nothing was pending (TIME)\n");
    let paid = run(&home, &["--cleanup-only", "--declined"]);
    assert_eq!(paid.code, Some(0));
    assert!(paid.stderr.ends_with("ran 1 pending cleanup (TIME)\n"), "{}", paid.stderr);
    assert_eq!(run(&home, &["--pending"]).stdout, "nothing is pending\n");
    let usage = run(&home, &["--declined"]);
    assert_eq!(usage.code, Some(2), "{}", usage.stderr);
}

#[test]
fn reverts_are_shown() {
    let home = tempfile::tempdir().unwrap();
    let ran = run(&home, &["--on-failure", "revert", "--only", "TurnOnTv"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr,
        "\
changed FindTvRemote: The remote is not where it was.
failed TurnOnTv: Remote batteries are dead. (3 tries)
left as it is TurnOnTv, which has no revert
left as it is FindTvRemote, which has no revert
not converged: 2 jobs, 1 changed, 1 failed (TIME)
"
    );
}
