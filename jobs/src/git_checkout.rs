//! A working copy of a Git repository at a branch, a tag or a commit.
//!
//! What is wanted is checked out by its commit, with no branch of its own (a detached HEAD): so no local branch is ever
//! moved, and no commit of somebody who works there is lost. What a killed Git leaves behind (locks, half a checkout) the
//! cleanup mends.

mod git;
mod remote;
mod repo;
mod submodules;
mod trusted;
mod words;

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use dojob::{Context, Job, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::git::{Git, Place};
use self::words::{is_commit, short, some_of};
use crate::r#become::Become;
use crate::disk::differ::Differences;
use crate::disk::{path, write};
use crate::early;
use crate::validated::validated;

/// Keeps a directory at a branch, a tag or a commit of a Git repository. Needs the program `git`.
///
/// Changes of files that Git knows, and commits that are nowhere else, are never lost unless `force` is said: they make it
/// fail. Files that Git does not know, or ignores, are left alone. With `submodules` all of this holds in these as well. HEAD
/// is detached; local branches are not touched.
///
/// Addresses that Git, or `ssh`, would take for an option or for the name of a program are refused.
///
/// Its result: the commit that is checked out, with all of its digits.
///
/// Git runs programs that the configuration and the hooks of a repository name, so a repository in which something belongs to
/// another user than root and the one who runs Git, or that others may write to, is refused; for root also one that a group may
/// write to. So is a `dest` in whose place other users could put something else: one in a directory of theirs, say.
///
/// A server that sends nothing for 30 seconds is treated as failed; `GIT_HTTP_LOW_SPEED_LIMIT`, `GIT_HTTP_LOW_SPEED_TIME` and
/// `GIT_SSH_COMMAND` in the environment set it otherwise.
///
/// ```
/// # use dojob_jobs::GitCheckout;
/// let job = GitCheckout::new("https://git.example.com/app.git", "/srv/app").version("v1.2").depth(1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(!remote)]
#[schemars(extend("x-dojob-target" = { "by": "dest", "compare": "path" }))]
#[schemars(extend("x-dojob-result" = "text"))]
pub struct GitCheckout {
    /// Where it comes from, as `git clone` takes it: `https://git.example.com/app.git`, `git@example.com:app.git`, or an
    /// absolute path. It may not contain a password, since it is shown.
    pub repo: String,
    /// The directory to keep it in. It is made when it is missing; one with other things in it is left alone.
    #[serde(deserialize_with = "path::named")]
    pub dest: PathBuf,
    /// A branch, a tag, or a commit with all of its 40 (or 64) digits; unless given, the default branch. Where a branch and a
    /// tag have one name, say `refs/heads/…` or `refs/tags/…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Fetch only so many of the latest commits; unless given, all: then a history that was cut off is fetched, too, of
    /// submodules as well. A directory that has all commits keeps them. One whose history is cut off gets more where it has
    /// less than so many, and keeps what it has until there is something new to fetch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// Check out submodules, too, and theirs; unless given, `false`.
    #[serde(default)]
    pub submodules: bool,
    /// Throw away what is in the way: changed files, commits that are nowhere else, and files that Git does not know where the
    /// checkout has some of the same name. Unless given, `false`: then these make it fail.
    #[serde(default)]
    pub force: bool,
    /// Whether a directory that has the repository already follows what `version` leads to now; unless given, `true`. With
    /// `false` whatever is checked out there stays, and the repository is not asked.
    #[serde(default = "yes")]
    pub update: bool,
    /// The user to give to the server of `repo`, where that is one for HTTP and asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password or token to give to the server of `repo`, where that is one for HTTP and asks. Nobody else gets it: not
    /// another scheme, host or port, neither for a submodule nor behind a redirect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret<String>>,
    /// The user to run Git as: a name, or `{ user, method }`; unless given, the one who started this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#become: Option<Become>,
}

validated!(GitCheckout);

fn yes() -> bool {
    true
}

impl GitCheckout {
    /// Keeps the default branch of `repo` in `dest`.
    pub fn new(repo: impl Into<String>, dest: impl Into<PathBuf>) -> Self {
        GitCheckout {
            repo: repo.into(),
            dest: dest.into(),
            version: None,
            depth: None,
            submodules: false,
            force: false,
            update: true,
            username: None,
            password: None,
            r#become: None,
        }
    }

    /// At this branch, tag or commit.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// With only so many commits.
    #[must_use]
    pub fn depth(mut self, commits: u32) -> Self {
        self.depth = Some(commits);
        self
    }

    /// With its submodules.
    #[must_use]
    pub fn submodules(mut self, submodules: bool) -> Self {
        self.submodules = submodules;
        self
    }

    /// Throws away what is in the way.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Whether what is there already follows the repository.
    #[must_use]
    pub fn update(mut self, update: bool) -> Self {
        self.update = update;
        self
    }

    /// What is given to a server that asks by HTTP.
    #[must_use]
    pub fn login(mut self, username: impl Into<String>, password: impl Into<Secret<String>>) -> Self {
        self.username = Some(username.into());
        self.password = Some(password.into());
        self
    }

    /// Git runs as this user.
    #[must_use]
    pub fn as_user(mut self, user: impl Into<Become>) -> Self {
        self.r#become = Some(user.into());
        self
    }

    fn validate(&self) -> Result<()> {
        repo::validate(&self.repo)?;
        path::validate_named(&self.dest)?;
        if let Some(version) = &self.version {
            validate_version(version)?;
        }
        ensure!(self.depth != Some(0), "`depth` must be 1 or more");
        ensure!(
            self.username.is_none() || self.password.is_some(),
            "`username` needs a `password`; for SSH, put the user into `repo`"
        );
        for text in [self.username.as_ref(), self.password.as_ref().map(Secret::expose)].into_iter().flatten()
        {
            ensure!(
                !text.is_empty() && !text.contains(['\0', '\n', '\r']),
                "`username` and `password` must not be empty, nor contain line breaks or NUL bytes"
            );
        }
        ensure!(
            self.password.is_none() || repo::http_origin(&self.repo).is_some(),
            "`password` is only for a `repo` that begins with `https://` or `http://`; SSH logs in with a key"
        );
        self.r#become.as_ref().map_or(Ok(()), Become::validate)
    }

    fn git<'a>(&'a self, cx: &'a Context) -> Git<'a> {
        Git {
            cx,
            repo: &self.repo,
            dest: cx.working_directory().join(&self.dest),
            user: self.r#become.as_ref(),
            login: self
                .password
                .as_ref()
                .map(|password| (self.username.as_deref().unwrap_or("git"), password)),
            judged: RefCell::default(),
        }
    }

    /// The commit that `version` leads to in the repository.
    fn wanted(&self, git: &Git<'_>) -> Result<String> {
        match &self.version {
            Some(version) if is_commit(version) => Ok(version.to_ascii_lowercase()),
            version => git.remote_commit(version.as_deref()),
        }
    }

    fn shown_version(&self) -> &str {
        self.version.as_deref().unwrap_or("the default branch")
    }

    /// Nothing may be lost unless that was asked for.
    fn refuse_losses(&self, git: &Git<'_>) -> Result<()> {
        if self.force {
            return Ok(());
        }
        let at = self.dest.display();
        let modified = git.modified()?;
        ensure!(
            modified.is_empty(),
            "{at} has local modifications ({}); commit them or take them back, or say `force`",
            some_of(&modified)
        );
        if let Some(commit) = git.head()?.filter(|_| self.update) {
            ensure!(
                git.is_kept(&commit)?,
                "{at} has commits that are nowhere else, up to {}; put them on a branch, or say `force`",
                short(&commit)
            );
        }
        if self.submodules {
            git.refuse_losses_in_submodules()?;
        }
        Ok(())
    }

    fn check_depth(&self, git: &Git<'_>, differences: &mut Differences) -> Result<()> {
        match self.depth {
            None if git.is_cut_off(&git.dest, "HEAD")? => {
                differences.add("the history is cut off, and no `depth` is asked for");
            }
            Some(depth) if git.is_shorter(depth)? => {
                differences.add(format!("the history has less than {depth} commits, and is cut off"));
            }
            _ => {}
        }
        Ok(())
    }

    fn check_commit(&self, git: &Git<'_>, found: Option<&str>, differences: &mut Differences) -> Result<()> {
        let at = self.dest.display();
        let wanted = if self.update || found.is_none() { Some(self.wanted(git)?) } else { None };
        match (found, &wanted) {
            (None, Some(wanted)) => {
                differences
                    .add_difference(format!("{at} has nothing checked out"), format!("nothing -> {wanted}"));
            }
            (Some(found), Some(wanted)) if found != wanted => differences.add_difference(
                format!("{at} is at {}, not {} ({})", short(found), short(wanted), self.shown_version()),
                format!("commit {found} -> {wanted}"),
            ),
            _ => {}
        }
        Ok(())
    }

    /// All that differs in a repository that is there; returns the commit that is checked out.
    fn check_repository(&self, git: &Git<'_>, differences: &mut Differences) -> Result<Option<String>> {
        let found = git.head()?;
        let origin = git.origin()?;
        if origin.as_deref() != Some(self.repo.as_str()) {
            let origin = origin.map_or("nothing".to_owned(), |origin| repo::without_password(&origin));
            differences.add(format!("origin is {origin}, not {}", self.repo));
        }
        self.check_commit(git, found.as_deref(), differences)?;
        if found.is_none() {
            return Ok(None);
        }
        let modified = git.modified()?;
        if !modified.is_empty() {
            differences.add(format!("there are local modifications ({})", some_of(&modified)));
        }
        if self.update {
            self.check_depth(git, differences)?;
        }
        if self.submodules {
            git.submodules()?.into_iter().for_each(|reason| differences.add(reason));
            let all_commits = self.update && self.depth.is_none();
            git.wrong_in_submodules(all_commits)?.into_iter().for_each(|reason| differences.add(reason));
        }
        Ok(found)
    }
}

fn validate_version(version: &str) -> Result<()> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c);
    let is_name = !version.starts_with(['-', '/', '.']) && !version.ends_with(['/', '.']);
    ensure!(
        !version.is_empty()
            && is_name
            && version.chars().all(fits)
            && !version.contains("..")
            && !version.contains("@{"),
        "`{}` is no version: a branch, a tag or a whole commit is",
        version.escape_debug()
    );
    Ok(())
}

