//! What the black-box tests of the jobs share.
#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test binary uses a part of it; what is skipped is told"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use dojob::{Engine, Event, IntoJob, Observer, Outcome, Report};
use serde_json::Value;

/// An engine for one job, which it tries once.
pub(crate) fn engine<M>(job: impl IntoJob<M>) -> Engine {
    Engine::new(job).expect("a graph of one job").tries(1)
}

/// What came of one job: its outcome, reason and difference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Came {
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    pub(crate) diff: String,
}

impl Came {
    pub(crate) fn of(report: &Report) -> Self {
        let job = report.jobs().last().expect("one job");
        Came {
            outcome: job.outcome(),
            reason: job.reason().unwrap_or_default().to_owned(),
            diff: job.diff().unwrap_or_default().to_owned(),
        }
    }
}

/// What one convergence makes of the job.
pub(crate) fn converge<M>(job: impl IntoJob<M>) -> Came {
    Came::of(&engine(job).converge())
}

/// What the job hands on, which has to converge.
pub(crate) fn handed<M>(job: impl IntoJob<M>) -> Value {
    let report = engine(job).converge();
    let job = report.jobs().last().expect("one job");
    assert!(report.success(), "{:?}", job.reason());
    job.result().cloned().unwrap_or_default()
}

/// What a dry run says of the job.
pub(crate) fn look<M>(job: impl IntoJob<M>) -> Came {
    Came::of(&engine(job).no_act(true).converge())
}

/// Everything below `root`, with what would betray a write.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>, u32, i64, i64)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        let content = if metadata.is_dir() {
            open.extend(
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
            Vec::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).expect("a file")
        };
        found.push((path, content, metadata.mode(), metadata.mtime(), metadata.mtime_nsec()));
    }
    found.sort();
    found
}

/// Whether these tests run as root; where not, says what is skipped, which in CI is a failure.
pub(crate) fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "skipped in CI: {what} needs root");
        eprintln!("skipped: {what} needs root");
    }
    root
}

/// Runs the test `name` of this binary once more, ignored as it is, as nobody, with this PATH and environment.
pub(crate) fn as_nobody(name: &str, path: &OsStr, variables: &[(&str, &OsStr)]) {
    let own = std::env::current_exe().expect("a test knows its own file");
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(own);
    command.args(["--exact", name, "--ignored", "--nocapture"]).env("PATH", path);
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().expect("setpriv starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Hears what a run says: each line of output, and how each phase ended.
pub(crate) struct Ears(Arc<Mutex<Vec<String>>>);

impl Observer for Ears {
    fn observe(&mut self, event: &Event) {
        let line = match event {
            Event::Output { line, .. } => line.clone(),
            Event::PhaseEnded { phase, passed: true, .. } => format!("{phase} pass"),
            Event::PhaseEnded { phase, failure, .. } => {
                format!(
                    "{phase} fail: {}",
                    failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default()
                )
            }
            _ => return,
        };
        self.0.lock().expect("nobody panics here").push(line);
    }
}

/// Ears, and what they hear.
pub(crate) fn lines() -> (Ears, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    (Ears(seen.clone()), seen)
}
