//! One try of one job: check, run, recheck.
//!
//! What follows on what is decided by one table, [`follow`], which is also what keeps a dry run dry. This file does not
//! know which job is next, nor whether there will be another try.

use std::backtrace::BacktraceStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::Value;

use super::journal::Shared;
use super::journal::record::Record;
use super::scheduler::TryEnd;
use crate::clock::Clock;
use crate::context::current::AtWork;
use crate::context::diary::Page;
use crate::context::{Context, Run};
use crate::event::{Event, Failure, FailureKind, Phase};
use crate::graph::SharedGraph;
use crate::job::JobKind;
use crate::job::erased::Erased;
use crate::job::reason::{CouldNotFindOut, NotAsWanted, could_not_find_out, is_permanent};
use crate::panics::{Caught, catch};
use crate::secret::Redactor;

/// What all tries of a run have in common.
pub(crate) struct Site {
    pub(crate) graph: SharedGraph,
    pub(crate) run: Arc<Run>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Numbers runs in the order of their starts.
    pub(crate) runs_begun: AtomicU64,
    /// Where runs are written down before they start.
    pub(crate) journal: Option<Arc<Shared>>,
    /// Whether that has to survive power loss, also for jobs that do not ask for it.
    pub(crate) durable: bool,
    /// Whether runs may have to be taken back.
    pub(crate) reverts: bool,
}

/// A try to be made.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) job: u32,
    pub(crate) attempt: u32,
    pub(crate) tries: u32,
    /// The time, by the engine's clock.
    pub(crate) now: Duration,
    /// The job's span, around those of its tries.
    pub(crate) span: tracing::Span,
}

/// A try that was made.
pub(crate) struct Done {
    pub(crate) job: u32,
    pub(crate) end: TryEnd,
    /// The time at which it ended, by the engine's clock.
    pub(crate) now: Duration,
    pub(crate) duration: Duration,
    /// What failed, in order; a check that made the job run among them.
    pub(crate) failures: Vec<Failure>,
    pub(crate) result: Option<Value>,
    /// Where the run was started: what its cleanup works on.
    pub(crate) begun: Option<Box<Begun>>,
    /// Whether it was told of a change of one of its dependencies.
    pub(crate) was_told: bool,
}

/// A run that was started, and has to be cleaned up after.
pub(crate) struct Begun {
    pub(crate) order: u64,
    pub(crate) attempt: u32,
    /// When the convergence began that it is from, where that was an earlier one.
    pub(crate) of: Option<Timestamp>,
    /// Its cleanup was called and failed, or could not be called.
    pub(crate) owed: bool,
    /// Its cleanup was called and succeeded.
    pub(crate) is_clean: bool,
    /// It has to be taken back when things are.
    pub(crate) is_revertible: bool,
    /// It should have been taken back, and was not.
    pub(crate) is_stuck: bool,
    pub(crate) body: Box<dyn Erased>,
    pub(crate) cx: Context,
}

/// How a phase went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// A check could not tell, or panicked.
    CouldNotFindOut,
    /// It failed when the run had been asked to stop.
    Stopped,
}

/// What follows on a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Phase(Phase),
    End(TryEnd),
}

/// The table of a try. `stopping`: the run was asked to stop, so that no further phase begins; the recheck of a run-only
/// job is none, since nothing is called for it.
pub(crate) fn follow(kind: JobKind, phase: Phase, verdict: Verdict, no_act: bool, stopping: bool) -> Follow {
    let next = match (phase, verdict) {
        (_, Verdict::Stopped) => return Follow::End(TryEnd::Stopped),
        (Phase::Check, Verdict::Passed) => return Follow::End(TryEnd::InPlace),
        (Phase::Check, Verdict::Failed) if no_act => return Follow::End(TryEnd::WouldRun),
        (Phase::Check, Verdict::CouldNotFindOut) if no_act => return Follow::End(TryEnd::CouldNotFindOut),
        (Phase::Check, Verdict::CouldNotFindOut) => return Follow::End(TryEnd::Failed),
        (Phase::Check, Verdict::Failed) => Phase::Run,
        // Its error is recorded, but does not decide.
        (Phase::Run, _) => Phase::Recheck,
        (Phase::Recheck, Verdict::Passed) => return Follow::End(TryEnd::Changed),
        (Phase::Recheck, _) => return Follow::End(TryEnd::Failed),
        (Phase::Cleanup | Phase::Revert, _) => unreachable!("{phase} is no phase of a try"),
    };
    let is_called = kind != JobKind::RunOnly || next != Phase::Recheck;
    if stopping && is_called { Follow::End(TryEnd::Stopped) } else { Follow::Phase(next) }
}

