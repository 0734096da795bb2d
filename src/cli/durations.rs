//! Where the durations of jobs are kept from one run to the next: a file in the user's cache.
//!
//! A convenience and no more: what cannot be read or written is not there.

use std::io;
use std::path::{Path, PathBuf};

use crate::view::history::Durations;

/// What earlier runs of this program took.
pub(crate) fn load() -> Durations {
    let bytes = file().and_then(|file| std::fs::read(file).ok()).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Keeps it for the next run.
pub(crate) fn save(durations: &Durations) {
    if let Some(file) = file() {
        let _ = write(&file, durations);
    }
}

fn write(file: &Path, durations: &Durations) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    // Beside it and then over it, so that two programs at once leave a whole file.
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, serde_json::to_vec(durations)?)?;
    std::fs::rename(&beside, file)
}

/// `~/.cache/dojob/PROGRAM.durations.json`, or where `XDG_CACHE_HOME` says.
fn file() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    let program = std::env::current_exe().ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    Some(cache.join("dojob").join(format!("{name}.durations.json")))
}
