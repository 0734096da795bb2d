//! What is played: a graph, and for each job a script that says how its tries end.

use std::fmt;
use std::time::Duration;

use crate::engine::scheduler::{Tries, TryEnd};
use crate::event::Outcome;
use crate::graph::adjacency::Adjacency;

/// What one job does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Script {
    /// How many tries it is allowed.
    pub(super) tries: u32,
    /// The try that converges, where one does; all before it fail.
    pub(super) converges_at: Option<u32>,
    /// The try after which it gives up, where one does.
    pub(super) gives_up_at: Option<u32>,
    /// In [`units`].
    pub(super) delay: u32,
}

impl Script {
    pub(super) const fn of(tries: u32, converges_at: Option<u32>) -> Script {
        Script { tries, converges_at, gives_up_at: None, delay: 0 }
    }

    /// So many tries are allowed, and this one is the last all the same.
    pub(super) const fn giving_up(tries: u32, at: u32) -> Script {
        Script { tries, converges_at: None, gives_up_at: Some(at), delay: 0 }
    }
}

/// The time that scripts and drivers count in.
pub(super) fn units(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

/// A graph and its scripts, and how it is played.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) dependencies: Adjacency,
    pub(super) dependents: Adjacency,
    pub(super) scripts: Vec<Script>,
    pub(super) workers: usize,
    pub(super) no_act: bool,
    /// Counts in no-act.
    pub(super) look_ahead: bool,
    /// Stops after so many tries have begun.
    pub(super) stop_after: Option<usize>,
}

impl Case {
    /// For one worker. `dependencies` of a job have lower numbers than itself, which is how the graph numbers them.
    pub(super) fn new<D>(dependencies: impl IntoIterator<Item = D>, scripts: Vec<Script>) -> Case
    where
        D: IntoIterator<Item = u32>,
    {
        let mut edges = Adjacency::default();
        for list in dependencies {
            list.into_iter().for_each(|dependency| edges.push(dependency));
            edges.close();
        }
        assert_eq!(edges.len(), scripts.len());
        let dependents = edges.reversed();
        Case {
            dependencies: edges,
            dependents,
            scripts,
            workers: 1,
            no_act: false,
            look_ahead: false,
            stop_after: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.scripts.len()
    }

    pub(super) fn jobs(&self) -> std::ops::Range<u32> {
        0..self.len() as u32
    }

    /// Whether jobs are tried that stand behind one that is not in place.
    pub(super) fn looks_ahead(&self) -> bool {
        self.no_act && self.look_ahead
    }

    /// What the scheduler is told of a job.
    pub(super) fn policy(&self, job: u32) -> Tries {
        let script = self.scripts[job as usize];
        Tries { count: script.tries, delay: units(script.delay) }
    }

    /// How many tries a job may have.
    pub(super) fn allowed(&self, job: u32) -> u32 {
        if self.no_act { 1 } else { self.scripts[job as usize].tries }
    }

    pub(super) fn has_delays(&self) -> bool {
        !self.no_act && self.scripts.iter().any(|script| script.delay > 0)
    }

    /// How a try ends. Jobs take turns in which of two like endings they have.
    pub(super) fn end(&self, job: u32, attempt: u32) -> TryEnd {
        let Script { converges_at, gives_up_at, .. } = self.scripts[job as usize];
        let converges = converges_at == Some(attempt);
        if !converges && !self.no_act && gives_up_at == Some(attempt) {
            return TryEnd::GivenUp;
        }
        match (converges, self.no_act, (job + attempt).is_multiple_of(2)) {
            (true, true, _) | (true, false, true) => TryEnd::InPlace,
            (true, false, false) => TryEnd::Changed,
            (false, true, true) => TryEnd::WouldRun,
            (false, true, false) => TryEnd::CouldNotFindOut,
            (false, false, _) => TryEnd::Failed,
        }
    }

    /// How every job has to end, whatever the order: it follows from the scripts alone.
    pub(super) fn expected(&self) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(self.len());
        let mut open: Vec<bool> = Vec::with_capacity(self.len());
        for job in self.jobs() {
            let hindered = self.dependencies.of(job).iter().any(|on| open[*on as usize]);
            let Script { converges_at, gives_up_at, .. } = self.scripts[job as usize];
            let last = [converges_at, gives_up_at].into_iter().flatten().fold(self.allowed(job), u32::min);
            outcomes.push(match self.end(job, last) {
                end if hindered && self.looks_ahead() => outcome_behind(end),
                _ if hindered && self.no_act => Outcome::Unknown,
                _ if hindered => Outcome::Blocked,
                end => outcome(end),
            });
            open.push(hindered || !outcomes[job as usize].is_converged());
        }
        outcomes
    }
}

/// What the last try's end makes of a job.
pub(super) fn outcome(end: TryEnd) -> Outcome {
    match end {
        TryEnd::InPlace => Outcome::InPlace,
        TryEnd::Changed => Outcome::Changed,
        TryEnd::Failed | TryEnd::GivenUp => Outcome::Failed,
        TryEnd::WouldRun => Outcome::WouldRun,
        TryEnd::CouldNotFindOut => Outcome::CouldNotFindOut,
        TryEnd::Stopped => Outcome::Stopped,
        TryEnd::Skipped(_) => Outcome::Skipped,
    }
}

/// The same in a look ahead, for a job behind one that is not in place.
pub(super) fn outcome_behind(end: TryEnd) -> Outcome {
    match end {
        TryEnd::CouldNotFindOut => Outcome::Unknown,
        end => outcome(end),
    }
}

/// Whether an end of a try lets dependents start.
pub(super) fn converged(end: TryEnd) -> bool {
    matches!(end, TryEnd::InPlace | TryEnd::Changed)
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { workers, no_act, look_ahead, stop_after, .. } = self;
        writeln!(
            f,
            "{workers} workers, no_act: {no_act}, look_ahead: {look_ahead}, stop after {stop_after:?}"
        )?;
        for job in self.jobs() {
            let Script { tries, converges_at, gives_up_at, delay } = self.scripts[job as usize];
            let after = self.dependencies.of(job);
            writeln!(
                f,
                "  {job} after {after:?}: {tries} tries, {delay} apart, converges at {converges_at:?}, gives up at {gives_up_at:?}"
            )?;
        }
        Ok(())
    }
}
