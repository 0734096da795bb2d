//! What the attributes of a zip entry make of it: its kind, its permissions, and its name.
//!
//! Reads nothing. The library has an opinion of its own on attributes that were not made on Unix, and drops special bits.

use std::io;

use zip::System;

use super::EntryKind;

/// The bits of a Unix mode that say what something is.
const TYPE: u32 = 0o170_000;

/// What DOS calls a directory.
const DOS_DIRECTORY: u32 = 0x10;

/// The name, the kind (a link without its target, which is its content) and the permissions of an entry of `size` bytes.
///
/// Permissions are taken from attributes that a Unix has written; of others, and where there are none, nothing is known.
///
/// # Errors
/// When name and attributes contradict each other.
pub(crate) fn described(
    name: String,
    system: System,
    attributes: u32,
    size: u64,
) -> io::Result<(Vec<u8>, EntryKind, Option<u32>)> {
    let from_unix = matches!(system, System::Unix | System::OsDarwin);
    let name = if from_unix { name } else { name.replace('\\', "/") };
    // Also a DOS program may have written them, and is not believed in what it says of permissions.
    let unix = attributes >> 16;
    let mode = (from_unix && unix != 0).then_some(unix & 0o7777);
    let by_name = name.ends_with('/') || !from_unix && attributes & DOS_DIRECTORY != 0;
    let kind = match unix & TYPE {
        0 | 0o100_000 | 0o040_000 if by_name => EntryKind::Directory,
        0o040_000 => EntryKind::Directory,
        0 | 0o100_000 => EntryKind::File(size),
        0o120_000 if !by_name => EntryKind::Symlink(Vec::new()),
        0o020_000 | 0o060_000 => EntryKind::Other("a device"),
        0o010_000 => EntryKind::Other("a named pipe"),
        0o140_000 => EntryKind::Other("a socket"),
        _ => EntryKind::Other("of an unknown kind"),
    };
    if kind == EntryKind::Directory && size > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a directory has a content"));
    }
    Ok((name.into_bytes(), kind, mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, system: System, attributes: u32) -> (String, EntryKind, Option<u32>) {
        let (name, kind, mode) = described(name.to_owned(), system, attributes, 0).unwrap();
        (String::from_utf8(name).unwrap(), kind, mode)
    }

    #[test]
    fn permissions_are_those_of_a_unix() {
        let unix = |mode: u32| of("a", System::Unix, mode << 16);
        assert_eq!(unix(0o104_755), ("a".into(), EntryKind::File(0), Some(0o4755)));
        assert_eq!(unix(0o600), ("a".into(), EntryKind::File(0), Some(0o600)));
        assert_eq!(unix(0), ("a".into(), EntryKind::File(0), None));
        for system in [System::Dos, System::WindowsNTFS, System::Os2] {
            for attributes in [0, 0x01, 0x20, 0o100_666 << 16 | 0x20] {
                assert_eq!(of("a", system, attributes), ("a".into(), EntryKind::File(0), None));
            }
            assert_eq!(of("d/", system, 0x10), ("d/".into(), EntryKind::Directory, None));
        }
    }

    #[test]
    fn kinds_are_told_by_attributes_and_names() {
        let kind = |name: &str, mode: u32| of(name, System::Unix, mode << 16).1;
        assert_eq!(kind("a", 0o120_777), EntryKind::Symlink(Vec::new()));
        assert_eq!(kind("a", 0o040_755), EntryKind::Directory);
        assert_eq!(kind("a/", 0o040_755), EntryKind::Directory);
        assert_eq!(kind("a/", 0), EntryKind::Directory);
        assert_eq!(kind("a/", 0o120_777), EntryKind::Other("of an unknown kind"));
        assert_eq!(kind("a", 0o020_666), EntryKind::Other("a device"));
        assert_eq!(kind("a", 0o060_666), EntryKind::Other("a device"));
        assert_eq!(kind("a", 0o010_666), EntryKind::Other("a named pipe"));
        assert_eq!(kind("a", 0o140_666), EntryKind::Other("a socket"));
        assert_eq!(kind("a", 0o170_666), EntryKind::Other("of an unknown kind"));
        assert!(described("a/".to_owned(), System::Unix, 0, 1).is_err());
    }

    #[test]
    fn a_backslash_separates_where_the_archive_was_not_made_on_unix() {
        assert_eq!(of("a\\b", System::Dos, 0).0, "a/b");
        assert_eq!(of("..\\b", System::WindowsNTFS, 0).0, "../b");
        assert_eq!(of("d\\", System::Dos, 0).1, EntryKind::Directory);
        assert_eq!(of("d", System::Dos, 0x10).1, EntryKind::Directory);
        assert_eq!(of("a\\b", System::Unix, 0), ("a\\b".into(), EntryKind::File(0), None));
    }
}
