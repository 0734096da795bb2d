//! A directory with this mode and owner, and where wanted all that is in it.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, Job};
use rustix::fs::{AtFlags, Gid, Mode as RawMode, OFlags, Uid};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::at::Around;
use crate::disk::differ::Differences;
use crate::disk::inspect::{self, Links, Meta};
use crate::disk::owner::{Attributes, Group, Mode, Owner, Resolved};
use crate::disk::pattern::Patterns;
use crate::disk::removal::remove_at;
use crate::disk::walk::{Enter, WalkedEntry, names_in, open_directory, open_entry, walk, walk_from};
use crate::disk::{chown, path, write};
use crate::guard::{self, Guard};
use crate::validated::validated;

/// The mode of a new directory for which none is asked; the same on all machines, whatever the umask.
const NEW_DIRECTORY: Mode = Mode::new(0o755);

/// So many differences below a directory are shown one by one.
const SHOWN: usize = 100;

/// A directory with this mode and owner.
///
/// Directories on the way to it that are missing are made, too, with the mode `0755`. A symbolic link that leads to a
/// directory is as good as one, and what is asked for is asked of what it leads to.
///
/// With `mode`, access control lists that grant more than that are taken away, also the one for what is created in the directory;
/// so are those of a directory that is taken from another user. Files below it that change their owner stay the same files:
/// a program that has one open for writing can go on writing to it.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Directory;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("srv/site"); let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/srv/site";
/// let report = Engine::new(Directory::new(path).mode(0o750))?.converge();
/// assert!(report.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Directory")]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Directory {
    /// Where it is, such as `/srv/site`. A relative path counts from the directory that the program was started in.
    #[serde(deserialize_with = "path::any")]
    pub path: PathBuf,
    /// The permissions, such as `"0755"`; unless given they stay as they are, and are `0755` for a new directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The user that it belongs to, by name or number; unless given it stays with whom it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that it belongs to, by name or number; unless given it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whether `owner` and `group` hold for all that is below it, and `mode` for all directories there. Links below it
    /// are not followed. By default only the directory itself is looked at.
    #[serde(default)]
    pub recursive: bool,
    /// With `recursive`: the permissions of all files below it, such as `"0644"`; unless given they stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<Mode>,
    /// Whether to remove whatever is in the directory and not listed in `keep`, directories with all that is in them.
    /// By default nothing is removed.
    #[serde(default)]
    pub purge: bool,
    /// With `purge`: the names that may stay, or patterns of them, such as `["site.conf", "*.pem"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Whether a file or something else at the path may be removed for the directory. By default that is an error.
    #[serde(default)]
    pub force: bool,
}

validated!(Directory);

