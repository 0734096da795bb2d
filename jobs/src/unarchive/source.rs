//! What an archive is to become, and the entries of it that are to be unpacked.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::item::{Item, Judge, Rules};
use crate::disk::inspect::{Found, Links, OpenFile, open};
use crate::disk::owner::{Attributes, Resolved};
use crate::disk::{Group, Owner, path};
use crate::packed::Format;
use crate::packed::exclude::{self, Exclude};
use crate::packed::read::{Content, Limits, entries};
use crate::size::Size;

/// An archive is unpacked into a folder.
///
/// What the archive is (tar, tar.gz, tar.xz, tar.zst or zip) is told by its content, not by its name.
///
/// The check reads the archive, and compares all that it holds with what is in the folder: kinds, modes, contents byte by byte, the
/// targets of links, and owner and group where they are asked for. What else is in the folder is nobody's business here. Times
/// are not compared (tar's are set on new files).
///
/// Whoever made the archive, nothing of it gets out of the folder: names with `..` and absolute ones, names behind a link, and links
/// that lead out are errors, also where a hard link puts one elsewhere, and so are devices, pipes and sockets. How much it may unpack
/// to is bounded. A hard link needs the file that it is another name of in the archive, before it.
///
/// Files with holes are unpacked with zeroes in their place, whichever of GNU tar's formats they are in. Permissions of a zip
/// archive are taken from entries that were made on Unix; others become 0644, and directories 0755.
///
/// A folder that does not exist is unpacked beside, and is there at once, complete. One that exists gets all that differs, file by file,
/// after everything has been unpacked beside it. Files that are right stay as they are.
///
/// ```
/// # use dojob_jobs::Unarchive;
/// Unarchive::new("/var/cache/node.tar.xz", "/opt/node").strip_components(1);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-target" = { "by": "dest", "and": ["source"], "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Unarchive {
    /// The archive, such as `/var/cache/node.tar.xz`.
    #[serde(deserialize_with = "path::named")]
    pub source: PathBuf,
    /// The folder, such as `/opt/node`. Where it does not exist it is made, with mode 0755; the directory that it is in has to be
    /// there.
    #[serde(deserialize_with = "path::named")]
    pub dest: PathBuf,
    /// How many leading parts of each name are left away; what has no more parts is not unpacked. With 1, `node-22/bin/node` becomes
    /// `bin/node`. Unless given, 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strip_components: u32,
    /// What not to unpack, such as `["*.md", "share/doc"]`, with names as they are behind `strip_components`. A pattern without a slash
    /// is meant at any depth, one with a slash counts from the folder on; `*` does not go beyond a slash, `**` does.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "exclude::patterns")]
    pub exclude: Vec<String>,
    /// The user whom everything unpacked belongs to, by name or number. Unless given, new files belong to whoever runs this; what the
    /// archive says is never taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that everything unpacked belongs to, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whether setuid, setgid and sticky bits are taken over from the archive. Unless given, no.
    #[serde(default, skip_serializing_if = "is_default")]
    pub special_bits: bool,
    /// Whether symbolic links may lead out of the folder, to `/etc/alternatives/java`, say. Unless given, no. Nothing is
    /// ever written through a link.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outside_links: bool,
    /// How much the archive may unpack to, such as `100 GiB`: its files together, with their holes, and also those that are
    /// excluded. Unless given, 16 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Size>,
    /// How many entries the archive may have; a million unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u64>,
}

const MAX_SIZE: Size = Size::bytes(16 << 30);
const MAX_ENTRIES: u64 = 1_000_000;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Unarchive {
    /// The archive `source` in the folder `dest`.
    pub fn new(source: impl Into<PathBuf>, dest: impl Into<PathBuf>) -> Self {
        Unarchive {
            source: source.into(),
            dest: dest.into(),
            strip_components: 0,
            exclude: Vec::new(),
            owner: None,
            group: None,
            special_bits: false,
            outside_links: false,
            max_size: None,
            max_entries: None,
        }
    }

    /// Leaves away so many leading parts of each name.
    #[must_use]
    pub fn strip_components(mut self, number: u32) -> Self {
        self.strip_components = number;
        self
    }

    /// Does not unpack what matches one of these patterns.
    #[must_use]
    pub fn exclude<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Asks for this owner of everything.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Asks for this group of everything.
    #[must_use]
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Takes setuid, setgid and sticky bits from the archive.
    #[must_use]
    pub fn special_bits(mut self) -> Self {
        self.special_bits = true;
        self
    }

    /// Allows links to lead out of the folder.
    #[must_use]
    pub fn outside_links(mut self) -> Self {
        self.outside_links = true;
        self
    }

    /// Allows so much to be unpacked.
    #[must_use]
    pub fn max_size(mut self, size: impl Into<Size>) -> Self {
        self.max_size = Some(size.into());
        self
    }

    /// Allows so many entries.
    #[must_use]
    pub fn max_entries(mut self, number: u64) -> Self {
        self.max_entries = Some(number);
        self
    }

    pub(super) fn prepare(&self, cx: &Context) -> Result<Prepared> {
        path::validate_named(&self.source)?;
        path::validate_named(&self.dest)?;
        let owners = Attributes { mode: None, owner: self.owner.as_ref(), group: self.group.as_ref() };
        let max_size = self.max_size.unwrap_or(MAX_SIZE).as_bytes();
        Ok(Prepared {
            exclude: Exclude::new(&self.exclude)?,
            owners: owners.resolve(cx)?,
            limits: Limits { bytes: max_size, entries: self.max_entries.unwrap_or(MAX_ENTRIES) },
        })
    }

    /// Calls `visit` for all that is to be unpacked.
    pub(super) fn items(
        &self,
        cx: &Context,
        prepared: &Prepared,
        mut visit: impl FnMut(Item, &mut Content<'_>) -> Result<()>,
    ) -> Result<()> {
        let (file, format) = archive(&self.source)?;
        let mut judge = Judge::new(Rules {
            strip: self.strip_components,
            exclude: &prepared.exclude,
            outside_links: self.outside_links,
            special_bits: self.special_bits,
            entries: prepared.limits.entries,
        });
        let mut any = false;
        entries(cx, file, format, prepared.limits, |entry, content| {
            if let Some(item) = judge.judge(entry)? {
                any = true;
                visit(item, content)?;
            }
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        judge.finish()?;
        if !any {
            return Err(Nothing.into());
        }
        Ok(())
    }
}

/// All entries of the archive are left out.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing in it to unpack; is `strip_components` too high, or `exclude` too wide?")]
pub(super) struct Nothing;

pub(super) struct Prepared {
    pub(super) exclude: Exclude,
    pub(super) owners: Resolved,
    pub(super) limits: Limits,
}

/// The archive at `path`, open, and its format.
fn archive(path: &Path) -> Result<(File, Format)> {
    let stop = |why: &str| {
        Err(CouldNotFindOut::new(format!("what is in {}", path.display())).permanent().because(why).into())
    };
    let OpenFile { file, .. } = match open(path, Links::Follow)? {
        Found::File(file) => file,
        Found::Nothing => return stop("there is no such file"),
        other => return stop(&format!("it is {}, and no file", other.what().unwrap_or_default())),
    };
    let format = Format::of_content(&file).or_could_not_find_out(format!("what {} is", path.display()))?;
    match format {
        Some(format) => Ok((file, format)),
        None => stop("it is no archive that is known: neither tar, tar.gz, tar.xz, tar.zst nor zip"),
    }
}
