//! Any command as a job: what makes it so, and what says whether it is so.
//!
//! Knows exit codes and paths; not what the commands do. A command that nobody can check is a
//! [`ShellScript`](crate::ShellScript), which runs every time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use dojob::{Context, Job, NotAsWanted, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::r#become::{Become, Variables};
use crate::command_line::{self, Answer, CommandLine, OneOrMany, Printed, paths};
use crate::disk::differ::Differences;
use crate::disk::inspect::{self, Links};
use crate::disk::path;
use crate::early;
use crate::span::Span;
use crate::validated::validated;

/// Runs a command where something says that it has to run: `check`, `creates` or `removes`, at least one of them.
///
/// It is in place when every path in `creates` exists (behind links, too), none in `removes` does, and `check` ends with exit code 0; after
/// `run` that is asked again. What can be said by none of these runs every time: that is a `ShellScript`.
///
/// Its result: `stdout` and `stderr` of the `check` that has passed, as texts without the line breaks at their end; of more
/// than 1 MiB the beginning and the end. Without a `check` they are empty.
///
/// ```
/// # use dojob_jobs::Command;
/// let job = Command::new("make -C /srv/app").check("make -q -C /srv/app");
/// let job = Command::new(["tar", "-xf", "/srv/app.tar"]).cwd("/opt").creates("/opt/app");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(!remote)]
#[schemars(extend("x-dojob-result" = { "stdout": false, "stderr": false }))]
pub struct Command {
    /// What makes it so: a list of a program and its arguments, or a line for `/bin/sh`.
    pub run: CommandLine,
    /// Says whether it is so, and changes nothing. Exit code 0: in place. 1 to 125: not as wanted, and the last line that
    /// it prints is the reason. A program that is missing or cannot be started (also 126 and 127 from a shell), one that is
    /// ended by a signal or takes too long: nobody could find out, and nothing is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CommandLine>,
    /// The exit codes of `check` that mean "not as wanted", in place of 1 to 125; any other but 0 then means that it could
    /// not find out. Example: `[1]` for `grep -q`, which says 2 when it cannot read a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_no: Option<Vec<i32>>,
    /// A path or a list of paths which exist when nothing is to be done. Relative ones count from `cwd`.
    #[serde(default, deserialize_with = "paths", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "OneOrMany")]
    pub creates: Vec<PathBuf>,
    /// A path or a list of paths which do not exist when nothing is to be done. Relative ones count from `cwd`.
    #[serde(default, deserialize_with = "paths", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "OneOrMany")]
    pub removes: Vec<PathBuf>,
    /// Puts away what `run` left lying about; called at the end of every run in which `run` was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<CommandLine>,
    /// Takes back what `run` has done; called when another job has failed for good and the run takes back what it did.
    /// It must cope with nothing, or only half of it, being there to revert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<CommandLine>,
    /// Variables of the environment, beside those of this process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Variables that must not be seen: their values are masked in everything that is shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, Secret<String>>,
    /// The directory to start in; unless given, the one in which this program was started.
    #[serde(default, deserialize_with = "path::optional", skip_serializing_if = "Option::is_none")]
    pub cwd: Option<PathBuf>,
    /// How long each of the commands may take, such as `30s` or `5 min`. Unless given, `check` has 1 minute, and the others
    /// take as long as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What `run` reads on its standard input; unless given, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// As `stdin`, but for what must not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_stdin: Option<Secret<String>>,
    /// The exit codes of `run`, `cleanup` and `revert` that are no failure; unless given, 0 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Vec<i32>>,
    /// The user to run all of them as: a name, or `{ user, method }`; unless given, the one who started this program.
    #[serde(default, alias = "user", skip_serializing_if = "Option::is_none")]
    pub r#become: Option<Become>,
}

validated!(Command);

impl Command {
    /// Runs `run`: a text is for the shell, a list of words is not. It still needs [`check`](Command::check),
    /// [`creates`](Command::creates) or [`removes`](Command::removes).
    pub fn new(run: impl Into<CommandLine>) -> Self {
        Command {
            run: run.into(),
            check: None,
            check_no: None,
            creates: Vec::new(),
            removes: Vec::new(),
            cleanup: None,
            revert: None,
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            cwd: None,
            timeout: None,
            stdin: None,
            secret_stdin: None,
            accept: None,
            r#become: None,
        }
    }

    /// This says whether it is in place.
    #[must_use]
    pub fn check(mut self, check: impl Into<CommandLine>) -> Self {
        self.check = Some(check.into());
        self
    }

    /// These exit codes of the check mean "no", and others that it could not find out.
    #[must_use]
    pub fn check_no(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.check_no = Some(codes.into_iter().collect());
        self
    }

    /// It is not in place while this is missing.
    #[must_use]
    pub fn creates(mut self, path: impl Into<PathBuf>) -> Self {
        self.creates.push(path.into());
        self
    }

    /// It is not in place while this is there.
    #[must_use]
    pub fn removes(mut self, path: impl Into<PathBuf>) -> Self {
        self.removes.push(path.into());
        self
    }

    /// This is called at the end.
    #[must_use]
    pub fn cleanup(mut self, cleanup: impl Into<CommandLine>) -> Self {
        self.cleanup = Some(cleanup.into());
        self
    }

