//! `completions` and `man`: output generated from the command line itself.

use std::path::PathBuf;

use anyhow::Context as _;
use clap_complete::shells;

use crate::cli::flags::Shell;
use crate::cli::print::print;

#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn main(self, mut command: clap::Command) -> anyhow::Result<u8> {
        let name = command.get_name().to_owned();
        let mut text = Vec::new();
        match self.shell {
            Shell::Bash => clap_complete::generate(shells::Bash, &mut command, name, &mut text),
            Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, name, &mut text),
            Shell::Fish => clap_complete::generate(shells::Fish, &mut command, name, &mut text),
        }
        print(&text)?;
        Ok(0)
    }
}

#[derive(clap::Args)]
pub(super) struct Man {
    /// Write a page for the program and one per subcommand to this directory
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(super) fn main(self, command: clap::Command) -> anyhow::Result<u8> {
        match self.directory {
            Some(directory) => {
                let failed = || format!("failed to write manual pages to {}", directory.display());
                std::fs::create_dir_all(&directory).with_context(failed)?;
                clap_mangen::generate_to(command, &directory).with_context(failed)?;
            }
            None => {
                let mut text = Vec::new();
                clap_mangen::Man::new(command).render(&mut text)?;
                print(&text)?;
            }
        }
        Ok(0)
    }
}
