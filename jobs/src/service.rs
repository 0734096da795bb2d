//! Services, and other units of systemd.
//!
//! Other managers of services are not known: there nothing can be found out.

mod boot;
mod files;
mod install;
mod manager;
mod steps;
mod systemd;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use dojob::{Context, Deps, Job, NotAsWanted, Permanent, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::manager::{Active, Activity, Load};
use self::steps::{ServiceSteps, Step};
use self::systemd::Unit;
use crate::early;
use crate::serde_helpers::{listed, one_line};
use crate::span::Span;
use crate::target_root::TargetRoot;
use crate::validated::validated;

/// Says to the recheck that what others have changed has been taken in.
const TAKEN_IN: &str = "taken_in";

/// Says to the recheck that what was started has ended at once, and how.
const DIED: &str = "died";

/// Says to the recheck that the unit was stopped by this try: one whose file is gone may not be there any more.
const STOPPED: &str = "stopped";

/// How often it is asked again what is left to do about the boot.
const MOST_ROUNDS: usize = 4;

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
/// What is not said may be anything. That it is running is looked at once, not watched; after a start or restart by this job, a
/// service of `Type=simple`, `exec` or `idle` has to stay at work for half a second. An alias means the unit behind it.
///
/// Whether it is `enabled` or `masked` can be set without systemd at work too, in a container that is being built, say. Both are
/// about what lasts: what holds until the next boot alone (`enabled-runtime`, `masked-runtime`) is neither enabled nor masked, and
/// neither disabled nor unmasked. A unit can be masked before it is there. A linked unit that is disabled stays linked. What cannot
/// be (a static unit enabled, a masked one started, a mask that a package brought lifted) is refused at once.
///
/// Tested with systemd 252 at work in a container, and with its `systemctl` where no systemd is.
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
    /// Whether systemd reads the files of units again where it says that those of this unit, or of one that it starts (the
    /// service of a timer), have changed, and before it starts, restarts or reloads this one; true unless given.
    #[serde(default = "yes")]
    pub daemon_reload: bool,
    /// How long a start, stop, restart or reload may take; 5 minutes unless given. What takes longer goes on, but this is a
    /// failure, and no second try is made.
    #[serde(default = "five_minutes")]
    pub timeout: Span,
    /// The tree of another system, whose units are enabled, disabled and masked in place of this one's: `/mnt/image`, say.
    /// Nothing is running there.
    #[serde(default)]
    pub root: Option<PathBuf>,
}

validated!(Service);

fn yes() -> bool {
    true
}

fn five_minutes() -> Span {
    Duration::from_secs(300).into()
}

/// What others have changed that it follows.
#[derive(Debug, Default)]
struct News {
    restart: Vec<String>,
    reload: Vec<String>,
}

impl News {
    fn is_any(&self) -> bool {
        !self.restart.is_empty() || !self.reload.is_empty()
    }
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
            timeout: five_minutes(),
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

    /// How long a start, stop, restart or reload may take.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Span>) -> Self {
        self.timeout = timeout.into();
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

    fn unit(&self) -> Result<Unit<'_>> {
        let is_full = SUFFIXES.iter().any(|suffix| self.name.ends_with(suffix));
        let suffix = if is_full { "" } else { ".service" };
        Unit::find(self.machine(), format!("{}{suffix}", self.name))
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

    /// What has to be done about the boot: everything but a mask that is to be set, which comes last of all.
    fn plan_boot(&self, unit: &Unit<'_>, cx: &Context) -> Result<ServiceSteps> {
        let mut plan = ServiceSteps::default();
        if self.enabled.is_none() && self.masked.is_none() {
            return Ok(plan);
        }
        let boot = unit.boot(cx)?;
        boot::plan(
            &boot::Wanted { name: &self.name, enabled: self.enabled, masked: self.masked },
            unit,
            &boot,
            &mut plan,
        )?;
        Ok(plan)
    }

    fn wants_activity(&self) -> bool {
        self.state.is_some() || !self.restart_on.is_empty() || !self.reload_on.is_empty()
    }

