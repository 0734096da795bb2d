//! What a provisioning binary does with its flags: list, draw, or converge.
//!
//! Everything here could be written by a user with the library's public parts.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::shells;
use serde::Serialize;

use super::durations;
use super::flags::{Flags, Format, Shell};
use super::plan;
use super::print::print;
use super::say::{program, say, say_error};
use super::show;
use super::signals::SignalGuard;
use super::state::in_words;
use crate::context::process::inherit_orphans;
use crate::engine::Engine;
use crate::engine::plan::Plan;
use crate::engine::plan_mismatch::PlanMismatch;
use crate::host::file_log::JournalError;
use crate::report::{Refusal, Report};
use crate::view::console::Console;
use crate::view::history::History;
use crate::view::json::JsonLines;
use crate::view::log::init_log;
use crate::view::picture::{Picture, can_draw, write_picture};
use crate::view::progress::Progress;
use crate::view::streams::{Stderr, Stdout};

/// Wrong usage or an invalid graph: nothing was started.
pub(super) const UNUSABLE: u8 = 2;
/// The run itself succeeded, and something after it did not.
const FAILED: u8 = 1;
/// Another process is at work in this scope.
const LOCKED: u8 = 4;
/// A dry run has found something to do.
const NOT_YET: u8 = 3;

/// What to do about it, behind its text.
fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnfinishedRevert { .. } => {
            "; run with `--on-failure revert` to continue, or with `--forget-undo` to leave everything as it is"
        }
        _ => "",
    }
}

/// The exit code where cleanups alone were called.
fn exit_code_of_cleanups(report: &Report) -> u8 {
    let is_all = report.failed_cleanups().next().is_none()
        && !report.pending().iter().any(|cleanup| !cleanup.declined);
    match (is_all, report.is_stopped(), report.is_no_act()) {
        (_, true, _) => 130,
        (true, ..) => 0,
        (false, _, true) => NOT_YET,
        (false, ..) => FAILED,
    }
}

/// What is known of an engine before it is made.
#[cfg(feature = "playbook")]
pub(super) struct Planned {
    /// Its jobs and its scope; itself, where nothing is missing.
    pub(super) outline: Engine,
    /// Makes it where something is, secrets say, that is not to be asked for in vain.
    pub(super) whole: Option<Box<dyn FnOnce() -> anyhow::Result<Engine>>>,
    /// The jobs that are asked for with `--only`, by their names.
    pub(super) only: Vec<String>,
}

/// Standard output for an observer, which cannot say that it was in vain: the first error is kept.
struct Kept(Arc<Mutex<Option<io::Error>>>);

impl Kept {
    fn keep<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if let Ok(mut kept) = self.0.lock() {
                kept.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
            }
        })
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep(Stdout.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.keep(Stdout.flush())
    }
}

/// The exit code; an error means that nothing was started, and is told.
pub(super) fn exit(code: anyhow::Result<u8>) -> ExitCode {
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say_error(&error);
            let is_locked = matches!(error.downcast_ref(), Some(JournalError::Locked { .. }));
            ExitCode::from(if is_locked { LOCKED } else { UNUSABLE })
        }
    }
}

impl Flags {
    /// Does all that the flags say with the engine that `engine` makes, and returns the exit code: 0 converged (no-act:
    /// nothing to do), 1 a job failed or could not find out, 2 wrong usage or an invalid graph (nothing was started), 3
    /// no-act: something would run, 4 another start is at work in the same scope, 130 stopped by a signal.
    ///
    /// `cli` is the struct that these flags are flattened into; its fields become the keyword arguments of the jobs (those
    /// with `#[serde(skip)]` do not). What `engine` sets is the binary's default; flags that are given count before it.
    pub fn main<C: CommandFactory + Serialize>(
        &self,
        cli: &C,
        engine: impl FnOnce() -> anyhow::Result<Engine>,
    ) -> ExitCode {
        exit(match self.about(C::command()) {
            Some(text) => print(&text).map(|()| 0),
            None => self.try_main(|| Ok(engine()?.args(cli)?)),
        })
    }

    /// As [`main`](Flags::main), for a program whose jobs have no arguments.
    #[cfg(feature = "playbook")]
    pub(super) fn converge_planned(
        &self,
        command: clap::Command,
        plan: impl FnOnce() -> anyhow::Result<Planned>,
    ) -> ExitCode {
        exit(match self.about(command) {
            Some(text) => print(&text).map(|()| 0),
            None => self.try_planned(plan),
        })
    }

    /// An error means that nothing was started.
    #[cfg(feature = "playbook")]
    fn try_planned(&self, plan: impl FnOnce() -> anyhow::Result<Planned>) -> anyhow::Result<u8> {
        self.begin()?;
        let saved = self.saved_plan()?;
        let Planned { outline, whole, only } = plan()?;
        let outline = self.set_up(outline, &only)?;
        let Some(whole) = whole else { return self.go(self.with_journal(outline)?, saved) };
        if let Some(saved) = &saved {
            self.refuse_misfit(outline.fits(saved))?;
        }
        // Nobody is asked for a secret as long as there is another reason not to start.
        let journal = self.journal_of(&outline)?;
        let whole = self.set_up(whole()?, &only)?;
        let whole = match journal {
            Some(journal) => whole.journal(journal),
            None => whole,
        };
        self.go(whole, saved)
    }

