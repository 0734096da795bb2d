//! What the system takes from a program whose owner changes, and it is to keep: the bits of setuid and setgid, and its
//! capabilities. They are given back at once, and where the run ends before that, by the cleanup.
//!
//! The job's local storage knows of them before the owner changes.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dojob::Context;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::at::{self, Fault, Links};
use super::inspect::Meta;
use super::mode::Mode;
use super::owner::Resolved;

/// Where a job's local storage keeps what a program is about to lose.
const KEY: &str = "change-of-owner";

/// Bits of setuid and setgid.
const SET_ID: u32 = 0o6000;

/// A program whose owner changes, as it is to be.
#[derive(Debug, Deserialize, Serialize)]
struct Change {
    /// Bytes, since it need not be a text.
    path: Vec<u8>,
    id: (u64, u64),
    /// Another content is another program.
    size: u64,
    modified: (i64, u32),
    uid: u32,
    gid: u32,
    mode: u32,
    capabilities: Option<Vec<u8>>,
}

/// Sets what differs on the file or directory at `path` that is open, found as `found`; a program keeps what [`Resolved`] lets it
/// keep, also over a crash.
///
/// # Errors
/// When the system refuses.
pub(crate) fn set(cx: &Context, path: &Path, fd: impl AsFd, found: &Meta, wanted: &Resolved) -> Result<()> {
    let Some(change) = Change::of(path, &fd, found, wanted)? else { return wanted.set(fd, found) };
    // A path that has a secret in it is not written down.
    let is_noted = !cx.has_secret(&path.to_string_lossy());
    if is_noted {
        cx.local().set(KEY, &change)?;
    }
    wanted.set(&fd, found)?;
    change.give_back_capabilities(&fd)?;
    if is_noted {
        cx.local().remove(KEY);
    }
    Ok(())
}

/// For the cleanup of a job that calls [`set`]: gives back what was taken when that was interrupted. A program that was changed
/// since gets nothing.
///
/// # Errors
/// When the system refuses.
pub(super) fn finish(cx: &Context) -> Result<()> {
    let Some(change) = cx.local().get::<Change>(KEY)? else { return Ok(()) };
    let path = PathBuf::from(std::ffi::OsString::from_vec(change.path.clone()));
    let finish = || -> Result<()> {
        let fd = match at::open(&path, Links::Stay, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Err(Fault::System(Errno::NOENT)) => return Ok(()),
            opened => opened?,
        };
        let stat = rustix::fs::fstat(&fd)?;
        if change.is_begun(&Meta::from(stat)) {
            at::judge_hard_link_at(&path, Links::Stay, &stat)?;
            let mode = Mode::new(change.mode);
            rustix::fs::fchmod(&fd, mode.raw()).with_context(|| format!("failed to set the mode {mode}"))?;
            change.give_back_capabilities(&fd)?;
        }
        Ok(())
    };
    finish().with_context(|| format!("failed to finish the change of owner of {}", path.display()))?;
    cx.local().remove(KEY);
    Ok(())
}

impl Change {
    /// What is lost for a moment when the owner is set; `None` where nothing is.
    fn of(path: &Path, fd: impl AsFd, found: &Meta, wanted: &Resolved) -> Result<Option<Self>> {
        let uid = wanted.uid.unwrap_or(found.uid);
        let gid = wanted.gid.unwrap_or(found.gid);
        let is_changed = (uid, gid) != (found.uid, found.gid);
        // What another user may have made so gives it up for good.
        if !is_changed || !found.is_file() || !at::is_trusted(found.uid) {
            return Ok(None);
        }
        let mode = wanted.mode.unwrap_or(found.mode).bits();
        let capabilities = capabilities(fd)?;
        // Where a mode is asked for, the next check sees that it is not there.
        let loses_bits = wanted.mode.is_none() && mode & SET_ID != 0;
        if !loses_bits && capabilities.is_none() {
            return Ok(None);
        }
        let path = std::path::absolute(path)?.into_os_string().into_vec();
        let Meta { id, size, modified, .. } = *found;
        Ok(Some(Change { path, id, size, modified, uid, gid, mode, capabilities }))
    }

    /// Whether a file is this one, and has its new owner, and not yet what it is to keep.
    fn is_begun(&self, found: &Meta) -> bool {
        found.is_file()
            && (found.id, found.size, found.modified) == (self.id, self.size, self.modified)
            && (found.uid, found.gid) == (self.uid, self.gid)
            && found.mode.bits() & !SET_ID == self.mode & !SET_ID
    }

    fn give_back_capabilities(&self, fd: impl AsFd) -> Result<()> {
        let Some(capabilities) = &self.capabilities else { return Ok(()) };
        set_capabilities(fd, capabilities).context("failed to keep its capabilities")
    }
}

