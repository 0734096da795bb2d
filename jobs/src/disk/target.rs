//! From the path of what is to be written to its directory, and to where its links lead.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use dojob::Permanent;
use rustix::fs::OFlags;

use super::at::{self, Fault};
use super::inspect::{Links, meta, read_link, refused};

/// The directory that `path` is in.
///
/// # Errors
/// When it has no name of its own there: `/`, say.
pub(crate) fn directory_of(path: &Path) -> Result<&Path> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(_)) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        (Some(parent), Some(_)) => Ok(parent),
        _ => Err(anyhow!("{} is not the path of a file", path.display())),
    }
}

/// Opens a directory. Links are followed unless another user could have created them. Whatever is done through the descriptor
/// is done in this directory, even if its path changes.
///
/// # Errors
/// When there is none, with a hint, or it cannot be opened.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    at::open(path, Links::Follow, flags).map_err(|fault| match fault {
        Fault::System(errno) if matches!(meta(path, Links::Follow), Ok(None)) => {
            let path = path.display();
            Permanent::new(format!(
                "the directory {path} does not exist; a `directory` before this one can make it"
            ))
            .because(errno)
            .into()
        }
        Fault::System(errno) => {
            anyhow::Error::new(errno).context(format!("failed to open the directory {}", path.display()))
        }
        fault => refused(path, fault),
    })
}

/// Where the links at the end of `path` lead to: what is to be written where they are followed. The last one need not
/// exist.
///
/// # Errors
/// When they form a circle, cannot be read, or could have been created by another user.
pub(crate) fn follow(path: &Path) -> Result<PathBuf> {
    // As many as Linux itself follows.
    const LONGEST_CHAIN: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LONGEST_CHAIN {
        match meta(&path, Links::Stay)? {
            Some(meta) if meta.is_symlink() => {
                at::may_follow(&path).map_err(|fault| refused(&path, fault))?;
                let target = read_link(&path)?;
                path = directory_of(&path)?.join(target);
            }
            _ => return Ok(path),
        }
    }
    Err(anyhow!("the symbolic links at {} lead in a circle", path.display()))
}
