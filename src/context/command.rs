//! Running commands from jobs: what to run and how, and what came of it.
//!
//! Does not know the engine: it is handed a sink for output and a request to stop, and leaves the waiting to
//! [`process`](super::process).

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::context::Context;
use crate::context::escaped::{self, COMMAND_VARIABLE};
use crate::context::output::{Captured, Lines};
use crate::context::process::{Ending, Orders, reap, supervise};
use crate::context::recorder::RUN_VARIABLE;
use crate::context::session;
use crate::event::Stream;
use crate::secret::withheld;

/// How much of each stream is kept unless [`Command::keep`] says otherwise: 1 MiB.
const KEPT: usize = 1024 * 1024;
/// How long a command may take to end after it was asked to, unless [`Command::grace`] says otherwise.
const GRACE: Duration = Duration::from_secs(5);
/// How many of a failed command's last lines its error shows.
const TAIL: usize = 10;
/// How many characters of what a command said become part of a reason.
const EXCERPT: usize = 400;

/// A command that a job runs; made by [`Context::command`] and [`Context::shell`].
///
/// It starts in the directory in which the run began, as the leader of a session and process group of its own, with
/// nothing on its standard input and no terminal to ask at. Every line that it prints becomes an [`Event::Output`](crate::Event::Output). A timeout, or the end
/// of the run by a signal, ends the whole group: TERM, then KILL after a [grace](Command::grace). It dies with this process
/// where the platform can do that (Linux); what survives all the same, the next start ends, where the engine has a
/// [`Journal`](crate::Journal).
#[must_use = "a command does nothing until `run`, `output` or `detach` is called"]
pub struct Command<'cx> {
    cx: &'cx Context,
    program: OsString,
    args: Vec<OsString>,
    /// What a person calls it: the shell line rather than `/bin/sh -c …`.
    shown: Option<String>,
    env: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    stdin: Vec<u8>,
    timeout: Option<Duration>,
    grace: Duration,
    keep: usize,
    quiet: bool,
    accepted: Vec<i32>,
}

impl Context {
    /// A command: a program, to which arguments are added one by one, so that no shell has to be quoted for.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command<'_> {
        Command::new(self, program.as_ref())
    }

    /// A command line for `/bin/sh -c`.
    pub fn shell(&self, line: &str) -> Command<'_> {
        Command::shell(self, line)
    }
}

impl<'cx> Command<'cx> {
    pub(crate) fn new(cx: &'cx Context, program: &OsStr) -> Self {
        Command {
            cx,
            program: program.to_owned(),
            args: Vec::new(),
            shown: None,
            env: Vec::new(),
            directory: None,
            stdin: Vec::new(),
            timeout: None,
            grace: GRACE,
            keep: KEPT,
            quiet: false,
            accepted: vec![0],
        }
    }

