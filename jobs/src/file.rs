//! A file with this content, mode and owner.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, CouldNotFindOut, Job, OrCouldNotFindOut, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::chown;
use crate::disk::differ::{self, Differences};
use crate::disk::inspect::{self, Found, Links, OpenFile};
use crate::disk::owner::{Attributes, Group, Mode, Owner, Resolved};
use crate::disk::{Validate, path, write};
use crate::early;
use crate::guard;
use crate::validated::validated;

/// A file with this content, mode and owner.
///
/// It is replaced in one step: whoever reads it meanwhile finds the old content or the new. Where none of `content`,
/// `secret` and `source` is given, it may say what it likes, and an empty one is made where there is none.
///
/// The directory that it is in has to exist. Other names of the file (hard links) keep the old content.
///
/// With `mode`, an access control list that grants more than that is taken away. A file that another user may write to so far,
/// and shall not any longer, is replaced by a new one also where its content is right, since they could have it open.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::File;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("motd"); let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/motd";
/// let report = Engine::new(File::new(path, "Welcome!\n").mode(0o644))?.converge();
/// assert!(report.success());
/// # assert_eq!(std::fs::read_to_string(path)?, "Welcome!\n");
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "File")]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct File {
    /// Where it is, such as `/etc/motd`. A relative path counts from the directory that the program was started in.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// All that is to be in it, as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// As `content`, for what nobody may see: it is masked wherever it turns up, and no difference is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret<String>>,
    /// A file to copy, on the machine where this runs; its mode and owner are not copied. It may be of any size.
    #[serde(default, deserialize_with = "path::optional", skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// The permissions, such as `"0640"`; unless given they stay as they are, and are `0644` for a new file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The user that it belongs to, by name or number; unless given it stays with whom it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that it belongs to, by name or number; unless given it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whether to keep the file that is replaced, as `NAME.dojob-old` beside it (`/etc/motd.dojob-old`): one of them,
    /// the last one. By default it is not kept.
    #[serde(default)]
    pub backup: bool,
    /// A command that has to accept the new file before it takes the old one's place, program and arguments one by one;
    /// `{}` stands for where the new file is until then: `["visudo", "-cf", "{}"]`. By default nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Validate>,
    /// Whether a symbolic link at the path is followed, and the file written that it leads to. By default the link is
    /// replaced by the file, and what it leads to is left alone.
    #[serde(default)]
    pub follow: bool,
    /// Whether a directory at the path (with all that is in it), a device, a named pipe or a socket may be removed
    /// for the file. By default that is an error.
    #[serde(default)]
    pub force: bool,
    /// Whether to hide how the content differs, because it is confidential. By default it is shown.
    #[serde(default)]
    pub hide: bool,
}

validated!(File);

