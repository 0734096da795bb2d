//! Paths as they are written down: which ones no machine could have, and how they are handed on.
//!
//! Looks at no file system.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use dojob::Context;
use serde::{Deserialize, Deserializer, de};

/// Why nothing can be at a path, whatever the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("a path must not be empty")]
    Empty,
    #[error("a path must not contain a NUL byte")]
    Nul,
    #[error(
        "a path must not begin with `~`, which is not expanded: write the path of the home directory itself, or `./~` for \
         a name that begins so"
    )]
    Tilde,
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
    if bytes.starts_with(b"~") {
        return Err(PathError::Tilde);
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
    }

    #[test]
    fn a_tilde_is_not_expanded_but_refused() {
        for path in ["~", "~/app", "~rosa/.bashrc"] {
            assert_eq!(validate(Path::new(path)), Err(PathError::Tilde), "{path}");
        }
        for path in ["./~/app", "/srv/~", "a~", "/~rosa"] {
            assert_eq!(validate(Path::new(path)), Ok(()), "{path}");
        }
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