    pub(crate) fn shell(cx: &'cx Context, line: &str) -> Self {
        let mut command = Command::new(cx, OsStr::new("/bin/sh")).args(["-c", line]);
        command.shown = Some(line.to_owned());
        command
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the command's environment, which otherwise is that of this process, without the variables that
    /// are sources of a playbook's secrets.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable out of the command's environment.
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), None));
        self
    }

    /// The directory to start in; a relative one counts from the directory in which the run began.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// What the command reads on its standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// How long it may take, from its start; no limit unless this is called, or a playbook limits the time of its task.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long it may take to end when it was asked to (TERM), before its group is killed; 5 seconds unless this is
    /// called.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many bytes of each stream are kept for [`CommandOutput`]: half of them from the beginning, half from the
    /// end; 1 MiB unless this is called. Lines are handed on as events whatever is kept.
    pub fn keep(mut self, bytes: usize) -> Self {
        self.keep = bytes;
        self
    }

    /// Makes no events of what it prints, as befits a check.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The exit codes that [`run`](Command::run) takes for success, in place of 0 alone.
    pub fn accept(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.accepted = codes.into_iter().collect();
        self
    }

    /// Runs the command; an exit code that is not accepted is an error.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn run(self) -> Result<CommandOutput, CommandError> {
        let shown = self.to_string();
        let accepted = self.accepted.clone();
        let output = self.output()?;
        if output.status.code().is_some_and(|code| accepted.contains(&code)) {
            return Ok(output);
        }
        let tail = output.last_lines();
        Err(CommandError::Failed(Box::new(FailedCommand { command: shown, output, tail: Tail(tail) })))
    }

    /// Runs the command, whatever its exit code.
    ///
    /// # Errors
    /// When it cannot be started, or was made to end; see [`CommandError`].
    pub fn output(mut self) -> Result<CommandOutput, CommandError> {
        if let Some(left) = self.cx.time_left() {
            self.timeout = Some(self.timeout.map_or(left, |own| own.min(left)));
        }
        if self.cx.is_cancelled() {
            return Err(CommandError::Stopped { command: self.to_string() });
        }
        let mut command = self.prepare(true);
        let page = self.cx.page();
        if let Some(page) = page {
            command.env(RUN_VARIABLE, &*page.run);
        }
        let token = escaped::new_token();
        command.env(COMMAND_VARIABLE, &token);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        let started = match page {
            Some(page) => page.spawn(&token, || self.cx.groups().spawn(&mut command, self.cx.cancel())),
            None => self.cx.groups().spawn(&mut command, self.cx.cancel()),
        };
        let started = started.map_err(|source| self.not_started(source))?;
        let Some(child) = started else {
            return Err(CommandError::Stopped { command: self.to_string() });
        };

        let mut captured = [Captured::new(self.keep), Captured::new(self.keep)];
        let mut lines = [Lines::default(), Lines::default()];
        let shown = !self.quiet && self.cx.is_observed();
        let orders = Orders {
            stdin: &self.stdin,
            timeout: self.timeout,
            grace: self.grace,
            cancel: self.cx.cancel(),
            groups: self.cx.groups(),
            token: &token,
        };
        let ended = supervise(child, &orders, &mut |stream, bytes| {
            let slot = usize::from(stream == Stream::Stderr);
            captured[slot].push(bytes);
            if shown {
                lines[slot].push(bytes, self.cx.redactor(), |line| self.cx.output(stream, line));
            }
        });
        for (slot, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            lines[slot].finish(self.cx.redactor(), |line| self.cx.output(stream, line));
        }
        if ended.is_ok() {
            page.into_iter().for_each(|page| page.ended(&token));
        }
        let (status, ending) =
            ended.map_err(|source| CommandError::NotWatched { command: self.to_string(), source })?;
        captured.iter_mut().for_each(|captured| captured.settle(self.cx.redactor()));
        let [stdout, stderr] = captured;
        let output = CommandOutput { status, stdout, stderr };
        match (ending, self.timeout) {
            (Ending::TimedOut, Some(timeout)) => {
                Err(CommandError::TimedOut { command: self.to_string(), timeout, output: Box::new(output) })
            }
            (Ending::Stopped, _) => Err(CommandError::Stopped { command: self.to_string() }),
            (Ending::Exited | Ending::TimedOut, _) => Ok(output),
        }
    }

    /// Starts the command and leaves it alone: a service, say, that is meant to outlive the run. What it prints is
    /// appended to the file `log`. It is not ended with the run; returns its process id. Nobody watches it, so what is
    /// said of the grace, of what is kept and shown, and of exit codes means nothing to it.
    ///
    /// # Errors
    /// When it cannot be started, `log` cannot be opened, it was given a timeout or something to read, or the run was
    /// asked to stop.
    pub fn detach(self, log: impl AsRef<Path>) -> Result<u32, CommandError> {
        if self.cx.is_cancelled() {
            return Err(CommandError::Stopped { command: self.to_string() });
        }
        if self.timeout.is_some() || !self.stdin.is_empty() {
            return Err(CommandError::NotDetachable { command: self.to_string() });
        }
        let mut command = self.prepare(false);
        // It belongs to no run, not even to one of which this program itself is a command.
        command.env_remove(RUN_VARIABLE).env_remove(COMMAND_VARIABLE);
        let path = self.cx.working_directory().join(log);
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            Ok::<_, io::Error>((Stdio::from(file.try_clone()?), Stdio::from(file)))
        };
        let (stdout, stderr) = open().map_err(|source| CommandError::NotLogged {
            command: self.to_string(),
            path: path.clone(),
            source,
        })?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command.spawn().map_err(|source| self.not_started(source))?;
        let pid = child.id();
        reap(child);
        Ok(pid)
    }

    /// `bound`: it ends with this process.
    fn prepare(&self, bound: bool) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).current_dir(self.start_directory());
        session::begin(&mut command, bound);
        withheld(&mut command);
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
    }

    fn start_directory(&self) -> PathBuf {
        let began = self.cx.working_directory();
        self.directory.as_ref().map_or_else(|| began.to_owned(), |directory| began.join(directory))
    }

    /// The system's "no such file" may mean the program, its interpreter or the directory: say which.
    fn not_started(&self, source: io::Error) -> CommandError {
        let command = self.to_string();
        if source.kind() != io::ErrorKind::NotFound {
            return CommandError::NotStarted { command, source };
        }
        let directory = self.start_directory();
        if !directory.is_dir() {
            return CommandError::NoDirectory { command, directory };
        }
        let program = directory.join(&self.program);
        if self.program.as_encoded_bytes().contains(&b'/') && program.exists() {
            return CommandError::NoInterpreter { command, program };
        }
        CommandError::NotFound { command, program: self.program.to_string_lossy().into_owned() }
    }
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

/// The command as a person would type it, without secrets: quoting would hide them from those who mask afterwards.
impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redactor = self.cx.redactor();
        if let Some(line) = &self.shown {
            return f.write_str(&redactor.mask(line));
        }
        for (index, word) in std::iter::once(&self.program).chain(&self.args).enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&quoted(&redactor.mask(&word.to_string_lossy())))?;
        }
        Ok(())
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What came of a command that ended by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed on standard output.
    pub stdout: Captured,
    /// What it printed on standard error.
    pub stderr: Captured,
}

