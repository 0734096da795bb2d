//! [`Unarchive`]: what an archive holds, in a folder.

mod beneath;
mod check;
mod item;
mod source;
mod unpack;

use std::path::Path;

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, Job, NotAsWanted};

pub use self::source::Unarchive;
use crate::disk::inspect::{Links, Meta, meta};
use crate::disk::write;
use crate::early;

/// What is at the folder's path: it, or nothing.
fn folder(path: &Path) -> Result<Option<Meta>> {
    match meta(path, Links::Follow)? {
        Some(found) if !found.is_dir() => {
            let error = CouldNotFindOut::new(format!("how to unpack into {}", path.display()));
            Err(error.because(format!("it is {}; remove it, or choose another path", found.what())).into())
        }
        // A link to nowhere.
        None if meta(path, Links::Stay)?.is_some() => {
            let error = CouldNotFindOut::new(format!("how to unpack into {}", path.display()));
            Err(error.because("it is a symbolic link to something that does not exist").into())
        }
        found => Ok(found),
    }
}

impl Job for Unarchive {
    fn name(&self) -> String {
        format!("Unarchive {} into {}", self.source.display(), self.dest.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let prepared = self.prepare(cx)?;
        let exists = folder(&self.dest)?.is_some();
        let (dest, source) = (self.dest.display(), self.source.display());
        let difference = early::or_missing(cx, check::difference(self, cx, &prepared, exists), |_| {
            let nothing = !exists && early::is_missing(&self.source);
            nothing.then(|| format!("{dest} does not exist, nor does {source} to unpack"))
        })?;
        match difference {
            None => Ok(()),
            Some(found) if exists => {
                let reason = format!("{dest} does not match {source}: {}", found.reason);
                Err(NotAsWanted::new(reason).difference(found.list).into())
            }
            Some(found) => {
                Err(NotAsWanted::new(format!("{dest} does not exist")).difference(found.list).into())
            }
        }
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let prepared = self.prepare(cx)?;
        let exists = folder(&self.dest)?.is_some();
        unpack::unpack(self, cx, &prepared, exists)
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        write::cleanup(cx, &self.dest)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
