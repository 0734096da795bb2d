//! `new`: writes a playbook to start from.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::print::print;
use crate::cli::say::program;
use crate::cli::say::say;
use crate::playbook::Registry;

/// How many task types are shown.
const MOST: usize = 3;

#[derive(clap::Args)]
pub(super) struct New {
    /// The file to write, which must not exist; without it, or with `-`, stdout
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl New {
    pub(super) fn main(self) -> anyhow::Result<u8> {
        let name = self.file.as_ref().map_or("FILE".into(), |file| file.to_string_lossy());
        let text = starter(&Registry::linked()?, &name);
        let Some(file) = self.file.as_ref().filter(|file| file.as_os_str() != "-") else {
            print(text.as_bytes())?;
            return Ok(0);
        };
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(file)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                anyhow::bail!("{} already exists; choose another name", file.display())
            }
            written => written.with_context(|| format!("failed to write {}", file.display()))?,
        }
        say(&format!("wrote {}", file.display()));
        Ok(0)
    }
}

fn starter(registry: &Registry, file: &str) -> String {
    let mut examples = String::new();
    for kind in registry.registered().take(MOST) {
        for line in kind.example().lines() {
            examples.push_str(&format!("#     {line}\n"));
        }
    }
    include_str!("starter.conf")
        .replace("PROGRAM", &program())
        .replace("PLAYBOOK", file)
        .replace("EXAMPLES", &examples)
}
