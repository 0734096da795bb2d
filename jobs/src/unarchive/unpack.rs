//! Unpacking: first everything that differs is written beside, then it is put into its places.
//!
//! So whatever is wrong with the archive, and a full disk, is found out before the folder is touched.

use std::collections::HashSet;
use std::fs::{File, FileTimes};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use dojob::Context;
use rustix::fs::{AtFlags, Gid, Mode as RawMode, OFlags, Uid};
use rustix::io::Errno;

use super::beneath::{Beneath, NEW_DIRECTORY, NewDirectories, OTHER_FILE_SYSTEM, meta_at};
use super::check::{in_the_way, open_at, there, wanted};
use super::item::{Item, ItemKind};
use super::source::{Prepared, Unarchive};
use crate::disk::at::{self, Fault, Links};
use crate::disk::chown;
use crate::disk::inspect::Meta;
use crate::disk::owner::Resolved;
use crate::disk::write::{self, beside, open_directory, settle};
use crate::packed::read::{Content, ReadError};
use crate::packed::show;

/// Names beside: what is staged, and a folder that is being made.
const STAGED: &str = "staged";
const FOLDER: &str = "folder";

const PIECE: usize = 64 * 1024;

/// Makes the folder hold what the archive does.
///
/// # Errors
/// When that fails; as long as anything is being unpacked the folder is not touched.
pub(super) fn unpack(job: &Unarchive, cx: &Context, prepared: &Prepared, exists: bool) -> Result<()> {
    let unpack = || {
        // In the folder, where there is one: it may be another file system than what it is in.
        let near = if exists { job.dest.join(STAGED) } else { job.dest.clone() };
        drop(open_directory(write::directory_of(&near)?)?);
        let work = beside(cx, &near)?;
        make_private(&work)?;
        let done = if exists { update(job, cx, prepared, &work) } else { make(job, cx, prepared, &work) };
        match write::remove(&work) {
            Ok(()) => settle(cx, &work)?,
            // The cleanup tries again, and tells about it.
            Err(error) if done.is_ok() => {
                return Err(error).with_context(|| format!("failed to remove {}", work.display()));
            }
            Err(_) => {}
        }
        done
    };
    unpack().with_context(|| format!("failed to unpack {} into {}", job.source.display(), job.dest.display()))
}

/// Unpacks into a folder that is there.
fn update(job: &Unarchive, cx: &Context, prepared: &Prepared, work: &Path) -> Result<()> {
    let dest = Beneath::open(&job.dest)?;
    let staged = Staged::new(&work.join(STAGED))?;
    let plan = staged.plan(job, cx, prepared, Some(&dest))?;
    sync(dest.root());
    plan.apply(cx, &staged, &dest, &prepared.owners)?;
    sync(dest.root());
    Ok(())
}

/// Unpacks into a new folder, which is there when it is complete.
fn make(job: &Unarchive, cx: &Context, prepared: &Prepared, work: &Path) -> Result<()> {
    let folder = work.join(FOLDER);
    make_private(&folder)?;
    let staged = Staged::new(&work.join(STAGED))?;
    let plan = staged.plan(job, cx, prepared, None)?;
    let made = Beneath::open(&folder)?;
    plan.apply(cx, &staged, &made, &prepared.owners)?;
    let own = Resolved { mode: Some(NEW_DIRECTORY), ..prepared.owners };
    own.set(made.root(), &rustix::fs::fstat(made.root())?.into())?;
    sync(made.root());
    let parent = open_directory(write::directory_of(&job.dest)?)?;
    let from = at::place(&folder, Links::Stay)?;
    rustix::fs::renameat(&from.directory, &from.name, &parent, job.dest.file_name().unwrap_or_default())?;
    Ok(rustix::fs::fsync(&parent)?)
}

fn make_private(path: &Path) -> Result<()> {
    let make = || {
        let place = at::place(path, Links::Stay)?;
        Ok(rustix::fs::mkdirat(&place.directory, &place.name, RawMode::RWXU)?)
    };
    make()
        .map_err(|fault: Fault| io::Error::from(fault))
        .with_context(|| format!("failed to make {}", path.display()))
}

