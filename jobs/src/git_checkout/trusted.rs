//! In which repositories Git may be started: it runs programs that their configuration and their hooks name, also when it is
//! only asked how things are, and it writes wherever their links lead.
//!
//! Git itself looks at who owns a repository, not at who may write to it, nor at who can put another one in its place. Starts
//! no Git.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result, anyhow, bail};
use dojob::CouldNotFindOut;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::disk::at::{self, Fault, Other};
use crate::disk::inspect::{Links, refused};
use crate::disk::walk::{Enter, WalkedEntry, walk_from};

/// Where Git keeps what it knows of the directory.
pub(super) fn git_directory(dest: &Path) -> PathBuf {
    dest.join(".git")
}

/// Refuses a working copy, there already or still to come, in which others than root and `user`, who is to run Git, could have
/// said what Git runs or where it writes, or could put another one in its place.
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
        if !self.is_there(dest)? {
            return self.way_to(dest);
        }
        // Whoever owns the directory, or may write to it, can put another repository there.
        self.writers(dest)?;
        self.way_to(dest)?;
        let git = git_directory(dest);
        if !self.is_there(&git)? {
            return Ok(());
        }
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
        self.way_to(git)?;
        self.tree(git)?;
        if let Some(common) = pointer(&git.join("commondir"), "")? {
            let common = git.join(common);
            self.way_to(&common)?;
            self.tree(&common)?;
        }
        Ok(())
    }

    /// The directories on the way to `path`, as it is named and as links lead there: nobody else may put something else in the
    /// place of one.
    fn way_to(&self, path: &Path) -> Result<()> {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if is_not_seen(&error) => path.to_owned(),
            Err(error) => return Err(error).with_context(|| format!("failed to find {}", path.display())),
        };
        let steps = |path: &Path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>();
        let steps = [steps(path), steps(&real)];
        let steps = steps.iter().flat_map(|steps| steps.windows(2)).collect::<BTreeSet<_>>();
        steps.iter().filter(|step| !step[1].as_os_str().is_empty()).try_for_each(|step| {
            let is_last = step[0] == path || step[0] == real;
            self.step(&step[1], &step[0], is_last)
        })
    }

    fn step(&self, directory: &Path, next: &Path, is_last: bool) -> Result<()> {
        let opened = match at::open(directory, Links::Follow, at::STEP) {
            Ok(opened) => opened,
            Err(Fault::System(Errno::ACCESS | Errno::NOENT)) => return Ok(()),
            Err(fault) => return Err(refused(directory, fault)),
        };
        let found = rustix::fs::fstat(&opened)?;
        let could = format!("could put something else in the place of {}", next.display());
        let who = match at::who_else_writes(&opened, Some(self.user))? {
            None => return Ok(()),
            Some(who @ Other::User(_)) => {
                bail!("{who}, to whom {} belongs, {could}; set `become` to its owner", directory.display())
            }
            Some(Other::Group(_) | Other::Listed) if self.user != 0 => return Ok(()),
            Some(who) => who,
        };
        // In a sticky directory such as `/tmp`, users cannot rename or replace the files of others.
        let is_safe = found.st_mode & 0o1000 != 0
            && match at::stat(next, Links::Stay).map_err(|fault| refused(next, fault))? {
                Some(next) => self.may_own(next.st_uid),
                // A new repository takes no place that is taken by then.
                None => is_last,
            };
        if is_safe {
            return Ok(());
        }
        bail!("{who} may write to {}, and {could}; remove that permission", directory.display())
    }

    /// All that is in a directory of Git's: who owns it, who may write to it, and where its links lead.
    fn tree(&self, git: &Path) -> Result<()> {
        self.writers(git)?;
        let opened = match at::open(git, Links::Follow, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(opened) => opened,
            Err(Fault::System(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR)) => return Ok(()),
            Err(fault) => return Err(refused(git, fault)),
        };
        match walk_from(git, opened, |entry| self.entry(git, entry)) {
            // Whoever is to run Git may see more than we do, and Git looks itself.
            Err(error) if error.chain().any(is_denied) => Ok(()),
            walked => walked,
        }
    }

    fn entry(&self, git: &Path, entry: &WalkedEntry<'_>) -> Result<Enter> {
        let path = git.join(entry.path);
        if !self.may_own(entry.meta.uid) {
            return Err(foreign(&path));
        }
        if entry.meta.is_symlink() {
            // A hook, say.
            self.writers(&path)?;
            entries(&path)?.iter().try_for_each(|inner| self.writers(inner))?;
        } else if entry.meta.mode.bits() & 0o022 != 0 {
            self.writers(&path)?;
        }
        Ok(Enter::Yes)
    }

    fn may_own(&self, uid: u32) -> bool {
        at::is_trusted(uid) || uid == self.user
    }

    fn is_there(&self, path: &Path) -> Result<bool> {
        match at::stat(path, Links::Follow) {
            Ok(found) => Ok(found.is_some()),
            // Whoever is to run Git may see more than we do, and Git looks itself.
            Err(Fault::System(Errno::ACCESS | Errno::NOTDIR)) => Ok(false),
            Err(fault) => Err(refused(path, fault)),
        }
    }

    fn owner(&self, path: &Path) -> Result<()> {
        let Some(found) = at::stat(path, Links::Follow).map_err(|fault| refused(path, fault))? else {
            return Ok(());
        };
        if self.may_own(found.st_uid) { Ok(()) } else { Err(foreign(path)) }
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

fn is_denied(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

fn is_not_seen(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}
