//! Asking systemd, and telling it: `systemctl`, here or on a tree that is not at work.
//!
//! Knows how it is called and what it answers; not what is wanted.

use anyhow::{Result, bail};
use dojob::{Command, CommandOutput, Context, CouldNotFindOut, OrCouldNotFindOut};

use crate::machine::Machine;

/// Whether a unit is started at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Boot {
    Enabled,
    Disabled,
    Masked,
    /// Nothing can change it: systemd's own word (`static`, `transient`).
    Fixed(String),
}

/// What a unit is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) running: bool,
    /// In systemd's own words: `failed`, `activating (auto-restart)`.
    pub(super) words: String,
    /// Whether its file has changed since systemd read it.
    pub(super) needs_reload: bool,
}

/// A unit of a machine's systemd.
pub(super) struct Unit<'a> {
    pub(super) machine: Machine<'a>,
    /// With its suffix.
    pub(super) name: String,
}

impl Unit<'_> {
    fn systemctl<'cx>(&self, cx: &'cx Context) -> Command<'cx> {
        self.machine.command_with(cx, "systemctl", "--root").arg("--no-ask-password")
    }

    /// Whether it is started at boot. That is written in files: systemd need not be at work.
    pub(super) fn boot(&self, cx: &Context) -> Result<Boot> {
        let what = || format!("whether {} is enabled", self.name);
        let output = self.systemctl(cx).args(["is-enabled", &self.name]).quiet().output();
        let output = output.or_could_not_find_out(what())?;
        let word = output.text();
        match word.as_str() {
            "enabled" | "alias" | "indirect" | "generated" => Ok(Boot::Enabled),
            // What holds until the next boot alone is not what is meant by enabled.
            "disabled" | "linked" | "enabled-runtime" | "linked-runtime" => Ok(Boot::Disabled),
            "masked" | "masked-runtime" => Ok(Boot::Masked),
            "static" | "transient" => Ok(Boot::Fixed(word)),
            _ if is_unknown(&output) => bail!("{}", self.is_missing()),
            _ => Err(could_not(&what(), &output)),
        }
    }

    /// What it is doing now.
    pub(super) fn activity(&self, cx: &Context) -> Result<Activity> {
        let what = || format!("whether {} is running", self.name);
        let properties = "--property=LoadState,ActiveState,SubState,NeedDaemonReload";
        let output = self.systemctl(cx).args(["show", properties, "--", &self.name]).quiet().output();
        let output = output.or_could_not_find_out(what())?;
        if !output.success() {
            return Err(could_not(&what(), &output));
        }
        let text = output.text();
        let property = |name: &str| {
            let values = text.lines().filter_map(|line| line.split_once('='));
            values.filter(|(found, _)| *found == name).map(|(_, value)| value).next().unwrap_or_default()
        };
        if property("LoadState") == "not-found" {
            bail!("{}", self.is_missing());
        }
        let (active, sub) = (property("ActiveState"), property("SubState"));
        if active.is_empty() {
            return Err(CouldNotFindOut::new(what()).because("systemctl does not say").into());
        }
        let words = match active {
            "inactive" | "failed" => active.to_owned(),
            _ => format!("{active} ({sub})"),
        };
        Ok(Activity {
            running: matches!(active, "active" | "reloading" | "refreshing"),
            words,
            needs_reload: property("NeedDaemonReload") == "yes",
        })
    }

    fn is_missing(&self) -> String {
        format!("there is no unit {}; a job before this one has to install it", self.name)
    }

    /// Tells it something: `start`, `enable` …
    pub(super) fn tell(&self, cx: &Context, verb: &str) -> Result<()> {
        self.systemctl(cx).args([verb, "--", &self.name]).run()?;
        Ok(())
    }

    /// Has systemd read all files again.
    pub(super) fn reload_files(&self, cx: &Context) -> Result<()> {
        self.systemctl(cx).arg("daemon-reload").run()?;
        Ok(())
    }
}

fn is_unknown(output: &CommandOutput) -> bool {
    let said = output.stderr.text();
    output.text() == "not-found"
        || said.contains("No such file or directory")
        || said.contains("does not exist")
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