    fn plan_activity(
        &self,
        unit: &Unit<'_>,
        found: &Activity,
        news: &News,
        cx: &Context,
    ) -> Result<ServiceSteps> {
        let mut plan = ServiceSteps::default();
        match &found.load {
            Load::Loaded | Load::Masked => {}
            // Its file is gone, but what was started from it is not.
            Load::NotFound if self.state == Some(ServiceState::Stopped) && found.is_to_be_stopped() => {}
            Load::NotFound if cx.local().get::<bool>(STOPPED)?.unwrap_or(false) => return Ok(plan),
            // What is to be masked need not be there.
            Load::NotFound if self.masked == Some(true) => return Ok(plan),
            Load::NotFound => return Err(unit.is_missing()),
            Load::Bad(why) if self.state != Some(ServiceState::Stopped) => {
                let why = format!(
                    "the unit {} cannot be used ({why}); `systemd-analyze verify` may say more",
                    self.name
                );
                return Err(Permanent::new(why).into());
            }
            Load::Bad(_) => {}
        }
        if found.needs_reload && self.daemon_reload {
            plan.reload_files = true;
            plan.reasons.push("its unit has changed since systemd read it".to_owned());
        }
        let is_up = found.is_running();
        let is_coming = found.active == Active::Activating;
        match self.state {
            Some(ServiceState::Stopped) if found.is_to_be_stopped() => {
                plan.add(Step::new("stop"), format!("is {}", found.words));
            }
            Some(ServiceState::Stopped) => {}
            // One that is just starting may have read what was there before.
            Some(ServiceState::Running) if !(is_up || is_coming && news.is_any()) => {
                plan.add(Step::new("start"), format!("is {}", found.words));
            }
            // Who starts one day will read what is new. But one that has failed was to be running, and it may have been our
            // restart that failed.
            None if matches!(found.active, Active::No | Active::Deactivating) => {}
            _ if !news.restart.is_empty() => {
                let why = format!("has to be restarted after a change of {}", listed(&news.restart));
                plan.add(Step::new("restart"), why);
            }
            _ if !news.reload.is_empty() => {
                let why = format!("has to be reloaded after a change of {}", listed(&news.reload));
                plan.add(Step::new(if is_coming { "restart" } else { "reload-or-restart" }), why);
            }
            _ => {}
        }
        if plan.steps.iter().any(Step::starts) {
            // Where the mask is gone, but systemd remembers it, its files are read again first.
            if found.load == Load::Masked && self.masked != Some(false) && !plan.reload_files {
                let why =
                    format!("{} is masked and cannot be started; `masked: false` lifts that", self.name);
                return Err(Permanent::new(why).into());
            }
            // Not only where systemd says so: of a new directory of drop-ins it does not know.
            plan.reload_files |= self.daemon_reload;
            plan.forget_failures = found.is_limited;
        }
        Ok(plan)
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
        early::or_missing(cx, self.look(cx), |_| {
            let unit = self.unit().ok().filter(|_| self.masked != Some(true))?;
            unit.has_no_file().then(|| unit.is_missing().to_string())
        })
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.validated()?;
        cx.local().remove(DIED);
        let mut unit = self.unit()?;
        let mut masks = Vec::new();
        // Again, since what is below a mask, or behind what holds until the next boot, is seen once that is gone.
        for _ in 0..MOST_ROUNDS {
            let plan = self.plan_boot(&unit, cx)?;
            let (last, now): (Vec<Step>, Vec<Step>) =
                plan.steps.into_iter().partition(|step| step.verb == "mask");
            masks = last;
            if now.is_empty() {
                break;
            }
            let is_mask_lifted_for_now = now.iter().any(|step| step.verb == "unmask") && !masks.is_empty();
            for step in &now {
                unit.tell(cx, step, self.timeout)?;
            }
            unit = self.unit()?;
            if is_mask_lifted_for_now {
                break;
            }
        }
        if self.wants_activity() {
            let news = self.news(cx)?;
            let found = unit.activity_afresh(cx, self.daemon_reload && self.masked != Some(true))?;
            let plan = self.plan_activity(&unit, &found, &news, cx)?;
            if plan.reload_files {
                unit.reload_files(cx)?;
            }
            if plan.forget_failures {
                unit.forget_failures(cx)?;
            }
            for step in &plan.steps {
                self.tell_to_run(&unit, cx, step, &found)?;
            }
        }
        // Last, so that it has been stopped before nothing can be said to it any more.
        masks.iter().try_for_each(|step| unit.tell(cx, step, self.timeout))
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}

impl Service {
    /// What differs, in all that is wanted.
    fn look(&self, cx: &Context) -> Result<()> {
        if let Some(why) = cx.local().get::<String>(DIED)? {
            return Err(NotAsWanted::new(why).into());
        }
        let unit = self.unit()?;
        let boot = self.plan_boot(&unit, cx)?;
        let mut activity = ServiceSteps::default();
        if self.wants_activity() {
            let news = self.news(cx)?;
            activity = self.plan_activity(&unit, &unit.activity(cx)?, &news, cx)?;
        }
        let mut reasons = boot.reasons;
        reasons.append(&mut activity.reasons);
        if reasons.is_empty() {
            return Ok(());
        }
        let (masks, boot): (Vec<Step>, Vec<Step>) =
            boot.steps.into_iter().partition(|step| step.verb == "mask");
        let before = ServiceSteps { steps: boot, ..ServiceSteps::default() }.shown();
        let after = ServiceSteps { steps: masks, ..ServiceSteps::default() }.shown();
        let steps = format!("{before}{}{after}", activity.shown());
        Err(NotAsWanted::new(reasons.join("; ")).difference(steps).into())
    }

    fn tell_to_run(&self, unit: &Unit<'_>, cx: &Context, step: &Step, before: &Activity) -> Result<()> {
        if let Err(error) = unit.tell(cx, step, self.timeout) {
            let lame = if step.starts() && !cx.is_cancelled() { unit.lame(cx)? } else { None };
            return Err(lame.map_or(error, |why| Permanent::new(why).into()));
        }
        if !step.starts() {
            cx.local().set(STOPPED, step.verb == "stop")?;
            return Ok(());
        }
        cx.local().set(TAKEN_IN, true)?;
        let proved = unit.prove(cx, step, before);
        if let Err(error) = &proved {
            // For a moment it may be at work again, when the recheck looks.
            cx.local().set(DIED, format!("{error:#}"))?;
        }
        proved
    }
}
