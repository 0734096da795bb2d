//! A program that runs playbooks, with two task types of its own: a note in a file, and a greeting.
//!
//! ```text
//! cargo run --features playbook --example own_tasks -- types
//! cargo run --features playbook --example own_tasks -- run examples/own_tasks.conf
//! ```

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use dojob::{Context, Job, OrCouldNotFindOut, Result, RunOnlyJob};
use schemars::JsonSchema;
use serde::Deserialize;

/// A note in a file. Missing parent directories are created.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The file, such as `/tmp/notes/milk`.
    path: PathBuf,
    /// The text of the note.
    text: String,
}

impl Job for Note {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        let found = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            read => Some(read.or_could_not_find_out("what the note says")?),
        };
        ensure!(found.is_some(), "there is no note");
        ensure!(found.as_deref() == Some(&format!("{}\n", self.text)), "the note says something else");
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(fs::write(&self.path, format!("{}\n", self.text))?)
    }
}

dojob::task_type!(Note, example = "{ name: note, args { path: /tmp/notes/milk, text: \"none left\" } }");

/// Says hello, every time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SayHello {
    /// Whom to greet.
    friend: String,
    /// How many times.
    #[serde(default = "once")]
    times: u8,
}

fn once() -> u8 {
    1
}

impl RunOnlyJob for SayHello {
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        (0..self.times).for_each(|_| cx.log(format_args!("hello, {}!", self.friend)));
        cx.set_result(serde_json::json!({ "greeted": self.friend }))?;
        Ok(())
    }
}

dojob::task_type!(SayHello);

fn main() -> ExitCode {
    dojob::cli::main()
}
