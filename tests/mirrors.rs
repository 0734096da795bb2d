//! The example of mirrors, as a user sees it: what an incomplete mirror has brought is gone, and the next one has its turn.

mod support;

use std::fs;
use std::path::Path;

use support::{Ran, command};

/// The files of a directory with what is in them.
fn files(directory: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(directory)
        .map(|entries| entries.map(Result::unwrap).collect())
        .unwrap_or_else(|_| vec![]);
    let mut files: Vec<(String, String)> = entries
        .into_iter()
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Two mirrors in a home, of which the first lacks a package; and the example started there.
struct Mirrors {
    home: tempfile::TempDir,
}

impl Mirrors {
    fn new() -> Mirrors {
        let home = tempfile::tempdir().unwrap();
        for (mirror, packages) in [("first", &["app"][..]), ("second", &["app", "lib"][..])] {
            fs::create_dir(home.path().join(mirror)).unwrap();
            for package in packages {
                fs::write(home.path().join(mirror).join(package), format!("{package} of {mirror}")).unwrap();
            }
        }
        Mirrors { home }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut all = vec!["--root", "root"];
        all.extend(args);
        command("mirrors", &self.home).args(all).output().unwrap().into()
    }

    fn root(&self) -> Vec<(String, String)> {
        files(&self.home.path().join("root"))
    }
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

const OF_THE_SECOND: [(&str, &str); 4] = [
    ("app", "app of second"),
    ("index", "app lib from second\n"),
    ("lib", "lib of second"),
    ("source", "second"),
];

#[test]
fn the_second_mirror_is_taken_when_the_first_is_incomplete() {
    let mirrors = Mirrors::new();
    let ran = mirrors.run(&["--mirror", "first", "--mirror", "second"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(mirrors.root(), owned(&OF_THE_SECOND));
    assert_eq!(
        ran.stderr,
        "changed Source: the source is `` and not `first`\n\
         changed Fetch app: app is not fetched\n\
         failed Fetch lib: its run said: first has no package lib; and after it: lib is not fetched\n\
         reverted Fetch lib\n\
         reverted Fetch app\n\
         reverted Source\n\
         reverted mirror: attempt 1 failed because of Fetch lib; starting again\n\
         changed Source: the source is `` and not `second`\n\
         changed Fetch app: app is not fetched\n\
         changed Fetch lib: lib is not fetched\n\
         changed Index: the index is not up to date\n\
         converged: 5 jobs, 1 in place, 4 changed (TIME)\n"
    );
}

#[test]
fn what_was_there_before_is_back_when_no_mirror_is_complete() {
    let mirrors = Mirrors::new();
    fs::create_dir(mirrors.home.path().join("root")).unwrap();
    fs::write(mirrors.home.path().join("root/app"), "an older app").unwrap();
    let ran = mirrors.run(&["--mirror", "first"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(mirrors.root(), owned(&[("app", "an older app")]));
    let line = "reverted mirror: attempt 1 failed because of Fetch lib; no attempt is left\n";
    assert!(ran.stderr.contains(line), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with("reverted: 5 jobs, 2 reverted, 1 failed, 2 blocked (TIME)\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_later_start_stays_with_the_mirror_in_use_as_long_as_that_is_complete() {
    let mirrors = Mirrors::new();
    let both = ["--mirror", "first", "--mirror", "second"];
    assert_eq!(mirrors.run(&both).code, Some(0));
    let again = mirrors.run(&both);
    assert_eq!(again.stderr, "nothing to do: all 5 jobs are in place (TIME)\n");

    fs::write(mirrors.home.path().join("first/lib"), "lib of first").unwrap();
    fs::remove_file(mirrors.home.path().join("second/lib")).unwrap();
    let moved = mirrors.run(&both);
    assert_eq!(moved.code, Some(0), "{}", moved.stderr);
    let files = mirrors.root();
    assert!(files.contains(&("source".into(), "first".into())), "{files:?}");
    assert!(files.contains(&("lib".into(), "lib of first".into())), "{files:?}");
}

#[test]
fn a_complete_mirror_has_nothing_to_do_again() {
    let mirrors = Mirrors::new();
    assert_eq!(mirrors.run(&["--mirror", "second"]).code, Some(0));
    let ran = mirrors.run(&["--mirror", "second", "-v"]);
    assert_eq!((ran.code, mirrors.root()), (Some(0), owned(&OF_THE_SECOND)));
    assert!(ran.stderr.contains("mirror: attempt 1 of 1 with \"second\"\n"), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("nothing to do: all 5 jobs are in place (TIME)\n"), "{}", ran.stderr);
}
