//! Everything in a directory that can be seen: to tell that nothing was changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What can be seen of one thing: kind and mode, owner, time of change, and content or target.
type Seen = (u32, u32, u32, i64, i64, Vec<u8>);

/// Everything below a directory; times of directories included.
pub(crate) fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_vec()
        } else if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        let seen = (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec(), content);
        found.insert(path, seen);
    }
    found
}
