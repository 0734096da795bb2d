//! Applying a saved plan: look once more, and only then let the jobs of the plan run.
//!
//! Whether a plan still fits is decided by [`plan`](super::plan); what a job may do, in its try.

use std::sync::Arc;

use super::converge::Convergence;
use super::plan::Plan;
use super::plan_mismatch::PlanMismatch;
use super::setup::Setup;
use crate::event::Emitter;
use crate::report::Report;

/// Applies a plan. An error means that nothing was changed.
pub(super) fn apply(setup: &mut Setup, plan: &Plan) -> Result<Report, PlanMismatch> {
    plan.fits(&setup.graph, setup.scope.as_deref(), &setup.args)?;
    let found = look(setup);
    // What a stop has left open says nothing of the plan; the run that follows ends at once.
    if !found.is_stopped() {
        plan.compare(&found)?;
    }
    setup.approval = Some(Arc::new(plan.approval(&setup.graph)));
    let report = Convergence::new(setup).converge();
    setup.approval = None;
    Ok(report)
}

/// Calls all checks, and tells nobody.
fn look(setup: &mut Setup) -> Report {
    let settings = setup.settings;
    (setup.settings.no_act, setup.settings.look_ahead) = (true, true);
    let silent = Arc::new(Emitter::silent(setup.emitter.redactor()));
    let emitter = std::mem::replace(&mut setup.emitter, silent);
    let recorder = setup.recorder.take();
    let report = Convergence::new(setup).converge();
    (setup.settings, setup.emitter, setup.recorder) = (settings, emitter, recorder);
    report
}
