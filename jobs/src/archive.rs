//! [`Archive`]: a folder, packed into one file.

mod compare;
mod folder;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dojob::{Context, CouldNotFindOut, Job, NotAsWanted};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;

use self::folder::{Look, Sources, sources};
use crate::disk::differ::Differences;
use crate::disk::inspect::{Found, Links, OpenFile, open};
use crate::disk::owner::{Attributes, Resolved};
use crate::disk::write::{self, follow};
use crate::disk::{Group, Mode, Owner, path};
use crate::early;
use crate::packed::exclude::{self, Exclude};
use crate::packed::write::Packer;
use crate::packed::{EntryKind, Format};

/// The mode of a new archive where none is asked for: it holds copies of files that not everybody may be allowed to read.
const NEW_ARCHIVE: Mode = Mode::new(0o600);

/// A folder is packed into an archive.
///
/// The archive has one top folder, named after the input. Names are sorted, everything belongs to user and group 0, and times are
/// fixed: the same folder always makes the same bytes, and touching a file without changing it changes nothing. Modes are
/// kept (by zip without setuid, setgid and sticky bits); symbolic links are kept as links and not followed; files with several names
/// (hard links) are packed once for each; empty directories are there. A device, a named pipe or a socket is an error:
/// exclude it.
///
/// The check reads the whole archive, without unpacking it anywhere, and compares names, kinds, modes, contents and the targets of
/// links with the folder as it is now. Archives made by other programs are fine, in whatever order, as long as they have packed hard
/// links as files.
///
/// An archive inside of its own folder does not contain itself.
///
/// Its result: `path`, the absolute path of the archive.
///
/// ```
/// # use dojob_jobs::Archive;
/// Archive::new("/srv/site", "/var/backups/site.tar.zst").exclude(["*.log", "/cache"]).mode(0o640);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dojob-target" = { "by": "target_file_path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = { "path": false }))]
pub struct Archive {
    /// The folder to pack, such as `/srv/site`. Its last part becomes the name of the top folder in the archive.
    #[serde(deserialize_with = "input")]
    pub input_directory_path: PathBuf,
    /// The archive, such as `/var/backups/site.tar.gz`. Its ending says the format: `.tar.gz`, `.tgz`, `.tar.xz`, `.tar.zst` or
    /// `.zip`. The directory that it is in has to be there. A symbolic link in its place is followed.
    #[serde(deserialize_with = "target")]
    pub target_file_path: PathBuf,
    /// What to leave out, such as `["*.log", "cache/**"]`. A pattern without a slash is meant at any depth, one with a slash counts
    /// from the folder on; `*` does not go beyond a slash, `**` does. What is in an excluded directory is out, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "exclude::patterns")]
    pub exclude: Vec<String>,
    /// Whether to keep the times at which files were changed, in whole seconds. Then touching a file makes the archive differ. Only
    /// with tar: the times of zip have no time zone. Unless given, no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_times: bool,
    /// The mode of the archive, such as `"0640"`. Unless given, it stays as it is, and that of a new archive is 0600: what is packed may
    /// not be for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The user whom the archive belongs to, by name or number. Unless given, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that the archive belongs to, by name or number. Unless given, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

fn input<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = path::any(deserializer)?;
    validate_input(&path).map_err(de::Error::custom)?;
    Ok(path)
}

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = path::named(deserializer)?;
    Format::of_name(&path).map_err(de::Error::custom)?;
    Ok(path)
}

fn validate_input(path: &Path) -> Result<()> {
    path::validate(path)?;
    let named = path.file_name().is_some();
    anyhow::ensure!(
        named,
        "the top folder of the archive is named after `{}`, which has no name",
        path.display()
    );
    Ok(())
}

impl Archive {
    /// The folder `input` in the archive `target`.
    pub fn new(input: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Archive {
            input_directory_path: input.into(),
            target_file_path: target.into(),
            exclude: Vec::new(),
            keep_times: false,
            mode: None,
            owner: None,
            group: None,
        }
    }

    /// Leaves out what matches one of these patterns.
    #[must_use]
    pub fn exclude<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Keeps the times at which files were changed.
    #[must_use]
    pub fn keep_times(mut self) -> Self {
        self.keep_times = true;
        self
    }

