//! Who may log in by SSH with which key: lines of a user's `authorized_keys`.

mod line;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use dojob::{Context, Job, Result};
use rustix::fs::{Mode as RawMode, OFlags};
use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::line::{Decided, Fate, Key, KeyLine, end_of_options, is_authority};
use crate::account::{Accounts, Presence, UserLine};
use crate::disk::differ::Differences;
use crate::disk::edit_lock;
use crate::disk::inspect::{self, Links, Meta};
use crate::disk::owner::{Mode, Resolved};
use crate::disk::write;
use crate::early;
use crate::serde_helpers::{no_break, path};
use crate::target_root::{TargetRoot, account_name};
use crate::text_file::{TextFile, joined, lines};
use crate::validated::validated;

const DIRECTORY_MODE: Mode = Mode::new(0o700);
const FILE_MODE: Mode = Mode::new(0o600);

/// A public key is in a user's `~/.ssh/authorized_keys`, or is not. Other lines, comments and the order stay as they are.
///
/// A line with the option `cert-authority` lets in who has a certificate that the key has signed, not the key itself: it counts as
/// another line, unless `options` says `cert-authority`, too. With `state: absent` all lines of the key go.
///
/// The directory is made where it is missing; its mode is 0700, that of the file 0600, and both belong to the user: others
/// are refused by `sshd`.
///
/// ```
/// # use dojob_jobs::AuthorizedKey;
/// # let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzTjY8yHbfyfGgbqcLYNPpIe0vDiQ0Jkh8Cf4yHdQWn rosa@laptop";
/// let login = AuthorizedKey::new("rosa", key).options("no-agent-forwarding");
/// # let same: AuthorizedKey = serde_json::from_value(serde_json::json!({
/// #     "user": "rosa", "key": key, "options": "no-agent-forwarding"
/// # }))?;
/// # assert_eq!(login, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "AuthorizedKey")]
#[schemars(extend("x-dojob-target" = { "by": "user|path", "and": ["key"] }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct AuthorizedKey {
    /// Whose file it is. It can be left out where `path` is given; then the file's owner and mode are not looked at.
    #[serde(default)]
    pub user: Option<String>,
    /// The file, where it is not `~/.ssh/authorized_keys`. Its directory has to exist.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// The public key, as it is in a file such as `id_ed25519.pub`, or several, one a line. A key is known by its type and
    /// content; the comment behind it is written, but not compared.
    pub key: String,
    /// What stands before the key: `command="backup",no-pty`, say. Unless given, whatever is there stays; an empty text
    /// is for none. Where the key is there several times, one line has these options, and those others stay that have a
    /// `from=` of their own, for other hosts, unless it is `exclusive`.
    #[serde(default)]
    pub options: Option<String>,
    /// Whether no other keys are in the file; false unless given.
    #[serde(default)]
    pub exclusive: bool,
    /// `present` unless given, or `absent`.
    #[serde(default)]
    pub state: Presence,
    /// The tree of another system, to be worked on in place of this one: `/mnt/image`, say.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(AuthorizedKey);

/// Which file it is, and who it belongs to.
struct Place {
    file: PathBuf,
    /// `~/.ssh`, where that is our business.
    directory: Option<PathBuf>,
    owner: Option<(u32, u32)>,
}

impl Place {
    fn attributes(&self, mode: Mode) -> Resolved {
        match self.owner {
            None => Resolved::default(),
            Some((uid, gid)) => {
                Resolved { mode: Some(mode), uid: Some(uid), gid: Some(gid), ..Resolved::default() }
            }
        }
    }
}

impl AuthorizedKey {
    /// The key for `user`.
    pub fn new(user: impl Into<String>, key: impl Into<String>) -> Self {
        AuthorizedKey { user: Some(user.into()), ..AuthorizedKey::empty(key.into()) }
    }

    /// The key in the file `path`, whoever it belongs to.
    pub fn in_file(path: impl Into<PathBuf>, key: impl Into<String>) -> Self {
        AuthorizedKey { path: Some(path.into()), ..AuthorizedKey::empty(key.into()) }
    }

    fn empty(key: String) -> Self {
        AuthorizedKey {
            user: None,
            path: None,
            key,
            options: None,
            exclusive: false,
            state: Presence::Present,
            root: None,
        }
    }

    /// In this file in place of the usual one.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// With these options before the key.
    #[must_use]
    pub fn options(mut self, options: impl Into<String>) -> Self {
        self.options = Some(options.into());
        self
    }

    /// And no other keys.
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

