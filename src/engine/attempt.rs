//! One try of one job: check, run, recheck.
//!
//! What follows on what is decided by one table, [`next_step`]. This file does not know which job is next, nor whether
//! there will be another try.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

use super::log::record::Record;
use super::obligation::Obligation;
use super::phase_call::{call_phase, failure};
use super::run_context::RunContext;
use super::scheduler::TryEnd;
use super::started_run::StartedRun;
use super::step::{NextStep, Verdict, next_step};
use crate::clock::Clock;
use crate::context::Context;
use crate::context::group_attempt::GroupAttempt;
use crate::context::recorder::RunRecord;
use crate::event::{Event, Failure, FailureKind, Phase};
use crate::job::Erased;
use crate::job::JobKind;
use crate::job::condition::Condition;
use crate::job::reason::CouldNotFindOut;
use crate::panics::{Caught, catch};

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
    /// The attempt of its innermost group that has attempts.
    pub(crate) group_attempt: Option<Arc<GroupAttempt>>,
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
    pub(crate) started_run: Option<Box<StartedRun>>,
    /// Whether it was told of a change of one of its dependencies.
    pub(crate) was_told: bool,
}

/// Makes a try.
pub(crate) fn attempt(context: &RunContext, task: &Task) -> Done {
    let job = context.graph.job(task.job);
    let emitter = &context.run.emitter;
    let span = tracing::info_span!(parent: &task.span, "try", number = task.attempt, of = task.tries);
    let _entered = span.enter();

    let mut attempt = Attempt {
        context,
        task,
        kind: job.kind(),
        cx: Context::new(&context.run, task.job, task.attempt, task.tries),
        body: None,
        begun: None,
        failures: Vec::new(),
        now: task.now,
    };
    attempt.cx.set_group_attempt(task.group_attempt.clone());
    let is_skipped = attempt.unless_skipped();
    if let Some(end @ TryEnd::Skipped(_)) = is_skipped {
        return attempt.finish(end);
    }
    emitter.emit(|| Event::TryStarted { job: job.name.clone(), attempt: task.attempt, tries: task.tries });
    if let Some(end) = is_skipped {
        attempt.tell_of_condition();
        return attempt.finish(end);
    }
    let mut phase = Phase::Check;
    let end = loop {
        let verdict = attempt.phase(phase);
        match next_step(attempt.kind, phase, verdict, context.run.no_act, context.run.is_stopping()) {
            NextStep::Phase(next) => phase = next,
            NextStep::End(end) => break end,
        }
    };
    attempt.finish(end)
}

/// Why a job fails that a plan saw in place, and that would run while it is applied.
const NOT_PLANNED: &str = "it was in place or skipped when the plan was made, and is not to run";

