//! How far the groups of a graph have come in a run: what the scheduler has to know of them.
//!
//! Pure, as the scheduler is; what follows on a failure is decided in [`group_policy`](super::group_policy).

use std::time::Duration;

use super::group_policy::{Decision, Failed, GroupState, decide, turn};
use crate::graph::groups::{GroupNode, Groups};

/// Which groups have to begin before a job of them starts: those with attempts or a condition.
pub(crate) fn beginning(groups: &Groups, has_condition: impl Fn(u32) -> bool) -> Vec<bool> {
    let begins = |node: &GroupNode| node.spec.attempts.is_some() || node.end.is_some_and(&has_condition);
    groups.iter().map(|(_, node)| begins(node)).collect()
}

/// The groups of a graph in a run.
pub(crate) struct GroupStates<'g> {
    pub(crate) groups: &'g Groups,
    states: Vec<GroupState>,
    /// Groups that have to begin before a job of them starts: those with attempts or a condition.
    begins: Vec<bool>,
    /// Groups that have failed and are still to be reverted.
    failed: Vec<u32>,
    /// Jobs that have failed for good, of which their dependents were not told.
    untold: Vec<u32>,
    /// Jobs outside of a group that a condition of a job within it has skipped: (that job, those).
    skipped: Vec<(u32, Vec<u32>)>,
    run_reverts: bool,
    /// In a dry run nothing is reverted.
    is_dry: bool,
    /// Everything is to be reverted.
    reverts_all: bool,
}

impl<'g> GroupStates<'g> {
    /// `begins` says which groups have to begin before a job of them starts.
    pub(crate) fn new(groups: &'g Groups, begins: Vec<bool>, run_reverts: bool, is_dry: bool) -> Self {
        let attempts =
            |group: u32| groups.node(group).spec.attempts.as_ref().map_or(Some(1), |all| all.count());
        GroupStates {
            groups,
            states: (0..groups.len() as u32).map(|group| GroupState::new(attempts(group))).collect(),
            begins,
            failed: Vec::new(),
            untold: Vec::new(),
            skipped: Vec::new(),
            run_reverts,
            is_dry,
            reverts_all: false,
        }
    }

    pub(crate) fn state(&self, group: u32) -> &GroupState {
        &self.states[group as usize]
    }

    pub(crate) fn reverts_all(&self) -> bool {
        self.reverts_all
    }

    pub(crate) fn started(&mut self, job: u32) {
        for group in self.groups.around(job) {
            self.states[group as usize].at_work += 1;
        }
    }

    pub(crate) fn ended(&mut self, job: u32) {
        for group in self.groups.around(job) {
            self.states[group as usize].at_work -= 1;
        }
    }

    /// Whether nothing of a job's groups may start.
    pub(crate) fn is_frozen(&self, job: u32) -> bool {
        self.groups.around(job).any(|group| {
            let state = self.state(group);
            state.failed.is_some() || state.is_over
        })
    }

    /// The outermost group around a job that has to begin before the job starts.
    pub(crate) fn unbegun(&self, job: u32) -> Option<u32> {
        let unbegun = |group: &u32| self.begins[*group as usize] && !self.state(*group).is_begun;
        self.groups.around(job).filter(unbegun).last()
    }

    /// Before which time a job may not start.
    pub(crate) fn not_before(&self, job: u32) -> Option<Duration> {
        self.groups.around(job).filter_map(|group| self.state(group).not_before).max()
    }

    /// A job has failed for good.
    pub(crate) fn job_failed(&mut self, job: u32) -> Decision {
        let decision = self.fail(self.groups.of(job));
        if matches!(decision, Decision::Again(_) | Decision::GiveUp(_)) {
            self.untold.push(job);
        }
        decision
    }

