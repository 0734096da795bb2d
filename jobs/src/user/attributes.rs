//! The attributes of a local user, and which of them can be.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use dojob::{Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{Expiry, Presence, home};
use crate::serde_helpers::{NameOrNumber, name_or_number, no_break, path};
use crate::target_root::{TargetRoot, account_name};
use crate::validated::validated;

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

    pub(super) fn machine(&self) -> TargetRoot<'_> {
        TargetRoot::new(self.root.as_ref())
    }

    /// Whether the home directory has to exist. That of an account which was there before, and has none, is nobody's
    /// mistake unless `create_home` or `home` asks for it (Debian's `nobody` must not have one, say).
    pub(super) fn wants_home(&self, is_new: bool) -> bool {
        let unless_given = !self.system && (is_new || self.home.is_some());
        self.state == Presence::Present && self.create_home.unwrap_or(unless_given)
    }

    fn validate(&self) -> Result<()> {
        account_name("name", &self.name)?;
        if let Some(group) = self.group.as_deref().filter(|group| group.parse::<u32>().is_err()) {
            account_name("group", group)?;
        }
        for group in self.groups.iter().flatten() {
            account_name("groups", group)?;
        }
        ensure!(!self.exact_groups || self.groups.is_some(), "`exact_groups` requires `groups`");
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
            "`remove_home` requires `state: absent`"
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
}
