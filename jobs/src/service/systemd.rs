//! Asking systemd, and telling it: `systemctl`, here or on a tree that is not at work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use dojob::{Command, CommandError, CommandOutput, Context, CouldNotFindOut, OrCouldNotFindOut, Permanent};

use super::files::{Files, Masks};
use super::manager::{Active, Activity, Load, PROPERTIES};
use super::steps::{Of, Step};
use crate::patience::Deadline;
use crate::span::Span;
use crate::target_root::TargetRoot;

/// After so long a wait it is told what a unit is doing, and again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// How often it is looked whether a unit is still on its way.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is looked whether a service stays at work.
const LOOKS: u32 = 5;

/// How long it has to stay at work from one look to the next.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Whether a unit is started at boot, whatever masks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Enabled {
    Yes,
    /// Until the next boot alone.
    Runtime,
    /// Of the units that are enabled along with it (`Also=`) some are enabled, and others are not or until the next boot
    /// alone.
    Partly {
        /// Whether any of them is enabled for good.
        config: bool,
    },
    No,
    /// `enable` and `disable` do nothing to it: systemd's own word (`static`), and whether it is started at boot.
    Fixed(String, bool),
    /// There is no such unit.
    Missing,
}

/// What happens to a unit at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boot {
    pub(super) enabled: Enabled,
    pub(super) masks: Masks,
    /// Whether the alias by which it was asked for is masked by itself.
    pub(super) alias_masks: Masks,
}

/// A unit of a machine's systemd.
pub(super) struct Unit<'a> {
    machine: TargetRoot<'a>,
    /// As it was asked for, with its suffix.
    asked: String,
    /// What it is: the unit behind an alias.
    name: String,
}

impl<'a> Unit<'a> {
    /// The unit that is meant by `asked`.
    pub(super) fn find(machine: TargetRoot<'a>, asked: String) -> Result<Self> {
        let name = Files::new(machine).real(&asked)?;
        Ok(Unit { machine, asked, name })
    }

