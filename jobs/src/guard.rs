//! What is never removed, nor emptied by a rule, whoever asks for it by whatever name: directories that the system needs,
//! homes of users, mount points, and what this program itself is working in.
//!
//! Judges directories by what they are, not by how they are called. Removes nothing.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dojob::{Context, CouldNotFindOut, Journal};

use crate::account::Accounts;
use crate::disk::inspect::{self, Links, Meta};
use crate::target_root::TargetRoot;

/// Directories that are never removed, whatever is in them.
const NEEDED: [&str; 69] = [
    "/",
    "/bin",
    "/boot",
    "/boot/efi",
    "/dev",
    "/etc",
    "/etc/apt",
    "/etc/pam.d",
    "/etc/ssh",
    "/etc/ssl",
    "/etc/systemd",
    "/etc/systemd/system",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/lost+found",
    "/media",
    "/mnt",
    "/nix",
    "/nix/store",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/snap",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/arm-linux-gnueabihf",
    "/usr/lib/i386-linux-gnu",
    "/usr/lib/powerpc64le-linux-gnu",
    "/usr/lib/riscv64-linux-gnu",
    "/usr/lib/s390x-linux-gnu",
    "/usr/lib/systemd",
    "/usr/lib/systemd/system",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/dpkg/alternatives",
    "/var/lib/dpkg/info",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];

/// Those of them below which old files may be removed by a rule.
const HOLDING_FILES: [&str; 16] = [
    "/media",
    "/mnt",
    "/opt",
    "/srv",
    "/tmp",
    "/var/cache",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/tmp",
    "/lost+found",
    "/usr/local",
    "/usr/src",
    "/snap",
    "/boot/efi",
];

/// Users of these numbers are people, by the convention of all distributions.
const PEOPLE: std::ops::Range<u32> = 1000..65534;

/// What has to stay on this machine, as it is now.
pub(crate) struct Guard {
    /// What is known by its file system and number there, and is called so.
    needed: Vec<((u64, u64), &'static str)>,
    mounted: Vec<PathBuf>,
    homes: Vec<(PathBuf, String)>,
    /// What this program works in.
    own: Vec<(PathBuf, &'static str)>,
}

/// Refuses that what was found at `path` is removed, with all that is in it where it is a directory; a link itself, not what
/// it leads to.
///
/// # Errors
/// When it has to stay; another try would not help.
pub(crate) fn refuse_removal(cx: &Context, path: &Path, found: &Meta) -> Result<()> {
    Guard::look(cx).refuse_removal(path, found)
}

impl Guard {
    pub(crate) fn look(cx: &Context) -> Self {
        let mut needed = Vec::new();
        for name in NEEDED {
            for links in [Links::Stay, Links::Follow] {
                // One that cannot be seen is not the one that was found.
                if let Ok(Some(meta)) = inspect::meta(Path::new(name), links) {
                    needed.push((meta.id, name));
                }
            }
        }
        let own = [
            (Some(cx.working_directory().to_owned()), "the working directory"),
            (std::env::current_dir().ok(), "the working directory"),
            (state_directory(), "the state directory"),
        ];
        let own = own.into_iter().filter_map(|(path, what)| Some((fs::canonicalize(path?).ok()?, what)));
        Guard { needed, mounted: mount_points(), homes: homes(), own: own.collect() }
    }

    /// As [`refuse_removal`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn refuse_removal(&self, path: &Path, found: &Meta) -> Result<()> {
        match self.why_it_stays(path, found) {
            Some(why) => refusal(format!("whether {} may be removed", path.display()), why),
            None => Ok(()),
        }
    }

    fn why_it_stays(&self, path: &Path, found: &Meta) -> Option<String> {
        if let Some((_, name)) = self.needed.iter().find(|(id, _)| *id == found.id) {
            return Some(format!("it is {name}, which the system needs"));
        }
        if found.is_symlink() {
            return None;
        }
        let real = real(path);
        let is_below = |other: &Path| other.starts_with(&real);
        if self.mounted.contains(&real) {
            return Some("it is a mount point; unmount it first".to_owned());
        }
        if !found.is_dir() {
            return None;
        }
        if let Some(mounted) = self.mounted.iter().find(|mounted| is_below(mounted)) {
            return Some(format!("{} in it is a mount point; unmount that first", mounted.display()));
        }
        if let Some((home, user)) = self.homes.iter().find(|(home, _)| is_below(home)) {
            return Some(match *home == real {
                true => format!("it is the home directory of {user}; remove the user first"),
                false => format!("{} in it is the home directory of {user}", home.display()),
            });
        }
        let (own, what) = self.own.iter().find(|(own, _)| is_below(own))?;
        Some(match *own == real {
            true => format!("it is {what}"),
            false => format!("{what}, {}, is in it", own.display()),
        })
    }
}

/// Refuses that files below the directory at `path`, found as `found`, are removed by a rule.
///
/// # Errors
/// When it is `/`, or another directory of the system's own; another try would not help.
pub(crate) fn refuse_pruning(path: &Path, found: &Meta) -> Result<()> {
    match NEEDED.iter().find(|name| !HOLDING_FILES.contains(name) && is_named(name, found)) {
        Some(name) => refusal(
            format!("what may be removed below {}", path.display()),
            format!("it is {name}, of which the system itself lives"),
        ),
        None => Ok(()),
    }
}

/// Refuses that all that is not listed is removed from the directory at `path`, found as `found`.
///
/// # Errors
/// As [`refuse_pruning`]; also when it is somebody's home.
pub(crate) fn refuse_purging(path: &Path, found: &Meta) -> Result<()> {
    refuse_pruning(path, found)?;
    let real = real(path);
    match homes().into_iter().find(|(home, _)| *home == real) {
        Some((_, user)) => refusal(
            format!("what may be removed below {}", path.display()),
            format!("it is the home directory of {user}"),
        ),
        None => Ok(()),
    }
}

fn refusal(what: String, why: String) -> Result<()> {
    Err(CouldNotFindOut::new(what).permanent().because(why).into())
}

/// Whether what was found is what has this name, or what that leads to.
fn is_named(name: &str, found: &Meta) -> bool {
    let links = if found.is_symlink() { [Links::Stay].as_slice() } else { &[Links::Stay, Links::Follow] };
    links.iter().any(|links| {
        // One that cannot be seen is not the one that was found.
        inspect::meta(Path::new(name), *links).is_ok_and(|meta| meta.is_some_and(|meta| meta.id == found.id))
    })
}

/// The path from the root on, links on the way followed, one at its end not.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(found) = fs::symlink_metadata(&absolute)
        && !found.is_symlink()
        && let Ok(real) = fs::canonicalize(&absolute)
    {
        return real;
    }
    let parent = absolute.parent().and_then(|parent| fs::canonicalize(parent).ok());
    parent.zip(absolute.file_name()).map_or_else(|| absolute.clone(), |(parent, name)| parent.join(name))
}

