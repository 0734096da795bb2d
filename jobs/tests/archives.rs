//! Packing and unpacking, on real files.
#![cfg(all(feature = "archive", feature = "xz", feature = "zip", feature = "zstd"))]

#[path = "archives/hostile.rs"]
mod hostile;
#[path = "archives/pack.rs"]
mod pack;
#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "support/net.rs"]
mod support;
#[path = "archives/unpack.rs"]
mod unpack;
