//! From what was found of a user to what is to be done: reasons, a difference to look at, and the calls of tools.
//!
//! Pure: looks at no machine.

use std::path::Path;

use anyhow::{Result, bail};
use dojob::Secret;

use super::attributes::User;
use crate::account::{Accounts, Expiry, Password, Presence, UserLine};
use crate::serde_helpers::listed;

/// What was found.
pub(super) struct UserState {
    pub(super) accounts: Accounts,
    /// Where it matters.
    pub(super) password: Option<Password>,
    /// Where it matters.
    pub(super) expiry: Option<Expiry>,
    /// Whether the file of passwords has a line for the user, where that can be seen.
    pub(super) has_shadow: Option<bool>,
}

/// A call of a tool: its words, and what it reads.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) words: Vec<String>,
    pub(super) input: Option<Secret<String>>,
}

/// What is to be done, and why.
#[derive(Debug, Default)]
pub(super) struct UserChanges {
    pub(super) reasons: Vec<String>,
    /// What was found and what is wanted, an attribute a line.
    pub(super) found: String,
    pub(super) wanted: String,
    pub(super) calls: Vec<Call>,
    /// Whether the user is still to be made.
    pub(super) is_new: bool,
    /// The home directory, where it is known.
    pub(super) home: Option<String>,
    /// The arguments of `useradd` or `usermod`.
    args: Vec<String>,
}

impl UserChanges {
    /// # Errors
    /// When what is wanted cannot be: a group that does not exist, a number that somebody else has.
    pub(super) fn new(wanted: &User, found: &UserState) -> Result<Self> {
        let user = found.accounts.user(&wanted.name);
        let mut plan = UserChanges {
            home: wanted.home.as_deref().map(text).or_else(|| user.map(|user| user.home.clone())),
            ..UserChanges::default()
        };
        match (wanted.state, user) {
            (Presence::Absent, None) => plan.forget(found),
            (Presence::Absent, Some(user)) => plan.remove(wanted, user, found),
            (Presence::Present, None) => plan.create(wanted, found)?,
            (Presence::Present, Some(user)) => plan.change(wanted, user, found)?,
        }
        Ok(plan)
    }

    /// What a `userdel` that was killed has left.
    fn forget(&mut self, found: &UserState) {
        if found.has_shadow == Some(true) {
            self.reasons.push("has a line in /etc/shadow still".to_owned());
            self.calls.push(Call { words: vec!["pwconv".to_owned()], input: None });
        }
    }

    fn remove(&mut self, wanted: &User, user: &UserLine, found: &UserState) {
        self.reasons.push(format!("the user {} exists", user.name));
        self.found = format!("user {}\nuid {}\nhome {}\n", user.name, user.uid, user.home);
        // First of all, while it can still be seen that something is to do: who gets this name next would be in them.
        if found.accounts.groups.iter().any(|group| group.members.contains(&user.name)) {
            let words = ["usermod", "--groups", "", &user.name].map(str::to_owned);
            self.calls.push(Call { words: words.to_vec(), input: None });
        }
        let mut words = vec!["userdel".to_owned()];
        words.extend(wanted.remove_home.then(|| "--remove".to_owned()));
        words.push(user.name.clone());
        self.calls.push(Call { words, input: None });
    }

    fn create(&mut self, wanted: &User, found: &UserState) -> Result<()> {
        self.is_new = true;
        self.reasons.push(format!("the user {} does not exist", wanted.name));
        self.wanted = format!("user {}\n", wanted.name);
        // Always by us, later: there at once with all that is in it.
        self.args.push("--no-create-home".into());
        self.args.extend(wanted.system.then(|| "--system".to_owned()));
        self.set("uid", "--uid", None, uid(wanted, found)?);
        // A group of the user's name that is there already is meant for the user; `useradd` would refuse.
        let group = match primary_group(wanted, found)? {
            None => found.accounts.group(&wanted.name).map(|group| group.name.clone()),
            group => group,
        };
        self.set("group", "--gid", None, group);
        self.set("comment", "--comment", None, wanted.comment.clone());
        self.set("home", "--home-dir", None, wanted.home.as_deref().map(text));
        self.set("shell", "--shell", None, wanted.shell.as_deref().map(text));
        let groups = supplementary(wanted, found)?.filter(|groups| !groups.is_empty());
        self.set("groups", "--groups", None, groups.map(|groups| groups.join(",")));
        self.expiry(wanted, &Expiry::Never)?;
        self.call("useradd", wanted);
        let none = Password { locked: true, hash: String::new() };
        self.password(wanted, &none)
    }

