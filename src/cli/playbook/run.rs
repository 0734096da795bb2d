//! `run` and `plan`: converges a playbook like any other graph.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::reading::Reading;
use crate::cli::flags::Flags;
use crate::cli::run::Planned;
use crate::engine::Engine;
use crate::graph::JobGraph;
use crate::playbook::{Facts, Ids, Playbook, Registry};
use crate::suggest;

#[derive(clap::Args)]
pub(super) struct Run {
    /// A playbook; for a directory, its `*.conf` files together; `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    flags: Flags,
}

impl Run {
    pub(super) fn main(
        mut self,
        command: clap::Command,
        facts: Option<Arc<Facts>>,
        is_plan: bool,
    ) -> ExitCode {
        if is_plan {
            (self.flags.no_act, self.flags.diff, self.flags.is_plan) = (true, true, true);
        }
        // What runs nothing fetches no secrets.
        let is_look = self.flags.list || self.flags.pending;
        self.flags.converge_planned(command, || {
            let playbook = self.reading.read(&self.file, facts)?;
            // Leaked on purpose: dropping a large playbook takes time, and the process is about to end anyway.
            let playbook: &'static Playbook = Box::leak(Box::new(playbook));
            let registry = Registry::linked()?;
            let (graph, ids) = playbook.outline_with_ids(&registry)?;
            let only = jobs(&self.flags.only, &graph, &ids)?;
            let outline = playbook.in_scope(Engine::with_graph(graph));
            let whole = (playbook.has_secrets() && !is_look).then(|| {
                let whole = move || Ok(playbook.engine(&registry)?);
                Box::new(whole) as Box<dyn FnOnce() -> anyhow::Result<Engine>>
            });
            Ok(Planned { outline, whole, only })
        })
    }
}

/// The jobs that these names stand for: each is the name of a job, or the id of a task.
fn jobs(names: &[String], graph: &JobGraph, ids: &Ids) -> anyhow::Result<Vec<String>> {
    let mut jobs = Vec::new();
    for name in names {
        match ids.get(name) {
            _ if graph.get(name).is_some() => jobs.push(name.clone()),
            Some(own) if own.is_empty() => {
                anyhow::bail!("task `{name}` makes no jobs: its tags exclude it, or its `for_each` is empty")
            }
            Some(own) => jobs.extend(own.iter().map(|job| job.to_string())),
            None => {
                let known = ids.keys().map(String::as_str).chain(graph.iter().map(|job| job.name()));
                let hint = match suggest::nearest(name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`--list` lists the jobs".to_owned(),
                };
                let name = name.escape_debug();
                anyhow::bail!("no task has the id `{name}`, and no job has that name; {hint}")
            }
        }
    }
    Ok(jobs)
}
