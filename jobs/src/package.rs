//! Packages of the system.
//!
//! So far that is apt.

mod apt;
mod manager;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dojob::{Context, CouldNotFindOut, Job, NotAsWanted, Permanent, Result};
use rustix::process::geteuid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::apt::Apt;
use self::manager::{Action, Change, InstalledState, PackageManager, Status, Transaction};
use crate::early;
use crate::serde_helpers::{OneOrMany, listed, one_or_many};
use crate::span::Span;
use crate::target_root::TargetRoot;
use crate::validated::validated;

/// Says to the recheck that the lists were fetched in this try.
const REFRESHED: &str = "refreshed";

/// What is wanted of packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PackageState {
    /// Installed for its own sake (`apt-mark showmanual`), in whatever version unless `version` says.
    #[default]
    Present,
    /// Installed in the newest version that the lists of packages have.
    Latest,
    /// Not installed.
    Absent,
}

/// Packages are installed, or are not; several are handled in one go. Debian, Ubuntu and their kin (apt).
///
/// Nothing is ever asked: files of configuration that people have changed stay as they are.
///
/// Its result: the versions that are installed, by name.
///
/// ```
/// # use dojob_jobs::Package;
/// let tools = Package::new(["git", "curl"]).install_recommends(false);
/// let same: Package = serde_json::from_str(r#"{"names": ["git", "curl"], "install_recommends": false}"#)?;
/// assert_eq!(tools, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Package")]
#[schemars(extend("x-dojob-target" = { "by": "names", "differ": ["state", "version"] }))]
pub struct Package {
    /// The names of the packages: one, or a list. Real packages, not those that others provide; with an architecture as
    /// in `libc6:i386`.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub names: Vec<String>,
    /// `present` unless given, `latest` or `absent`.
    #[serde(default)]
    pub state: PackageState,
    /// The version: `1.18.0-6`, or how it begins, `1.18.*`. For one package, and state `present`. An older one is installed
    /// in place of a newer one.
    #[serde(default)]
    pub version: Option<String>,
    /// How old the lists of packages may be when something is to be installed, `1h` for example; older ones are fetched
    /// first. With state `latest` older ones are fetched even where all seems well: with `0s` that is every time. Unless
    /// given, the lists are taken as they are. Lists that are older than what is said of where packages come from
    /// (`/etc/apt/sources.list` and what is in `/etc/apt/sources.list.d`) are too old in any case.
    #[serde(default)]
    pub update_cache: Option<Span>,
    /// With state `absent`: whether files of configuration go as well; false unless given.
    #[serde(default)]
    pub purge: bool,
    /// Whether recommended packages are installed as well; unless given, as the system is set to.
    #[serde(default)]
    pub install_recommends: Option<bool>,
    /// Whether other packages may be removed: such as cannot be installed beside these, or need one that is to be absent.
    /// False unless given, and then that is an error.
    #[serde(default)]
    pub allow_removals: bool,
    /// How long to wait for another process at work on packages; `2 min` unless given.
    #[serde(default = "two_minutes")]
    pub lock_timeout: Span,
    /// The tree of another system, to be worked on in place of this one: `/mnt/image`, say. Its own apt is called by
    /// `chroot`, which takes root's rights.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(Package);

fn two_minutes() -> Span {
    Span::from(Duration::from_secs(120))
}

/// Held while packages are changed: two jobs of one run would wait for each other's locks.
fn changing() -> MutexGuard<'static, ()> {
    static CHANGING: Mutex<()> = Mutex::new(());
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be done, and why.
#[derive(Debug, Default, PartialEq)]
struct PackageChanges {
    reasons: Vec<String>,
    /// The packages of which something is to be changed.
    names: Vec<String>,
    /// Those that are installed as wanted, but for the sake of others alone.
    to_want: Vec<String>,
    /// Whether something was interrupted, and has to be finished first.
    unfinished: bool,
}

impl Package {
    /// These packages, installed.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Package {
            names: names.into_iter().map(Into::into).collect(),
            state: PackageState::Present,
            version: None,
            update_cache: None,
            purge: false,
            install_recommends: None,
            allow_removals: false,
            lock_timeout: two_minutes(),
            root: None,
        }
    }

    /// Present, latest or absent.
    #[must_use]
    pub fn state(mut self, state: PackageState) -> Self {
        self.state = state;
        self
    }

    /// In this version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// By lists of packages that are no older than this.
    #[must_use]
    pub fn update_cache(mut self, age: impl Into<Span>) -> Self {
        self.update_cache = Some(age.into());
        self
    }

    /// Absent with files of configuration.
    #[must_use]
    pub fn purge(mut self, purge: bool) -> Self {
        self.purge = purge;
        self
    }

    /// With recommended packages or without.
    #[must_use]
    pub fn install_recommends(mut self, recommends: bool) -> Self {
        self.install_recommends = Some(recommends);
        self
    }

    /// Whether others may be removed for these.
    #[must_use]
    pub fn allow_removals(mut self, allow: bool) -> Self {
        self.allow_removals = allow;
        self
    }

    /// Waiting for others at most this long.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.lock_timeout = timeout.into();
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
        ensure!(!self.names.is_empty(), "`names` is empty: at least one package is wanted");
        for (index, name) in self.names.iter().enumerate() {
            ensure!(
                is_name(name),
                "`names` has `{}` in it, which is no name of a package: small letters, digits, `+`, `-` and `.` are wanted",
                name.escape_debug()
            );
            ensure!(!self.names[..index].contains(name), "`names` has `{name}` in it twice");
        }
        if let Some(version) = &self.version {
            let fits = |c: char| c.is_ascii_alphanumeric() || ".+-~:".contains(c);
            let plain = version.strip_suffix('*').unwrap_or(version);
            ensure!(
                plain.starts_with(|c: char| c.is_ascii_alphanumeric()) && plain.chars().all(fits),
                "`version` is `{}`, which is no version: `1.18.0-6` is one, and `1.18.*` is all that begin so",
                version.escape_debug()
            );
            ensure!(
                self.names.len() == 1,
                "`version` is for one package, and `names` has {}",
                self.names.len()
            );
            ensure!(self.state == PackageState::Present, "`version` requires `state: present`");
        }
        let is_absent = self.state == PackageState::Absent;
        ensure!(!self.purge || is_absent, "`purge` requires `state: absent`");
        ensure!(
            !is_absent || self.install_recommends.is_none(),
            "`install_recommends` is not allowed with `state: absent`"
        );
        self.machine().validate()
    }

    fn manager(&self) -> Result<Box<dyn PackageManager + '_>> {
        let machine = self.machine();
        if machine.has("apt-get")? {
            return Ok(Box::new(Apt { machine, patience: self.lock_timeout.duration() }));
        }
        let what = "which packages are installed (there is no `apt-get`, and no other manager of packages is known here)";
        Err(CouldNotFindOut::new(what).into())
    }

    /// Where the tree has no packages at all yet: so in words.
    fn has_no_system(&self) -> Option<String> {
        let (machine, names) = (self.machine(), self.names.join(", "));
        let root = machine.root().filter(|_| self.state != PackageState::Absent)?;
        let database = machine.locate_target(Path::new("/var/lib/dpkg")).ok()?;
        let is = if self.names.len() == 1 { "is" } else { "are" };
        early::is_missing(&database)
            .then(|| format!("{names} {is} not installed: there is no system in {} yet", root.display()))
    }

    fn plan(
        &self,
        cx: &Context,
        manager: &dyn PackageManager,
    ) -> Result<(PackageChanges, Vec<InstalledState>)> {
        let found = manager.find(cx, &self.names)?;
        let candidates = match self.state {
            PackageState::Latest => manager.candidates(cx, &self.names)?,
            _ => BTreeMap::new(),
        };
        let mut plan = PackageChanges::default();
        for (name, found) in self.names.iter().zip(&found) {
            if let Some(reason) = self.reason(name, found, &candidates)? {
                plan.reasons.push(reason);
                plan.names.push(name.clone());
                plan.unfinished |= matches!(found.status, Status::Unfinished(_));
            } else if found.automatic && matches!(found.status, Status::Installed(_)) {
                let others = "was installed for other packages, and would go with them";
                plan.reasons.push(format!("{name} {others}"));
                plan.to_want.push(name.clone());
            }
        }
        Ok((plan, found))
    }

    /// Why something is to be done about a package, where it is.
    fn reason(
        &self,
        name: &str,
        found: &InstalledState,
        candidates: &BTreeMap<String, String>,
    ) -> Result<Option<String>> {
        let is_absent = self.state == PackageState::Absent;
        let reason = match &found.status {
            Status::Absent if is_absent => None,
            Status::ConfigurationLeft if is_absent => {
                self.purge.then(|| format!("the configuration of {name} is left"))
            }
            Status::Installed(version) if is_absent => Some(format!("{name} is installed ({version})")),
            Status::Unfinished(how) => Some(format!("{name} is {how}")),
            Status::Absent | Status::ConfigurationLeft => Some(format!("{name} is not installed")),
            Status::Installed(version) => self.other_version(name, version, candidates),
        };
        match (&reason, &found.status) {
            (Some(reason), Status::Installed(version)) if found.held => Err(Permanent::new(format!(
                "{reason}, and it is held back at {version}; `apt-mark unhold {name}` lets it go"
            ))
            .into()),
            (Some(reason), Status::Absent | Status::ConfigurationLeft) if found.held && !is_absent => Err(
                Permanent::new(format!("{reason}, and it is held back; `apt-mark unhold {name}` lets it in"))
                    .into(),
            ),
            _ => Ok(reason),
        }
    }

    fn other_version(
        &self,
        name: &str,
        version: &str,
        candidates: &BTreeMap<String, String>,
    ) -> Option<String> {
        let wanted = match self.state {
            PackageState::Latest => candidates.get(name)?,
            _ => self.version.as_ref()?,
        };
        (!fits(version, wanted)).then(|| format!("{name} is {version}, not {wanted}"))
    }

    /// Why the lists of packages have to be fetched, where they have to be.
    fn stale(&self, cx: &Context, manager: &dyn PackageManager) -> Result<Option<String>> {
        if cx.local().get::<bool>(REFRESHED)?.unwrap_or(false) || self.state == PackageState::Absent {
            return Ok(None);
        }
        if let Some(source) = manager.newer_source(cx)? {
            return Ok(Some(format!("the lists of packages are older than {source}")));
        }
        let Some(oldest) = self.update_cache else { return Ok(None) };
        Ok(match manager.age(cx)? {
            None => Some("there are no lists of packages".to_owned()),
            Some(age) if age > oldest.duration() || oldest.duration().is_zero() => {
                let age = Span::from(Duration::from_secs(age.as_secs()));
                Some(format!("the lists of packages are {age} old, not {oldest} at most"))
            }
            Some(_) => None,
        })
    }

    /// Refuses names that no package has, and others provide: apt would take one of those, and this job would look for the
    /// name for ever.
    fn refuse_virtual(
        &self,
        cx: &Context,
        manager: &dyn PackageManager,
        found: &[InstalledState],
    ) -> Result<()> {
        let unknown = self.names.iter().zip(found).filter(|(_, found)| found.status == Status::Absent);
        let mut unknown: Vec<String> = unknown.map(|(name, _)| name.clone()).collect();
        let is_absent = self.state == PackageState::Absent;
        if !is_absent && !unknown.is_empty() {
            let candidates = manager.candidates(cx, &unknown)?;
            unknown.retain(|name| !candidates.contains_key(name));
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let providers = manager.providers(cx, &unknown, is_absent)?.into_iter();
        let refused: Vec<String> = providers
            .map(|(name, providers)| {
                let verb = if providers.len() == 1 { "provides" } else { "provide" };
                let providers = listed(&providers);
                format!("{name} is a virtual package, which {providers} {verb}; name a real one")
            })
            .collect();
        if refused.is_empty() { Ok(()) } else { Err(Permanent::new(refused.join("; ")).into()) }
    }

    fn transaction(&self, names: Vec<String>) -> Transaction {
        let action = match self.state {
            PackageState::Absent => Action::Remove { purge: self.purge },
            _ => Action::Install {
                version: self.version.clone(),
                recommends: self.install_recommends,
                may_remove: self.allow_removals,
            },
        };
        Transaction { action, names }
    }

    /// What would be changed, as far as that can be said now.
    fn preview(
        &self,
        cx: &Context,
        manager: &dyn PackageManager,
        plan: &PackageChanges,
        stale: bool,
    ) -> Result<String> {
        if plan.names.is_empty() {
            return Ok(String::new());
        }
        let lines: String = match manager.preview(cx, &self.transaction(plan.names.clone())) {
            Ok(changes) => {
                self.refuse_others(&changes)?;
                changes.iter().map(|change| format!("{change}\n")).collect()
            }
            Err(error) => format!("not to be said yet: {error:#}\n"),
        };
        let doubt = if stale { "by the lists as they are:\n" } else { "" };
        Ok(format!("{doubt}{lines}"))
    }

    /// Where packages are to go, others that need them would go as well.
    fn refuse_others(&self, changes: &[Change]) -> Result<()> {
        let plain = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
        let names: Vec<String> = self.names.iter().map(|name| plain(name)).collect();
        let others =
            changes.iter().filter(|change| change.to.is_none() && !names.contains(&plain(&change.name)));
        let others: Vec<&str> = others.map(|change| change.name.as_str()).collect();
        if self.state != PackageState::Absent || self.allow_removals || others.is_empty() {
            return Ok(());
        }
        let (them, needs) = (listed(&others), if others.len() == 1 { "needs it" } else { "need it" });
        bail!(
            "{} cannot be removed alone: {them} {needs}; with `allow_removals` they go together",
            listed(&self.names)
        )
    }

    fn refresh(&self, cx: &Context, manager: &dyn PackageManager) -> Result<()> {
        manager.refresh(cx).context("failed to fetch the lists of packages")?;
        Ok(cx.local().set(REFRESHED, true)?)
    }
}

