//! `graph`: draws the jobs of a playbook, and runs nothing.

use std::path::PathBuf;
use std::sync::Arc;

use super::reading::Reading;
use crate::playbook::{Facts, Registry};
use crate::view::picture::{can_draw, write_picture};

#[derive(clap::Args)]
pub(super) struct Graph {
    /// A playbook; for a directory, its `*.conf` files together; `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The file to write, in the format of its extension: .svg, .png, .dot, .mmd (Mermaid), .pdf; - writes DOT to stdout
    #[arg(short, long, value_name = "PICTURE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    reading: Reading,
}

impl Graph {
    pub(super) fn main(self, facts: Option<Arc<Facts>>) -> anyhow::Result<u8> {
        can_draw(&self.output)?;
        let graph = self.reading.read(&self.file, facts)?.outline(&Registry::linked()?)?;
        write_picture(&graph, &self.output)?;
        Ok(0)
    }
}
