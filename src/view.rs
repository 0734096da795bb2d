//! What people and programs see of a run: all of it is derived from events, the graph and the report.
//!
//! Nothing in here changes how a run goes.

pub(crate) mod console;
pub(crate) mod dot;
pub(crate) mod graphviz;
#[cfg(feature = "cli")]
pub(crate) mod history;
pub(crate) mod json;
mod layout;
pub(crate) mod list;
#[cfg(feature = "cli")]
pub(crate) mod log;
mod mermaid;
pub(crate) mod palette;
pub(crate) mod picture;
mod picture_format;
#[cfg(feature = "png")]
mod png;
#[cfg(feature = "cli")]
pub(crate) mod progress;
#[cfg(feature = "cli")]
pub(crate) mod streams;
mod svg;
pub(crate) mod text;
