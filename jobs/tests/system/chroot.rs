//! A whole small Debian to work on for real: built once by `debootstrap`, and copied for each test.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::tree::{is_root, skipped, write};

const SUITE: &str = "bookworm";

/// What the system has beyond the least.
const INCLUDE: &str = "--include=cron";

/// Nobody reads in there, and every copy takes its time.
const TRIM: &str = "rm -rf /var/cache/apt/* /var/lib/apt/lists/* /usr/share/doc /usr/share/man /usr/share/locale /usr/share/i18n";

/// A copy of the system; `None` where it cannot be built here, which is told.
pub(crate) fn system(test: &str) -> Option<TempDir> {
    system_with(test, "", "")
}

/// A copy of the system in which this script was run, with that name.
pub(crate) fn system_with(test: &str, name: &str, script: &str) -> Option<TempDir> {
    if !is_root(test) {
        return None;
    }
    // One makes it, the others wait.
    static MAKING: Mutex<()> = Mutex::new(());
    let making = MAKING.lock();
    let Some(base) = made(name, script) else {
        skipped(test, "needs `debootstrap` and Debian's archive");
        return None;
    };
    drop(making);
    Some(copy(&base, tempfile::tempdir().unwrap()))
}

/// The system as copies are made of it, kept between test runs beside what was built.
fn made(name: &str, script: &str) -> Option<PathBuf> {
    let mut hasher = DefaultHasher::new();
    (INCLUDE, TRIM, script).hash(&mut hasher);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let base = place.join(format!("{SUITE}{name}-{:08x}", hasher.finish() as u32));
    if base.exists() {
        return Some(base);
    }
    fs::create_dir_all(place).unwrap();
    let new = tempfile::Builder::new().prefix("new-").tempdir_in(place).unwrap();
    let new = if script.is_empty() {
        bootstrapped(new)?
    } else {
        let new = copy(&made("", "")?, new);
        inside(new.path(), script);
        new
    };
    // Another process may have been faster; then this one is thrown away.
    let _ = fs::rename(new.path(), &base);
    base.exists().then_some(base)
}

fn bootstrapped(new: TempDir) -> Option<TempDir> {
    let program =
        Command::new("debootstrap").args(["--variant=minbase", INCLUDE, SUITE]).arg(new.path()).output();
    if !program.is_ok_and(|output| output.status.success()) {
        return None;
    }
    // Nothing that is installed is started: it is not our machine, and services would outlive the test.
    write(new.path(), "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
    inside(new.path(), &format!("chmod 755 /usr/sbin/policy-rc.d; {TRIM}"));
    Some(new)
}

/// A copy of a tree with all its owners and modes.
fn copy(tree: &Path, copy: TempDir) -> TempDir {
    run("cp", ["-a", "--reflink=auto", tree.join(".").to_str().unwrap(), copy.path().to_str().unwrap()]);
    copy
}

/// Runs a program that has to succeed, and returns what it prints.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) -> String {
    let output = Command::new(program).args(args).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a line of the shell in the system.
pub(crate) fn inside(system: &Path, line: &str) -> String {
    run("chroot", [system.as_os_str(), "/bin/sh".as_ref(), "-ec".as_ref(), line.as_ref()])
}
