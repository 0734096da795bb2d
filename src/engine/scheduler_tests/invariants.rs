//! What holds of every run, each under its name.
//!
//! The steps of a run are gone through once: before a step counts, it is held against what [`Seen`] knows from those
//! before it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::case::{Case, converged, outcome};
use super::drive::Step;
use crate::engine::scheduler::{Next, TryEnd};
use crate::event::Outcome;

type OfStep = fn(&Seen<'_>, Step) -> Result<()>;
type OfRest = fn(&Seen<'_>) -> Result<()>;

static OF_STEPS: [(&str, OfStep); 9] = [
    ("no more tries than allowed", no_more_tries_than_allowed),
    ("nothing starts before its dependencies converged", nothing_starts_before_its_dependencies_converged),
    ("a retry waits for its delay", a_retry_waits_for_its_delay),
    ("nobody waits while a job is due", nobody_waits_while_a_job_is_due),
    ("converged only after a passing check or recheck", converged_only_after_a_passing_check_or_recheck),
    ("blocked only where a dependency failed", blocked_only_where_a_dependency_failed),
    ("between two tries every other due job had its turn", every_other_due_job_had_its_turn),
    ("nobody is passed over for long", nobody_is_passed_over_for_long),
    ("after a stop nothing starts", after_a_stop_nothing_starts),
];

static OF_REST: [(&str, OfRest); 3] = [
    ("every job is settled", every_job_is_settled),
    ("the outcomes follow from the scripts alone", the_outcomes_follow_from_the_scripts_alone),
    ("a stop leaves nothing undecided", a_stop_leaves_nothing_undecided),
];

/// Holds all invariants against the steps of a run.
///
/// # Errors
/// The first that is broken, by its name.
pub(super) fn hold(case: &Case, steps: &[Step]) -> Result<()> {
    let mut seen = Seen::new(case);
    for &step in steps {
        for (name, holds) in &OF_STEPS {
            holds(&seen, step).context(*name)?;
        }
        seen.add(step);
    }
    OF_REST.iter().try_for_each(|(name, holds)| holds(&seen).context(*name))
}

/// What is known of one job.
#[derive(Clone, Copy, Debug, Default)]
struct Job {
    attempts: u32,
    started: Duration,
    at_work: bool,
    end: Option<TryEnd>,
    /// The step at which its last try ended.
    ended_at: usize,
    outcome: Option<Outcome>,
    /// From when it may start, and the step at which that was known.
    due: Option<(Duration, usize)>,
}

/// What the steps so far have shown.
struct Seen<'c> {
    case: &'c Case,
    jobs: Vec<Job>,
    /// How often job `b` has started while job `a` was due, at `a * jobs + b`.
    passed_over: Vec<u8>,
    steps: usize,
    stopped: bool,
    abandoned: bool,
}

impl<'c> Seen<'c> {
    fn new(case: &'c Case) -> Self {
        let job = |job| {
            let is_free = case.dependencies.of(job).is_empty();
            Job { due: is_free.then_some((Duration::ZERO, 0)), ..Job::default() }
        };
        Seen {
            case,
            jobs: case.jobs().map(job).collect(),
            passed_over: vec![0; case.len() * case.len()],
            steps: 0,
            stopped: false,
            abandoned: false,
        }
    }

    fn job(&self, job: u32) -> &Job {
        &self.jobs[job as usize]
    }

    fn add(&mut self, step: Step) {
        self.steps += 1;
        match step {
            Step::Start { job, attempt, at, .. } => self.started(job, attempt, at),
            Step::End { job, end, again, .. } => {
                let known = &mut self.jobs[job as usize];
                (known.at_work, known.end, known.ended_at) = (false, Some(end), self.steps);
                known.due = again.map(|due| (due, self.steps));
            }
            Step::Settle { job, outcome } => self.settled(job, outcome),
            Step::Idle { .. } => {}
            Step::Stop => self.stopped = true,
            Step::Abandon => self.abandoned = true,
        }
    }

    fn started(&mut self, job: u32, attempt: u32, at: Duration) {
        let known = &mut self.jobs[job as usize];
        *known = Job { attempts: attempt, started: at, at_work: true, due: None, ..*known };
        let jobs = self.jobs.len();
        self.passed_over[job as usize * jobs..][..jobs].fill(0);
        for (other, known) in self.jobs.iter().enumerate() {
            if known.due.is_some_and(|(due, _)| due <= at) {
                self.passed_over[other * jobs + job as usize] += 1;
            }
        }
    }

    fn settled(&mut self, job: u32, outcome: Outcome) {
        self.jobs[job as usize].outcome = Some(outcome);
        for &dependent in self.case.dependents.of(job) {
            let mut dependencies =
                self.case.dependencies.of(dependent).iter().map(|on| self.job(*on).outcome);
            let lets_start = |outcome: Outcome| match self.case.looks_ahead() {
                false => outcome.is_converged(),
                true => outcome != Outcome::Stopped,
            };
            if dependencies.all(|outcome| outcome.is_some_and(lets_start)) {
                self.jobs[dependent as usize].due = Some((Duration::ZERO, self.steps));
            }
        }
    }

    fn due_jobs(&self, at: Duration) -> impl Iterator<Item = u32> {
        self.case.jobs().filter(move |job| self.job(*job).due.is_some_and(|(due, _)| due <= at))
    }

    /// Whether jobs are tried in the order of their numbers within each pass.
    fn keeps_order(&self) -> bool {
        self.case.workers == 1 && !self.case.has_delays()
    }
}

fn no_more_tries_than_allowed(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Start { job, attempt, tries, .. } = step else { return Ok(()) };
    ensure!(attempt == seen.job(job).attempts + 1, "try {attempt} of job {job} comes out of turn");
    ensure!(attempt <= seen.case.allowed(job), "try {attempt} of job {job}");
    ensure!(tries == seen.case.allowed(job), "job {job} is promised {tries} tries");
    ensure!(!seen.job(job).at_work, "job {job} is tried twice at once");
    ensure!(!seen.job(job).end.is_some_and(converged), "job {job} is tried when it has converged");
    Ok(())
}

fn nothing_starts_before_its_dependencies_converged(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Start { job, .. } = step else { return Ok(()) };
    for &on in seen.case.dependencies.of(job) {
        let may_start = match seen.case.looks_ahead() {
            false => seen.job(on).end.is_some_and(converged),
            true => seen.job(on).outcome.is_some(),
        };
        ensure!(may_start, "job {job} starts before job {on} has converged");
    }
    Ok(())
}

/// From the start of one try to the start of the next.
fn a_retry_waits_for_its_delay(seen: &Seen<'_>, step: Step) -> Result<()> {
    match step {
        Step::Start { job, attempt: 2.., at, .. } => {
            let due = seen.job(job).started + seen.case.policy(job).delay;
            ensure!(at >= due, "job {job} starts again at {at:?}, not at {due:?}");
        }
        Step::End { job, again: Some(again), .. } => {
            let due = seen.job(job).started + seen.case.policy(job).delay;
            ensure!(again == due, "job {job} may start again at {again:?}, not at {due:?}");
        }
        _ => {}
    }
    Ok(())
}

/// A job that waits for its delay holds nobody back, and nobody sleeps longer than until the first is due.
fn nobody_waits_while_a_job_is_due(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Idle { told, at } = step else { return Ok(()) };
    if seen.stopped {
        return Ok(());
    }
    let due_now = seen.due_jobs(at).next();
    ensure!(due_now.is_none(), "told {told:?} at {at:?} while job {due_now:?} is due");
    let first = seen.jobs.iter().filter_map(|job| job.due).map(|(due, _)| due).min();
    let at_work = seen.jobs.iter().any(|job| job.at_work);
    let should = match first {
        Some(due) => Next::WaitUntil(due),
        None if at_work => Next::WaitForNews,
        None => Next::Rest,
    };
    ensure!(told == should, "told {told:?} in place of {should:?}");
    Ok(())
}

/// What the end of its last try says is what a job's outcome says.
fn converged_only_after_a_passing_check_or_recheck(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Settle { job, outcome: settled } = step else { return Ok(()) };
    let known = seen.job(job);
    ensure!(known.outcome.is_none(), "job {job} settles twice");
    ensure!(!known.at_work, "job {job} settles while it is tried");
    match (settled, known.end) {
        (Outcome::InPlace | Outcome::Changed | Outcome::WouldRun | Outcome::CouldNotFindOut, end) => {
            ensure!(end.map(outcome) == Some(settled), "job {job} is {settled} after {end:?}");
        }
        (Outcome::Failed, Some(TryEnd::GivenUp)) => {}
        (Outcome::Failed, end) => {
            ensure!(end == Some(TryEnd::Failed), "job {job} has failed after {end:?}");
            ensure!(known.attempts == seen.case.allowed(job), "job {job} has failed with tries left");
        }
        (Outcome::Stopped, end) => {
            ensure!(seen.stopped, "job {job} is stopped, and nobody said stop");
            ensure!(
                matches!(end, Some(TryEnd::Failed | TryEnd::Stopped)),
                "job {job} is stopped after {end:?}"
            );
        }
        (Outcome::Skipped, end) => anyhow::bail!("no job has a condition, but {end:?}"),
        (Outcome::Reverted, end) => anyhow::bail!("the scheduler takes nothing back, but {end:?}"),
        (Outcome::NotStarted, end) => {
            ensure!(seen.abandoned && end.is_none(), "job {job} is not started after {end:?}");
        }
        (Outcome::Unknown, end) if seen.case.looks_ahead() => {
            ensure!(end == Some(TryEnd::CouldNotFindOut), "job {job} is {settled} after {end:?}");
        }
        (Outcome::Blocked | Outcome::Unknown, end) => {
            ensure!(end.is_none(), "job {job} is {settled} after {end:?}");
        }
    }
    Ok(())
}

/// One that was stopped, or not started for a stop, has not failed.
fn blocked_only_where_a_dependency_failed(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Settle { job, outcome } = step else { return Ok(()) };
    let dependencies = || seen.case.dependencies.of(job).iter().map(|on| seen.job(*on).outcome);
    if !seen.abandoned {
        ensure!(dependencies().all(|outcome| outcome.is_some()), "job {job} settles before its dependencies");
    }
    if matches!(outcome, Outcome::Blocked | Outcome::Unknown) {
        let failed = |outcome| match outcome {
            Outcome::Failed | Outcome::Blocked => true,
            Outcome::WouldRun | Outcome::CouldNotFindOut | Outcome::Unknown => true,
            Outcome::InPlace | Outcome::Changed | Outcome::Reverted | Outcome::Skipped => false,
            Outcome::Stopped | Outcome::NotStarted => false,
        };
        // In a look ahead it may be further away.
        let has_failed = dependencies().flatten().any(failed) || seen.case.looks_ahead();
        ensure!(has_failed, "job {job} is {outcome}, and no dependency failed");
        ensure!(!seen.abandoned, "job {job} is {outcome} late");
        let word = if seen.case.no_act { Outcome::Unknown } else { Outcome::Blocked };
        ensure!(outcome == word, "job {job} is {outcome}");
    }
    Ok(())
}

/// With one worker and no delays: whoever was due when a job's try ended has started when the job is tried again.
fn every_other_due_job_had_its_turn(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Start { job, attempt: 2.., .. } = step else { return Ok(()) };
    if !seen.keeps_order() {
        return Ok(());
    }
    for other in seen.case.jobs().filter(|other| *other != job) {
        let waits = seen.job(other).due.is_some_and(|(_, since)| since < seen.job(job).ended_at);
        ensure!(!waits, "job {job} is tried again while job {other} waits for its turn");
    }
    Ok(())
}

/// Always: while a job is due no other starts three times; one that comes after it in the order, not even twice. (Once
/// in a pass that is not over when the job becomes due, and once more in the job's own pass.)
fn nobody_is_passed_over_for_long(seen: &Seen<'_>, step: Step) -> Result<()> {
    let Step::Start { job, at, .. } = step else { return Ok(()) };
    for other in seen.due_jobs(at).filter(|other| *other != job) {
        let before = seen.passed_over[other as usize * seen.jobs.len() + job as usize];
        let most = if job < other { 2 } else { 1 };
        ensure!(before < most, "job {job} starts once more while job {other} is due");
    }
    Ok(())
}

fn after_a_stop_nothing_starts(seen: &Seen<'_>, step: Step) -> Result<()> {
    match step {
        Step::Start { job, .. } => ensure!(!seen.stopped, "job {job} starts"),
        Step::End { job, again: Some(_), .. } => ensure!(!seen.stopped, "job {job} is promised another try"),
        _ => {}
    }
    Ok(())
}

fn every_job_is_settled(seen: &Seen<'_>) -> Result<()> {
    for job in seen.case.jobs() {
        ensure!(seen.job(job).outcome.is_some(), "job {job} is open");
    }
    Ok(())
}

/// So that the number of workers and the order in which tries end cannot change them.
fn the_outcomes_follow_from_the_scripts_alone(seen: &Seen<'_>) -> Result<()> {
    if seen.stopped {
        return Ok(());
    }
    for (job, expected) in seen.case.jobs().zip(seen.case.expected()) {
        let outcome = seen.job(job).outcome;
        ensure!(outcome == Some(expected), "job {job} is {outcome:?}, not {expected}");
    }
    Ok(())
}

/// A job that converged or used up its tries stays so; a job that was never tried does not claim to have been.
fn a_stop_leaves_nothing_undecided(seen: &Seen<'_>) -> Result<()> {
    if !seen.stopped {
        return Ok(());
    }
    for job in seen.case.jobs() {
        let known = seen.job(job);
        let Some(outcome) = known.outcome else { continue };
        let fits = match known.end {
            Some(end) if converged(end) => outcome.is_converged(),
            Some(TryEnd::Failed) if known.attempts == seen.case.allowed(job) => outcome == Outcome::Failed,
            Some(TryEnd::GivenUp) => outcome == Outcome::Failed,
            Some(TryEnd::Failed | TryEnd::Stopped) => outcome == Outcome::Stopped,
            Some(TryEnd::CouldNotFindOut) if seen.case.looks_ahead() => {
                matches!(outcome, Outcome::CouldNotFindOut | Outcome::Unknown)
            }
            Some(_) => matches!(outcome, Outcome::WouldRun | Outcome::CouldNotFindOut),
            None => matches!(outcome, Outcome::NotStarted | Outcome::Blocked | Outcome::Unknown),
        };
        ensure!(fits, "job {job} is {outcome} after {:?}", known.end);
    }
    Ok(())
}
