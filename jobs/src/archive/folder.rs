//! What is in a folder, as entries of an archive of it: one top folder, and all names below that are not excluded.
//!
//! Reads no content, and changes nothing. Holds all names in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::disk::at::open_below;
use crate::disk::inspect::{Links, Meta, meta, unseen};
use crate::disk::walk::{Enter, open_again, open_directory, walk_from};
use crate::disk::write::BESIDE;
use crate::packed::exclude::Exclude;
use crate::packed::{ArchiveEntry, EntryKind, show};

/// An entry that an archive of the folder has to have, and where its content is.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) entry: ArchiveEntry,
    /// Where it is, for messages.
    pub(crate) path: PathBuf,
    /// The same from the folder, and which file it was.
    inner: PathBuf,
    id: (u64, u64),
    folder: Arc<OwnedFd>,
}

impl Source {
    /// Opens the file, as long as it is the one that was found: no link on the way is followed, whatever was put there
    /// meanwhile. `None` where it is not.
    ///
    /// # Errors
    /// [`CouldNotFindOut`] when it cannot be opened.
    pub(crate) fn open(&self) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match open_below(&self.folder, &self.inner, flags) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(unseen(&self.path, errno)),
        };
        let found = Meta::from(rustix::fs::fstat(&file).map_err(|errno| unseen(&self.path, errno))?);
        Ok((found.is_file() && found.id == self.id).then(|| File::from(file)))
    }
}

/// How a folder is looked at.
pub(crate) struct Look<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) exclude: &'a Exclude,
    /// The archive itself, which does not belong into it.
    pub(crate) target: &'a Path,
    /// Whether times are kept.
    pub(crate) times: bool,
}

/// The entries by their names, sorted byte by byte, so that a folder comes before what is in it.
pub(crate) type Sources = BTreeMap<Vec<u8>, Source>;

/// All that an archive of a folder has to have.
///
/// # Errors
/// [`CouldNotFindOut`] for what cannot be seen, or cannot be packed.
pub(crate) fn sources(cx: &Context, look: &Look<'_>) -> Result<Sources> {
    let folder = look.folder;
    let what = || format!("what belongs into an archive of {}", folder.display());
    fn refused<T>(what: String, why: String) -> Result<T> {
        Err(CouldNotFindOut::new(what).permanent().because(why).into())
    }
    match meta(folder, Links::Follow)? {
        Some(top) if top.is_dir() => {}
        Some(other) => return refused(what(), format!("it is {}, and no directory", other.what())),
        None => return refused(what(), "there is no such directory".to_owned()),
    }
    let opened = Arc::new(open_directory(folder)?);
    let top = Meta::from(rustix::fs::fstat(&opened).map_err(|errno| unseen(folder, errno))?);
    let Some(name) = folder.file_name() else {
        return refused(what(), "it has no name of its own".to_owned());
    };
    let own = OwnPlace::of(folder, look.target).or_could_not_find_out(what())?;
    if own.is_some() && look.times {
        return refused(
            what(),
            "the archive would be inside of it, and change its time whenever it is written; put it elsewhere, or do without \
             `keep_times`"
                .to_owned(),
        );
    }

    let mut found = Sources::new();
    let mut add = |name: Vec<u8>, kind: EntryKind, meta: &Meta, inner: &Path| {
        let mode = Some(if matches!(kind, EntryKind::Symlink(_)) { 0o777 } else { meta.mode.bits() });
        // No archive knows a time before 1970.
        let modified = look.times.then_some(meta.modified.0.max(0));
        let entry = ArchiveEntry { name: name.clone(), kind, mode, modified };
        let (path, folder) = (folder.join(inner), Arc::clone(&opened));
        found.insert(name, Source { entry, path, inner: inner.to_owned(), id: meta.id, folder });
    };
    add(name.as_bytes().to_owned(), EntryKind::Directory, &top, Path::new(""));
    walk_from(folder, open_again(folder, &opened)?, |item| {
        if cx.is_cancelled() {
            // The next start may well find it out.
            return Err(CouldNotFindOut::new(what()).because("the run was asked to stop").into());
        }
        if look.exclude.matches(item.path) || own.as_ref().is_some_and(|own| own.is_at(item.path)) {
            return Ok(Enter::No);
        }
        let path = || folder.join(item.path);
        let kind = if item.meta.is_dir() {
            EntryKind::Directory
        } else if item.meta.is_file() {
            EntryKind::File(item.meta.size)
        } else if item.meta.is_symlink() {
            let target = rustix::fs::readlinkat(item.parent, item.name, Vec::new());
            EntryKind::Symlink(target.map_err(|errno| unseen(&path(), errno))?.into_bytes())
        } else {
            let path = show(path().as_os_str().as_bytes());
            return refused(
                what(),
                format!("{path} is {}, which cannot be packed; `exclude` it", item.meta.what()),
            );
        };
        let name = [name.as_bytes(), b"/", item.path.as_os_str().as_bytes()].concat();
        add(name, kind, &item.meta, item.path);
        Ok(Enter::Yes)
    })?;
    Ok(found)
}

/// Where in the folder the archive itself lies, or will.
struct OwnPlace {
    directory: PathBuf,
    archive: PathBuf,
}

impl OwnPlace {
    fn of(folder: &Path, target: &Path) -> io::Result<Option<Self>> {
        let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else { return Ok(None) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let parent = match parent.canonicalize() {
            Ok(parent) => parent,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let folder = folder.canonicalize()?;
        Ok(parent
            .strip_prefix(folder)
            .ok()
            .map(|directory| OwnPlace { archive: directory.join(name), directory: directory.to_owned() }))
    }

    /// Whether the archive is at this path, or what an unfinished run has left beside it.
    fn is_at(&self, inner: &Path) -> bool {
        let beside = || {
            let name = inner.file_name().unwrap_or_default().as_bytes();
            inner.parent() == Some(&self.directory) && name.starts_with(BESIDE.as_bytes())
        };
        inner == self.archive || beside()
    }
}
