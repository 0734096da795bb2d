//! After a failure: which group is reverted, whether it tries again or gives up; and whom a false condition skips.
//!
//! Pure functions over the containment of a graph and how far its groups have come. Starts, reverts and skips nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::graph::adjacency::Adjacency;
use crate::graph::groups::Groups;
use crate::job::condition::SkipDepth;

/// What follows on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Everything stays as it is.
    Keep,
    /// This group is reverted and then attempted again.
    Again(u32),
    /// This group is reverted and given up.
    GiveUp(u32),
    /// Everything that was run is reverted.
    RevertAll,
}

/// How far a group has come in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupState {
    /// The attempt that is under way or comes next, counted from 1.
    pub(crate) attempt: u32,
    /// How many there are; `None` until that is known.
    pub(crate) attempts: Option<u32>,
    /// Whether the attempt has begun.
    pub(crate) is_begun: bool,
    /// How many tries of its jobs are at work.
    pub(crate) at_work: u32,
    /// It has failed: nothing of it starts, and once nothing is at work it is reverted. Whether it is then attempted again.
    pub(crate) failed: Option<Failed>,
    /// It was given up.
    pub(crate) is_over: bool,
    /// Nothing of it starts before.
    pub(crate) not_before: Option<Duration>,
}

/// What comes after a failed attempt was reverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    Again,
    GiveUp,
}

impl GroupState {
    pub(crate) fn new(attempts: Option<u32>) -> GroupState {
        GroupState {
            attempt: 1,
            attempts,
            is_begun: false,
            at_work: 0,
            failed: None,
            is_over: false,
            not_before: None,
        }
    }

    fn may_try_again(&self) -> bool {
        self.attempts.is_some_and(|attempts| self.attempt < attempts)
    }
}

/// What follows when something has failed for good whose innermost group is `group`. Each group is asked in turn, from the
/// innermost outwards, and the first that has an attempt left takes it. Where none has, everything is reverted if the run, or one that
/// was asked on the way, says so; otherwise the outermost group that reverts is.
pub(crate) fn decide(
    groups: &Groups,
    states: &[GroupState],
    group: Option<u32>,
    run_reverts: bool,
) -> Decision {
    let mut reverting = None;
    for around in groups.outwards(group) {
        let spec = &groups.node(around).spec;
        if spec.attempts.is_some() && states[around as usize].may_try_again() {
            return Decision::Again(around);
        }
        if spec.reverts_all() {
            return Decision::RevertAll;
        }
        if spec.reverts() {
            reverting = Some(around);
        }
    }
    match reverting {
        _ if run_reverts => Decision::RevertAll,
        Some(group) => Decision::GiveUp(group),
        None => Decision::Keep,
    }
}

/// The failed group whose turn it is to be reverted: nothing of it is at work, and none around it has failed as well.
pub(crate) fn turn(groups: &Groups, states: &[GroupState], failed: &[u32]) -> Option<u32> {
    let is_ready = |group: &u32| {
        let mut around = groups.outwards(groups.node(*group).parent);
        states[*group as usize].at_work == 0 && !around.any(|around| states[around as usize].failed.is_some())
    };
    failed.iter().copied().filter(is_ready).min()
}

/// Whom a condition skips that is false for these jobs (one job, or those of a group), with them, in ascending order.
/// `group`: the group around them. The dummy job of a group that some of them are in is left out, unless all that comes after is
/// skipped.
pub(crate) fn to_skip(
    dependents: &Adjacency,
    groups: &Groups,
    jobs: &[u32],
    group: Option<u32>,
    depth: SkipDepth,
) -> Vec<u32> {
    let mut skipped: BTreeSet<u32> = jobs.iter().copied().collect();
    let is_end = |job: u32| groups.outwards(group).any(|group| groups.node(group).end == Some(job));
    let is_wanted = |job: u32| match depth {
        SkipDepth::Itself => false,
        SkipDepth::Dependents => !is_end(job),
        SkipDepth::Group => !is_end(job) && group.is_none_or(|group| groups.has(group, job)),
        SkipDepth::After => true,
    };
    let mut open: Vec<u32> = jobs.to_vec();
    while let Some(job) = open.pop() {
        for &next in dependents.of(job).iter().filter(|next| is_wanted(**next)) {
            if skipped.insert(next) && depth != SkipDepth::Dependents {
                open.push(next);
            }
        }
    }
    skipped.into_iter().collect()
}

#[cfg(test)]
#[path = "group_policy_tests.rs"]
mod tests;
