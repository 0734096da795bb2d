//! Nothing at a path.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dojob::{Context, Job, NotAsWanted};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::disk::inspect::{self, Meta};
use crate::disk::{path, walk, write};
use crate::guard;
use crate::validated::validated;

/// Nothing at a path: a file, a link (not what it leads to) or an empty directory that is there is removed.
///
/// Directories that the system needs (`/etc`, `/usr`, `/var/lib` …), homes of users, mount points, and directories with one of
/// these or with the working directory in them are refused, by whatever name.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Absent;
/// # let root = tempfile::tempdir()?;
/// # let path = root.path().join("default"); std::fs::write(&path, "")?; let path = path.to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/etc/nginx/sites-enabled/default";
/// let report = Engine::new(Absent::new(path))?.converge();
/// assert!(report.success());
/// # assert!(!std::fs::exists(path)?);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Absent")]
#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Absent {
    /// Where nothing is to be, such as `/etc/motd`. A relative path counts from the directory that the program was
    /// started in.
    #[serde(deserialize_with = "path::any")]
    pub path: PathBuf,
    /// Whether a directory is removed with all that is in it. By default one that is not empty is an error.
    #[serde(default)]
    pub recursive: bool,
}

validated!(Absent);

impl Absent {
    /// Nothing at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Absent { path: path.into(), recursive: false }
    }

    /// Removing a directory with all that is in it.
    #[must_use]
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate_no_root(&self.path)?;
        Ok(path::validate_named(&self.path)?)
    }

    /// Whether it is a directory that nobody has allowed us to remove.
    fn is_kept(&self, meta: &Meta) -> Result<bool> {
        Ok(meta.is_dir() && !self.recursive && !walk::names(&self.path)?.is_empty())
    }
}

impl Job for Absent {
    fn name(&self) -> String {
        format!("Absent {}", self.path.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let path = self.path.display();
        let Some(meta) = inspect::meta_if_any(&self.path)? else { return Ok(()) };
        guard::refuse_removal(cx, &self.path, &meta)?;
        ensure!(
            !self.is_kept(&meta)?,
            "{path} is a directory with something in it; `recursive` would remove it all"
        );
        Err(NotAsWanted::new(format!("{path} is there: {}", meta.what())).into())
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let remove = || {
            let Some(meta) = inspect::meta_if_any(&self.path)? else { return Ok(()) };
            guard::refuse_removal(cx, &self.path, &meta)?;
            ensure!(!self.is_kept(&meta)?, "it is a directory with something in it");
            if meta.is_dir() {
                // Gone at once, and not half of it for a while.
                return write::in_place_of_directory(cx, &self.path, || Ok(()));
            }
            let parent = write::open_directory(write::directory_of(&self.path)?)?;
            let name = self.path.file_name().unwrap_or_default();
            match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        };
        remove().with_context(|| format!("failed to remove {}", self.path.display()))
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
