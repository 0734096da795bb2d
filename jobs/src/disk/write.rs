//! Writing so that whoever looks, also after a crash, finds the old or the new, and nothing in between.
//!
//! What is written beside is known to the job's local storage before it exists, so that the cleanup finds it. Knows
//! nothing of what is written.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use dojob::{Context, Permanent};
use rustix::fs::{AtFlags, Mode as RawMode, OFlags};
use rustix::io::Errno;

use super::at::{self};
use super::chown;
use super::in_place;
use super::inspect::{Links, Meta, OpenFile, meta};
use super::owner::{Mode, Resolved};
use super::removal::remove_at;

pub(crate) use super::beside::{BESIDE, KEPT, beside, settle};
use super::beside::{KEY, is_ours, stored};
pub(crate) use super::removal::remove;
pub(crate) use super::target::{directory_of, follow, open_directory};

/// What was judged is not what is there now: another user's file, which is not taken over.
pub(crate) const REPLACED: &str = "it was replaced by a file that another user may write to";

/// The mode of a new file for which none is asked; the same on all machines, whatever the umask.
pub(crate) const NEW_FILE: Mode = Mode::new(0o644);

/// For `cleanup` of every job that writes: removes what a run that did not end has left beside, file or directory. It is
/// looked for in the directories on the way to `target`, that itself among them, as it is named and where links lead.
///
/// # Errors
/// When something is there and cannot be removed, the rest is removed all the same; and when the storage has a name that
/// no run of a job gives, which is left alone.
pub(crate) fn cleanup(cx: &mut Context, target: &Path) -> Result<()> {
    cleanup_of(cx, target)
}

fn cleanup_of(cx: &Context, target: &Path) -> Result<()> {
    chown::finish(cx)?;
    in_place::finish(cx, target)?;
    let names = stored(cx)?;
    if names.is_empty() {
        return Ok(());
    }
    let followed = follow(target).unwrap_or_else(|_| target.to_owned());
    let mut places: Vec<&Path> = target.ancestors().chain(followed.ancestors()).collect();
    places.sort_unstable();
    places.dedup();
    let mut failed = Ok(());
    for name in names {
        if !is_ours(&name) {
            failed = Err(anyhow!(
                "{} is no name that this job gives to what it makes beside {}; it was left alone",
                name.display(),
                target.display()
            ));
            continue;
        }
        for path in places.iter().map(|place| place.join(&name)) {
            match remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotADirectory => {
                    failed = Err(error).with_context(|| format!("failed to remove {}", path.display()));
                }
                _ => {}
            }
        }
    }
    if failed.is_ok() {
        cx.local().remove(KEY);
    }
    failed
}

/// Removes what has this name in the directory at `path`, unless it is a directory (or a link to one).
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove_other(path: &Path, directory: &OwnedFd, name: &OsStr) -> Result<()> {
    match meta(path, Links::Follow)? {
        Some(meta) if meta.is_dir() => Ok(()),
        _ => match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno).with_context(|| format!("failed to remove {}", path.display())),
        },
    }
}

/// Gives something in a directory another name there, unless there is something of that name: `false`.
///
/// # Errors
/// When the system refuses.
pub(crate) fn rename_new(directory: &OwnedFd, from: &OsStr, to: &OsStr) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(directory, from, directory, to, rustix::fs::RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => return Ok(false),
        // Not every file system can do that; then with a look before.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        Err(errno) => return Err(errno.into()),
    }
    if rustix::fs::statat(directory, to, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(false);
    }
    rustix::fs::renameat(directory, from, directory, to)?;
    Ok(true)
}

