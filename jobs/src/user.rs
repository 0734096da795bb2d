//! A local user.
//!
//! Knows the local accounts and the tools of the `shadow` suite; nothing of users that a directory service tells of.
//! What is to be done is a [`Plan`], made of what was found by a pure function: `check` tells it, `run` follows it.

mod plan;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use dojob::{Context, Job, NotAsWanted, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::plan::{Found, Plan};
use crate::account::{self, Accounts, Expiry, Password, Presence, home, login_setting};
use crate::disk::look::{self, Links};
use crate::disk::write;
use crate::machine::{Machine, account_name};
use crate::validated::validated;
use crate::written::{NameOrNumber, name_or_number, no_break, path};

/// Where a run that removes a home directory keeps which one, for the recheck and the cleanup.
const REMOVED_HOME: &str = "removed_home";
/// And where it keeps the number of the user's own group.
const REMOVED_GROUP: &str = "removed_group";
/// And where a run that makes the user keeps that it does.
const NEW: &str = "new";

/// A local user is there, with these attributes, or is not. What is not given may be anything.
///
/// ```
/// # use dojob_jobs::User;
/// let rosa = User::new("rosa").shell("/bin/bash").groups(["docker", "adm"]);
/// let same: User =
///     serde_json::from_str(r#"{"name": "rosa", "shell": "/bin/bash", "groups": ["docker", "adm"]}"#)?;
/// assert_eq!(rosa, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "User")]
#[schemars(extend("x-dojob-target" = { "by": "name" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct User {
    /// The user's name, at most 32 bytes.
    pub name: String,
    /// The user's number; unless given, the system chooses one, and any is fine. Where it changes, the files in the home
    /// directory change their owner with it; others have to be seen to by hand, and so have those of a change that was
    /// interrupted. The same goes for `group`.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The primary group, by name or number; it has to exist. Unless given, a new user gets what the system is set to: on
    /// most a group of the user's own name.
    #[serde(default, deserialize_with = "name_or_number")]
    #[schemars(with = "Option<NameOrNumber>")]
    pub group: Option<String>,
    /// Further groups, by name; they have to exist. Groups that the user is in beside these are left alone unless
    /// `exact_groups` is true.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// Whether the user is in no other groups than `groups`; false unless given.
    #[serde(default)]
    pub exact_groups: bool,
    /// The home directory: `/home/rosa`, say. What is in the old one is not moved.
    #[serde(default)]
    pub home: Option<PathBuf>,
    /// Whether the home directory is to exist; a new one is copied from `/etc/skel`. Unless given: true for a new user and
    /// where `home` is given, and false for a `system` user and for an account that is there without a home. With false it is
    /// left as it is.
    #[serde(default)]
    pub create_home: Option<bool>,
    /// The day from which on the account cannot be used, as in `2030-01-31`, or `never`. Unless given it is left as it is.
    #[serde(default)]
    pub expires: Option<String>,
    /// The login shell: `/bin/bash`, say.
    #[serde(default)]
    pub shell: Option<PathBuf>,
    /// The comment (GECOS), as a rule the full name. Not `:`.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether a number from the system's range is chosen (`useradd --system`). It matters only while the user is made;
    /// false unless given.
    #[serde(default)]
    pub system: bool,
    /// The hash of the password, as `mkpasswd` or `openssl passwd -6` make it: `$6$…`. `*` is one that never fits. A new
    /// user has no password unless this is given.
    #[serde(default)]
    pub password_hash: Option<Secret<String>>,
    /// Whether the password is locked, so that nobody logs in by it; keys still work. Unless given it is left as it is,
    /// and an account that gets its first password is not locked.
    #[serde(default)]
    pub locked: Option<bool>,
    /// `present` unless given, or `absent`.
    #[serde(default)]
    pub state: Presence,
    /// With state `absent`: whether the home directory and the mail go as well; false unless given.
    #[serde(default)]
    pub remove_home: bool,
    /// The tree of another system, to be worked on in place of this one: `/mnt/image`, say. It takes root's rights.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(User);

impl User {
    /// The user `name`, with nothing else asked.
    pub fn new(name: impl Into<String>) -> Self {
        User {
            name: name.into(),
            uid: None,
            group: None,
            groups: None,
            exact_groups: false,
            home: None,
            create_home: None,
            expires: None,
            shell: None,
            comment: None,
            system: false,
            password_hash: None,
            locked: None,
            state: Presence::Present,
            remove_home: false,
            root: None,
        }
    }

