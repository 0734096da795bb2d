//! Opens paths safely: a symbolic link is followed only if root, the effective user and the owner of `/` are the only users who
//! could have created it, also before its directory became what it is now.
//!
//! A path without links costs one system call; where there are some, each step is taken from a directory that is open
//! already, so that what was judged is what is used.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, CWD, FileType, Mode as RawMode, OFlags, Stat};
use rustix::io::Errno;

/// What a path does at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// What is meant is the link's target.
    Follow,
    /// What is meant is the link itself.
    Stay,
}

/// Why a path leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{}", io::Error::from(*.0))]
    System(Errno),
    #[error(
        "{} is a symbolic link that {who} could have created, so it is not followed; use the path that it leads to, or see to \
         it that the link is your own or root's, and its directory writable by its owner alone",
        .link.display()
    )]
    Link { link: PathBuf, who: String },
    #[error(
        "it has several names (hard links), and {who} could have created this one; remove the others, or make its directory \
         writable by its owner alone"
    )]
    HardLink { who: String },
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Fault::System(errno)
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::System(errno) => errno.into(),
            refused => io::Error::new(io::ErrorKind::PermissionDenied, refused),
        }
    }
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// As many links as Linux follows on one path.
const MOST_LINKS: u32 = 40;

/// How a directory is opened to go on from there.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A name in a directory that is open.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: OwnedFd,
    pub(crate) name: OsString,
    /// Whether it is one of the links of `/proc`, which only the system can follow.
    magic: bool,
}

impl Place {
    /// Opens what has the name; a link is not followed.
    pub(crate) fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let links = if self.magic { OFlags::empty() } else { OFlags::NOFOLLOW };
        rustix::fs::openat(&self.directory, &self.name, flags | links | OFlags::CLOEXEC, RawMode::empty())
    }

    /// What has the name, a link not followed; `None` for nothing.
    pub(crate) fn stat(&self) -> Result<Option<Stat>, Errno> {
        let links = if self.magic { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        none_if_missing(rustix::fs::statat(&self.directory, &self.name, links))
    }

    pub(crate) fn read_link(&self) -> Result<PathBuf, Errno> {
        read_link_at(&self.directory, &self.name)
    }
}

