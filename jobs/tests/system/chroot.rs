//! A whole small Debian to work on for real: built once by `debootstrap`, and copied for each test.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::tree::{is_root, skipped, write};

const SUITE: &str = "bookworm";

/// What the system has beyond the least.
const INCLUDE: &str = "--include=cron";

/// A copy of the system; `None` where it cannot be built here, which is told.
pub(crate) fn system(test: &str) -> Option<TempDir> {
    static BASE: OnceLock<Option<PathBuf>> = OnceLock::new();
    if !is_root(test) {
        return None;
    }
    let Some(base) = BASE.get_or_init(base) else {
        skipped(test, "needs `debootstrap` and Debian's archive");
        return None;
    };
    let copy = tempfile::tempdir().unwrap();
    run("cp", ["-a", "--reflink=auto", base.join(".").to_str().unwrap(), copy.path().to_str().unwrap()]);
    Some(copy)
}

/// The system, kept between test runs beside what was built; another process may be at work on it.
fn base() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(place).unwrap();
    let base = place.join(format!("debian-{SUITE}"));
    if base.exists() {
        return Some(base);
    }
    let new = tempfile::Builder::new().prefix("debian-").tempdir_in(place).unwrap();
    let built = Command::new("debootstrap")
        .args(["--variant=minbase", INCLUDE, SUITE])
        .arg(new.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !built {
        return None;
    }
    // Nothing that is installed is started: it is not our machine, and services would outlive the test.
    write(new.path(), "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
    run("chmod", ["755", new.path().join("usr/sbin/policy-rc.d").to_str().unwrap()]);
    run("sh", ["-c", &format!("rm -f {}/var/cache/apt/archives/*.deb", new.path().display())]);
    let _ = fs::rename(new.keep(), &base);
    base.exists().then_some(base)
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
