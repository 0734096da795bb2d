//! Fetches packages from the first mirror that has all of them: a group that is attempted for each mirror, and reverted in
//! between.
//!
//! ```text
//! cargo run --example mirrors -- --root /tmp/root --mirror /srv/first --mirror /srv/second -v
//! cargo run --example mirrors -- --root /tmp/root --mirror /srv/first --graph -
//! ```
//!
//! A mirror is a directory with a file for each package. What an attempt has fetched from a mirror that turns out to be incomplete is
//! removed before the next mirror is tried, so that packages of different mirrors are never mixed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;
use dojob::cli::Flags;
use dojob::{Attempts, Context, Deps, Engine, Group, Job, Permanent, Result, deps};
use serde::Serialize;

/// Fetches packages from the first mirror that has all of them.
#[derive(Parser, Serialize)]
struct Cli {
    /// Where the packages go
    #[arg(long, value_name = "DIRECTORY")]
    root: PathBuf,

    /// A directory with a file for each package; several are tried in order
    #[arg(long = "mirror", value_name = "DIRECTORY", required = true)]
    mirrors: Vec<PathBuf>,

    /// The packages to fetch
    #[arg(long = "package", value_name = "NAME", default_values = ["app", "lib"])]
    packages: Vec<String>,

    #[command(flatten)]
    #[serde(skip)]
    flags: Flags,
}

/// The file that says where packages come from.
#[derive(Clone, PartialEq)]
struct Source {
    root: PathBuf,
}

impl Source {
    fn path(&self) -> PathBuf {
        self.root.join("source")
    }

    /// The mirror of the attempt. The first attempt stays with the one in use, so that a later start changes nothing.
    fn mirror(&self, cx: &Context) -> Result<String> {
        let mirrors: Vec<String> = cx.arg("mirrors")?;
        let in_use = read(&self.path())?.filter(|mirror| cx.attempt() == 1 && mirrors.contains(mirror));
        Ok(in_use.map_or_else(|| cx.attempt_value(), Ok)?)
    }
}

impl Job for Source {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let mirror = self.mirror(cx)?;
        let source = read(&self.path())?.unwrap_or_default();
        ensure!(source == mirror, "the source is `{source}` and not `{mirror}`");
        Ok(cx.set_result(mirror)?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let mirror = self.mirror(cx)?;
        cx.local().set("before", read(&self.path())?)?;
        fs::create_dir_all(&self.root)?;
        Ok(fs::write(self.path(), mirror)?)
    }

    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        put_back(&self.path(), cx)
    }
}

/// A package, fetched from the mirror of the attempt.
#[derive(Clone, PartialEq)]
struct Fetch {
    package: String,
    root: PathBuf,
}

impl Fetch {
    fn path(&self) -> PathBuf {
        self.root.join(&self.package)
    }

    fn offered(&self, cx: &Context) -> Result<Option<String>> {
        let mirror: PathBuf = cx.result("Source")?;
        read(&mirror.join(&self.package))
    }
}

impl Job for Fetch {
    fn name(&self) -> String {
        format!("Fetch {}", self.package)
    }

    fn deps(&self) -> Deps {
        deps![Source { root: self.root.clone() }]
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let offered = self.offered(cx)?;
        ensure!(offered.is_some() && read(&self.path())? == offered, "{} is not fetched", self.package);
        Ok(())
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let mirror: String = cx.result("Source")?;
        let Some(content) = self.offered(cx)? else {
            // No other try would help; another mirror may.
            return Err(Permanent::new(format!("{mirror} has no package {}", self.package)).into());
        };
        cx.local().set("before", read(&self.path())?)?;
        Ok(fs::write(self.path(), content)?)
    }

    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        put_back(&self.path(), cx)
    }
}

/// Comes after the group, and so after all packages were fetched from one mirror.
#[derive(Clone, PartialEq)]
pub struct Index {
    /// The directory of the packages and of the index.
    pub root: PathBuf,
    /// The packages to fetch.
    pub packages: Vec<String>,
    /// The mirrors, in the order in which they are tried.
    pub mirrors: Vec<PathBuf>,
}

impl Index {
    fn content(&self) -> Result<String> {
        let source = read(&self.root.join("source"))?.unwrap_or_default();
        Ok(format!("{} from {source}\n", self.packages.join(" ")))
    }
}

impl Job for Index {
    fn deps(&self) -> Deps {
        let root = &self.root;
        let mut jobs = deps![Source { root: root.clone() }];
        jobs.extend(
            self.packages.iter().map(|package| Fetch { package: package.clone(), root: root.clone() }),
        );
        // The first one comes again behind the others: in the first attempt another one may be in use.
        let again = self.mirrors.first().filter(|_| self.mirrors.len() > 1);
        let attempts = Attempts::for_each(self.mirrors.iter().chain(again));
        deps![Group::new("mirror").jobs(jobs).attempts(attempts)]
    }

    fn check(&mut self, _: &mut Context) -> Result<()> {
        let index = read(&self.root.join("index"))?;
        ensure!(index == Some(self.content()?), "the index is not up to date");
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(fs::write(self.root.join("index"), self.content()?)?)
    }
}

/// What a file has in it; `None` where there is none.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}

/// Makes a file what it was before the run.
fn put_back(path: &Path, cx: &Context) -> Result<()> {
    // Without it the run has not come to the point where it changes anything.
    match cx.local().get::<Option<String>>("before")? {
        None => Ok(()),
        Some(Some(before)) => Ok(fs::write(path, before)?),
        Some(None) if path.exists() => Ok(fs::remove_file(path)?),
        Some(None) => Ok(()),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.flags.main(&cli, || {
        let (root, packages, mirrors) = (cli.root.clone(), cli.packages.clone(), cli.mirrors.clone());
        let scope = root.display().to_string();
        Ok(Engine::new(Index { root, packages, mirrors })?.scope(scope))
    })
}
