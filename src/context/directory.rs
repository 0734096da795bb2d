//! The directory in which every phase starts: that in which the run began.
//!
//! It belongs to the whole process. With one worker it is put back before every phase; with several nobody may change
//! it, since all would be moved.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Guards the working directory of a run.
pub(crate) struct Directory {
    /// `None` where it could not be found out (it was removed, say): then there is nothing to go back to.
    began: Option<PathBuf>,
    /// `began`, or `.`.
    path: PathBuf,
    shared: bool,
}

impl Directory {
    /// `shared` by several workers.
    pub(crate) fn new(shared: bool) -> Self {
        let began = std::env::current_dir().ok();
        Directory { path: began.clone().unwrap_or_else(|| PathBuf::from(".")), began, shared }
    }

    /// Where the run began; `.` where that is not known.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn is_elsewhere(&self) -> bool {
        match &self.began {
            Some(began) => std::env::current_dir().ok().as_ref() != Some(began),
            None => false,
        }
    }

    /// Goes back there, if this is another one.
    pub(crate) fn restore(&self) -> Result<()> {
        let Some(began) = self.began.as_ref().filter(|_| self.is_elsewhere()) else { return Ok(()) };
        std::env::set_current_dir(began)
            .with_context(|| format!("failed to go back to the working directory {}", began.display()))
    }

    /// Puts it back where the phase before has changed it.
    pub(crate) fn before_phase(&self) -> Result<()> {
        if self.shared { Ok(()) } else { self.restore() }
    }

    /// With several workers: an error where it was changed. It is put back.
    pub(crate) fn after_phase(&self) -> Result<()> {
        if self.shared && self.is_elsewhere() {
            self.restore()?;
            bail!(
                "the working directory was changed during this phase, which moves all workers; give the directory to \
                 the command, or use one worker"
            );
        }
        Ok(())
    }
}
