//! Where journals are kept: a directory for each scope, below one that the platform's convention names.
//!
//! Makes paths, and asks whose the directories are that variables name.

use std::path::{Path, PathBuf};

use super::trust::OwnDirectory;

/// Names the directory below which scopes are kept; for tests, and for those who have their own place.
pub(crate) const STATE_VARIABLE: &str = "DOJOB_STATE_DIR";

/// The directory below which scopes are kept: `DOJOB_STATE_DIR`; for root `/var/lib/dojob`; for others `dojob` below
/// `XDG_STATE_HOME`, or `~/.local/state` (macOS: `~/Library/Application Support`). `None` where there is no home.
pub(crate) fn usual() -> Option<PathBuf> {
    usual_for(is_root(), cfg!(target_os = "macos"), is_own, variable)
}

/// The directory below which is kept what can be done without: for root `/var/cache/dojob`; for others `dojob` below
/// `XDG_CACHE_HOME`, or `~/.cache`. `None` where there is no home.
#[cfg(feature = "cli")]
pub(crate) fn usual_cache() -> Option<PathBuf> {
    let place = Place { xdg: "XDG_CACHE_HOME", of_root: "/var/cache/dojob", in_home: ".cache/dojob" };
    place.find(is_root(), is_own, variable)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether this user's files can be kept in this directory. `sudo -E` and `su` leave root with the variables of somebody
/// else, who could have put anything there.
fn is_own(directory: &Path) -> bool {
    OwnDirectory::find(directory).is_ok()
}

struct Place {
    xdg: &'static str,
    of_root: &'static str,
    in_home: &'static str,
}

impl Place {
    fn find(
        &self,
        is_root: bool,
        is_own: impl Fn(&Path) -> bool,
        variable: impl Fn(&str) -> Option<PathBuf>,
    ) -> Option<PathBuf> {
        // A relative one is no place: the specification says to pass over it.
        let home = |name| variable(name).filter(|path| path.is_absolute());
        match home(self.xdg) {
            Some(given) if !is_root || is_own(&given) => Some(given.join("dojob")),
            _ if is_root => Some(PathBuf::from(self.of_root)),
            _ => Some(home("HOME")?.join(self.in_home)),
        }
    }
}

fn usual_for(
    is_root: bool,
    is_mac: bool,
    is_own: impl Fn(&Path) -> bool,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Option<PathBuf> {
    if let Some(given) = variable(STATE_VARIABLE) {
        return Some(given);
    }
    let in_home = if is_mac { "Library/Application Support/dojob" } else { ".local/state/dojob" };
    Place { xdg: "XDG_STATE_HOME", of_root: "/var/lib/dojob", in_home }.find(is_root, is_own, variable)
}

/// The directory of a scope: the program's name, and what the program adds to it.
pub(crate) fn of_scope(base: &Path, program: &str, added: Option<&str>) -> PathBuf {
    let name = match added {
        None => file_name(program),
        Some(added) => format!("{}@{}", file_name(program), file_name(added)),
    };
    base.join(name)
}

/// The longest part of a file name that is made of a text as it is.
const LONGEST: usize = 80;

/// A text as a part of a file name, such that no two texts have the same: letters, digits, dots inside of it, `-` and
/// `_` stay, what else there is becomes `%` and two digits for each byte; of long ones a part, and a sum.
fn file_name(text: &str) -> String {
    let mut name = String::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() <= LONGEST {
        return name;
    }
    // FNV-1a: short, and the same on every machine.
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    name.truncate(LONGEST);
    format!("{name}~{sum:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_the_platform() {
        let none = |_: &str| None;
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/users/ann"));
        let place = |root, mac, variable: &dyn Fn(&str) -> Option<PathBuf>| {
            usual_for(root, mac, |path| path != Path::new("/theirs"), variable)
                .map(|path| path.display().to_string())
        };
        assert_eq!(place(true, false, &home).as_deref(), Some("/var/lib/dojob"));
        assert_eq!(place(false, false, &home).as_deref(), Some("/users/ann/.local/state/dojob"));
        assert_eq!(
            place(false, true, &home).as_deref(),
            Some("/users/ann/Library/Application Support/dojob")
        );
        assert_eq!(place(false, false, &none), None);
        let xdg = |name: &str| (name == "XDG_STATE_HOME").then(|| PathBuf::from("/s"));
        assert_eq!(place(true, false, &xdg).as_deref(), Some("/s/dojob"));
        let theirs = |name: &str| (name == "XDG_STATE_HOME").then(|| PathBuf::from("/theirs"));
        assert_eq!(place(true, false, &theirs).as_deref(), Some("/var/lib/dojob"));
        let given = |name: &str| (name == STATE_VARIABLE).then(|| PathBuf::from("x"));
        assert_eq!(place(true, false, &given).as_deref(), Some("x"));
    }

    #[test]
    fn scopes_have_names_of_their_own() {
        let scope = |program: &str, added: Option<&str>| {
            of_scope(Path::new("/s"), program, added).display().to_string()
        };
        assert_eq!(scope("site", None), "/s/site");
        assert_eq!(scope("site", Some("/srv/www")), "/s/site@%2fsrv%2fwww");
        assert_eq!(scope("..", Some("")), "/s/%2e.@");
        let long = |end: &str| "x".repeat(300) + end;
        assert_ne!(scope("a", Some(&long("1"))), scope("a", Some(&long("2"))));
        assert!(scope("a", Some(&long("1"))).len() < 120);
        assert_ne!(scope("a", Some("%2f")), scope("a", Some("/")));
    }
}
