//! Jobs on files and directories, in temporary roots.

#[path = "files/support.rs"]
mod support;

#[path = "files/absent.rs"]
mod absent;
#[path = "files/block.rs"]
mod block;
#[path = "files/directory.rs"]
mod directory;
#[path = "files/file.rs"]
mod file;
#[path = "files/full_disk.rs"]
mod full_disk;
#[path = "files/line.rs"]
mod line;
#[path = "files/proofs.rs"]
mod proofs;
#[path = "files/prune.rs"]
mod prune;
#[path = "files/replace.rs"]
mod replace;
#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "files/swapped.rs"]
mod swapped;
#[path = "files/symlink.rs"]
mod symlink;
#[path = "files/taken_over.rs"]
mod taken_over;
#[path = "files/template.rs"]
mod template;
