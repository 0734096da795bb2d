//! Submodules of a working copy, and theirs: what is in them is no less somebody's work than what is around them.
//!
//! Git's own `submodule update` moves one away from commits that are nowhere else, overwrites what it ignores, and fetches
//! no history that was left out. So those that are there already are brought to their commits here, by the rules of the
//! checkout; only those that are not there yet are left to Git.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use dojob::Permanent;

use super::git::{ALL_BRANCHES, FETCH, Git};
use super::words::{short, some_of};
use crate::disk::inspect::{self, Links};

/// As many commits as Git can count: all.
const ALL_COMMITS: &str = "--depth=2147483647";

/// A submodule that is checked out.
pub(super) struct Submodule {
    /// Counted from the outermost working copy on.
    pub(super) name: String,
    pub(super) directory: PathBuf,
    /// The commit that the working copy around it has it at.
    recorded: String,
    /// The commit that it is at.
    head: String,
}

impl Git<'_> {
    /// The submodules that the commit `at` has, and that are checked out, below the working copy in `directory`: not theirs.
    fn submodules_in(&self, directory: &Path, name: &str, at: &str) -> Result<Vec<Submodule>> {
        let what = format!("which submodules are in {}", directory.display());
        let tree = self.bytes_in(directory, &what, &["ls-tree", "-r", "-z", "--full-tree", at])?;
        let mut found = Vec::new();
        for entry in tree.split(|byte| *byte == 0) {
            let Some(described) = entry.strip_prefix(b"160000 commit ") else { continue };
            let mut parts = described.splitn(2, |byte| *byte == b'\t');
            let (Some(recorded), Some(path)) = (parts.next(), parts.next()) else { continue };
            let recorded = String::from_utf8_lossy(recorded).into_owned();
            let path = Path::new(OsStr::from_bytes(path));
            let inner = directory.join(path);
            if !is_checked_out(directory, path)? {
                continue;
            }
            // A clone that was killed has none.
            let Some(head) = self.head_in(&inner)? else { continue };
            found.push(Submodule { name: inner_name(name, path), directory: inner, recorded, head });
        }
        Ok(found)
    }

    /// All submodules that are checked out, and theirs, the outer ones first.
    pub(super) fn all_submodules(&self) -> Result<Vec<Submodule>> {
        let mut all = Vec::new();
        if self.head()?.is_none() {
            return Ok(all);
        }
        let mut open = self.submodules_in(&self.dest, "", "HEAD")?;
        while let Some(submodule) = open.pop() {
            open.extend(self.submodules_in(&submodule.directory, &submodule.name, "HEAD")?);
            all.push(submodule);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// What is wrong with submodules beside their commits.
    pub(super) fn wrong_in_submodules(&self, all_commits: bool) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for submodule in self.all_submodules()? {
            let name = &submodule.name;
            let modified = self.modified_in(&submodule.directory)?;
            if !modified.is_empty() {
                wrong.push(format!(
                    "there are local modifications in submodule {name} ({})",
                    some_of(&modified)
                ));
            }
            if all_commits && self.is_cut_off(&submodule.directory, "HEAD")? {
                wrong.push(format!("the history of submodule {name} is cut off"));
            }
        }
        Ok(wrong)
    }

    /// # Errors
    /// When something in a submodule would be lost.
    pub(super) fn refuse_losses_in_submodules(&self) -> Result<()> {
        self.all_submodules()?.iter().try_for_each(|submodule| self.refuse_losses_in(submodule))
    }

    fn refuse_losses_in(&self, submodule: &Submodule) -> Result<()> {
        let Submodule { name, directory, recorded, head } = submodule;
        let modified = self.modified_in(directory)?;
        ensure!(
            modified.is_empty(),
            "submodule {name} has local modifications ({}); commit them or take them back, or say `force`",
            some_of(&modified)
        );
        ensure!(
            head == recorded || self.is_kept_in(directory, head)?,
            "submodule {name} has commits that are nowhere else, up to {}; put them on a branch, or say `force`",
            short(head)
        );
        Ok(())
    }

    /// A submodule whose place is taken by something else in the new commit is removed by Git, with all that is in it.
    ///
    /// # Errors
    /// When something would be lost with it.
    pub(super) fn refuse_replaced(&self, directory: &Path, name: &str, from: &str, to: &str) -> Result<()> {
        let what = format!("how {} and {} differ", short(from), short(to));
        let args = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none", from, to];
        let changed = self.bytes_in(directory, &what, &args)?;
        let mut parts = changed.split(|byte| *byte == 0);
        while let (Some(described), Some(path)) = (parts.next(), parts.next()) {
            let Some(rest) = described.strip_prefix(b":160000 ") else { continue };
            let path = Path::new(OsStr::from_bytes(path));
            if rest.starts_with(b"160000 ") || !is_checked_out(directory, path)? {
                continue;
            }
            let inner = path.to_str().context("the path of a submodule must be UTF-8")?;
            let there = self.bytes_in(directory, &what, &["ls-tree", "--full-tree", to, "--", inner])?;
            if there.is_empty() {
                // Git leaves it where it is.
                continue;
            }
            self.refuse_removal(&directory.join(path), &inner_name(name, path))?;
        }
        Ok(())
    }

    fn refuse_removal(&self, directory: &Path, name: &str) -> Result<()> {
        let would = format!("submodule {name} would be replaced by files");
        let git = inspect::meta(&directory.join(".git"), Links::Stay)?;
        ensure!(
            git.is_none_or(|git| git.is_file()),
            "{would}, and holds its own repository; move it away, or say `force`"
        );
        let what = format!("what is in {}", directory.display());
        let args = ["status", "--porcelain", "-z", "--untracked-files=normal", "--ignored"];
        let found = self.answer_in(directory, &what, &args)?;
        ensure!(
            found.is_empty(),
            "{would}, and has files that its repository does not have; move it away, or say `force`"
        );
        let Some(head) = self.head_in(directory)? else { return Ok(()) };
        ensure!(
            self.is_kept_in(directory, &head)?,
            "{would}, and has commits that are nowhere else, up to {}; put them on a branch, or say `force`",
            short(&head)
        );
        for inner in self.submodules_in(directory, name, "HEAD")? {
            self.refuse_removal(&inner.directory, &inner.name)?;
        }
        Ok(())
    }

    pub(super) fn update_submodules(&self, depth: Option<u32>, force: bool) -> Result<()> {
        self.change(&["submodule", "--quiet", "sync", "--recursive"])?;
        // The outer ones first: which commit an inner one has to be at depends on them.
        let mut open = self.submodules_in(&self.dest, "", "HEAD")?;
        while let Some(submodule) = open.pop() {
            let Submodule { name, directory, .. } = &submodule;
            self.update_submodule(&submodule, depth, force)
                .with_context(|| format!("failed to update submodule {name}"))?;
            open.extend(self.submodules_in(directory, name, "HEAD")?);
        }
        let depth = depth.map_or("--no-recommend-shallow".to_owned(), |depth| format!("--depth={depth}"));
        let mut args = vec!["submodule", "--quiet", "update", "--init", "--recursive", &depth];
        if force {
            args.push("--force");
        }
        self.change(&args)
    }

    fn update_submodule(&self, submodule: &Submodule, depth: Option<u32>, force: bool) -> Result<()> {
        let Submodule { name, directory, recorded, head } = submodule;
        let is_shallow = self.is_shallow(directory)?;
        if !self.has_in(directory, recorded)? {
            let depth = depth.filter(|_| is_shallow).map(|depth| format!("--depth={depth}"));
            let mut args = FETCH.to_vec();
            args.extend(depth.as_deref());
            if depth.is_none() {
                self.change_in(directory, &[args.as_slice(), &["origin", ALL_BRANCHES]].concat())?;
            }
            if !self.has_in(directory, recorded)? {
                self.change_in(directory, &[args.as_slice(), &["origin", recorded]].concat())?;
            }
        }
        if depth.is_none() && is_shallow {
            self.complete(directory, recorded)?;
        }
        if head != recorded {
            if !force {
                self.refuse_losses_in(submodule)?;
                self.refuse_replaced(directory, name, head, recorded)?;
            }
            let how = if force { "--force" } else { "--no-overwrite-ignore" };
            let args =
                ["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", how, recorded, "--"];
            self.change_in(directory, &args)?;
        }
        Ok(())
    }

    /// Fetches the whole history of a commit that a shallow repository has.
    ///
    /// # Errors
    /// When that fails, and for ever when the repository that it comes from does not have it either.
    pub(super) fn complete(&self, directory: &Path, commit: &str) -> Result<()> {
        self.change_in(
            directory,
            &[&FETCH[..], &["--unshallow", "--tags", "origin", ALL_BRANCHES]].concat(),
        )?;
        // On no branch any more.
        if self.is_cut_off(directory, commit)? {
            self.change_in(directory, &[&FETCH[..], &[ALL_COMMITS, "origin", commit]].concat())?;
        }
        if self.is_cut_off(directory, commit)? {
            let why = format!(
                "the repository that {} comes from does not have the whole history of {} itself; say `depth`",
                directory.display(),
                short(commit)
            );
            bail!(Permanent::new(why));
        }
        Ok(())
    }
}

/// The name of a submodule of the working copy of that name; the outermost has none.
fn inner_name(name: &str, path: &Path) -> String {
    let path = path.to_string_lossy().escape_debug().to_string();
    if name.is_empty() { path } else { format!("{name}/{path}") }
}

/// Whether there is a working copy at a place in another one, with no link on the way: behind one, somebody else's would be
/// changed.
fn is_checked_out(around: &Path, place: &Path) -> Result<bool> {
    let mut at = around.to_owned();
    for step in place.components() {
        let Component::Normal(step) = step else { return Ok(false) };
        at.push(step);
        if !inspect::meta(&at, Links::Stay)?.is_some_and(|meta| meta.is_dir()) {
            return Ok(false);
        }
    }
    Ok(inspect::meta(&at.join(".git"), Links::Stay)?.is_some_and(|git| git.is_file() || git.is_dir()))
}
