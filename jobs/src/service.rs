//! Services, and other units of systemd.
//!
//! Knows what is wanted of a unit, and which jobs it follows; how systemd is asked knows its room. Other managers of
//! services are not known: there nothing can be found out.

mod systemd;

use std::path::PathBuf;

use anyhow::{bail, ensure};
use dojob::{Context, Deps, Job, NotAsWanted, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::systemd::{Activity, Boot, Unit};
use crate::machine::Machine;
use crate::validated::validated;
use crate::written::{listed, one_line};

/// What systemd says of a service that has ended badly.
const FAILED: &str = "failed";

/// Says to the recheck that what others have changed has been taken in.
const TAKEN_IN: &str = "taken_in";

/// What ends the names of units.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".timer",
    ".path",
    ".target",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// Whether a service is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// At work.
    Running,
    /// Not at work.
    Stopped,
}

/// A service is running or stopped, enabled or disabled, and follows changes of what it reads. systemd only.
///
/// What is not said may be anything. That it is running is looked at once, not watched.
///
/// Whether it is `enabled` or `masked` can be set without systemd at work too, in a container that is being built, say. Tested with
/// the real `systemctl` for that; for what is running, where no systemd is at work, with one that plays its part.
///
/// ```
/// # use dojob_jobs::{Service, ServiceState};
/// let nginx = Service::new("nginx").state(ServiceState::Running).enabled(true).reload_on(["File /etc/nginx/nginx.conf"]);
/// let same: Service = serde_json::from_str(
///     r#"{"name": "nginx", "state": "running", "enabled": true, "reload_on": ["File /etc/nginx/nginx.conf"]}"#,
/// )?;
/// assert_eq!(nginx, same);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Service")]
#[schemars(extend("x-dojob-target" = { "by": "name", "compare": "unit" }))]
#[schemars(extend("x-dojob-result" = false))]
pub struct Service {
    /// The name of the unit: `nginx`, `getty@tty1`, `backup.timer`. Without a suffix it is a `.service`.
    pub name: String,
    /// `running` or `stopped`; unless given, either. A service that ends by itself (`Type=oneshot` without
    /// `RemainAfterExit`) is never running.
    #[serde(default)]
    pub state: Option<ServiceState>,
    /// Whether it is started at boot; unless given, either.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whether it is masked, so that nothing can start it; unless given, either.
    #[serde(default)]
    pub masked: Option<bool>,
    /// Names of jobs after which it is restarted where they have changed something: `File /etc/nginx/nginx.conf`; in a
    /// playbook the ids of their tasks. It depends on them. One that is not running is not started for that, unless it has
    /// failed.
    #[serde(default)]
    #[schemars(extend("x-dojob-jobs" = true))]
    pub restart_on: Vec<String>,
    /// As `restart_on`, but it is asked to read its configuration again; where it cannot, it is restarted.
    #[serde(default)]
    #[schemars(extend("x-dojob-jobs" = true))]
    pub reload_on: Vec<String>,
    /// Whether systemd reads the files of units again where it says that the one of this unit has changed; true unless
    /// given.
    #[serde(default = "yes")]
    pub daemon_reload: bool,
    /// The tree of another system, whose units are enabled, disabled and masked in place of this one's: `/mnt/image`, say.
    /// Nothing is running there.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(Service);

fn yes() -> bool {
    true
}

/// What is to be done, in this order, and why.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    reasons: Vec<String>,
    reload_files: bool,
    verbs: Vec<&'static str>,
}

impl Plan {
    fn add(&mut self, verb: &'static str, reason: impl Into<String>) {
        self.verbs.push(verb);
        self.reasons.push(reason.into());
    }
}

/// What others have changed that it follows.
#[derive(Debug, Default)]
struct News {
    restart: Vec<String>,
    reload: Vec<String>,
}

