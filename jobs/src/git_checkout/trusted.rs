//! In which repositories Git may be started: it runs programs that their configuration and their hooks name, also when it is
//! only asked how things are.
//!
//! Git itself looks at who owns a repository, not at who may write to it. Starts no Git.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result, anyhow};
use dojob::CouldNotFindOut;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::disk::at::{self, Fault, Other};
use crate::disk::inspect::{Links, refused};

/// Where Git keeps what it knows of the directory.
pub(super) fn git_directory(dest: &Path) -> PathBuf {
    dest.join(".git")
}

/// Refuses a working copy in which others than root and `user`, who is to run Git, could have said what Git runs.
///
/// # Errors
/// [`CouldNotFindOut`] then; another try would not help.
pub(super) fn refuse_foreign(dest: &Path, user: u32) -> Result<()> {
    let judged = Judge { user }.working_copy(dest);
    judged.map_err(|why| {
        CouldNotFindOut::new(format!("what is in {}", dest.display())).permanent().because(why).into()
    })
}

struct Judge {
    user: u32,
}

impl Judge {
    fn working_copy(&self, dest: &Path) -> Result<()> {
        let git = git_directory(dest);
        if !self.is_there(&git)? {
            return Ok(());
        }
        // Whoever owns the directory can put another repository there.
        self.owner(dest)?;
        match linked(&git)? {
            Some(elsewhere) => {
                self.writers(&git)?;
                self.repository(&elsewhere)
            }
            None => self.repository(&git),
        }
    }

    /// A directory of Git's, with those of its submodules.
    fn repository(&self, git: &Path) -> Result<()> {
        for part in ["", "config", "config.worktree", "hooks", "modules"] {
            let path = if part.is_empty() { git.to_owned() } else { git.join(part) };
            if self.is_there(&path)? {
                self.writers(&path)?;
            }
        }
        for hook in entries(&git.join("hooks"))? {
            self.writers(&hook)?;
        }
        if let Some(common) = pointer(&git.join("commondir"), "")? {
            self.repository(&git.join(common))?;
        }
        self.modules(&git.join("modules"))
    }

    /// The repositories of submodules; the name of one may have slashes in it.
    fn modules(&self, directory: &Path) -> Result<()> {
        for path in entries(directory)? {
            if path.is_symlink() || !path.is_dir() {
                continue;
            }
            match path.join("HEAD").exists() {
                true => self.repository(&path)?,
                false => {
                    self.writers(&path)?;
                    self.modules(&path)?;
                }
            }
        }
        Ok(())
    }

    fn is_there(&self, path: &Path) -> Result<bool> {
        match at::stat(path, Links::Follow) {
            Ok(found) => Ok(found.is_some()),
            // Whoever is to run Git may see more than we do, and Git looks itself.
            Err(Fault::System(Errno::ACCESS)) => Ok(false),
            Err(fault) => Err(refused(path, fault)),
        }
    }

    fn owner(&self, path: &Path) -> Result<()> {
        let Some(found) = at::stat(path, Links::Follow).map_err(|fault| refused(path, fault))? else {
            return Ok(());
        };
        match at::is_trusted(found.st_uid) || found.st_uid == self.user {
            true => Ok(()),
            false => Err(foreign(path)),
        }
    }

    /// Refuses what others may write.
    fn writers(&self, path: &Path) -> Result<()> {
        self.owner(path)?;
        let opened = match at::open(path, Links::Follow, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(opened) => opened,
            Err(Fault::System(Errno::ACCESS | Errno::NOENT)) => return Ok(()),
            Err(fault) => return Err(refused(path, fault)),
        };
        match at::who_else_writes(&opened, Some(self.user))? {
            None => Ok(()),
            // Members of a team may share a repository, as Git itself lets them; but not with root.
            Some(Other::Group(_) | Other::Listed) if self.user != 0 => Ok(()),
            Some(who) => Err(anyhow!(
                "{who} may write to {}, and Git runs what is written there; remove that permission (`chmod -R go-w`)",
                path.display()
            )),
        }
    }
}

fn foreign(path: &Path) -> anyhow::Error {
    anyhow!("{} belongs to another user; set `become` to its owner", path.display())
}

/// Where the repository of a working copy is whose `.git` is a file.
fn linked(git: &Path) -> Result<Option<PathBuf>> {
    let target = if git.is_file() { pointer(git, "gitdir: ")? } else { None };
    Ok(target.map(|target| git.parent().unwrap_or(Path::new("/")).join(target)))
}

/// The path that a small file of Git's holds behind `prefix`; `None` where there is no such file.
fn pointer(file: &Path, prefix: &str) -> Result<Option<PathBuf>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.trim_end().strip_prefix(prefix).map(PathBuf::from)),
        Err(error) if is_not_seen(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", file.display())),
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Ok(entries) => Ok(entries),
        Err(error) if is_not_seen(&error) => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", directory.display())),
    }
}

fn is_not_seen(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}
