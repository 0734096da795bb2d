//! Groups in a run: their attempts begin, are reverted, and begin again or are given up.
//!
//! Does what the scheduler says; decides nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Convergence;
use crate::context::Context;
use crate::context::group_attempt::GroupAttempt;
use crate::engine::attempt::ask;
use crate::engine::group_rollback::{self, FailedAttempt, given_up, within};
use crate::engine::log::record::Record;
use crate::engine::rollback::Failures;
use crate::engine::scheduler::Scheduler;
use crate::event::{Event, Failure, FailureKind, Outcome, Phase};
use crate::graph::groups::{GroupNode, Groups};
use crate::job::policy::AttemptSource;
use crate::report::{Detail, GroupReport, decisive_failure};

impl Convergence<'_> {
    /// The attempt that a job's try is in.
    pub(super) fn attempt_around(&self, job: u32) -> Option<Arc<GroupAttempt>> {
        if self.attempts.is_empty() {
            return None;
        }
        self.context.graph.groups().around(job).find_map(|group| self.attempts[group as usize].clone())
    }

    /// Goes on where an earlier, interrupted convergence was with its groups.
    pub(super) fn resume_groups(&mut self, scheduler: &mut Scheduler<'_>) {
        let Some(journal) = self.context.journal.clone() else { return };
        let graph = self.context.graph.clone();
        if graph.groups().is_empty() || self.setup.settings.no_act {
            return;
        }
        for (group, node) in graph.groups().iter() {
            let attempt = journal.with_ledger(|ledger| ledger.group(&node.name).map(|state| state.attempt));
            if let Some(attempt) = attempt {
                scheduler.resume(group, attempt);
                self.made[group as usize] = attempt;
            }
        }
        for (group, failures) in given_up(&journal, graph.groups()) {
            let mut failed = Vec::new();
            for (name, failure) in failures {
                let Some(job) = graph.number(&name) else { continue };
                failed.push(job);
                let detail = Detail { failures: vec![failure], ..Detail::default() };
                self.records[job as usize].detail = Some(Box::new(detail));
            }
            scheduler.resume_given_up(group, &failed);
        }
    }

    /// An attempt of a group is about to begin.
    pub(super) fn begin_attempt(&mut self, scheduler: &mut Scheduler<'_>, group: u32, attempt: u32) {
        let graph = self.context.graph.clone();
        let node = graph.groups().node(group);
        if let Some((end, condition)) = node
            .end
            .filter(|_| attempt == 1)
            .and_then(|end| Some((end, graph.about(end)?.condition.as_ref()?)))
        {
            let mut cx = Context::new(&self.context.run, end, 1, 1);
            cx.set_group_attempt(self.attempt_around(end));
            match ask(condition, &cx, &self.context) {
                Ok(true) => {}
                Ok(false) => return scheduler.skip_group(group, condition.depth),
                // As things stand that may be for want of what was not run.
                Err(_) if self.setup.settings.looks_ahead() => {}
                Err(failure) => return self.refuse(scheduler, node, group, *failure),
            }
        }
        let Some(policy) = &node.spec.attempts else { return scheduler.begin(group, None) };
        let values = match self.values(node) {
            Ok(values) => values,
            // In a dry run what provides them was perhaps not run; whoever asks for the value says that it is not known.
            Err(_) if self.setup.settings.no_act => None,
            Err(reason) => return self.refuse(scheduler, node, group, failed_to_begin(reason)),
        };
        let count = match &values {
            Some(values) => u32::try_from(values.len()).unwrap_or(u32::MAX),
            None => policy.count().unwrap_or(1),
        };
        if attempt > count {
            let reason = "there is no value to attempt it with".to_owned();
            return self.refuse(scheduler, node, group, failed_to_begin(reason));
        }
        if let Err(error) = self.write_down_attempt(node, attempt, values.as_deref()) {
            let reason = format!("failed to write down that an attempt begins: {error}");
            return self.refuse(scheduler, node, group, failed_to_begin(reason));
        }
        let value = values.and_then(|values| values.into_iter().nth(attempt as usize - 1));
        let shown = value.clone().map(|mut value| {
            self.context.run.emitter.redactor().mask_value(&mut value);
            value
        });
        self.context.run.emitter.emit(|| Event::AttemptStarted {
            group: node.name.clone(),
            attempt,
            attempts: count,
            value: shown,
        });
        let outer =
            graph.groups().outwards(node.parent).find_map(|around| self.attempts[around as usize].clone());
        let begun = GroupAttempt { group: node.name.clone(), number: attempt, attempts: count, value, outer };
        self.attempts[group as usize] = Some(Arc::new(begun));
        self.made[group as usize] = attempt;
        scheduler.begin(group, Some(count));
    }

    /// What a group is attempted with, where it is attempted for each of several values.
    fn values(&self, node: &GroupNode) -> Result<Option<Vec<Value>>, String> {
        let Some(policy) = &node.spec.attempts else { return Ok(None) };
        let journal = self.context.journal.as_ref().filter(|_| !self.setup.settings.no_act);
        let known = journal.and_then(|journal| {
            journal.with_ledger(|ledger| ledger.group(&node.name).and_then(|state| state.values.clone()))
        });
        let (value, what) = match policy.source() {
            AttemptSource::Times(_) | AttemptSource::Invalid(_) => return Ok(None),
            AttemptSource::Values(values) => return Ok(Some(values.clone())),
            AttemptSource::Stored(_) | AttemptSource::Result(_) if known.is_some() => return Ok(known),
            AttemptSource::Stored(key) => {
                let value = self.context.run.global.get::<Value>(key).map_err(|error| error.to_string())?;
                (value, format!("what is stored under `{key}`"))
            }
            AttemptSource::Result(job) => {
                let number = self.context.graph.number(job);
                let value = number.and_then(|job| self.context.run.results().get(&job).cloned());
                (value, format!("the result of `{job}`"))
            }
        };
        match value {
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(format!("{what} is no list of values to attempt it with")),
            None => Err(format!("there is no value to attempt it with: {what} is not there")),
        }
    }

    /// A first attempt is written down only where its values are found out as it starts.
    fn write_down_attempt(
        &self,
        node: &GroupNode,
        attempt: u32,
        values: Option<&[Value]>,
    ) -> std::io::Result<()> {
        let Some(journal) = self.context.journal.as_ref().filter(|_| !self.setup.settings.no_act) else {
            return Ok(());
        };
        let source = node.spec.attempts.as_ref().map(|policy| policy.source());
        let is_found_out = matches!(source, Some(AttemptSource::Stored(_) | AttemptSource::Result(_)));
        if attempt == 1 && !is_found_out {
            return Ok(());
        }
        let redactor = self.context.run.emitter.redactor();
        let open = |values: &&[Value]| !values.iter().any(|value| redactor.finds_in_value(value));
        let values = values.filter(|_| is_found_out).filter(open).map(<[Value]>::to_vec);
        let (group, within) = (node.name.to_string(), within(self.context.graph.groups(), &node.name));
        let durable = self.setup.settings.durable;
        journal.append(&Record::Attempt { group, attempt, within, values }, durable)
    }

    /// A group fails before a job of it has started.
    fn refuse(&mut self, scheduler: &mut Scheduler<'_>, node: &GroupNode, group: u32, failure: Failure) {
        if let Some(end) = node.end {
            let detail = Detail { failures: vec![failure], ..Detail::default() };
            self.records[end as usize].detail = Some(Box::new(detail));
        }
        scheduler.refuse(group);
    }

    /// An attempt of a group has failed and nothing of it is at work: it is reverted.
    pub(super) fn revert_group(
        &mut self,
        scheduler: &mut Scheduler<'_>,
        group: u32,
        attempt: u32,
        again: bool,
    ) {
        let graph = self.context.graph.clone();
        let node = graph.groups().node(group);
        let failures = self.failures_in(graph.groups(), group);
        let because_of: Vec<Arc<str>> = failures.keys().map(|job| job.as_str().into()).collect();
        let failed = FailedAttempt { group: &node.name, attempt, again };
        let undone = group_rollback::undo(&mut self.aftermath, &failed, failures);
        if undone.is_stuck {
            self.aftermath.is_group_stuck = true;
            self.mark_reverted(&undone.reverted);
            return;
        }
        let (mut delay, mut reopened) = (Duration::ZERO, Vec::new());
        if again {
            delay =
                node.spec.attempts.as_ref().map_or(Duration::ZERO, |policy| policy.delay_before(attempt + 1));
            let not_before =
                if delay.is_zero() { delay } else { self.context.clock.now().saturating_add(delay) };
            for inner in graph.groups().inwards(group) {
                self.attempts[inner as usize] = None;
            }
            reopened = scheduler.start_again(group, not_before);
            self.reopen(&graph.groups().jobs(group), &reopened);
        } else {
            self.mark_reverted(&undone.reverted);
            scheduler.give_up(group);
        }
        self.context.run.emitter.emit(|| Event::AttemptFailed {
            group: node.name.clone(),
            attempt,
            again,
            delay,
            because_of,
            reopened: reopened.iter().map(|job| graph.job(*job).name.clone()).collect(),
        });
    }

    /// Forgets how jobs have ended that start again.
    fn reopen(&mut self, jobs: &[u32], settled: &[u32]) {
        let run = self.context.run.clone();
        for &job in settled {
            self.counts.remove(self.records[job as usize].outcome);
        }
        for &job in jobs.iter().chain(settled) {
            self.records[job as usize] = Self::unsettled();
            run.results().remove(&job);
            run.changed().remove(&job);
            run.forget_time(job);
            if let Some(about) = self.context.graph.about(job) {
                let mut values = run.values();
                about.provides.iter().for_each(|name| _ = values.remove(&**name));
            }
        }
    }

    fn failures_in(&self, groups: &Groups, group: u32) -> Failures {
        let failed = groups.jobs(group).into_iter().filter_map(|job| {
            let record = &self.records[job as usize];
            let failed = record.outcome == Outcome::Failed;
            let failure =
                failed.then(|| decisive_failure(record.outcome, record.detail.as_deref())).flatten()?;
            Some((self.context.graph.job(job).name.to_string(), failure.clone()))
        });
        failed.collect()
    }

    /// How the groups of the graph ended.
    pub(super) fn group_reports(&self) -> Vec<GroupReport> {
        let groups = self.context.graph.groups();
        let report = |(group, node): (u32, &GroupNode)| GroupReport {
            name: node.name.clone(),
            attempts: self.made[group as usize],
            value: self.attempts[group as usize].as_ref().and_then(|attempt| {
                let mut value = attempt.value.clone()?;
                self.context.run.emitter.redactor().mask_value(&mut value);
                Some(value)
            }),
        };
        groups.iter().map(report).collect()
    }
}

fn failed_to_begin(reason: String) -> Failure {
    Failure::new(Phase::Check, 1, FailureKind::Error, reason)
}
