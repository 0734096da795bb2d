//! `config`: prints a playbook, or any other HOCON file, as resolved JSON.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::print::print;
use crate::playbook::Playbook;

/// No file is longer; the reader refuses this one.
const LONGEST: u64 = 64 * 1024 * 1024;

#[derive(clap::Args)]
pub(super) struct Config {
    /// A playbook, or any other HOCON file; for a directory, its `*.conf` files together; `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Set the value at a path, such as `vars.domain=example.org`; overrides `--vars`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Merge a HOCON file over the file, such as one with `vars { … }`
    #[arg(long, value_name = "FILE")]
    vars: Vec<PathBuf>,
}

impl Config {
    pub(super) fn main(self) -> anyhow::Result<u8> {
        let options = Playbook::options();
        let options = self.vars.iter().fold(options, |options, path| options.overlay(path));
        let options = self.set.iter().fold(options, |options, set| options.set_text(set));
        let resolved = if self.file.as_os_str() == "-" {
            let mut text = Vec::new();
            let read = std::io::stdin().lock().take(LONGEST).read_to_end(&mut text);
            read.context("failed to read standard input")?;
            options.config_text("standard input", text)?
        } else {
            options.config(&self.file)?
        };
        print(resolved.as_bytes())?;
        Ok(0)
    }
}
