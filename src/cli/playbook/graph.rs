//! `graph`: a picture of a playbook's jobs, of which nothing is started.

use std::path::PathBuf;
use std::sync::Arc;

use super::reading::Reading;
use crate::playbook::{Facts, Registry};
use crate::view::picture::{can_draw, write_picture};

#[derive(clap::Args)]
pub(super) struct Graph {
    /// A playbook; a directory stands for its `*.conf` files as one, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where to draw, as its ending says: .svg, .png, .dot, .mmd (Mermaid), .pdf; - is DOT on standard output
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