impl Job for GitCheckout {
    fn name(&self) -> String {
        format!("GitCheckout {}", self.dest.display())
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let mut differences = Differences::new();
        let git = self.git(cx);
        let place = early::or_missing(cx, git.place(), |_| {
            early::is_missing(&git.dest).then(|| format!("{} does not exist", self.dest.display()))
        })?;
        let found = match place {
            Place::Free(reason) => {
                let reason = format!("{} {reason}", self.dest.display());
                let wanted =
                    early::or_missing(cx, self.wanted(&git), |error| Some(format!("{reason}; {error}")))?;
                differences.add_difference(reason, format!("nothing -> {wanted}"));
                None
            }
            Place::Taken(by) => bail!("{} is {by}; move it out of the way", self.dest.display()),
            Place::Repository => self.check_repository(&git, &mut differences)?,
        };
        differences.into_result()?;
        Ok(cx.set_result(found)?)
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let git = self.git(cx);
        match git.place()? {
            Place::Taken(by) => bail!("{} is {by}; move it out of the way", self.dest.display()),
            Place::Free(_) => {}
            Place::Repository => self.refuse_losses(&git)?,
        }
        git.remember()?;
        git.init()?;
        let checked_out = git.head()?;
        let wanted = match &checked_out {
            Some(head) if !self.update => head.clone(),
            _ => git.fetch(&self.wanted(&git)?, self.version.as_deref(), self.depth)?,
        };
        if let Some(head) = checked_out.filter(|_| !self.force) {
            git.refuse_replaced(&git.dest, "", &head, &wanted)?;
        }
        git.check_out(&wanted, self.force)?;
        if self.submodules {
            git.update_submodules(self.depth, self.force)?;
        }
        git.forget();
        Ok(())
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        write::cleanup(cx, &self.dest)?;
        self.git(cx).mend()
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_name_and_no_expression() {
        for version in ["main", "v1.2", "feature/x", "refs/heads/main", "a@b", &"a1".repeat(20)] {
            assert!(validate_version(version).is_ok(), "{version}");
        }
        for version in ["", "-f", "a b", "HEAD~1", "a..b", "a^", "main@{1}", "a:b", "/a", "a/", "\0"] {
            assert!(validate_version(version).is_err(), "{version}");
        }
    }

    #[test]
    fn not_all_names_are_told() {
        let names: Vec<String> = (1..=7).map(|n| n.to_string()).collect();
        assert_eq!(some_of(&names[..5]), "1, 2, 3, 4, 5");
        assert_eq!(some_of(&names), "1, 2, 3, 4, 5 and 2 more");
    }
}