/// The capabilities of a program, as the file system keeps them.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn capabilities(fd: impl AsFd) -> Result<Option<Vec<u8>>> {
    let mut buffer = [0; 64];
    match rustix::fs::fgetxattr(fd, CAPABILITIES, &mut buffer[..]) {
        Ok(length) => Ok(Some(buffer[..length].to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno).context("failed to read its capabilities"),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_capabilities(fd: impl AsFd, capabilities: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(fd, CAPABILITIES, capabilities, rustix::fs::XattrFlags::empty())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const CAPABILITIES: &str = "security.capability";

/// Other systems have none.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn capabilities(_: impl AsFd) -> Result<Option<Vec<u8>>> {
    Ok(None)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_capabilities(_: impl AsFd, _: &[u8]) -> rustix::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::sync::Arc;

    use dojob::{Engine, RunOnlyJob};

    use super::*;

    type Call = dyn Fn(&Context) -> Result<()> + Send + Sync;

    /// Calls what it holds.
    #[derive(Clone)]
    struct Caller(Arc<Call>);

    impl PartialEq for Caller {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }

    impl RunOnlyJob for Caller {
        fn run(&mut self, cx: &mut Context) -> Result<()> {
            (self.0)(cx)
        }
    }

    fn with_context(call: impl Fn(&Context) -> Result<()> + Send + Sync + 'static) {
        let report = Engine::new(Caller(Arc::new(call))).unwrap().converge();
        assert!(report.success(), "{report:?}");
    }

    const NEW: Resolved =
        Resolved { mode: None, uid: Some(4711), gid: None, confidential: false, keeps_list: false };

    fn program(root: &Path, mode: u32) -> PathBuf {
        let path = root.join("program");
        fs::write(&path, "program").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn meta(path: &Path) -> Meta {
        Meta::from(rustix::fs::stat(path).unwrap())
    }

    /// The mode after a run that ended behind the change of owner, `meanwhile`, and the cleanup of the next start.
    fn mode_after_crash(before: u32, meanwhile: fn(&Path)) -> u32 {
        let root = tempfile::tempdir().unwrap();
        let path = program(root.path(), before);
        let at = path.clone();
        with_context(move |cx| {
            let change = Change::of(&at, File::open(&at)?, &meta(&at), &NEW)?.context("nothing is lost")?;
            cx.local().set(KEY, &change)?;
            chown(&at, Some(4711), None)?;
            meanwhile(&at);
            finish(cx)?;
            anyhow::ensure!(cx.local().get::<Change>(KEY)?.is_none(), "it is pending still");
            Ok(())
        });
        meta(&path).mode.bits()
    }

    #[test]
    fn a_program_gets_back_its_bits_after_a_crash() {
        if !rustix::process::geteuid().is_root() {
            return; // Nobody else gives a file away.
        }
        assert_eq!(mode_after_crash(0o4755, |_| ()), 0o4755);
        assert_eq!(mode_after_crash(0o2755, |_| ()), 0o2755);
        assert_eq!(mode_after_crash(0o6711, |_| ()), 0o6711);
    }

    #[test]
    fn another_program_gets_none() {
        if !rustix::process::geteuid().is_root() {
            return; // Nobody else gives a file away.
        }
        assert_eq!(mode_after_crash(0o4755, |path| fs::write(path, "another program").unwrap()), 0o755);
        assert_eq!(mode_after_crash(0o4755, |path| chown(path, Some(4712), None).unwrap()), 0o755);
        let chmod = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(mode_after_crash(0o4755, chmod), 0o700);
        let replace = |path: &Path| {
            fs::rename(path, path.with_extension("old")).unwrap();
            chown(program(path.parent().unwrap(), 0o755), Some(4711), None).unwrap();
        };
        assert_eq!(mode_after_crash(0o4755, replace), 0o755);
    }

    #[test]
    fn a_change_of_owner_leaves_nothing_pending_and_takes_nothing() {
        if !rustix::process::geteuid().is_root() {
            return; // Nobody else gives a file away.
        }
        let root = tempfile::tempdir().unwrap();
        let path = program(root.path(), 0o4755);
        // `cap_net_bind_service=ep`, in the second version of the format.
        let own = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let can_have = set_capabilities(File::open(&path).unwrap(), &own).is_ok();
        let at = path.clone();
        with_context(move |cx| {
            set(cx, &at, File::open(&at)?, &meta(&at), &NEW)?;
            anyhow::ensure!(cx.local().get::<Change>(KEY)?.is_none(), "it is pending");
            Ok(())
        });
        assert_eq!((meta(&path).mode.bits(), meta(&path).uid), (0o4755, 4711));
        let kept = capabilities(File::open(&path).unwrap()).unwrap();
        assert_eq!(kept, can_have.then(|| own.to_vec()));
    }
}
