//! How long jobs took in earlier runs, for an estimate of what is left.
//!
//! A convenience and no more: kept in the user's cache, best effort, and never asked by the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::{Event, Outcome};

/// A file with more is not kept: the estimate of so many jobs comes from the bar itself.
const MOST: usize = 20_000;

/// What jobs took, by name.
#[derive(Debug, Default)]
pub(crate) struct History {
    file: Option<PathBuf>,
    known: BTreeMap<String, f64>,
    /// Of the jobs that are not settled in this run, together.
    left: f64,
    /// Of this run.
    taken: BTreeMap<String, f64>,
    dry: bool,
}

impl History {
    /// That of this program.
    pub(crate) fn of_this_program() -> Self {
        let file = file();
        let known: BTreeMap<String, f64> = file
            .as_ref()
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        History { file, known, ..History::default() }
    }

    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { no_act, .. } => {
                self.dry = *no_act;
                self.left = self.known.values().sum();
                self.taken.clear();
            }
            Event::JobSettled { job, outcome, duration, .. } => {
                if let Some(known) = self.known.get(&**job) {
                    self.left = (self.left - known).max(0.0);
                }
                if matches!(outcome, Outcome::InPlace | Outcome::Changed) && self.taken.len() <= MOST {
                    self.taken.insert(job.to_string(), duration.as_secs_f64());
                }
            }
            _ => {}
        }
    }

    /// What is left, all jobs together, where most of the run's `jobs` are known from earlier.
    pub(crate) fn left(&self, jobs: usize) -> Option<Duration> {
        let known = self.known.len();
        let enough = known * 5 >= jobs * 4 && known <= jobs * 2 && self.left >= 1.0 && !self.dry;
        enough.then(|| Duration::from_secs_f64(self.left))
    }

    /// Keeps what this run took for the next one.
    pub(crate) fn save(&mut self) {
        if self.dry || self.taken.is_empty() || self.taken.len() > MOST {
            return;
        }
        // A job that failed, or was not in this run, keeps what was known of it.
        let mut known = std::mem::take(&mut self.known);
        known.append(&mut self.taken);
        self.known = known;
        if self.known.len() > MOST {
            return;
        }
        let Some(file) = &self.file else { return };
        let write = || -> std::io::Result<()> {
            if let Some(directory) = file.parent() {
                std::fs::create_dir_all(directory)?;
            }
            // Beside it and then over it, so that two programs at once leave a whole file.
            let beside = file.with_extension(format!("{}.tmp", std::process::id()));
            std::fs::write(&beside, serde_json::to_vec(&self.known)?)?;
            std::fs::rename(&beside, file)
        };
        let _ = write();
    }
}

/// `~/.cache/dojob/PROGRAM.durations.json`, or where `XDG_CACHE_HOME` says.
fn file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    let program = std::env::current_exe().ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    Some(cache.join("dojob").join(format!("{name}.durations.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(job: &str, seconds: u64) -> Event {
        Event::JobSettled {
            job: job.into(),
            outcome: Outcome::Changed,
            tries: 1,
            duration: Duration::from_secs(seconds),
            reason: None,
            because_of: Vec::new(),
            result: None,
        }
    }

    fn run(jobs: usize, no_act: bool) -> Event {
        Event::RunStarted { at: jiff::Timestamp::UNIX_EPOCH, jobs, workers: 1, no_act }
    }

    #[test]
    fn the_second_run_knows_what_the_first_took() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("deep").join("durations.json");
        let mut first = History { file: Some(file.clone()), ..History::default() };
        first.hear(&run(2, false));
        assert_eq!(first.left(2), None, "nothing is known");
        first.hear(&settled("A", 3));
        first.hear(&settled("B", 4));
        first.save();

        let known = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let mut second = History { file: Some(file), known, ..History::default() };
        second.hear(&run(2, false));
        assert_eq!(second.left(2), Some(Duration::from_secs(7)));
        second.hear(&settled("B", 9));
        assert_eq!(second.left(2), Some(Duration::from_secs(3)));
        assert_eq!(second.left(10), None, "most jobs are new");
    }

    #[test]
    fn a_dry_run_leaves_no_trace() {
        let scratch = tempfile::tempdir().unwrap();
        let mut history = History { file: Some(scratch.path().join("f")), ..History::default() };
        history.hear(&run(1, true));
        history.hear(&settled("A", 3));
        history.save();
        assert!(!scratch.path().join("f").exists());
    }
}
