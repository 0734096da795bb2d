//! What a provisioning binary does with its flags: list, draw, or converge.
//!
//! Everything here could be written by a user with the library's public parts.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::shells;
use serde::Serialize;

use super::durations;
use super::flags::{Flags, Format, Shell};
use super::signals::SignalGuard;
use crate::engine::Engine;
use crate::view::console::Console;
use crate::view::history::History;
use crate::view::json::JsonLines;
use crate::view::log::init_log;
use crate::view::picture::{can_draw, write_picture};
use crate::view::progress::Progress;

/// Wrong usage or an invalid graph: nothing was started.
const UNUSABLE: u8 = 2;
/// The run itself succeeded, and something after it did not.
const FAILED: u8 = 1;
/// A dry run has found something to do.
const NOT_YET: u8 = 3;

/// Writes to standard output.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // A reader who has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("failed to write to standard output"),
    }
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
        self.keep(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.keep(io::stdout().flush())
    }
}

impl Flags {
    /// Does all that the flags say with the engine that `engine` makes, and returns the exit code: 0 converged (no-act:
    /// nothing to do), 1 a job failed or could not find out, 2 wrong usage or an invalid graph (nothing was started), 3
    /// no-act: something would run, 130 stopped by a signal.
    ///
    /// `cli` is the struct that these flags are flattened into; its fields become the keyword arguments of the jobs (those
    /// with `#[serde(skip)]` do not). What `engine` sets is the binary's default; flags that are given count before it.
    pub fn main<C: CommandFactory + Serialize>(
        &self,
        cli: &C,
        engine: impl FnOnce() -> anyhow::Result<Engine>,
    ) -> ExitCode {
        let code = match self.about::<C>() {
            Some(text) => print(&text).map(|()| 0),
            None => self.try_main(|| Ok(engine()?.args(cli)?)),
        };
        match code {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                super::say_error(&error);
                ExitCode::from(UNUSABLE)
            }
        }
    }

    /// Whether the jobs are asked for at all, and not only completions or a manual page.
    pub fn needs_jobs(&self) -> bool {
        self.completions.is_none() && !self.man
    }

    /// What is asked about the binary itself: completions, a manual page.
    fn about<C: CommandFactory>(&self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        // What is typed to start it is the name of the file, whatever the package is called. Asked once a process.
        let file = std::env::args_os().next().map(std::path::PathBuf::from);
        let name = file
            .as_deref()
            .and_then(std::path::Path::file_stem)
            .map_or("job".into(), |name| name.to_string_lossy());
        let name: &'static str = name.into_owned().leak();
        let mut command = C::command().name(name).bin_name(name);
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
        init_log("error", self.color.applies_to(&io::stderr())).map_err(anyhow::Error::msg)?;
        self.refuse_contradictions()?;
        let engine = self.apply(engine()?)?;
        match (&self.graph, self.list) {
            (Some(path), true) => write_picture(engine.graph(), path)?,
            (None, true) => self.list(&engine)?,
            (_, false) => return self.converge(engine),
        }
        Ok(0)
    }

    fn refuse_contradictions(&self) -> anyhow::Result<()> {
        let json = self.format == Format::Json;
        let to_stdout = self.graph.as_ref().is_some_and(|path| path.as_os_str() == "-");
        for (given, flag) in [(self.verbose, "--verbose"), (self.debug, "--debug")] {
            anyhow::ensure!(!(json && given), "{flag} says nothing with --format json, which has all of it");
        }
        anyhow::ensure!(
            !(json && to_stdout && !self.list),
            "--graph - and --format json both want standard output; give --graph a file"
        );
        anyhow::ensure!(
            !(self.list && self.graph.is_some() && json),
            "--list with --graph cannot be combined with --format json: it draws only"
        );
        if let Some(path) = &self.graph {
            can_draw(path)?;
        }
        Ok(())
    }

    fn apply(&self, mut engine: Engine) -> anyhow::Result<Engine> {
        if !self.only.is_empty() {
            engine = engine.only(&self.only)?;
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
            engine = engine.no_act(true);
        }
        if self.no_cleanup {
            engine = engine.cleanup(false);
        }
        Ok(engine)
    }

    fn list(&self, engine: &Engine) -> anyhow::Result<()> {
        let list = match self.format {
            Format::Human => engine.graph().to_list(),
            Format::Json => format!("{:#}\n", engine.graph().to_json()),
        };
        print(list.as_bytes())
    }

    fn converge(&self, engine: Engine) -> anyhow::Result<u8> {
        let history = Arc::new(Mutex::new(History::default()));
        let lost: Arc<Mutex<Option<io::Error>>> = Arc::default();
        let mut engine = match self.format {
            Format::Json => engine.observe(JsonLines::new(Kept(lost.clone())).diff(self.diff)),
            Format::Human => self.tell_people(engine, &history),
        };
        // To the end: pictures are drawn by a program that has to end with this one.
        let signals = SignalGuard::install(engine.stop_handle())?;
        let report = engine.converge();
        drop(signals);
        let learned = history.lock().ok().and_then(|history| history.learned());
        if let Some(learned) = learned {
            durations::save(&learned);
        }
        let mut code = report.exit_code();
        let mut fail = |error: anyhow::Error| {
            super::say_error(&error);
            // What failed already says more.
            if matches!(code, 0 | NOT_YET) {
                code = FAILED;
            }
        };
        let lost = lost.lock().ok().and_then(|mut lost| lost.take());
        if let Some(error) = lost.filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            fail(anyhow::Error::new(error).context("failed to write events to standard output"));
        }
        if let Some(Err(error)) = self.graph.as_ref().map(|path| write_picture(&report, path)) {
            fail(error.into());
        }
        Ok(code)
    }

    fn tell_people(&self, engine: Engine, history: &Arc<Mutex<History>>) -> Engine {
        let console = match (self.debug, self.verbose) {
            (true, _) => Console::debug(),
            (_, true) => Console::verbose(),
            (false, false) => Console::normal(),
        };
        let console = console.diff(self.diff).color(self.color);
        // Lines that scroll by are progress enough where every phase has one.
        if !Progress::is_wanted() || self.verbose || self.debug {
            return engine.observe(console);
        }
        if let Ok(mut history) = history.lock() {
            *history = History::new(durations::load());
        }
        engine.observe(Progress::new(console, self.color, history.clone()))
    }
}
