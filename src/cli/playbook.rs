//! The command line of a program that runs playbooks: one file a subcommand.
//!
//! Turns words into calls of the library. Knows no task type: those are linked.

mod about;
mod config;
mod graph;
mod new;
mod reading;
mod run;
mod schema;
mod types;
mod validate;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::Value;

use super::run::exit;
use super::say::program;
use crate::playbook::Facts;

/// Describe in a file what should be true, and have it made so.
#[derive(Parser)]
#[command(name = "dojob", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Bring everything that a playbook describes to its wanted state
    Run(run::Run),
    /// Show what `run` would do and how the world differs, and change nothing (`run --no-act --diff`)
    Plan(run::Run),
    /// Say all that is wrong with playbooks, and start nothing
    Validate(validate::Validate),
    /// Print what a playbook, or any other HOCON file, resolves to, as JSON
    Config(config::Config),
    /// Draw the jobs of a playbook, and start nothing
    Graph(graph::Graph),
    /// List the task types that a playbook can ask for, or tell all of one
    Types(types::Types),
    /// Print the JSON Schema of playbooks with all task types, for editors
    Schema,
    /// Write a playbook to begin with
    New(new::New),
    /// Print the completions for a shell
    Completions(about::Completions),
    /// Print the manual page, or write one for each subcommand to a directory
    Man(about::Man),
}

/// A program that runs playbooks with the task types that are linked into it: `run`, `plan`, `validate`, `config`,
/// `graph`, `types`, `schema`, `new`, `completions` and `man`.
///
/// ```no_run,standalone_crate
/// # use dojob::{Context, Result, RunOnlyJob};
/// /// Says hello.
/// #[derive(Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct SayHello {
///     /// To whom.
///     friend: String,
/// }
///
/// impl RunOnlyJob for SayHello {
///     fn run(&mut self, cx: &mut Context) -> Result<()> {
///         cx.log(format!("hello, {}", self.friend));
///         Ok(())
///     }
/// }
///
/// dojob::task_type!(SayHello);
///
/// fn main() -> std::process::ExitCode {
///     dojob::cli::main()
/// }
/// ```
///
/// Exit codes: 0 converged (with `--no-act`: nothing to do), 1 a job failed or could not find out, 2 wrong usage or an
/// invalid playbook (nothing was started), 3 with `--no-act`: something would run, 4 another start is at work on this
/// playbook, 130 stopped by a signal.
pub fn main() -> ExitCode {
    Program::new().main()
}

/// What a program that runs playbooks can be told beside its task types.
#[derive(Clone, Default)]
pub struct Program {
    facts: Option<Arc<Facts>>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("facts", &self.facts.is_some()).finish()
    }
}

impl Program {
    /// One without anything of its own.
    pub fn new() -> Self {
        Program::default()
    }

    /// Where the values of `${facts.…}` come from: it is asked for `os.family`, say, and answers as
    /// [`Facts`] do.
    #[must_use]
    pub fn facts(
        mut self,
        facts: impl Fn(&str) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Self {
        self.facts = Some(Arc::new(facts));
        self
    }

    /// Does what the command line says; see [`main`].
    pub fn main(self) -> ExitCode {
        let cli = match Cli::from_arg_matches(&command().get_matches()) {
            Ok(cli) => cli,
            Err(error) => error.exit(),
        };
        match cli.command {
            CliCommand::Run(run) => run.main(command(), self.facts, false),
            CliCommand::Plan(run) => run.main(command(), self.facts, true),
            CliCommand::Validate(validate) => exit(validate.main(self.facts)),
            CliCommand::Config(config) => exit(config.main()),
            CliCommand::Graph(graph) => exit(graph.main(self.facts)),
            CliCommand::Types(types) => exit(types.main()),
            CliCommand::Schema => exit(schema::main()),
            CliCommand::New(new) => exit(new.main()),
            CliCommand::Completions(completions) => exit(completions.main(command())),
            CliCommand::Man(man) => exit(man.main(command())),
        }
    }
}

/// The command line under this program's name; what has a subcommand of its own is not told as a flag, too.
fn command() -> clap::Command {
    let name: &'static str = program().leak();
    let hide = |command: clap::Command| {
        ["dojob_completions", "dojob_man"]
            .into_iter()
            .fold(command, |command, id| command.mut_arg(id, |arg| arg.hide(true)))
    };
    Cli::command().name(name).bin_name(name).mut_subcommand("run", hide).mut_subcommand("plan", hide)
}
