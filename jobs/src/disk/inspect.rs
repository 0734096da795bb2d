//! What is at a path: nothing, a file that can be read, a directory, a link, something else.
//!
//! Changes nothing. What cannot be read is an error, never "nothing"; so is a link that another user could have created (see
//! [`at`](super::at)).

use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::at::{self, Fault};
use super::mode::Mode;

pub(crate) use super::at::Links;

/// How much of a file is held in memory to be shown or edited: text up to here gets a diff, more is hashed in pieces.
pub(crate) const TEXT_LIMIT: usize = 1024 * 1024;

/// Read from the system in pieces of this size, which lie on the stack.
const PIECE: usize = 16 * 1024;

/// What is known of something without reading it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub(crate) kind: FileType,
    pub(crate) mode: Mode,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// When its content changed last: seconds and nanoseconds since 1970.
    pub(crate) modified: (i64, u32),
    /// The file system, and the number there: two names of one file have the same.
    pub(crate) id: (u64, u64),
}

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    reason = "the fields' types differ by platform"
)]
impl From<Stat> for Meta {
    fn from(stat: Stat) -> Self {
        Meta {
            kind: FileType::from_raw_mode(stat.st_mode.into()),
            mode: Mode::new(u32::from(stat.st_mode) & 0o7777),
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            id: (stat.st_dev as u64, stat.st_ino as u64),
        }
    }
}

impl Meta {
    pub(crate) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.kind == FileType::Symlink
    }

    /// "a directory", "a socket" …
    pub(crate) fn what(&self) -> &'static str {
        match self.kind {
            FileType::RegularFile => "a file",
            FileType::Directory => "a directory",
            FileType::Symlink => "a symbolic link",
            FileType::Fifo => "a named pipe",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Unknown => "of an unknown kind",
        }
    }
}

/// What is at a path.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    File(OpenFile),
    Directory(Meta),
    /// Found only by [`Links::Stay`].
    Symlink(PathBuf, Meta),
    /// A device, a pipe, a socket.
    Other(Meta),
}

impl Found {
    /// What is there, in words; `None` for nothing.
    pub(crate) fn what(&self) -> Option<&'static str> {
        self.meta().map(|meta| meta.what())
    }

    pub(crate) fn meta(&self) -> Option<&Meta> {
        match self {
            Found::Nothing => None,
            Found::File(file) => Some(&file.meta),
            Found::Directory(meta) | Found::Symlink(_, meta) | Found::Other(meta) => Some(meta),
        }
    }
}

/// A regular file that was opened for reading. Each method reads on from where the last one stopped; see
/// [`rewind`](OpenFile::rewind).
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) meta: Meta,
}

/// Opens what is at `path`, in two system calls where it is a file or nothing. Of a device or a pipe nothing is read,
/// and nobody is waited for.
///
/// # Errors
/// [`CouldNotFindOut`], with a hint, for whatever stands between us and the answer.
pub(crate) fn open(path: &Path, links: Links) -> Result<Found> {
    match at::open(path, links, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
        Ok(fd) => {
            let stat = rustix::fs::fstat(&fd).map_err(|errno| unseen(path, errno))?;
            at::judge_hard_link_at(path, links, &stat).map_err(|fault| refused(path, fault))?;
            let meta = Meta::from(stat);
            Ok(match meta.kind {
                FileType::RegularFile => Found::File(OpenFile { file: File::from(fd), meta }),
                FileType::Directory => Found::Directory(meta),
                _ => Found::Other(meta),
            })
        }
        Err(Fault::System(Errno::NOENT)) => Ok(Found::Nothing),
        // A link (FreeBSD says it with EMLINK), a socket, a device without a driver: not to be opened, but to be seen.
        Err(Fault::System(
            errno @ (Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP),
        )) => match meta(path, links)? {
            Some(meta) if meta.is_symlink() => Ok(Found::Symlink(read_link(path)?, meta)),
            Some(meta) if !meta.is_file() && !meta.is_dir() => Ok(Found::Other(meta)),
            _ => Err(unseen(path, errno)),
        },
        Err(fault) => Err(refused(path, fault)),
    }
}

/// What is at `path`, without reading it; `None` for nothing.
///
/// # Errors
/// As [`open`].
pub(crate) fn meta(path: &Path, links: Links) -> Result<Option<Meta>> {
    match at::stat(path, links) {
        Ok(stat) => Ok(stat.map(Meta::from)),
        Err(fault) => Err(refused(path, fault)),
    }
}