    /// Asks for this mode of the archive.
    #[must_use]
    pub fn mode(mut self, mode: impl Into<Mode>) -> Self {
        self.mode = Some(mode.into());
        self
    }

    /// Asks for this owner of the archive.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Asks for this group of the archive.
    #[must_use]
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// What a wrong value in Rust would otherwise show late, or not at all; and what goes into the archive.
    fn prepare(&self, cx: &Context) -> Result<Prepared> {
        validate_input(&self.input_directory_path)?;
        path::validate_named(&self.target_file_path)?;
        let format = Format::of_name(&self.target_file_path)?;
        anyhow::ensure!(
            !(self.keep_times && format == Format::Zip),
            "zip cannot keep times, which have no time zone there: use a tar archive, or do without `keep_times`"
        );
        let exclude = Exclude::new(&self.exclude)?;
        let attributes =
            Attributes { mode: self.mode, owner: self.owner.as_ref(), group: self.group.as_ref() }
                .resolve(cx)?;
        let sources = sources(
            cx,
            &Look {
                folder: &self.input_directory_path,
                exclude: &exclude,
                target: &self.target_file_path,
                times: self.keep_times,
            },
        )?;
        Ok(Prepared { format, attributes, sources })
    }
}

struct Prepared {
    format: Format,
    attributes: Resolved,
    sources: Sources,
}

impl Job for Archive {
    fn name(&self) -> String {
        format!("Archive {}", self.target_file_path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let (folder, target) = (&self.input_directory_path, &self.target_file_path);
        let shown = target.display();
        let prepared = early::or_missing(cx, self.prepare(cx), |_| {
            let nothing = early::is_missing(folder) && early::is_missing(target);
            nothing.then(|| format!("{shown} does not exist, nor does {} to pack", folder.display()))
        })?;
        let Prepared { format, attributes, sources } = prepared;
        let file = match open(target, Links::Follow)? {
            Found::File(file) => file,
            Found::Nothing => {
                let error = NotAsWanted::new(format!("{shown} does not exist"));
                return Err(error.difference(compare::all_missing(&sources)).into());
            }
            other => {
                let what = format!("{shown} is {}", other.what().unwrap_or("something else"));
                let error = CouldNotFindOut::new(format!("how to write {shown}"));
                return Err(error.because(format!("{what}; remove it, or choose another path")).into());
            }
        };
        let mut differences = Differences::new();
        let OpenFile { file, meta } = file;
        let mut own = Differences::new();
        attributes.compare_open(&file, &meta, &mut own)?;
        if let Some(difference) = compare::compare(cx, file, format, sources)? {
            let reason = format!(
                "{shown} does not match {}: {}",
                self.input_directory_path.display(),
                difference.reason
            );
            differences.add_difference(reason, difference.list);
        }
        differences.add_all(own);
        differences.into_result()?;
        Ok(cx.set_result(json!({ "path": path::absolute(cx, target) }))?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let Prepared { format, mut attributes, sources } = self.prepare(cx)?;
        let target = follow(&self.target_file_path)?;
        if matches!(open(&target, Links::Stay)?, Found::Nothing) {
            attributes.mode = attributes.mode.or(Some(NEW_ARCHIVE));
        }
        let cx = &*cx;
        write::write(cx, &target, &attributes, |file| {
            let mut packer = Packer::new(file, format)?;
            for source in sources.values() {
                // A directory, a link or an empty file reads nothing, and does not ask.
                anyhow::ensure!(!cx.is_cancelled(), "the run was asked to stop");
                let entry = &source.entry;
                match entry.kind {
                    EntryKind::File(_) => {
                        let content = source.open()?.with_context(|| {
                            format!("{} was replaced or removed meanwhile", source.path.display())
                        })?;
                        packer.add(entry, &mut UntilStopped { cx, reader: content })?;
                    }
                    _ => packer.add(entry, &mut std::io::empty())?,
                }
            }
            packer.finish()
        })
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        write::cleanup(cx, &self.target_file_path)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

/// A reader that fails when the run is asked to stop.
struct UntilStopped<'a, R> {
    cx: &'a Context,
    reader: R,
}

impl<R: Read> Read for UntilStopped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.cx.is_cancelled() {
            return Err(std::io::Error::other("the run was asked to stop"));
        }
        self.reader.read(buffer)
    }
}
