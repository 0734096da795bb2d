//! What has to be done so that a unit is enabled or disabled, masked or not.
//!
//! Compares what is wanted with what was found; tells nobody anything.

use anyhow::Result;
use dojob::Permanent;

use super::files::Masks;
use super::steps::{Of, ServiceSteps, Step};
use super::systemd::{Boot, Enabled, Unit};

/// What is wanted of a unit at boot.
pub(super) struct Wanted<'a> {
    /// As messages have it.
    pub(super) name: &'a str,
    pub(super) enabled: Option<bool>,
    pub(super) masked: Option<bool>,
}

/// Adds the steps that lead from `found` to what is wanted.
///
/// # Errors
/// When nothing can lead there.
pub(super) fn plan(
    wanted: &Wanted<'_>,
    unit: &Unit<'_>,
    found: &Boot,
    plan: &mut ServiceSteps,
) -> Result<()> {
    let masks = found.masks;
    let is_masked = masks.is_any();
    let never = |why: String| Err(Permanent::new(why).into());
    if wanted.masked == Some(false) {
        if masks.elsewhere && !masks.config && !masks.runtime {
            return never(format!(
                "{} is masked by its package, not in /etc or /run, and `unmask` does not reach that",
                wanted.name
            ));
        }
        unmask(found, plan);
    }
    match (wanted.enabled, &found.enabled) {
        (Some(true), _) if is_masked && wanted.masked != Some(false) => {
            return never(format!(
                "{} is masked and cannot be enabled; `masked: false` lifts that",
                wanted.name
            ));
        }
        // What it is below the mask is seen once that is lifted.
        (Some(true), Enabled::Missing) if is_masked => plan.steps.push(Step::new("enable")),
        (Some(_), Enabled::Missing) if wanted.masked != Some(true) && !is_masked => {
            return Err(unit.is_missing());
        }
        (Some(true), Enabled::No) => plan.add(Step::new("enable"), "is disabled"),
        (Some(true), Enabled::Runtime) => {
            plan.add(Step::new("enable"), "is enabled until the next boot alone")
        }
        (Some(true), Enabled::Partly { .. }) => {
            plan.add(Step::new("enable"), "of the units that are enabled with it, not all are enabled")
        }
        (Some(true), Enabled::Fixed(word, false)) => {
            return never(format!(
                "{} cannot be enabled: it is {word}, its unit does not say when it is wanted",
                wanted.name
            ));
        }
        (Some(false), Enabled::Fixed(word, true)) => {
            return never(format!(
                "{} cannot be disabled: it is {word}; change what it is made from, or mask it",
                wanted.name
            ));
        }
        (Some(false), Enabled::Yes | Enabled::Partly { config: true }) => {
            disable(wanted, unit, masks, false, plan)?
        }
        (Some(false), Enabled::Runtime | Enabled::Partly { config: false }) => {
            disable(wanted, unit, masks, true, plan)?
        }
        _ => {}
    }
    if wanted.masked == Some(true) {
        let is_lifted = plan.steps.iter().any(|step| step.verb == "unmask");
        if !masks.config && !masks.elsewhere {
            if unit.has_own_file()? {
                return never(format!(
                    "{} cannot be masked: /etc/systemd/system has its unit, where the mask would be",
                    wanted.name
                ));
            }
            let why = if masks.runtime { "is masked until the next boot alone" } else { "is not masked" };
            plan.add(Step::new("mask"), why);
        } else if is_lifted {
            plan.steps.push(Step::new("mask"));
        }
    }
    Ok(())
}

fn unmask(found: &Boot, plan: &mut ServiceSteps) {
    for (masks, of) in [(found.masks, Of::Unit), (found.alias_masks, Of::Alias)] {
        let what = if of == Of::Unit { "is masked" } else { "its alias is masked" };
        if masks.config {
            plan.add(Step::new("unmask").of(of.clone()), what);
        }
        if masks.runtime {
            plan.add(Step::new("unmask").runtime().of(of), format!("{what} until the next boot"));
        }
    }
}

/// `systemctl disable` does nothing to what is masked, and takes the link to a unit elsewhere away with the rest.
fn disable(
    wanted: &Wanted<'_>,
    unit: &Unit<'_>,
    masks: Masks,
    runtime: bool,
    plan: &mut ServiceSteps,
) -> Result<()> {
    if masks.is_any() && wanted.masked.is_none() {
        // Nothing starts it.
        return Ok(());
    }
    if wanted.masked == Some(true) {
        plan.steps.extend(masks.config.then(|| Step::new("unmask")));
        plan.steps.extend(masks.runtime.then(|| Step::new("unmask").runtime()));
    }
    let step = if runtime { Step::new("disable").runtime() } else { Step::new("disable") };
    plan.add(step, if runtime { "is enabled until the next boot" } else { "is enabled" });
    if let Some(path) = unit.linked()? {
        plan.steps.push(Step::new("link").of(Of::File(path)));
    }
    Ok(())
}