/// Makes a try.
pub(crate) fn attempt(site: &Site, task: &Task) -> Done {
    let job = site.graph.job(task.job);
    let emitter = &site.run.emitter;
    emitter.emit(|| Event::TryStarted { job: job.name.clone(), attempt: task.attempt, tries: task.tries });
    let span = tracing::info_span!(parent: &task.span, "try", number = task.attempt, of = task.tries);
    let _entered = span.enter();

    let mut attempt = Attempt {
        site,
        task,
        kind: job.kind(),
        cx: Context::new(&site.run, task.job, task.attempt, task.tries),
        body: None,
        begun: None,
        failures: Vec::new(),
        now: task.now,
    };
    let mut phase = Phase::Check;
    let end = loop {
        let verdict = attempt.phase(phase);
        match follow(attempt.kind, phase, verdict, site.run.no_act, site.run.cancel.is_asked()) {
            Follow::Phase(next) => phase = next,
            Follow::End(end) => break end,
        }
    };
    attempt.finish(end)
}

struct Attempt<'a> {
    site: &'a Site,
    task: &'a Task,
    kind: JobKind,
    cx: Context,
    /// The fresh clone; a job without anything to call gets none.
    body: Option<Box<dyn Erased>>,
    /// The number of the run, once it was started.
    begun: Option<u64>,
    failures: Vec<Failure>,
    now: Duration,
}