    /// `useradd` writes one file after the other: one that was killed in between has left a part.
    fn complete(&mut self, wanted: &User, user: &UserLine, found: &UserState) {
        let is_lonely = !found.accounts.groups.iter().any(|group| group.gid == user.gid);
        if is_lonely && wanted.group.is_none() && found.accounts.group(&user.name).is_none() {
            self.reasons.push(format!("the primary group {} does not exist", user.gid));
            let words = ["groupadd", "--gid", &user.gid.to_string(), &user.name].map(str::to_owned);
            self.calls.push(Call { words: words.to_vec(), input: None });
        }
        if found.has_shadow == Some(false) {
            self.reasons.push("has no line in /etc/shadow".to_owned());
            // As `useradd` has it: no password yet.
            let line = Secret::new(format!("{}:!\n", user.name));
            self.calls.push(Call { words: vec!["chpasswd".into(), "--encrypted".into()], input: Some(line) });
        }
    }

    fn change(&mut self, wanted: &User, user: &UserLine, found: &UserState) -> Result<()> {
        self.complete(wanted, user, found);
        let accounts = &found.accounts;
        self.set("uid", "--uid", Some(user.uid.to_string()), uid(wanted, found)?);
        let group = primary_group(wanted, found)?;
        let same =
            group.as_ref().and_then(|group| accounts.group_or_gid(group)).is_some_and(|g| g.gid == user.gid);
        self.set("group", "--gid", Some(accounts.group_name(user.gid)), group.filter(|_| !same));
        self.set("comment", "--comment", Some(user.comment.clone()), wanted.comment.clone());
        self.set("home", "--home", Some(user.home.clone()), wanted.home.as_deref().map(text));
        self.set("shell", "--shell", Some(user.shell.clone()), wanted.shell.as_deref().map(text));
        if let Some(groups) = supplementary(wanted, found)? {
            self.change_groups(wanted, user, found, groups);
        }
        if let Some(expiry) = &found.expiry {
            self.expiry(wanted, expiry)?;
        }
        self.call("usermod", wanted);
        found.password.as_ref().map_or(Ok(()), |password| self.password(wanted, password))
    }

    /// Adds an attribute that is wanted and not as it was found.
    fn set(&mut self, name: &str, option: &str, found: Option<String>, wanted: Option<String>) {
        let Some(wanted) = wanted.filter(|wanted| found.as_ref() != Some(wanted)) else { return };
        self.wanted.push_str(&format!("{name} {wanted}\n"));
        if let Some(found) = found {
            self.reasons.push(format!("{name} is {}, not {}", shown(&found), shown(&wanted)));
            self.found.push_str(&format!("{name} {found}\n"));
        }
        self.args.extend([option.to_owned(), wanted]);
    }

    fn change_groups(&mut self, wanted: &User, user: &UserLine, found: &UserState, groups: Vec<String>) {
        let is_in: Vec<String> = found
            .accounts
            .groups
            .iter()
            .filter(|group| group.members.contains(&user.name))
            .map(|group| group.name.clone())
            .collect();
        let is_primary =
            |name: &String| found.accounts.group(name).is_some_and(|group| group.gid == user.gid);
        let missing: Vec<String> =
            groups.iter().filter(|group| !is_in.contains(group) && !is_primary(group)).cloned().collect();
        let surplus: Vec<String> =
            is_in.iter().filter(|group| wanted.exact_groups && !groups.contains(group)).cloned().collect();
        if missing.is_empty() && surplus.is_empty() {
            return;
        }
        if !missing.is_empty() {
            self.reasons.push(format!("is not in the {}", groups_named(&missing)));
        }
        if !surplus.is_empty() {
            self.reasons.push(format!("is also in the {}", groups_named(&surplus)));
        }
        let mut then: Vec<String> = is_in.iter().filter(|group| !surplus.contains(group)).cloned().collect();
        then.extend(missing.iter().cloned());
        let none = |groups: &[String]| if groups.is_empty() { "(none)".to_owned() } else { groups.join(",") };
        self.found.push_str(&format!("groups {}\n", none(&is_in)));
        self.wanted.push_str(&format!("groups {}\n", none(&then)));
        if surplus.is_empty() {
            self.args.push("--append".into());
            then = missing;
        }
        self.args.extend(["--groups".into(), then.join(",")]);
    }

