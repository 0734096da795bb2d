//! Some lines of a text file, between two others that mark them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, Job};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::edit::{Edited, Editor};
use crate::disk::{Validate, path, write};
use crate::text::{self, Lines, Text};
use crate::validated::validated;

/// Some lines of a text file are there, between a line that begins and one that ends them, or are not.
///
/// Where the block is does not matter once it is there. A symbolic link at the path is followed. Lines end as the first
/// one of the file does (`\n` or `\r\n`).
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Block;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("hosts"); std::fs::write(&path, "127.0.0.1 localhost\n")?;
/// # let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/hosts";
/// let job = Block::new(path, "site", "10.0.0.7 db\n10.0.0.8 web");
/// assert!(Engine::new(job)?.converge().success());
/// # assert_eq!(
/// #     std::fs::read_to_string(path)?,
/// #     "127.0.0.1 localhost\n# begin site\n10.0.0.7 db\n10.0.0.8 web\n# end site\n"
/// # );
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Block")]
#[schemars(extend("x-dojob-target" = { "by": "path", "and": ["name"], "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Block {
    /// Which file, such as `/etc/hosts`. A relative path counts from the directory that the program was started in.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// What the block is called, such as `site`: unlike any other in the file.
    pub name: String,
    /// The lines between the markers. Needed unless `absent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The line that begins the block; by default `# begin NAME`. For files with other comments: `<!-- begin site -->`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<String>,
    /// The line that ends the block; by default `# end NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Where to add the block: behind the last line that this regular expression fits; an error where it fits none. By
    /// default at the end of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-literal" = "regex"))]
    pub after: Option<String>,
    /// Where to add the block: before the first line that this regular expression fits; an error where it fits none.
    /// `^` is the beginning of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-literal" = "regex"))]
    pub before: Option<String>,
    /// Whether the block is to be removed, with its markers. By default it is added.
    #[serde(default)]
    pub absent: bool,
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
    /// Whether to hide how the file differs, because that is confidential. By default it is shown.
    #[serde(default)]
    pub hide: bool,
}

validated!(Block);

impl Block {
    /// The block of this name, with these lines, is in the file at `path`.
    pub fn new(path: impl Into<PathBuf>, name: impl Into<String>, content: impl Into<String>) -> Self {
        Block { content: Some(content.into()), absent: false, ..Block::none(path, name) }
    }

    /// There is no block of this name in the file at `path`.
    pub fn none(path: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Block {
            path: path.into(),
            name: name.into(),
            content: None,
            begin: None,
            end: None,
            after: None,
            before: None,
            absent: true,
            create: false,
            backup: false,
            validate: None,
            hide: false,
        }
    }

    /// Between these lines.
    #[must_use]
    pub fn markers(mut self, begin: impl Into<String>, end: impl Into<String>) -> Self {
        (self.begin, self.end) = (Some(begin.into()), Some(end.into()));
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

    /// Without showing how the file differs.
    #[must_use]
    pub fn hide(mut self) -> Self {
        self.hide = true;
        self
    }

    fn markers_of(&self) -> (String, String) {
        let marker =
            |given: &Option<String>, word| given.clone().unwrap_or_else(|| format!("# {word} {}", self.name));
        (marker(&self.begin, "begin"), marker(&self.end, "end"))
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
        text::one_line("name", &self.name)?;
        ensure!(!self.name.trim().is_empty(), "`name` must not be empty");
        text::validate_place(self.after.as_deref(), self.before.as_deref())?;
        let (begin, end) = self.markers_of();
        text::one_line("begin", &begin)?;
        text::one_line("end", &end)?;
        ensure!(
            !begin.is_empty() && !end.is_empty() && begin != end,
            "`begin` and `end` must not be empty, nor be the same"
        );
        ensure!(self.absent || self.content.is_some(), "`content` is needed, unless `absent`");
        if self.absent {
            let none =
                self.content.is_none() && self.after.is_none() && self.before.is_none() && !self.create;
            ensure!(none, "`absent` goes with none of `content`, `after`, `before` and `create`");
        }
        let is_marker = |line: &str| line == begin || line == end;
        ensure!(
            !self.content.as_ref().is_some_and(|content| content.lines().any(is_marker)),
            "`content` must not have a line that is `begin` or `end`"
        );
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

    /// The places of the two markers, where they are there.
    fn find(&self, lines: &Lines<'_>, begin: &str, end: &str) -> Result<Option<(usize, usize)>> {
        let [begins, ends] = [begin, end].map(|marker| lines.places(|line| line == marker));
        match (&begins[..], &ends[..]) {
            ([], []) => Ok(None),
            ([begin], [end]) if begin < end => Ok(Some((*begin, *end))),
            // To guess what was between them might cost somebody's lines.
            _ => bail!(
                "the markers in {} are no pair: {begin:?} on {}, {end:?} on {}; mend it by hand",
                self.path.display(),
                text::line_numbers(&begins),
                text::line_numbers(&ends)
            ),
        }
    }

    /// What is to be done to the text.
    fn edit(&self, text: &Text) -> Result<Option<Edited>> {
        let lines = Lines::of(text.as_str());
        let (begin, end) = self.markers_of();
        let found = self.find(&lines, &begin, &end)?;
        let path = self.path.display();
        let Some(content) = &self.content else {
            return Ok(found.map(|(first, last)| Edited {
                reason: format!("the block {} of {path} is to be removed", self.name),
                text: lines.splice(first..last + 1, []),
            }));
        };
        let wanted = || content.lines();
        let (range, reason) = match found {
            Some((first, last)) if lines.between(first + 1, last).eq(wanted()) => return Ok(None),
            Some((first, last)) => (first..last + 1, format!("the block {} of {path} differs", self.name)),
            None => {
                let place = lines.place(self.after.as_deref(), self.before.as_deref());
                let place =
                    place.with_context(|| format!("{path} has no place for the block {}", self.name))?;
                (place..place, format!("{path} lacks the block {}", self.name))
            }
        };
        let block = [begin.as_str()].into_iter().chain(wanted()).chain([end.as_str()]);
        Ok(Some(Edited { reason, text: lines.splice(range, block) }))
    }
}

impl Job for Block {
    fn name(&self) -> String {
        format!("Block {}: {}", self.path.display(), self.name)
    }

    fn check(&mut self, _: &mut Context) -> Result<()> {
        self.validated()?;
        self.editor().check(|text| self.edit(text))
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
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