/// Has what was written there on the disk, once for all of it. Where that is not possible it gets there in its own time.
fn sync(directory: &OwnedFd) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = rustix::fs::syncfs(directory);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = directory;
        rustix::fs::sync();
    }
}

/// Where things are written before they get to their places, under numbers.
struct Staged {
    directory: OwnedFd,
}

/// What is to be done, in order.
#[derive(Default)]
struct UnpackSteps(Vec<Step>);

struct Step {
    item: Item,
    /// The number under which it is staged; nothing is of what is made in its place.
    staged: Option<usize>,
}

impl Staged {
    fn new(path: &Path) -> Result<Self> {
        make_private(path)?;
        Ok(Staged { directory: open_directory(path)? })
    }

    fn name(number: usize) -> String {
        number.to_string()
    }

    /// Reads the archive, and writes what differs.
    fn plan(
        &self,
        job: &Unarchive,
        cx: &Context,
        prepared: &Prepared,
        dest: Option<&Beneath>,
    ) -> Result<UnpackSteps> {
        let mut plan = UnpackSteps::default();
        let mut seen = HashSet::new();
        job.items(cx, prepared, |item, content| {
            // Behind an earlier entry of the same name what is in the folder does not count any more.
            let is_first = seen.insert(item.place.clone());
            let staged = match item.kind {
                ItemKind::File(_) => {
                    let old =
                        dest.filter(|_| is_first).map(|dest| old_file(dest, &item)).transpose()?.flatten();
                    let number = plan.0.len();
                    let staged = self.stage(number, &item, content, &prepared.owners, old);
                    staged
                        .with_context(|| {
                            format!("failed to unpack {}", show(item.place.as_os_str().as_bytes()))
                        })?
                        .then_some(number)
                }
                _ => None,
            };
            plan.0.push(Step { item, staged });
            Ok(())
        })?;
        Ok(plan)
    }

    /// Writes a file, unless it is the same as the old one; says whether it did.
    fn stage(
        &self,
        number: usize,
        item: &Item,
        content: &mut Content<'_>,
        owners: &Resolved,
        mut old: Option<(File, Meta)>,
    ) -> Result<bool> {
        let name = Staged::name(number);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.directory, name.as_str(), flags, RawMode::RUSR | RawMode::WUSR)?;
        let mut file = File::from(fd);
        let (mut piece, mut other) = (vec![0; PIECE], vec![0; PIECE]);
        let mut size = 0;
        let wanted = wanted(item, owners);
        let mut same = old
            .as_ref()
            .is_some_and(|(_, meta)| item.kind == ItemKind::File(meta.size) && !wanted.needs_new_file(meta));
        loop {
            let length = content.fill(&mut piece)?;
            if let Some((old, _)) = old.as_mut().filter(|_| same) {
                same = io::Read::read_exact(old, &mut other[..length]).is_ok()
                    && other[..length] == piece[..length];
            }
            file.write_all(&piece[..length])?;
            size += length as u64;
            if length < PIECE {
                break;
            }
        }
        if item.kind != ItemKind::File(size) {
            return Err(anyhow!("it is shorter or longer than the archive says"));
        }
        if same {
            rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::empty())?;
            return Ok(false);
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some((old, _)) = old.filter(|(_, meta)| !wanted.is_taken(meta)) {
            crate::disk::xattr::carry_over(&old.into(), &file, false)?;
        }
        wanted.set(&file, &rustix::fs::fstat(&file)?.into())?;
        let modified = item.modified.and_then(|seconds| u64::try_from(seconds).ok());
        if let Some(time) = modified.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        {
            file.set_times(FileTimes::new().set_modified(time))?;
        }
        Ok(true)
    }
}

/// The file that is in the place of an item, where there is one that can be read.
fn old_file(dest: &Beneath, item: &Item) -> Result<Option<(File, Meta)>> {
    let Some(found) = there(dest, &item.place)? else { return Ok(None) };
    if found.meta.is_dir() {
        return Err(in_the_way(dest, item, &found.meta));
    }
    if !found.meta.is_file() {
        return Ok(None);
    }
    let name = item.place.file_name().unwrap_or_default();
    Ok(open_at(&found.directory, name).ok().map(|file| (file, found.meta)))
}

