//! A test in a process of its own: with its own environment, and with no other test that starts programs beside it.

use std::ffi::OsStr;
use std::process::Command;

/// Says which test has its process.
const ALONE: &str = "DOJOB_TEST_ALONE";

/// Calls `body` in a process in which only the test that calls this is running, with these variables. What it prints is
/// shown when it fails.
pub(crate) fn alone(variables: &[(&str, &OsStr)], body: impl FnOnce()) {
    let thread = std::thread::current();
    let name = thread.name().filter(|name| *name != "main").map(str::to_owned);
    if std::env::var(ALONE).is_ok_and(|alone| name.is_none_or(|name| name == alone)) {
        return body();
    }
    let name = thread.name().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, name)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", said.concat());
}
