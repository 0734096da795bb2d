//! How a folder differs from what an archive holds. Changes nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};
use rustix::fs::{Mode as RawMode, OFlags};

use super::beneath::{Beneath, meta_at};
use super::item::{Item, ItemKind, Refused};
use super::source::{Nothing, Prepared, Unarchive};
use crate::disk::differ::Differences;
use crate::disk::inspect::Meta;
use crate::disk::owner::Resolved;
use crate::packed::changes::{Change, Changes, Difference};
use crate::packed::read::{Content, ReadError};
use crate::packed::show;

/// How the folder differs; it may not be there.
///
/// # Errors
/// [`CouldNotFindOut`], when the archive is not to be unpacked, or one of the two cannot be read.
pub(super) fn difference(
    job: &Unarchive,
    cx: &Context,
    prepared: &Prepared,
    exists: bool,
) -> Result<Option<Difference>> {
    let what = || format!("whether {} matches {}", job.dest.display(), job.source.display());
    let dest = exists.then(|| Beneath::open(&job.dest)).transpose().or_could_not_find_out(what())?;
    let mut changes = Changes::default();
    let read = job.items(cx, prepared, |item, content| {
        let change = match &dest {
            Some(dest) => change(dest, &item, content, &prepared.owners)?,
            None => Some(Change::Missing),
        };
        let name = item.place.as_os_str().as_bytes();
        match change {
            Some(change) => changes.add(name, change),
            // Of two entries of one name the last one counts.
            None => changes.remove(name),
        }
        Ok(())
    });
    match read {
        Ok(()) => Ok(changes.into_difference()),
        Err(error) if error.is::<CouldNotFindOut>() => Err(error),
        // Whatever it is, nothing is to be unpacked; and an archive does not change by being read again.
        Err(error) => {
            let is_permanent = error.is::<Refused>()
                || error.is::<Nothing>()
                || error.downcast_ref::<ReadError>().is_some_and(ReadError::is_permanent);
            let told = CouldNotFindOut::new(what());
            Err(error.context(if is_permanent { told.permanent() } else { told }))
        }
    }
}

/// What is at a place in the folder.
pub(super) struct There {
    pub(super) directory: OwnedFd,
    pub(super) meta: Meta,
}

pub(super) fn there(dest: &Beneath, place: &Path) -> Result<Option<There>> {
    let Some((directory, name)) = dest.parent(place, None)? else { return Ok(None) };
    let meta =
        meta_at(&directory, name).or_could_not_find_out(format!("what {} is", dest.path(place).display()))?;
    Ok(meta.map(|meta| There { directory, meta }))
}

/// How what is there differs from an item.
fn change(
    dest: &Beneath,
    item: &Item,
    content: &mut Content<'_>,
    owners: &Resolved,
) -> Result<Option<Change>> {
    let Some(found) = there(dest, &item.place)? else { return Ok(Some(Change::Missing)) };
    let changed = |how: String| Ok(Some(Change::Changed(how)));
    let name = item.place.file_name().unwrap_or_default();
    match &item.kind {
        ItemKind::Directory if !found.meta.is_dir() => return Err(in_the_way(dest, item, &found.meta)),
        ItemKind::Directory => {}
        _ if found.meta.is_dir() => return Err(in_the_way(dest, item, &found.meta)),
        ItemKind::File(_) if !found.meta.is_file() => {
            return changed(format!("is {}, not a file", found.meta.what()));
        }
        ItemKind::File(size) if found.meta.size != *size => {
            return changed(format!("has {} bytes, not {size}", found.meta.size));
        }
        ItemKind::File(_) => {
            let mut file = open_at(&found.directory, name)
                .or_could_not_find_out(format!("what {} says", dest.path(&item.place).display()))?;
            if !content.is_in(&mut file, &dest.path(&item.place))? {
                return changed("has other content".to_owned());
            }
        }
        ItemKind::Symlink(_) if !found.meta.is_symlink() => {
            return changed(format!("is {}, not a symbolic link", found.meta.what()));
        }
        ItemKind::Symlink(target) => {
            let leads = rustix::fs::readlinkat(&found.directory, name, Vec::new())
                .or_could_not_find_out(format!("where {} leads", dest.path(&item.place).display()))?;
            if leads.as_bytes() != target.as_os_str().as_bytes() {
                let wanted = show(target.as_os_str().as_bytes());
                return changed(format!("leads to {}, not {wanted}", show(leads.as_bytes())));
            }
        }
        ItemKind::HardLink(target) => {
            let other = there(dest, target)?.map(|other| other.meta.id);
            if other != Some(found.meta.id) {
                return changed(format!("is no other name of {}", show(target.as_os_str().as_bytes())));
            }
            return Ok(None);
        }
    }
    let mut differences = Differences::new();
    let wanted = wanted(item, owners);
    wanted.compare(&found.meta, &mut differences);
    if let Some(mode) = wanted.mode.filter(|_| wanted.may_have_list(&found.meta)) {
        let opened = open_at(&found.directory, name)
            .or_could_not_find_out(format!("who may use {}", dest.path(&item.place).display()))?;
        if wanted.is_list_granting_more(&opened, &found.meta)? {
            differences.add(format!("an access control list grants more than the mode {mode}"));
        }
    }
    match differences.into_result() {
        Ok(()) => Ok(None),
        Err(error) => changed(format!("is not as wanted: {error}")),
    }
}

/// Mode and owner of an item; a link has no mode of its own.
pub(super) fn wanted(item: &Item, owners: &Resolved) -> Resolved {
    let is_link = matches!(item.kind, ItemKind::Symlink(_));
    Resolved { mode: (!is_link).then_some(item.mode), ..*owners }
}

pub(super) fn in_the_way(dest: &Beneath, item: &Item, found: &Meta) -> anyhow::Error {
    let wanted = if item.kind == ItemKind::Directory { "a directory" } else { "no directory" };
    let path = dest.path(&item.place);
    let why = format!("it is {}, and has to be {wanted}; remove it, or `exclude` it", found.what());
    CouldNotFindOut::new(format!("how to unpack {}", path.display())).because(why).into()
}

pub(super) fn open_at(directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, RawMode::empty()).map(File::from)
}