    /// In the tree of another system.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    fn machine(&self) -> TargetRoot<'_> {
        TargetRoot::new(self.root.as_ref())
    }

    fn keys(&self) -> Result<Vec<Key>> {
        let lines = self.key.lines().filter(|line| !line.trim().is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for key in
            lines.map(|line| Key::parse(line).map_err(|error| anyhow!("`key` is no public key: {error}")))
        {
            let key = key?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        ensure!(!keys.is_empty(), "`key` is empty");
        Ok(keys)
    }

    fn validate(&self) -> Result<()> {
        ensure!(self.user.is_some() || self.path.is_some(), "one of `user` and `path` is wanted");
        if let Some(user) = &self.user {
            account_name("user", user)?;
        }
        if let Some(file) = &self.path {
            path("path", file)?;
            ensure!(file.file_name().is_some(), "`path` is {}, which is no file", file.display());
        }
        ensure!(!self.key.contains('\0'), "`key` has a NUL byte in it");
        self.keys()?;
        if let Some(options) = &self.options {
            no_break("options", options)?;
            ensure!(
                end_of_options(options) == Some(options.len()),
                "`options` is `{options}`: blanks are allowed in double quotes only, and every quote has to be closed"
            );
        }
        let is_absent = self.state == Presence::Absent;
        ensure!(!is_absent || !self.exclusive, "`exclusive` requires `state: present`");
        ensure!(!is_absent || self.options.is_none(), "`options` requires `state: present`");
        self.machine().validate()
    }

    fn place(&self) -> Result<Place> {
        let user = self.user.as_ref().map(|name| self.user_line(name)).transpose()?;
        let owner = user.as_ref().map(|user| (user.uid, user.gid));
        match (&self.path, user) {
            (Some(path), _) => Ok(Place { file: path.clone(), directory: None, owner }),
            (None, Some(user)) => {
                let directory = Path::new(&user.home).join(".ssh");
                Ok(Place { file: directory.join("authorized_keys"), directory: Some(directory), owner })
            }
            (None, None) => bail!("one of `user` and `path` is wanted"),
        }
    }

    fn user_line(&self, name: &str) -> Result<UserLine> {
        let accounts = Accounts::read(self.machine())?;
        let user = accounts.user(name).cloned();
        user.with_context(|| format!("there is no user {name}; a `user` before this one can make it"))
    }

    /// What the file is to say, and in what it differs.
    fn edit(&self, text: &str) -> Result<(String, Vec<String>)> {
        let (mut kept, mut reasons, mut others) = (Vec::new(), Vec::new(), 0_usize);
        let mut missing = self.keys()?;
        let wanted = missing.clone();
        let wants_authority = is_authority(self.options.as_deref().unwrap_or_default());
        let mut decided = Decided::of(text, self.options.as_deref().unwrap_or_default());
        for line in lines(text) {
            let Some(found) = KeyLine::parse(&line) else {
                kept.push(line);
                continue;
            };
            // A key that signs certificates is not let in itself, and the other way round.
            let is_other = self.state == Presence::Present && found.is_authority() != wants_authority;
            if is_other || !wanted.contains(&found.key) {
                if self.exclusive {
                    others += 1;
                } else {
                    kept.push(line);
                }
                continue;
            }
            if self.state == Presence::Absent {
                reasons.push(format!("the key {} is there", found.key));
                continue;
            }
            missing.retain(|key| *key != found.key);
            match &self.options {
                Some(options) => match decided.decide(&found, options, self.exclusive) {
                    Fate::Stays => kept.push(known_to_all(line, &found, &mut reasons)),
                    Fate::GetsOptions => {
                        reasons.push(format!("the options of the key {} differ", found.key));
                        kept.push(KeyLine::new(options, found.key).to_string());
                    }
                    Fate::Goes => reasons.push(format!("the key {} is there twice", found.key)),
                },
                None => kept.push(known_to_all(line, &found, &mut reasons)),
            }
        }
        if self.state == Presence::Present {
            for key in missing {
                reasons.push(format!("the key {key} is missing"));
                let options = self.options.as_deref().unwrap_or_default();
                kept.push(KeyLine::new(options, key).to_string());
            }
        }
        match others {
            0 => {}
            1 => reasons.push("another key is there".to_owned()),
            others => reasons.push(format!("{others} other keys are there")),
        }
        Ok((joined(&kept), reasons))
    }

    /// The directory and what differs about it. As root we would do in it what its user could turn elsewhere by a link.
    fn compare_directory(&self, place: &Place, differences: &mut Differences) -> Result<()> {
        let Some(directory) = &place.directory else { return Ok(()) };
        let found = inspect::meta(&self.machine().locate(directory)?, Links::Stay)?;
        match found {
            None if self.state == Presence::Absent => {}
            None => {
                let home = directory.parent().unwrap_or(Path::new("/"));
                if inspect::meta(&self.machine().locate_target(home)?, Links::Follow)?.is_none() {
                    bail!("the home directory {} does not exist", home.display());
                }
                differences.add(format!("{} does not exist", directory.display()));
            }
            Some(meta) if meta.is_dir() && self.state == Presence::Absent => {}
            Some(meta) if meta.is_dir() => {
                let mut own = Differences::new();
                place.attributes(DIRECTORY_MODE).compare_at(
                    &self.machine().locate(directory)?,
                    Links::Stay,
                    &meta,
                    &mut own,
                )?;
                if let Err(error) = own.into_result() {
                    differences.add(format!("{}: {error}", directory.display()));
                }
            }
            Some(meta) => bail!(
                "{} is {}, not a directory; give the file that it leads to as `path`",
                directory.display(),
                meta.what()
            ),
        }
        Ok(())
    }

    fn differences(&self, place: &Place, file: &TextFile) -> Result<Differences> {
        let mut differences = Differences::new();
        self.compare_directory(place, &mut differences)?;
        let (wanted, mut reasons) = self.edit(&file.text)?;
        if self.hides_its_first_line(file) {
            reasons.push("it begins with a byte order mark, which hides its first line from sshd".to_owned());
        }
        if !reasons.is_empty() {
            file.compare(reasons.join("; "), &wanted, &mut differences);
        }
        if let Some(meta) = file.meta.as_ref().filter(|_| self.state == Presence::Present) {
            file.compare_attributes(&place.attributes(FILE_MODE), meta, &mut differences)?;
        }
        Ok(differences)
    }

    fn hides_its_first_line(&self, file: &TextFile) -> bool {
        self.state == Presence::Present && file.text.has_mark()
    }

    fn read(&self, place: &Place) -> Result<TextFile> {
        // In a directory of the user's own a link is refused: as root we would write wherever it leads to.
        let links = if place.directory.is_some() { Links::Stay } else { Links::Follow };
        TextFile::read(self.machine(), &place.file, links)
    }

    fn make_directory(&self, place: &Place) -> Result<()> {
        let Some(directory) = &place.directory else { return Ok(()) };
        let path = self.machine().locate(directory)?;
        let make = || {
            let home = write::open_directory(write::directory_of(&path)?)?;
            let name = path.file_name().unwrap_or_default();
            match rustix::fs::mkdirat(&home, name, RawMode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(anyhow::Error::new(errno)),
            }
            // What the user puts in its place meanwhile is theirs at most: a link is refused, and anybody else's directory.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(&home, name, flags, RawMode::empty())?;
            let found = Meta::from(rustix::fs::fstat(&made)?);
            let is_owners = [place.owner.map_or(0, |(uid, _)| uid), rustix::process::geteuid().as_raw()];
            ensure!(is_owners.contains(&found.uid), "it belongs to another user");
            place.attributes(DIRECTORY_MODE).set(&made, &found)
        };
        make().with_context(|| format!("failed to make {}", directory.display()))
    }
}

/// The line of a key that is wanted, with the name of its type that every `sshd` knows.
fn known_to_all(line: String, found: &KeyLine, reasons: &mut Vec<String>) -> String {
    if found.has_own_name {
        return line;
    }
    reasons.push(format!("the type of the key {} is written in a way that not every sshd knows", found.key));
    found.to_string()
}

impl Job for AuthorizedKey {
    fn name(&self) -> String {
        let whose = match (&self.user, &self.path) {
            (Some(user), None) => user.clone(),
            (_, Some(path)) => path.display().to_string(),
            (None, None) => "nobody".to_owned(),
        };
        match self.keys().unwrap_or_default().as_slice() {
            [] => format!("AuthorizedKey {whose}"),
            [key] => format!("AuthorizedKey {whose} {key}"),
            [key, more @ ..] => format!("AuthorizedKey {whose} {key} and {} more", more.len()),
        }
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let place = early::or_missing(cx, self.place(), |_| {
            let user = self.user.as_ref().filter(|_| self.state == Presence::Present)?;
            crate::account::has_no_lists(self.machine()).then(|| format!("there is no user {user}"))
        })?;
        let file = self.read(&place)?;
        self.differences(&place, &file)?.into_result()
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let place = self.place()?;
        let _turn = edit_lock::take(cx, &self.machine().locate(&place.file)?)?;
        let mut file = self.read(&place)?;
        if self.differences(&place, &file)?.into_result().is_ok() {
            return Ok(());
        }
        if self.hides_its_first_line(&file) {
            file.text.remove_mark();
        }
        let (wanted, _) = self.edit(&file.text)?;
        if self.state == Presence::Present {
            self.make_directory(&place)?;
            return file.write(cx, &wanted, &place.attributes(FILE_MODE));
        }
        file.write(cx, &wanted, &Resolved::default())
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        // Where the user is gone, so is the place of its keys.
        match self.place() {
            // As it is read: in the user's own directory a link is nothing that we have followed.
            Ok(place) if place.directory.is_some() => {
                write::cleanup(cx, &self.machine().locate(&place.file)?)
            }
            Ok(place) => write::cleanup(cx, &self.machine().locate_target(&place.file)?),
            Err(_) => Ok(()),
        }
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
