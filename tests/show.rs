//! Pictures in the viewer of the desktop: the real program, with a stand-in for the desktop's own.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::Ran;
use tempfile::TempDir;

/// A home whose `bin` is all of the PATH, with an `xdg-open` that does this.
struct Desktop(TempDir);

impl Desktop {
    fn new(opener: &str) -> Self {
        let desktop = Desktop::without_opener();
        let script = desktop.path("bin/xdg-open");
        fs::write(&script, format!("#!/bin/sh\n{opener}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        desktop
    }

    fn without_opener() -> Self {
        let desktop = Desktop(tempfile::tempdir().unwrap());
        ["bin", "tmp"].iter().for_each(|directory| fs::create_dir(desktop.path(directory)).unwrap());
        desktop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What is written there by somebody else.
    fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        path
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = support::command("movie_night", &self.0);
        command.env("PATH", self.path("bin")).env("TMPDIR", self.path("tmp"));
        command.args(args).output().unwrap().into()
    }

    /// The files in the temporary directory.
    fn temporary(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path().display().to_string()).collect()
    }
}

/// All that a fifo gives, until a time after which nobody would believe that something is still to come.
fn read(fifo: PathBuf) -> String {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        File::open(fifo).unwrap().read_to_string(&mut text).unwrap();
        let _ = send.send(text);
    });
    receive.recv_timeout(Duration::from_secs(60)).expect("nobody has written")
}

/// Takes a note of what is to be opened.
const NOTES: &str = "echo \"$# $1\" > \"$HOME/opened\"";
const CONVERGES: [&str; 2] = ["--battery-state=charged", "--couch-space"];

#[test]
fn the_picture_is_opened_after_the_run() {
    let desktop = Desktop::new(NOTES);
    let opened = desktop.fifo("opened");
    let reader = std::thread::spawn(|| read(opened));
    let ran = desktop.run(&["--show", "--graph=-movie.svg", CONVERGES[0], CONVERGES[1]]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let picture = desktop.path("-movie.svg");
    assert_eq!(reader.join().unwrap(), format!("1 {}\n", picture.display()));
    assert!(fs::read_to_string(picture).unwrap().contains("8 tries"));
    assert!(ran.stderr.lines().last().unwrap().starts_with("converged: 22 jobs"), "{}", ran.stderr);
    assert!(desktop.temporary().is_empty());
}

#[test]
fn without_a_file_it_is_an_svg_in_the_temporary_directory() {
    let desktop = Desktop::new(NOTES);
    let opened = desktop.fifo("opened");
    let reader = std::thread::spawn(|| read(opened));
    let ran = desktop.run(&["--list", "--show"]);
    let files = desktop.temporary();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert!(file.contains("/tmp/movie_night-") && file.ends_with(".svg"), "{file}");
    assert_eq!(reader.join().unwrap(), format!("1 {file}\n"));
    assert_eq!(ran, Ran { code: Some(0), stdout: String::new(), stderr: format!("the picture is {file}\n") });
    let svg = fs::read_to_string(file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("class=\"plain\"") && !svg.contains("try"));
}

/// It is still open when the run has ended, and has no terminal in common with it.
#[test]
fn a_viewer_that_stays_open_holds_nobody_up() {
    let script = "read -r stat < /proc/$$/stat; set -- $stat; echo \"$1 $6\" > \"$HOME/opened\"; \
                  read -r word < \"$HOME/word\"; echo \"$word\" > \"$HOME/closed\"";
    let desktop = Desktop::new(script);
    let [opened, word, closed] = ["opened", "word", "closed"].map(|name| desktop.fifo(name));
    let reader = std::thread::spawn(|| read(opened));
    assert_eq!(desktop.run(&["--list", "--show"]).code, Some(0));
    let own = reader.join().unwrap();
    let (process, session) = own.trim().split_once(' ').unwrap();
    assert_eq!(process, session);
    // Would wait for ever, were there nobody to read.
    std::thread::spawn(move || File::create(word).unwrap().write_all(b"bye\n").unwrap());
    assert_eq!(read(closed), "bye\n");
}

#[test]
fn a_viewer_that_fails_is_told_and_changes_no_exit_code() {
    let told = |desktop: &Desktop, args: &[&str], why: &str| {
        let ran = desktop.run(args);
        let files = desktop.temporary();
        let file = match args.iter().position(|arg| *arg == "--graph") {
            Some(at) => desktop.path(args[at + 1]).display().to_string(),
            None => files.last().unwrap().clone(),
        };
        assert!(fs::exists(&file).unwrap());
        let wanted = format!("error: failed to show {file}: {why}; open the file by hand");
        assert_eq!(ran.stderr.lines().last(), Some(wanted.as_str()));
        ran.code
    };
    let missing = "the program `xdg-open` is not installed";
    let desktop = Desktop::without_opener();
    assert_eq!(told(&desktop, &["--show", "--graph", "movie.dot"], missing), Some(1));
    assert_eq!(
        told(&desktop, &["--show", "--graph", "movie.mmd", CONVERGES[0], CONVERGES[1]], missing),
        Some(0)
    );
    assert_eq!(told(&desktop, &["--show", "--no-act"], missing), Some(3));
    let failing = Desktop::new("exit 4");
    assert_eq!(told(&failing, &["--list", "--show"], "`xdg-open` ended with exit status: 4"), Some(0));
    let without = Desktop::new("exit 3");
    let why = "`xdg-open` ended with exit status: 3: it found no program for such files";
    assert_eq!(told(&without, &["--list", "--show"], why), Some(0));
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_runs() {
    let desktop = Desktop::new(NOTES);
    let ran = desktop.run(&["--show", "--graph", "-"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ran.stderr,
        "error: --show needs a file, and --graph - writes to stdout; give --graph a file, or omit it\n"
    );
    let ran = desktop.run(&["--show", "--list", "--format", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
}