/// As [`meta`], links not followed, where a file on the way means that there is nothing behind it.
///
/// # Errors
/// As [`open`].
pub(crate) fn meta_if_any(path: &Path) -> Result<Option<Meta>> {
    match at::stat(path, Links::Stay) {
        Ok(stat) => Ok(stat.map(Meta::from)),
        Err(Fault::System(Errno::NOTDIR)) => Ok(None),
        Err(fault) => Err(refused(path, fault)),
    }
}

/// Where the link at `path` leads, as it is written there.
///
/// # Errors
/// As [`open`]; also when it is no link any more.
pub(crate) fn read_link(path: &Path) -> Result<PathBuf> {
    at::read_link(path).map_err(|fault| refused(path, fault))
}

/// As [`unseen`]; what is refused now is refused at every try.
pub(crate) fn refused(path: &Path, fault: Fault) -> anyhow::Error {
    match fault {
        Fault::System(errno) => unseen(path, errno),
        fault => {
            CouldNotFindOut::new(format!("what {} is", path.display())).permanent().because(fault).into()
        }
    }
}

/// "could not find out what … is", with what to do about it.
pub(crate) fn unseen(path: &Path, errno: Errno) -> anyhow::Error {
    unknown(path, errno, |path| format!("what {path} is"))
}

/// The same of what is in a directory.
pub(crate) fn unlisted(path: &Path, errno: Errno) -> anyhow::Error {
    unknown(path, errno, |path| format!("what is in {path}"))
}

