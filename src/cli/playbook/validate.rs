//! `validate`: reports all errors in playbooks, and runs nothing.

use std::path::PathBuf;
use std::sync::Arc;

use super::reading::Reading;
use crate::cli::print::print;
use crate::cli::run::UNUSABLE;
use crate::cli::say::say_error;
use crate::playbook::{Facts, Registry};

#[derive(clap::Args)]
pub(super) struct Validate {
    /// Playbooks, each validated on its own; for a directory, its `*.conf` files together; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    reading: Reading,
}

impl Validate {
    pub(super) fn main(self, facts: Option<Arc<Facts>>) -> anyhow::Result<u8> {
        let registry = Registry::linked()?;
        let mut code = 0;
        for file in &self.files {
            let validated = self.reading.read(file, facts.clone()).and_then(|playbook| {
                playbook.validate(&registry)?;
                Ok(playbook.len())
            });
            match validated {
                Ok(1) => print(format!("{}: 1 task, valid\n", file.display()).as_bytes())?,
                Ok(tasks) => print(format!("{}: {tasks} tasks, valid\n", file.display()).as_bytes())?,
                Err(error) => {
                    say_error(&error);
                    code = UNUSABLE;
                }
            }
        }
        Ok(code)
    }
}
