//! Ready-made jobs: common pieces of provisioning, each with a check that can be relied on.
//!
//! Each is a plain struct with public fields, which can be built in Rust or deserialized from any format that `serde`
//! supports; unknown fields are refused.

mod absent;
mod account;
#[cfg(feature = "archive")]
mod archive;
mod assert;
mod authorized_key;
mod r#become;
mod block;
pub mod catalogue;
mod command;
mod command_line;
mod cron_entry;
mod directory;
mod disk;
#[cfg(feature = "http")]
mod download;
mod early;
mod facts;
mod file;
mod git_checkout;
mod group;
mod guard;
mod hosts;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_request;
mod line;
mod package;
#[cfg(feature = "archive")]
mod packed;
mod patience;
mod pattern;
mod programs;
mod prune;
mod replace;
mod serde_helpers;
mod service;
mod setting;
mod shell_script;
#[cfg(any(feature = "archive", feature = "http"))]
mod size;
mod span;
mod symlink;
mod target_root;
mod template;
mod text;
mod text_file;
#[cfg(feature = "archive")]
mod unarchive;
#[cfg(feature = "http")]
mod upload;
mod user;
mod validated;
mod value;
mod wait_for;

pub use absent::Absent;
pub use account::Presence;
#[cfg(feature = "archive")]
pub use archive::Archive;
pub use assert::{Assert, Bounds, Expectation};
pub use authorized_key::AuthorizedKey;
pub use r#become::{Become, BecomeMethod};
pub use block::Block;
pub use command::Command;
pub use command_line::CommandLine;
pub use cron_entry::CronEntry;
pub use directory::Directory;
pub use disk::{Group as OwnerGroup, Mode, ModeError, Owner, Validate};
#[cfg(feature = "http")]
pub use download::Download;
pub use facts::{
    Account, AllFacts, Facts, Hardware, Interface, NoSuchFact, Os, PackageManager, ServiceManager, Tools,
};
pub use file::File;
pub use git_checkout::GitCheckout;
pub use group::Group;
pub use hosts::Hosts;
#[cfg(feature = "http")]
pub use http_request::{Expect, HttpMethod, HttpRequest, SendRequest, Statuses};
pub use line::Line;
pub use package::{Package, PackageState};
pub use pattern::Pattern;
pub use prune::Prune;
pub use replace::Replace;
pub use service::{Service, ServiceState};
pub use setting::{Format, Key, Setting};
pub use shell_script::ShellScript;
#[cfg(any(feature = "archive", feature = "http"))]
pub use size::Size;
pub use span::Span;
pub use symlink::Symlink;
pub use template::Template;
#[cfg(feature = "archive")]
pub use unarchive::Unarchive;
#[cfg(feature = "http")]
pub use upload::Upload;
pub use user::User;
pub use value::{Number, Value};
#[cfg(feature = "http")]
pub use wait_for::HttpAnswer;
pub use wait_for::{Address, LineOfFile, Until, WaitFor, WhichProcess};

/// The example at the top of the page compiles.
#[cfg(doctest)]
#[doc = include_str!("../tests/page/introduction.md")]
struct Introduction;
