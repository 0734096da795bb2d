//! Making a home directory: from `/etc/skel`, owned by the user, and there at once with all that is in it or not at all.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use dojob::Context;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode as RawMode, OFlags, Uid};
use rustix::io::Errno;

use super::{UserLine, login_setting};
use crate::disk::at::{self, Fault};
use crate::disk::inspect::{self, Links};
use crate::disk::removal::remove_at;
use crate::disk::write::{self, beside, directory_of, open_directory, rename_new, settle};
use crate::target_root::TargetRoot;

/// Whether this is a path that stands for "no home directory" and must not exist as one: `/nonexistent` (Debian Policy
/// 9.2.3), `/dev/null`, or `/`.
pub(crate) fn is_for_nobody(home: &Path) -> bool {
    home == Path::new("/") || home == Path::new("/nonexistent") || home.starts_with("/dev")
}

/// Makes the home directory of `user`, where nothing is there yet.
///
/// # Errors
/// When that fails; then nothing but the directories above it is left.
pub(crate) fn make(cx: &Context, machine: TargetRoot<'_>, user: &UserLine) -> Result<()> {
    let home = machine.locate(Path::new(&user.home))?;
    let make = || {
        let Some(parent) = home.parent() else { bail!("it is no directory of its own") };
        make_above(cx, parent)?;
        let parent = open_directory(parent)?;
        let new = beside(cx, &home)?;
        let [beside, name] = [&new, &home].map(|path| path.file_name().unwrap_or_default());
        let made = fill(cx, &parent, beside, machine, user).and_then(|()| {
            let is_new = rename_new(&parent, beside, name)?;
            ensure!(is_new, "something else was made of this name meanwhile");
            Ok(())
        });
        if made.is_err() && remove_at(&parent, beside, None).is_err() {
            // The cleanup tries again, and tells about it.
            return made;
        }
        settle(cx, &new)?;
        made?;
        Ok(rustix::fs::fsync(&parent)?)
    };
    make().with_context(|| format!("failed to make the home directory {}", home.display()))
}

/// Makes the directories above that are missing, each in one that is open.
fn make_above(cx: &Context, path: &Path) -> Result<()> {
    let mut missing = Vec::new();
    let mut above = Some(path);
    while let Some(path) = above.filter(|path| !path.as_os_str().is_empty()) {
        if inspect::meta(path, Links::Follow)?.is_some() {
            break;
        }
        missing.push(path);
        above = path.parent();
    }
    while let Some(path) = missing.pop() {
        ensure!(!cx.is_cancelled(), "stopped before {}", path.display());
        let parent = open_directory(directory_of(path)?)?;
        let name = path.file_name().unwrap_or_default();
        match rustix::fs::mkdirat(&parent, name, RawMode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).with_context(|| format!("failed to make {}", path.display())),
        }
    }
    Ok(())
}

fn fill(
    cx: &Context,
    parent: &OwnedFd,
    name: &OsStr,
    machine: TargetRoot<'_>,
    user: &UserLine,
) -> Result<()> {
    // Nobody else looks in until it is complete.
    let new = make_directory(parent, name)?;
    let skeleton = machine.locate_target(Path::new("/etc/skel"))?;
    match at::open(&skeleton, Links::Stay, LIST) {
        Ok(from) => copy_content(cx, &from, &new, user)
            .with_context(|| format!("failed to copy {}", skeleton.display()))?,
        Err(Fault::System(Errno::NOENT)) => {}
        Err(fault) => return Err(inspect::refused(&skeleton, fault)),
    }
    own(&new, user)?;
    Ok(rustix::fs::fchmod(&new, RawMode::from_raw_mode(mode(machine)))?)
}

/// Directories are opened so to list them.
const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn make_directory(parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    rustix::fs::mkdirat(parent, name, RawMode::RWXU)?;
    Ok(rustix::fs::openat(parent, name, LIST, RawMode::empty())?)
}

fn own(fd: impl AsFd, user: &UserLine) -> io::Result<()> {
    Ok(rustix::fs::fchown(fd, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?)
}

/// The mode of new home directories, as the system's settings say.
fn mode(machine: TargetRoot<'_>) -> u32 {
    let octal = |name| u32::from_str_radix(login_setting(machine, name)?.trim_start_matches("0o"), 8).ok();
    octal("HOME_MODE").unwrap_or_else(|| 0o777 & !octal("UMASK").unwrap_or(0o022)) & 0o7777
}

fn copy_content(cx: &Context, from: &OwnedFd, to: &OwnedFd, user: &UserLine) -> Result<()> {
    for entry in Dir::read_from(from)? {
        ensure!(!cx.is_cancelled(), "stopped while copying");
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let found = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = RawMode::from_raw_mode(found.st_mode & 0o7777);
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                let source = rustix::fs::openat(from, name, LIST, RawMode::empty())?;
                let copy = make_directory(to, name)?;
                copy_content(cx, &source, &copy, user)?;
                own(&copy, user)?;
                rustix::fs::fchmod(&copy, mode)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(target, to, name)?;
                let (uid, gid) = (Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)));
                rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let source = File::from(rustix::fs::openat(from, name, flags, RawMode::empty())?);
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let new = rustix::fs::openat(to, name, flags, RawMode::RUSR | RawMode::WUSR)?;
                let copy = File::from(new);
                write::copy(cx, &source, &copy)?;
                own(&copy, user)?;
                rustix::fs::fchmod(&copy, mode)?;
                copy.sync_all()?;
            }
            _ => {}
        }
    }
    Ok(())
}
