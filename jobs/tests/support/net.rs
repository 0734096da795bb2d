//! What black-box tests of archives and of HTTP share: converging one job, telling what a tree holds, and a proof that every job
//! has to pass.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use dojob::testing::Proof;
use dojob::{AnyJob, Engine, IntoJob, Outcome, Report};
use serde_json::Value;

/// Converges one job, trying once.
pub(crate) fn converge<M>(job: impl IntoJob<M>) -> Report {
    Engine::new(job).expect("a graph of one job").tries(1).converge()
}

/// Converges one job, and says how that ended.
pub(crate) fn outcome<M>(job: impl IntoJob<M>) -> Outcome {
    let report = converge(job);
    let cleanups: Vec<_> = report.failed_cleanups().collect();
    assert!(cleanups.is_empty(), "{cleanups:?}");
    report.jobs().next().expect("one job").outcome()
}

/// What one job hands on, which has to converge.
pub(crate) fn handed<M>(job: impl IntoJob<M>) -> Value {
    let report = converge(job);
    let job = report.jobs().next().expect("one job");
    assert!(report.success(), "{:?}", job.reason());
    job.result().cloned().unwrap_or_default()
}

/// What a dry run says of one job: how it ended, why, and the difference.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    pub(crate) diff: String,
}

/// A dry run of one job.
pub(crate) fn dry<M>(job: impl IntoJob<M>) -> Told {
    let report = Engine::new(job).expect("a graph of one job").no_act(true).converge();
    let job = report.jobs().next().expect("one job");
    Told {
        outcome: job.outcome(),
        reason: job.reason().unwrap_or_default().to_owned(),
        diff: job.diff().unwrap_or_default().to_owned(),
    }
}

/// All that went wrong with one job that failed, phase by phase.
pub(crate) fn failures<M>(job: impl IntoJob<M>) -> Vec<String> {
    let report = converge(job);
    let job = report.jobs().next().expect("one job");
    assert_eq!(job.outcome(), Outcome::Failed);
    job.failures().iter().map(|failure| format!("{}: {}", failure.phase.as_str(), failure.reason)).collect()
}

/// All below `root`, with modes, owners and contents, and where asked for the times of changes.
pub(crate) fn tree(root: &Path, times: bool) -> String {
    let mut told = String::new();
    let mut open = vec![root.to_owned()];
    let mut paths = Vec::new();
    while let Some(path) = open.pop() {
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            open.extend(
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
        }
        paths.push(path);
    }
    paths.sort();
    for path in paths {
        let meta = fs::symlink_metadata(&path).expect("something");
        let name = path.strip_prefix(root).expect("below").as_os_str().as_bytes().escape_ascii();
        write!(told, "{name} {:o} {}:{}", meta.mode(), meta.uid(), meta.gid()).expect("a string");
        if times {
            write!(told, " {}.{}", meta.mtime(), meta.mtime_nsec()).expect("a string");
        }
        if meta.is_file() {
            let content = fs::read(&path).expect("a file");
            let shown = &content[..content.len().min(200)];
            write!(told, " {} {}", content.len(), shown.escape_ascii()).expect("a string");
        } else if meta.is_symlink() {
            write!(told, " -> {}", fs::read_link(&path).expect("a link").display()).expect("a string");
        }
        told.push('\n');
    }
    told
}

/// Proves a job, for which `prepare` makes the world, as [`Proof`] says.
pub(crate) fn prove(prepare: impl Fn(&Path) + 'static, job: impl Fn(&Path) -> AnyJob + 'static) {
    Proof::new(job).prepare(prepare).prove();
}

/// As [`prove`], where the world is on a server.
pub(crate) fn prove_elsewhere(
    prepare: impl Fn(&Path) + 'static,
    job: impl Fn(&Path) -> AnyJob + 'static,
    look: impl Fn() -> String + 'static,
) {
    Proof::new(job).prepare(prepare).look(move |_| look()).prove();
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

/// Calls the test of this name again as a user without rights, in a process of its own; says whether this is that process. Without
/// root that user is who runs the tests anyway.
pub(crate) fn as_nobody(test: &str) -> bool {
    const MARK: &str = "DOJOB_TEST_AS_NOBODY";
    if !rustix::process::geteuid().is_root() || std::env::var_os(MARK).is_some() {
        return true;
    }
    let own = std::env::current_exe().expect("a test knows its own file");
    let mut child = Command::new("setpriv");
    child.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(own);
    child.args([test, "--exact", "--nocapture"]).env(MARK, "1").current_dir("/");
    let ran = run(&mut child);
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{printed}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(printed.contains("1 passed"), "{printed}");
    false
}

/// Says that a test is skipped for what is missing; in CI that is a failure.
#[allow(clippy::print_stdout, reason = "who runs the tests is to see it")]
pub(crate) fn skipped(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing");
}

/// Whether a program is installed.
pub(crate) fn has(program: &str) -> bool {
    let found =
        run(Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program])).status.success();
    if !found {
        skipped(program);
    }
    found
}