/// Writes the file at `path` anew: `content` streams into a file beside, which gets mode and owner, is on the disk,
/// and then takes the place of what was there (a link is replaced, not followed; see [`follow`]). What is not asked
/// for is kept as the old file has it, a label and notes of users among it, and an access control list where no mode is asked
/// for; but what a user who is not trusted has put on a file that is taken from them is not. A new file is
/// [`NEW_FILE`], or `0600` where it is confidential, and belongs to whoever makes it. A file that is a mount point of its own
/// is overwritten.
///
/// Other names (hard links) of the old file keep the old content.
///
/// # Errors
/// When any of that fails; then the old file is still there, and nothing beside it as far as that can be removed.
pub(crate) fn write(
    cx: &Context,
    path: &Path,
    attributes: &Resolved,
    content: impl FnOnce(&mut File) -> Result<()>,
) -> Result<()> {
    write_after(cx, path, attributes, content, |_| Ok(()))
}

/// As [`write`]; when the new file is complete, and before it takes the old one's place, `before` is called with where
/// it is: to look whether it will do, or to keep the old one.
///
/// # Errors
/// As there, and those of `before`.
pub(crate) fn write_after(
    cx: &Context,
    path: &Path,
    attributes: &Resolved,
    content: impl FnOnce(&mut File) -> Result<()>,
    before: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let write = || {
        let directory = open_directory(directory_of(path)?)?;
        let beside = beside(cx, path)?;
        let names = [beside.file_name(), path.file_name()].map(Option::unwrap_or_default);
        let written = write_beside(
            &directory,
            names,
            attributes,
            content,
            || before(&beside),
            |wanted| in_place::overwrite(cx, &beside, path, wanted),
        );
        let is_needed = in_place::is_begun(cx)?;
        let is_left = written.as_ref().map_or(true, |is_left| *is_left);
        let written = written.map(drop);
        if is_needed {
            // Half overwritten: the cleanup finishes it.
            return written;
        }
        if is_left
            && let Err(errno) = rustix::fs::unlinkat(&directory, names[0], AtFlags::empty())
            && errno != Errno::NOENT
        {
            // The cleanup tries again, and tells about it.
            return written;
        }
        let settled = settle(cx, &beside);
        written?;
        settled
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}

/// Makes `beside` in `directory`, and `name` of it, or has `name` overwritten where it is a mount point: then `true`, and
/// `beside` is left.
fn write_beside(
    directory: &OwnedFd,
    [beside, name]: [&OsStr; 2],
    attributes: &Resolved,
    content: impl FnOnce(&mut File) -> Result<()>,
    before: impl FnOnce() -> Result<()>,
    overwrite: impl FnOnce(&Resolved) -> Result<()>,
) -> Result<bool> {
    let old = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Some(Meta::from(stat)),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(io::Error::from(errno).into()),
    };
    let wanted = match &old {
        Some(old) if old.is_file() => attributes.or_as(old),
        Some(old) if old.is_dir() => return Err(Permanent::new("there is a directory in its place").into()),
        _ => of_new_file(attributes),
    };
    // Until it has its owner, nobody else may read it.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(directory, beside, flags, RawMode::RUSR | RawMode::WUSR)?;
    let mut file = File::from(fd);
    content(&mut file)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if old.is_some_and(|old| old.is_file() && !attributes.is_taken(&old))
        && let Ok(old) = open_old(directory, name)
    {
        super::xattr::carry_over(&old, &file, wanted.keeps_list)?;
    }
    let made = Meta::from(rustix::fs::fstat(&file)?);
    wanted.set(&file, &made)?;
    file.sync_all()?;
    drop(file);
    before()?;
    match rustix::fs::renameat(directory, beside, directory, name) {
        Err(Errno::BUSY) if old.is_some_and(|old| old.is_file()) => {
            rustix::fs::fsync(directory)?;
            overwrite(&wanted)?;
            return Ok(true);
        }
        renamed => renamed?,
    }
    rustix::fs::fsync(directory)?;
    Ok(false)
}