fn none_if_missing<T>(found: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn read_link_at(directory: impl AsFd, name: &OsStr) -> Result<PathBuf, Errno> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// Opens what is at `path`. What is opened for reading alone should be so with `NONBLOCK`, for it may be a pipe.
///
/// # Errors
/// [`Fault::Link`] for a link that is not followed; `LOOP` for one at the end where links stay.
pub(crate) fn open(path: &Path, links: Links, flags: OFlags) -> Result<OwnedFd> {
    let flags =
        flags | OFlags::CLOEXEC | if links == Links::Stay { OFlags::NOFOLLOW } else { OFlags::empty() };
    match open_without_links(path, flags)? {
        Some(opened) => Ok(opened),
        None => Ok(walk(path, links)?.open(flags)?),
    }
}

/// What is at `path`; `None` for nothing.
///
/// # Errors
/// As [`open`].
pub(crate) fn stat(path: &Path, links: Links) -> Result<Option<Stat>> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match open_without_links(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC) {
        Ok(Some(opened)) => {
            let stat = rustix::fs::fstat(&opened)?;
            if links == Links::Stay || !is_link(&stat) {
                return Ok(Some(stat));
            }
        }
        Ok(None) => {}
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    match walk(path, links) {
        Ok(place) => Ok(place.stat()?),
        Err(Fault::System(Errno::NOENT)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The directory that `path` ends in, open, and the name there: what has it need not exist.
///
/// # Errors
/// As [`open`].
pub(crate) fn place(path: &Path, links: Links) -> Result<Place> {
    if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
        && path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes())
    {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if let Some(directory) = open_without_links(parent, STEP)? {
            let place = Place { directory, name: name.to_owned(), magic: false };
            if links == Links::Stay || !place.stat()?.as_ref().is_some_and(is_link) {
                return Ok(place);
            }
        }
    }
    walk(path, links)
}

/// Where the link at `path` leads, as it is written there.
///
/// # Errors
/// As [`open`]; `INVAL` where it is no link.
pub(crate) fn read_link(path: &Path) -> Result<PathBuf> {
    Ok(place(path, Links::Stay)?.read_link()?)
}

/// Refuses the link at `path`, unless it may be followed.
///
/// # Errors
/// [`Fault::Link`] then.
pub(crate) fn may_follow(path: &Path) -> Result<()> {
    let place = place(path, Links::Stay)?;
    match place.stat()? {
        Some(stat) if is_link(&stat) => trusted(&place.directory, &stat)
            .map_err(|who| Fault::Link { link: path.to_owned(), who: who.to_string() }),
        _ => Ok(()),
    }
}

fn has_several_names(file: &Stat) -> bool {
    file.st_nlink > 1 && FileType::from_raw_mode(file.st_mode) == FileType::RegularFile
}

/// Who could have created the names in a directory, as it is now. To be taken before a directory changes hands: its names
/// remain those that its owner so far has given.
#[derive(Debug)]
pub(crate) struct Around {
    directory: Stat,
    others: Option<Other>,
}

impl Around {
    /// # Errors
    /// When the directory cannot be looked at.
    pub(crate) fn of(directory: impl AsFd) -> Result<Self, Errno> {
        let found = rustix::fs::fstat(&directory)?;
        Ok(Around { others: writable_by_others(&directory, &found).err(), directory: found })
    }

    /// Refuses a file with several names if another user could have created this one: a hard link to a file that they may not
    /// change would have it changed for them.
    ///
    /// # Errors
    /// [`Fault::HardLink`] then.
    pub(crate) fn judge_hard_link(&self, file: &Stat) -> Result<()> {
        if !has_several_names(file) {
            return Ok(());
        }
        let refused = |who: &Other| Err(Fault::HardLink { who: who.to_string() });
        match &self.others {
            None if is_trusted(file.st_uid) => Ok(()),
            // The directory may have been that user's, or another one's, when the file got this name.
            None => refused(&Other::User(file.st_uid)),
            Some(who) => {
                let is_owners = file.st_uid == self.directory.st_uid && !is_trusted(file.st_uid);
                // One of the owner's own files, with names that its owner has given it.
                if is_owners && self.directory.st_mode & 0o002 == 0 { Ok(()) } else { refused(who) }
            }
        }
    }
}

/// As [`Around::judge_hard_link`], of the file that was found at `path`.
///
/// # Errors
/// As there.
pub(crate) fn judge_hard_link_at(path: &Path, links: Links, file: &Stat) -> Result<()> {
    if !has_several_names(file) {
        return Ok(());
    }
    Around::of(&place(path, links)?.directory)?.judge_hard_link(file)
}

/// Opens what is at `path` below a directory that is open, without following any link.
///
/// # Errors
/// Also where there is a link on the way or at the end.
pub(crate) fn open_below(directory: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    let mut steps = path.components().peekable();
    while let Some(Component::Normal(step)) = steps.next() {
        let flags = if steps.peek().is_some() { STEP } else { flags | OFlags::CLOEXEC };
        let from = at.as_ref().map_or_else(|| directory.as_fd(), AsFd::as_fd);
        at = Some(rustix::fs::openat(from, step, flags | OFlags::NOFOLLOW, RawMode::empty())?);
    }
    at.ok_or(Errno::INVAL)
}

/// `None` where there is a link on the way, or the system cannot open without following any.
fn open_without_links(path: &Path, flags: OFlags) -> Result<Option<OwnedFd>, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::ResolveFlags;
        match rustix::fs::openat2(CWD, path, flags, RawMode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(opened) => Ok(Some(opened)),
            // Older kernels do not know the call, and sandboxes forbid it.
            Err(Errno::LOOP | Errno::NOSYS | Errno::PERM | Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (path, flags);
        Ok(None)
    }
}

/// The steps of a path, the last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    steps.rev().collect()
}

fn start(path: &Path) -> Result<(OwnedFd, PathBuf), Errno> {
    let start = if path.is_absolute() { "/" } else { "." };
    let at = rustix::fs::open(start, STEP, RawMode::empty())?;
    Ok((at, if path.is_absolute() { PathBuf::from("/") } else { PathBuf::new() }))
}

/// Takes one step after the other.
fn walk(path: &Path, links: Links) -> Result<Place> {
    if path.as_os_str().is_empty() {
        return Err(Errno::NOENT.into());
    }
    let (mut at, mut way) = start(path)?;
    let mut todo = steps(path);
    let mut followed = 0;
    loop {
        let Some(name) = todo.pop() else {
            return Ok(Place { directory: at, name: ".".into(), magic: false });
        };
        if name == ".." {
            at = rustix::fs::openat(&at, "..", STEP, RawMode::empty())?;
            way.push("..");
            continue;
        }
        let is_last = todo.is_empty();
        if is_last && links == Links::Stay {
            return Ok(Place { directory: at, name, magic: false });
        }
        if !is_last {
            match rustix::fs::openat(&at, &name, STEP | OFlags::NOFOLLOW, RawMode::empty()) {
                Ok(next) => {
                    at = next;
                    way.push(&name);
                    continue;
                }
                // No directory: a link, perhaps.
                Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let link = match rustix::fs::statat(&at, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_link(&stat) => stat,
            Ok(_) if !is_last => return Err(Errno::NOTDIR.into()),
            Err(errno) if !is_last => return Err(errno.into()),
            Ok(_) | Err(Errno::NOENT) => return Ok(Place { directory: at, name, magic: false }),
            Err(errno) => return Err(errno.into()),
        };
        way.push(&name);
        trusted(&at, &link).map_err(|who| Fault::Link { link: way.clone(), who: who.to_string() })?;
        followed += 1;
        if followed > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        if is_of_proc(&at) {
            if is_last {
                return Ok(Place { directory: at, name, magic: true });
            }
            at = rustix::fs::openat(&at, &name, STEP, RawMode::empty())?;
            continue;
        }
        let target = read_link_at(&at, &name)?;
        if target.is_absolute() {
            (at, way) = start(&target)?;
        } else {
            way.pop();
        }
        todo.extend(steps(&target));
    }
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// Links such as `/proc/self/fd/0` lead where no path does.
fn is_of_proc(directory: &OwnedFd) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        const PROC: u64 = 0x9fa0;
        rustix::fs::fstatfs(directory)
            .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == PROC))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = directory;
        false
    }
}

/// Whoever else can write to a file or directory.
#[derive(Debug)]
pub(crate) enum Other {
    User(u32),
    Group(u32),
    Listed,
    Anybody,
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |name: Option<OsString>, id: &u32| {
            name.map_or_else(|| id.to_string(), |name| name.to_string_lossy().into_owned())
        };
        match self {
            Other::User(uid) => {
                let found = uzers::get_user_by_uid(*uid).map(|user| user.name().to_owned());
                write!(f, "the user {}", name(found, uid))
            }
            Other::Group(gid) => {
                let found = uzers::get_group_by_gid(*gid).map(|group| group.name().to_owned());
                write!(f, "the group {}", name(found, gid))
            }
            Other::Listed => f.write_str("a user on its access control list"),
            Other::Anybody => f.write_str("anybody"),
        }
    }
}

