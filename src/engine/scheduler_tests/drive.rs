//! Plays a case: hands out tries to workers that are only numbers, ends them as the scripts say, and moves the time.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::case::{Case, units};
use super::choices::Choices;
use super::model::Model;
use crate::engine::scheduler::{Next, Scheduler, TryEnd};
use crate::event::Outcome;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Start {
        job: u32,
        attempt: u32,
        tries: u32,
        at: Duration,
    },
    End {
        job: u32,
        end: TryEnd,
        at: Duration,
        again: Option<Duration>,
    },
    Settle {
        job: u32,
        outcome: Outcome,
    },
    /// A free worker was told to wait, or that all is done.
    Idle {
        told: Next,
        at: Duration,
    },
    Stop,
    /// The rest was settled after a stop; what settles from here on was not tried to its end.
    Abandon,
}

/// Plays a case to its rest and writes the steps into `steps`.
///
/// # Errors
/// Where the scheduler says other than the model, or does not come to rest.
pub(super) fn drive(case: &Case, choices: &mut impl Choices, steps: &mut Vec<Step>) -> Result<()> {
    steps.clear();
    let policy = |job| case.policy(job);
    let mut scheduler = Scheduler::new(&case.dependencies, &case.dependents, policy, case.no_act);
    scheduler.look_ahead(case.look_ahead);
    let mut drive = Drive {
        case,
        scheduler,
        model: Model::new(case),
        choices,
        steps,
        now: Duration::ZERO,
        at_work: Vec::new(),
        begun: 0,
        stopped: false,
        settled: Vec::new(),
    };
    drive.play()
}

struct Drive<'c, C> {
    case: &'c Case,
    scheduler: Scheduler<'c>,
    model: Model<'c>,
    choices: &'c mut C,
    steps: &'c mut Vec<Step>,
    now: Duration,
    /// (job, try)
    at_work: Vec<(u32, u32)>,
    begun: usize,
    stopped: bool,
    settled: Vec<u32>,
}

impl<C: Choices> Drive<'_, C> {
    fn play(&mut self) -> Result<()> {
        // Each round ends a try, or waits for the delay before one.
        let tries: u32 = self.case.jobs().map(|job| self.case.allowed(job)).sum();
        for _ in 0..=2 * tries {
            match self.start_all()? {
                Next::Rest => return self.end(),
                told => self.go_on(told)?,
            }
        }
        bail!("it does not come to rest")
    }

    /// Gives every free worker a try, as long as there are any.
    fn start_all(&mut self) -> Result<Next> {
        self.stop_when_time_has_come();
        while self.at_work.len() < self.case.workers {
            let told = self.scheduler.next(self.now);
            let should = self.model.next(self.now);
            ensure!(told == should, "told {told:?} at {:?}; the rule says {should:?}", self.now);
            let Next::Try { job, attempt, tries } = told else {
                self.steps.push(Step::Idle { told, at: self.now });
                return Ok(told);
            };
            self.steps.push(Step::Start { job, attempt, tries, at: self.now });
            self.at_work.push((job, attempt));
            self.begun += 1;
            self.stop_when_time_has_come();
        }
        Ok(Next::WaitForNews)
    }

    fn stop_when_time_has_come(&mut self) {
        if !self.stopped && self.case.stop_after == Some(self.begun) {
            self.stopped = true;
            self.scheduler.stop();
            self.model.stop();
            self.steps.push(Step::Stop);
        }
    }

    /// Ends one of the tries at work, at once or (where delays make that a difference) a little later; or waits.
    fn go_on(&mut self, told: Next) -> Result<()> {
        let lingers = if self.case.has_delays() { 2 } else { 1 };
        let endings = self.at_work.len() * lingers;
        let waits = usize::from(matches!(told, Next::WaitUntil(_)));
        ensure!(endings + waits > 0, "told {told:?} while nobody is at work");
        let picked = if endings + waits == 1 { 0 } else { self.choices.pick(endings + waits) };
        if let (Next::WaitUntil(due), true) = (told, picked == endings) {
            self.now = due;
            return Ok(());
        }
        self.now += units((picked % lingers) as u32);
        let (job, attempt) = self.at_work.remove(picked / lingers);
        self.end_try(job, attempt)
    }

    fn end_try(&mut self, job: u32, attempt: u32) -> Result<()> {
        let breaks_off = self.stopped && self.choices.pick(2) == 1;
        let end = if breaks_off { TryEnd::Stopped } else { self.case.end(job, attempt) };
        let again = self.scheduler.ended(job, end);
        let should = self.model.ended(job, end);
        ensure!(again == should, "job {job} may try again at {again:?}; the rule says {should:?}");
        ensure!(
            self.scheduler.attempts(job) == attempt,
            "job {job} has had {attempt} tries, not {}",
            self.scheduler.attempts(job)
        );
        self.steps.push(Step::End { job, end, at: self.now, again });
        self.write_down_settled()?;
        for (job, should) in self.case.jobs().zip(self.model.outcomes()) {
            let outcome = self.scheduler.outcome(job);
            ensure!(outcome == should, "job {job} is {outcome:?}; the rule says {should:?}");
        }
        Ok(())
    }

    fn write_down_settled(&mut self) -> Result<()> {
        self.scheduler.take_settled(&mut self.settled);
        for &job in &self.settled {
            let Some(outcome) = self.scheduler.outcome(job) else {
                bail!("job {job} is called settled, and has no outcome")
            };
            self.steps.push(Step::Settle { job, outcome });
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        ensure!(self.at_work.is_empty(), "told to rest while {:?} are at work", self.at_work);
        if self.stopped {
            self.scheduler.abandon();
            self.steps.push(Step::Abandon);
            self.write_down_settled()?;
        }
        Ok(())
    }
}
