//! A local group.
//!
//! Who is in a group is said by the job `User`.

use std::path::PathBuf;

use anyhow::bail;
use dojob::{Context, Job, NotAsWanted, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{self, Accounts, GroupLine, Presence};
use crate::early;
use crate::serde_helpers::listed;
use crate::target_root::{TargetRoot, account_name};
use crate::validated::validated;

/// A local group is there, or is not.
///
/// ```
/// # use dojob_jobs::Group;
/// let web = Group::new("web").gid(4000);
/// let same: Group = serde_json::from_str(r#"{"name": "web", "gid": 4000}"#)?;
/// assert_eq!(web, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Group")]
#[schemars(extend("x-dojob-target" = { "by": "name" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Group {
    /// The group's name, at most 32 bytes.
    pub name: String,
    /// Its number; unless given, the system chooses one, and any is fine.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Whether a number from the system's range is chosen (`groupadd --system`). It matters only while the group is made;
    /// false unless given.
    #[serde(default)]
    pub system: bool,
    /// `present` unless given, or `absent`.
    #[serde(default)]
    pub state: Presence,
    /// The tree of another system, to be worked on in place of this one: `/mnt/image`, say. It takes root's rights.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(Group);

/// What is to be done about it, and why.
#[derive(Debug, Default, PartialEq)]
struct GroupChanges {
    reason: String,
    found: String,
    wanted: String,
    command: Vec<String>,
}

impl Group {
    /// The group `name`, with whatever number.
    pub fn new(name: impl Into<String>) -> Self {
        Group { name: name.into(), gid: None, system: false, state: Presence::Present, root: None }
    }

    /// With this number.
    #[must_use]
    pub fn gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// With a number from the system's range.
    #[must_use]
    pub fn system(mut self, system: bool) -> Self {
        self.system = system;
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

    fn validate(&self) -> Result<()> {
        account_name("name", &self.name)?;
        self.machine().validate()
    }

    fn plan(&self, accounts: &Accounts) -> Result<Option<GroupChanges>> {
        match (self.state, accounts.group(&self.name)) {
            (Presence::Absent, None) => Ok(None),
            (Presence::Absent, Some(group)) => self.removal(accounts, group).map(Some),
            (Presence::Present, found) => self.presence(accounts, found),
        }
    }

    fn removal(&self, accounts: &Accounts, group: &GroupLine) -> Result<GroupChanges> {
        let users: Vec<&str> = accounts
            .users
            .iter()
            .filter(|user| user.gid == group.gid)
            .map(|user| user.name.as_str())
            .collect();
        if !users.is_empty() {
            bail!(
                "the group {} exists and cannot be removed: it is the primary group of {}",
                self.name,
                listed(users)
            );
        }
        Ok(GroupChanges {
            reason: format!("the group {} exists", self.name),
            found: format!("group {}\ngid {}\n", self.name, group.gid),
            command: vec!["groupdel".into(), self.name.clone()],
            ..GroupChanges::default()
        })
    }

    fn presence(&self, accounts: &Accounts, found: Option<&GroupLine>) -> Result<Option<GroupChanges>> {
        let wanted_gid = self.gid.filter(|gid| found.is_none_or(|group| group.gid != *gid));
        if let Some(gid) = wanted_gid
            && let Some(other) = accounts.groups.iter().find(|group| group.gid == gid)
        {
            bail!("the group {} cannot have gid {gid}: it belongs to the group {}", self.name, other.name);
        }
        let gid = |gid: Option<u32>| gid.map_or_else(String::new, |gid| format!("gid {gid}\n"));
        let mut plan = GroupChanges {
            wanted: format!("group {}\n{}", self.name, gid(self.gid)),
            ..GroupChanges::default()
        };
        let number = wanted_gid.map(|gid| ["--gid".to_owned(), gid.to_string()]).into_iter().flatten();
        match (found, wanted_gid) {
            (None, _) => {
                plan.reason = format!("the group {} does not exist", self.name);
                plan.command.push("groupadd".into());
                plan.command.extend(self.system.then(|| "--system".to_owned()));
            }
            (Some(group), Some(wanted)) => {
                plan.reason = format!("gid is {}, not {wanted}", group.gid);
                plan.found = format!("group {}\n{}", self.name, gid(Some(group.gid)));
                plan.command.push("groupmod".into());
            }
            (Some(_), None) => return Ok(None),
        }
        plan.command.extend(number);
        plan.command.push(self.name.clone());
        Ok(Some(plan))
    }
}

impl Job for Group {
    fn name(&self) -> String {
        format!("Group {}", self.name)
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let accounts = early::or_missing(cx, Accounts::read(self.machine()), |_| {
            let nobody = self.state == Presence::Present && account::has_no_lists(self.machine());
            nobody.then(|| format!("there is no group {}", self.name))
        })?;
        match self.plan(&accounts)? {
            None => Ok(()),
            Some(plan) => Err(NotAsWanted::new(plan.reason)
                .diff(&format!("group {}", self.name), &plan.found, &plan.wanted)
                .into()),
        }
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let machine = self.machine();
        let _changing = account::changing();
        // Again: another job may have changed accounts since the check.
        let Some(plan) = self.plan(&Accounts::read(machine)?)? else { return Ok(()) };
        account::call(cx, machine, &plan.command, None)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