/// Whether this user could do anything here in any case.
pub(crate) fn is_trusted(uid: u32) -> bool {
    // The owner of `/` can replace anything below it. In a user namespace it may be shown as `nobody`.
    static OWNER_OF_ALL: OnceLock<u32> = OnceLock::new();
    let owner_of_all = || rustix::fs::statat(CWD, "/", AtFlags::empty()).map_or(0, |root| root.st_uid);
    uid == 0 || uid == rustix::process::geteuid().as_raw() || uid == *OWNER_OF_ALL.get_or_init(owner_of_all)
}

pub(super) fn is_trusted_group(gid: u32) -> bool {
    // Of a user who is not root, the group is most often theirs alone.
    gid == 0 || !rustix::process::geteuid().is_root() && gid == rustix::process::getegid().as_raw()
}

/// Who else can write to what is open, beside those who are trusted and `user`.
///
/// # Errors
/// When it cannot be looked at.
pub(crate) fn who_else_writes(opened: impl AsFd, user: Option<u32>) -> Result<Option<Other>, Errno> {
    let found = rustix::fs::fstat(&opened)?;
    Ok(writable_by_any_but(user, opened, &found).err())
}

/// Who else can write to the directory.
fn writable_by_others(directory: impl AsFd, found: &Stat) -> Result<(), Other> {
    writable_by_any_but(None, directory, found)
}

fn writable_by_any_but(user: Option<u32>, directory: impl AsFd, found: &Stat) -> Result<(), Other> {
    if !is_trusted(found.st_uid) && Some(found.st_uid) != user {
        return Err(Other::User(found.st_uid));
    }
    if found.st_mode & 0o002 != 0 {
        return Err(Other::Anybody);
    }
    if found.st_mode & 0o020 != 0 {
        if !is_trusted_group(found.st_gid) {
            return Err(Other::Group(found.st_gid));
        }
        // With an access control list, these bits are the mask of what it grants.
        if has_list(directory) {
            return Err(Other::Listed);
        }
    }
    Ok(())
}

