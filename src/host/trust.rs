//! Which directories and files may be believed: those that nobody but this user, and root, can have written.
//!
//! Whoever writes the journal decides what a later start removes and whose processes it ends. Opens things step by step
//! and by descriptor, so that what was looked at is what is used.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Why something cannot be used.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Others can have written it: what, and why.
    Untrusted { path: PathBuf, why: String },
    /// The system says so.
    Io(io::Error),
}

impl Refused {
    /// As an error of the system's, for those who know no other.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Refused::Io(error) => error,
            Refused::Untrusted { path, why } => io::Error::other(format!("{}: {why}", path.display())),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Refused::Io(error)
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Refused::Io(errno.into())
    }
}

/// As many symbolic links as Linux itself follows on the way to a file.
const MOST_LINKS: usize = 40;

#[cfg(any(target_os = "linux", target_os = "android"))]
const ON_THE_WAY: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ON_THE_WAY: OFlags = OFlags::RDONLY;

/// A directory that is this user's own.
#[derive(Debug)]
pub(crate) struct OwnDirectory {
    pub(crate) file: File,
}

impl OwnDirectory {
    /// Opens the directory at `path`; `None` where there is none.
    ///
    /// # Errors
    /// When it, or one above it, is not to be trusted, or cannot be opened.
    pub(crate) fn find(path: &Path) -> Result<Option<OwnDirectory>, Refused> {
        walk(path, false).map(|found| found.map(|file| OwnDirectory { file }))
    }

    /// As [`find`](OwnDirectory::find); what is missing is made, for this user alone.
    ///
    /// # Errors
    /// As there, and when it cannot be made.
    pub(crate) fn make(path: &Path) -> Result<OwnDirectory, Refused> {
        match walk(path, true)? {
            Some(file) => Ok(OwnDirectory { file }),
            None => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        }
    }

    /// Opens a file in it, which has to be this user's own, and is not followed where it is a link; `shown` is the path
    /// for people.
    ///
    /// # Errors
    /// When it is not to be trusted, or cannot be opened.
    pub(crate) fn open(&self, name: &str, flags: OFlags, shown: &Path) -> Result<File, Refused> {
        open_own(self.file.as_fd(), name, flags, shown)
    }
}

/// As [`OwnDirectory::open`], in a directory that is known to be this user's own.
pub(crate) fn open_own(
    directory: impl AsFd,
    name: &str,
    flags: OFlags,
    shown: &Path,
) -> Result<File, Refused> {
    let untrusted = |why: String| Refused::Untrusted { path: shown.to_owned(), why };
    // Without NONBLOCK, to open a pipe would wait for whoever has its other end.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => file,
        Err(Errno::LOOP | Errno::MLINK) => {
            return Err(untrusted("it is a symbolic link; remove it".to_owned()));
        }
        Err(errno) => return Err(errno.into()),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a file").into());
    }
    not_own(&stat).map_or(Ok(File::from(file)), |why| Err(untrusted(why)))
}

/// Goes to a directory from the root on. `None` where one on the way is missing, and not to be made.
fn walk(path: &Path, make: bool) -> Result<Option<File>, Refused> {
    let absolute = std::path::absolute(path)?;
    let mut todo: Vec<OsString> = reversed(&absolute);
    let mut at = PathBuf::from("/");
    let mut directory = open_directory(CWD, OsStr::new("/"), ON_THE_WAY)?;
    let mut links = 0;
    while let Some(name) = todo.pop() {
        // Who may write to this one decides what the next name means.
        let stat = rustix::fs::fstat(&directory)?;
        if let Some(why) = lets_others_in(&stat) {
            return Err(Refused::Untrusted { path: at, why });
        }
        if name == "/" {
            at = PathBuf::from("/");
            directory = open_directory(CWD, OsStr::new("/"), ON_THE_WAY)?;
            continue;
        }
        if name == ".." {
            at.pop();
            directory = open_directory(directory, &name, ON_THE_WAY)?;
            continue;
        }
        let next = at.join(&name);
        match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                // In a directory such as /tmp, everybody may put a link.
                if let Some(why) = is_others(&stat) {
                    return Err(Refused::Untrusted { path: next, why });
                }
                let target = rustix::fs::readlinkat(&directory, &name, Vec::new())?;
                todo.extend(reversed(Path::new(&OsString::from_vec(target.into_bytes()))));
                continue;
            }
            Ok(_) => {}
            Err(Errno::NOENT) if make => {
                match rustix::fs::mkdirat(&directory, &name, Mode::RWXU) {
                    // Another start of this user's may have been quicker; whoever it was is looked at below.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
                // Brings its name to the disk.
                let above = open_directory(&directory, OsStr::new("."), OFlags::RDONLY)?;
                rustix::fs::fsync(above)?;
            }
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        directory = open_directory(directory, &name, ON_THE_WAY)?;
        at = next;
    }
    let stat = rustix::fs::fstat(&directory)?;
    if let Some(why) = not_own(&stat) {
        return Err(Refused::Untrusted { path: at, why });
    }
    Ok(Some(File::from(open_directory(directory, OsStr::new("."), OFlags::RDONLY)?)))
}

