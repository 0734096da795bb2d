//! Cleanups: last in, first out.
//!
//! Knows the runs that were started; not why.

use std::time::Duration;

use super::attempt::{Begun, call_phase, failure};
use crate::clock::Clock;
use crate::event::{Event, Phase};
use crate::panics::catch;
use crate::report::CleanupReport;

/// Calls the cleanups of these runs, the last run first. One that fails does not stop the others, and stays among
/// them as owed.
pub(crate) fn clean_up(declined_and_owed: &mut Vec<Begun>, clock: &dyn Clock) -> Vec<CleanupReport> {
    let mut begun = std::mem::take(declined_and_owed);
    begun.sort_by_key(|begun| begun.order);
    let mut reports = Vec::new();
    let mut owed = Vec::new();
    while let Some(mut begun) = begun.pop() {
        let started = clock.now();
        let run = begun.cx.run_of().clone();
        // Nobody else is at work any more, so that going back moves no one.
        let returned = match run.directory.restore() {
            Ok(()) => catch(|| call_phase(begun.body.as_mut(), &mut begun.cx, Phase::Cleanup)),
            Err(error) => Ok(Err(error)),
        };
        let stopping = run.cancel_cleanup.is_asked();
        let failure =
            failure(returned, Phase::Cleanup, begun.attempt, stopping, run.emitter.redactor()).map(Box::new);
        if failure.is_none() && begun.cx.is_absent() {
            // The trait's own, empty cleanup: nothing happened that anybody would want to hear of.
            continue;
        }
        let duration: Duration = clock.now().saturating_sub(started);
        let job = begun.cx.job().clone();
        run.emitter.emit(|| Event::CleanupEnded {
            job: job.clone(),
            attempt: begun.attempt,
            passed: failure.is_none(),
            failure: failure.clone(),
            duration,
        });
        let attempt = begun.attempt;
        if failure.is_some() {
            begun.owed = true;
            owed.push(begun);
        } else {
            // To drop it is the user's code, too.
            let _ = catch(|| drop(begun));
        }
        reports.push(CleanupReport { job, attempt, failure, duration });
    }
    owed.reverse();
    *declined_and_owed = owed;
    reports
}
