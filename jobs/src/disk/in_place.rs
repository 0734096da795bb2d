//! A file that is a mount point of its own, as containers have `/etc/hosts`: no other file can take its place, so its
//! content is overwritten.
//!
//! The new content is complete and on the disk, beside, before the first byte is overwritten, and the job's local storage
//! knows of it: what a crash has left half done, the cleanup finishes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dojob::Context;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::at::{self, Links};
use super::beside::{KEPT, is_ours};
use super::inspect::Meta;
use super::owner::Resolved;
use super::target::{directory_of, follow};

/// Where a job's local storage keeps what is being overwritten.
const KEY: &str = "in-place";

/// A file that is being overwritten, without its path: a secret that is a part of that is not written down with it.
#[derive(Deserialize, Serialize)]
struct Begun {
    /// The name of the new content, beside it.
    from: String,
    /// Whether it is what an old file is kept as.
    kept: bool,
}

/// Overwrites the file at `to` with what is in the file at `from`, which is complete and lies beside it.
///
/// # Errors
/// When that fails. Where [`is_begun`] says so afterwards, `from` is still needed.
pub(super) fn overwrite(cx: &Context, from: &Path, to: &Path, attributes: &Resolved) -> Result<()> {
    cx.log(format!("{} is a mount of its own: written in place", to.display()));
    let write = || overwrite_with(cx, from, to, attributes);
    write().with_context(|| format!("failed to write {} in place", to.display()))
}

fn overwrite_with(cx: &Context, from: &Path, to: &Path, attributes: &Resolved) -> Result<()> {
    let new = open(from, OFlags::RDONLY)?;
    let old = open(to, OFlags::WRONLY)?;
    let length = Meta::from(rustix::fs::fstat(&new)?).size;
    // A full disk has to be found out before anything is lost.
    reserve(&old, length)?;
    begin(cx, from, to)?;
    copy(&new, &old, length, attributes)?;
    cx.local().remove(KEY);
    Ok(())
}

/// Notes that `to` is being overwritten with what is in `from`.
pub(super) fn begin(cx: &Context, from: &Path, to: &Path) -> Result<()> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(cx.local().set(KEY, Begun { from: name(from), kept: name(to).ends_with(KEPT) })?)
}

/// Whether a file is half overwritten.
pub(super) fn is_begun(cx: &Context) -> Result<bool> {
    Ok(cx.local().get::<Begun>(KEY)?.is_some())
}

/// For the cleanup of a job with this target: finishes what was begun.
///
/// # Errors
/// When that fails; then what is needed for another try is left alone.
pub(super) fn finish(cx: &Context, target: &Path) -> Result<()> {
    let Some(Begun { from, kept }) = cx.local().get::<Begun>(KEY)? else { return Ok(()) };
    let mut to = follow(target)?.into_os_string();
    if kept && !to.as_encoded_bytes().ends_with(KEPT.as_bytes()) {
        to.push(KEPT);
    }
    let to = PathBuf::from(to);
    ensure!(is_ours(from.as_ref()), "{from} is no name that a new {} would have", to.display());
    let from = directory_of(&to)?.join(from);
    let finish = || {
        if matches!(at::stat(&from, Links::Stay), Ok(None)) {
            return Ok(());
        }
        let new = open(&from, OFlags::RDONLY)?;
        let old = open(&to, OFlags::WRONLY)?;
        let length = Meta::from(rustix::fs::fstat(&new)?).size;
        copy(&new, &old, length, &Resolved::default())
    };
    finish().with_context(|| {
        format!("failed to finish writing {}, whose new content is in {}", to.display(), from.display())
    })?;
    cx.local().remove(KEY);
    Ok(())
}

fn open(path: &Path, how: OFlags) -> Result<File> {
    let file = at::open(path, Links::Stay, how | OFlags::NONBLOCK | OFlags::NOCTTY)
        .with_context(|| format!("failed to open {}", path.display()))?;
    let meta = Meta::from(rustix::fs::fstat(&file)?);
    ensure!(meta.is_file(), "{} is {}, not a file", path.display(), meta.what());
    Ok(File::from(file))
}

fn copy(mut new: &File, mut old: &File, length: u64, attributes: &Resolved) -> Result<()> {
    io::copy(&mut new, &mut old)?;
    old.set_len(length)?;
    let meta = Meta::from(rustix::fs::fstat(old.as_fd())?);
    attributes.set(old, &meta)?;
    Ok(old.sync_all()?)
}

/// Sees to it that there is room for so much; where that cannot be asked for it stays open.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::io::Errno;
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, length.max(1)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (file, length);
        Ok(())
    }
}
