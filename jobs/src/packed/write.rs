//! Writing an archive, entry by entry, so that the same entries always make the same bytes.
//!
//! Owners are 0, and no name of a user, no time of writing and no name of a machine gets in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
#[cfg(feature = "zip")]
use std::io::{Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context as _, Result};

use super::{ArchiveEntry, EntryKind, Format, show};

/// The time of every entry where times are not kept: 1980 began, which is the first moment that zip knows. (At 0 some programs
/// that unpack complain.)
pub(crate) const FIXED_TIME: u64 = 315_532_800;

/// What a compressor of the quality that its own program takes unless told otherwise.
#[cfg(feature = "xz")]
const XZ_LEVEL: u32 = 6;

/// From here on a file gets 64 bits for its sizes in a zip archive; some way below 4 GiB, as what cannot be compressed grows.
#[cfg(feature = "zip")]
const LARGE: u64 = 4_000_000_000;

/// A target of a link up to here has room in the header of a tar archive.
const SHORT_LINK: usize = 100;

/// An archive that is being written.
pub(crate) enum Packer<'f> {
    Tar(Box<tar::Builder<Compressor<'f>>>),
    #[cfg(feature = "zip")]
    Zip(Box<zip::ZipWriter<UntilFailure<BufWriter<&'f mut File>>>>),
}

impl<'f> Packer<'f> {
    /// An archive in an empty file.
    ///
    /// # Errors
    /// When the format is not built in.
    pub(crate) fn new(file: &'f mut File, format: Format) -> Result<Self> {
        let file = BufWriter::new(file);
        Ok(Packer::Tar(Box::new(tar::Builder::new(match format.built_in()? {
            #[cfg(feature = "zip")]
            Format::Zip => return Ok(Packer::Zip(Box::new(zip::ZipWriter::new(UntilFailure::new(file))))),
            #[cfg(feature = "xz")]
            Format::TarXz => {
                let options = lzma_rust2::XzOptions::with_preset(XZ_LEVEL);
                Compressor::Xz(Box::new(lzma_rust2::XzWriter::new(file, options)?))
            }
            #[cfg(feature = "zstd")]
            Format::TarZst => {
                let mut encoder = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Compressor::Zst(encoder)
            }
            // A time and a system would be written into the header, were they known.
            Format::TarGz => {
                let header = flate2::GzBuilder::new().operating_system(255);
                Compressor::Gz(Box::new(header.write(file, flate2::Compression::default())))
            }
            // Whether a format is built in was asked before.
            _ => Compressor::None(file),
        }))))
    }

    /// Adds an entry; `content` has to be as long as it says.
    ///
    /// # Errors
    /// When it cannot be written, or `content` is of another length.
    pub(crate) fn add(&mut self, entry: &ArchiveEntry, content: &mut dyn Read) -> Result<()> {
        let add = match self {
            Packer::Tar(tar) => add_to_tar(tar, entry, content),
            #[cfg(feature = "zip")]
            Packer::Zip(zip) => add_to_zip(zip, entry, content),
        };
        add.with_context(|| format!("failed to pack {}", show(&entry.name)))
    }

    /// Writes what belongs behind the last entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Packer::Tar(tar) => tar.into_inner()?.finish()?.flush()?,
            #[cfg(feature = "zip")]
            Packer::Zip(zip) => zip.finish()?.into_inner()?.flush()?,
        }
        Ok(())
    }
}

type Output<'f> = BufWriter<&'f mut File>;

/// What a tar archive is written through.
pub(crate) enum Compressor<'f> {
    None(Output<'f>),
    Gz(Box<flate2::write::GzEncoder<Output<'f>>>),
    #[cfg(feature = "xz")]
    Xz(Box<lzma_rust2::XzWriter<Output<'f>>>),
    #[cfg(feature = "zstd")]
    Zst(zstd::Encoder<'static, Output<'f>>),
}

impl<'f> Compressor<'f> {
    fn finish(self) -> io::Result<Output<'f>> {
        match self {
            Compressor::None(output) => Ok(output),
            Compressor::Gz(encoder) => encoder.finish(),
            #[cfg(feature = "xz")]
            Compressor::Xz(encoder) => encoder.finish(),
            #[cfg(feature = "zstd")]
            Compressor::Zst(encoder) => encoder.finish(),
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Compressor::None(output) => output,
            Compressor::Gz(encoder) => encoder,
            #[cfg(feature = "xz")]
            Compressor::Xz(encoder) => encoder,
            #[cfg(feature = "zstd")]
            Compressor::Zst(encoder) => encoder,
        }
    }
}

impl Write for Compressor<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

/// A reader that fails where there is less or more than was said: the header, written before, would lie.
struct Exactly<'a> {
    left: u64,
    reader: &'a mut dyn Read,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let changed = || Err(io::Error::other("it changed while it was read"));
        if self.left == 0 {
            return if self.reader.read(&mut [0])? == 0 { Ok(0) } else { changed() };
        }
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        match self.reader.read(&mut buffer[..wanted])? {
            0 if wanted > 0 => changed(),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

fn add_to_tar(
    tar: &mut tar::Builder<Compressor<'_>>,
    entry: &ArchiveEntry,
    content: &mut dyn Read,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode.unwrap_or(0o644));
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(entry.modified.and_then(|time| time.try_into().ok()).unwrap_or(FIXED_TIME));
    header.set_size(0);
    let name = OsStr::from_bytes(&entry.name);
    match &entry.kind {
        EntryKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            let name = [&entry.name[..], b"/"].concat();
            tar.append_data(&mut header, OsStr::from_bytes(&name), io::empty())?;
        }
        EntryKind::File(size) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(*size);
            tar.append_data(&mut header, name, Exactly { left: *size, reader: content })?;
        }
        EntryKind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            if target.len() <= SHORT_LINK {
                // Byte by byte: the other way makes `a//b` into `a/b`.
                header.set_link_name_literal(target)?;
                tar.append_data(&mut header, name, io::empty())?;
            } else {
                tar.append_link(&mut header, name, OsStr::from_bytes(target))?;
            }
        }
        EntryKind::HardLink(_) => anyhow::bail!("a hard link is packed as a file"),
        EntryKind::Other(what) => anyhow::bail!("it is {what}"),
    }
    Ok(())
}

