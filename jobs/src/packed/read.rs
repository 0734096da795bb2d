//! Reading an archive, entry by entry, in bounded memory, whatever somebody has put into it.
//!
//! Unpacks nothing: who visits an entry decides what becomes of it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Result;
use dojob::{Context, OrCouldNotFindOut};

use super::format::FormatError;
use super::{Entry, Format, Kind};
use crate::size::Size;

/// How many bytes there may be in between two contents: a header, with long names and extended attributes. The library holds them
/// in memory.
const LONGEST_HEADER: u64 = 1024 * 1024;

/// Contents are compared in pieces of this size.
const PIECE: usize = 64 * 1024;

/// As much memory as the dictionary of the most compressed ordinary `.xz` (level 9) needs, and some more: in KiB.
#[cfg(feature = "xz")]
const XZ_MEMORY: u32 = 256 * 1024;

/// The longest target of a link that Linux allows.
#[cfg(feature = "zip")]
const LONGEST_LINK: u64 = 4096;

/// What ended the reading of an archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("it is damaged, or no {format} archive")]
    Damaged { format: Format, source: io::Error },
    #[error("it holds more than {limit}")]
    TooLarge { limit: Size },
    #[error("it holds more than {limit} entries")]
    TooMany { limit: u64 },
    #[error("the run was asked to stop")]
    Stopped,
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of all its files together, unpacked.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

impl Limits {
    /// For an archive of our own.
    pub(crate) const NONE: Limits = Limits { bytes: u64::MAX, entries: u64::MAX };
}

/// Why a reader was made to fail.
#[derive(Clone, Copy, Debug)]
enum Trip {
    TooLarge,
    LongHeader,
    Stopped,
}

/// Sees to the limits while an archive is read.
struct Guard<'a> {
    cx: &'a Context,
    format: Format,
    limits: Limits,
    read: Cell<u64>,
    /// How much more may come before the next content begins; `None` inside of a content.
    header: Cell<Option<u64>>,
    trip: Cell<Option<Trip>>,
}

impl Guard<'_> {
    fn fail<T>(&self, trip: Trip) -> io::Result<T> {
        self.trip.set(Some(trip));
        Err(io::Error::other("reading was ended"))
    }

    /// Whether to go on.
    fn before(&self) -> io::Result<()> {
        if self.cx.is_cancelled() { self.fail(Trip::Stopped) } else { Ok(()) }
    }

    /// So many bytes have come.
    fn after(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        self.read.set(self.read.get().saturating_add(bytes));
        if self.read.get() > self.limits.bytes {
            return self.fail(Trip::TooLarge);
        }
        match self.header.get().map(|left| left.checked_sub(bytes)) {
            Some(None) => self.fail(Trip::LongHeader),
            Some(left) => {
                self.header.set(left);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What an error of a reader means: libraries wrap those that were made here.
    fn explain(&self, source: io::Error) -> ReadError {
        match self.trip.get() {
            Some(Trip::TooLarge) => ReadError::TooLarge { limit: Size::bytes(self.limits.bytes) },
            Some(Trip::Stopped) => ReadError::Stopped,
            Some(Trip::LongHeader) => {
                let source = io::Error::other("the description of an entry is too long");
                ReadError::Damaged { format: self.format, source }
            }
            None => ReadError::Damaged { format: self.format, source },
        }
    }
}

/// A reader under guard.
struct Guarded<'a, R> {
    inner: R,
    guard: &'a Guard<'a>,
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard.before()?;
        let read = self.inner.read(buffer)?;
        self.guard.after(read)?;
        Ok(read)
    }
}

/// The content of an entry.
pub(crate) struct Content<'a> {
    reader: &'a mut dyn Read,
    guard: &'a Guard<'a>,
}

impl Content<'_> {
    /// Fills `buffer` as far as the content goes, and says how far.
    ///
    /// # Errors
    /// When the archive cannot be read on.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        fill(self.reader, buffer).map_err(|error| self.guard.explain(error))
    }

    /// Whether what is left of it is what `file`, found at `path`, holds from its offset on.
    ///
    /// # Errors
    /// When the archive cannot be read on, or [`CouldNotFindOut`](dojob::CouldNotFindOut) what is in the file.
    pub(crate) fn is_in(&mut self, file: &mut File, path: &Path) -> Result<bool> {
        let (mut packed, mut own) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            let length = self.fill(&mut packed)?;
            let read = fill(file, &mut own).or_could_not_find_out(format!("what {} says", path.display()))?;
            if packed[..length] != own[..read] {
                return Ok(false);
            }
            if length < PIECE {
                return Ok(true);
            }
        }
    }

    /// Reads over what is left.
    fn drain(&mut self) -> Result<(), ReadError> {
        let all = io::copy(self.reader, &mut io::sink());
        all.map(drop).map_err(|error| self.guard.explain(error))
    }
}