impl Attempt<'_> {
    fn finish(mut self, end: TryEnd) -> Done {
        let is_given_up = end == TryEnd::Failed && self.is_permanent();
        let end = if is_given_up { TryEnd::GivenUp } else { end };
        let converged = matches!(end, TryEnd::InPlace | TryEnd::Changed);
        let result = self.cx.result_so_far().filter(|_| converged).cloned();
        let was_told = self.cx.was_told();
        self.note_result();
        let (job, attempt) = (self.task.job, self.task.attempt);
        let duration = self.now.saturating_sub(self.task.now);
        let cx = self.cx;
        if self.begun.is_some() && self.body.is_none() {
            // It could not even be cloned: nothing was called that could be cleaned up after.
            let _ = cx.page().map(Page::settled);
        }
        if self.begun.is_none() {
            // To drop it is the user's code, too.
            let _ = catch(|| drop(self.body.take()));
        }
        let begun = self.begun.zip(self.body).map(|(order, body)| {
            let (owed, is_clean, is_revertible, is_stuck) = (false, false, self.site.reverts, false);
            let of = None;
            Box::new(Begun { order, attempt, of, owed, is_clean, is_revertible, is_stuck, body, cx })
        });
        Done { job, end, now: self.now, duration, failures: self.failures, result, begun, was_told }
    }

    /// Whether a phase has said that another try is pointless. Once something was run, what the check before it has said
    /// is of the past.
    fn is_permanent(&self) -> bool {
        let is_past = |failure: &Failure| failure.phase == Phase::Check && self.begun.is_some();
        self.failures.iter().any(|failure| failure.permanent && !is_past(failure))
    }

    /// Writes down before the run what is about to be run, so that a crash leaves no doubt.
    fn begin_run(&mut self) -> Result<()> {
        let n = self.site.runs_begun.fetch_add(1, Ordering::Relaxed);
        if let Some(journal) = &self.site.journal {
            let (job, attempt) = (self.site.graph.job(self.task.job), (self.task.attempt, self.task.tries));
            let (attempt, tries) = attempt;
            let local = self.cx.local().without_secrets();
            let record = Record::Intent { n, job: job.name.to_string(), attempt, tries, local };
            let page = journal.intend(record, n, self.site.durable || job.durable).with_context(|| {
                format!("failed to write down in {} what is about to be run", journal.path().display())
            })?;
            self.cx.open(page);
        }
        self.begun = Some(n);
        Ok(())
    }

    /// Whether what is written down has to survive power loss.
    fn is_durable(&self) -> bool {
        self.site.durable || self.site.graph.job(self.task.job).durable
    }

    /// A revert is handed what its run has set as result, also after a crash.
    fn note_result(&self) {
        let Some((n, journal)) = self.begun.zip(self.site.journal.as_ref()).filter(|_| self.site.reverts)
        else {
            return;
        };
        let redactor = self.site.run.emitter.redactor();
        let result = self.cx.result_so_far().filter(|value| !redactor.finds_in_value(value)).cloned();
        if let Some(result) = result
            && let Err(error) = journal.append(&Record::Tried { n, result }, self.is_durable())
        {
            tracing::warn!(job = self.cx.name(), "failed to write down a result: {error}");
        }
    }

    /// Makes one phase, tells of it, and says how it went.
    fn phase(&mut self, phase: Phase) -> Verdict {
        let emitter = &self.site.run.emitter;
        let attempt = self.task.attempt;
        emitter.emit(|| Event::PhaseStarted { job: self.cx.job().clone(), phase, attempt });
        let written = if phase == Phase::Run { self.begin_run() } else { Ok(()) };
        let (verdict, failure) = match (self.kind, phase) {
            _ if written.is_err() => {
                let redactor = self.site.run.emitter.redactor();
                (Verdict::Failed, failure(Ok(written), phase, attempt, false, redactor))
            }
            (JobKind::Dummy, _) => (Verdict::Passed, None),
            (JobKind::RunOnly, Phase::Check) => (Verdict::Failed, None),
            (JobKind::RunOnly, Phase::Recheck) => self.result_of_run(),
            (JobKind::Job | JobKind::RunOnly, _) => self.call(phase),
        };
        let started = std::mem::replace(&mut self.now, self.site.clock.now());
        let is_permanent = self.is_permanent() || failure.as_ref().is_some_and(|failure| failure.permanent);
        let is_final = self.is_final(phase, verdict, is_permanent);
        emitter.emit(|| Event::PhaseEnded {
            job: self.cx.job().clone(),
            phase,
            attempt,
            passed: verdict == Verdict::Passed,
            is_final,
            failure: failure.clone().map(Box::new),
            duration: self.now.saturating_sub(started),
        });
        self.failures.extend(failure);
        verdict
    }

    /// A run-only job's recheck: no failure is made of it twice for the report, but the event tells it again.
    fn result_of_run(&mut self) -> (Verdict, Option<Failure>) {
        match self.failures.pop() {
            Some(failure) => (Verdict::Failed, Some(Failure { phase: Phase::Recheck, ..failure })),
            None => (Verdict::Passed, None),
        }
    }

    /// Whether a failure of this phase stands, because no other run of this job comes after it.
    fn is_final(&self, phase: Phase, verdict: Verdict, is_permanent: bool) -> bool {
        let last = is_permanent || self.task.attempt == self.task.tries;
        match (phase, verdict) {
            (_, Verdict::Stopped) => true,
            (Phase::Check | Phase::Recheck, Verdict::Passed) => true,
            (Phase::Check, Verdict::Failed) => self.site.run.no_act,
            (Phase::Run, _) => last && self.kind == JobKind::Job,
            (Phase::Check | Phase::Recheck | Phase::Cleanup | Phase::Revert, _) => last,
        }
    }

    /// Calls the user's code.
    fn call(&mut self, phase: Phase) -> (Verdict, Option<Failure>) {
        let span = tracing::info_span!("phase", phase = phase.as_str());
        let _entered = span.enter();
        let directory = &self.site.run.directory;
        let returned = match directory.before_phase() {
            Ok(()) => call_job(&mut self.body, self.site, &mut self.cx, phase),
            Err(error) => Ok(Err(misplaced(error, phase))),
        };
        // What the phase itself has to say comes first.
        let returned = match (returned, directory.after_phase()) {
            (Ok(Ok(())), Err(error)) => Ok(Err(misplaced(error, phase))),
            (returned, _) => returned,
        };
        let stopping = self.site.run.cancel.is_asked();
        let redactor = self.site.run.emitter.redactor();
        let failure = failure(returned, phase, self.task.attempt, stopping, redactor);
        let verdict = match &failure {
            None => Verdict::Passed,
            Some(failure) => match (failure.kind, phase) {
                (FailureKind::Stopped, _) => Verdict::Stopped,
                (FailureKind::CouldNotFindOut | FailureKind::Panic, Phase::Check) => Verdict::CouldNotFindOut,
                (FailureKind::Error | FailureKind::CouldNotFindOut | FailureKind::Panic, _) => {
                    Verdict::Failed
                }
            },
        };
        (verdict, failure)
    }
}

