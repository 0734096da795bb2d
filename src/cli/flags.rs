//! The flags that every provisioning binary has.
//!
//! Only their definition and parsing; [`run`](super::run) acts on them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::job::policy::OnFailure;
use crate::units;
use crate::view::console::Color;

/// The flags of a provisioning binary, to be flattened into its own `clap` struct. (Their `clap` ids are `dojob_no_act`,
/// `dojob_list` and so on, so the fields of that struct can have any name.)
///
/// ```
/// # use std::process::ExitCode;
/// use clap::Parser;
/// use dojob::{cli::Flags, Engine};
/// # use dojob::{Context, Job, Result};
/// # #[derive(Clone, PartialEq)] struct WatchMovie;
/// # impl Job for WatchMovie {
/// #     fn check(&mut self, cx: &mut Context) -> Result<()> { cx.arg::<String>("movie")?; Ok(()) }
/// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// # }
///
/// /// Gets friends together to watch a movie.
/// #[derive(Parser, serde::Serialize)]
/// struct Cli {
///     /// Which movie.
///     #[arg(long, default_value = "Brazil")]
///     movie: String, // the jobs ask for it with `cx.arg("movie")`
///     #[command(flatten)]
///     #[serde(skip)]
///     flags: Flags,
/// }
///
/// fn main() -> ExitCode {
/// #   let args = ["movie_night", "--list"]; let cli = Cli::parse_from(args); #[cfg(any())]
///     let cli = Cli::parse();
///     cli.flags.main(&cli, || Ok(Engine::new(WatchMovie)?))
/// }
/// ```
#[derive(Clone, Debug, Default, clap::Args)]
// clap would show the documentation above as the description of a program that has none of its own.
#[command(next_help_heading = "Converging", about = None, long_about = None)]
#[non_exhaustive]
pub struct Flags {
    /// Dry run: call only the checks, and show what would run
    #[arg(id = "dojob_no_act", short = 'n', long = "no-act")]
    pub no_act: bool,

    /// With --no-act: skip the checks of jobs that depend on a job that would run
    #[arg(id = "dojob_no_look_ahead", long = "no-look-ahead")]
    pub no_look_ahead: bool,

    /// With --no-act: write what would run to FILE, for review and for --apply
    #[arg(id = "dojob_save_plan", long = "save-plan", value_name = "FILE")]
    pub save_plan: Option<PathBuf>,

    /// Run exactly what the plan in FILE contains; refuse, and change nothing, if it no longer applies
    #[arg(id = "dojob_apply", long = "apply", value_name = "FILE",
          conflicts_with_all = ["dojob_save_plan", "dojob_cleanup_only", "dojob_pending", "dojob_list"])]
    pub apply: Option<PathBuf>,

    /// Show diffs between the actual and the wanted state, for checks that provide them
    #[arg(id = "dojob_diff", long = "diff")]
    pub diff: bool,

    /// Show each phase of each job, and the output of jobs
    #[arg(id = "dojob_verbose", short = 'v', long = "verbose")]
    pub verbose: bool,

    /// Like --verbose, and show every failure in full (with a backtrace if RUST_BACKTRACE=1)
    #[arg(id = "dojob_debug", short = 'd', long = "debug")]
    pub debug: bool,

    /// Run up to N jobs in parallel; without N, one per CPU
    #[arg(id = "dojob_jobs", short = 'j', long = "jobs", value_name = "N", num_args = 0..=1, default_missing_value = "auto",
          value_parser = workers)]
    pub jobs: Option<usize>,

    /// How often to try a job that sets no number of tries itself [default: 3, unless the program sets another]
    #[arg(id = "dojob_tries", long = "tries", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tries: Option<u32>,

    /// Time between the tries of a job that sets none itself: 20ms, 2.5s, 1m30s, or a number of seconds [default: 1s,
    /// unless the program sets another]
    #[arg(id = "dojob_retry_delay", long = "retry-delay", value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub retry_delay: Option<Duration>,

    /// Do not run cleanups
    #[arg(id = "dojob_no_cleanup", long = "no-cleanup")]
    pub no_cleanup: bool,

    /// Converge only these jobs and their dependencies; separate names with spaces
    #[arg(id = "dojob_only", long = "only", value_name = "JOB", num_args = 1..)]
    pub only: Vec<String>,

    /// What to do when a job has failed for good
    #[arg(id = "dojob_on_failure", long = "on-failure", value_enum, value_name = "POLICY")]
    pub on_failure: Option<OnFailure>,

    /// Abandon a rollback that an earlier run did not finish, and leave everything as it is
    #[arg(id = "dojob_forget_undo", long = "forget-undo")]
    pub forget_undo: bool,

    /// Only run the cleanups that earlier runs left pending
    #[arg(id = "dojob_cleanup_only", long = "cleanup-only")]
    pub cleanup_only: bool,

    /// With --cleanup-only: also run the cleanups that were skipped with --no-cleanup
    #[arg(id = "dojob_declined", long = "declined", requires = "dojob_cleanup_only")]
    pub declined: bool,

    /// List the cleanups that earlier runs left pending, and run nothing
    #[arg(id = "dojob_pending", long = "pending", alias = "debts", conflicts_with_all = ["dojob_cleanup_only", "dojob_list"])]
    pub pending: bool,

    /// The state directory, which records started runs and pending cleanups [default: the program's name in the
    /// platform's state directory]
    #[arg(id = "dojob_state_dir", long = "state-dir", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Sync the journal to disk before a job runs, so that it also survives power loss
    #[arg(id = "dojob_durable", long = "durable")]
    pub durable: bool,

    /// If another process is running in the same scope, wait for it to end, for at most TIME if given
    #[arg(id = "dojob_wait", long = "wait", value_name = "TIME", num_args = 0..=1, require_equals = true,
          default_missing_value = "forever", value_parser = patience)]
    pub wait: Option<Patience>,

    /// List the jobs in order, with their dependencies, and run nothing (with --graph or --show: only draw)
    #[arg(id = "dojob_list", long = "list")]
    pub list: bool,

    /// Draw the graph after the run, in the format of the file extension:
    #[cfg_attr(feature = "png", doc = ".svg, .png, .dot, .mmd (Mermaid), or with Graphviz .pdf;")]
    #[cfg_attr(not(feature = "png"), doc = ".svg, .dot, .mmd (Mermaid), or with Graphviz .png and .pdf;")]
    /// - writes DOT to stdout
    #[arg(id = "dojob_graph", long = "graph", value_name = "FILE")]
    pub graph: Option<PathBuf>,

    /// Open the picture in the desktop's viewer after the run (with --list: without running anything); it is the file of
    /// --graph, or else an SVG file in the temporary directory
    #[arg(id = "dojob_show", long = "show")]
    pub show: bool,

    /// Output format: text for people, or events as JSON lines on stdout
    #[arg(id = "dojob_format", long = "format", value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,

    /// The results of the dry run are the requested output, and go to stdout.
    #[arg(skip)]
    pub(crate) is_plan: bool,

    /// When to use colors
    #[arg(id = "dojob_color", long = "color", value_enum, value_name = "WHEN", default_value_t)]
    pub color: Color,

    /// Print shell completions, and run nothing
    #[arg(
        id = "dojob_completions",
        long = "completions",
        value_enum,
        value_name = "SHELL",
        exclusive = true
    )]
    pub completions: Option<Shell>,

    /// Print the manual page, and run nothing
    #[arg(id = "dojob_man", long = "man", exclusive = true)]
    pub man: bool,
}

