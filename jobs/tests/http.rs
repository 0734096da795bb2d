//! What goes over the net, against servers of our own.
#![cfg(feature = "http")]

#[path = "http/download.rs"]
mod download;
#[path = "http/request.rs"]
mod request;
#[path = "support/server.rs"]
mod server;
#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "support/net.rs"]
mod support;
#[path = "http/tls.rs"]
mod tls;
#[path = "http/upload.rs"]
mod upload;