impl Directory {
    /// The directory at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Directory {
            path: path.into(),
            mode: None,
            owner: None,
            group: None,
            recursive: false,
            file_mode: None,
            purge: false,
            keep: Vec::new(),
            force: false,
        }
    }

    /// With these permissions: `0o755`.
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

    /// The same for all that is below it.
    #[must_use]
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// With these permissions of all files below it; makes it recursive.
    #[must_use]
    pub fn file_mode(mut self, mode: impl Into<Mode>) -> Self {
        self.file_mode = Some(mode.into());
        self.recursive()
    }

    /// With nothing in it but what has one of these names, or fits one of these patterns.
    #[must_use]
    pub fn purge<P: Into<String>>(mut self, keep: impl IntoIterator<Item = P>) -> Self {
        self.purge = true;
        self.keep.extend(keep.into_iter().map(Into::into));
        self
    }

    /// Removing a file, or what else is in its place.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate(&self.path)?;
        self.mode.map_or(Ok(()), Mode::validate)?;
        self.file_mode.map_or(Ok(()), Mode::validate).context("bad `file_mode`")?;
        ensure!(self.recursive || self.file_mode.is_none(), "`file_mode` needs `recursive`");
        ensure!(self.purge || self.keep.is_empty(), "`keep` needs `purge`");
        ensure!(
            !self.keep.iter().any(|name| name.contains('/')),
            "`keep` lists names in the directory itself, without `/`"
        );
        self.kept()?;
        if self.purge {
            path::validate_no_root(&self.path).context("refusing to purge it")?;
        }
        Ok(())
    }

    /// Whether a name may stay: it is listed as it is, or fits a pattern.
    fn is_kept(&self, patterns: &Patterns, name: &OsStr) -> bool {
        self.keep.iter().any(|kept| OsStr::new(kept) == name) || patterns.fit(Path::new(name))
    }

    fn kept(&self) -> Result<Patterns> {
        Patterns::new(&self.keep).context("bad `keep`")
    }

    fn attributes(&self, cx: &Context) -> Result<Resolved> {
        Attributes { mode: self.mode, owner: self.owner.as_ref(), group: self.group.as_ref() }.resolve(cx)
    }

    /// What is wanted of something below.
    fn below(&self, attributes: &Resolved, meta: &Meta) -> Resolved {
        let mode = match meta {
            meta if meta.is_dir() => attributes.mode,
            meta if meta.is_file() => self.file_mode,
            _ => None,
        };
        Resolved { mode, ..*attributes }
    }

    /// What is to be removed from the directory: names, and which directories they are. What a job is just writing beside is
    /// not among it.
    fn unlisted(&self, cx: &Context, directory: &OwnedFd) -> Result<Vec<Unlisted>> {
        if !self.purge {
            return Ok(Vec::new());
        }
        guard::refuse_purging(&self.path, &Meta::from(rustix::fs::fstat(directory)?))?;
        let kept = self.kept()?;
        let mut unlisted = Vec::new();
        let mut guard = None;
        for name in names_in(&self.path, directory)? {
            if self.is_kept(&kept, &name) || name.as_encoded_bytes().starts_with(write::BESIDE.as_bytes()) {
                continue;
            }
            let found = match rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Meta::from(stat),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(inspect::unseen(&self.path.join(name), errno)),
            };
            if found.is_dir() {
                let guard = guard.get_or_insert_with(|| Guard::look(cx));
                guard.refuse_removal(&self.path.join(&name), &found)?;
            }
            unlisted.push((name, found.is_dir().then_some(found.id)));
        }
        Ok(unlisted)
    }

    fn compare_unlisted(&self, cx: &Context, differences: &mut Differences) -> Result<()> {
        if !self.purge {
            return Ok(());
        }
        let unlisted = self.unlisted(cx, &open_directory(&self.path)?)?;
        let unlisted: Vec<_> = unlisted.into_iter().map(|(name, _)| name).collect();
        let Some(first) = unlisted.first() else { return Ok(()) };
        let reason = match unlisted.len() {
            1 => format!("{} is not listed", first.display()),
            count => format!("{count} names are not listed, such as {}", first.display()),
        };
        let lines = unlisted.iter().take(SHOWN).map(|name| format!("-{}", self.path.join(name).display()));
        differences.add_lines(reason, lines, unlisted.len());
        Ok(())
    }

    fn compare_below(
        &self,
        cx: &Context,
        attributes: &Resolved,
        differences: &mut Differences,
    ) -> Result<()> {
        let mut count = 0;
        let mut shown = Vec::new();
        walk(&self.path, |entry| {
            ensure!(!cx.is_cancelled(), "stopped while looking at {}", entry.path.display());
            let wanted = self.below(attributes, &entry.meta);
            let grants_more = grants_more(entry, &wanted)?;
            if !wanted.fits(&entry.meta) || grants_more {
                count += 1;
                if shown.len() < SHOWN {
                    let mut found = Differences::new();
                    wanted.compare(&entry.meta, &mut found);
                    if grants_more {
                        found.add("an access control list grants more than its mode");
                    }
                    shown.push(format!("{}: {}", entry.path.display(), found.reasons()));
                }
            }
            Ok(Enter::Yes)
        })?;
        shown.sort();
        match (count, shown.first()) {
            (1, Some(only)) => differences.add(format!("below it {only}")),
            (_, Some(first)) => {
                let reason = format!("{count} below it differ, such as {first}");
                differences.add_lines(reason, shown, count);
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// Sets what is wanted of all that is below. The directory may have been another user's until a moment ago, so `around` is
    /// how it was before; so it is with each directory below.
    fn set_below(
        &self,
        cx: &Context,
        attributes: &Resolved,
        directory: OwnedFd,
        around: Around,
    ) -> Result<()> {
        let mut around = vec![around];
        walk_from(&self.path, directory, |entry| {
            ensure!(!cx.is_cancelled(), "stopped before {}", entry.path.display());
            let wanted = self.below(attributes, &entry.meta);
            around.truncate(entry.path.components().count());
            let is_as_wanted = wanted.fits(&entry.meta) && !grants_more(entry, &wanted)?;
            let own = if entry.meta.is_dir() { Some(Around::of(open_entry(entry)?)?) } else { None };
            if !is_as_wanted {
                let path = self.path.join(entry.path);
                let around = around.last().context("a walk begins in a directory")?;
                set(cx, &path, entry, &wanted, around)
                    .with_context(|| format!("failed to change {}", path.display()))?;
            }
            around.extend(own);
            Ok(Enter::Yes)
        })
    }

    /// Makes it, and what is missing on the way.
    fn make(&self, cx: &Context, attributes: &Resolved) -> Result<()> {
        let mut missing = Vec::new();
        for path in self.path.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            match inspect::meta(path, Links::Follow)? {
                Some(meta) if meta.is_dir() => break,
                // The path itself: then it may be moved away.
                Some(_) if missing.is_empty() && self.force => missing.push(path),
                Some(meta) => bail!("{} is {}, not a directory", path.display(), meta.what()),
                None => missing.push(path),
            }
        }
        while let Some(path) = missing.pop() {
            let wanted = if missing.is_empty() { *attributes } else { Resolved::default() };
            make_one(cx, path, &wanted, missing.is_empty() && self.force)?;
        }
        Ok(())
    }
}

/// A name that is to be removed, and where it is a directory which one, by file system and number.
type Unlisted = (OsString, Option<(u64, u64)>);

/// Makes a directory that has its mode and owner from the start, unless somebody else makes it meanwhile.
fn make_one(cx: &Context, path: &Path, attributes: &Resolved, force: bool) -> Result<()> {
    // A path such as `a/..` has no name, and is there as soon as `a` is.
    let Some(name) = path.file_name() else { return Ok(()) };
    let make = || -> Result<()> {
        let parent = write::directory_of(path)?;
        // Without the end of `a/.`, which is no name to give.
        let path = &parent.join(name);
        let parent = write::open_directory(parent)?;
        let beside = write::beside(cx, path)?;
        let new = beside.file_name().unwrap_or_default();
        rustix::fs::mkdirat(&parent, new, RawMode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&parent, new, flags, RawMode::empty())?;
        let found = Meta::from(rustix::fs::fstat(&made)?);
        let keeps_list = attributes.mode.is_none();
        let wanted = Resolved { mode: attributes.mode.or(Some(NEW_DIRECTORY)), keeps_list, ..*attributes };
        wanted.set(&made, &found)?;
        if force {
            // A directory takes the place of nothing else in one step.
            if let Some(found) = inspect::meta(path, Links::Stay)? {
                guard::refuse_removal(cx, path, &found)?;
            }
            write::remove_other(path, &parent, name)?;
        }
        if !write::rename_new(&parent, new, name)? {
            remove_at(&parent, new, Some(found.id))?;
        }
        write::settle(cx, &beside)?;
        Ok(rustix::fs::fsync(&parent)?)
    };
    make().with_context(|| format!("failed to make the directory {}", path.display()))
}

/// Whether something that a walk has come by has an access control list that grants more than the mode that is wanted.
fn grants_more(entry: &WalkedEntry<'_>, wanted: &Resolved) -> Result<bool> {
    if !wanted.may_have_list(&entry.meta) {
        return Ok(false);
    }
    match open_entry(entry) {
        Ok(opened) => wanted.is_list_granting_more(opened, &entry.meta),
        // Gone, or not to be seen by whoever runs this; the walk finds out.
        Err(_) => Ok(false),
    }
}

/// Sets what is wanted of something that a walk has come by; links are not followed.
fn set(cx: &Context, path: &Path, entry: &WalkedEntry<'_>, wanted: &Resolved, around: &Around) -> Result<()> {
    if !entry.meta.is_dir() && !entry.meta.is_file() {
        return set_other(entry, wanted);
    }
    let fd = open_entry(entry)?;
    let stat = rustix::fs::fstat(&fd)?;
    let found = Meta::from(stat);
    // Somebody may have put something else there, whose mode is not for us to set.
    ensure!(found.id == entry.meta.id, "it was replaced meanwhile");
    around.judge_hard_link(&stat)?;
    chown::set(cx, path, &fd, &found, wanted)
}

/// The same for a link, a device and the like. A mode is not asked for; and to open one is not wanted.
fn set_other(entry: &WalkedEntry<'_>, wanted: &Resolved) -> Result<()> {
    let ids = (wanted.uid.map(Uid::from_raw), wanted.gid.map(Gid::from_raw));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(entry.parent, entry.name, flags, RawMode::empty())?;
        let found = Meta::from(rustix::fs::fstat(&fd)?);
        ensure!(found.id == entry.meta.id, "it was replaced meanwhile");
        Ok(rustix::fs::chownat(&fd, "", ids.0, ids.1, AtFlags::EMPTY_PATH)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    Ok(rustix::fs::chownat(entry.parent, entry.name, ids.0, ids.1, AtFlags::SYMLINK_NOFOLLOW)?)
}

impl Job for Directory {
    fn name(&self) -> String {
        format!("Directory {}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let attributes = self.attributes(cx)?;
        let mut differences = Differences::new();
        match inspect::meta(&self.path, Links::Follow)? {
            Some(meta) if meta.is_dir() => {
                attributes.compare_at(&self.path, Links::Follow, &meta, &mut differences)?;
                self.compare_unlisted(cx, &mut differences)?;
                if self.recursive {
                    self.compare_below(cx, &attributes, &mut differences)?;
                }
            }
            None if inspect::meta(&self.path, Links::Stay)?.is_none() => {
                differences.add(format!("{} does not exist", self.path.display()));
            }
            found => {
                let what = found.map_or("a symbolic link to nothing", |meta| meta.what());
                let is = format!("{} is {what}, not a directory", self.path.display());
                ensure!(self.force, "{is}; `force` would remove it");
                if let Some(found) = inspect::meta(&self.path, Links::Stay)? {
                    guard::refuse_removal(cx, &self.path, &found)?;
                }
                differences.add(is);
            }
        }
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let attributes = self.attributes(cx)?;
        match inspect::meta(&self.path, Links::Follow)? {
            Some(meta) if meta.is_dir() => {}
            None if !self.force && inspect::meta(&self.path, Links::Stay)?.is_some() => {
                bail!("{} is a symbolic link to nothing, not a directory", self.path.display());
            }
            _ => return self.make(cx, &attributes),
        }
        // All is done in this one, whatever its path leads to in a moment.
        let directory = write::open_directory(&self.path)?;
        for (name, judged) in self.unlisted(cx, &directory)? {
            remove_at(&directory, &name, judged)
                .with_context(|| format!("failed to remove {}", self.path.join(name).display()))?;
        }
        let around = Around::of(&directory)?;
        let change = || attributes.set(&directory, &Meta::from(rustix::fs::fstat(&directory)?));
        change().with_context(|| format!("failed to change {}", self.path.display()))?;
        if self.recursive { self.set_below(cx, &attributes, directory, around) } else { Ok(()) }
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