    fn expiry(&mut self, wanted: &User, found: &Expiry) -> Result<()> {
        let Some(expires) = wanted.expires.as_deref().map(Expiry::parse).transpose()? else { return Ok(()) };
        if expires != *found {
            self.tell(
                &format!("expires {found}, not {expires}"),
                &format!("expires {found}"),
                &format!("expires {expires}"),
            );
            self.args.extend(["--expiredate".to_owned(), expires.argument()]);
        }
        Ok(())
    }

    /// What was set so far, in one call.
    fn call(&mut self, program: &str, wanted: &User) {
        if self.args.is_empty() {
            return;
        }
        let mut words = vec![program.to_owned()];
        words.append(&mut self.args);
        words.push(wanted.name.clone());
        self.calls.push(Call { words, input: None });
    }

    fn password(&mut self, wanted: &User, found: &Password) -> Result<()> {
        let hash = wanted.password_hash.as_ref().filter(|hash| **hash.expose() != found.hash);
        // One who never had a password is not kept out by the lock that stands in its place.
        let locked = wanted.locked.unwrap_or(found.locked && !found.hash.is_empty());
        if let Some(hash) = hash {
            self.tell("the password differs", "password (another)", "password (as given)");
            if wanted.locked.is_some_and(|locked| locked != found.locked) {
                self.tell_lock(locked);
            }
            let mark = if locked { "!" } else { "" };
            let line = Secret::new(format!("{}:{mark}{}\n", wanted.name, hash.expose()));
            self.calls.push(Call { words: vec!["chpasswd".into(), "--encrypted".into()], input: Some(line) });
            return Ok(());
        }
        if wanted.locked.is_none_or(|locked| locked == found.locked) {
            return Ok(());
        }
        if !locked && found.hash.is_empty() {
            bail!("the account cannot be unlocked: it has no password; give `password_hash` as well");
        }
        self.tell_lock(locked);
        let option = if locked { "--lock" } else { "--unlock" };
        self.calls
            .push(Call { words: vec!["usermod".into(), option.into(), wanted.name.clone()], input: None });
        Ok(())
    }

    fn tell_lock(&mut self, locked: bool) {
        let words = ["not locked", "locked"];
        let (then, now) = (words[usize::from(locked)], words[usize::from(!locked)]);
        self.tell(&format!("is {now}"), now, then);
    }

    fn tell(&mut self, reason: &str, found: &str, wanted: &str) {
        self.wanted.push_str(&format!("{wanted}\n"));
        if !self.is_new {
            self.reasons.push(reason.to_owned());
            self.found.push_str(&format!("{found}\n"));
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "empty" } else { value }
}

fn groups_named(names: &[String]) -> String {
    let word = if names.len() == 1 { "group" } else { "groups" };
    format!("{word} {}", listed(names))
}

/// The number that is wanted, which nobody else may have.
fn uid(wanted: &User, found: &UserState) -> Result<Option<String>> {
    let Some(uid) = wanted.uid else { return Ok(None) };
    match found.accounts.users.iter().find(|user| user.uid == uid && user.name != wanted.name) {
        Some(other) => {
            bail!("the user {} cannot have uid {uid}: it belongs to the user {}", wanted.name, other.name)
        }
        None => Ok(Some(uid.to_string())),
    }
}

fn primary_group(wanted: &User, found: &UserState) -> Result<Option<String>> {
    let Some(group) = &wanted.group else { return Ok(None) };
    match found.accounts.group_or_gid(group) {
        Some(_) => Ok(Some(group.clone())),
        None => bail!("{}", no_group(group)),
    }
}

/// The further groups that are wanted, each once.
fn supplementary(wanted: &User, found: &UserState) -> Result<Option<Vec<String>>> {
    let Some(groups) = &wanted.groups else { return Ok(None) };
    let mut known: Vec<String> = Vec::with_capacity(groups.len());
    for group in groups {
        if found.accounts.group(group).is_none() {
            bail!("{}", no_group(group));
        }
        if !known.contains(group) {
            known.push(group.clone());
        }
    }
    Ok(Some(known))
}

fn no_group(group: &str) -> String {
    format!("there is no group {group}; a `group` before this one can make it")
}
