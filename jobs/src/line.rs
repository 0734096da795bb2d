//! One line of a text file.
//!
//! Knows lines; a piece of several is [`Block`](crate::Block)'s business, parts of a line are
//! [`Replace`](crate::Replace)'s.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use dojob::{Context, Job};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::edit::{self, Edited, Editor};
use crate::disk::{Validate, path, write};
use crate::text::{self, Lines, Matcher, Text};
use crate::validated::validated;

/// One line of a text file is there, or is not.
///
/// With `regex`, the line that it fits is replaced by `line`; where none fits, and where no `regex` is given, the
/// line is added, unless it is there. Where the line is does not matter once it is there. A symbolic link at the path
/// is followed. Lines end as the first one does (`\n` or `\r\n`).
///
/// Where several lines fit `regex`, that is an error, since the others would still say something else; with `every` the
/// first is replaced and the others are removed.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Line;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("sshd_config"); std::fs::write(&path, "#PermitRootLogin yes\n")?;
/// # let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/ssh/sshd_config";
/// let job = Line::new(path, "PermitRootLogin no").regex("^#?PermitRootLogin ");
/// assert!(Engine::new(job)?.converge().success());
/// # assert_eq!(std::fs::read_to_string(path)?, "PermitRootLogin no\n");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Line")]
#[schemars(extend("x-dojob-target" = { "by": "path", "and": ["regex|line"], "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Line {
    /// Which file, such as `/etc/ssh/sshd_config`. A relative path counts from the directory that the program was
    /// started in.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// The line, without its end. Needed unless `absent` with `regex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Which line is to be replaced, or with `absent` which lines are removed: a regular expression in the syntax of
    /// the Rust library `regex`, such as `^#?PermitRootLogin `. It may fit any part of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-literal" = "regex"))]
    pub regex: Option<String>,
    /// Where to add the line: behind the last one that this regular expression fits; an error where it fits none. By
    /// default at the end of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-literal" = "regex"))]
    pub after: Option<String>,
    /// Where to add the line: before the first one that this regular expression fits; an error where it fits none. `^`
    /// is the beginning of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-literal" = "regex"))]
    pub before: Option<String>,
    /// Whether the line is to be removed, wherever it is, or with `regex` all lines that fit. By default it is added.
    #[serde(default)]
    pub absent: bool,
    /// Whether several lines may fit `regex`: the first is replaced, the others are removed. By default that is an
    /// error.
    #[serde(default)]
    pub every: bool,
    /// Whether a file that is missing is made, with the mode `0644`. By default that is an error.
    #[serde(default)]
    pub create: bool,
    /// Whether to keep the file as it was before, as `NAME.dojob-old` beside it. By default it is not kept.
    #[serde(default)]
    pub backup: bool,
    /// A command that has to accept the new file before it takes the old one's place, program and arguments one by one;
    /// `{}` stands for where the new file is until then: `["visudo", "-cf", "{}"]`. By default nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
    /// Whether to hide the line, because it is confidential: no difference is shown, and the job is named after
    /// `regex`, which is needed then. By default it is shown.
    #[serde(default)]
    pub hide: bool,
}

validated!(Line);

impl Line {
    /// The line is in the file at `path`.
    pub fn new(path: impl Into<PathBuf>, line: impl Into<String>) -> Self {
        Line { line: Some(line.into()), ..Line::empty(path) }
    }

    /// No line of the file at `path` fits this regular expression.
    pub fn none(path: impl Into<PathBuf>, regex: impl Into<String>) -> Self {
        Line { regex: Some(regex.into()), absent: true, ..Line::empty(path) }
    }

    fn empty(path: impl Into<PathBuf>) -> Self {
        Line {
            path: path.into(),
            line: None,
            regex: None,
            after: None,
            before: None,
            absent: false,
            every: false,
            create: false,
            backup: false,
            validate: None,
            hide: false,
        }
    }

    /// In place of the line that this regular expression fits.
    #[must_use]
    pub fn regex(mut self, regex: impl Into<String>) -> Self {
        self.regex = Some(regex.into());
        self
    }

    /// Behind the last line that this regular expression fits, where it is to be added.
    #[must_use]
    pub fn after(mut self, regex: impl Into<String>) -> Self {
        self.after = Some(regex.into());
        self
    }

    /// Before the first line that this regular expression fits, where it is to be added.
    #[must_use]
    pub fn before(mut self, regex: impl Into<String>) -> Self {
        self.before = Some(regex.into());
        self
    }