/// What a new file gets where it is not asked for. A list that its directory has for new files counts where no mode does.
pub(crate) fn of_new_file(attributes: &Resolved) -> Resolved {
    let mode = if attributes.confidential { Mode::new(0o600) } else { NEW_FILE };
    let keeps_list = attributes.mode.is_none() && !attributes.confidential;
    Resolved { mode: attributes.mode.or(Some(mode)), keeps_list, ..*attributes }
}

/// The file that is to be replaced; it may be one that we may replace, and not read.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_old(directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, RawMode::empty())
}

/// Copies all that is left to read, of any size, and ends early when the run is asked to stop.
///
/// # Errors
/// When it cannot be read or written, or was stopped.
pub(crate) fn copy(cx: &Context, from: &File, mut to: &File) -> Result<()> {
    // Large, so that the system can copy without us; small enough to be asked for now and then.
    const PIECE: u64 = 64 * 1024 * 1024;
    while io::copy(&mut from.take(PIECE), &mut to)? > 0 {
        anyhow::ensure!(!cx.is_cancelled(), "stopped while copying");
    }
    Ok(())
}

/// Moves the directory at `path` out of the way while `make` makes something else of that name, and removes it
/// afterwards; when `make` fails it is moved back.
///
/// # Errors
/// Those of `make`, and when the directory cannot be moved (a mount point cannot) or removed.
pub(crate) fn in_place_of_directory(
    cx: &Context,
    path: &Path,
    make: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let parent = open_directory(directory_of(path)?)?;
    let aside = beside(cx, path)?;
    let [name, other] = [path, &aside].map(|path| path.file_name().unwrap_or_default());
    let judged = Meta::from(rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?).id;
    rustix::fs::renameat(&parent, name, &parent, other)
        .with_context(|| format!("failed to move the directory {} away", path.display()))?;
    if let Err(error) = make() {
        rustix::fs::renameat(&parent, other, &parent, name).with_context(|| {
            format!("failed to move {} back to {} after this: {error:#}", aside.display(), path.display())
        })?;
        settle(cx, &aside)?;
        return Err(error);
    }
    remove_at(&parent, other, Some(judged))
        .with_context(|| format!("failed to remove {}", aside.display()))?;
    settle(cx, &aside)
}

/// Keeps the file at `path`, found as `old`, under a second name beside it, before it is replaced: with [`KEPT`]
/// behind its own, in place of the one kept before.
///
/// # Errors
/// When that name cannot be given.
pub(crate) fn keep(cx: &Context, path: &Path, old: &mut OpenFile) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(KEPT);
    let kept = PathBuf::from(name);
    let mut keep = || {
        let directory = open_directory(directory_of(path)?)?;
        let beside = beside(cx, path)?;
        let [name, other, new] = [path, &beside, &kept].map(|path| path.file_name().unwrap_or_default());
        match rustix::fs::linkat(&directory, name, &directory, other, AtFlags::empty()) {
            Ok(()) => {
                let linked = Meta::from(rustix::fs::statat(&directory, other, AtFlags::SYMLINK_NOFOLLOW)?);
                let is_old = linked.id == old.meta.id;
                if is_old {
                    rustix::fs::renameat(&directory, other, &directory, new)?;
                }
                // Where both are one file already, a rename does nothing.
                remove_at(&directory, other, None)?;
                settle(cx, &beside)?;
                anyhow::ensure!(is_old, "it was replaced by another file meanwhile");
                Ok(())
            }
            // Not every file system has hard links, nor may everybody make one of somebody else's file.
            Err(_) => {
                settle(cx, &beside)?;
                old.rewind()?;
                let as_it_is = Resolved::default().or_as(&old.meta);
                write(cx, &kept, &as_it_is, |to| copy(cx, &old.file, to))
            }
        }
    };
    keep().with_context(|| format!("failed to keep the old file as {}", kept.display()))
}

