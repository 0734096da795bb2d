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
use super::sparse::Sparse;
use super::{ArchiveEntry, EntryKind, Format};
use crate::size::Size;

/// How many bytes there may be in between two contents: a header, with long names and extended attributes. The library holds them
/// in memory.
const LONGEST_HEADER: u64 = 1024 * 1024;

/// How many bytes an archive may have beside its contents, before the first entry and behind the last one.
const SLACK: u64 = 1024 * 1024;

/// And for each entry: its header, and what fills its content up to a whole block, of which others may make more.
const SLACK_OF_ENTRY: u64 = 4096;

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

impl ReadError {
    /// Whether the same archive can only be read with the same end.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            // The system says so, and may say something else next time.
            ReadError::Damaged { source, .. } => source.raw_os_error().is_none(),
            ReadError::Stopped => false,
            ReadError::TooLarge { .. } | ReadError::TooMany { .. } | ReadError::Format(_) => true,
        }
    }
}

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of all its files together, unpacked, with their holes.
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
    /// How much of the archive was read, decompressed.
    read: Cell<u64>,
    /// How much came out: the contents, with their holes.
    unpacked: Cell<u64>,
    /// How many entries there were.
    entries: Cell<u64>,
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

    /// So many bytes of a content have come out.
    fn came_out(&self, bytes: u64) -> io::Result<()> {
        self.unpacked.set(self.unpacked.get().saturating_add(bytes));
        if self.unpacked.get() > self.limits.bytes { self.fail(Trip::TooLarge) } else { Ok(()) }
    }

    /// There is one more entry, with a content of so many bytes, as it says: what is known to be too large is not begun.
    fn entry(&self, kind: &EntryKind) -> Result<(), ReadError> {
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() > self.limits.entries {
            return Err(ReadError::TooMany { limit: self.limits.entries });
        }
        match kind {
            EntryKind::File(size) if self.unpacked.get().saturating_add(*size) > self.limits.bytes => {
                Err(ReadError::TooLarge { limit: Size::bytes(self.limits.bytes) })
            }
            _ => Ok(()),
        }
    }

    /// So many bytes of the archive have been read.
    fn after(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        self.read.set(self.read.get().saturating_add(bytes));
        // Holes come out, and are not read; what is read and does not come out has limits as well.
        let beside = SLACK.saturating_add(self.entries.get().saturating_mul(SLACK_OF_ENTRY));
        if self.read.get() > self.limits.bytes.saturating_add(beside) {
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

/// A content under guard.
struct ComingOut<'a, R> {
    inner: R,
    guard: &'a Guard<'a>,
}

impl<R: Read> Read for ComingOut<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard.before()?;
        let read = self.inner.read(buffer)?;
        self.guard.came_out(read as u64)?;
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
    mut visit: impl FnMut(&ArchiveEntry, &mut Content<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let guard = Guard {
        cx,
        format: format.built_in()?,
        limits,
        read: Cell::new(0),
        unpacked: Cell::new(0),
        entries: Cell::new(0),
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

type Visit<'v> = dyn FnMut(&ArchiveEntry, &mut Content<'_>) -> Result<ControlFlow<()>> + 'v;

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
    loop {
        guard.header.set(Some(LONGEST_HEADER));
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| guard.explain(error))?;
        let described = described(&mut entry).map_err(|error| guard.explain(error))?;
        let stored = entry.size();
        let Some((described, sparse)) = described else { continue };
        guard.entry(&described.kind)?;
        let mut entry: Box<dyn Read + '_> = match sparse {
            Some(sparse) => Box::new(sparse.filled(entry, stored).map_err(|error| guard.explain(error))?),
            None => Box::new(entry),
        };
        guard.header.set(None);
        let mut entry = ComingOut { inner: &mut entry, guard };
        let mut content = Content { reader: &mut entry, guard };
        if visit(&described, &mut content)?.is_break() {
            return Ok(());
        }
        content.drain()?;
    }
    // Zeroes, and the checksum of the compression.
    guard.header.set(None);
    Content { reader: &mut archive.into_inner(), guard }.drain()?;
    Ok(())
}

