//! What black-box tests share: running the built examples in an empty home, and reading what they print.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::PathBuf;
use std::process::{Command, Output};

/// The built example of this name.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own file");
    let path =
        own.parent().and_then(|deps| deps.parent()).expect("target/debug/deps").join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples` first", path.display());
    path
}

/// A command for the example in an empty home, without anything of this environment but PATH.
pub(crate) fn command(name: &str, home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(example(name));
    command.env_clear().env("HOME", home.path()).env("DOJOB_STATE_DIR", home.path().join("state"));
    command.current_dir(home.path());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// How a program ended, and what it printed; durations are `TIME`.
#[derive(Debug, PartialEq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code(),
            stdout: without_times(&String::from_utf8(output.stdout).expect("UTF-8 on standard output")),
            stderr: without_times(&String::from_utf8(output.stderr).expect("UTF-8 on standard error")),
        }
    }
}

/// Runs an example with these arguments in an empty home.
pub(crate) fn run(name: &str, args: &[&str]) -> Ran {
    let home = tempfile::tempdir().expect("a temporary directory");
    command(name, &home).args(args).output().expect("the example starts").into()
}

/// `(12 ms)` becomes `(TIME)`.
pub(crate) fn without_times(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let (before, from) = rest.split_at(open);
        plain.push_str(before);
        match from.find(')') {
            Some(close) if is_time(&from[1..close]) => {
                plain.push_str("(TIME)");
                rest = &from[close + 1..];
            }
            _ => {
                plain.push('(');
                rest = &from[1..];
            }
        }
    }
    plain + rest
}

fn is_time(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .split_whitespace()
            .all(|word| word.parse::<f64>().is_ok() || matches!(word, "ms" | "s" | "min" | "h"))
}

/// The lines that contain `part`.
pub(crate) fn lines_with<'t>(text: &'t str, part: &str) -> Vec<&'t str> {
    text.lines().filter(|line| line.contains(part)).collect()
}