/// Fills `buffer` as far as the reader goes.
fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Calls `visit` for each entry, in the order of the archive, until there are no more or it says to break. What it does not read
/// of a content is read over. Behind the last entry everything is read to the end, so that checksums are checked.
///
/// # Errors
/// A [`ReadError`], and those of `visit`.
pub(crate) fn entries(
    cx: &Context,
    file: File,
    format: Format,
    limits: Limits,
    mut visit: impl FnMut(&Entry, &mut Content<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let guard = Guard {
        cx,
        format: format.built_in()?,
        limits,
        read: Cell::new(0),
        header: Cell::new(None),
        trip: Cell::new(None),
    };
    match format {
        #[cfg(feature = "zip")]
        Format::Zip => zip_entries(file, &guard, &mut visit),
        _ => {
            let reader = decompressed(file, format).map_err(|error| guard.explain(error))?;
            tar_entries(reader, &guard, &mut visit)
        }
    }
}

type Visit<'v> = dyn FnMut(&Entry, &mut Content<'_>) -> Result<ControlFlow<()>> + 'v;

/// The tar archive in a file.
fn decompressed(file: File, format: Format) -> io::Result<Box<dyn Read>> {
    let file = BufReader::new(file);
    Ok(match format {
        Format::TarGz => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        #[cfg(feature = "xz")]
        Format::TarXz => Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, XZ_MEMORY)),
        #[cfg(feature = "zstd")]
        Format::TarZst => Box::new(zstd::Decoder::with_buffer(file)?),
        // Whether a format is built in was asked before.
        _ => Box::new(file),
    })
}

fn tar_entries(reader: Box<dyn Read>, guard: &Guard<'_>, visit: &mut Visit<'_>) -> Result<()> {
    let mut archive = tar::Archive::new(Guarded { inner: reader, guard });
    let mut entries = archive.entries().map_err(|error| guard.explain(error))?;
    let mut count = 0;
    loop {
        guard.header.set(Some(LONGEST_HEADER));
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| guard.explain(error))?;
        let described = described(&mut entry).map_err(|error| guard.explain(error))?;
        guard.header.set(None);
        count += 1;
        if count > guard.limits.entries {
            return Err(ReadError::TooMany { limit: guard.limits.entries }.into());
        }
        let mut content = Content { reader: &mut entry, guard };
        if let Some(described) = described
            && visit(&described, &mut content)?.is_break()
        {
            return Ok(());
        }
        content.drain()?;
    }
    // Zeroes, and the checksum of the compression.
    guard.header.set(None);
    Content { reader: &mut archive.into_inner(), guard }.drain()?;
    Ok(())
}

/// What a tar archive says of an entry; nothing of one that only says something of others.
fn described<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<Entry>> {
    use tar::EntryType;
    let link = |entry: &tar::Entry<'_, R>| entry.link_name_bytes().unwrap_or_default().into_owned();
    let kind = match entry.header().entry_type() {
        // In archives of the oldest kind a directory is a file whose name ends so.
        EntryType::Regular if entry.path_bytes().ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File(entry.size()),
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link(entry)),
        EntryType::Link => Kind::HardLink(link(entry)),
        EntryType::Char | EntryType::Block => Kind::Other("a device"),
        EntryType::Fifo => Kind::Other("a named pipe"),
        EntryType::XGlobalHeader => return Ok(None),
        _ => Kind::Other("of an unknown kind"),
    };
    Ok(Some(Entry {
        name: entry.path_bytes().into_owned(),
        kind,
        mode: Some(entry.header().mode()? & 0o7777),
        modified: i64::try_from(entry.header().mtime()?).ok(),
    }))
}

#[cfg(feature = "zip")]
fn zip_entries(file: File, guard: &Guard<'_>, visit: &mut Visit<'_>) -> Result<()> {
    let damaged = |error: zip::result::ZipError| guard.explain(error.into());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    if archive.len() as u64 > guard.limits.entries {
        return Err(ReadError::TooMany { limit: guard.limits.entries }.into());
    }
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned().into_bytes();
        let (is_directory, is_symlink) = (entry.is_dir(), entry.is_symlink());
        let mode = entry.unix_mode().map(|mode| mode & 0o7777);
        let size = entry.size();
        let mut entry = Guarded { inner: entry, guard };
        let kind = if is_directory {
            Kind::Directory
        } else if is_symlink {
            let mut target = Vec::new();
            let read = Read::take(&mut entry, LONGEST_LINK).read_to_end(&mut target);
            read.map_err(|error| guard.explain(error))?;
            Kind::Symlink(target)
        } else {
            Kind::File(size)
        };
        let mut content = Content { reader: &mut entry, guard };
        if visit(&Entry { name, kind, mode, modified: None }, &mut content)?.is_break() {
            return Ok(());
        }
        content.drain()?;
    }
    Ok(())
}
