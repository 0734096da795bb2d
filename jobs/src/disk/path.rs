//! Paths as they are written down: which ones no machine could have, and how they are handed on.
//!
//! Looks at the file system only to tell whether something is its root.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use dojob::{Context, CouldNotFindOut};
use serde::{Deserialize, Deserializer, de};

use super::look::{Links, meta};

/// Why nothing can be at a path, whatever the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("a path must not be empty")]
    Empty,
    #[error("a path must not contain a NUL byte")]
    Nul,
    #[error("a path of a file must end with its name, not with `/`, `.` or `..`")]
    NoName,
    #[error(
        "nothing may be removed below `/`, nor below a path that leads nowhere else, such as `..` or `.`"
    )]
    Root,
}

/// For the path of anything.
pub(crate) fn validate(path: &Path) -> Result<(), PathError> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(PathError::Empty);
    }
    if bytes.contains(&0) {
        return Err(PathError::Nul);
    }
    Ok(())
}

/// For the path of what has a name of its own in a directory: a file, a link, something that is to be removed.
pub(crate) fn validate_named(path: &Path) -> Result<(), PathError> {
    validate(path)?;
    let bytes = path.as_os_str().as_bytes();
    // `Path` itself overlooks the end of `a/` and `a/.`, the system does not.
    let last = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if matches!(last, b"" | b"." | b"..") { Err(PathError::NoName) } else { Ok(()) }
}

/// Refuses the root of all, and what can be seen to be it, before things are removed below. A relative path that climbs
/// may lead anywhere.
pub(crate) fn validate_no_root(path: &Path) -> Result<(), PathError> {
    validate(path)?;
    let mut depth = 0;
    for part in path.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if depth <= 0 { Err(PathError::Root) } else { Ok(()) }
}

/// The path from the root on, as it is handed on to other jobs; links are not followed.
pub(crate) fn absolute(cx: &Context, path: &Path) -> String {
    // Its components alone, without those that are `.`.
    let absolute: PathBuf = cx.working_directory().join(path).components().collect();
    absolute.to_string_lossy().into_owned()
}

/// Directories below which nobody wants things to be removed by rule.
const OF_THE_SYSTEM: [&str; 20] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/sbin",
    "/var",
    "/var/lib",
];

/// Refuses a path that leads, through links, say, to the root of all or to another of the system's own directories.
///
/// # Errors
/// When it does, or that cannot be found out.
pub(crate) fn refuse_root(path: &Path) -> Result<()> {
    let Some(found) = meta(path, Links::Follow)? else { return Ok(()) };
    for name in OF_THE_SYSTEM {
        // One that cannot be seen is not the one that was.
        if meta(Path::new(name), Links::Follow).is_ok_and(|meta| meta.is_some_and(|meta| meta.id == found.id))
        {
            let what = format!("what may be removed below {}", path.display());
            let why = format!("it is {name}, of which the system itself lives");
            return Err(CouldNotFindOut::new(what).because(why).into());
        }
    }
    Ok(())
}

/// For `#[serde(deserialize_with)]`: a path for which [`validate`] holds.
pub(crate) fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    validate(&path).map_err(de::Error::custom)?;
    Ok(path)
}

/// For `#[serde(deserialize_with)]`: a path for which [`validate_named`] holds.
pub(crate) fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    validate_named(&path).map_err(de::Error::custom)?;
    Ok(path)
}

/// For `#[serde(default, deserialize_with)]`: no path, or one for which [`validate`] holds.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = Option::<PathBuf>::deserialize(deserializer)?;
    path.as_deref().map_or(Ok(()), validate).map_err(de::Error::custom)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_known_in_disguise() {
        for path in ["/", "//", "/.", "/a/..", ".", "..", "a/..", "../..", "a/../..", "/a/../.."] {
            assert_eq!(validate_no_root(Path::new(path)), Err(PathError::Root), "{path}");
        }
        for path in ["/a", "a", "/a/../b", "./a"] {
            assert_eq!(validate_no_root(Path::new(path)), Ok(()), "{path}");
        }
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", root.path().join("link")).unwrap();
        assert!(refuse_root(&root.path().join("link")).is_err());
        assert!(refuse_root(Path::new("/etc/.")).is_err());
        assert!(refuse_root(root.path()).is_ok() && refuse_root(&root.path().join("none")).is_ok());
    }

    #[test]
    fn a_named_path_ends_with_a_name() {
        for path in ["/etc/motd", "motd", "./motd", "../motd", "/etc/..motd", "/etc/..."] {
            assert_eq!(validate_named(Path::new(path)), Ok(()), "{path}");
        }
        for path in ["/", "/etc/", "/etc/.", "..", ".", "/etc/.."] {
            assert_eq!(validate_named(Path::new(path)), Err(PathError::NoName), "{path}");
            assert_eq!(validate(Path::new(path)), Ok(()), "{path}");
        }
        assert_eq!(validate_named(Path::new("")), Err(PathError::Empty));
        assert_eq!(validate_named(Path::new("/etc/mo\0td")), Err(PathError::Nul));
    }
}
