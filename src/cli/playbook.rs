//! The command line of a program that runs playbooks: one file a subcommand.
//!
//! Turns arguments into calls of the library.

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

/// Declare the wanted state of a machine in a file, and converge to it.
#[derive(Parser)]
#[command(name = "dojob", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Converge everything that a playbook declares
    Run(run::Run),
    /// Show what `run` would do, with diffs, and change nothing (`run --no-act --diff`)
    Plan(run::Run),
    /// Report all errors in playbooks, and run nothing
    Validate(validate::Validate),
    /// Print a playbook, or any other HOCON file, as resolved JSON
    Config(config::Config),
    /// Draw the jobs of a playbook, and run nothing
    Graph(graph::Graph),
    /// List the available task types, or describe one
    Types(types::Types),
    /// Print the JSON Schema of playbooks, for editors
    Schema,
    /// Write a commented playbook to start from
    New(new::New),
    /// Print shell completions
    Completions(about::Completions),
    /// Print the manual page, or write one per subcommand to a directory
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
/// invalid playbook (nothing was started), 3 with `--no-act`: something would run, 4 another process is running this
/// playbook, 130 stopped by a signal.
pub fn main() -> ExitCode {
    Program::new().main()
}

/// A program that runs playbooks, with settings beyond its task types.
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
    /// A program with the default settings.
    pub fn new() -> Self {
        Program::default()
    }

    /// Sets the source of `${facts.…}`: a function that is called with a path such as `os.family`, as described at
    /// [`Facts`].
    #[must_use]
    pub fn facts(
        mut self,
        facts: impl Fn(&str) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Self {
        self.facts = Some(Arc::new(facts));
        self
    }

    /// Runs the command line; see [`main`].
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

/// The command line under this program's name; flags that have a subcommand of their own are hidden.
fn command() -> clap::Command {
    let name: &'static str = program().leak();
    let hide = |command: clap::Command| {
        ["dojob_completions", "dojob_man"]
            .into_iter()
            .fold(command, |command, id| command.mut_arg(id, |arg| arg.hide(true)))
    };
    Cli::command().name(name).bin_name(name).mut_subcommand("run", hide).mut_subcommand("plan", hide)
}