    /// To be removed.
    #[must_use]
    pub fn absent(mut self) -> Self {
        self.absent = true;
        self
    }

    /// In place of all lines that fit.
    #[must_use]
    pub fn every(mut self) -> Self {
        self.every = true;
        self
    }

    /// Making a file that is missing.
    #[must_use]
    pub fn create(mut self) -> Self {
        self.create = true;
        self
    }

    /// Keeping the file as it was before.
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.backup = true;
        self
    }

    /// Without showing the line.
    #[must_use]
    pub fn hide(mut self) -> Self {
        self.hide = true;
        self
    }

    /// Once this command accepts it, program and arguments; `{}` stands for the new file.
    #[must_use]
    pub fn validated_by<W: Into<String>>(mut self, command: impl IntoIterator<Item = W>) -> Self {
        self.validate = Some(Validate::new(command));
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate_named(&self.path)?;
        self.validate.as_ref().map_or(Ok(()), Validate::validate)?;
        self.line.as_deref().map_or(Ok(()), |line| text::one_line("line", line))?;
        self.regex.as_deref().map_or(Ok(()), |regex| Matcher::new("regex", regex).map(drop))?;
        text::validate_place(self.after.as_deref(), self.before.as_deref())?;
        let is_placed = self.after.is_some() || self.before.is_some();
        if self.absent {
            ensure!(
                self.line.is_some() != self.regex.is_some(),
                "with `absent` either `line` or `regex` is needed, and not both"
            );
            ensure!(
                !is_placed && !self.every && !self.create,
                "`absent` goes with none of `after`, `before`, `every` and `create`"
            );
        } else {
            ensure!(self.line.is_some(), "`line` is needed, unless `absent`");
            ensure!(self.regex.is_some() || !self.every, "`every` needs `regex`");
        }
        ensure!(!self.hide || self.regex.is_some(), "`hide` needs `regex`, after which the job is named");
        Ok(())
    }

    fn editor(&self) -> Editor<'_> {
        Editor {
            path: &self.path,
            // What is absent from a file is absent where there is no file.
            create: self.create || self.absent,
            backup: self.backup,
            hide: self.hide,
            validate: self.validate.as_ref(),
        }
    }

    /// What is to be done to the text.
    fn edit(&self, text: &Text) -> Result<Option<Edited>> {
        let lines = Lines::of(text.as_str());
        let is_line = |line: &str| self.line.as_ref().is_some_and(|wanted| line == wanted);
        let regex = self.regex.as_deref().map(|regex| Matcher::new("regex", regex)).transpose()?;
        let fitting = match &regex {
            Some(regex) => lines.places(|line| regex.is_match(line)),
            None => lines.places(is_line),
        };
        if self.absent {
            return Ok((!fitting.is_empty()).then(|| Edited {
                reason: format!("{} of {} to be removed", text::line_numbers(&fitting), self.path.display()),
                text: lines.without(&fitting),
            }));
        }
        let line = self.line.as_deref().unwrap_or_default();
        let [first, others @ ..] = &fitting[..] else { return self.add(&lines, line) };
        if fitting.iter().all(|place| lines.line(*place).is_some_and(is_line)) {
            return Ok(None);
        }
        if !others.is_empty() && !self.every {
            bail!(
                "{} of {} fit `regex`: make it fit one, or allow `every`",
                text::line_numbers(&fitting),
                self.path.display()
            );
        }
        let replaced = lines.splice(*first..first + 1, [line]);
        Ok(Some(Edited {
            reason: format!("{} of {} differs", text::line_numbers(&fitting), self.path.display()),
            text: Lines::of(&replaced).without(others),
        }))
    }

    fn add(&self, lines: &Lines<'_>, line: &str) -> Result<Option<Edited>> {
        if lines.contents().any(|found| found == line) {
            return Ok(None);
        }
        let place = lines.place(self.after.as_deref(), self.before.as_deref())?;
        Ok(Some(Edited {
            reason: format!("{} lacks the line", self.path.display()),
            text: lines.splice(place..place, [line]),
        }))
    }

    fn mask(&self, cx: &Context) {
        if let Some(line) = self.line.as_deref().filter(|_| self.hide) {
            edit::mask(cx, line);
        }
    }
}

impl Job for Line {
    fn name(&self) -> String {
        let named = self.regex.as_ref().or(self.line.as_ref()).map_or("", |text| text);
        format!("Line {}: {named}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.mask(cx);
        self.editor().check(|text| self.edit(text))
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.mask(cx);
        self.editor().run(cx, |text| self.edit(text))
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        write::cleanup(cx, &self.path)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
