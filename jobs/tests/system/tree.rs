//! Trees to work on for real, and what every job has to prove in one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dojob::{Context, Engine, Job, Outcome, Report, Result};
use tempfile::TempDir;

/// Whether we are root. Where we are not, what needs it is skipped; in CI that is a failure.
pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(test, "needs root");
    }
    root
}

/// Says that a test is skipped.
#[allow(clippy::print_stdout, reason = "people should see it")]
pub(crate) fn skipped(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test} {why}, and nothing is skipped in CI");
    println!("skipped: {test} {why}");
}

/// A tree with these files, by path.
pub(crate) fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(tree.path(), path, text);
    }
    tree
}

pub(crate) fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap()
}

/// Everything in a tree that can be seen, by path; times of directories included.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let mut seen = format!(
            "{:o} {}:{} {}.{:09}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        if meta.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.is_symlink() {
            seen.push_str(&format!(" -> {}", fs::read_link(&path).unwrap().display()));
        } else {
            seen.push_str(&format!(" {:?}", String::from_utf8_lossy(&fs::read(&path).unwrap())));
        }
        found.insert(path.strip_prefix(root).unwrap().to_owned(), seen);
    }
    found
}

/// The content alone: what does not depend on when it was written.
pub(crate) fn content(root: &Path) -> BTreeMap<PathBuf, String> {
    let without_time = |seen: String| {
        let mut words: Vec<&str> = seen.splitn(4, ' ').collect();
        words.remove(2);
        words.join(" ")
    };
    snapshot(root).into_iter().map(|(path, seen)| (path, without_time(seen))).collect()
}

pub(crate) fn converge(job: impl Job) -> Report {
    Engine::new(job).unwrap().tries(1).converge()
}

pub(crate) fn no_act(job: impl Job) -> Report {
    Engine::new(job).unwrap().no_act(true).converge()
}

/// How the first job of a report ended, and why.
pub(crate) fn ended(report: &Report) -> (Outcome, Option<String>) {
    let job = report.jobs().next().unwrap();
    (job.outcome(), job.reason().map(str::to_owned))
}

/// Calls each phase of a job twice.
#[derive(Clone, PartialEq)]
struct Twice<J>(J);

impl<J: Job> Job for Twice<J> {
    fn name(&self) -> String {
        self.0.name()
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let first = self.0.check(cx);
        let second = self.0.check(cx);
        assert_eq!(first.is_ok(), second.is_ok());
        second
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.0.run(cx)?;
        self.0.run(cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.0.cleanup(cx)?;
        self.0.cleanup(cx)
    }
}

/// What every job has to prove: a dry run changes nothing, a run is followed by a check that passes, a second convergence
/// changes nothing, and phases that are called twice make no difference.
pub(crate) fn prove<J: Job>(prepare: impl Fn() -> TempDir, job: impl Fn(&Path) -> J) -> TempDir {
    let tree = prepare();
    let root = tree.path();
    let before = snapshot(root);
    let report = no_act(job(root));
    assert_eq!(report.counts().would_run, 1, "{:?}", ended(&report));
    assert_eq!(before, snapshot(root), "a dry run changes nothing");

    let report = converge(job(root));
    assert!(report.success(), "{:?} {:?}", ended(&report), report.jobs().next().unwrap().failures());
    assert_eq!(report.counts().changed, 1);
    let after = snapshot(root);
    let report = converge(job(root));
    assert_eq!(report.counts().in_place, 1, "{:?}", ended(&report));
    assert_eq!(after, snapshot(root), "a second convergence changes nothing");

    let again = prepare();
    let report = converge(Twice(job(again.path())));
    assert!(report.success(), "{:?} {:?}", ended(&report), report.jobs().next().unwrap().failures());
    let scrub = |root: &Path| {
        let text = format!("{:?}", content(root));
        text.replace(&root.display().to_string(), "ROOT")
    };
    assert_eq!(scrub(root), scrub(again.path()), "phases called twice make no difference");
    tree
}
