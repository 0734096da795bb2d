//! Jobs on files and directories, in temporary roots.

#[path = "files/support.rs"]
mod support;

#[path = "files/absent.rs"]
mod absent;
#[path = "files/directory.rs"]
mod directory;
#[path = "files/file.rs"]
mod file;
#[path = "files/symlink.rs"]
mod symlink;