/// The homes of people, and who they are.
fn homes() -> Vec<(PathBuf, String)> {
    let accounts = Accounts::read(TargetRoot::new(None)).unwrap_or_default();
    let people = accounts.users.into_iter().filter(|user| PEOPLE.contains(&user.uid));
    people
        .filter_map(|user| {
            let home = fs::canonicalize(&user.home).ok()?;
            (home != Path::new("/")).then_some((home, user.name))
        })
        .collect()
}

fn state_directory() -> Option<PathBuf> {
    let of_scope = Journal::usual_directory("dojob", None).ok()?;
    of_scope.parent().map(Path::to_owned)
}

/// Where something is mounted; none where the system does not tell.
fn mount_points() -> Vec<PathBuf> {
    let listed = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let fields =
        listed.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields.map(|field| PathBuf::from(OsString::from_vec(unescaped(field)))).collect()
}

/// A path of the list, in which blanks and the like stand as three octal digits behind a backslash.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(u8::is_ascii_digit));
        let escaped = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(path: &Path, links: Links) -> Meta {
        inspect::meta(path, links).unwrap().unwrap()
    }

    #[test]
    fn what_the_system_lives_from_is_known_by_any_name() {
        let root = tempfile::tempdir().unwrap();
        symlink("/etc", root.path().join("link")).unwrap();
        for path in ["/etc", "/etc/.", "/etc/../etc", "//usr", "/usr/bin/..", "/"] {
            let path = Path::new(path);
            assert!(refuse_pruning(path, &found(path, Links::Follow)).is_err(), "{}", path.display());
        }
        let link = root.path().join("link");
        assert!(refuse_pruning(&link, &found(&link, Links::Follow)).is_err());
        assert!(refuse_pruning(root.path(), &found(root.path(), Links::Follow)).is_ok());
        assert!(refuse_pruning(Path::new("/var/log"), &found(Path::new("/var/log"), Links::Follow)).is_ok());
    }

    #[test]
    fn paths_of_mounts_are_unescaped() {
        assert_eq!(unescaped(br"/mnt/a\040b\134c"), b"/mnt/a b\\c");
        assert_eq!(unescaped(br"/mnt/\04"), br"/mnt/\04");
        assert_eq!(unescaped(b"/"), b"/");
    }
}
