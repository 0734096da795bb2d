//! Plans in files: written by a dry run, read to be applied, and what is said when one is refused.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::print::print;
use crate::engine::plan::Plan;
use crate::engine::plan_mismatch::PlanMismatch;
use crate::view::json::EVENT_VERSION;

/// Writes a plan to a file.
pub(super) fn save(plan: &Plan, path: &Path) -> anyhow::Result<()> {
    fs::write(path, plan.to_json()).with_context(|| format!("failed to write the plan to {}", path.display()))
}

/// The plan in a file.
pub(super) fn read(path: &Path) -> anyhow::Result<Plan> {
    let text = fs::read(path).with_context(|| format!("failed to read the plan in {}", path.display()))?;
    Plan::from_json(&String::from_utf8_lossy(&text)).map_err(|mismatch| refused(mismatch, path))
}

/// The error of a plan that is not applied.
pub(super) fn refused(mismatch: PlanMismatch, path: &Path) -> anyhow::Error {
    anyhow::Error::new(mismatch)
        .context(format!("nothing was changed, since the plan in {} is refused", path.display()))
}

/// Writes why a plan is refused as a line of JSON on standard output.
pub(super) fn print_refusal(error: &anyhow::Error) -> anyhow::Result<()> {
    let Some(mismatch) = error.downcast_ref::<PlanMismatch>() else { return Ok(()) };
    print_line(&json!({"v": EVENT_VERSION, "event": "plan_refused", "mismatch": mismatch}))
}

/// Writes a plan as a line of JSON on standard output.
pub(super) fn print_plan(plan: &Plan) -> anyhow::Result<()> {
    print_line(&json!({"v": EVENT_VERSION, "event": "plan", "plan": plan}))
}

fn print_line(value: &serde_json::Value) -> anyhow::Result<()> {
    print(format!("{value}\n").as_bytes())
}