/// Sets mode and owner of what is at `path`, a link at its end not followed.
///
/// # Errors
/// When it cannot be opened, is a link, or the system refuses.
pub(crate) fn set_attributes(cx: &Context, path: &Path, attributes: &Resolved) -> Result<()> {
    let set = || {
        let fd = at::open(path, Links::Stay, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let found = rustix::fs::fstat(&fd)?;
        at::judge_hard_link_at(path, Links::Stay, &found)?;
        let found = Meta::from(found);
        anyhow::ensure!(!attributes.needs_new_file(&found), REPLACED);
        chown::set(cx, path, &fd, &found, attributes)
    };
    set().with_context(|| format!("failed to set mode and owner of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::sync::{Arc, Mutex};

    use dojob::{Engine, RunOnlyJob};

    use super::*;

    type Call = dyn Fn(&Context) -> Result<()> + Send + Sync;

    /// Calls what it holds, and keeps what that returned.
    #[derive(Clone)]
    struct Caller {
        call: Arc<Call>,
        returned: Arc<Mutex<Option<Result<()>>>>,
        /// What the cleanup is told.
        target: PathBuf,
    }

    impl PartialEq for Caller {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.returned, &other.returned)
        }
    }

    impl RunOnlyJob for Caller {
        fn run(&mut self, cx: &mut Context) -> Result<()> {
            *self.returned.lock().unwrap() = Some((self.call)(cx));
            Ok(())
        }
        fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
            cleanup(cx, &self.target)
        }
    }

    /// Calls `call` with a context, and the cleanup afterwards.
    fn with_context(call: impl Fn(&Context) -> Result<()> + Send + Sync + 'static) -> Result<()> {
        with_target(Path::new("file"), call)
    }

    /// The same with a target for the cleanup.
    fn with_target(
        target: &Path,
        call: impl Fn(&Context) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let (call, target) = (Arc::new(call), target.to_owned());
        let caller = Caller { call, returned: Arc::default(), target };
        let report = Engine::new(caller.clone())?.converge();
        assert!(report.success() && report.failed_cleanups().next().is_none(), "{report:?}");
        caller.returned.lock().unwrap().take().unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn write_text(path: &Path, attributes: Resolved, text: &'static str) -> Result<()> {
        let path = path.to_owned();
        with_context(move |cx| write(cx, &path, &attributes, |file| Ok(file.write_all(text.as_bytes())?)))
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_and_keeps_what_is_not_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        write_text(&path, Resolved::default(), "one").unwrap();
        assert_eq!(mode_of(&path), 0o644);
        write_text(&path, Resolved { mode: Some(Mode::new(0o4750)), ..Resolved::default() }, "two").unwrap();
        assert_eq!(mode_of(&path), 0o4750);
        let before = fs::metadata(&path).unwrap().ino();
        write_text(&path, Resolved::default(), "three").unwrap();
        assert_eq!((mode_of(&path), fs::read_to_string(&path).unwrap().as_str()), (0o4750, "three"));
        assert_ne!(fs::metadata(&path).unwrap().ino(), before);
        assert_eq!(names(root.path()), ["file"]);
    }

    #[test]
    fn a_link_is_replaced_and_its_target_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let [target, link] = ["target", "link"].map(|name| root.path().join(name));
        fs::write(&target, "target").unwrap();
        symlink("target", &link).unwrap();
        assert_eq!(follow(&link).unwrap(), target);
        write_text(&link, Resolved::default(), "new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "target");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        symlink("circle", root.path().join("circle")).unwrap();
        let error = follow(&root.path().join("circle")).unwrap_err().to_string();
        assert!(error.ends_with("lead in a circle"), "{error}");
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_beside() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "old").unwrap();
        let to = path.clone();
        let error = with_context(move |cx| {
            write(cx, &to, &Resolved::default(), |file| {
                file.write_all(b"half")?;
                anyhow::bail!("no more")
            })
        });
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            format!("failed to write {}: no more", path.display())
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(root.path()), ["file"]);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing/file");
        let error = write_text(&missing, Resolved::default(), "").unwrap_err();
        let shown = root.path().display();
        assert_eq!(
            format!("{error:#}"),
            format!(
                "failed to write {shown}/missing/file: the directory {shown}/missing does not exist; a \
                 `directory` before this one can make it: No such file or directory (os error 2)"
            )
        );
        let error = write_text(root.path(), Resolved::default(), "").unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            format!("failed to write {shown}: there is a directory in its place")
        );
        assert!(write_text(Path::new("/"), Resolved::default(), "").is_err());
    }

    #[test]
    fn the_cleanup_removes_what_a_run_left_beside() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(OsStr::from_bytes(b"not-a-text-\xff")).join("file");
        fs::create_dir(path.parent().unwrap()).unwrap();
        let to = path.clone();
        with_target(&path, move |cx| {
            fs::write(beside(cx, &to)?, "left")?;
            let directory = beside(cx, &to)?;
            fs::create_dir(&directory)?;
            fs::write(directory.join("file"), "left")?;
            beside(cx, &to)?; // never made
            Ok(())
        })
        .unwrap();
        assert_eq!(names(path.parent().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn the_cleanup_removes_nothing_that_its_job_has_not_named() {
        let root = tempfile::tempdir().unwrap();
        let [own, other] = ["own", "other"].map(|name| root.path().join(name));
        [&own, &other].iter().for_each(|directory| fs::create_dir(directory).unwrap());
        let target = own.join("file");
        let name = ".dojob-0123456789abcdef";
        for path in [own.join("precious"), own.join(".dojob-old"), other.join(name), target.clone()] {
            fs::write(path, "kept").unwrap();
        }
        let paths = [own.join("precious"), own.join(".dojob-old"), target.clone()];
        let (other_path, at) = (other.join(name), target.clone());
        let call = move |cx: &Context| {
            for path in &paths {
                cx.local().set(KEY, [path.to_str()])?;
                let error = cleanup_of(cx, &at).err().map(|error| error.to_string()).unwrap_or_default();
                anyhow::ensure!(error.contains("is no name that this job gives"), "{}", path.display());
            }
            // As earlier versions have stored it; it is looked for beside the target alone.
            cx.local().set(KEY, [other_path.to_str()])?;
            cleanup_of(cx, &at)
        };
        with_context(call).unwrap();
        assert_eq!(names(&own), [".dojob-old", "file", "precious"]);
        assert_eq!(names(&other), [name]);
    }

    #[test]
    fn the_cleanup_finishes_what_was_being_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("mounted");
        fs::write(&path, "new, and a rest of the old one").unwrap();
        let to = path.clone();
        with_context(move |cx| {
            let beside = beside(cx, &to)?;
            fs::write(&beside, "new content")?;
            in_place::begin(cx, &beside, &to)?;
            cleanup_of(cx, &to)
        })
        .unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new content");
        assert_eq!(names(root.path()), ["mounted"]);
    }

    #[test]
    fn a_new_name_takes_no_place() {
        let root = tempfile::tempdir().unwrap();
        let one = root.path().join("one");
        fs::create_dir(&one).unwrap();
        let directory = open_directory(root.path()).unwrap();
        let rename_new = |from: &str, to: &str| rename_new(&directory, from.as_ref(), to.as_ref());
        assert!(rename_new("one", "two").unwrap());
        fs::create_dir(&one).unwrap();
        assert!(!rename_new("one", "two").unwrap());
        assert!(rename_new("none", "x").is_err());
    }

    #[test]
    fn attributes_are_set_in_place() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "text").unwrap();
        let at = path.clone();
        with_context(move |cx| {
            set_attributes(cx, &at, &Resolved { mode: Some(Mode::new(0o600)), ..Resolved::default() })
        })
        .unwrap();
        assert_eq!(mode_of(&path), 0o600);
        symlink("file", root.path().join("link")).unwrap();
        let link = root.path().join("link");
        assert!(with_context(move |cx| set_attributes(cx, &link, &Resolved::default())).is_err());
    }
}
