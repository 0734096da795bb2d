//! The directory in which every phase starts: that in which the run began.
//!
//! It belongs to the whole process. With one worker it is put back before every phase; with several nobody may change
//! it, since all would be moved.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};

/// Guards the working directory of a run.
pub(crate) struct Directory {
    /// Where the run began; `.` where that could not be found out (it was removed, say).
    path: PathBuf,
    /// The directory itself, to go back to whatever it is called by then; `None` where it could not be opened, and then
    /// nobody goes back.
    began: Option<OwnedFd>,
    shared: bool,
    /// Whether nothing may be called elsewhere, also where it could not be opened.
    is_wanted: bool,
}

/// A directory is held by a descriptor that needs no right to read it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HELD: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HELD: OFlags = OFlags::RDONLY;

fn hold(path: &Path) -> Option<OwnedFd> {
    rustix::fs::open(path, HELD | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

impl Directory {
    /// `shared` by several workers.
    pub(crate) fn new(shared: bool) -> Self {
        let path = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Directory { path, began: hold(Path::new(".")), shared, is_wanted: false }
    }

    /// The one in which an earlier run began.
    pub(crate) fn of_earlier(path: PathBuf) -> Self {
        Directory { began: hold(&path), path, shared: false, is_wanted: true }
    }

    /// Where the run began; `.` where that is not known.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes back to where the run began. To go is as quick as to ask where one is.
    pub(crate) fn restore(&self) -> Result<()> {
        match &self.began {
            Some(began) => rustix::process::fchdir(began).with_context(|| {
                format!("failed to go back to the working directory {}", self.path.display())
            }),
            None if self.is_wanted => bail!(
                "there is no directory {} any more, in which that run began; make it again, and start again",
                self.path.display()
            ),
            None => Ok(()),
        }
    }

    /// Puts it back where the phase before has changed it.
    #[inline]
    pub(crate) fn before_phase(&self) -> Result<()> {
        if self.shared { Ok(()) } else { self.restore() }
    }

    /// With several workers: an error where it was changed. It is put back.
    #[inline]
    pub(crate) fn after_phase(&self) -> Result<()> {
        if self.shared && self.is_elsewhere() {
            self.restore()?;
            bail!(
                "the working directory was changed during this phase, by this job or one at work beside it, which moves \
                 all of them; give the directory to the command, or use one worker"
            );
        }
        Ok(())
    }

    /// By what the directory is and not by its name, which may change.
    fn is_elsewhere(&self) -> bool {
        let Some(began) = &self.began else { return false };
        let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        match (rustix::fs::stat("."), rustix::fs::fstat(began)) {
            (Ok(here), Ok(began)) => identity(here) != identity(began),
            _ => true,
        }
    }
}
