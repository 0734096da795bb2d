//! Asking the program `git`: about a directory, about the repository that it comes from, and to change the one into the
//! other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context as _, Result, anyhow, ensure};
use dojob::{Command, CommandOutput, Context, CouldNotFindOut, OrCouldNotFindOut, Secret};
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::remote::{candidates, choose};
use super::repo;
use super::trusted::{self, git_directory};
use super::words::{is_commit, short};
use crate::r#become::{self, Become, Variables};
use crate::disk::inspect::{self, Links};
use crate::disk::walk::{Enter, WalkedEntry, walk_from};
use crate::disk::{at, write};

/// How long a question may take.
const ASKING: Duration = Duration::from_secs(60);
/// So that nobody is asked for a password, and no server is waited for that says nothing for half a minute.
const UNLESS_SET: [(&str, &str); 3] = [
    (
        "GIT_SSH_COMMAND",
        "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=2",
    ),
    // Bytes a second.
    ("GIT_HTTP_LOW_SPEED_LIMIT", "1"),
    ("GIT_HTTP_LOW_SPEED_TIME", "30"),
];
/// How much of an answer is taken: the names of all files in a tree, say. One that is longer is none.
const LONGEST_ANSWER: usize = 256 * 1024 * 1024;
/// Where the local storage keeps [`UnderWay`].
const UNDER_WAY: &str = "under way";
/// What was checked out last; so that its commit is somewhere, also where it is on no branch.
const CHECKED_OUT: &str = "refs/dojob/checked-out";
/// Hands login and password on by variables: what is in a list of words can be seen by all. Which server asks is looked at here as
/// well, since not every version of Git does so, and a proxy, a redirect or a submodule asks in the same way.
const CREDENTIALS: &str = "!f() { test \"$1\" = get || exit 0; \
                           while read -r line && test -n \"$line\"; do case \"$line\" in \
                           protocol=*) protocol=\"${line#*=}\";; host=*) host=\"${line#*=}\";; esac; done; \
                           test \"$protocol://$host\" = \"$DOJOB_GIT_ORIGIN\" || exit 0; \
                           printf 'username=%s\\npassword=%s\\n' \"$DOJOB_GIT_USERNAME\" \"$DOJOB_GIT_PASSWORD\"; }; f";
/// What the environment must not say about which repository is meant, and what is in it.
const FOREIGN: [&str; 15] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_CONFIG",
    // With it, Git that is run by root believes repositories of whoever called `sudo`, and runs what they configure.
    "SUDO_UID",
    "SUDO_GID",
];
/// How is fetched; and all branches, and where to.
pub(super) const FETCH: [&str; 3] = ["fetch", "--quiet", "--no-recurse-submodules"];
pub(super) const ALL_BRANCHES: &str = "+refs/heads/*:refs/remotes/origin/*";

/// What the cleanup has to know of a change that did not come to its end.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    /// The locks that were there before.
    locks: Vec<String>,
    /// Whether there was nothing at all before.
    fresh: bool,
    /// The commit that was about to be checked out.
    commit: Option<String>,
}

pub(super) struct Git<'a> {
    pub(super) cx: &'a Context,
    pub(super) repo: &'a str,
    pub(super) dest: PathBuf,
    pub(super) user: Option<&'a Become>,
    pub(super) login: Option<(&'a str, &'a Secret<String>)>,
    /// The working copies that nobody else has a hand in.
    pub(super) judged: RefCell<BTreeSet<PathBuf>>,
}

