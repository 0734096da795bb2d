//! Packing and unpacking, on real files.
#![cfg(feature = "archive")]

#[path = "archives/pack.rs"]
mod pack;
#[path = "support/net.rs"]
mod support;
#[path = "archives/unpack.rs"]
mod unpack;
