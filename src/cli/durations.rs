//! Where the durations of jobs are kept from one run to the next: a file for each scope in the user's cache.
//!
//! A convenience and no more: what cannot be read, written or trusted is not there.

use std::io::{Read, Write};
use std::path::PathBuf;

use rustix::fs::{AtFlags, OFlags};

use super::say::program;
use crate::host::state_dir;
use crate::host::trust::{OwnDirectory, Refused};
use crate::view::history::Durations;

/// More than the durations of as many jobs as are kept take.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What earlier runs in this scope took.
pub(crate) fn load(scope: Option<&str>) -> Durations {
    read(scope).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn read(scope: Option<&str>) -> Option<Vec<u8>> {
    let path = directory(scope)?;
    let own = OwnDirectory::find(&path).ok()??;
    let file = own.open(FILE, OFlags::RDONLY, &path.join(FILE)).ok()?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Keeps it for the next run in this scope.
pub(crate) fn save(scope: Option<&str>, durations: &Durations) {
    let Some(path) = directory(scope) else { return };
    let write = || -> Result<(), Refused> {
        let own = OwnDirectory::make(&path)?;
        // Beside it and then over it, so that two programs at once leave a whole file.
        let beside = format!("{FILE}.{}.tmp", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let bytes = serde_json::to_vec(durations).map_err(std::io::Error::from)?;
        let mut file = own.open(&beside, flags, &path.join(&beside))?;
        let written = file.write_all(&bytes).map_err(Refused::from);
        let written = written.and_then(|()| Ok(rustix::fs::renameat(&own.file, &beside, &own.file, FILE)?));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&own.file, &beside, AtFlags::empty());
        }
        written
    };
    if let Err(refused) = write() {
        tracing::debug!("failed to keep how long jobs took: {}", refused.into_io());
    }
}

const FILE: &str = "durations.json";

/// `~/.cache/dojob/PROGRAM@SCOPE`, or where `XDG_CACHE_HOME` says.
fn directory(scope: Option<&str>) -> Option<PathBuf> {
    Some(state_dir::of_scope(&state_dir::usual_cache()?, &program(), scope))
}