/// What a tar archive says of an entry, and where its holes are, if it is a file that has some; nothing of one that only
/// says something of others.
fn described<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Option<(ArchiveEntry, Option<Sparse>)>> {
    use tar::EntryType;
    let entry_type = entry.header().entry_type();
    let sparse = extended(entry, entry_type)?;
    let link = |entry: &tar::Entry<'_, R>| entry.link_name_bytes().unwrap_or_default().into_owned();
    let size = sparse.as_ref().map_or_else(|| entry.size(), |sparse| sparse.size);
    let kind = match entry_type {
        // In archives of the oldest kind a directory is a file whose name ends so.
        EntryType::Regular if entry.path_bytes().ends_with(b"/") && sparse.is_none() => EntryKind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => EntryKind::File(size),
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Symlink(link(entry)),
        EntryType::Link => EntryKind::HardLink(link(entry)),
        EntryType::Char | EntryType::Block => EntryKind::Other("a device"),
        EntryType::Fifo => EntryKind::Other("a named pipe"),
        EntryType::XGlobalHeader => return Ok(None),
        _ => EntryKind::Other("of an unknown kind"),
    };
    let name = sparse.as_ref().and_then(|sparse| sparse.name.clone());
    let described = ArchiveEntry {
        name: name.unwrap_or_else(|| entry.path_bytes().into_owned()),
        kind,
        mode: Some(entry.header().mode()? & 0o7777),
        modified: i64::try_from(entry.header().mtime()?).ok(),
    };
    Ok(Some((described, sparse)))
}

/// Reads the extended headers of an entry for what the library does not know: holes, and what is said of all entries.
fn extended<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    entry_type: tar::EntryType,
) -> io::Result<Option<Sparse>> {
    use tar::EntryType;
    let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let Some(extensions) = entry.pax_extensions()? else { return Ok(None) };
    let mut headers = Vec::new();
    for header in extensions {
        // One that holds a line break is not understood by the library, which would take another name instead.
        let Ok(header) = header else { return wrong("an extended header cannot be understood") };
        headers.push((header.key_bytes(), header.value_bytes()));
    }
    let of_one = |key: &[u8]| {
        matches!(key, b"path" | b"linkpath" | b"size" | b"SCHILY.realsize") || key.starts_with(b"GNU.sparse.")
    };
    if entry_type == EntryType::XGlobalHeader {
        if headers.iter().any(|(key, _)| of_one(key)) {
            return wrong("a global header gives all entries one name or size");
        }
        return Ok(None);
    }
    let sparse = Sparse::of_headers(headers.into_iter())?;
    if sparse.is_some() && !matches!(entry_type, EntryType::Regular | EntryType::Continuous) {
        return wrong("it has holes, and is no ordinary file");
    }
    Ok(sparse)
}

/// A reader that fails when the run is asked to stop.
#[cfg(feature = "zip")]
struct UntilStopped<'a, R> {
    inner: R,
    guard: &'a Guard<'a>,
}

#[cfg(feature = "zip")]
impl<R: Read> Read for UntilStopped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.guard.before()?;
        self.inner.read(buffer)
    }
}

#[cfg(feature = "zip")]
impl<R: io::Seek> io::Seek for UntilStopped<'_, R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(feature = "zip")]
fn zip_entries(file: File, guard: &Guard<'_>, visit: &mut Visit<'_>) -> Result<()> {
    let damaged = |error: zip::result::ZipError| guard.explain(error.into());
    let file = UntilStopped { inner: BufReader::new(file), guard };
    let mut archive = zip::ZipArchive::new(file).map_err(damaged)?;
    if archive.len() as u64 > guard.limits.entries {
        return Err(ReadError::TooMany { limit: guard.limits.entries }.into());
    }
    for index in 0..archive.len() {
        // One without content reads nothing, and does not ask.
        guard.before().map_err(|error| guard.explain(error))?;
        let entry = archive.by_index(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let (system, attributes) = (entry.system(), entry.external_attributes());
        let described = super::zip_kind::described(name, system, attributes, entry.size());
        let (name, kind, mode) = described.map_err(|error| guard.explain(error))?;
        let mut entry = ComingOut { inner: entry, guard };
        let kind = match kind {
            EntryKind::Symlink(_) => {
                let mut target = Vec::new();
                let read = Read::take(&mut entry, LONGEST_LINK + 1).read_to_end(&mut target);
                read.map_err(|error| guard.explain(error))?;
                EntryKind::Symlink(target)
            }
            kind => kind,
        };
        guard.entry(&kind)?;
        let mut content = Content { reader: &mut entry, guard };
        if visit(&ArchiveEntry { name, kind, mode, modified: None }, &mut content)?.is_break() {
            return Ok(());
        }
        content.drain()?;
    }
    Ok(())
}
