//! What goes over the net, against servers of our own.
#![cfg(feature = "http")]

#[path = "http/download.rs"]
mod download;
#[path = "support/server.rs"]
mod server;
#[path = "support/net.rs"]
mod support;