    fn files(&self) -> Files<'a> {
        Files::new(self.machine)
    }

    fn systemctl<'cx>(&self, cx: &'cx Context) -> Command<'cx> {
        self.machine.command_with(cx, "systemctl", "--root").arg("--no-ask-password")
    }

    fn is_enabled(&self, cx: &Context, name: &str) -> Result<(String, CommandOutput)> {
        let output = self.systemctl(cx).args(["is-enabled", name]).quiet().output();
        let output = output.or_could_not_find_out(format!("whether {name} is enabled"))?;
        Ok((output.text(), output))
    }

    /// Whether it is started at boot. That is written in files: systemd need not be at work.
    pub(super) fn boot(&self, cx: &Context) -> Result<Boot> {
        let (word, output) = self.is_enabled(cx, &self.name)?;
        let mut boot = Boot { enabled: Enabled::No, masks: Masks::default(), alias_masks: Masks::default() };
        if self.asked != self.name {
            boot.alias_masks = self.files().masks(&self.asked)?;
        }
        boot.enabled = match word.as_str() {
            "enabled" => Enabled::Yes,
            "enabled-runtime" => Enabled::Runtime,
            "disabled" | "indirect" if self.is_bare_template()? => {
                Enabled::Fixed("a template without `DefaultInstance=`".to_owned(), false)
            }
            "disabled" => Enabled::No,
            "linked" | "linked-runtime" => self.by_install(&word)?,
            "indirect" => self.by_others(cx)?,
            "masked" | "masked-runtime" => {
                boot.masks = self.files().masks(&self.name)?;
                boot.masks.config |= word == "masked" && !boot.masks.elsewhere;
                boot.masks.runtime |= word == "masked-runtime";
                self.below_a_mask()?
            }
            "static" | "transient" => Enabled::Fixed(word, false),
            "generated" => {
                let wanted = self.files().wanted_in(&self.name)?;
                Enabled::Fixed(word, wanted.generated || wanted.config)
            }
            _ if is_unknown(&output) => Enabled::Missing,
            _ => return Err(could_not(&format!("whether {} is enabled", self.name), &output)),
        };
        Ok(boot)
    }

    /// Whether it is a template that names no instance to be enabled in its place.
    fn is_bare_template(&self) -> Result<bool> {
        let is_template = self.name.contains("@.");
        Ok(is_template && self.files().install(&self.name)?.is_some_and(|install| !install.has_default))
    }

    /// For a unit that nothing starts at boot so far: whether that could be changed.
    fn by_install(&self, word: &str) -> Result<Enabled> {
        Ok(match self.files().install(&self.name)? {
            Some(install) if !install.can_be_enabled() => Enabled::Fixed(word.to_owned(), false),
            _ => Enabled::No,
        })
    }

    /// For a unit that is not enabled itself, but others along with it (`Also=`).
    fn by_others(&self, cx: &Context) -> Result<Enabled> {
        let also = self.files().install(&self.name)?.map(|install| install.also).unwrap_or_default();
        let mut found: Option<Enabled> = None;
        for other in also.iter().filter(|other| **other != self.name) {
            let state = match self.is_enabled(cx, other)?.0.as_str() {
                "enabled" => Enabled::Yes,
                "enabled-runtime" => Enabled::Runtime,
                "disabled" | "linked" | "linked-runtime" => Enabled::No,
                _ => continue,
            };
            found = Some(match found {
                Some(before) if before != state => {
                    let config = [&before, &state]
                        .iter()
                        .any(|one| matches!(one, Enabled::Yes | Enabled::Partly { config: true }));
                    Enabled::Partly { config }
                }
                _ => state,
            });
        }
        Ok(found.unwrap_or(Enabled::No))
    }

    /// What it would be without its mask.
    fn below_a_mask(&self) -> Result<Enabled> {
        let wanted = self.files().wanted_in(&self.name)?;
        let install = self.files().install(&self.name)?;
        let mut has_alias = false;
        for alias in install.iter().flat_map(|install| &install.aliases) {
            has_alias |= self.files().has_own_file(alias)?;
        }
        let enabled = match install {
            None => Enabled::Missing,
            Some(_) if wanted.config || has_alias => Enabled::Yes,
            Some(_) if wanted.runtime => Enabled::Runtime,
            Some(install) if install.can_be_enabled() => Enabled::No,
            Some(_) => Enabled::Fixed("static".to_owned(), wanted.generated),
        };
        Ok(enabled)
    }

    /// The file outside of systemd's directories that a link brought into place, which `disable` takes away with the rest.
    pub(super) fn linked(&self) -> Result<Option<PathBuf>> {
        self.files().linked(&self.name)
    }

    /// Whether there is a unit where its mask would be.
    pub(super) fn has_own_file(&self) -> Result<bool> {
        self.files().has_own_file(&self.name)
    }

    /// What it is doing now. Files of the units that it starts count as its own.
    pub(super) fn activity(&self, cx: &Context) -> Result<Activity> {
        let mut activity = self.show(cx, &self.name)?;
        if activity.is_running() && activity.restarts > 0 {
            activity = self.watched(cx, activity)?;
        }
        for triggered in activity.triggers.clone() {
            activity.needs_reload |= self.show(cx, &triggered)?.needs_reload;
        }
        Ok(activity)
    }

    fn show(&self, cx: &Context, name: &str) -> Result<Activity> {
        let what = || format!("whether {name} is running");
        let output = self.systemctl(cx).args(["show", PROPERTIES, "--", name]).quiet().output();
        let output = output.or_could_not_find_out(what())?;
        if !output.success() {
            return Err(could_not(&what(), &output));
        }
        let Some(mut activity) = Activity::read(&output.text()) else {
            return Err(CouldNotFindOut::new(what()).because("systemctl does not say").into());
        };
        // systemd never reads the drop-ins of what is masked, and says for ever that they have changed. One that is not masked
        // any more has changed indeed.
        if activity.needs_reload && activity.load == Load::Masked {
            activity.needs_reload = !self.files().masks(name)?.is_any();
        }
        Ok(activity)
    }

    /// Whether it is known that no file makes this unit, not even a script of the time before systemd.
    pub(super) fn has_no_file(&self) -> bool {
        let script = Path::new("/etc/init.d").join(self.name.trim_end_matches(".service"));
        let has_script = self.machine.locate_target(&script).is_ok_and(|path| path.exists());
        !has_script && self.files().is_missing(&self.name).unwrap_or(false)
    }

    pub(super) fn is_missing(&self) -> anyhow::Error {
        let why = format!("there is no unit {}; a job before this one has to install it", self.name);
        Permanent::new(why).into()
    }

    /// Does a step. One that starts or stops something may take no longer than `limit`, and tells what it waits for.
    pub(super) fn tell(&self, cx: &Context, step: &Step, limit: Span) -> Result<()> {
        let of = match &step.of {
            Of::Unit => self.name.as_ref(),
            Of::Alias => self.asked.as_ref(),
            Of::File(path) => path.as_os_str(),
        };
        let command = || self.systemctl(cx).args(step.words()).arg("--").arg(of);
        if !step.is_activity() {
            command().timeout(limit.duration()).run()?;
            return Ok(());
        }
        let deadline = Deadline::after(cx, limit.duration());
        match command().timeout(limit.duration().min(SIGN_OF_LIFE)).run() {
            Err(error @ CommandError::TimedOut { .. }) => {
                if cx.is_cancelled() {
                    return Err(error.into());
                }
                self.wait(cx, step, &deadline, limit)?;
            }
            other => drop(other?),
        }
        Ok(())
    }

    /// Waits for what systemd goes on with, though the command that told it so was ended.
    fn wait(&self, cx: &Context, step: &Step, deadline: &Deadline, limit: Span) -> Result<()> {
        let mut sign = Deadline::after(cx, Duration::ZERO);
        loop {
            let output =
                self.systemctl(cx).args(["show", "--property=Job", "--", &self.name]).quiet().output()?;
            let job = output.text();
            if output.success() && ["", "0"].contains(&job.trim().trim_start_matches("Job=")) {
                break;
            }
            let words = self.activity(cx)?.words;
            if deadline.is_over(cx) {
                let why = format!(
                    "{} of {} did not end within {limit}: it is {words} (`journalctl -u {}` may say why; `timeout` sets another limit)",
                    step.verb, self.name, self.name
                );
                return Err(Permanent::new(why).into());
            }
            if sign.is_over(cx) {
                cx.log(format!("{} is {words}: waiting for its {}", self.name, step.verb));
                sign = Deadline::after(cx, SIGN_OF_LIFE);
            }
            deadline.pause(cx, LOOK)?;
        }
        let found = self.activity(cx)?;
        if step.starts() && !found.is_running() {
            bail!("{} of {} failed: it is {}", step.verb, self.name, found.words);
        }
        Ok(())
    }

    /// Looks whether a service stays at work that counts as started as soon as it was begun. `before` is what it did before the
    /// step.
    pub(super) fn prove(&self, cx: &Context, step: &Step, before: &Activity) -> Result<()> {
        let mut restarts = before.restarts;
        for _ in 0..LOOKS {
            let found = self.show(cx, &self.name)?;
            if !found.is_unproved {
                break;
            }
            let is_again = found.restarts > restarts;
            if !found.is_running() || is_again {
                if found.active == Active::No {
                    bail!(
                        "{} is {} after its {}: it ended at once, or a condition of its unit (`Condition…=`) was not met",
                        self.name,
                        found.words,
                        step.verb
                    );
                }
                let again = if is_again { ", and systemd has started it again" } else { "" };
                bail!("{} ended at once after its {}: it is {}{again}", self.name, step.verb, found.words);
            }
            restarts = found.restarts;
            cx.wait(BETWEEN_LOOKS)?;
        }
        Ok(())
    }

    /// For one that systemd had to start again before: whether that goes on. Between its ends it looks as if it were at work.
    fn watched(&self, cx: &Context, found: Activity) -> Result<Activity> {
        for _ in 0..LOOKS {
            cx.wait(BETWEEN_LOOKS)?;
            let mut now = self.show(cx, &self.name)?;
            if !now.is_running() || now.restarts > found.restarts {
                now.active = if now.active == Active::Failed { Active::Failed } else { Active::Activating };
                now.words = format!("{}, started again {} times by systemd", now.words, now.restarts);
                return Ok(now);
            }
        }
        Ok(found)
    }

    /// Why it cannot be started for want of a unit that it starts itself: systemd starts no timer without its service.
    pub(super) fn lame(&self, cx: &Context) -> Result<Option<String>> {
        for triggered in self.show(cx, &self.name)?.triggers {
            let why = match self.show(cx, &triggered)?.load {
                Load::Masked => "is masked".to_owned(),
                Load::NotFound => "is not there".to_owned(),
                Load::Bad(why) => format!("cannot be used ({why})"),
                Load::Loaded => continue,
            };
            let name = &self.name;
            return Ok(Some(format!("{name} cannot be started: it starts {triggered}, which {why}")));
        }
        Ok(None)
    }

    /// Forgets that it was started too often.
    pub(super) fn forget_failures(&self, cx: &Context) -> Result<()> {
        self.systemctl(cx).args(["reset-failed", "--", &self.name]).run()?;
        Ok(())
    }

    /// Has systemd read all files again.
    pub(super) fn reload_files(&self, cx: &Context) -> Result<()> {
        self.systemctl(cx).arg("daemon-reload").run()?;
        Ok(())
    }

    /// What it does now, its files read again where it seems not to be there or to be broken: systemd may remember what
    /// was so before.
    pub(super) fn activity_afresh(&self, cx: &Context, may_reload: bool) -> Result<Activity> {
        let found = self.activity(cx)?;
        if may_reload && matches!(found.load, Load::NotFound | Load::Bad(_)) {
            self.reload_files(cx)?;
            return self.activity(cx);
        }
        Ok(found)
    }
}

/// Whether `is-enabled` says that there is no such unit; not that there is no bus, of which the end of the message is the same.
fn is_unknown(output: &CommandOutput) -> bool {
    let said = output.stderr.text();
    let line = said.lines().next().unwrap_or_default();
    output.text() == "not-found"
        || (line.starts_with("Failed to get unit file state for")
            && line.ends_with("No such file or directory"))
        || (line.contains("nit file") && line.ends_with("does not exist."))
}

fn could_not(what: &str, output: &CommandOutput) -> anyhow::Error {
    let said = output.stderr.text();
    let hint = if said.contains("not been booted with systemd") || said.contains("connect to bus") {
        " (systemd is not at work here; with `root` a tree can be prepared for it)"
    } else {
        ""
    };
    let said = match said.lines().next() {
        Some(line) => line.trim().to_owned(),
        None => format!("systemctl said {:?} and ended with {}", output.text(), output.status),
    };
    CouldNotFindOut::new(format!("{what}{hint}")).because(said).into()
}