    /// With this number.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// With this primary group, a name or a number.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// In these groups as well.
    #[must_use]
    pub fn groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.groups = Some(groups.into_iter().map(Into::into).collect());
        self
    }

    /// In no other groups than those of [`groups`](User::groups).
    #[must_use]
    pub fn exact_groups(mut self, exact: bool) -> Self {
        self.exact_groups = exact;
        self
    }

    /// With this home directory.
    #[must_use]
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Whether the home directory is to exist.
    #[must_use]
    pub fn create_home(mut self, create: bool) -> Self {
        self.create_home = Some(create);
        self
    }

    /// Usable until this day, `2030-01-31` for example, or `never` without end.
    #[must_use]
    pub fn expires(mut self, day: impl Into<String>) -> Self {
        self.expires = Some(day.into());
        self
    }

    /// With this login shell.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// With this comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// With a number from the system's range.
    #[must_use]
    pub fn system(mut self, system: bool) -> Self {
        self.system = system;
        self
    }

    /// With the password that has this hash.
    #[must_use]
    pub fn password_hash(mut self, hash: impl Into<String>) -> Self {
        self.password_hash = Some(Secret::new(hash.into()));
        self
    }

    /// With the password locked or not.
    #[must_use]
    pub fn locked(mut self, locked: bool) -> Self {
        self.locked = Some(locked);
        self
    }

    /// Present or absent.
    #[must_use]
    pub fn state(mut self, state: Presence) -> Self {
        self.state = state;
        self
    }

    /// Absent with home directory and mail.
    #[must_use]
    pub fn remove_home(mut self, remove: bool) -> Self {
        self.remove_home = remove;
        self
    }

