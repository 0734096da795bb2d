//! Reverts one group: what was run in its attempt, by this convergence and by one before it that was interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::aftermath::Aftermath;
use super::log::fold::{Ledger, Stage};
use super::log::record::Record;
use super::recorder::LogRecorder;
use super::recovery::rebuild::rebuild_all;
use super::rollback::{Failures, cannot_undo, revert};
use super::started_run::StartedRun;
use crate::context::group_attempt::GroupAttempt;
use crate::graph::groups::Groups;
use crate::job::policy::{AttemptSource, Attempts};
use serde_json::Value;

/// A group whose attempt has failed.
pub(super) struct FailedAttempt<'n> {
    pub(super) group: &'n str,
    pub(super) attempt: u32,
    /// Whether there is another attempt afterwards.
    pub(super) again: bool,
}

/// How reverting a group went.
pub(super) struct Undone {
    /// The jobs of which every run was reverted.
    pub(super) reverted: Vec<Arc<str>>,
    /// Not everything could be reverted, so that nothing goes on.
    pub(super) is_stuck: bool,
}

/// Writes down that a group is reverted, and reverts it.
pub(super) fn undo(aftermath: &mut Aftermath, failed: &FailedAttempt<'_>, failures: Failures) -> Undone {
    let others = take_others(aftermath, failed.group);
    let undone = match begin(aftermath, failed, &failures) {
        Ok(()) => go_on(aftermath, failed.group, failures),
        Err(error) => {
            cannot_undo(aftermath, &error);
            Undone { reverted: Vec::new(), is_stuck: true }
        }
    };
    aftermath.runs.extend(others);
    undone
}

/// A convergence was interrupted, or got stuck, while it reverted a group: that goes on.
pub(super) fn resume(aftermath: &mut Aftermath, group: &str, failures: Failures) -> Undone {
    let others = take_others(aftermath, group);
    let undone = go_on(aftermath, group, failures);
    aftermath.runs.extend(others);
    undone
}

/// Leaves those runs alone that are not of this group.
fn take_others(aftermath: &mut Aftermath, group: &str) -> Vec<StartedRun> {
    let graph = aftermath.whole.clone();
    let number = graph.groups().find(group);
    let is_in = |run: &StartedRun| {
        let job = graph.number(run.cx.job());
        number.zip(job).is_some_and(|(group, job)| graph.groups().has(group, job))
    };
    let (own, others) = std::mem::take(&mut aftermath.runs).into_iter().partition(is_in);
    aftermath.runs = own;
    others
}

fn begin(aftermath: &Aftermath, failed: &FailedAttempt<'_>, failures: &Failures) -> std::io::Result<()> {
    let Some(journal) = aftermath.journal() else { return Ok(()) };
    let record = Record::GroupUndo {
        group: failed.group.to_owned(),
        attempt: failed.attempt,
        within: within(aftermath.whole.groups(), failed.group),
        failures: failures.clone(),
        again: failed.again,
    };
    journal.append(&record, aftermath.is_durable())
}

/// The names of the groups around a group, the outermost first.
pub(super) fn within(groups: &Groups, group: &str) -> Vec<String> {
    let parent = groups.find(group).and_then(|group| groups.node(group).parent);
    let mut names: Vec<String> =
        groups.outwards(parent).map(|around| groups.node(around).name.to_string()).collect();
    names.reverse();
    names
}

fn go_on(aftermath: &mut Aftermath, group: &str, failures: Failures) -> Undone {
    let journal = aftermath.journal();
    if let Some(journal) = &journal {
        // What this convergence has started is at hand, and need not be rebuilt.
        let at_hand: Vec<u64> = aftermath.runs.iter().map(|run| run.order).collect();
        let rebuilt = rebuild_all(aftermath, journal, |entry| Ledger::is_in_group(entry, group));
        let earlier = rebuilt.runs.into_iter().filter(|run| !at_hand.contains(&run.order));
        let earlier: Vec<StartedRun> = earlier.map(|run| with_attempt(run, aftermath, journal)).collect();
        let first = aftermath.first;
        aftermath.runs.extend(earlier);
        // Of this convergence nothing can be lost.
        let lost: Vec<_> = rebuilt.lost.into_iter().collect();
        aftermath.needs_decision |= !lost.is_empty();
        aftermath.keep(lost);
        debug_assert!(aftermath.runs.iter().all(|run| run.order < first || run.of.is_none()));
    }
    let reverted = revert(aftermath, &Arc::new(failures));
    let is_stuck = aftermath.runs.iter().any(|run| run.obligation.is_revert_incomplete());
    if !is_stuck {
        let durable = aftermath.is_durable();
        aftermath.record(
            &Record::GroupUndone { group: group.to_owned() },
            durable,
            "that a group was reverted",
        );
    }
    Undone { reverted, is_stuck }
}

/// A run of an earlier convergence sees the attempt in which it was begun.
fn with_attempt(mut run: StartedRun, aftermath: &Aftermath, journal: &LogRecorder) -> StartedRun {
    let attempt = current_attempt(aftermath.whole.groups(), journal, run.cx.id());
    run.cx.set_group_attempt(attempt);
    run
}

/// The attempts of the groups around a job, by the journal.
fn current_attempt(groups: &Groups, journal: &LogRecorder, job: u32) -> Option<Arc<GroupAttempt>> {
    let mut around: Vec<u32> = groups.around(job).collect();
    around.reverse();
    around.into_iter().fold(None, |outer, group| {
        let node = groups.node(group);
        let Some(attempts) = &node.spec.attempts else { return outer };
        let (number, known) = journal.with_ledger(|ledger| {
            let state = ledger.group(&node.name);
            (state.map_or(1, |state| state.attempt), state.and_then(|state| state.values.clone()))
        });
        let values = known.or_else(|| literal(attempts));
        let value = values.as_ref().and_then(|values| values.get(number as usize - 1).cloned());
        let count = values.map(|values| values.len() as u32).or_else(|| attempts.count()).unwrap_or(number);
        Some(Arc::new(GroupAttempt { group: node.name.clone(), number, attempts: count, value, outer }))
    })
}

/// The values that are known from the graph alone.
pub(super) fn literal(attempts: &Attempts) -> Option<Vec<Value>> {
    match attempts.source() {
        AttemptSource::Values(values) => Some(values.clone()),
        _ => None,
    }
}

/// The failures for which groups were given up by an earlier convergence that was interrupted, by group.
pub(super) fn given_up(journal: &LogRecorder, groups: &Groups) -> BTreeMap<u32, Failures> {
    let state = |(group, name): (u32, &str)| {
        journal.with_ledger(|ledger| match &ledger.group(name)?.stage {
            Stage::GivenUp { failures } => Some((group, failures.clone())),
            Stage::UnderWay | Stage::Undoing { .. } => None,
        })
    };
    groups.iter().map(|(group, node)| (group, &*node.name)).filter_map(state).collect()
}
