//! What `dojob run` costs, from its start to its end, on a playbook of 10,000 files that are as wanted, beside a bare loop
//! that looks at the same files.
//!
//! ```text
//! cargo bench -p dojob-jobs --features command --bench playbook
//! ```
#![allow(clippy::disallowed_methods, reason = "it measures time")]
#![allow(clippy::print_stdout, reason = "it tells what it has measured")]

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

const FILES: usize = 10_000;
const ROUNDS: usize = 9;

/// How the wanted content is said.
#[derive(Clone, Copy)]
enum How {
    /// In the playbook itself, one line.
    Inline,
    /// In another file of so many bytes.
    Source(usize),
}

/// The files below a directory, and a playbook that wants them.
fn prepare(root: &Path, how: How) -> Result<PathBuf> {
    let mut text = format!("vars {{ root: \"{}\" }}\ntasks: [\n", root.display());
    for number in 0..FILES {
        let path = format!("page-{number}.html");
        let (said, content) = match how {
            How::Inline => (format!("content: \"page {number}\\n\""), format!("page {number}\n")),
            How::Source(bytes) => {
                let content = "0123456\n".repeat(bytes / 8);
                fs::write(root.join(format!("source-{number}")), &content)?;
                (format!("source: ${{vars.root}}/source-{number}"), content)
            }
        };
        fs::write(root.join(&path), content)?;
        writeln!(
            text,
            "    {{ name: file\n      args {{ path: ${{vars.root}}/{path}, {said}, mode: \"0644\" }} }}"
        )?;
    }
    text.push_str("]\n");
    let playbook = root.join("playbook.conf");
    fs::write(&playbook, text)?;
    Ok(playbook)
}

/// What a script does that knows of nothing but the content.
fn bare(root: &Path, how: How) -> Result<()> {
    for number in 0..FILES {
        let path = root.join(format!("page-{number}.html"));
        let wanted = match how {
            How::Inline => format!("page {number}\n").into_bytes(),
            How::Source(_) => whole(&root.join(format!("source-{number}")))?,
        };
        ensure!(whole(&path)? == wanted, "{} differs", path.display());
    }
    Ok(())
}

fn whole(path: &Path) -> Result<Vec<u8>> {
    let meta = fs::symlink_metadata(path)?;
    ensure!(meta.is_file(), "{} is no file", path.display());
    let mut found = Vec::with_capacity(usize::try_from(meta.len())? + 1);
    fs::File::open(path)?.read_to_end(&mut found)?;
    Ok(found)
}

fn command(root: &Path, verb: &str, playbook: &Path) -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dojob"));
    let output = command.arg(verb).arg(playbook).env("DOJOB_STATE_DIR", root.join("state")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The middle of several rounds of each, in turn.
fn times<const N: usize>(mut whats: [&mut dyn FnMut() -> Result<()>; N]) -> Result<[Duration; N]> {
    let mut rounds: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (what, times) in whats.iter_mut().zip(&mut rounds) {
            let start = Instant::now();
            what()?;
            times.push(start.elapsed());
        }
    }
    Ok(rounds.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    }))
}

fn main() -> Result<()> {
    println!("{FILES} files, each as wanted; medians of {ROUNDS} rounds in turn");
    for (what, how) in [
        ("a line each, in the playbook", How::Inline),
        ("4 KiB each, from a source", How::Source(4 * 1024)),
        ("64 KiB each, from a source", How::Source(64 * 1024)),
    ] {
        let root = tempfile::tempdir()?;
        let playbook = prepare(root.path(), how)?;
        let [alone, validated, run] = times([
            &mut || bare(root.path(), how),
            &mut || command(root.path(), "validate", &playbook),
            &mut || command(root.path(), "run", &playbook),
        ])?;
        println!(
            "{what}: bare loop {alone:.0?}, `dojob validate` {validated:.0?}, `dojob run` {run:.0?}: {:.2} times",
            run.as_secs_f64() / alone.as_secs_f64()
        );
    }
    Ok(())
}