/// What is where the working copy should be.
pub(super) enum Place {
    /// Nothing, or an empty directory: why nothing is checked out there.
    Free(&'static str),
    /// A repository.
    Repository,
    /// Something else.
    Taken(&'static str),
}

impl Git<'_> {
    /// Refuses a working copy that others have a hand in; looked at once, since nobody else can change one that is not refused.
    fn judge(&self, directory: &Path) -> Result<()> {
        if self.judged.borrow().contains(directory) {
            return Ok(());
        }
        let user = self.user.map_or(Ok(geteuid().as_raw()), |user| user.uid(self.cx))?;
        trusted::refuse_foreign(directory, user)?;
        self.judged.borrow_mut().insert(directory.to_owned());
        Ok(())
    }

    /// Git, somewhere.
    fn command(&self, directory: &Path, args: &[&str]) -> Result<Command<'_>> {
        if directory != Path::new("/") {
            self.judge(&self.dest)?;
            self.judge(directory)?;
        }
        let mut plain = BTreeMap::from([
            ("LC_ALL", "C".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_OPTIONAL_LOCKS", "0".to_owned()),
        ]);
        for (name, value) in UNLESS_SET.iter().filter(|(name, _)| std::env::var_os(name).is_none()) {
            plain.insert(*name, (*value).to_owned());
        }
        if let Some(parent) = self.dest.parent() {
            // A repository around it is not meant.
            plain.insert("GIT_CEILING_DIRECTORIES", parent.display().to_string());
        }
        let mut secret = BTreeMap::new();
        // In a submodule: its address was chosen by whoever made the commit, not by who has written the job.
        if directory != self.dest && directory != Path::new("/") {
            plain.insert("GIT_PROTOCOL_FROM_USER", "0".to_owned());
        }
        // The directory is given as an argument, since whoever starts Git may not be allowed to enter it.
        let directory = directory.to_str().ok_or_else(|| anyhow!("`dest` must be UTF-8"))?;
        // A program of whoever names it is never started, whatever the configuration allows.
        let mut words = vec!["git", "-C", directory, "-c", "protocol.ext.allow=never"];
        let origin = repo::http_origin(self.repo);
        // For the server that was named, an empty one takes back those of the configuration.
        let helpers = origin.as_ref().map(|origin| {
            ["".to_owned(), CREDENTIALS.to_owned()]
                .map(|helper| format!("credential.{origin}.helper={helper}"))
        });
        if let (Some((username, password)), Some(origin), Some(helpers)) = (self.login, origin, &helpers) {
            plain.insert("DOJOB_GIT_USERNAME", username.to_owned());
            plain.insert("DOJOB_GIT_ORIGIN", origin);
            secret.insert("DOJOB_GIT_PASSWORD".to_owned(), password.clone());
            helpers.iter().for_each(|helper| words.extend(["-c", helper.as_str()]));
        }
        words.extend(args);
        let plain = plain.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let command = r#become::command(self.cx, self.user, &words, Variables::new(&plain, &secret))?;
        Ok(FOREIGN.iter().fold(command, |command, variable| command.env_remove(variable)))
    }

    /// Asks, and takes whatever exit code.
    fn ask_in(&self, directory: &Path, what: &str, args: &[&str]) -> Result<CommandOutput> {
        let command = self.command(directory, args)?.quiet().timeout(ASKING).keep(LONGEST_ANSWER);
        let output = command.output().or_could_not_find_out(what)?;
        if output.stdout.dropped() > 0 {
            return Err(CouldNotFindOut::new(what).because("git says more than can be kept").into());
        }
        Ok(output)
    }

    fn ask(&self, what: &str, args: &[&str]) -> Result<CommandOutput> {
        self.ask_in(&self.dest, what, args)
    }

    /// Asks what has to be answered.
    fn answer(&self, what: &str, args: &[&str]) -> Result<String> {
        self.answer_in(&self.dest, what, args)
    }

    /// As [`answer_in`](Git::answer_in), with names that are no text as they are.
    pub(super) fn bytes_in(&self, directory: &Path, what: &str, args: &[&str]) -> Result<Vec<u8>> {
        let output = self.ask_in(directory, what, args)?;
        if output.success() { Ok(output.stdout.bytes()) } else { Err(self.unanswered(what, &output)) }
    }

    pub(super) fn answer_in(&self, directory: &Path, what: &str, args: &[&str]) -> Result<String> {
        let output = self.ask_in(directory, what, args)?;
        if output.success() { Ok(output.text()) } else { Err(self.unanswered(what, &output)) }
    }

    fn unanswered(&self, what: &str, output: &CommandOutput) -> anyhow::Error {
        let said = output.stderr.text();
        let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
        let mut error =
            anyhow!("git says: {}", if said.is_empty() { output.status.to_string() } else { said.clone() });
        if said.contains("dubious ownership") {
            let hint = format!("{} belongs to another user; set `become` to its owner", self.dest.display());
            error = anyhow!(hint);
        }
        CouldNotFindOut::new(what).because(error).into()
    }

    /// What is where the working copy should be.
    ///
    /// # Errors
    /// When others have a hand in it, or it cannot be seen.
    pub(super) fn place(&self) -> Result<Place> {
        self.judge(&self.dest)?;
        let Some(meta) = inspect::meta(&self.dest, Links::Follow)? else {
            // A link that leads nowhere is not followed by Git either.
            let is_link = inspect::meta(&self.dest, Links::Stay)?.is_some();
            return Ok(if is_link {
                Place::Taken("a link that leads nowhere")
            } else {
                Place::Free("does not exist")
            });
        };
        if !meta.is_dir() {
            return Ok(Place::Taken(meta.what()));
        }
        let git = git_directory(&self.dest);
        match inspect::meta(&git, Links::Follow)? {
            // Another working copy's.
            Some(meta) if meta.is_file() => return Ok(Place::Repository),
            Some(_) => {
                // Less is what a `git init` leaves that was killed; it can be called again.
                for part in ["HEAD", "objects", "refs"] {
                    if inspect::meta(&git.join(part), Links::Stay)?.is_none() {
                        return Ok(Place::Free("has half a repository"));
                    }
                }
                return Ok(Place::Repository);
            }
            None => {}
        }
        let mut entries =
            fs::read_dir(&self.dest).or_could_not_find_out(format!("what is in {}", self.dest.display()))?;
        Ok(if entries.next().is_none() {
            Place::Free("is empty")
        } else {
            Place::Taken("a directory with other things in it")
        })
    }

    pub(super) fn origin(&self) -> Result<Option<String>> {
        let what = format!("where {} comes from", self.dest.display());
        let output = self.ask(&what, &["config", "--local", "--get", "remote.origin.url"])?;
        match output.status.code() {
            Some(0) => Ok(Some(output.text())),
            Some(1) => Ok(None),
            _ => Err(self.unanswered(&what, &output)),
        }
    }

    /// The commit that is checked out, where there is one.
    pub(super) fn head(&self) -> Result<Option<String>> {
        self.head_in(&self.dest)
    }

    pub(super) fn head_in(&self, directory: &Path) -> Result<Option<String>> {
        let what = format!("what is checked out in {}", directory.display());
        let output = self.ask_in(directory, &what, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        match output.status.code() {
            Some(0) => Ok(Some(output.text())),
            Some(1) => Ok(None),
            _ => Err(self.unanswered(&what, &output)),
        }
    }

    /// The files that Git knows and that are not as it knows them.
    pub(super) fn modified(&self) -> Result<Vec<String>> {
        self.modified_in(&self.dest)
    }

    pub(super) fn modified_in(&self, directory: &Path) -> Result<Vec<String>> {
        let what = format!("what is modified in {}", directory.display());
        let args = [
            "status",
            "--porcelain=v2",
            "-z",
            "--no-renames",
            "--untracked-files=no",
            "--ignore-submodules=dirty",
        ];
        let text = self.answer_in(directory, &what, &args)?;
        Ok(text.split('\0').filter_map(modification).map(str::to_owned).collect())
    }

    /// Whether something else than HEAD leads to this commit.
    pub(super) fn is_kept(&self, commit: &str) -> Result<bool> {
        self.is_kept_in(&self.dest, commit)
    }

    pub(super) fn is_kept_in(&self, directory: &Path, commit: &str) -> Result<bool> {
        let what = format!("whether {commit} is on a branch");
        let refs = self.answer_in(directory, &what, &["for-each-ref", "--count=1", "--contains", commit])?;
        // In a shallow repository the commit that was fetched last is on no branch; it is remembered as that.
        let fetched = ["rev-parse", "--verify", "--quiet", "FETCH_HEAD^{commit}"];
        let fetched = self.ask_in(directory, &what, &fetched)?;
        Ok(!refs.is_empty() || (fetched.success() && fetched.text() == commit))
    }

    pub(super) fn is_shallow(&self, directory: &Path) -> Result<bool> {
        let what = format!("whether {} has all commits", directory.display());
        Ok(self.answer_in(directory, &what, &["rev-parse", "--is-shallow-repository"])? == "true")
    }

    /// Whether a part of the history of a commit was not fetched.
    pub(super) fn is_cut_off(&self, directory: &Path, commit: &str) -> Result<bool> {
        if !self.is_shallow(directory)? {
            return Ok(false);
        }
        let what = format!("whether {} has the whole history of {commit}", directory.display());
        let first = self.answer_in(directory, &what, &["rev-list", "--max-parents=0", commit])?;
        for commit in first.lines() {
            if self.has_parents(directory, &what, commit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the history of HEAD was cut off before there were so many commits.
    pub(super) fn is_shorter(&self, depth: u32) -> Result<bool> {
        // The commit that is checked out is always there.
        if depth == 1 || !self.is_shallow(&self.dest)? {
            return Ok(false);
        }
        let what = format!("how many commits {} has", self.dest.display());
        let most = format!("--max-count={depth}");
        let commits = self.answer(&what, &["rev-list", "--first-parent", &most, "HEAD"])?;
        let is_less = (commits.lines().count() as u64) < u64::from(depth);
        match commits.lines().last().filter(|_| is_less) {
            Some(last) => self.has_parents(&self.dest, &what, last),
            None => Ok(false),
        }
    }

    /// Whether a commit says that there are others before it, fetched or not.
    fn has_parents(&self, directory: &Path, what: &str, commit: &str) -> Result<bool> {
        let text = self.answer_in(directory, what, &["cat-file", "commit", commit])?;
        Ok(text.lines().take_while(|line| !line.is_empty()).any(|line| line.starts_with("parent ")))
    }

    /// What is wrong with the submodules.
    pub(super) fn submodules(&self) -> Result<Vec<String>> {
        let what = format!("which submodules are in {}", self.dest.display());
        let text = self.answer(&what, &["submodule", "status", "--recursive"])?;
        let reason = |line: &str| {
            // A letter, the commit, the path, and in brackets a name of the commit.
            let path = line.get(1..)?.split_once(' ')?.1;
            let path = path.rsplit_once(" (").map_or(path, |(path, _)| path);
            match line.chars().next()? {
                '-' => Some(format!("submodule {path} is not checked out")),
                '+' => Some(format!("submodule {path} is at another commit")),
                'U' => Some(format!("submodule {path} has conflicts")),
                _ => None,
            }
        };
        Ok(text.lines().filter_map(reason).collect())
    }

    /// What a branch or a tag of the repository leads to, or its default branch.
    pub(super) fn remote_commit(&self, version: Option<&str>) -> Result<String> {
        let name = version.unwrap_or("HEAD");
        let what = format!("what {name} is in {}", self.repo);
        let names = candidates(name);
        let mut args = vec!["ls-remote", "--", self.repo];
        args.extend(names.iter().map(String::as_str));
        // Not from the directory itself: it may not be there.
        let output = self.ask_in(Path::new("/"), &what, &args)?;
        if !output.success() {
            return Err(self.unanswered(&what, &output));
        }
        let text = output.text();
        choose(name, &text).or_could_not_find_out(&what)
    }

    /// Makes it a repository that comes from the right place.
    pub(super) fn init(&self) -> Result<()> {
        if !matches!(self.place()?, Place::Repository) {
            let is_new = inspect::meta(&self.dest, Links::Stay)?.is_none();
            // Where somebody else than root becomes another user, it is not for them to rename what that one has made.
            if is_new && (self.user.is_none() || geteuid().is_root()) {
                self.init_new()?;
            } else {
                self.init_at(&self.dest)?;
            }
        }
        if self.origin()?.as_deref() != Some(self.repo) {
            self.change(&["config", "--local", "remote.origin.url", self.repo])?;
            self.change(&[
                "config",
                "--local",
                "remote.origin.fetch",
                "+refs/heads/*:refs/remotes/origin/*",
            ])?;
        }
        Ok(())
    }

    fn init_at(&self, directory: &Path) -> Result<()> {
        let directory = directory.to_str().ok_or_else(|| anyhow!("`dest` must be UTF-8"))?;
        self.command(Path::new("/"), &["init", "--quiet", "--", directory])?.run()?;
        Ok(())
    }

    /// Makes it under a name that nobody knows, and gives it its own: what others put there meanwhile, a link perhaps, is not
    /// written to.
    fn init_new(&self) -> Result<()> {
        let beside = write::beside(self.cx, &self.dest)?;
        self.init_at(&beside)?;
        let directory = write::open_directory(write::directory_of(&self.dest)?)?;
        let [made, name] = [&beside, &self.dest].map(|path| path.file_name().unwrap_or_default());
        let is_renamed = write::rename_new(&directory, made, name)
            .with_context(|| format!("failed to make {}", self.dest.display()))?;
        ensure!(is_renamed, "{} was created by another process in the meantime", self.dest.display());
        write::settle(self.cx, &beside)
    }

    /// Fetches the commit, and says which one it is now: a branch may just have moved on.
    pub(super) fn fetch(&self, commit: &str, version: Option<&str>, depth: Option<u32>) -> Result<String> {
        let is_shallow = self.is_shallow(&self.dest)?;
        let is_here = version.is_some_and(is_commit) && self.has_in(&self.dest, commit)?;
        // A directory that has all commits keeps them.
        let depth = match depth {
            Some(depth) if is_shallow || self.head()?.is_none() => Some(depth),
            _ => None,
        };
        let Some(depth) = depth else {
            if is_here && !is_shallow {
                return Ok(commit.to_owned());
            }
            let commit = if is_here { commit.to_owned() } else { self.fetch_all(commit)? };
            if is_shallow {
                self.complete(&self.dest, &commit)?;
            }
            return Ok(commit);
        };
        if is_here && self.head()?.as_deref() == Some(commit) && !self.is_shorter(depth)? {
            return Ok(commit.to_owned());
        }
        let depth = format!("--depth={depth}");
        self.change(&[&FETCH[..], &[&depth, "origin", commit]].concat())?;
        self.fetched()
    }

    fn fetch_all(&self, commit: &str) -> Result<String> {
        let refs = ["--tags", "--prune", "--force", "origin", ALL_BRANCHES];
        self.change(&[&FETCH[..], &refs].concat())?;
        if self.has_in(&self.dest, commit)? {
            return Ok(commit.to_owned());
        }
        // It is on no branch.
        self.change(&[&FETCH[..], &["origin", commit]].concat())?;
        self.fetched()
    }

    fn fetched(&self) -> Result<String> {
        self.answer("what was fetched", &["rev-parse", "--verify", "FETCH_HEAD^{commit}"])
    }

    pub(super) fn has_in(&self, directory: &Path, commit: &str) -> Result<bool> {
        let commit = format!("{commit}^{{commit}}");
        Ok(self.ask_in(directory, "which commits are there", &["cat-file", "-e", &commit])?.success())
    }

    pub(super) fn check_out(&self, commit: &str, force: bool) -> Result<()> {
        if let Some(under_way) = self.cx.local().get::<UnderWay>(UNDER_WAY)? {
            self.cx.local().set(UNDER_WAY, UnderWay { commit: Some(commit.to_owned()), ..under_way })?;
        }
        // Unless told so, Git overwrites what it was told to ignore.
        let how = if force { "--force" } else { "--no-overwrite-ignore" };
        self.change(&[
            "-c",
            "advice.detachedHead=false",
            "checkout",
            "--quiet",
            "--detach",
            how,
            commit,
            "--",
        ])?;
        self.change(&["update-ref", CHECKED_OUT, commit])
    }

    pub(super) fn change(&self, args: &[&str]) -> Result<()> {
        self.change_in(&self.dest, args)
    }

    pub(super) fn change_in(&self, directory: &Path, args: &[&str]) -> Result<()> {
        self.command(directory, args)?.run()?;
        Ok(())
    }

    /// Takes note, before anything is changed, of what the cleanup has to know if nobody comes to its end.
    pub(super) fn remember(&self) -> Result<()> {
        let place = self.place()?;
        let mut locks = Vec::new();
        for_each_lock(&git_directory(&self.dest), |lock| {
            locks.push(lock.path.to_string_lossy().into_owned());
            Ok(())
        })?;
        let fresh = match place {
            Place::Repository => self.head()?.is_none() && self.has_nothing_else()?,
            Place::Free(_) => true,
            Place::Taken(_) => false,
        };
        Ok(self.cx.local().set(UNDER_WAY, UnderWay { locks, fresh, commit: None })?)
    }

    fn has_nothing_else(&self) -> Result<bool> {
        let entries = fs::read_dir(&self.dest)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.iter().all(|entry| entry.file_name() == ".git"))
    }

    /// The change came to its end: nothing has to be mended.
    pub(super) fn forget(&self) {
        self.cx.local().remove(UNDER_WAY);
    }

    /// Mends what a Git that was killed has left: locks that nobody holds, and half a checkout. What was in the files at
    /// that time is kept as a commit, since it could be somebody's work.
    pub(super) fn mend(&self) -> Result<()> {
        let Some(under_way) = self.cx.local().get::<UnderWay>(UNDER_WAY)? else { return Ok(()) };
        let place = self.place()?;
        let directory = git_directory(&self.dest);
        for_each_lock(&directory, |lock| {
            let (name, path) = (lock.path.to_string_lossy(), directory.join(lock.path));
            // Earlier versions have stored the whole path.
            let is_it = |before: &String| **before == *name || **before == *path.to_string_lossy();
            if under_way.locks.iter().any(is_it) {
                return Ok(());
            }
            // In the directory that was looked through, wherever its path leads by now.
            rustix::fs::unlinkat(lock.parent, lock.name, AtFlags::empty())
                .with_context(|| format!("failed to remove {}", path.display()))
        })?;
        if matches!(place, Place::Repository) {
            match (self.head()?, under_way.commit) {
                (Some(_), _) => self.mend_files()?,
                // The directory was empty: all that is in the way of the commit comes from it.
                (None, Some(commit)) if under_way.fresh => self.check_out(&commit, true)?,
                (None, _) => {}
            }
        }
        self.forget();
        Ok(())
    }

    fn mend_files(&self) -> Result<()> {
        self.mend_files_in(&self.dest)?;
        // Their commits may be those of half an update; the next run goes on from there.
        for submodule in self.all_submodules()? {
            self.mend_files_in(&submodule.directory)?;
        }
        Ok(())
    }

    fn mend_files_in(&self, directory: &Path) -> Result<()> {
        if self.modified_in(directory)?.is_empty() {
            return Ok(());
        }
        self.keep_modified(directory)?;
        self.change_in(directory, &["reset", "--quiet", "--hard"])
    }

    fn keep_modified(&self, directory: &Path) -> Result<()> {
        let author = ["-c", "user.name=dojob", "-c", "user.email=dojob@localhost"];
        let create = [author.as_slice(), &["stash", "create"]].concat();
        let commit = self.answer_in(directory, "what to keep", &create)?;
        if commit.is_empty() {
            return Ok(());
        }
        let name = format!("refs/dojob/interrupted-{}", short(&commit));
        self.cx.log(format!("what was in {} is kept as {name}", directory.display()));
        self.change_in(directory, &["update-ref", &name, &commit])
    }
}

/// The path in an entry of Git's status. That a submodule is at another commit is none: it is told apart, by those who want
/// submodules; that this is about to be committed is one.
fn modification(entry: &str) -> Option<&str> {
    let fields = match entry.get(..2)? {
        "1 " => 9,
        "u " => 11,
        _ => return None,
    };
    let fields: Vec<_> = entry.splitn(fields, ' ').collect();
    let is_commit_alone = fields.get(2)?.starts_with('S') && fields.get(1)?.starts_with('.');
    fields.last().filter(|_| !is_commit_alone).copied()
}

/// Calls `visit` for each file in a directory of Git's by which it says that it is at work. Links are not followed.
fn for_each_lock(git: &Path, mut visit: impl FnMut(&WalkedEntry<'_>) -> Result<()>) -> Result<()> {
    let opened = match at::open(git, at::Links::Follow, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(opened) => opened,
        Err(at::Fault::System(Errno::NOENT | Errno::NOTDIR)) => return Ok(()),
        Err(fault) => return Err(inspect::refused(git, fault)),
    };
    walk_from(git, opened, |entry| {
        if entry.meta.is_file() && entry.path.extension().is_some_and(|end| end == "lock") {
            visit(entry)?;
        }
        // Objects are many, and have no locks.
        Ok(if entry.name == c"objects" { Enter::No } else { Enter::Yes })
    })
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
