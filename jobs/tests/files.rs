//! Jobs on files and directories, in temporary roots.

#[path = "files/support.rs"]
mod support;

#[path = "files/directory.rs"]
mod directory;
#[path = "files/file.rs"]
mod file;
