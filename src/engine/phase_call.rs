//! Calls a phase of a job, and turns the error or panic it ends with into a [`Failure`].

use std::backtrace::BacktraceStatus;

use anyhow::Result;

use crate::context::Context;
use crate::context::current::AtWork;
use crate::event::{Failure, FailureKind, Phase};
use crate::job::Erased;
use crate::job::reason::{NotAsWanted, could_not_find_out, is_permanent};
use crate::panics::Caught;
use crate::secret::Redactor;

/// Calls a phase, with this thread at work for the job meanwhile.
pub(crate) fn call_phase(body: &mut dyn Erased, cx: &mut Context, phase: Phase) -> Result<()> {
    cx.enter(phase);
    let _at_work = cx.is_observed().then(|| AtWork::start(&cx.run_of().emitter, cx.job(), phase));
    match phase {
        Phase::Check | Phase::Recheck => body.check(cx),
        Phase::Run => body.run(cx),
        Phase::Cleanup => body.cleanup(cx),
        Phase::Revert => body.revert(cx),
    }
}

/// What went wrong in a phase, for those who have to mend it.
pub(crate) fn failure(
    returned: Result<Result<()>, Caught>,
    phase: Phase,
    attempt: u32,
    stopping: bool,
    redactor: &Redactor,
) -> Option<Failure> {
    let mask = |text: &str| redactor.mask(text).into_owned();
    let failure = match returned {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => {
            let kind = kind_of(&error, phase, stopping);
            Failure {
                phase,
                attempt,
                kind,
                reason: mask(&on_one_line(&error)),
                permanent: is_permanent(&error),
                causes: error.chain().skip(1).map(|cause| mask(&cause.to_string())).collect(),
                location: None,
                // A check that finds the world different has found no mistake; and a backtrace takes milliseconds.
                backtrace: match (phase, kind) {
                    (Phase::Check | Phase::Recheck, FailureKind::Error) => None,
                    _ => Some(error.backtrace())
                        .filter(|backtrace| backtrace.status() == BacktraceStatus::Captured)
                        .map(|backtrace| of_the_job(&backtrace.to_string())),
                },
                diff: error.downcast_ref::<NotAsWanted>().and_then(NotAsWanted::difference_found).map(mask),
            }
        }
        Err(caught) => Failure {
            phase,
            attempt,
            kind: FailureKind::Panic,
            reason: format!("panicked: {}", mask(&caught.message)),
            permanent: false,
            causes: Vec::new(),
            location: caught.location,
            backtrace: caught.backtrace.as_deref().map(of_the_job),
            diff: None,
        },
    };
    Some(failure)
}

/// The error and what caused it. A cause that the text before has already is passed over, and so is one of several
/// lines (the last lines of a command, say), with all behind it.
fn on_one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string).take_while(|cause| !cause.contains('\n')) {
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

fn kind_of(error: &anyhow::Error, phase: Phase, stopping: bool) -> FailureKind {
    if stopping {
        FailureKind::Stopped
    } else if matches!(phase, Phase::Check | Phase::Recheck) && could_not_find_out(error) {
        FailureKind::CouldNotFindOut
    } else {
        FailureKind::Error
    }
}

/// The frames of a backtrace from where it was taken to where the engine called the job.
fn of_the_job(backtrace: &str) -> String {
    let mut frames = String::new();
    for line in backtrace.lines().take_while(|line| !line.contains("dojob::engine::phase_call::call_phase")) {
        frames.push_str(line);
        frames.push('\n');
    }
    frames
}