    /// In the tree of another system.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    fn machine(&self) -> Machine<'_> {
        Machine::new(self.root.as_ref())
    }

    /// Whether the home directory has to exist. That of an account which was there before, and has none, is nobody's
    /// mistake unless `create_home` or `home` asks for it (Debian's `nobody` must not have one, say).
    fn wants_home(&self, is_new: bool) -> bool {
        let unless_given = !self.system && (is_new || self.home.is_some());
        self.state == Presence::Present && self.create_home.unwrap_or(unless_given)
    }

    /// Where it is kept, for all tries of this run, that the user is new and its home still to be made.
    fn homeless(&self) -> String {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        format!("dojob: the home of the user {} of {} is to be made", self.name, root.display())
    }

    /// Whether this run, or in its cleanup an interrupted one, has made the user and not yet the home.
    fn is_homeless(&self, cx: &Context) -> Result<bool> {
        let in_this_run = cx.global().get::<bool>(&self.homeless())?.unwrap_or(false);
        Ok(in_this_run || cx.local().get::<bool>(NEW)?.unwrap_or(false))
    }

    fn make_home(&self, cx: &Context, is_new: bool) -> Result<()> {
        let machine = self.machine();
        let found = self.look(machine)?;
        if let Some(user) = found.accounts.user(&self.name)
            && self.home_is_missing(machine, &Plan::new(self, &found)?, is_new)?.is_some()
        {
            home::make(cx, machine, user)?;
        }
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        account_name("name", &self.name)?;
        if let Some(group) = self.group.as_deref().filter(|group| group.parse::<u32>().is_err()) {
            account_name("group", group)?;
        }
        for group in self.groups.iter().flatten() {
            account_name("groups", group)?;
        }
        ensure!(!self.exact_groups || self.groups.is_some(), "`exact_groups` says nothing without `groups`");
        for (field, value) in [("home", &self.home), ("shell", &self.shell)] {
            let Some(value) = value else { continue };
            path(field, value)?;
            let text =
                value.to_str().with_context(|| format!("`{field}` is no UTF-8: {}", value.display()))?;
            no_break(field, text)?;
            ensure!(!text.contains(':'), "`{field}` has a `:` in it, which /etc/passwd cannot hold: {text}");
        }
        if let Some(comment) = &self.comment {
            no_break("comment", comment)?;
            ensure!(
                !comment.contains(':'),
                "`comment` has a `:` in it, which /etc/passwd cannot hold: {comment}"
            );
        }
        ensure!(
            !self.remove_home || self.state == Presence::Absent,
            "`remove_home` says nothing unless `state` is `absent`"
        );
        if let Some(day) = &self.expires {
            Expiry::parse(day)?;
        }
        ensure!(
            self.create_home != Some(true) || !self.home.as_deref().is_some_and(home::is_for_nobody),
            "`create_home` is true, and `home` is a path that must not exist: {}",
            self.home.as_deref().unwrap_or(Path::new("")).display()
        );
        self.validate_hash()?;
        self.machine().validate()
    }

    /// Says nothing of the value: what is no hash may be the password itself.
    fn validate_hash(&self) -> Result<()> {
        let Some(hash) = &self.password_hash else { return Ok(()) };
        let hash = hash.expose();
        let plain = !hash.contains([':', '\n', '\r', '\0', ' ', '!']) && hash.is_ascii();
        if plain && (hash == "*" || hash.starts_with('$') && hash.matches('$').count() > 2) {
            return Ok(());
        }
        bail!(
            "`password_hash` is no hash of a password: one begins with `$`, as `openssl passwd -6` makes it, or is `*`; \
             to lock the password there is `locked`"
        )
    }

    fn look(&self, machine: Machine<'_>) -> Result<Found> {
        let accounts = Accounts::read(machine)?;
        let matters =
            self.state == Presence::Present && (self.password_hash.is_some() || self.locked.is_some());
        let is_there = self.state == Presence::Present && accounts.user(&self.name).is_some();
        // A new user has no password: nobody has to be asked.
        let password = match matters && is_there {
            true => Some(Password::read(machine, &self.name)?),
            false => None,
        };
        let expiry = match self.expires.is_some() && is_there {
            true => Some(Expiry::read(machine, &self.name)?),
            false => None,
        };
        let has_shadow = Password::is_there(machine, &self.name);
        Ok(Found { accounts, password, expiry, has_shadow })
    }

    /// Says in what the home directory is not as wanted.
    fn home_is_missing(&self, machine: Machine<'_>, plan: &Plan, is_new: bool) -> Result<Option<String>> {
        let wanted =
            self.wants_home(is_new) && !plan.home.as_deref().map(Path::new).is_some_and(home::is_for_nobody);
        let Some(home) = plan.home.as_ref().filter(|_| wanted) else { return Ok(None) };
        let path = machine.locate_target(Path::new(home))?;
        match look::meta(&path, Links::Follow)? {
            None => Ok(Some(format!("the home directory {home} does not exist"))),
            Some(meta) if meta.is_dir() => Ok(None),
            Some(meta) => bail!("the home directory {home} cannot be: there is {} of this name", meta.what()),
        }
    }

    /// Writes down what goes with the user, before anything goes.
    fn remember(&self, cx: &Context, accounts: &Accounts) -> Result<()> {
        let Some(user) = accounts.user(&self.name).filter(|_| self.state == Presence::Absent) else {
            return Ok(());
        };
        let is_shared = accounts.users.iter().any(|other| other.name != user.name && other.home == user.home);
        if self.remove_home && user.uid != 0 && user.home != "/" && !is_shared {
            cx.local().set(REMOVED_HOME, (&user.home, user.uid))?;
        }
        let has_own_group = accounts.group(&user.name).is_some_and(|group| group.gid == user.gid);
        let goes = login_setting(self.machine(), "USERGROUPS_ENAB").as_deref() == Some("yes");
        if has_own_group && goes {
            cx.local().set(REMOVED_GROUP, user.gid)?;
        }
        Ok(())
    }

    /// A home directory that a run began to remove, and did not finish with; nobody else's.
    fn left_home(&self, cx: &Context) -> Result<Option<PathBuf>> {
        let Some((home, uid)) = cx.local().get::<(PathBuf, u32)>(REMOVED_HOME)? else { return Ok(None) };
        let path = self.machine().locate(&home)?;
        let gone = Accounts::read(self.machine())?.user(&self.name).is_none();
        let is_left = look::meta(&path, Links::Stay)?.is_some_and(|meta| meta.is_dir() && meta.uid == uid);
        Ok((gone && is_left).then_some(path))
    }

    /// Whether the user's own group was to go with the user, and has not; nobody else's.
    fn has_left_group(&self, cx: &Context) -> Result<bool> {
        let Some(gid) = cx.local().get::<u32>(REMOVED_GROUP)? else { return Ok(false) };
        let accounts = Accounts::read(self.machine())?;
        let is_used = accounts.users.iter().any(|user| user.name == self.name || user.gid == gid);
        let is_left =
            accounts.group(&self.name).is_some_and(|group| group.gid == gid && group.members.is_empty());
        Ok(is_left && !is_used)
    }

    fn remove_what_is_left(&self, cx: &Context) -> Result<()> {
        if self.has_left_group(cx)? {
            account::call(cx, self.machine(), &["groupdel", &self.name].map(str::to_owned), None)?;
        }
        let Some(home) = self.left_home(cx)? else { return Ok(()) };
        write::remove(&home).with_context(|| format!("failed to remove {}", home.display()))
    }
}

