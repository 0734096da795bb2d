//! Old files of a directory, removed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dojob::{Context, Job};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::disk::differ::Differences;
use crate::disk::inspect::{self, Links, Meta};
use crate::disk::path;
use crate::disk::pattern::Patterns;
use crate::disk::walk::{self, Enter, WalkedEntry};
use crate::guard;
use crate::span::Span;
use crate::validated::validated;

/// So many files are shown one by one.
const SHOWN: usize = 100;

/// Where the time of the check is kept, so that the recheck does not find files that have become too old meanwhile.
const NOW: &str = "now";

/// Old files of a directory are removed: those that are older than a span of time, those beyond the newest few, or with
/// both those that are both.
///
/// Only regular files are looked at: links, directories and the rest stay. Age counts from the last change of a file's
/// content. The root directory and those of the system itself (`/etc`, `/usr`, `/var` …) are refused, and what is mounted
/// below is left alone.
///
/// ```
/// # use dojob::Engine;
/// # use dojob_jobs::Prune;
/// # let root = tempfile::tempdir()?;
/// # for name in ["1.gz", "2.gz", "3.gz", "4.gz"] { std::fs::write(root.path().join(name), "")?; }
/// # let path = root.path().to_str().unwrap();
/// # #[cfg(any())]
/// let path = "/srv/backup";
/// let report = Engine::new(Prune::new(path).keep(3).pattern("*.gz"))?.converge();
/// assert!(report.success());
/// # assert_eq!(std::fs::read_dir(path)?.count(), 3);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Prune")]
#[schemars(extend("x-dojob-target" = { "by": "path", "and": ["patterns", "exclude"], "compare": "path" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Prune {
    /// Which directory, such as `/srv/backup`. A relative path counts from the directory that the program was started
    /// in. Where there is none, there is nothing to remove.
    #[serde(deserialize_with = "path::any")]
    pub path: PathBuf,
    /// Files may be removed when their content is older than this: `30 days`. This or `keep` is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Span>,
    /// So many of the newest files stay in any case. This or `older_than` is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// Which files, by patterns such as `["*.gz", "*.xz"]`; one with a `/` is held against the path from the directory.
    /// By default all; an empty list is refused, since none may be meant.
    #[serde(default, deserialize_with = "given_patterns", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub patterns: Vec<String>,
    /// Which files not, by patterns as in `patterns`. By default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether files in directories below are looked at, too, all as one lot. By default only those in the directory
    /// itself.
    #[serde(default)]
    pub recursive: bool,
}

validated!(Prune);

/// Refuses an empty list, which may have become so by chance, and would fit all files as none does.
fn given_patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(deserializer)?;
    if patterns.is_empty() {
        return Err(de::Error::custom(
            "`patterns` is empty: leave it out for all files, or give one at least",
        ));
    }
    Ok(patterns)
}

impl Prune {
    /// The files in the directory at `path`; which ones remains to be said.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Prune {
            path: path.into(),
            older_than: None,
            keep: None,
            patterns: Vec::new(),
            exclude: Vec::new(),
            recursive: false,
        }
    }

    /// Those whose content is older than this.
    #[must_use]
    pub fn older_than(mut self, span: impl Into<Span>) -> Self {
        self.older_than = Some(span.into());
        self
    }

    /// Those beyond the newest few.
    #[must_use]
    pub fn keep(mut self, count: u32) -> Self {
        self.keep = Some(count);
        self
    }

    /// Those whose name fits this pattern, or another one.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Not those whose name fits this pattern.
    #[must_use]
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// Also those in directories below.
    #[must_use]
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    fn validate(&self) -> Result<()> {
        path::validate_no_root(&self.path)?;
        ensure!(
            self.older_than.is_some() || self.keep.is_some(),
            "`older_than` or `keep` is needed: otherwise all files would be removed"
        );
        Patterns::anywhere(&self.patterns).context("bad `patterns`")?;
        Patterns::anywhere(&self.exclude).context("bad `exclude`").map(drop)
    }

    /// Calls `visit` for each file that is to be removed.
    fn select(&self, cx: &Context, mut visit: impl FnMut(&WalkedEntry<'_>) -> Result<()>) -> Result<()> {
        let Some(found) = inspect::meta(&self.path, Links::Follow)? else { return Ok(()) };
        ensure!(found.is_dir(), "{} is {}, not a directory", self.path.display(), found.what());
        let directory = walk::open_directory(&self.path)?;
        let opened = Meta::from(rustix::fs::fstat(&directory)?);
        guard::refuse_pruning(&self.path, &opened)?;
        let selection = Selection {
            cx,
            job: self,
            directory,
            patterns: Patterns::anywhere(&self.patterns)?,
            exclude: Patterns::anywhere(&self.exclude)?,
        };
        let oldest_kept = selection.oldest_kept()?;
        let before = self.older_than.map(|span| before(cx, span)).transpose()?;
        selection.walk(|entry| {
            let is_kept = oldest_kept
                .as_ref()
                .is_some_and(|kept| (entry.meta.modified, entry.path) >= (kept.0, kept.1.as_path()));
            let is_young = before.is_some_and(|before| entry.meta.modified >= before);
            if is_kept || is_young { Ok(()) } else { visit(entry) }
        })
    }
}