/// # Errors
/// When the run was asked to stop, or the time of the task is over.
fn go_on(cx: &Context) -> Result<()> {
    if cx.is_cancelled() { Err(ReadError::Stopped.into()) } else { Ok(()) }
}

impl UnpackSteps {
    fn apply(&self, cx: &Context, staged: &Staged, dest: &Beneath, owners: &Resolved) -> Result<()> {
        let new = NewDirectories { staging: &staged.directory, attributes: *owners };
        for (number, step) in self.0.iter().enumerate() {
            go_on(cx)?;
            let put = step.put(cx, number, staged, dest, &new);
            put.with_context(|| {
                format!("failed to put {} in its place", dest.path(&step.item.place).display())
            })?;
        }
        // At last, and the deepest first: a directory may not be for writing.
        let mut directories: Vec<_> = self.0.iter().map(|step| &step.item).collect();
        directories.retain(|item| item.kind == ItemKind::Directory);
        directories.sort_by_key(|item| std::cmp::Reverse(item.place.components().count()));
        for item in directories {
            go_on(cx)?;
            let set = || {
                let Some((parent, name)) = dest.parent(&item.place, None)? else { return Ok(()) };
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = rustix::fs::openat(&parent, name, flags, RawMode::empty())?;
                wanted(item, owners).set(&directory, &rustix::fs::fstat(&directory)?.into())
            };
            set().with_context(|| {
                format!("failed to set mode and owner of {}", dest.path(&item.place).display())
            })?;
        }
        Ok(())
    }
}

impl Step {
    fn put(
        &self,
        cx: &Context,
        number: usize,
        staged: &Staged,
        dest: &Beneath,
        new: &NewDirectories<'_>,
    ) -> Result<()> {
        let (item, owners) = (&self.item, &new.attributes);
        let parent = dest.parent(&item.place, Some(new))?;
        let (parent, name) = parent.context("the directory that it is in is gone")?;
        let stage = Staged::name(number);
        match &item.kind {
            ItemKind::Directory => match rustix::fs::mkdirat(&parent, name, RawMode::RWXU) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => match meta_at(&parent, name)? {
                    Some(found) if !found.is_dir() => return Err(in_the_way(dest, item, &found)),
                    _ => return Ok(()),
                },
                Err(errno) => return Err(io::Error::from(errno).into()),
            },
            // Its content is right already.
            ItemKind::File(_) if self.staged.is_none() => {
                let file = open_at(&parent, name)?;
                let found: Meta = rustix::fs::fstat(&file)?.into();
                let wanted = wanted(item, owners);
                ensure!(!wanted.needs_new_file(&found), write::REPLACED);
                return chown::set(cx, &dest.path(&item.place), &file, &found, &wanted);
            }
            ItemKind::File(_) => {}
            ItemKind::Symlink(target) => {
                let found = meta_at(&parent, name)?.filter(|found| wanted(item, owners).fits(found));
                if found.is_some_and(|found| found.is_symlink())
                    && rustix::fs::readlinkat(&parent, name, Vec::new())?.as_bytes()
                        == target.as_os_str().as_bytes()
                {
                    return Ok(());
                }
                rustix::fs::symlinkat(target, &staged.directory, stage.as_str())?;
                let [uid, gid] = [owners.uid, owners.gid];
                if uid.is_some() || gid.is_some() {
                    let flags = AtFlags::SYMLINK_NOFOLLOW;
                    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
                    rustix::fs::chownat(&staged.directory, stage.as_str(), uid, gid, flags)?;
                }
            }
            ItemKind::HardLink(target) => {
                let other = there(dest, target)?.context("what it is another name of is not there")?;
                if meta_at(&parent, name)?.is_some_and(|own| own.id == other.meta.id) {
                    return Ok(());
                }
                let other_name = target.file_name().unwrap_or_default();
                rustix::fs::linkat(
                    &other.directory,
                    other_name,
                    &staged.directory,
                    stage.as_str(),
                    AtFlags::empty(),
                )?;
            }
        }
        match rustix::fs::renameat(&staged.directory, stage, &parent, name) {
            Err(Errno::XDEV) => Err(anyhow!(OTHER_FILE_SYSTEM)),
            renamed => Ok(renamed?),
        }
    }
}
