//! What `/etc/hosts` says of a host.

mod table;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use dojob::{Context, Job, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::table::{Address, Table};
use crate::account::Presence;
use crate::disk::differ::Differences;
use crate::disk::edit_lock;
use crate::disk::inspect::Links;
use crate::disk::owner::Resolved;
use crate::disk::write;
use crate::serde_helpers::{OneOrMany, one_line, one_or_many, path};
use crate::target_root::TargetRoot;
use crate::text_file::TextFile;
use crate::validated::validated;

const FILE: &str = "/etc/hosts";

/// One line of `/etc/hosts` says an address and its names. All else in the file, comments and blanks, too, stays as it is.
///
/// It is the line of that address which the first name heads: its further names are made those that are wanted. A host
/// that has moved keeps its line and gets the new address there; where other names are on that line, those keep it.
///
/// ```
/// # use dojob_jobs::Hosts;
/// let db = Hosts::new("10.0.0.7", ["db.example.org", "db"]);
/// let same: Hosts = serde_json::from_str(r#"{"ip": "10.0.0.7", "names": ["db.example.org", "db"]}"#)?;
/// assert_eq!(db, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Hosts")]
#[schemars(extend("x-dojob-target" = { "by": "names", "and": ["ip"] }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Hosts {
    /// The address, of version 4 or 6: `10.0.0.7`, `fd00::7`, `fe80::1%eth0`.
    pub ip: String,
    /// The host's names, the full one first: one, or a list.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub names: Vec<String>,
    /// Whether these names are taken off the lines of other addresses of the same version, of which the system would use
    /// the first; true unless given. Set it to false for a host with several addresses.
    #[serde(default = "yes")]
    pub exclusive: bool,
    /// `present` unless given, or `absent`: then no line of the address has one of the names.
    #[serde(default)]
    pub state: Presence,
    /// The file, where it is not `/etc/hosts`: a template for containers, say.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The tree of another system, to be worked on in place of this one: `/mnt/image`, say.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(Hosts);

fn yes() -> bool {
    true
}

impl Hosts {
    /// The names of the address `ip`.
    pub fn new<N: Into<String>>(ip: impl Into<String>, names: impl IntoIterator<Item = N>) -> Self {
        Hosts {
            ip: ip.into(),
            names: names.into_iter().map(Into::into).collect(),
            exclusive: true,
            state: Presence::Present,
            path: None,
            root: None,
        }
    }

    /// Whether other addresses must not have these names.
    #[must_use]
    pub fn exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// Present or absent.
    #[must_use]
    pub fn state(mut self, state: Presence) -> Self {
        self.state = state;
        self
    }

    /// In this file.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// In the tree of another system.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    fn machine(&self) -> TargetRoot<'_> {
        TargetRoot::new(self.root.as_ref())
    }

    fn file(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(FILE))
    }

    fn address(&self) -> Result<Address> {
        match Address::parse(&self.ip) {
            Some(address) => Ok(address),
            None => {
                bail!("`ip` is `{}`, which is no address: 10.0.0.7 or fd00::7 is one", self.ip.escape_debug())
            }
        }
    }

    fn validate(&self) -> Result<()> {
        self.address()?;
        ensure!(!self.names.is_empty(), "`names` is empty: at least one name is wanted");
        for (index, name) in self.names.iter().enumerate() {
            one_line("names", name)?;
            let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            ensure!(
                name.chars().all(fits) && !name.starts_with(['-', '.']) && name.len() <= 253,
                "`names` has `{name}` in it, which is no host's name: letters, digits, `-`, `_` and `.` are wanted"
            );
            let is_twice = self.names[..index].iter().any(|other| other.eq_ignore_ascii_case(name));
            ensure!(!is_twice, "`names` has `{name}` in it twice");
        }
        self.path.as_deref().map_or(Ok(()), |file| path("path", file))?;
        self.machine().validate()
    }

    /// The file, and what it is to say.
    fn look(&self) -> Result<(TextFile, Table)> {
        let file = TextFile::read(self.machine(), self.file(), Links::Follow)?;
        let mut table = Table::parse(file.text.as_str());
        match self.state {
            Presence::Present => table.put(&self.ip, &self.address()?, &self.names, self.exclusive),
            Presence::Absent => table.remove(&self.address()?, &self.names),
        }
        Ok((file, table))
    }
}

impl Job for Hosts {
    fn name(&self) -> String {
        let file = self.path.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default();
        format!("Hosts {} {}{file}", self.ip, self.names.join(" "))
    }

    fn check(&mut self, _: &mut Context) -> Result<()> {
        self.validated()?;
        let (file, table) = self.look()?;
        let mut differences = Differences::new();
        if !table.reasons.is_empty() {
            file.compare(table.reasons.join("; "), &table.text(), &mut differences);
        }
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let _turn = edit_lock::take(cx, &self.machine().locate_target(self.file())?)?;
        let (file, table) = self.look()?;
        if table.reasons.is_empty() {
            return Ok(());
        }
        file.write(cx, &table.text(), &Resolved::default())
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        let file = self.machine().locate_target(self.file())?;
        write::cleanup(cx, &file)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
