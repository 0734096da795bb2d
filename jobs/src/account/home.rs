//! Making a home directory: from `/etc/skel`, owned by the user, and there at once with all that is in it or not at all.
//!
//! Knows files; not when a home is wanted.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use dojob::Context;

use super::{UserLine, login_setting};
use crate::disk::write::{beside, remove, settle};
use crate::machine::Machine;

/// Whether this is a path that stands for "no home directory" and must not exist as one: `/nonexistent` (Debian Policy
/// 9.2.3), `/dev/null`, or `/`.
pub(crate) fn is_for_nobody(home: &Path) -> bool {
    home == Path::new("/") || home == Path::new("/nonexistent") || home.starts_with("/dev")
}

/// Makes the home directory of `user`, where nothing is there yet.
///
/// # Errors
/// When that fails; then nothing but the directories above it is left.
pub(crate) fn make(cx: &Context, machine: Machine<'_>, user: &UserLine) -> Result<()> {
    let home = machine.locate(Path::new(&user.home))?;
    let make = || {
        let Some(parent) = home.parent() else { bail!("it is no directory of its own") };
        fs::create_dir_all(parent)?;
        let new = beside(cx, &home)?;
        let made = fill(&new, machine, user).and_then(|()| Ok(fs::rename(&new, &home)?));
        if made.is_err() && remove(&new).is_err() {
            // The cleanup tries again, and tells about it.
            return made;
        }
        settle(cx, &new)?;
        made?;
        Ok(File::open(parent)?.sync_all()?)
    };
    make().with_context(|| format!("failed to make the home directory {}", home.display()))
}

fn fill(new: &Path, machine: Machine<'_>, user: &UserLine) -> Result<()> {
    // Nobody else looks in until it is complete.
    DirBuilder::new().mode(0o700).create(new)?;
    let skeleton = machine.locate_target(Path::new("/etc/skel"))?;
    copy_content(&skeleton, new, user).with_context(|| format!("failed to copy {}", skeleton.display()))?;
    chown(new, Some(user.uid), Some(user.gid))?;
    Ok(fs::set_permissions(new, Permissions::from_mode(mode(machine)))?)
}

/// The mode of new home directories, as the system's settings say.
fn mode(machine: Machine<'_>) -> u32 {
    let octal = |name| u32::from_str_radix(login_setting(machine, name)?.trim_start_matches("0o"), 8).ok();
    octal("HOME_MODE").unwrap_or_else(|| 0o777 & !octal("UMASK").unwrap_or(0o022)) & 0o7777
}

fn copy_content(from: &Path, to: &Path, user: &UserLine) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (source, copy, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            fs::create_dir(&copy)?;
            copy_content(&source, &copy, user)?;
            fs::set_permissions(&copy, fs::metadata(&source)?.permissions())?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &copy)?;
        } else if kind.is_file() {
            fs::copy(&source, &copy)?;
            File::open(&copy)?.sync_all()?;
        } else {
            continue;
        }
        lchown(&copy, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}