impl Service {
    /// The unit `name`, of which nothing is wanted yet.
    pub fn new(name: impl Into<String>) -> Self {
        Service {
            name: name.into(),
            state: None,
            enabled: None,
            masked: None,
            restart_on: Vec::new(),
            reload_on: Vec::new(),
            daemon_reload: true,
            root: None,
        }
    }

    /// Running or stopped.
    #[must_use]
    pub fn state(mut self, state: ServiceState) -> Self {
        self.state = Some(state);
        self
    }

    /// Started at boot or not.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = Some(enabled);
        self
    }

    /// Masked or not.
    #[must_use]
    pub fn masked(mut self, masked: bool) -> Self {
        self.masked = Some(masked);
        self
    }

    /// Restarted after changes of these jobs.
    #[must_use]
    pub fn restart_on<N: Into<String>>(mut self, jobs: impl IntoIterator<Item = N>) -> Self {
        self.restart_on.extend(jobs.into_iter().map(Into::into));
        self
    }

    /// Reloaded after changes of these jobs.
    #[must_use]
    pub fn reload_on<N: Into<String>>(mut self, jobs: impl IntoIterator<Item = N>) -> Self {
        self.reload_on.extend(jobs.into_iter().map(Into::into));
        self
    }

    /// Whether changed files of the unit are read again.
    #[must_use]
    pub fn daemon_reload(mut self, reload: bool) -> Self {
        self.daemon_reload = reload;
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

    fn unit(&self) -> Unit<'_> {
        let is_full = SUFFIXES.iter().any(|suffix| self.name.ends_with(suffix));
        let suffix = if is_full { "" } else { ".service" };
        Unit { machine: self.machine(), name: format!("{}{suffix}", self.name) }
    }

    fn validate(&self) -> Result<()> {
        let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        ensure!(
            !self.name.is_empty()
                && !self.name.starts_with(['-', '.'])
                && self.name.chars().all(fits)
                && self.name.len() < 248,
            "`name` is `{}`, which is no name of a unit: `nginx`, `getty@tty1` or `backup.timer` is one",
            self.name.escape_debug()
        );
        let follows = !self.restart_on.is_empty() || !self.reload_on.is_empty();
        let wants_activity = self.state.is_some() || follows;
        let is_template = self.name.ends_with('@') || self.name.contains("@.");
        ensure!(
            !is_template || !wants_activity,
            "`{}` is a template, and only instances of it are running",
            self.name
        );
        for (field, jobs) in [("restart_on", &self.restart_on), ("reload_on", &self.reload_on)] {
            jobs.iter().try_for_each(|job| one_line(field, job))?;
            ensure!(
                jobs.is_empty() || self.state != Some(ServiceState::Stopped),
                "`{field}` is for a service that is not `stopped`"
            );
        }
        if self.masked == Some(true) {
            ensure!(self.enabled != Some(true), "what is `masked` cannot be `enabled`");
            ensure!(self.state != Some(ServiceState::Running), "what is `masked` cannot be `running`");
        }
        let is_anything = wants_activity || self.enabled.is_some() || self.masked.is_some();
        ensure!(
            is_anything,
            "nothing is wanted: give `state`, `enabled`, `masked`, `restart_on` or `reload_on`"
        );
        ensure!(
            self.machine().root().is_none() || !wants_activity,
            "nothing is running in a `root`: `state`, `restart_on` and `reload_on` say nothing there"
        );
        self.machine().validate()
    }

    /// What others have changed, unless this try has taken it in already.
    fn news(&self, cx: &Context) -> Result<News> {
        let is_taken_in = cx.local().get::<bool>(TAKEN_IN)?.unwrap_or(false);
        let changed = |jobs: &[String]| -> Result<Vec<String>> {
            let mut changed = Vec::new();
            for job in jobs {
                // Asked in any case: who has asked counts as told.
                if cx.changed(job)? && !is_taken_in {
                    changed.push(job.clone());
                }
            }
            Ok(changed)
        };
        Ok(News { restart: changed(&self.restart_on)?, reload: changed(&self.reload_on)? })
    }

    fn plan(&self, cx: &Context) -> Result<Plan> {
        let unit = self.unit();
        let mut plan = Plan::default();
        if self.enabled.is_some() || self.masked.is_some() {
            self.plan_boot(&unit.boot(cx)?, &mut plan)?;
        }
        if self.state.is_some() || !self.restart_on.is_empty() || !self.reload_on.is_empty() {
            let news = self.news(cx)?;
            self.plan_activity(&unit.activity(cx)?, &news, &mut plan);
        }
        // Last, so that it has been stopped before nothing can be said to it any more.
        if let Some(at) = plan.verbs.iter().position(|verb| *verb == "mask") {
            let mask = plan.verbs.remove(at);
            plan.verbs.push(mask);
        }
        Ok(plan)
    }

    fn plan_boot(&self, boot: &Boot, plan: &mut Plan) -> Result<()> {
        let is_masked = *boot == Boot::Masked;
        match self.masked {
            Some(true) if !is_masked => plan.add("mask", "is not masked"),
            Some(false) if is_masked => plan.add("unmask", "is masked"),
            _ => {}
        }
        match (self.enabled, boot) {
            (Some(true), Boot::Disabled) => plan.add("enable", "is disabled"),
            // What it is below the mask is seen once that is lifted.
            (Some(true), Boot::Masked) if self.masked == Some(false) => plan.verbs.push("enable"),
            (Some(true), Boot::Masked) => {
                bail!("{} is masked and cannot be enabled; `masked: false` lifts that", self.name)
            }
            (Some(true), Boot::Fixed(word)) => {
                bail!(
                    "{} cannot be enabled: it is {word}, its unit does not say when it is wanted",
                    self.name
                )
            }
            (Some(false), Boot::Enabled) => plan.add("disable", "is enabled"),
            _ => {}
        }
        Ok(())
    }

    fn plan_activity(&self, found: &Activity, news: &News, plan: &mut Plan) {
        if found.needs_reload && self.daemon_reload {
            plan.reload_files = true;
            plan.reasons.push("its unit has changed since systemd read it".to_owned());
        }
        match self.state {
            Some(ServiceState::Running) if !found.running => plan.add("start", format!("is {}", found.words)),
            Some(ServiceState::Stopped) if found.running || found.words.starts_with("activating") => {
                plan.add("stop", format!("is {}", found.words));
            }
            Some(ServiceState::Stopped) => {}
            // Who starts one day will read what is new. But one that has failed was to be running, and it may have been our
            // restart that failed.
            _ if !found.running && found.words != FAILED => {}
            _ if !news.restart.is_empty() => {
                plan.add(
                    "restart",
                    format!("has to be restarted after a change of {}", listed(&news.restart)),
                );
            }
            _ if !news.reload.is_empty() => {
                plan.add(
                    "reload-or-restart",
                    format!("has to be reloaded after a change of {}", listed(&news.reload)),
                );
            }
            _ => {}
        }
    }
}

impl Job for Service {
    fn name(&self) -> String {
        format!("Service {}", self.name)
    }

    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        self.restart_on.iter().chain(&self.reload_on).for_each(|job| deps.push_named(job.as_str()));
        deps
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let plan = self.plan(cx)?;
        if plan.reasons.is_empty() {
            return Ok(());
        }
        let mut steps = String::new();
        for verb in plan.reload_files.then_some("daemon-reload").into_iter().chain(plan.verbs) {
            steps.push_str(&format!("{verb}\n"));
        }
        Err(NotAsWanted::new(plan.reasons.join("; ")).difference(steps).into())
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        let unit = self.unit();
        let plan = self.plan(cx)?;
        if plan.reload_files {
            unit.reload_files(cx)?;
        }
        for verb in plan.verbs {
            unit.tell(cx, verb)?;
            if ["start", "restart", "reload-or-restart"].contains(&verb) {
                cx.local().set(TAKEN_IN, true)?;
            }
        }
        Ok(())
    }
}