/// What is to be in the file.
enum Wanted<'a> {
    Anything,
    Bytes(&'a [u8]),
    Copy(&'a Path, OpenFile),
}

impl File {
    /// The file at `path` with this content.
    pub fn new(path: impl Into<PathBuf>, content: impl Into<String>) -> Self {
        File { content: Some(content.into()), ..File::any(path) }
    }

    /// The file at `path`, a copy of the one at `source`.
    pub fn copy(path: impl Into<PathBuf>, source: impl Into<PathBuf>) -> Self {
        File { source: Some(source.into()), ..File::any(path) }
    }

    /// The file at `path` with this content, which nobody may see.
    pub fn secret(path: impl Into<PathBuf>, content: impl Into<Secret<String>>) -> Self {
        File { secret: Some(content.into()), ..File::any(path) }
    }

    /// A file at `path`, whatever it says.
    pub fn any(path: impl Into<PathBuf>) -> Self {
        File {
            path: path.into(),
            content: None,
            secret: None,
            source: None,
            mode: None,
            owner: None,
            group: None,
            backup: false,
            validate: None,
            follow: false,
            force: false,
            hide: false,
        }
    }

    /// With these permissions: `0o640`.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Belonging to this user, by name or number.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Belonging to this group, by name or number.
    #[must_use]
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Keeping the file that is replaced.
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.backup = true;
        self
    }

    /// Following a symbolic link at the path.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Removing a directory, or what else is in its place.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Without showing how the content differs.
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
        self.source.as_deref().map_or(Ok(()), path::validate).context("bad `source`")?;
        let given = [self.content.is_some(), self.secret.is_some(), self.source.is_some()];
        let given = given.into_iter().filter(|given| *given).count();
        ensure!(given <= 1, "only one of `content`, `secret` and `source` can be given");
        Ok(self.mode.map_or(Ok(()), Mode::validate)?)
    }

    /// Whether a secret is in the content: then a new file is for nobody else. What is merely not shown is as it would be.
    fn is_secret(&self, cx: &Context) -> bool {
        self.secret.is_some() || self.content.as_ref().is_some_and(|content| cx.has_secret(content))
    }

    fn attributes(&self, cx: &Context) -> Result<Resolved> {
        let wanted = Attributes { mode: self.mode, owner: self.owner.as_ref(), group: self.group.as_ref() };
        Ok(Resolved { confidential: self.is_secret(cx), ..wanted.resolve(cx)? })
    }

    fn links(&self) -> Links {
        if self.follow { Links::Follow } else { Links::Stay }
    }

    fn wanted(&self, cx: &Context) -> Result<Wanted<'_>> {
        if let Some(content) = &self.content {
            return Ok(Wanted::Bytes(content.as_bytes()));
        }
        if let Some(secret) = &self.secret {
            cx.mask(secret);
            return Ok(Wanted::Bytes(secret.expose().as_bytes()));
        }
        let Some(source) = &self.source else { return Ok(Wanted::Anything) };
        let why = match inspect::open(source, Links::Follow)? {
            Found::File(file) => return Ok(Wanted::Copy(source, file)),
            Found::Nothing => format!("there is no {} to copy", source.display()),
            other => format!("{} is {}, not a file", source.display(), other.what().unwrap_or_default()),
        };
        Err(CouldNotFindOut::new(format!("what {} is to say", self.path.display()))
            .permanent()
            .because(why)
            .into())
    }

    /// Adds that the content differs, and how, unless that is to be hidden.
    fn compare(
        &self,
        cx: &Context,
        found: Option<&mut OpenFile>,
        wanted: &mut Wanted<'_>,
        differences: &mut Differences,
    ) -> Result<()> {
        let path = self.path.display();
        let reason = match found {
            None => format!("{path} does not exist{}", self.nor_its_directory()),
            Some(_) => format!("{path} differs"),
        };
        let hide = self.hide || self.secret.is_some();
        match wanted {
            Wanted::Bytes(wanted) if !hide => {
                differ::add_file(cx, differences, reason, &self.path, found, wanted)
                    .or_could_not_find_out(format_args!("what {path} says"))
            }
            Wanted::Copy(source, file) if !hide => {
                differ::add_files(cx, differences, reason, &self.path, found, file)
                    .or_could_not_find_out(format_args!("how {path} and {} differ", source.display()))
            }
            _ => {
                differences.add(reason);
                Ok(())
            }
        }
    }

    fn write(
        &self,
        cx: &Context,
        path: &Path,
        attributes: &Resolved,
        wanted: &mut Wanted<'_>,
        old: Option<OpenFile>,
    ) -> Result<()> {
        let content = |to: &mut fs::File| match wanted {
            Wanted::Anything => Ok(()),
            Wanted::Bytes(bytes) => Ok(to.write_all(bytes)?),
            Wanted::Copy(source, file) => {
                file.rewind()?;
                write::copy(cx, &file.file, to)
                    .with_context(|| format!("failed to copy {}", source.display()))
            }
        };
        write::write_after(cx, path, attributes, content, |new| {
            self.validate.as_ref().map_or(Ok(()), |validate| validate.accept(cx, new))?;
            match old.filter(|_| self.backup) {
                Some(mut old) => write::keep(cx, path, &mut old),
                None => Ok(()),
            }
        })
    }

    /// Where neither it nor what it is to be a copy of is there: so in words.
    fn is_missing_with_its_source(&self) -> Option<String> {
        let source = self.source.as_ref().filter(|source| early::is_missing(source))?;
        let (path, source) = (self.path.display(), source.display());
        early::is_missing(&self.path).then(|| format!("{path} does not exist, nor does {source} to copy"))
    }

    /// A part of the reason why there is no file; a run alone will not help then.
    fn nor_its_directory(&self) -> String {
        match write::directory_of(&self.path) {
            Ok(directory) if matches!(inspect::meta(directory, Links::Follow), Ok(None)) => {
                format!(", nor does the directory {}", directory.display())
            }
            _ => String::new(),
        }
    }
}