fn has_list(directory: impl AsFd) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let has = |readable: &dyn AsFd| {
            let mut no_room: [u8; 0] = [];
            rustix::fs::fgetxattr(readable.as_fd(), "system.posix_acl_access", &mut no_room[..]).is_ok()
        };
        match rustix::fs::openat(&directory, ".", flags, RawMode::empty()) {
            Ok(readable) => has(&readable),
            // A file, which is open for reading.
            Err(Errno::NOTDIR) => has(&directory),
            // One that cannot be read may have one.
            Err(_) => true,
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = directory;
        false
    }
}

/// Fails with the user who could have created this link in the directory, if there is one beside those who are trusted.
fn trusted(directory: impl AsFd, link: &Stat) -> Result<(), Other> {
    let around = rustix::fs::fstat(&directory).map_err(|_| Other::Anybody)?;
    let Err(who) = writable_by_others(&directory, &around) else {
        // One that another user has put there before the directory changed hands still leads where they want.
        return if is_trusted(link.st_uid) { Ok(()) } else { Err(Other::User(link.st_uid)) };
    };
    // In a sticky directory such as `/tmp`, users cannot rename or replace the files of others.
    let is_sticky = around.st_mode & 0o1000 != 0;
    let is_own = is_sticky && is_trusted(around.st_uid) && is_trusted(link.st_uid) && link.st_nlink == 1;
    if is_own { Ok(()) } else { Err(who) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// The file that both ways of taking a path come to, or the error.
    fn found(path: &Path, links: Links) -> Result<u64, String> {
        let id = |stat: Stat| stat.st_ino;
        let at_once = stat(path, links).map(|found| found.map(id)).map_err(|fault| fault.to_string());
        let stepwise = match walk(path, links) {
            Ok(place) => Ok(place.stat().unwrap().map(id)),
            Err(Fault::System(Errno::NOENT)) => Ok(None),
            Err(fault) => Err(fault.to_string()),
        };
        assert_eq!(at_once, stepwise, "{}", path.display());
        at_once.map(Option::unwrap_or_default)
    }

    #[test]
    fn step_by_step_a_path_leads_where_the_system_leads_it() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), "").unwrap();
        symlink("a", at("relative")).unwrap();
        symlink(at("relative/b"), at("absolute")).unwrap();
        symlink("../b/./file", at("a/b/up")).unwrap();
        symlink("circle", at("circle")).unwrap();
        symlink("nowhere", at("nothing")).unwrap();
        let paths = [
            "",
            ".",
            "a",
            "a/",
            "a/..",
            "a/b/../b/file",
            "relative/b/file",
            "absolute/file",
            "absolute/up",
            "absolute/..",
            "relative/b/..",
            "a/b/file/below",
            "nothing",
            "nothing/below",
            "circle",
            "circle/below",
            "none",
            "none/..",
        ];
        for path in paths.map(at) {
            match (found(&path, Links::Follow), fs::metadata(&path)) {
                (Ok(found), Ok(known)) => assert_eq!(found, known.ino(), "{}", path.display()),
                (Ok(found), Err(_)) => assert_eq!(found, 0, "{}", path.display()),
                (Err(_), known) => assert!(known.is_err(), "{}", path.display()),
            }
        }
        for path in ["relative", "a/b/up", "absolute/up", "relative/b", "nothing", "circle"].map(at) {
            let known = fs::symlink_metadata(&path).unwrap().ino();
            assert_eq!(found(&path, Links::Stay), Ok(known), "{}", path.display());
        }
        assert_eq!(found(Path::new("/"), Links::Follow), Ok(fs::metadata("/").unwrap().ino()));
    }

    #[test]
    fn below_a_directory_no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        symlink("b", root.path().join("a/link")).unwrap();
        let directory = open(root.path(), Links::Follow, OFlags::RDONLY).unwrap();
        let open = |path: &str| open_below(&directory, Path::new(path), OFlags::RDONLY).map(drop);
        assert_eq!(open("a/b"), Ok(()));
        assert!(
            open("a/link").is_err()
                && open("a/link/x").is_err()
                && open("../x").is_err()
                && open("").is_err()
        );
    }
}