impl CommandOutput {
    /// Whether the exit code was 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// What it printed on standard output, without white space at its end.
    pub fn text(&self) -> String {
        self.stdout.text()
    }

    /// What it said, on one line, for a reason: its last lines (at most 10) on standard error, or on standard output
    /// where standard error has none, joined by `; `. Of more than 400 characters the first line and as many of the last
    /// as fit are given, with `…` between them. `None` where it printed nothing.
    pub fn excerpt(&self) -> Option<String> {
        excerpt(&self.last_lines())
    }

    fn last_lines(&self) -> Vec<String> {
        [&self.stderr, &self.stdout]
            .into_iter()
            .map(|captured| captured.last_lines(TAIL))
            .find(|lines| !lines.is_empty())
            .unwrap_or_default()
    }
}

/// Why a command did not do what was asked of it. In a check, all but [`Failed`](CommandError::Failed) mean that the
/// check could not find out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such program.
    #[error("failed to run `{command}`: there is no program `{program}`; install it or set PATH")]
    NotFound {
        /// The command.
        command: String,
        /// The program that is missing.
        program: String,
    },
    /// The program is a script whose interpreter is missing.
    #[error("failed to run `{command}`: the interpreter named in {} is missing", program.display())]
    NoInterpreter {
        /// The command.
        command: String,
        /// The script.
        program: PathBuf,
    },
    /// The directory to start in does not exist.
    #[error("failed to run `{command}`: there is no directory {}", directory.display())]
    NoDirectory {
        /// The command.
        command: String,
        /// The directory.
        directory: PathBuf,
    },
    /// It cannot be started: no permission, say, or an argument with a NUL byte.
    #[error("failed to run `{command}`")]
    NotStarted {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The file for its output cannot be opened.
    #[error("failed to open {} for the output of `{command}`", path.display())]
    NotLogged {
        /// The command.
        command: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was to be left alone, and yet be fed or ended.
    #[error("`{command}` cannot be detached: nothing would enforce its timeout or write its standard input")]
    NotDetachable {
        /// The command.
        command: String,
    },
    /// The system refused to let it be watched (out of descriptors, say) or ended; it was sent KILL.
    #[error("failed to watch `{command}`, which was sent KILL")]
    NotWatched {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long and was made to end.
    #[error("`{command}` did not end within {timeout:?} and was stopped")]
    TimedOut {
        /// The command.
        command: String,
        /// How long it was given.
        timeout: Duration,
        /// What it printed until then.
        output: Box<CommandOutput>,
    },
    /// The run was asked to stop.
    #[error("`{command}` was stopped")]
    Stopped {
        /// The command.
        command: String,
    },
    /// It ended with an exit code that is not accepted, or by a signal.
    #[error(transparent)]
    Failed(Box<FailedCommand>),
}

impl CommandError {
    /// What it printed, where it ran at all.
    pub fn output(&self) -> Option<&CommandOutput> {
        match self {
            CommandError::TimedOut { output, .. } => Some(output),
            CommandError::Failed(failed) => Some(&failed.output),
            _ => None,
        }
    }
}

/// A command that ended badly.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` {}{}", ending(self.output.status), self.tail.hint())]
#[non_exhaustive]
pub struct FailedCommand {
    /// The command.
    pub command: String,
    /// How it ended and what it printed.
    pub output: CommandOutput,
    #[source]
    tail: Tail,
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// The last lines of a failed command.
#[derive(Debug)]
struct Tail(Vec<String>);

impl Tail {
    fn hint(&self) -> String {
        excerpt(&self.0).map_or(String::new(), |excerpt| format!(": {excerpt}"))
    }
}

/// Lines on one line, bounded: see [`CommandOutput::excerpt`].
fn excerpt(lines: &[String]) -> Option<String> {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let (first, rest) = lines.split_first()?;
    let length = |line: &&str| line.chars().count() + 2;
    if lines.iter().map(length).sum::<usize>() <= EXCERPT {
        return Some(lines.join("; "));
    }
    if rest.is_empty() {
        return Some(shortened(first, EXCERPT));
    }
    // Some programs say what is wrong first, some last.
    let first = shortened(first, EXCERPT / 3);
    let mut room = EXCERPT.saturating_sub(length(&first.as_str()));
    let fits = |line: &&&str| {
        let left = room.checked_sub(length(line));
        room = left.unwrap_or(0);
        left.is_some()
    };
    let kept = rest.iter().rev().take_while(fits).count();
    let mut parts = vec![first];
    parts.extend((kept < rest.len()).then(|| "…".to_owned()));
    parts.extend(rest[rest.len() - kept..].iter().map(|line| (*line).to_owned()));
    if kept == 0
        && let Some(last) = rest.last()
    {
        parts.push(shortened(last, EXCERPT / 3));
    }
    Some(parts.join("; ").replace("; …; ", " … "))
}

fn shortened(line: &str, most: usize) -> String {
    match line.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("it printed nothing"),
            lines => write!(f, "its last lines were\n{}", lines.join("\n")),
        }
    }
}

impl std::error::Error for Tail {}