impl Job for File {
    fn name(&self) -> String {
        format!("File {}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let attributes = self.attributes(cx)?;
        let mut wanted = early::or_missing(cx, self.wanted(cx), |_| self.is_missing_with_its_source())?;
        let mut differences = Differences::new();
        match inspect::open(&self.path, self.links())? {
            Found::Nothing => self.compare(cx, None, &mut wanted, &mut differences)?,
            Found::File(mut found) => {
                let same = wanted.is_in(cx, &mut found);
                if !same.or_could_not_find_out(format_args!("what {} says", self.path.display()))? {
                    self.compare(cx, Some(&mut found), &mut wanted, &mut differences)?;
                }
                attributes.compare_open(&found.file, &found.meta, &mut differences)?;
            }
            Found::Symlink(target, meta) => {
                guard::refuse_removal(cx, &self.path, &meta)?;
                differences.add(format!(
                    "{} is a symbolic link to {}, not a file",
                    self.path.display(),
                    target.display()
                ));
            }
            other => {
                other.meta().map_or(Ok(()), |meta| guard::refuse_removal(cx, &self.path, meta))?;
                let is =
                    format!("{} is {}, not a file", self.path.display(), other.what().unwrap_or_default());
                ensure!(self.force, "{is}; `force` would remove it");
                differences.add(is);
            }
        }
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let path = if self.follow { write::follow(&self.path)? } else { self.path.clone() };
        let attributes = self.attributes(cx)?;
        let mut wanted = self.wanted(cx)?;
        let mut old = None;
        let found = inspect::open(&path, Links::Stay)?;
        if !matches!(found, Found::File(_)) {
            found.meta().map_or(Ok(()), |meta| guard::refuse_removal(cx, &path, meta))?;
        }
        match found {
            Found::File(mut found) => {
                let is_as_it_is = matches!(wanted, Wanted::Anything);
                if wanted.is_in(cx, &mut found)? && (is_as_it_is || !attributes.needs_new_file(&found.meta)) {
                    return chown::set(cx, &path, &found.file, &found.meta, &attributes)
                        .with_context(|| format!("failed to change {}", path.display()));
                }
                old = Some(found);
            }
            Found::Nothing | Found::Symlink(..) => {}
            Found::Directory(_) if self.force => {
                return write::in_place_of_directory(cx, &path, || {
                    self.write(cx, &path, &attributes, &mut wanted, None)
                });
            }
            Found::Other(_) if self.force => {}
            other => bail!("{} is {}, not a file", path.display(), other.what().unwrap_or_default()),
        }
        self.write(cx, &path, &attributes, &mut wanted, old)
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

impl Wanted<'_> {
    /// Whether that is what the file says. Reads both, from where they are.
    fn is_in(&mut self, cx: &Context, found: &mut OpenFile) -> io::Result<bool> {
        match self {
            Wanted::Anything => Ok(true),
            Wanted::Bytes(wanted) => found.is(wanted),
            Wanted::Copy(_, source) => found.is_same(cx, source),
        }
    }
}