/// A check in the wrong directory has found nothing out, so that nobody acts on it.
fn misplaced(error: anyhow::Error, phase: Phase) -> anyhow::Error {
    match phase {
        Phase::Check | Phase::Recheck => {
            CouldNotFindOut::new("anything in the right directory").because(error).into()
        }
        Phase::Run | Phase::Cleanup | Phase::Revert => error,
    }
}

/// Calls a phase of a fresh clone; the clone itself is the user's code, too.
fn call_job(
    body: &mut Option<Box<dyn Erased>>,
    site: &Site,
    cx: &mut Context,
    phase: Phase,
) -> Result<Result<()>, Caught> {
    let id = cx.id();
    catch(|| {
        let body = body.get_or_insert_with(|| site.graph.job(id).body.clone_box());
        call_phase(body.as_mut(), cx, phase)
    })
}

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
                diff: error.downcast_ref::<NotAsWanted>().and_then(NotAsWanted::get_diff).map(mask),
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
    for line in backtrace.lines().take_while(|line| !line.contains("dojob::engine::attempt::call_phase")) {
        frames.push_str(line);
        frames.push('\n');
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERDICTS: [Verdict; 4] =
        [Verdict::Passed, Verdict::Failed, Verdict::CouldNotFindOut, Verdict::Stopped];

    #[test]
    fn a_dry_run_never_runs() {
        for verdict in VERDICTS {
            assert!(matches!(follow(JobKind::Job, Phase::Check, verdict, true, false), Follow::End(_)));
        }
    }

    #[test]
    fn only_a_failed_check_leads_to_a_run() {
        for verdict in VERDICTS {
            let runs = follow(JobKind::Job, Phase::Check, verdict, false, false) == Follow::Phase(Phase::Run);
            assert_eq!(runs, verdict == Verdict::Failed);
        }
    }

    #[test]
    fn only_a_passing_check_or_recheck_converges() {
        for phase in [Phase::Check, Phase::Run, Phase::Recheck] {
            for verdict in VERDICTS {
                let converges = matches!(
                    follow(JobKind::Job, phase, verdict, false, false),
                    Follow::End(TryEnd::InPlace | TryEnd::Changed)
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
                let next = follow(JobKind::Job, phase, verdict, false, true);
                assert!(matches!(next, Follow::End(_)));
            }
        }
    }

    #[test]
    fn a_run_only_job_that_has_succeeded_is_no_victim_of_a_stop() {
        let next = |phase, verdict| follow(JobKind::RunOnly, phase, verdict, false, true);
        assert_eq!(next(Phase::Check, Verdict::Failed), Follow::End(TryEnd::Stopped));
        assert_eq!(next(Phase::Run, Verdict::Passed), Follow::Phase(Phase::Recheck));
        assert_eq!(next(Phase::Recheck, Verdict::Passed), Follow::End(TryEnd::Changed));
        assert_eq!(next(Phase::Run, Verdict::Stopped), Follow::End(TryEnd::Stopped));
    }
}
