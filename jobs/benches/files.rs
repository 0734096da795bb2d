//! What it costs to converge 10,000 files that are as wanted, beside a bare loop that looks at the same files.
//!
//! ```text
//! cargo bench -p dojob-jobs --bench files
//! ```
#![allow(clippy::disallowed_methods, reason = "it measures time")]
#![allow(clippy::print_stdout, reason = "it tells what it has measured")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dojob::{Deps, DummyJob, Engine, JobGraph};
use dojob_jobs::File;

const FILES: usize = 10_000;
/// By name, which has to be looked up.
const OWNER: &str = "root";
const ROUNDS: usize = 9;

#[derive(Clone, PartialEq)]
struct All(Vec<File>);

impl DummyJob for All {
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        deps.extend(self.0.iter().cloned());
        deps
    }
}

/// What a script does that knows of nothing but the content.
fn bare(files: &[(PathBuf, String)]) -> Result<()> {
    for (path, wanted) in files {
        let meta = fs::symlink_metadata(path)?;
        let mut found = Vec::with_capacity(usize::try_from(meta.len())?);
        fs::File::open(path)?.read_to_end(&mut found)?;
        ensure!(meta.is_file() && found == wanted.as_bytes(), "{} differs", path.display());
    }
    Ok(())
}

fn time(mut what: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        what()?;
        rounds.push(start.elapsed());
    }
    rounds.sort();
    Ok(rounds[ROUNDS / 2])
}

fn files(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    (0..FILES)
        .map(|number| {
            let (path, content) =
                (root.join(format!("{number}.conf")), format!("number = {number}\n").repeat(20));
            fs::write(&path, &content)?;
            Ok((path, content))
        })
        .collect()
}

fn main() -> Result<()> {
    let root = tempfile::tempdir()?;
    let files = files(root.path())?;
    let jobs = files.iter().map(|(path, content)| File::new(path, content.as_str()).mode(0o644).owner(OWNER));
    let graph = JobGraph::new(All(jobs.collect()))?;
    let mut engine = Engine::with_graph(graph);
    for _ in 0..2 {
        let loop_alone = time(|| bare(&files))?;
        let converged = time(|| {
            let report = engine.converge();
            ensure!(report.counts().in_place == FILES + 1, "{report:?}");
            Ok(())
        })?;
        println!(
            "{FILES} files: bare loop {loop_alone:?}, converged {converged:?}: {:.2} times",
            converged.as_secs_f64() / loop_alone.as_secs_f64()
        );
    }
    Ok(())
}