/// The parts of a path, the first one last; a root as `/`.
fn reversed(path: &Path) -> Vec<OsString> {
    let part = |component: Component<'_>| match component {
        Component::CurDir | Component::Prefix(_) => None,
        other => Some(other.as_os_str().to_owned()),
    };
    path.components().rev().filter_map(part).collect()
}

fn open_directory(directory: impl AsFd, name: &OsStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

const STICKY: u32 = 0o1000;

/// Why this is neither root's nor this user's, where it is not.
fn is_others(stat: &Stat) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    let is_theirs = stat.st_uid != 0 && stat.st_uid != own;
    is_theirs.then(|| format!("it belongs to user {}, who could put anything into it", stat.st_uid))
}

/// Why others can decide what is in this directory, on the way to one of this user's own, where they can. Those in which
/// all may make names, and none may take away those of others, are for everybody.
fn lets_others_in(stat: &Stat) -> Option<String> {
    let mode = mode_of(stat);
    // On systems that give each user a group of the same number, what it may write nobody else may.
    let own = rustix::process::geteuid().as_raw();
    let writable = if stat.st_gid == own { 0o002 } else { 0o022 };
    is_others(stat).or_else(|| (mode & STICKY == 0).then(|| by_others(mode & writable)).flatten())
}

/// Why this is not this user's own and nobody else's, where it is not.
fn not_own(stat: &Stat) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Some(format!("it belongs to user {}, and this is user {own}", stat.st_uid));
    }
    by_others(mode_of(stat) & 0o022)
}

#[allow(clippy::useless_conversion, reason = "it is smaller on other systems")]
fn mode_of(stat: &Stat) -> u32 {
    u32::from(stat.st_mode)
}

fn by_others(writable: u32) -> Option<String> {
    match writable {
        0 => None,
        0o020 => Some("its group may write to it; take that away (chmod g-w)".to_owned()),
        0o002 => Some("everybody may write to it; take that away (chmod o-w)".to_owned()),
        _ => Some("its group and everybody may write to it; take that away (chmod go-w)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn why(result: Result<impl std::fmt::Debug, Refused>) -> (PathBuf, String) {
        match result {
            Err(Refused::Untrusted { path, why }) => (path, why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_made_is_for_this_user_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        assert!(OwnDirectory::find(&path).unwrap().is_none());
        let own = OwnDirectory::make(&path).unwrap();
        let file = own.open("file", OFlags::WRONLY | OFlags::CREATE, &path.join("file")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(OwnDirectory::find(&path).unwrap().is_some());
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused_and_so_is_one_below_it() {
        let root = tempfile::tempdir().unwrap();
        let (above, own) = (root.path().join("above"), root.path().join("above/own"));
        OwnDirectory::make(&own).unwrap();
        for mode in [0o777, 0o702] {
            set_mode(&own, mode);
            assert_eq!(why(OwnDirectory::find(&own)).0, own, "{mode:o}");
        }
        set_mode(&own, 0o770);
        assert_eq!(why(OwnDirectory::find(&own)).1, "its group may write to it; take that away (chmod g-w)");
        set_mode(&own, 0o700);
        set_mode(&above, 0o777);
        assert_eq!(why(OwnDirectory::make(&own)).0, above);
        // As /tmp is; but what is used itself has to be this user's alone.
        set_mode(&above, 0o1777);
        OwnDirectory::find(&own).unwrap().unwrap();
        assert_eq!(why(OwnDirectory::find(&above)).0, above);
    }

    #[test]
    fn links_lead_on_and_a_file_that_is_one_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (own, link) = (root.path().join("own"), root.path().join("link"));
        let found = OwnDirectory::make(&own).unwrap();
        symlink("own/../own", &link).unwrap();
        assert!(OwnDirectory::find(&link).unwrap().is_some());
        symlink("circle", root.path().join("circle")).unwrap();
        assert!(matches!(OwnDirectory::find(&root.path().join("circle")), Err(Refused::Io(_))));
        fs::write(root.path().join("elsewhere"), "").unwrap();
        symlink("../elsewhere", own.join("file")).unwrap();
        assert_eq!(
            why(found.open("file", OFlags::RDONLY, &own.join("file"))).1,
            "it is a symbolic link; remove it"
        );
        fs::remove_file(own.join("file")).unwrap();
        fs::write(own.join("file"), "").unwrap();
        set_mode(&own.join("file"), 0o666);
        assert_eq!(why(found.open("file", OFlags::RDONLY, &own.join("file"))).0, own.join("file"));
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "people should see it")]
    fn what_belongs_to_others_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (above, own) = (root.path().join("above"), root.path().join("above/own"));
        OwnDirectory::make(&own).unwrap();
        if std::os::unix::fs::chown(&above, Some(65_534), None).is_err() {
            eprintln!("skipped: only root can give files away");
            return;
        }
        assert_eq!(why(OwnDirectory::find(&own)).0, above);
        assert_eq!(why(OwnDirectory::make(&above)).0, above);
        let link = root.path().join("link");
        symlink("above", &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
        assert_eq!(why(OwnDirectory::find(&link)).0, link);
    }
}
