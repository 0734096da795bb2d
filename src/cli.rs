//! The command line of a provisioning binary: one call in `main` gives it all.
//!
//! Turns flags into calls of the library, and errors into messages and exit codes. Knows no job.

mod durations;
mod flags;
mod plan;
#[cfg(feature = "playbook")]
mod playbook;
mod print;
mod run;
mod say;
mod show;
mod signals;
mod state;

use std::process::ExitCode;

use clap::Parser;

pub use self::flags::{Flags, Format, Patience, Shell};
#[cfg(feature = "playbook")]
pub use self::playbook::{Program, main};
use crate::engine::Engine;
use crate::job::IntoJob;

// The command line of a binary without flags of its own.
#[derive(Parser, serde::Serialize)]
#[command(about = "Converge the jobs of this program")]
struct Plain {
    #[command(flatten)]
    #[serde(skip)]
    flags: Flags,
}

/// A provisioning binary for `root` and all that it depends on, with the usual [`Flags`]:
///
/// ```no_run
/// # use dojob::{Context, Job, Result};
/// # #[derive(Clone, PartialEq)] struct WatchMovie;
/// # impl Job for WatchMovie {
/// #     fn check(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// # }
/// fn main() -> std::process::ExitCode {
///     dojob::cli::provision(WatchMovie)
/// }
/// ```
///
/// With flags of its own it flattens [`Flags`] into its own struct and calls [`Flags::main`].
pub fn provision<M>(root: impl IntoJob<M>) -> ExitCode {
    let cli = Plain::parse();
    cli.flags.main(&cli, || Ok(Engine::new(root)?))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn help_begins_with_the_description_of_the_program_or_with_its_usage() {
        #[derive(Parser)]
        struct Undescribed {
            #[command(flatten)]
            _flags: Flags,
        }
        let begins = |mut command: clap::Command, start: &str| {
            let (short, long) = (command.render_help().to_string(), command.render_long_help().to_string());
            assert!(short.starts_with(start) && long.starts_with(start), "{short}\n{long}");
        };
        begins(Plain::command(), "Converge the jobs of this program\n\nUsage:");
        begins(Undescribed::command(), "Usage:");
    }
}
