//! What it costs to converge 10,000 files that are as wanted, beside a bare loop that looks at the same files, and to plan the
//! same with a look ahead, also where all of them stand behind a job that would run.
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
use dojob::{Deps, DummyJob, Engine, IntoJob, JobGraph};
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

/// All of them after a job that would run.
fn behind_one(jobs: Vec<File>) -> Result<JobGraph> {
    let first = File::new("/nowhere/at/all", "").into_job();
    let name = first.name().to_owned();
    let mut graph = JobGraph::builder();
    graph.add(first);
    let mut names = Vec::new();
    for job in jobs {
        let job = job.into_job();
        names.push(job.name().to_owned());
        graph.add(job).after([name.as_str()]);
    }
    graph.dummy("all").after(names);
    Ok(graph.build()?)
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
    let jobs: Vec<File> = jobs.collect();
    let graph = JobGraph::new(All(jobs.clone()))?;
    let plan = |graph| Engine::with_graph(graph).no_act(true).look_ahead(true);
    let mut planned = plan(graph.clone());
    let mut engine = Engine::with_graph(graph);
    let mut behind = plan(behind_one(jobs)?);
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
        for (what, engine) in [("as wanted", &mut planned), ("behind one that would run", &mut behind)] {
            let took = time(|| {
                let counts = engine.converge().counts();
                ensure!(counts.in_place == FILES + 1 && counts.unknown == 0, "{counts:?}");
                Ok(())
            })?;
            let times = took.as_secs_f64() / converged.as_secs_f64();
            println!("{FILES} files {what}: planned {took:?}: {times:.2} times the run");
        }
    }
    Ok(())
}
