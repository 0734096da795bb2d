//! What a file has beside mode and owner: its access control list, its label, what users have noted on it. A file that
//! takes another's place gets them from it.
//!
//! Capabilities are not among them: as with every change of a program, it loses them.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context as _, Result};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

const ACL: &str = "system.posix_acl_access";
const LABEL: &str = "security.selinux";

/// As the kernel bounds both the list of names and a value.
const LONGEST: usize = 64 * 1024;

/// Gives the new file what the old one has. With `list` also its access control list; then one that the new file has from its
/// directory is taken away where the old one has none. To be called before the mode is set, which is part of such a list.
///
/// # Errors
/// When something can be read and not be set; a label apart, which the system may have chosen well.
pub(crate) fn carry_over(old: &OwnedFd, new: impl AsFd, list: bool) -> Result<()> {
    let Some(names) = names(old)? else { return Ok(()) };
    for name in &names {
        let is_kept = name.starts_with("user.") || name == LABEL || list && name == ACL;
        if !is_kept {
            continue;
        }
        let Some(value) = value(old, name)? else { continue };
        match rustix::fs::fsetxattr(&new, name.as_str(), &value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(_) if name == LABEL => {}
            Err(errno) => return Err(errno).with_context(|| format!("failed to keep its attribute {name}")),
        }
    }
    if list && !names.iter().any(|name| name == ACL) {
        match rustix::fs::fremovexattr(&new, ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno).context("failed to remove its access control list"),
        }
    }
    Ok(())
}

/// The names of its attributes; `None` where the file system has no such things.
fn names(file: &OwnedFd) -> Result<Option<Vec<String>>> {
    let mut buffer = vec![0; LONGEST];
    let length = match rustix::fs::flistxattr(file, &mut buffer[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
        Err(errno) => return Err(errno).context("failed to list its attributes"),
    };
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(Some(names.filter_map(|name| String::from_utf8(name.to_owned()).ok()).collect()))
}

fn value(file: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; LONGEST];
    match rustix::fs::fgetxattr(file, name, &mut buffer[..]) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        // Removed meanwhile.
        Err(Errno::NODATA) => Ok(None),
        Err(errno) => Err(errno).with_context(|| format!("failed to read its attribute {name}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_noted_on_a_file_is_carried_over() {
        let root = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| File::create(root.path().join(name)).unwrap());
        let note = |name: &str| rustix::fs::fsetxattr(&old, name, b"text", XattrFlags::empty());
        if note("user.note") == Err(Errno::OPNOTSUPP) {
            return; // A file system on which nothing is noted.
        }
        carry_over(&old.into(), &new, true).unwrap();
        let new = OwnedFd::from(new);
        assert_eq!(names(&new).unwrap().unwrap(), ["user.note"]);
        assert_eq!(value(&new, "user.note").unwrap().unwrap(), b"text");
        assert_eq!(value(&new, "user.other").unwrap(), None);
    }
}
