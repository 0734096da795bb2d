//! What is in a folder, as entries of an archive of it: one top folder, and all names below that are not excluded.
//!
//! Reads no content, and changes nothing. Holds all names in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};

use crate::disk::look::{Links, Meta, meta, read_link};
use crate::disk::write::BESIDE;
use crate::packed::exclude::Exclude;
use crate::packed::{Entry, Kind, show};

/// An entry that an archive of the folder has to have, and where its content is.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) entry: Entry,
    pub(crate) path: PathBuf,
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
    let stop = |why: String| Err(CouldNotFindOut::new(what()).permanent().because(why).into());
    let top = match meta(folder, Links::Follow)? {
        Some(top) if top.is_dir() => top,
        Some(other) => return stop(format!("it is {}, and no directory", other.what())),
        None => return stop("there is no such directory".to_owned()),
    };
    let Some(name) = folder.file_name() else { return stop("it has no name of its own".to_owned()) };
    let own = OwnPlace::of(folder, look.target).or_could_not_find_out(what())?;
    if own.is_some() && look.times {
        return stop(
            "the archive would be inside of it, and change its time whenever it is written; put it elsewhere, or do without \
             `keep_times`"
                .to_owned(),
        );
    }

    let mut found = Sources::new();
    let mut add = |name: Vec<u8>, kind: Kind, meta: &Meta, path: PathBuf| {
        let mode = Some(if matches!(kind, Kind::Symlink(_)) { 0o777 } else { meta.mode.bits() });
        let modified = look.times.then_some(meta.modified.0);
        found.insert(name.clone(), Source { entry: Entry { name, kind, mode, modified }, path });
    };
    add(name.as_bytes().to_owned(), Kind::Directory, &top, folder.to_owned());
    // Paths below the folder that are still to be read; no recursion, so that depth costs no stack.
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        let full = folder.join(&directory);
        for item in read_directory(&full)? {
            if cx.is_cancelled() {
                return stop("the run was asked to stop".to_owned());
            }
            let inner = directory.join(item.or_could_not_find_out(what_is_in(&full))?.file_name());
            if look.exclude.matches(&inner) || own.as_ref().is_some_and(|own| own.is_at(&inner)) {
                continue;
            }
            let path = folder.join(&inner);
            // Gone in between: then it does not belong to the folder.
            let Some(meta) = meta(&path, Links::Stay)? else { continue };
            let kind = if meta.is_dir() {
                open.push(inner.clone());
                Kind::Directory
            } else if meta.is_file() {
                Kind::File(meta.size)
            } else if meta.is_symlink() {
                Kind::Symlink(read_link(&path)?.as_os_str().as_bytes().to_owned())
            } else {
                let path = show(path.as_os_str().as_bytes());
                return stop(format!("{path} is {}, which cannot be packed; `exclude` it", meta.what()));
            };
            let name = [name.as_bytes(), b"/", inner.as_os_str().as_bytes()].concat();
            add(name, kind, &meta, path);
        }
    }
    Ok(found)
}

fn what_is_in(directory: &Path) -> String {
    format!("what is in {}", show(directory.as_os_str().as_bytes()))
}

fn read_directory(path: &Path) -> Result<fs::ReadDir> {
    fs::read_dir(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                " (run this as a user who may read it, or as root, or `exclude` it)"
            }
            _ => "",
        };
        CouldNotFindOut::new(format!("{}{hint}", what_is_in(path))).because(error).into()
    })
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
