//! What `Archive` and `Unarchive` have in common: formats, and archives as a sequence of entries that streams by.

pub(crate) mod changes;
pub(crate) mod exclude;
pub(crate) mod format;
pub(crate) mod read;
pub(crate) mod shown_name;
mod sparse;
pub(crate) mod write;
#[cfg(feature = "zip")]
mod zip_kind;

pub(crate) use self::format::Format;
pub(crate) use self::shown_name::show;

/// What is at a name in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    /// With so many bytes.
    File(u64),
    /// To there, as it is written.
    Symlink(Vec<u8>),
    /// Another name of the entry of this name, which came before.
    HardLink(Vec<u8>),
    /// What is never packed or unpacked: "a device", say.
    Other(&'static str),
}

/// One entry of an archive, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveEntry {
    /// As it is written in the archive: no promise that it leads nowhere else.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Permissions; `None` where the archive does not know.
    pub(crate) mode: Option<u32>,
    /// Seconds since 1970; `None` where the archive does not know, or not in which time zone.
    pub(crate) modified: Option<i64>,
}
