//! What a regular expression fits in a text file, replaced.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dojob::{Context, Job, Permanent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::edit::{Edited, Editor};
use crate::disk::{Validate, path, write};
use crate::text::{Matcher, Text};
use crate::validated::validated;

/// Whatever a regular expression fits in a text file is replaced. Where it fits nothing, all is as wanted.
///
/// A replacement that the regular expression would change again, and so without end (`a` by `aa`), is an error before
/// anything is written. A symbolic link at the path is followed.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Replace;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("sources.list");
/// # std::fs::write(&path, "deb http://old.example/debian stable main\n")?;
/// # let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/apt/sources.list";
/// let job = Replace::new(path, "^(deb(?:-src)?) http://old.example/", "$1 https://new.example/");
/// assert!(Engine::new(job)?.converge().success());
/// # assert_eq!(std::fs::read_to_string(path)?, "deb https://new.example/debian stable main\n");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Replace")]
#[schemars(extend("x-dojob-target" = { "by": "path", "and": ["regex"], "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Replace {
    /// Which file, such as `/etc/apt/sources.list`. A relative path counts from the directory that the program was
    /// started in.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// What is to be replaced, wherever it is: a regular expression in the syntax of the Rust library `regex`. `^`
    /// and `$` stand for the ends of lines, which may be `\r\n`; `.` fits no line's end, unless after `(?s)`. An expression
    /// that has `\r` in it sees `\r\n` as two characters.
    #[schemars(extend("x-literal" = "regex"))]
    pub regex: String,
    /// What to write instead; `$1` or `${name}` is what a group of the regular expression fits, `$$` is a `$`. A group
    /// that the expression does not have is an error, and so is `$1x` for `${1}x`.
    #[schemars(extend("x-literal" = "replacement"))]
    pub replacement: String,
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

validated!(Replace);

impl Replace {
    /// In the file at `path`, `replacement` in place of what `regex` fits.
    pub fn new(path: impl Into<PathBuf>, regex: impl Into<String>, replacement: impl Into<String>) -> Self {
        Replace {
            path: path.into(),
            regex: regex.into(),
            replacement: replacement.into(),
            backup: false,
            validate: None,
            hide: false,
        }
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

    /// Once this command accepts it, program and arguments; `{}` stands for the new file.
    #[must_use]
    pub fn validated_by<W: Into<String>>(mut self, command: impl IntoIterator<Item = W>) -> Self {
        self.validate = Some(Validate::new(command));
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate_named(&self.path)?;
        self.validate.as_ref().map_or(Ok(()), Validate::validate)?;
        ensure!(!self.regex.is_empty(), "`regex` must not be empty");
        let matcher = Matcher::new("regex", &self.regex)?;
        matcher.validate_replacement(&self.replacement).context("bad `replacement`")
    }

    fn editor(&self) -> Editor<'_> {
        Editor {
            path: &self.path,
            create: false,
            backup: self.backup,
            hide: self.hide,
            validate: self.validate.as_ref(),
        }
    }

    /// What is to be done to the text.
    fn edit(&self, text: &Text) -> Result<Option<Edited>> {
        let matcher = Matcher::new("regex", &self.regex)?;
        let Some((replaced, count)) = matcher.replace_all(text.as_str(), &self.replacement) else {
            return Ok(None);
        };
        if matcher.replace_all(&replaced, &self.replacement).is_some() {
            let message = format!(
                "`regex` would change what it has replaced in {} again, and so each time: make it fit less",
                self.path.display()
            );
            return Err(Permanent::new(message).into());
        }
        let places = if count == 1 { "1 place".to_owned() } else { format!("{count} places") };
        let reason = format!("{} has {places} to be replaced", self.path.display());
        Ok(Some(Edited::new(reason, replaced)))
    }
}

impl Job for Replace {
    fn name(&self) -> String {
        format!("Replace {}: {}", self.path.display(), self.regex)
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
