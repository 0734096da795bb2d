//! What has to be so before anything else makes sense, and that no job can change.

mod expectation;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, Job, NotAsWanted, Retry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::expectation::{Bounds, Expectation};
use crate::r#become::{Become, Variables};
use crate::command_line::{self, Answer, CommandLine, OneOrMany, paths};
use crate::disk::inspect::{self, Links};
use crate::disk::path;
use crate::early;
use crate::facts::Facts;
use crate::validated::validated;

/// Fails unless everything in it is so: put it first, and others wait for it. It changes nothing, and is tried once.
///
/// ```
/// # use dojob_jobs::{Assert, Bounds};
/// let job = Assert::new()
///     .message("this needs Debian 12 or later, and a certificate")
///     .fact("os.id", "debian")
///     .fact("os.version", Bounds::min("12"))
///     .exists("/etc/ssl/private/site.pem");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(!remote)]
#[schemars(extend("x-dojob-result" = false))]
pub struct Assert {
    /// What to tell people when it is not so, before the reasons. Unless given, the reasons alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Facts by their path, and what they have to be: a value, a list of values of which one is right, or bounds. Example:
    /// `{ os.family: debian, os.version: { min: 12 }, hardware.architecture: [x86_64, aarch64] }`. An object without bounds has
    /// the rest of the path in its keys, which is what HOCON makes of a path without quotes. Where a part is called like a
    /// bound, such as a user `max`, write the path in quotes: `"users.max.home"`.
    #[serde(default, deserialize_with = "expectation::facts", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, expectation::ExpectationOrParts>")]
    pub facts: BTreeMap<String, Expectation>,
    /// A path or a list of paths that have to exist.
    #[serde(default, deserialize_with = "paths", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "OneOrMany")]
    pub exists: Vec<PathBuf>,
    /// A path or a list of paths that must not exist.
    #[serde(default, deserialize_with = "paths", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "OneOrMany")]
    pub missing: Vec<PathBuf>,
    /// Commands that have to end with exit code 0; they must change nothing. 1 to 125 mean no, and the last line that is
    /// printed is the reason; anything else means that nobody could find out. Each may take 1 minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandLine>,
    /// The user to run `commands` as: a name, or `{ user, method }`; unless given, the one who started this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#become: Option<Become>,
}

validated!(Assert);

impl Assert {
    /// Holds nothing yet.
    pub fn new() -> Self {
        Assert::default()
    }

    /// Tells this to people when it is not so.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The fact at this path is as expected.
    #[must_use]
    pub fn fact(mut self, path: impl Into<String>, expected: impl Into<Expectation>) -> Self {
        self.facts.insert(path.into(), expected.into());
        self
    }

    /// This exists.
    #[must_use]
    pub fn exists(mut self, path: impl Into<PathBuf>) -> Self {
        self.exists.push(path.into());
        self
    }

    /// This does not exist.
    #[must_use]
    pub fn missing(mut self, path: impl Into<PathBuf>) -> Self {
        self.missing.push(path.into());
        self
    }

    /// This command says yes.
    #[must_use]
    pub fn command(mut self, command: impl Into<CommandLine>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// Commands run as this user.
    #[must_use]
    pub fn as_user(mut self, user: impl Into<Become>) -> Self {
        self.r#become = Some(user.into());
        self
    }

    fn validate(&self) -> Result<()> {
        ensure!(
            !(self.facts.is_empty()
                && self.exists.is_empty()
                && self.missing.is_empty()
                && self.commands.is_empty()),
            "an assertion needs `facts`, `exists`, `missing` or `commands`"
        );
        for (path, expectation) in &self.facts {
            ensure!(!path.is_empty(), "the path of a fact must not be empty: `os.family` is one");
            expectation
                .validate()
                .with_context(|| format!("what is expected of `{path}` is not possible"))?;
        }
        self.exists.iter().chain(&self.missing).try_for_each(|one| path::validate(one))?;
        if let Some(both) = self.exists.iter().find(|one| self.missing.contains(one)) {
            bail!("{} cannot be in both `exists` and `missing`", both.display());
        }
        self.commands.iter().try_for_each(CommandLine::validate)?;
        self.r#become.as_ref().map_or(Ok(()), Become::validate)
    }

    fn check_facts(&self, cx: &Context, reasons: &mut Vec<String>) -> Result<()> {
        for (path, expectation) in &self.facts {
            let found = Facts::of(cx).get(path)?;
            if let Some(reason) = expectation.differs(&found) {
                reasons.push(format!("{path} {reason}"));
            }
        }
        Ok(())
    }

    fn check_paths(&self, cx: &Context, reasons: &mut Vec<String>) -> Result<()> {
        for path in &self.exists {
            if inspect::meta(&cx.working_directory().join(path), Links::Follow)?.is_none() {
                reasons.push(format!("{} does not exist", path.display()));
            }
        }
        for path in &self.missing {
            if inspect::meta(&cx.working_directory().join(path), Links::Stay)?.is_some() {
                reasons.push(format!("{} exists", path.display()));
            }
        }
        Ok(())
    }

    fn check_commands(&self, cx: &Context, reasons: &mut Vec<String>) -> Result<()> {
        for line in &self.commands {
            let command = line.command(cx, self.r#become.as_ref(), Variables::default())?;
            let what = format!("what `{line}` says");
            let command = command.timeout(command_line::ASKING);
            if let Answer::No(reason) = command_line::ask(line, command, None, &what)? {
                reasons.push(reason);
            }
        }
        Ok(())
    }

    /// What it is about, for its name.
    fn subject(&self) -> String {
        if let Some(message) = &self.message {
            return message.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let facts = self.facts.keys().cloned();
        let paths = self.exists.iter().chain(&self.missing).map(|path| path.display().to_string());
        let commands = self.commands.iter().map(CommandLine::to_string);
        facts.chain(paths).chain(commands).collect::<Vec<_>>().join(", ")
    }
}

impl Job for Assert {
    fn name(&self) -> String {
        format!("Assert {}", self.subject())
    }

    fn retry(&self) -> Retry {
        Retry::tries(1)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let mut reasons = Vec::new();
        self.check_facts(cx, &mut reasons)?;
        self.check_paths(cx, &mut reasons)?;
        early::or_missing(cx, self.check_commands(cx, &mut reasons), early::not_begun)?;
        if reasons.is_empty() {
            return Ok(());
        }
        let message = self.message.as_ref().map(|message| format!("{message}: ")).unwrap_or_default();
        Err(NotAsWanted::new(message + &reasons.join("; ")).into())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        bail!("an assertion changes nothing: make it so by other means, and start again")
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
