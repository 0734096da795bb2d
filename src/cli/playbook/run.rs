//! `run` and `plan`: a playbook is converged as any graph is.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::reading::Reading;
use super::{Cli, registry};
use crate::cli::flags::Flags;
use crate::cli::run::Planned;
use crate::engine::Engine;
use crate::playbook::{Facts, Playbook};

#[derive(clap::Args)]
pub(super) struct Run {
    /// A playbook; a directory stands for its `*.conf` files as one, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    reading: Reading,

    #[command(flatten)]
    flags: Flags,
}

impl Run {
    pub(super) fn main(mut self, facts: Option<Arc<Facts>>, is_plan: bool) -> ExitCode {
        if is_plan {
            (self.flags.no_act, self.flags.diff) = (true, true);
        }
        // What runs nothing asks for no secret.
        let is_look = self.flags.list || self.flags.debts;
        self.flags.converge_planned::<Cli>(|| {
            let playbook = self.reading.read(&self.file, facts)?;
            // For as long as the process is there: to take a large one apart takes time, and the end does it for nothing.
            let playbook: &'static Playbook = Box::leak(Box::new(playbook));
            let registry = registry()?;
            let outline = playbook.in_scope(Engine::with_graph(playbook.outline(&registry)?));
            let whole = (playbook.has_secrets() && !is_look).then(|| {
                let whole = move || Ok(playbook.engine(&registry)?);
                Box::new(whole) as Box<dyn FnOnce() -> anyhow::Result<Engine>>
            });
            Ok(Planned { outline, whole })
        })
    }
}