struct Attempt<'a> {
    context: &'a RunContext,
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
    /// Asks the job's condition, before its first try.
    fn unless_skipped(&mut self) -> Option<TryEnd> {
        let condition = self.context.graph.about(self.task.job)?.condition.as_ref()?;
        if self.task.attempt > 1 || self.context.graph.about(self.task.job)?.group.is_some() {
            return None;
        }
        let failed = match ask(condition, &self.cx, self.context) {
            Ok(true) => return None,
            Ok(false) => return Some(TryEnd::Skipped(condition.depth)),
            Err(failure) => failure,
        };
        self.failures.push(*failed);
        Some(if self.context.run.no_act { TryEnd::CouldNotFindOut } else { TryEnd::GivenUp })
    }

    /// The condition could not tell: that is told as a check that failed.
    fn tell_of_condition(&self) {
        let (emitter, job) = (&self.context.run.emitter, self.cx.job());
        emitter.emit(|| Event::PhaseStarted { job: job.clone(), phase: Phase::Check, attempt: 1 });
        emitter.emit(|| Event::PhaseEnded {
            job: job.clone(),
            phase: Phase::Check,
            attempt: 1,
            passed: false,
            is_final: true,
            failure: self.failures.last().cloned().map(Box::new),
            duration: Duration::ZERO,
        });
    }

    fn finish(mut self, end: TryEnd) -> Done {
        let is_given_up = end == TryEnd::Failed && self.is_permanent();
        let end = if is_given_up { TryEnd::GivenUp } else { end };
        let converged = matches!(end, TryEnd::InPlace | TryEnd::Changed);
        let result = self.cx.result_so_far().filter(|_| converged).cloned();
        if converged {
            self.hand_on_values();
        }
        let was_told = self.cx.was_told();
        self.note_result();
        let (job, attempt) = (self.task.job, self.task.attempt);
        let duration = self.now.saturating_sub(self.task.now);
        let cx = self.cx;
        if self.begun.is_some() && self.body.is_none() {
            // It could not even be cloned: nothing was called that could be cleaned up after.
            let _ = cx.page().map(RunRecord::settled);
        }
        if self.begun.is_none() {
            // To drop it is the user's code, too.
            let _ = catch(|| drop(self.body.take()));
        }
        let started_run = self.begun.zip(self.body).map(|(order, body)| {
            let obligation = Obligation::of_a_start(self.context.may_revert(self.task.job));
            Box::new(StartedRun { order, attempt, of: None, obligation, body, cx })
        });
        Done { job, end, now: self.now, duration, failures: self.failures, result, started_run, was_told }
    }

    /// Whether a phase has said that another try is pointless. Once something was run, what the check before it has said
    /// is of the past.
    fn is_permanent(&self) -> bool {
        let is_past = |failure: &Failure| failure.phase == Phase::Check && self.begun.is_some();
        self.failures.iter().any(|failure| failure.permanent && !is_past(failure))
    }

    /// Writes down before the run what is about to be run, so that a crash leaves no doubt.
    fn begin_run(&mut self) -> Result<()> {
        let n = self.context.runs_begun.fetch_add(1, Ordering::Relaxed);
        if let Some(journal) = &self.context.journal {
            let (job, attempt) =
                (self.context.graph.job(self.task.job), (self.task.attempt, self.task.tries));
            let (attempt, tries) = attempt;
            let local = self.cx.local().without_secrets();
            let record = Record::Intent {
                n,
                job: job.name.to_string(),
                attempt,
                tries,
                local,
                groups: self.context.graph.groups().reverting(self.task.job),
            };
            let page = journal.intend(record, n, self.context.settings.durable || job.durable).with_context(
                || format!("failed to write down in {} what is about to be run", journal.location()),
            )?;
            self.cx.open(page);
        }
        self.begun = Some(n);
        Ok(())
    }

    /// What it provides is there for others from now on, and for the next start.
    fn hand_on_values(&mut self) {
        let provided = self.cx.provided();
        if provided.is_empty() {
            return;
        }
        let named = provided.iter().map(|(name, value)| (name.clone(), value.clone()));
        self.context.run.values().extend(named);
        let Some(journal) = self.context.journal.as_ref().filter(|_| !self.context.run.no_act) else {
            return;
        };
        let redactor = self.context.run.emitter.redactor();
        let open = provided.iter().filter(|(_, value)| !redactor.finds_in_value(value));
        let values: Map<String, Value> = open.map(|(name, value)| (name.clone(), value.clone())).collect();
        let job = self.cx.name();
        if journal.with_ledger(|ledger| ledger.provided(job) == Some(&values)) {
            return;
        }
        let record = Record::Provided { job: job.to_owned(), values };
        if let Err(error) = journal.append(&record, self.is_durable()) {
            tracing::warn!(job, "failed to write down what it provides: {error}");
        }
    }

    /// What it says it provides and is known neither from this try nor, in a check, from the journal.
    fn missing_value(&mut self, phase: Phase) -> Option<Arc<str>> {
        let provides = &self.context.graph.about(self.task.job)?.provides;
        if phase == Phase::Check
            && let Some(journal) = &self.context.journal
            && let Some(known) = journal
                .with_ledger(|ledger| ledger.provided(&self.context.graph.job(self.task.job).name).cloned())
        {
            for name in provides {
                let known = known.get(&**name).filter(|_| !self.cx.provided().contains_key(&**name)).cloned();
                self.cx.provided_mut().extend(known.map(|value| (name.to_string(), value)));
            }
        }
        provides.iter().find(|name| !self.cx.provided().contains_key(&***name)).cloned()
    }

    /// A job is not as wanted while nobody knows what it provides.
    fn with_values(
        &mut self,
        phase: Phase,
        (verdict, failure): (Verdict, Option<Failure>),
    ) -> (Verdict, Option<Failure>) {
        let decides = matches!(phase, Phase::Check | Phase::Recheck) && verdict == Verdict::Passed;
        let Some(missing) = decides.then(|| self.missing_value(phase)).flatten() else {
            return (verdict, failure);
        };
        let reason = match phase {
            Phase::Check => format!("it is in place, but `{missing}`, which it provides, is not known"),
            _ => format!("it has not provided `{missing}`"),
        };
        let failure = Failure::new(phase, self.task.attempt, FailureKind::Error, reason);
        (Verdict::Failed, Some(failure))
    }

    /// Whether what is written down has to survive power loss.
    fn is_durable(&self) -> bool {
        self.context.settings.durable || self.context.graph.job(self.task.job).durable
    }

    /// A revert is handed what its run has set as result, also after a crash.
    fn note_result(&self) {
        let Some((n, journal)) =
            self.begun.zip(self.context.journal.as_ref()).filter(|_| self.context.may_revert(self.task.job))
        else {
            return;
        };
        let redactor = self.context.run.emitter.redactor();
        let result = self.cx.result_so_far().filter(|value| !redactor.finds_in_value(value)).cloned();
        if let Some(result) = result
            && let Err(error) = journal.append(&Record::Tried { n, result }, self.is_durable())
        {
            tracing::warn!(job = self.cx.name(), "failed to write down a result: {error}");
        }
    }

    /// Makes one phase, tells of it, and says how it went.
    fn phase(&mut self, phase: Phase) -> Verdict {
        let emitter = &self.context.run.emitter;
        let attempt = self.task.attempt;
        emitter.emit(|| Event::PhaseStarted { job: self.cx.job().clone(), phase, attempt });
        let written = if phase == Phase::Run { self.begin_run() } else { Ok(()) };
        let ended = match (self.kind, phase) {
            _ if written.is_err() => {
                let redactor = self.context.run.emitter.redactor();
                (Verdict::Failed, failure(Ok(written), phase, attempt, false, redactor))
            }
            (JobKind::Dummy, _) => (Verdict::Passed, None),
            (JobKind::RunOnly, Phase::Check) => (Verdict::Failed, None),
            (JobKind::RunOnly, Phase::Recheck) => self.result_of_run(),
            (JobKind::Job | JobKind::RunOnly, _) => self.call(phase),
        };
        let (verdict, failure) = self.with_values(phase, ended);
        let (verdict, failure) = self.approved(phase, verdict, failure);
        let started = std::mem::replace(&mut self.now, self.context.clock.now());
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

    /// While a plan is applied: a job that it saw in place does not run.
    fn approved(
        &self,
        phase: Phase,
        verdict: Verdict,
        failure: Option<Failure>,
    ) -> (Verdict, Option<Failure>) {
        let may_run = self.context.approval.as_ref().is_none_or(|approval| approval.covers(self.task.job));
        if may_run || phase != Phase::Check || verdict != Verdict::Failed {
            return (verdict, failure);
        }
        let because = |failure: &Failure| format!("{NOT_PLANNED}: {}", failure.reason);
        let reason = failure.as_ref().map_or_else(|| NOT_PLANNED.to_owned(), because);
        let attempt = self.task.attempt;
        let failure =
            failure.unwrap_or_else(|| Failure::new(phase, attempt, FailureKind::Error, String::new()));
        (Verdict::NotPlanned, Some(Failure { reason, permanent: true, ..failure }))
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
            (Phase::Check, Verdict::Failed) => self.context.run.no_act,
            (Phase::Run, _) => last && self.kind == JobKind::Job,
            (Phase::Check | Phase::Recheck | Phase::Cleanup | Phase::Revert, _) => last,
        }
    }

    /// Calls the user's code.
    fn call(&mut self, phase: Phase) -> (Verdict, Option<Failure>) {
        let span = tracing::info_span!("phase", phase = phase.as_str());
        let _entered = span.enter();
        let directory = &self.context.run.directory;
        let returned = match directory.before_phase() {
            Ok(()) => call_job(&mut self.body, self.context, &mut self.cx, phase),
            Err(error) => Ok(Err(misplaced(error, phase))),
        };
        // What the phase itself has to say comes first.
        let returned = match (returned, directory.after_phase()) {
            (Ok(Ok(())), Err(error)) => Ok(Err(misplaced(error, phase))),
            (returned, _) => returned,
        };
        let stopping = self.context.run.is_stopping();
        let redactor = self.context.run.emitter.redactor();
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

/// Whether a condition holds; where it cannot tell, that is a failure.
pub(super) fn ask(condition: &Condition, cx: &Context, context: &RunContext) -> Result<bool, Box<Failure>> {
    let returned = match catch(|| (condition.holds)(cx)) {
        Ok(Ok(holds)) => return Ok(holds),
        Ok(Err(error)) => Ok(Err(error.context("its condition cannot tell whether it is to be done"))),
        Err(caught) => Err(caught),
    };
    let redactor = context.run.emitter.redactor();
    match failure(returned, Phase::Check, 1, context.run.is_stopping(), redactor) {
        Some(failure) => Err(Box::new(failure)),
        None => Ok(true),
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
    context: &RunContext,
    cx: &mut Context,
    phase: Phase,
) -> Result<Result<()>, Caught> {
    let id = cx.id();
    catch(|| {
        let body = body.get_or_insert_with(|| context.graph.job(id).body.clone_box());
        call_phase(body.as_mut(), cx, phase)
    })
}
