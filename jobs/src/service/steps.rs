//! What is to be done to a unit, step by step, and why.

use std::fmt;
use std::path::PathBuf;

/// What a step is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The unit itself.
    Unit,
    /// The other name by which it was asked for.
    Alias,
    /// A file outside of systemd's directories.
    File(PathBuf),
}

/// One call of `systemctl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) verb: &'static str,
    /// Whether it is about what holds until the next boot.
    pub(super) runtime: bool,
    pub(super) of: Of,
}

impl Step {
    pub(super) fn new(verb: &'static str) -> Self {
        Step { verb, runtime: false, of: Of::Unit }
    }

    pub(super) fn runtime(mut self) -> Self {
        self.runtime = true;
        self
    }

    pub(super) fn of(mut self, of: Of) -> Self {
        self.of = of;
        self
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.verb).chain(self.runtime.then_some("--runtime"))
    }

    /// Whether something is at work afterwards that has read what is new.
    pub(super) fn starts(&self) -> bool {
        ["start", "restart", "reload-or-restart"].contains(&self.verb)
    }

    /// Whether it takes as long as the unit takes.
    pub(super) fn is_activity(&self) -> bool {
        self.starts() || self.verb == "stop"
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb)?;
        if self.runtime {
            f.write_str(" --runtime")?;
        }
        match &self.of {
            Of::Unit => Ok(()),
            Of::Alias => f.write_str(" (the alias)"),
            Of::File(path) => write!(f, " {}", path.display()),
        }
    }
}

/// What is to be done, in this order, and why.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ServiceSteps {
    pub(super) reasons: Vec<String>,
    pub(super) reload_files: bool,
    pub(super) forget_failures: bool,
    pub(super) steps: Vec<Step>,
}

impl ServiceSteps {
    pub(super) fn add(&mut self, step: Step, reason: impl Into<String>) {
        self.steps.push(step);
        self.reasons.push(reason.into());
    }

    /// All steps, a line each.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::new();
        if self.reload_files {
            shown.push_str("daemon-reload\n");
        }
        if self.forget_failures {
            shown.push_str("reset-failed\n");
        }
        self.steps.iter().for_each(|step| shown.push_str(&format!("{step}\n")));
        shown
    }
}
