//! Jobs that run commands, killed in the middle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use dojob::testing::Proof;
use dojob_jobs::{Assert, Command, GitCheckout, ShellScript, Until, WaitFor};

#[test]
fn a_command_with_a_path() {
    Proof::new(|root| Command::new("touch half && mv half made").creates("made").cwd(root))
        .instants(8)
        .prove();
}

#[test]
fn a_command_with_a_check_and_a_cleanup() {
    Proof::new(|root| {
        let run = "echo scratch > scratch; sort < in > scratch; mv scratch out; touch scratch";
        Command::new(run).check("cmp -s in out").cleanup("rm -f scratch").cwd(root)
    })
    .prepare(|root| fs::write(root.join("in"), "1\n2\n").unwrap())
    .instants(8)
    .prove();
}

#[test]
fn a_script() {
    Proof::new(|root| ShellScript::new("sh").args(["-c", "echo made > made"]).working_directory(root))
        .instants(4)
        .prove();
}

/// Git, with nobody's settings and at a fixed time.
fn git(directory: &Path, args: &[&str]) {
    let mut command = Process::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").arg("-C").arg(directory);
    for variable in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
        command.env(variable, "2026-01-01T00:00:00Z");
    }
    for setting in ["init.defaultBranch=main", "user.name=Rosa", "user.email=rosa@localhost"] {
        command.args(["-c", setting]);
    }
    let output = command.args(args).output().expect("git is installed");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Beside the root, since what Git keeps for itself is never twice the same.
fn beside(root: &Path, name: &str) -> PathBuf {
    root.with_file_name(name)
}

fn commit(root: &Path, text: &str) {
    let source = beside(root, "source");
    for file in 0..40 {
        fs::write(source.join(format!("file{file}")), text.repeat(1000)).unwrap();
    }
    git(&source, &["add", "--all"]);
    git(&source, &["commit", "--quiet", "--message", text]);
}

fn source(root: &Path) {
    fs::create_dir(beside(root, "source")).unwrap();
    git(&beside(root, "source"), &["init", "--quiet"]);
    commit(root, "one");
}

/// What is checked out, and whether Git is content with it.
fn checked_out(root: &Path) -> String {
    let dest = beside(root, "dest");
    let Ok(entries) = fs::read_dir(&dest) else { return "nothing".to_owned() };
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut seen = String::new();
    for path in names.iter().filter(|path| path.is_file()) {
        seen += &format!("{} {:?}\n", path.display(), fs::read(path).unwrap().get(..3));
    }
    let lock = dest.join(".git/index.lock").exists();
    let refs = Process::new("git").arg("-C").arg(&dest).args(["status", "--porcelain"]).output().unwrap();
    format!("{seen}{lock} {}", String::from_utf8_lossy(&refs.stdout))
}

fn checkout(root: &Path) -> GitCheckout {
    GitCheckout::new(beside(root, "source").to_str().unwrap(), beside(root, "dest"))
}

#[test]
fn a_first_checkout() {
    Proof::new(checkout).prepare(source).look(checked_out).prove();
}

#[test]
fn a_later_checkout() {
    let prepare = |root: &Path| {
        source(root);
        let dest = beside(root, "dest");
        let clone = ["clone", "--quiet", "--no-hardlinks"];
        let (from, to) = (beside(root, "source"), dest);
        git(root, &[clone.as_slice(), &[from.to_str().unwrap(), to.to_str().unwrap()]].concat());
        commit(root, "two");
    };
    Proof::new(checkout).prepare(prepare).look(checked_out).prove();
}

#[test]
fn what_waits_and_what_asserts_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for report in [
        dojob::Engine::new(WaitFor::new(Until::FileExists(file.clone()))).unwrap().converge(),
        dojob::Engine::new(Assert::new().exists(&file)).unwrap().converge(),
    ] {
        assert_eq!(report.counts().in_place, 1);
    }
}
