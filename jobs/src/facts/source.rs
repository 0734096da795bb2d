//! The files and directories that facts are read from.

use std::path::{Path, PathBuf};

use dojob::{CouldNotFindOut, OrCouldNotFindOut, Result};

use crate::disk::inspect::{self, Found, Links};
use crate::target_root::TargetRoot;

/// What is read of a file that tells something; the largest of them are lists of users.
const LONGEST: usize = 16 * 1024 * 1024;

/// The machine that is asked: this one, or the one whose tree is in a directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    root: Option<PathBuf>,
}

impl Source {
    pub(super) fn at(root: PathBuf) -> Self {
        Source { root: Some(root).filter(|root| root != Path::new("/")) }
    }

    /// Whether it is this very machine, which can be asked in other ways than by its files.
    pub(super) fn is_here(&self) -> bool {
        self.root.is_none()
    }

    /// Where the file lies for us.
    pub(super) fn locate(&self, inside: &str) -> Result<PathBuf> {
        TargetRoot::new(self.root.as_ref()).locate_target(Path::new(inside))
    }

    /// What a file says, bytes that are no UTF-8 replaced; `None` where there is none.
    pub(super) fn read(&self, inside: &str) -> Result<Option<String>> {
        let path = self.locate(inside)?;
        let Found::File(mut file) = inspect::open(&path, Links::Follow)? else { return Ok(None) };
        let what = || format!("what {} says", path.display());
        match file.read(LONGEST).or_could_not_find_out(what())? {
            Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            None => Err(CouldNotFindOut::new(what()).because("it is too large").into()),
        }
    }

    /// The one line that a file of the kernel consists of.
    pub(super) fn read_line(&self, inside: &str) -> Result<Option<String>> {
        Ok(self.read(inside)?.map(|text| text.trim().to_owned()).filter(|line| !line.is_empty()))
    }

    /// Whether something is there.
    pub(super) fn has(&self, inside: &str) -> Result<bool> {
        Ok(inspect::meta(&self.locate(inside)?, Links::Follow)?.is_some())
    }

    /// The names in a directory; none where there is no such directory.
    pub(super) fn names_in(&self, inside: &str) -> Result<Vec<String>> {
        let path = self.locate(inside)?;
        let what = || format!("what is in {}", path.display());
        if !inspect::meta(&path, Links::Follow)?.is_some_and(|meta| meta.is_dir()) {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(&path).or_could_not_find_out(what())?;
        let names = entries
            .map(|entry| Ok(entry.or_could_not_find_out(what())?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }
}
