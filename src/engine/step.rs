//! What follows on a phase within a try: one table, which is also what keeps a dry run dry.
//!
//! Pure.

use super::scheduler::TryEnd;
use crate::event::Phase;
use crate::job::JobKind;

/// How a phase went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// A check could not tell, or panicked.
    CouldNotFindOut,
    /// A check failed of a job that may not run, since the plan that is applied does not have it.
    NotPlanned,
    /// It failed when the run had been asked to stop.
    Stopped,
}

/// What follows on a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    Phase(Phase),
    End(TryEnd),
}

/// The table of a try. `stopping`: the run was asked to stop, so that no further phase begins; the recheck of a run-only
/// job is none, since nothing is called for it.
pub(crate) fn next_step(
    kind: JobKind,
    phase: Phase,
    verdict: Verdict,
    no_act: bool,
    stopping: bool,
) -> NextStep {
    let next = match (phase, verdict) {
        (_, Verdict::Stopped) => return NextStep::End(TryEnd::Stopped),
        (Phase::Check, Verdict::Passed) => return NextStep::End(TryEnd::InPlace),
        (Phase::Check, Verdict::Failed) if no_act => return NextStep::End(TryEnd::WouldRun),
        (Phase::Check, Verdict::CouldNotFindOut) if no_act => return NextStep::End(TryEnd::CouldNotFindOut),
        (Phase::Check, Verdict::CouldNotFindOut) => return NextStep::End(TryEnd::Failed),
        (Phase::Check, Verdict::NotPlanned) => return NextStep::End(TryEnd::GivenUp),
        (Phase::Check, Verdict::Failed) => Phase::Run,
        // Its error is recorded, but does not decide.
        (Phase::Run, _) => Phase::Recheck,
        (Phase::Recheck, Verdict::Passed) => return NextStep::End(TryEnd::Changed),
        (Phase::Recheck, _) => return NextStep::End(TryEnd::Failed),
        (Phase::Cleanup | Phase::Revert, _) => unreachable!("{phase} is no phase of a try"),
    };
    let is_called = kind != JobKind::RunOnly || next != Phase::Recheck;
    if stopping && is_called { NextStep::End(TryEnd::Stopped) } else { NextStep::Phase(next) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERDICTS: [Verdict; 5] =
        [Verdict::Passed, Verdict::Failed, Verdict::CouldNotFindOut, Verdict::NotPlanned, Verdict::Stopped];

    #[test]
    fn a_dry_run_never_runs() {
        for verdict in VERDICTS {
            assert!(matches!(next_step(JobKind::Job, Phase::Check, verdict, true, false), NextStep::End(_)));
        }
    }

    #[test]
    fn only_a_failed_check_leads_to_a_run() {
        for verdict in VERDICTS {
            let runs =
                next_step(JobKind::Job, Phase::Check, verdict, false, false) == NextStep::Phase(Phase::Run);
            assert_eq!(runs, verdict == Verdict::Failed);
        }
    }

    #[test]
    fn only_a_passing_check_or_recheck_converges() {
        for phase in [Phase::Check, Phase::Run, Phase::Recheck] {
            for verdict in VERDICTS {
                let converges = matches!(
                    next_step(JobKind::Job, phase, verdict, false, false),
                    NextStep::End(TryEnd::InPlace | TryEnd::Changed)
                );
                assert_eq!(
                    converges,
                    phase != Phase::Run && verdict == Verdict::Passed,
                    "{phase} {verdict:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_begins_after_a_stop() {
        for phase in [Phase::Check, Phase::Run, Phase::Recheck] {
            for verdict in VERDICTS {
                let next = next_step(JobKind::Job, phase, verdict, false, true);
                assert!(matches!(next, NextStep::End(_)));
            }
        }
    }

    #[test]
    fn a_run_only_job_that_has_succeeded_is_no_victim_of_a_stop() {
        let next = |phase, verdict| next_step(JobKind::RunOnly, phase, verdict, false, true);
        assert_eq!(next(Phase::Check, Verdict::Failed), NextStep::End(TryEnd::Stopped));
        assert_eq!(next(Phase::Run, Verdict::Passed), NextStep::Phase(Phase::Recheck));
        assert_eq!(next(Phase::Recheck, Verdict::Passed), NextStep::End(TryEnd::Changed));
        assert_eq!(next(Phase::Run, Verdict::Stopped), NextStep::End(TryEnd::Stopped));
    }
}
