//! Names for what is written beside its target, until it takes the target's place.
//!
//! Each is in the job's local storage before anything has it, so that a cleanup finds what a run has left.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Result;
use dojob::Context;
use serde::{Deserialize, Serialize};

use super::target::directory_of;

/// How the names of all that is written beside begin; what has such a name is ours.
pub(crate) const BESIDE: &str = ".dojob-";

/// What stands behind the name of a file that was kept.
pub(crate) const KEPT: &str = ".dojob-old";

/// Where a job's local storage keeps what its cleanup has to remove.
pub(super) const KEY: &str = "beside";

/// What the local storage has of something beside: its name alone. A secret that is a part of its path is not written
/// down with it, and the cleanup looks for it nowhere but near the target of its own job.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    /// A path that is no text, as earlier versions have stored it.
    Bytes(Vec<u8>),
}

impl Stored {
    /// The name; of a whole path, as earlier versions have stored it, the last part.
    fn name(self) -> OsString {
        let path: PathBuf = match self {
            Stored::Text(text) => text.into(),
            Stored::Bytes(bytes) => OsString::from_vec(bytes).into(),
        };
        path.file_name().unwrap_or_default().to_owned()
    }
}

pub(super) fn stored(cx: &Context) -> Result<Vec<OsString>> {
    let stored: Vec<Stored> = cx.local().get(KEY)?.unwrap_or_default();
    Ok(stored.into_iter().map(Stored::name).collect())
}

/// Whether this is a name that [`beside`] gives.
pub(super) fn is_ours(name: &OsStr) -> bool {
    let token = name.as_bytes().strip_prefix(BESIDE.as_bytes());
    token.is_some_and(|token| token.len() == 16 && token.iter().all(u8::is_ascii_hexdigit))
}

/// A new name in the directory of `path`, already in the local storage: whatever is made there, the cleanup removes it,
/// also when the process is killed in between.
///
/// # Errors
/// When the path has no name of its own.
pub(crate) fn beside(cx: &Context, path: &Path) -> Result<PathBuf> {
    let directory = directory_of(path)?;
    // Not to be guessed by others who may write there; that it is new is seen to by who makes it.
    let token = RandomState::new().build_hasher().finish();
    let name = format!("{BESIDE}{token:016x}");
    let beside = directory.join(&name);
    let mut stored: Vec<Stored> = cx.local().get(KEY)?.unwrap_or_default();
    stored.push(Stored::Text(name));
    cx.local().set(KEY, stored)?;
    Ok(beside)
}

/// What was made beside is where it belongs, or gone: nothing is left for the cleanup.
///
/// # Errors
/// When the storage fails.
pub(crate) fn settle(cx: &Context, beside: &Path) -> Result<()> {
    let mut left = stored(cx)?;
    left.retain(|name| Some(name.as_os_str()) != beside.file_name());
    if left.is_empty() {
        cx.local().remove(KEY);
    } else {
        let left = left.into_iter().map(|name| Stored::Text(name.to_string_lossy().into_owned()));
        cx.local().set(KEY, left.collect::<Vec<_>>())?;
    }
    Ok(())
}