    /// This takes back what was done.
    #[must_use]
    pub fn revert(mut self, revert: impl Into<CommandLine>) -> Self {
        self.revert = Some(revert.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets a variable that must not be seen.
    #[must_use]
    pub fn secret_env(mut self, name: impl Into<String>, value: impl Into<Secret<String>>) -> Self {
        self.secret_env.insert(name.into(), value.into());
        self
    }

    /// All start in this directory.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cwd = Some(directory.into());
        self
    }

    /// None may take longer.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// `run` reads this.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// `run` reads this, and nobody else.
    #[must_use]
    pub fn secret_stdin(mut self, text: impl Into<Secret<String>>) -> Self {
        self.secret_stdin = Some(text.into());
        self
    }

    /// These exit codes of `run` are no failure.
    #[must_use]
    pub fn accept(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.accept = Some(codes.into_iter().collect());
        self
    }

    /// All run as this user.
    #[must_use]
    pub fn as_user(mut self, user: impl Into<Become>) -> Self {
        self.r#become = Some(user.into());
        self
    }

    fn validate(&self) -> Result<()> {
        ensure!(
            self.check.is_some() || !self.creates.is_empty() || !self.removes.is_empty(),
            "a command needs `check`, `creates` or `removes`, or nobody can tell whether it has to run; \
             one that is to run every time is a `ShellScript` (`script_path: sh`, `script_args: [-c, …]`)"
        );
        let others = [&self.check, &self.cleanup, &self.revert].into_iter().flatten();
        for line in std::iter::once(&self.run).chain(others) {
            line.validate()?;
        }
        for path in self.creates.iter().chain(&self.removes).chain(&self.cwd) {
            path::validate(path)?;
        }
        if let Some(path) = self.creates.iter().find(|path| self.removes.contains(path)) {
            anyhow::bail!("{} cannot be in both `creates` and `removes`", path.display());
        }
        ensure!(
            self.stdin.is_none() || self.secret_stdin.is_none(),
            "`stdin` and `secret_stdin` cannot both be given"
        );
        validate_codes("accept", self.accept.as_deref(), 0)?;
        validate_codes("check_no", self.check_no.as_deref(), 1)?;
        ensure!(self.check_no.is_none() || self.check.is_some(), "`check_no` requires `check`");
        self.variables().validate()?;
        self.r#become.as_ref().map_or(Ok(()), Become::validate)
    }

    fn variables(&self) -> Variables<'_> {
        Variables::new(&self.env, &self.secret_env)
    }

    fn command<'cx>(&self, cx: &'cx Context, line: &CommandLine) -> Result<dojob::Command<'cx>> {
        let mut command = line.command(cx, self.r#become.as_ref(), self.variables())?;
        if let Some(directory) = &self.cwd {
            command = command.directory(directory);
        }
        if let Some(timeout) = self.timeout {
            command = command.timeout(timeout.duration());
        }
        Ok(command)
    }

    fn call(&self, cx: &mut Context, line: Option<&CommandLine>) -> Result<()> {
        let Some(line) = line else {
            cx.set_absent();
            return Ok(());
        };
        self.command(cx, line)?.accept(self.accepted()).run()?;
        Ok(())
    }

    fn accepted(&self) -> Vec<i32> {
        self.accept.clone().unwrap_or_else(|| vec![0])
    }

    /// The paths that are missing, or should be.
    fn check_paths(&self, cx: &Context) -> Result<()> {
        let start = cx.working_directory().join(self.cwd.as_deref().unwrap_or(Path::new("")));
        let mut differences = Differences::new();
        for path in &self.creates {
            let path_there = start.join(path);
            if inspect::meta(&path_there, Links::Follow)?.is_none() {
                let what = match inspect::meta(&path_there, Links::Stay)? {
                    Some(_) => "is a link that leads nowhere",
                    None => "does not exist",
                };
                differences.add(format!("{} {what}", path.display()));
            }
        }
        for path in &self.removes {
            if inspect::meta(&start.join(path), Links::Stay)?.is_some() {
                differences.add(format!("{} exists", path.display()));
            }
        }
        differences.into_result()
    }

    fn check_command(&self, cx: &Context, line: &CommandLine) -> Result<Printed> {
        let mut command = self.command(cx, line)?;
        if self.timeout.is_none() {
            command = command.timeout(command_line::ASKING);
        }
        let what = format!("whether `{}` has to run", self.run);
        match command_line::ask(line, command, self.check_no.as_deref(), &what)? {
            Answer::Yes(output) => Ok(Printed::from(&output)),
            Answer::No(reason) => Err(NotAsWanted::new(reason).into()),
        }
    }
}

fn validate_codes(name: &str, codes: Option<&[i32]>, least: i32) -> Result<()> {
    let Some(codes) = codes else { return Ok(()) };
    ensure!(!codes.is_empty(), "`{name}` must not be empty");
    let wrong = codes.iter().find(|code| !(least..=255).contains(*code));
    wrong.map_or(Ok(()), |code| {
        anyhow::bail!("{code} in `{name}` is not possible: exit codes from {least} to 255 are")
    })
}

impl Job for Command {
    fn name(&self) -> String {
        format!("Command {}", self.run)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.check_paths(cx)?;
        let printed = self.check.as_ref().map(|line| self.check_command(cx, line)).transpose();
        let printed = early::or_missing(cx, printed, |error| match &self.r#become {
            Some(user) if user.is_unknown() => Some(format!("there is no user {}", user.user)),
            _ => early::not_begun(error),
        })?;
        Ok(cx.set_result(printed.unwrap_or_default())?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let mut command = self.command(cx, &self.run)?.accept(self.accepted());
        if let Some(text) = &self.stdin {
            command = command.stdin(text.as_bytes());
        }
        if let Some(secret) = &self.secret_stdin {
            cx.mask(secret);
            command = command.stdin(secret.expose().as_bytes());
        }
        command.run()?;
        Ok(())
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.call(cx, self.cleanup.as_ref())
    }

    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.call(cx, self.revert.as_ref())
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(self.cleanup.is_some())
    }

    fn has_revert(&self) -> Option<bool> {
        Some(self.revert.is_some())
    }
}
