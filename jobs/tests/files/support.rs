//! What the tests of this area share: proving a job, pictures of a tree, and other users and full disks to test with.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use dojob::{AnyJob, Engine, IntoJob, Outcome, Report};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One convergence with a single try.
pub(crate) fn converge<M>(job: impl IntoJob<M>) -> Report {
    Engine::new(job).unwrap().tries(1).converge()
}

/// A dry run.
pub(crate) fn no_act<M>(job: impl IntoJob<M>) -> Report {
    Engine::new(job).unwrap().no_act(true).converge()
}

/// How it ended, why, and the difference, of a run with one job; `ROOT` stands for the root.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    pub(crate) diff: String,
}

pub(crate) fn told(report: &Report, root: &Path) -> Told {
    let job = report.jobs().last().unwrap();
    let root = root.to_str().unwrap();
    let plain = |text: Option<&str>| text.unwrap_or_default().replace(root, "ROOT");
    Told { outcome: job.outcome(), reason: plain(job.reason()), diff: plain(job.diff()) }
}

/// What a dry run says would be done, and its difference.
pub(crate) fn would<M>(job: impl IntoJob<M>, root: &Path) -> (String, String) {
    let told = told(&no_act(job), root);
    assert_eq!(told.outcome, Outcome::WouldRun, "{told:?}");
    (told.reason, told.diff)
}

/// Why a check could not find out.
pub(crate) fn unknown<M>(job: impl IntoJob<M>, root: &Path) -> String {
    let told = told(&no_act(job), root);
    assert_eq!(told.outcome, Outcome::CouldNotFindOut, "{told:?}");
    told.reason
}

/// Each failed phase and why, of a run with one job.
pub(crate) fn failures(report: &Report, root: &Path) -> String {
    let failures = report.jobs().last().unwrap().failures().iter();
    let lines: Vec<_> = failures.map(|failure| format!("{}: {}", failure.phase, failure.reason)).collect();
    lines.join("\n").replace(root.to_str().unwrap(), "ROOT")
}

/// Why it failed, all that is known of it; nothing may have changed in the tree.
pub(crate) fn failed<M>(job: impl IntoJob<M>, root: &Path) -> String {
    let before = tree(root);
    let report = converge(job);
    assert!(!report.success(), "{report:?}");
    assert_eq!(tree(root), before);
    failures(&report, root)
}

/// The error of reading a job from JSON.
pub(crate) fn refused<J: DeserializeOwned + std::fmt::Debug>(json: Value) -> String {
    serde_json::from_value::<J>(json).unwrap_err().to_string()
}

/// All there is to see of something in a tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) modified: (i64, i64),
    pub(crate) content: Vec<u8>,
}

/// All there is under `root`, by its path there.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let entry = Entry {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            modified: (meta.mtime(), meta.mtime_nsec()),
            content,
        };
        all.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
    }
    all
}

/// The names of all there is under `root`.
pub(crate) fn names(root: &Path) -> Vec<String> {
    tree(root).keys().map(|path| path.display().to_string()).filter(|name| !name.is_empty()).collect()
}

/// What every job keeps to: a dry run changes nothing; a run makes the check pass; the next convergence runs nothing
/// and changes nothing. Returns the root.
pub(crate) fn prove(prepare: impl Fn(&Path), job: impl Fn(&Path) -> AnyJob) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    prepare(root.path());
    let before = tree(root.path());
    let report = no_act(job(root.path()));
    assert_eq!(told(&report, root.path()).outcome, Outcome::WouldRun, "{report:?}");
    assert_eq!(tree(root.path()), before, "a dry run has changed something");

    let report = converge(job(root.path()));
    assert!(report.success(), "{report:?}");
    assert_eq!(report.failed_cleanups().count(), 0);
    assert_eq!(report.counts().changed, 1);

    let after = tree(root.path());
    let report = converge(job(root.path()));
    assert_eq!(report.counts().in_place, 1, "{report:?}");
    assert_eq!(tree(root.path()), after, "there was nothing to do");
    root
}

/// As root `true`; otherwise says that the test is skipped, which is a failure in CI.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        eprintln!("skipped: needs root");
    }
    is_root
}

const AS_NOBODY: &str = "DOJOB_TEST_AS_NOBODY";

/// Runs the test of this name once more as a user without rights, in `root`, which everybody may enter; there
/// [`as_nobody`] returns the root.
pub(crate) fn run_as_nobody(test: &str, root: &Path) {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(AS_NOBODY, root)
        .output()
        .expect("setpriv");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The root, where this is the run of a test as a user without rights.
pub(crate) fn as_nobody() -> Option<PathBuf> {
    std::env::var_os(AS_NOBODY).map(PathBuf::from)
}

/// The permissions of what is there; a link is not followed.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The schema of a job describes all of its fields, and allows no others.
pub(crate) fn check_schema<J: schemars::JsonSchema>(name: &str, required: &[&str]) {
    let schema = schemars::schema_for!(J).to_value();
    assert_eq!(schema["title"], name);
    assert_eq!(schema["required"], Value::from(required));
    assert_eq!(schema["additionalProperties"], false);
    for (field, property) in schema["properties"].as_object().unwrap() {
        assert!(property["description"].is_string(), "{field} has no description");
    }
}