/// Writes to a file until that fails, and takes all that comes later for written: the writer of zip archives ends what it has
/// begun when it is dropped, and would print, or panic about, what keeps it from that, in the place of the first error.
#[cfg(feature = "zip")]
pub(crate) struct UntilFailure<W> {
    to: W,
    failure: Option<io::Error>,
    /// Where the next byte would be.
    at: u64,
    end: u64,
}

#[cfg(feature = "zip")]
impl<W: Write + Seek> UntilFailure<W> {
    fn new(to: W) -> Self {
        UntilFailure { to, failure: None, at: 0, end: 0 }
    }

    /// # Errors
    /// The first one.
    fn into_inner(self) -> io::Result<W> {
        self.failure.map_or(Ok(self.to), Err)
    }

    /// What the file says, unless it has failed before.
    fn or_pretend<T>(&mut self, call: impl FnOnce(&mut W) -> io::Result<T>, pretended: T) -> io::Result<T> {
        if self.failure.is_some() {
            return Ok(pretended);
        }
        call(&mut self.to).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                let same = error.raw_os_error().map(io::Error::from_raw_os_error);
                self.failure = Some(same.unwrap_or_else(|| io::Error::new(error.kind(), error.to_string())));
            }
        })
    }
}

#[cfg(feature = "zip")]
impl<W: Write + Seek> Write for UntilFailure<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.or_pretend(|to| to.write(bytes), bytes.len())?;
        self.at += written as u64;
        self.end = self.end.max(self.at);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.or_pretend(Write::flush, ())
    }
}

#[cfg(feature = "zip")]
impl<W: Write + Seek> Seek for UntilFailure<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        self.at = self.or_pretend(|file| file.seek(to), place)?;
        Ok(self.at)
    }
}

#[cfg(feature = "zip")]
fn add_to_zip(
    zip: &mut zip::ZipWriter<impl Write + Seek>,
    entry: &ArchiveEntry,
    content: &mut dyn Read,
) -> Result<()> {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).ok();
        text.with_context(|| format!("`{}` is no UTF-8, which zip needs; tar does not", show(bytes)))
    };
    let name = text(&entry.name)?;
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(entry.mode.unwrap_or(0o644));
    match &entry.kind {
        EntryKind::Directory => zip.add_directory(name, options)?,
        EntryKind::File(size) => {
            zip.start_file(name, options.large_file(*size >= LARGE))?;
            io::copy(&mut Exactly { left: *size, reader: content }, zip)?;
        }
        EntryKind::Symlink(target) => zip.add_symlink(name, text(target)?, options)?,
        EntryKind::HardLink(_) => anyhow::bail!("a hard link is packed as a file"),
        EntryKind::Other(what) => anyhow::bail!("it is {what}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    #[cfg(feature = "zip")]
    struct Small(io::Cursor<Vec<u8>>, usize);

    #[cfg(feature = "zip")]
    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(usize::try_from(self.0.position()).unwrap());
            match room.min(bytes.len()) {
                0 if !bytes.is_empty() => Err(rustix::io::Errno::NOSPC.into()),
                fits => self.0.write(&bytes[..fits]),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[cfg(feature = "zip")]
    impl Seek for Small {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[cfg(feature = "zip")]
    #[test]
    fn a_full_disk_is_what_a_zip_archive_fails_of_wherever_it_ends() {
        let pack = |room: usize| -> Result<usize> {
            let mut zip = zip::ZipWriter::new(UntilFailure::new(Small(io::Cursor::default(), room)));
            for name in ["a", "b"] {
                let entry = ArchiveEntry {
                    name: name.as_bytes().to_owned(),
                    kind: EntryKind::File(3),
                    mode: Some(0o644),
                    modified: None,
                };
                add_to_zip(&mut zip, &entry, &mut &b"abc"[..])?;
            }
            Ok(zip.finish()?.into_inner()?.0.into_inner().len())
        };
        let whole = pack(usize::MAX).unwrap();
        for room in 0..whole {
            let error = pack(room).unwrap_err();
            assert!(format!("{error:#}").contains("No space left on device"), "{room}: {error:#}");
        }
        assert_eq!(pack(whole).unwrap(), whole);
    }

    #[test]
    fn what_changes_while_it_is_read_is_found_out() {
        let read = |left, bytes: &[u8]| {
            let mut all = Vec::new();
            Exactly { left, reader: &mut &bytes[..] }.read_to_end(&mut all).map(|_| all)
        };
        assert_eq!(read(3, b"abc").unwrap(), b"abc");
        assert_eq!(read(0, b"").unwrap(), b"");
        assert_eq!(read(4, b"abc").unwrap_err().to_string(), "it changed while it was read");
        assert_eq!(read(2, b"abc").unwrap_err().to_string(), "it changed while it was read");
    }
}