    /// Something has failed for good whose innermost group is this one.
    fn fail(&mut self, group: Option<u32>) -> Decision {
        if self.is_dry {
            return Decision::Keep;
        }
        let decision = decide(self.groups, &self.states, group, self.run_reverts);
        let (group, failed) = match decision {
            Decision::Keep => return decision,
            Decision::RevertAll => {
                self.reverts_all = true;
                return decision;
            }
            Decision::Again(group) => (group, Failed::Again),
            Decision::GiveUp(group) => (group, Failed::GiveUp),
        };
        if self.states[group as usize].failed.replace(failed).is_none() {
            self.failed.push(group);
        }
        decision
    }

    /// The group whose turn it is to be reverted, and what comes then.
    #[inline]
    pub(crate) fn turn(&self) -> Option<(u32, Failed)> {
        if self.failed.is_empty() {
            return None;
        }
        let group = turn(self.groups, &self.states, &self.failed)?;
        self.state(group).failed.map(|failed| (group, failed))
    }

    /// An attempt begins, and so many there are, where that is known.
    pub(crate) fn begin(&mut self, group: u32, attempts: Option<u32>) {
        let state = &mut self.states[group as usize];
        state.is_begun = true;
        state.not_before = None;
        state.attempts = attempts.or(state.attempts);
    }

    /// A group goes on where an earlier, interrupted convergence was with it.
    pub(crate) fn resume(&mut self, group: u32, attempt: u32) {
        self.states[group as usize].attempt = attempt;
    }

    /// There is nothing to attempt it with.
    pub(crate) fn refuse(&mut self, group: u32) -> Decision {
        let state = &mut self.states[group as usize];
        state.is_begun = true;
        state.attempts = Some(state.attempt);
        self.fail(Some(group))
    }

    /// The dependents of a job that has failed are not told for now.
    pub(crate) fn leave_untold(&mut self, job: u32) {
        self.untold.push(job);
    }

    /// A group was reverted and starts again; those in it begin anew. Returns its jobs, and those outside that were skipped because
    /// of it, ascending.
    pub(crate) fn start_again(&mut self, group: u32, not_before: Duration) -> Vec<u32> {
        for inner in self.groups.inwards(group) {
            let attempts = self.groups.node(inner).spec.attempts.as_ref().map_or(Some(1), |all| all.count());
            let attempt = self.state(inner).attempt;
            let known = self.state(inner).attempts;
            self.states[inner as usize] = GroupState::new(attempts);
            if inner == group {
                let state = &mut self.states[inner as usize];
                (state.attempt, state.attempts) = (attempt + 1, known);
                state.not_before = Some(not_before);
            }
        }
        self.settle_failure(group);
        let jobs = self.groups.jobs(group);
        self.untold.retain(|job| !self.groups.has(group, *job));
        let (own, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.skipped).into_iter().partition(|(by, _)| self.groups.has(group, *by));
        self.skipped = others;
        let mut all: Vec<u32> = jobs.into_iter().chain(own.into_iter().flat_map(|(_, jobs)| jobs)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A group was reverted and is given up. Returns its jobs, and those of them that have failed without their dependents being
    /// told, both ascending.
    pub(crate) fn give_up(&mut self, group: u32) -> (Vec<u32>, Vec<u32>) {
        let state = &mut self.states[group as usize];
        (state.is_over, state.is_begun, state.failed) = (true, true, None);
        self.settle_failure(group);
        let (mut own, others): (Vec<u32>, Vec<u32>) =
            std::mem::take(&mut self.untold).into_iter().partition(|job| self.groups.has(group, *job));
        self.untold = others;
        own.sort_unstable();
        (self.groups.jobs(group), own)
    }

    /// Failures of this group and those in it are seen to.
    fn settle_failure(&mut self, group: u32) {
        for inner in self.groups.inwards(group) {
            self.states[inner as usize].failed = None;
            self.failed.retain(|failed| *failed != inner);
        }
    }

    /// These were skipped because of a condition of this job.
    pub(crate) fn note_skipped(&mut self, by: u32, skipped: &[u32]) {
        let outside: Vec<u32> = match self.groups.of(by) {
            Some(group) => skipped.iter().copied().filter(|job| !self.groups.has(group, *job)).collect(),
            None => return,
        };
        if !outside.is_empty() {
            self.skipped.push((by, outside));
        }
    }
}
