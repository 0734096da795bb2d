//! How a playbook is read: the flags shared by several subcommands.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::playbook::{Facts, Playbook};

/// No playbook is longer; the reader tells so.
const LONGEST: u64 = 64 * 1024 * 1024;

#[derive(clap::Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct Reading {
    /// Set the value at a path of the playbook, such as `vars.domain=example.org`; overrides `--vars`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Merge a HOCON file over the playbook, such as one with `vars { … }`
    #[arg(long, value_name = "FILE")]
    vars: Vec<PathBuf>,

    /// Only run tasks with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,

    /// Skip tasks with one of these tags
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    skip_tags: Vec<String>,
}

impl Reading {
    /// The playbook of a file or a directory; `-` is standard input.
    pub(super) fn read(&self, path: &Path, facts: Option<Arc<Facts>>) -> anyhow::Result<Playbook> {
        let options = Playbook::options().shared_facts(facts);
        let options = self.vars.iter().fold(options, |options, path| options.overlay(path));
        let options = self.set.iter().fold(options, |options, set| options.set_text(set));
        let playbook = if path.as_os_str() == "-" {
            let mut text = Vec::new();
            let read = std::io::stdin().lock().take(LONGEST).read_to_end(&mut text);
            read.context("failed to read standard input")?;
            anyhow::ensure!(
                !text.trim_ascii().is_empty(),
                "standard input is empty: did the command that writes it succeed?"
            );
            options.load_all_of_text("standard input".to_owned(), text)?
        } else {
            options.load_all(path)?
        };
        Ok(playbook.tags(&self.tags).skip_tags(&self.skip_tags))
    }
}