    /// Whether the jobs are asked for at all, and not only completions or a manual page.
    pub fn needs_jobs(&self) -> bool {
        self.completions.is_none() && !self.man
    }

    /// What is asked about the binary itself: completions, a manual page.
    fn about(&self, command: clap::Command) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        // Asked once a process.
        let name: &'static str = program().leak();
        let mut command = command.name(name).bin_name(name);
        if let Some(shell) = self.completions {
            match shell {
                Shell::Bash => clap_complete::generate(shells::Bash, &mut command, name, &mut text),
                Shell::Zsh => clap_complete::generate(shells::Zsh, &mut command, name, &mut text),
                Shell::Fish => clap_complete::generate(shells::Fish, &mut command, name, &mut text),
            }
        } else if self.man {
            clap_mangen::Man::new(command).render(&mut text).ok()?;
        } else {
            return None;
        }
        Some(text)
    }

    /// An error means that nothing was started.
    fn try_main(&self, engine: impl FnOnce() -> anyhow::Result<Engine>) -> anyhow::Result<u8> {
        self.begin()?;
        let saved = self.saved_plan()?;
        self.go(self.with_journal(self.set_up(engine()?, &self.only)?)?, saved)
    }

    fn begin(&self) -> anyhow::Result<()> {
        init_log("error", self.color.applies_to(&io::stderr())).map_err(anyhow::Error::msg)?;
        self.refuse_contradictions()
    }

    /// Does what is asked for with an engine that has all it needs.
    fn go(&self, engine: Engine, saved: Option<Plan>) -> anyhow::Result<u8> {
        if self.pending {
            print(self.pending_to_show(&engine.pending())?.as_bytes())?;
            return Ok(0);
        }
        match (self.list, self.draws()) {
            (true, true) => self.draw(engine.graph())?,
            (true, false) => self.list(&engine)?,
            (false, _) => return self.converge(engine, saved),
        }
        Ok(0)
    }

    fn draws(&self) -> bool {
        self.graph.is_some() || self.show
    }

    /// Writes the picture and shows it, as is wanted. That it cannot be shown is told and no more: it is there.
    fn draw<'a>(&self, picture: impl Into<Picture<'a>>) -> anyhow::Result<()> {
        let picture = picture.into();
        let path = match &self.graph {
            Some(path) => {
                write_picture(picture, path)?;
                path.clone()
            }
            None if self.show => show::write_temporary(&program(), &picture.to_svg())
                .context("failed to write a picture to the temporary directory")?,
            None => return Ok(()),
        };
        match if self.show { show::show(&path) } else { Ok(()) } {
            Err(error) => say_error(&error.into()),
            Ok(()) if self.graph.is_none() => say(&format!("the picture is {}", path.display())),
            Ok(()) => {}
        }
        Ok(())
    }

    fn refuse_contradictions(&self) -> anyhow::Result<()> {
        let json = self.format == Format::Json;
        let to_stdout = self.graph.as_ref().is_some_and(|path| path.as_os_str() == "-");
        for (given, flag) in [(self.verbose, "--verbose"), (self.debug, "--debug")] {
            anyhow::ensure!(
                !(json && given),
                "{flag} has no effect with --format json, which includes everything"
            );
        }
        anyhow::ensure!(
            self.no_act || self.save_plan.is_none(),
            "--save-plan requires --no-act: a plan is the result of a dry run"
        );
        anyhow::ensure!(
            !self.no_act || self.apply.is_none(),
            "--apply runs jobs, and a dry run does not; give it without --no-act"
        );
        anyhow::ensure!(
            self.no_act || !self.no_look_ahead,
            "--no-look-ahead requires --no-act, since only dry runs look ahead"
        );
        anyhow::ensure!(
            !(json && to_stdout && !self.list),
            "--graph - and --format json both write to stdout; give --graph a file"
        );
        anyhow::ensure!(
            !(self.list && self.draws() && json),
            "--list with --graph or --show cannot be combined with --format json, since it only draws"
        );
        anyhow::ensure!(
            !(self.show && to_stdout),
            "--show needs a file, and --graph - writes to stdout; give --graph a file, or omit it"
        );
        if let Some(path) = &self.graph {
            can_draw(path)?;
        }
        Ok(())
    }

    /// The plan that is to be applied.
    fn saved_plan(&self) -> anyhow::Result<Option<Plan>> {
        let read = self.apply.as_deref().map(plan::read).transpose();
        read.inspect_err(|error| self.tell_refusal(error))
    }

    /// An error where a plan is refused.
    fn refuse_misfit<T>(&self, fits: Result<T, PlanMismatch>) -> anyhow::Result<T> {
        let path = self.apply.as_deref().unwrap_or(Path::new(""));
        fits.map_err(|mismatch| plan::refused(mismatch, path)).inspect_err(|error| self.tell_refusal(error))
    }

    fn tell_refusal(&self, error: &anyhow::Error) {
        if self.format == Format::Json
            && let Err(error) = plan::print_refusal(error)
        {
            say_error(&error);
        }
    }

    /// Writes down what a dry run has found, where that is asked for.
    fn keep_plan(&self, engine: &Engine, report: &Report) -> anyhow::Result<()> {
        let is_printed = self.is_plan && self.format == Format::Json;
        if !is_printed && self.save_plan.is_none() {
            return Ok(());
        }
        let made = match engine.plan(report) {
            Ok(made) => made,
            // What could not be found out is told already.
            Err(_) if self.save_plan.is_none() => return Ok(()),
            Err(error) => return Err(anyhow::Error::new(error).context("failed to save the plan")),
        };
        if is_printed {
            plan::print_plan(&made)?;
        }
        self.save_plan.as_deref().map_or(Ok(()), |path| plan::save(&made, path))
    }

    fn set_up(&self, mut engine: Engine, only: &[String]) -> anyhow::Result<Engine> {
        if !only.is_empty() {
            engine = engine.only(only)?;
        }
        if let Some(workers) = self.jobs {
            engine = engine.workers(workers);
        }
        if let Some(tries) = self.tries {
            engine = engine.tries(tries);
        }
        if let Some(delay) = self.retry_delay {
            engine = engine.retry_delay(delay);
        }
        if self.no_act {
            engine = engine.no_act(true).look_ahead(!self.no_look_ahead);
        }
        if self.no_cleanup {
            engine = engine.cleanup(false);
        }
        if let Some(on_failure) = self.on_failure {
            engine = engine.on_failure(on_failure);
        }
        if self.durable {
            engine = engine.durable(true);
        }
        if self.forget_undo {
            engine = engine.forget_undo(true);
        }
        Ok(engine)
    }

    fn list(&self, engine: &Engine) -> anyhow::Result<()> {
        let list = match self.format {
            Format::Human => engine.graph().to_list(),
            Format::Json => format!("{:#}\n", engine.graph().to_json()),
        };
        print(list.as_bytes())?;
        engine.pending().iter().for_each(|cleanup| say(&in_words(cleanup)));
        Ok(())
    }

    fn converge(&self, engine: Engine, saved: Option<Plan>) -> anyhow::Result<u8> {
        let history = Arc::new(Mutex::new(History::default()));
        let scope = engine.scope_name().map(str::to_owned);
        let lost: Arc<Mutex<Option<io::Error>>> = Arc::default();
        let mut engine = match self.format {
            Format::Json => engine.observe(JsonLines::new(Kept(lost.clone())).diff(self.diff)),
            Format::Human => self.tell_people(engine, &history, &lost),
        };
        inherit_orphans();
        // To the end: pictures are drawn by a program that has to end with this one.
        let signals = SignalGuard::install(engine.stop_handle())?;
        let report = match (self.cleanup_only, &saved) {
            (true, _) => engine.call_pending(self.declined),
            (false, Some(saved)) => self.refuse_misfit(engine.apply(saved))?,
            (false, None) => engine.converge(),
        };
        drop(signals);
        let learned = history.lock().ok().and_then(|history| history.learned());
        if let Some(learned) = learned {
            durations::save(scope.as_deref(), &learned);
        }
        let mut code = if self.cleanup_only { exit_code_of_cleanups(&report) } else { report.exit_code() };
        if let Some(refusal) = report.refusal() {
            say(&format!("error: {refusal}{}", hint(refusal)));
        }
        let mut fail = |error: anyhow::Error| {
            say_error(&error);
            // What failed already says more.
            if matches!(code, 0 | NOT_YET) {
                code = FAILED;
            }
        };
        let lost = lost.lock().ok().and_then(|mut lost| lost.take());
        if let Some(error) = lost.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            fail(anyhow::Error::new(error).context("failed to write to stdout"));
        }
        for done in [self.keep_plan(&engine, &report), self.draw(&report)] {
            if let Err(error) = done {
                fail(error);
            }
        }
        Ok(code)
    }

    fn tell_people(
        &self,
        engine: Engine,
        history: &Arc<Mutex<History>>,
        lost: &Arc<Mutex<Option<io::Error>>>,
    ) -> Engine {
        let console = match (self.debug, self.verbose) {
            (true, _) => Console::debug(),
            (_, true) => Console::verbose(),
            (false, false) => Console::normal(),
        };
        let console = console.diff(self.diff).color(self.color).write_to(Stderr);
        // The plan was asked for; how it comes about is progress.
        let console = if self.is_plan { console.results_to(Kept(lost.clone()), self.color) } else { console };
        // Lines that scroll by are progress enough where every phase has one.
        if !Progress::is_wanted() || self.verbose || self.debug {
            return engine.observe(console);
        }
        if let Ok(mut history) = history.lock() {
            *history = History::new(durations::load(engine.scope_name()));
        }
        let progress = match self.is_plan {
            // On one terminal they would get into each other's way.
            true if io::stdout().is_terminal() => return engine.observe(console),
            true => Progress::beside(console, self.color, history.clone()),
            false => Progress::new(console, self.color, history.clone()),
        };
        engine.observe(progress)
    }
}