impl Job for User {
    fn name(&self) -> String {
        format!("User {}", self.name)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.password_hash.iter().for_each(|hash| cx.mask(hash));
        let machine = self.machine();
        let mut plan = Plan::new(self, &self.look(machine)?)?;
        if let Some(reason) =
            self.home_is_missing(machine, &plan, self.is_homeless(cx)?)?.filter(|_| !plan.is_new)
        {
            plan.reasons.push(reason);
        }
        if let Some(home) = self.left_home(cx)? {
            plan.reasons.push(format!("the home directory {} is still there", home.display()));
        }
        if self.has_left_group(cx)? {
            plan.reasons.push(format!("the group {} is still there", self.name));
        }
        if plan.reasons.is_empty() {
            return Ok(());
        }
        let name = format!("user {}", self.name);
        Err(NotAsWanted::new(plan.reasons.join("; ")).diff(&name, &plan.found, &plan.wanted).into())
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        self.password_hash.iter().for_each(|hash| cx.mask(hash));
        let machine = self.machine();
        let _changing = account::changing();
        let found = self.look(machine)?;
        let plan = Plan::new(self, &found)?;
        self.remember(cx, &found.accounts)?;
        if plan.is_new {
            cx.local().set(NEW, true)?;
            cx.global().set(&self.homeless(), true)?;
        }
        for call in &plan.calls {
            account::call(cx, machine, &call.words, call.input.as_ref())?;
        }
        self.remove_what_is_left(cx)?;
        // Only now is it known which home a new user has.
        self.make_home(cx, self.is_homeless(cx)?)
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        let machine = self.machine();
        if let Some(user) = Accounts::read(machine)?.user(&self.name) {
            write::cleanup(cx, &machine.locate(Path::new(&user.home))?)?;
        }
        // A run that was killed after it had made the user, and before the home.
        if self.is_homeless(cx)? {
            self.make_home(cx, true)?;
        }
        self.remove_what_is_left(cx)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(true)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