/// A shell to generate completions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// JSON lines.
    Json,
}

impl ValueEnum for Color {
    fn value_variants<'a>() -> &'a [Self] {
        &[Color::Auto, Color::Always, Color::Never]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        }))
    }
}

impl ValueEnum for OnFailure {
    fn value_variants<'a>() -> &'a [Self] {
        &[OnFailure::Keep, OnFailure::Revert]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let value = match self {
            OnFailure::Keep => ("keep", "Keep what was done; the next run continues from there"),
            OnFailure::Revert => ("revert", "Revert everything that was run, in reverse order"),
        };
        Some(clap::builder::PossibleValue::new(value.0).help(value.1))
    }
}

/// How long to wait for the lock of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Patience {
    /// Without a limit.
    Forever,
    /// At most this long.
    AtMost(Duration),
}

fn patience(text: &str) -> Result<Patience, String> {
    match text {
        "forever" => Ok(Patience::Forever),
        _ => duration(text).map(Patience::AtMost),
    }
}

/// How many workers: a number, or one per CPU.
fn workers(text: &str) -> Result<usize, String> {
    match text {
        "auto" => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        _ => match text.parse() {
            Ok(0) => Err("must be at least 1".to_owned()),
            Ok(workers) => Ok(workers),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// A duration: a number of seconds, or numbers with units.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected =
        "expected a duration such as `20ms`, `2.5s` or `1m30s`, or a number of seconds such as `0.02`";
    let negative = "a duration cannot be negative";
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|_| if seconds < 0.0 { negative.to_owned() } else { expected.to_owned() });
    }
    let is_negative = text.trim_start().starts_with('-');
    units::parse_duration(text).map_err(|_| if is_negative { negative } else { expected }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_or_plain_seconds() {
        let parsed = |text| duration(text).unwrap();
        assert_eq!(parsed("20ms"), Duration::from_millis(20));
        assert_eq!(parsed("2.5s"), Duration::from_millis(2500));
        assert_eq!(parsed("0.02"), Duration::from_millis(20));
        assert_eq!(parsed("0"), Duration::ZERO);
        assert_eq!(parsed("1m30s"), Duration::from_secs(90));
        assert_eq!(parsed("2 hours"), Duration::from_secs(7200));
        assert_eq!(parsed("1.5 days"), Duration::from_secs(129_600));
        assert_eq!(duration("-1").unwrap_err(), "a duration cannot be negative");
        assert_eq!(duration("-20ms").unwrap_err(), "a duration cannot be negative");
        for wrong in ["", "soon", "5 parsecs", "NaN", "inf", "1e300"] {
            assert!(duration(wrong).unwrap_err().starts_with("expected a duration such as"), "{wrong}");
        }
    }

    #[test]
    fn there_is_at_least_one_worker() {
        assert_eq!(workers("4"), Ok(4));
        assert!(workers("auto").unwrap() >= 1);
        assert!(workers("0").is_err() && workers("-1").is_err() && workers("many").is_err());
    }
}
