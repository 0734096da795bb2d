//! Places in a folder, reached step by step from its descriptor, so that no link on the way, also one made meanwhile, leads
//! elsewhere.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use dojob::CouldNotFindOut;
use rustix::fs::{AtFlags, Mode as RawMode, OFlags};
use rustix::io::Errno;

use crate::disk::Mode;
use crate::disk::at::{self, Links};
use crate::disk::inspect::Meta;
use crate::disk::owner::Resolved;

/// The mode of a folder that is made, and of directories in it that have no entry.
pub(crate) const NEW_DIRECTORY: Mode = Mode::new(0o755);

/// A folder, and all that is in it and nowhere else.
pub(crate) struct Beneath {
    root: OwnedFd,
    /// For messages.
    path: PathBuf,
}

/// What is staged in the folder cannot be put there.
pub(crate) const OTHER_FILE_SYSTEM: &str = "it is on another file system than the folder; `exclude` it here, and unpack it there by a job of its own";

/// Directories are opened so on the way.
const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Beneath {
    /// The folder at `path`; links on the way to it are followed where nobody else could have put them there.
    ///
    /// # Errors
    /// When it cannot be opened, or is no directory.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = at::open(path, Links::Follow, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Beneath { root, path: path.to_owned() })
    }

    /// The path of a place, for messages.
    pub(crate) fn path(&self, place: &Path) -> PathBuf {
        self.path.join(place)
    }

    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The directory that `place` is in, and its name there; `None` where it does not exist, and is not to be made. One that is made has
    /// no entry of its own, so that no later check looks at its mode and owner: it is there with them, or not at all.
    ///
    /// # Errors
    /// When something else than a directory is on the way, also a link to one, or it cannot be opened or made.
    pub(crate) fn parent<'p>(
        &self,
        place: &'p Path,
        make: Option<&NewDirectories<'_>>,
    ) -> Result<Option<(OwnedFd, &'p OsStr)>> {
        let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
            bail!("`{}` is no place in a folder", place.display())
        };
        let mut at = self.root.try_clone()?;
        let mut way = PathBuf::new();
        for component in parent.components() {
            let Component::Normal(step) = component else {
                bail!("`{}` is no place in a folder", place.display())
            };
            way.push(step);
            let open = || rustix::fs::openat(&at, step, STEP, RawMode::empty());
            let opened = match (open(), make) {
                (Err(Errno::NOENT), Some(new)) => {
                    new.make(&at, step)
                        .with_context(|| format!("failed to make {}", self.path(&way).display()))?;
                    open()
                }
                (opened, _) => opened,
            };
            at = match opened {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR) => return Err(self.in_the_way(&way)),
                Err(errno) => {
                    let error = io::Error::from(errno);
                    return Err(error).context(format!("failed to open {}", self.path(&way).display()));
                }
            };
        }
        Ok(Some((at, name)))
    }

    fn in_the_way(&self, way: &Path) -> anyhow::Error {
        let way = self.path(way);
        let why = format!("{} is there, and no directory; links are not followed", way.display());
        CouldNotFindOut::new(format!("how to unpack below {}", way.display())).because(why).into()
    }
}

/// How directories are made that have no entry.
pub(crate) struct NewDirectories<'a> {
    /// Where one is until it is complete.
    pub(crate) staging: &'a OwnedFd,
    pub(crate) attributes: Resolved,
}

impl NewDirectories<'_> {
    /// What one is called until it is complete.
    const NAME: &'static str = "directory";

    fn make(&self, at: &OwnedFd, step: &OsStr) -> Result<()> {
        rustix::fs::mkdirat(self.staging, Self::NAME, RawMode::RWXU)?;
        let made = rustix::fs::openat(self.staging, Self::NAME, STEP, RawMode::empty())?;
        let attributes = Resolved { mode: Some(NEW_DIRECTORY), ..self.attributes };
        attributes.set(&made, &rustix::fs::fstat(&made)?.into())?;
        match rustix::fs::renameat(self.staging, Self::NAME, at, step) {
            Ok(()) => Ok(()),
            // Somebody else was quicker.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {
                Ok(rustix::fs::unlinkat(self.staging, Self::NAME, AtFlags::REMOVEDIR)?)
            }
            Err(Errno::XDEV) => bail!(OTHER_FILE_SYSTEM),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What is at `name` in `directory`, a link not followed; `None` for nothing.
///
/// # Errors
/// When it cannot be seen.
pub(crate) fn meta_at(directory: impl AsFd, name: &OsStr) -> io::Result<Option<Meta>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
