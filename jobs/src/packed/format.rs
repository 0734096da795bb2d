//! Which formats there are, and how one is told: by the ending of a name that is to be written, by the first bytes of what is
//! read.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::shown_name::show;

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Not compressed; only read.
    Tar,
    TarGz,
    TarXz,
    TarZst,
    Zip,
}

/// Why a name tells no format that could be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("`{name}` does not say its format: the name of an archive ends in {ENDINGS}")]
    Unknown { name: String },
    #[error("{format} archives are not built in: this program was made without the feature `{feature}`")]
    NotBuiltIn { format: Format, feature: &'static str },
}

/// What is there to be written, for messages.
const ENDINGS: &str = ".tar.gz, .tgz, .tar.xz, .tar.zst or .zip";

impl Format {
    /// By the ending of the name, for an archive that is to be written.
    ///
    /// # Errors
    /// When there is no such format.
    pub(crate) fn of_name(path: &Path) -> Result<Self, FormatError> {
        const BY_ENDING: [(&[u8], Format); 5] = [
            (b".tar.gz", Format::TarGz),
            (b".tgz", Format::TarGz),
            (b".tar.xz", Format::TarXz),
            (b".tar.zst", Format::TarZst),
            (b".zip", Format::Zip),
        ];
        let name = path.file_name().unwrap_or_default().as_bytes();
        let found = BY_ENDING.iter().find(|(ending, _)| name.ends_with(ending));
        let (_, format) =
            found.ok_or_else(|| FormatError::Unknown { name: show(path.as_os_str().as_bytes()) })?;
        format.built_in()
    }

    /// By its first bytes; `None` when they are those of no archive.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn of_content(file: &File) -> io::Result<Option<Self>> {
        // Of a tar archive the first header is needed, in which its mark stands at 257.
        let mut start = [0; 512];
        let mut length = 0;
        while length < start.len() {
            match file.read_at(&mut start[length..], length as u64)? {
                0 => break,
                read => length += read,
            }
        }
        Ok(Format::of_start(&start[..length]))
    }

    fn of_start(start: &[u8]) -> Option<Self> {
        const BY_START: [(&[u8], Format); 5] = [
            (&[0x1f, 0x8b], Format::TarGz),
            (b"\xfd7zXZ\0", Format::TarXz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Format::TarZst),
            (b"PK\x03\x04", Format::Zip),
            // One without entries.
            (b"PK\x05\x06", Format::Zip),
        ];
        if let Some((_, format)) = BY_START.iter().find(|(mark, _)| start.starts_with(mark)) {
            return Some(*format);
        }
        (start.get(257..262) == Some(b"ustar")).then_some(Format::Tar)
    }

    /// This format, where this program was built with it.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn built_in(self) -> Result<Self, FormatError> {
        let (has, feature) = match self {
            Format::Tar | Format::TarGz => (true, "archive"),
            Format::TarXz => (cfg!(feature = "xz"), "xz"),
            Format::TarZst => (cfg!(feature = "zstd"), "zstd"),
            Format::Zip => (cfg!(feature = "zip"), "zip"),
        };
        if has { Ok(self) } else { Err(FormatError::NotBuiltIn { format: self, feature }) }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Tar => "tar",
            Format::TarGz => "tar.gz",
            Format::TarXz => "tar.xz",
            Format::TarZst => "tar.zst",
            Format::Zip => "zip",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(feature = "xz", feature = "zip", feature = "zstd"))]
    #[test]
    fn names_end_in_their_format() {
        let of = |name: &str| Format::of_name(Path::new(name)).ok();
        assert_eq!(of("/b/a.tar.gz"), Some(Format::TarGz));
        assert_eq!(of("a.tgz"), Some(Format::TarGz));
        assert_eq!(of("a.tar.xz"), Some(Format::TarXz));
        assert_eq!(of("a.tar.zst"), Some(Format::TarZst));
        assert_eq!(of("a.b.zip"), Some(Format::Zip));
        for name in ["a.tar", "a.gz", "a.rar", "a", "/", "", "a.tar.gz/", "tgz", "a.ZIP"] {
            assert_eq!(of(name), (name == "a.tar.gz/").then_some(Format::TarGz), "{name}");
        }
        let error = Format::of_name(Path::new("/b/a.rar")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`/b/a.rar` does not say its format: the name of an archive ends in .tar.gz, .tgz, .tar.xz, .tar.zst or .zip"
        );
    }

    #[test]
    fn content_begins_with_its_format() {
        assert_eq!(Format::of_start(&[0x1f, 0x8b, 8]), Some(Format::TarGz));
        assert_eq!(Format::of_start(b"PK\x05\x06"), Some(Format::Zip));
        let mut header = [0; 512];
        assert_eq!(Format::of_start(&header), None);
        header[257..262].copy_from_slice(b"ustar");
        assert_eq!(Format::of_start(&header), Some(Format::Tar));
        assert_eq!(Format::of_start(b""), None);
        assert_eq!(Format::of_start(b"#!/bin/sh"), None);
    }
}
