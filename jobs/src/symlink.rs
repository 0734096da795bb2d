//! A symbolic link that leads where it should.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, Job};
use rustix::fs::{AtFlags, Gid, Mode as RawMode, OFlags, Uid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::differ::Differences;
use crate::disk::inspect::{self, Links, Meta};
use crate::disk::owner::{Attributes, Group, Owner, Resolved};
use crate::disk::{path, write};
use crate::guard;
use crate::validated::validated;

/// A symbolic link that leads where it should. Another link in its place is replaced in one step; what it leads to need
/// not exist.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Symlink;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("current"); let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/srv/site/current";
/// let report = Engine::new(Symlink::new(path, "releases/42"))?.converge();
/// assert!(report.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Symlink")]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Symlink {
    /// Where the link is, such as `/srv/site/current`. A relative path counts from the directory that the program was
    /// started in.
    #[serde(deserialize_with = "path::named")]
    pub path: PathBuf,
    /// Where it leads to, word for word: `releases/42` counts from the directory that the link is in.
    #[serde(deserialize_with = "path::any")]
    pub target: PathBuf,
    /// The user that the link itself belongs to, by name or number; unless given it stays with whom it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The group that the link itself belongs to, by name or number; unless given it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Whether a file, or a directory with all that is in it, may be removed for the link. By default that is an error.
    #[serde(default)]
    pub force: bool,
}

validated!(Symlink);

impl Symlink {
    /// The link at `path` that leads to `target`.
    pub fn new(path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Symlink { path: path.into(), target: target.into(), owner: None, group: None, force: false }
    }

    /// The link itself belonging to this user, by name or number.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<Owner>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// The link itself belonging to this group, by name or number.
    #[must_use]
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Removing a file or directory in its place.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate_named(&self.path)?;
        path::validate(&self.target).context("bad `target`")
    }

    fn attributes(&self, cx: &Context) -> Result<Resolved> {
        Attributes { mode: None, owner: self.owner.as_ref(), group: self.group.as_ref() }.resolve(cx)
    }

    /// Makes the link, in place of what else may be there (but a directory).
    fn make(&self, cx: &Context, attributes: &Resolved) -> Result<()> {
        let directory = write::open_directory(write::directory_of(&self.path)?)?;
        let beside = write::beside(cx, &self.path)?;
        let [new, name] = [&beside, &self.path].map(|path| path.file_name().unwrap_or_default());
        rustix::fs::symlinkat(&self.target, &directory, new)?;
        own(&directory, new, attributes)?;
        rustix::fs::renameat(&directory, new, &directory, name)?;
        write::settle(cx, &beside)?;
        Ok(rustix::fs::fsync(&directory)?)
    }
}

/// Gives the link itself to whom it should belong to.
fn own(directory: &OwnedFd, link: &OsStr, attributes: &Resolved) -> Result<()> {
    let (uid, gid) = (attributes.uid.map(Uid::from_raw), attributes.gid.map(Gid::from_raw));
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    let give = || -> Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            // Whoever else may write to the directory can have put another file there, which is not to be given away.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(directory, link, flags, RawMode::empty())?;
            ensure!(Meta::from(rustix::fs::fstat(&opened)?).is_symlink(), "it was replaced meanwhile");
            Ok(rustix::fs::chownat(&opened, "", uid, gid, AtFlags::EMPTY_PATH)?)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        Ok(rustix::fs::chownat(directory, link, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
    };
    give().with_context(|| format!("failed to give {} away", link.display()))
}

impl Job for Symlink {
    fn name(&self) -> String {
        format!("Symlink {}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let attributes = self.attributes(cx)?;
        let path = self.path.display();
        let mut differences = Differences::new();
        match inspect::meta(&self.path, Links::Stay)? {
            None => differences.add(format!("{path} does not exist")),
            Some(meta) if meta.is_symlink() => {
                let found = inspect::read_link(&self.path)?;
                if found != self.target {
                    let [found, wanted] = [found.display(), self.target.display()];
                    differences.add_difference(
                        format!("{path} leads to {found}, not to {wanted}"),
                        format!("-{path} -> {found}\n+{path} -> {wanted}\n"),
                    );
                }
                attributes.compare(&meta, &mut differences);
            }
            Some(meta) => {
                guard::refuse_removal(cx, &self.path, &meta)?;
                ensure!(
                    self.force,
                    "{path} is {}, not a symbolic link; `force` would remove it",
                    meta.what()
                );
                differences.add(format!("{path} is {}, not a symbolic link", meta.what()));
            }
        }
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let attributes = self.attributes(cx)?;
        let make = || match inspect::meta(&self.path, Links::Stay)? {
            Some(meta)
                if meta.is_symlink()
                    && inspect::read_link(&self.path).is_ok_and(|target| target == self.target) =>
            {
                let directory = write::open_directory(write::directory_of(&self.path)?)?;
                own(&directory, self.path.file_name().unwrap_or_default(), &attributes)
            }
            Some(meta) if !meta.is_symlink() && !self.force => bail!("it is {}", meta.what()),
            Some(meta) if meta.is_dir() => {
                guard::refuse_removal(cx, &self.path, &meta)?;
                write::in_place_of_directory(cx, &self.path, || self.make(cx, &attributes))
            }
            _ => self.make(cx, &attributes),
        };
        make().with_context(|| format!("failed to make the symbolic link {}", self.path.display()))
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        write::cleanup(cx, &self.path)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