/// Whether a version is the one wanted, or begins so.
fn fits(version: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        None => version == wanted,
        Some(beginning) => version.starts_with(beginning),
    }
}

/// A name that no manager takes for anything else: `foo-` would remove `foo`.
fn is_name(name: &str) -> bool {
    let (name, architecture) = name.split_once(':').map_or((name, None), |(name, arch)| (name, Some(arch)));
    let is_small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |c: char| is_small(c) || "+-.".contains(c);
    let is_architecture = |arch: &str| !arch.is_empty() && arch.chars().all(|c| is_small(c) || c == '-');
    name.len() > 1
        && name.starts_with(is_small)
        && !name.ends_with('-')
        && name.chars().all(fits)
        && architecture.is_none_or(is_architecture)
}

impl Job for Package {
    fn name(&self) -> String {
        format!("Package {}", self.names.join(" "))
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let manager = early::or_missing(cx, self.manager(), |_| self.has_no_system())?;
        let (mut plan, found) = self.plan(cx, &*manager)?;
        let stale = self.stale(cx, &*manager)?;
        // Lists that are fetched first may know it.
        if stale.is_none() {
            self.refuse_virtual(cx, &*manager, &found)?;
        }
        let counts = self.state == PackageState::Latest || !plan.reasons.is_empty();
        plan.reasons.extend(stale.clone().filter(|_| counts));
        if plan.reasons.is_empty() {
            let versions = self.names.iter().zip(found).filter_map(|(name, found)| match found.status {
                Status::Installed(version) => Some((name.clone(), version)),
                _ => None,
            });
            return Ok(cx.set_result(versions.collect::<BTreeMap<_, _>>())?);
        }
        let preview = self.preview(cx, &*manager, &plan, stale.is_some())?;
        let error = NotAsWanted::new(plan.reasons.join("; "));
        Err(if preview.is_empty() { error.into() } else { error.difference(preview).into() })
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let manager = self.manager()?;
        if !geteuid().is_root() {
            return Err(Permanent::new("only root can change packages; run this as root").into());
        }
        let _changing = changing();
        let (mut plan, mut found) = self.plan(cx, &*manager)?;
        let is_unfinished = plan.unfinished && self.state != PackageState::Absent;
        let is_stale = self.stale(cx, &*manager)?.is_some();
        if is_stale && (self.state == PackageState::Latest || !plan.names.is_empty()) {
            self.refresh(cx, &*manager)?;
        }
        if is_unfinished {
            manager.finish(cx, self.allow_removals).context("failed to finish what was interrupted")?;
        }
        if is_stale || is_unfinished {
            (plan, found) = self.plan(cx, &*manager)?;
        }
        self.refuse_virtual(cx, &*manager, &found)?;
        if !plan.to_want.is_empty() {
            manager.want(cx, &plan.to_want)?;
        }
        if plan.names.is_empty() {
            return Ok(());
        }
        let hint = match self.state != PackageState::Absent && manager.age(cx)?.is_none() {
            true => {
                "there are no lists of packages, and `update_cache` does not say that they are to be fetched"
            }
            false => "failed to change the packages",
        };
        let transaction = self.transaction(plan.names);
        if self.state == PackageState::Absent && !self.allow_removals {
            self.refuse_others(&manager.preview(cx, &transaction)?)?;
        }
        manager.apply(cx, &transaction).context(hint)
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names() {
        for name in ["git", "g++", "libstdc++6", "python3.11", "libc6:i386", "7zip", "a-b"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "a",
            "git-",
            "Git",
            "git=1",
            "git/stable",
            "-y",
            "git*",
            "a b",
            "git:",
            "~nfoo",
            "^foo",
            "a\0b",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_version_may_be_a_beginning() {
        assert!(fits("1.18.0-6", "1.18.*") && fits("1.18.0-6", "1.18.0-6") && fits("1", "1*"));
        assert!(!fits("1.2", "1.18.*") && !fits("1.18.0-6", "1.18.0"));
    }
}