fn unknown(path: &Path, errno: Errno, what: impl FnOnce(std::path::Display<'_>) -> String) -> anyhow::Error {
    let hint = match errno {
        Errno::ACCESS | Errno::PERM => " (run this as a user who may read it, or as root)".to_owned(),
        Errno::LOOP => " (its symbolic links lead in a circle)".to_owned(),
        Errno::NOTDIR => match non_directory(path) {
            Some(file) => format!(" ({} is no directory)", file.display()),
            None => String::new(),
        },
        _ => String::new(),
    };
    let what = format!("{}{hint}", what(path.display()));
    CouldNotFindOut::new(what).because(io::Error::from(errno)).into()
}

/// The first on the way to `path` that ought to be a directory and is not.
fn non_directory(path: &Path) -> Option<&Path> {
    let outermost_first = path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev();
    outermost_first.filter(|path| !path.as_os_str().is_empty()).find(|path| {
        let found = rustix::fs::statat(CWD, *path, AtFlags::empty()).map(Meta::from);
        found.is_ok_and(|meta| !meta.is_dir())
    })
}

impl OpenFile {
    /// Back to its beginning.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }

    /// Whether its size is that of its content. What the kernel makes up when it is read, in `/proc` and `/sys`, is said to have
    /// none, or a page.
    fn has_true_size(&self) -> io::Result<bool> {
        let is_there = |at: u64| -> io::Result<bool> {
            loop {
                match rustix::io::pread(&self.file, &mut [0], at) {
                    Err(Errno::INTR) => {}
                    read => return Ok(read? > 0),
                }
            }
        };
        let last = self.meta.size.checked_sub(1);
        Ok(last.map_or(Ok(true), is_there)? && !is_there(self.meta.size)?)
    }

    /// Whether these bytes are all that is in it, held against it piece by piece. One more system call for a small
    /// file, two for one of another size.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn is(&self, wanted: &[u8]) -> io::Result<bool> {
        let has_its_size = self.meta.size == wanted.len() as u64;
        if !has_its_size && self.has_true_size()? {
            return Ok(false);
        }
        let mut rest = wanted;
        while !(rest.is_empty() && has_its_size) {
            let mut buffer = [MaybeUninit::uninit(); PIECE];
            let (read, _) = match rustix::io::read(&self.file, &mut buffer) {
                Err(Errno::INTR) => continue,
                read => read?,
            };
            match rest.split_at_checked(read.len()) {
                // The end, or somebody is making it shorter.
                _ if read.is_empty() => return Ok(rest.is_empty()),
                Some((piece, after)) if piece == &*read => rest = after,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether the same is in both, held against each other piece by piece.
    ///
    /// # Errors
    /// When one of them cannot be read, or the run was asked to stop.
    pub(crate) fn is_same(&mut self, cx: &Context, other: &mut OpenFile) -> io::Result<bool> {
        self.is_same_unless(&|| cx.is_cancelled(), other)
    }

    fn is_same_unless(&mut self, stopped: &dyn Fn() -> bool, other: &mut OpenFile) -> io::Result<bool> {
        if self.meta.size != other.meta.size && self.has_true_size()? && other.has_true_size()? {
            return Ok(false);
        }
        if self.meta.id == other.meta.id {
            return Ok(true);
        }
        let (mut here, mut there) = ([0; PIECE], [0; PIECE]);
        loop {
            go_on(stopped)?;
            let count = match other.file.read(&mut there) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if count == 0 {
                return Ok(self.file.read(&mut here)? == 0);
            }
            match self.file.read_exact(&mut here[..count]) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                read => read?,
            }
            if here[..count] != there[..count] {
                return Ok(false);
            }
        }
    }

    /// All of it, where it has no more than `limit` bytes. Files of `/proc`, whose size is said to be 0, are read, too.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let limit = limit as u64;
        if self.meta.size > limit {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.meta.size).unwrap_or(0).saturating_add(1));
        Read::take(&mut self.file, limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Its size and hash, read in pieces.
    ///
    /// # Errors
    /// When it cannot be read, or the run was asked to stop.
    pub(crate) fn digest(&mut self, cx: &Context) -> io::Result<Fingerprint> {
        self.digest_unless(&|| cx.is_cancelled())
    }

    /// As [`digest`](OpenFile::digest), on a thread that has no context.
    ///
    /// # Errors
    /// When it cannot be read, or `stopped` says so.
    pub(crate) fn digest_unless(&mut self, stopped: &dyn Fn() -> bool) -> io::Result<Fingerprint> {
        Fingerprint::of(&mut self.file, stopped)
    }
}

/// # Errors
/// When work that may take long has to end.
fn go_on(stopped: &dyn Fn() -> bool) -> io::Result<()> {
    if stopped() { Err(io::Error::other("the run was asked to stop")) } else { Ok(()) }
}

/// Size and SHA-256 of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
}

impl Fingerprint {
    /// Of all that can be read from there, in pieces.
    ///
    /// # Errors
    /// When it cannot be read, or `stopped` says so.
    fn of(source: &mut impl Read, stopped: &dyn Fn() -> bool) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 4 * PIECE];
        let mut size = 0;
        loop {
            go_on(stopped)?;
            match source.read(&mut buffer) {
                Ok(0) => return Ok(Fingerprint { size, sha256: hasher.finalize().into() }),
                Ok(count) => {
                    size += count as u64;
                    hasher.update(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Of bytes that are at hand.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Fingerprint { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    /// The hash, in hexadecimal digits.
    pub(crate) fn hex(&self) -> String {
        hex(&self.sha256)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = if self.size == 1 { "byte" } else { "bytes" };
        write!(f, "{} {bytes}, sha256 {}", self.size, self.hex())
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The text in the file at `path`, links followed, for a check; `None` where there is no such file.
///
/// # Errors
/// [`CouldNotFindOut`] when it cannot be read, has more than `limit` bytes, is no UTF-8, or is no file.
pub(crate) fn read_text(path: &Path, limit: usize) -> Result<Option<String>> {
    let what = || format!("what {} says", path.display());
    let mut file = match open(path, Links::Follow)? {
        Found::Nothing => return Ok(None),
        Found::File(file) => file,
        other => {
            let is = format!("it is {}", other.what().unwrap_or_default());
            return Err(CouldNotFindOut::new(what()).because(is).into());
        }
    };
    match file.read(limit).or_could_not_find_out(what())? {
        Some(bytes) => Ok(Some(String::from_utf8(bytes).or_could_not_find_out(what())?)),
        None => Err(CouldNotFindOut::new(what()).because(format!("it has more than {limit} bytes")).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::Mode as RawMode;

    use super::*;

    fn told(result: Result<Found>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn each_kind_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "text").unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        rustix::fs::mkfifoat(CWD, at("pipe"), RawMode::RUSR | RawMode::WUSR).unwrap();

        assert!(matches!(open(&at("none"), Links::Stay).unwrap(), Found::Nothing));
        assert!(matches!(open(root.path(), Links::Stay).unwrap(), Found::Directory(_)));
        assert!(matches!(open(&at("dangling"), Links::Follow).unwrap(), Found::Nothing));
        assert_eq!(open(&at("socket"), Links::Stay).unwrap().what(), Some("a socket"));
        assert_eq!(open(&at("pipe"), Links::Stay).unwrap().what(), Some("a named pipe"));
        assert_eq!(open(Path::new("/dev/null"), Links::Stay).unwrap().what(), Some("a device"));
        let Found::Symlink(target, _) = open(&at("link"), Links::Stay).unwrap() else { panic!("no link") };
        assert_eq!(target, Path::new("file"));
        let Found::File(mut file) = open(&at("link"), Links::Follow).unwrap() else { panic!("no file") };
        assert_eq!((file.meta.mode, file.meta.size), (Mode::new(0o640), 4));
        assert_eq!(file.read(10).unwrap().unwrap(), b"text");
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("loop", at("loop")).unwrap();
        let shown = root.path().display();
        assert_eq!(
            told(open(&at("file/below/it"), Links::Stay)),
            format!(
                "could not find out what {shown}/file/below/it is ({shown}/file is no directory): Not a directory (os error 20)"
            )
        );
        let circle = "(its symbolic links lead in a circle)";
        assert!(told(open(&at("loop"), Links::Follow)).contains(circle));
        assert!(told(open(&at("loop/file"), Links::Stay)).contains(circle));
        assert!(matches!(open(&at("loop"), Links::Stay).unwrap(), Found::Symlink(..)));
        let long = "x".repeat(300);
        assert!(told(open(&at(&long), Links::Stay)).ends_with("File name too long (os error 36)"));
        assert!(told(open(&at("a\0b"), Links::Stay)).contains("Invalid argument"));
    }

    #[test]
    fn bytes_are_compared_piece_by_piece() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let wanted = vec![b'x'; size];
            fs::write(&path, &wanted).unwrap();
            let is = |bytes: &[u8]| {
                let Found::File(file) = open(&path, Links::Stay).unwrap() else { panic!("no file") };
                file.is(bytes).unwrap()
            };
            assert!(is(&wanted), "{size}");
            assert!(!is(&[&wanted[..], b"x"].concat()), "{size}");
            let Some(last) = size.checked_sub(1) else { continue };
            assert!(!is(&wanted[..last]), "{size}");
            assert!(!is(&[&wanted[..last], b"y"].concat()), "{size}");
        }
    }

    #[test]
    fn two_files_are_compared_piece_by_piece() {
        let root = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| root.path().join(name));
        let same = |here: &[u8], there: &[u8]| {
            fs::write(&one, here).unwrap();
            fs::write(&two, there).unwrap();
            let [Found::File(mut one), Found::File(mut two)] =
                [&one, &two].map(|path| open(path, Links::Stay).unwrap())
            else {
                panic!("no files")
            };
            one.is_same_unless(&|| false, &mut two).unwrap()
        };
        let long = vec![b'x'; 2 * PIECE + 1];
        assert!(same(b"", b"") && same(b"a", b"a") && same(&long, &long));
        assert!(!same(b"", b"a") && !same(b"a", b"b") && !same(&long, &long[1..]));
        let mut other = long.clone();
        other[2 * PIECE] = b'y';
        assert!(!same(&long, &other));
    }

    #[test]
    fn no_more_is_read_than_allowed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "12345").unwrap();
        let read = |limit| {
            let Found::File(mut file) = open(&path, Links::Stay).unwrap() else { panic!("no file") };
            file.read(limit).unwrap()
        };
        assert_eq!(read(5).as_deref(), Some(&b"12345"[..]));
        assert_eq!(read(4), None);
        assert_eq!(read_text(&path, 9).unwrap().as_deref(), Some("12345"));
        assert_eq!(read_text(&root.path().join("none"), 9).unwrap(), None);
        fs::write(&path, b"\xff").unwrap();
        assert!(format!("{:#}", read_text(&path, 9).unwrap_err()).contains("invalid utf-8"));
        assert!(format!("{:#}", read_text(root.path(), 9).unwrap_err()).ends_with("says: it is a directory"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_that_hide_their_size_are_read() {
        let Found::File(mut file) = open(Path::new("/proc/self/status"), Links::Stay).unwrap() else {
            panic!("no file")
        };
        assert!(!file.read(TEXT_LIMIT).unwrap().unwrap().is_empty());
    }

    #[test]
    fn reading_ends_between_two_pieces() {
        let asked = std::cell::Cell::new(0);
        let stopped = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        let mut endless = io::repeat(7);
        let error = Fingerprint::of(&mut endless, &stopped).unwrap_err();
        assert_eq!((error.to_string().as_str(), asked.get()), ("the run was asked to stop", 3));
    }

    #[test]
    fn a_hash_is_the_same_in_pieces_and_at_once() {
        let bytes = vec![7; 5 * PIECE];
        assert_eq!(Fingerprint::of(&mut &bytes[..], &|| false).unwrap(), Fingerprint::of_bytes(&bytes));
        assert_eq!(
            Fingerprint::of_bytes(b"").to_string(),
            "0 bytes, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