/// When a file's content changed: seconds and nanoseconds since 1970.
type Modified = (i64, u32);

/// The time that was so long ago when the job was checked first in this try.
fn before(cx: &Context, span: Span) -> Result<Modified> {
    let (seconds, nanoseconds): Modified = match cx.local().get(NOW)? {
        Some(now) => now,
        None => {
            let now = cx.now();
            let now = (now.as_second(), u32::try_from(now.subsec_nanosecond()).unwrap_or(0));
            cx.local().set(NOW, now)?;
            now
        }
    };
    let span = span.duration();
    let whole = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let (seconds, part) = (seconds.saturating_sub(whole), span.subsec_nanos());
    Ok(match nanoseconds.checked_sub(part) {
        Some(nanoseconds) => (seconds, nanoseconds),
        None => (seconds.saturating_sub(1), 1_000_000_000 + nanoseconds - part),
    })
}

/// The files in question.
struct Selection<'a> {
    cx: &'a Context,
    job: &'a Prune,
    directory: OwnedFd,
    patterns: Patterns,
    exclude: Patterns,
}

impl Selection<'_> {
    /// Calls `visit` for each, in no order.
    fn walk(&self, mut visit: impl FnMut(&WalkedEntry<'_>) -> Result<()>) -> Result<()> {
        let again = walk::open_again(&self.job.path, &self.directory)?;
        walk::walk_from(&self.job.path, again, |entry| {
            ensure!(!self.cx.is_cancelled(), "stopped before {}", entry.path.display());
            if entry.meta.is_dir() {
                return Ok(if self.job.recursive { Enter::UnlessMounted } else { Enter::No });
            }
            let fits = self.job.patterns.is_empty() || self.patterns.fit(entry.path);
            if entry.meta.is_file() && fits && !self.exclude.fit(entry.path) {
                visit(entry)?;
            }
            Ok(Enter::No)
        })
    }

    /// The oldest of those that stay in any case, or `None` where none does. Holds no more than those in memory.
    fn oldest_kept(&self) -> Result<Option<(Modified, PathBuf)>> {
        let Some(keep) = self.job.keep.filter(|keep| *keep > 0) else { return Ok(None) };
        let mut newest: BinaryHeap<Reverse<(Modified, PathBuf)>> = BinaryHeap::new();
        self.walk(|entry| {
            let is_full = newest.len() as u64 >= u64::from(keep);
            let older = |Reverse(oldest): &Reverse<(Modified, PathBuf)>| {
                (entry.meta.modified, entry.path) < (oldest.0, oldest.1.as_path())
            };
            if is_full && newest.peek().is_some_and(older) {
                return Ok(());
            }
            newest.push(Reverse((entry.meta.modified, entry.path.to_owned())));
            if is_full {
                newest.pop();
            }
            Ok(())
        })?;
        Ok(newest.pop().map(|Reverse(oldest)| oldest))
    }
}

impl Job for Prune {
    fn name(&self) -> String {
        let path = self.path.display();
        if self.patterns.is_empty() {
            format!("Prune {path}")
        } else {
            format!("Prune {path}: {}", self.patterns.join(", "))
        }
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let (mut count, mut bytes, mut shown) = (0, 0_u64, Vec::new());
        self.select(cx, |entry| {
            count += 1;
            bytes = bytes.saturating_add(entry.meta.size);
            if shown.len() < SHOWN {
                shown.push(entry.path.to_owned());
            }
            Ok(())
        })?;
        shown.sort();
        let mut differences = Differences::new();
        let path = self.path.display();
        match (count, shown.first()) {
            (_, None) => {}
            (1, Some(only)) => differences.add(format!("{} is to be removed", only.display())),
            (_, Some(first)) => {
                let first = first.display();
                let reason =
                    format!("{count} files of {bytes} bytes in {path} are to be removed, such as {first}");
                let line = |name: &PathBuf| format!("-{}", self.path.join(name).display());
                differences.add_lines(reason, shown.iter().map(line), count);
            }
        }
        differences.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.select(cx, |entry| match rustix::fs::unlinkat(entry.parent, entry.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => {
                let path: &Path = &self.path.join(entry.path);
                Err(errno).with_context(|| format!("failed to remove {}", path.display()))
            }
        })
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
