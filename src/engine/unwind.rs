//! Taking back and cleaning up: last in, first out.
//!
//! Knows the runs that were started; not why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Begun, call_phase, failure};
use super::policy::{Started, undo_order};
use crate::clock::Clock;
use crate::context::diary::Page;
use crate::event::{Event, Failure, Phase};
use crate::panics::catch;
use crate::report::{CleanupReport, RevertEnding, RevertReport};

/// How a call went.
struct Called {
    failure: Option<Box<Failure>>,
    /// There was nothing to call but the trait's own, empty phase.
    is_absent: bool,
    duration: Duration,
}

/// Calls a phase of a run that was started, and `settle`s it in the journal when that has succeeded.
fn call(
    begun: &mut Begun,
    phase: Phase,
    clock: &dyn Clock,
    settle: impl FnOnce(&Begun) -> std::io::Result<()>,
) -> Called {
    let started = clock.now();
    let run = begun.cx.run_of().clone();
    // Nobody else is at work any more, so that going back moves no one.
    let mut returned = match run.directory.restore() {
        Ok(()) => catch(|| call_phase(begun.body.as_mut(), &mut begun.cx, phase)),
        Err(error) => Ok(Err(error)),
    };
    if let Ok(Ok(())) = returned
        && let Err(error) = settle(begun)
    {
        let error = anyhow::Error::new(error);
        returned =
            Ok(Err(error.context(format!("the {phase} has succeeded, but that could not be written down"))));
    }
    let stopping = run.cancel_cleanup.is_asked();
    let failure = failure(returned, phase, begun.attempt, stopping, run.emitter.redactor()).map(Box::new);
    let is_absent = failure.is_none() && begun.cx.is_absent();
    Called { failure, is_absent, duration: clock.now().saturating_sub(started) }
}

/// Calls the cleanups of these runs, the last run first. One that fails does not stop the others, and stays among
/// them as owed; as do those that still have to be taken back, for which their cleanup may be too early.
pub(crate) fn clean_up(declined_and_owed: &mut Vec<Begun>, clock: &dyn Clock) -> Vec<CleanupReport> {
    let mut begun = std::mem::take(declined_and_owed);
    begun.sort_by_key(|begun| begun.order);
    let mut reports = Vec::new();
    let mut owed = Vec::new();
    while let Some(mut begun) = begun.pop() {
        if begun.is_clean {
            let _ = catch(|| drop(begun));
            continue;
        }
        if begun.is_stuck {
            begun.owed = true;
            owed.push(begun);
            continue;
        }
        let settle = |begun: &Begun| begun.cx.page().map_or(Ok(()), Page::settled);
        let Called { failure, is_absent, duration } = call(&mut begun, Phase::Cleanup, clock, settle);
        if is_absent {
            // The trait's own, empty cleanup: nothing happened that anybody would want to hear of.
            let _ = catch(|| drop(begun));
            continue;
        }
        let (job, attempt, of) = (begun.cx.job().clone(), begun.attempt, begun.of);
        begun.cx.run_of().emitter.emit(|| Event::CleanupEnded {
            job: job.clone(),
            attempt,
            of,
            passed: failure.is_none(),
            failure: failure.clone(),
            duration,
        });
        if failure.is_some() {
            begun.owed = true;
            owed.push(begun);
        } else {
            // To drop it is the user's code, too.
            let _ = catch(|| drop(begun));
        }
        reports.push(CleanupReport { job, attempt, of, failure, duration });
    }
    owed.reverse();
    *declined_and_owed = owed;
    reports
}

/// Takes these runs back, as far as they were not before. The first one that fails is the last: it and those that have
/// not had their turn are stuck.
pub(crate) fn revert(
    runs: &mut [Begun],
    failures: &Arc<BTreeMap<String, Failure>>,
    clock: &dyn Clock,
) -> Vec<RevertReport> {
    let started: Vec<Started> = runs
        .iter()
        .map(|begun| Started { order: begun.order, has_failed: failures.contains_key(&**begun.cx.job()) })
        .collect();
    let mut reports = Vec::new();
    let mut stuck: Option<String> = None;
    for place in undo_order(&started) {
        let begun = &mut runs[place];
        if !begun.is_revertible {
            continue;
        }
        let (job, attempt, of) = (begun.cx.job().clone(), begun.attempt, begun.of);
        if let Some(reason) = &stuck {
            begun.is_stuck = true;
            begun.cx.run_of().emitter.emit(|| Event::DebtKept {
                job: job.clone(),
                attempt,
                of,
                phase: Phase::Revert,
                reason: reason.clone(),
            });
            let (ending, duration) = (RevertEnding::NotReached, Duration::ZERO);
            reports.push(RevertReport { job, attempt, of, ending, duration });
            continue;
        }
        begun.cx.set_failures(failures);
        let settle = |begun: &Begun| begun.cx.page().map_or(Ok(()), Page::undone);
        let Called { failure, is_absent, duration } = call(begun, Phase::Revert, clock, settle);
        begun.is_revertible = failure.is_some();
        begun.is_stuck = failure.is_some();
        stuck = failure.is_some().then(|| format!("the revert of {job} failed before it"));
        begun.cx.run_of().emitter.emit(|| Event::RevertEnded {
            job: job.clone(),
            attempt,
            of,
            exists: !is_absent,
            passed: failure.is_none(),
            failure: failure.clone(),
            duration,
        });
        let ending = match failure {
            Some(failure) => RevertEnding::Failed(failure),
            None if is_absent => RevertEnding::NoRevert,
            None => RevertEnding::Reverted,
        };
        reports.push(RevertReport { job, attempt, of, ending, duration });
    }
    reports
}
