//! A local user.
//!
//! What is to be done is a [`UserChanges`], made of what was found by a pure function: `check` tells it, `run` follows
//! it.

mod attributes;
mod changes;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dojob::{Context, Job, NotAsWanted, Result};

pub use self::attributes::User;
use self::changes::{UserChanges, UserState};
use crate::account::{self, Accounts, Expiry, Password, Presence, home, login_setting};
use crate::disk::inspect::{self, Links};
use crate::disk::write;
use crate::early;
use crate::target_root::TargetRoot;

/// Where a run that removes a home directory keeps which one, for the recheck and the cleanup.
const REMOVED_HOME: &str = "removed_home";
/// And where it keeps the number of the user's own group.
const REMOVED_GROUP: &str = "removed_group";
/// And where a run that makes the user keeps that it does.
const NEW: &str = "new";

impl User {
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
            && self.home_is_missing(machine, &UserChanges::new(self, &found)?, is_new)?.is_some()
        {
            home::make(cx, machine, user)?;
        }
        Ok(())
    }

    fn look(&self, machine: TargetRoot<'_>) -> Result<UserState> {
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
        Ok(UserState { accounts, password, expiry, has_shadow })
    }

    /// Says in what the home directory is not as wanted.
    fn home_is_missing(
        &self,
        machine: TargetRoot<'_>,
        plan: &UserChanges,
        is_new: bool,
    ) -> Result<Option<String>> {
        let wanted =
            self.wants_home(is_new) && !plan.home.as_deref().map(Path::new).is_some_and(home::is_for_nobody);
        let Some(home) = plan.home.as_ref().filter(|_| wanted) else { return Ok(None) };
        let path = machine.locate_target(Path::new(home))?;
        match inspect::meta(&path, Links::Follow)? {
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
        let is_left = inspect::meta(&path, Links::Stay)?.is_some_and(|meta| meta.is_dir() && meta.uid == uid);
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
        let found = early::or_missing(cx, self.look(machine), |_| {
            let nobody = self.state == Presence::Present && account::has_no_lists(machine);
            nobody.then(|| format!("there is no user {}", self.name))
        })?;
        let mut plan = UserChanges::new(self, &found)?;
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
        let plan = UserChanges::new(self, &found)?;
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
