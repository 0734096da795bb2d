//! How a run ended: one outcome for each job, with everything that is known of it.
//!
//! Knows the graph and what was recorded; not how it came about, nor how it is shown.

mod hindrances;

mod refusal;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

pub(crate) use self::hindrances::Hindrances;
pub use self::refusal::Refusal;
use crate::event::{Counts, Failure, Outcome, Phase, seconds};
use crate::graph::{Node, SharedGraph};

/// The version of the report's JSON form; it changes when a field changes its meaning or goes away.
pub const REPORT_VERSION: u32 = 2;

/// What is kept of a job during a run. Small: there may be millions.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) outcome: Outcome,
    pub(crate) tries: u32,
    /// Whether a run of it was started.
    pub(crate) ran: bool,
    pub(crate) duration: Duration,
    pub(crate) detail: Option<Box<Detail>>,
}

/// What only some jobs have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detail {
    /// The check that made the first run begin.
    pub(crate) because: Option<Failure>,
    /// Of the last try.
    pub(crate) failures: Vec<Failure>,
    pub(crate) result: Option<Value>,
}

/// What [`Engine::converge`](crate::Engine::converge) returns.
#[derive(Clone)]
pub struct Report {
    pub(crate) graph: SharedGraph,
    pub(crate) records: Vec<Record>,
    pub(crate) hindrances: Hindrances,
    pub(crate) groups: Vec<GroupReport>,
    pub(crate) reverts: Vec<RevertReport>,
    pub(crate) cleanups: Vec<CleanupReport>,
    pub(crate) pending: Vec<PendingCleanup>,
    pub(crate) refusal: Option<Refusal>,
    /// Something is pending that needs a decision.
    pub(crate) needs_decision: bool,
    pub(crate) started: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) no_act: bool,
    pub(crate) timed_out: bool,
    pub(crate) stopped: bool,
    pub(crate) counts: Counts,
}

impl Report {
    /// Whether every job is in its wanted state, every cleanup that was called succeeded, and no process that an earlier
    /// run has left was beyond ending.
    pub fn success(&self) -> bool {
        self.converged() && self.failed_cleanups().next().is_none() && !self.needs_decision
    }

    /// Whether every job is in its wanted state or was skipped, whatever became of the cleanups.
    pub fn converged(&self) -> bool {
        self.counts.converged() == self.records.len()
    }

    /// Whether at least one job is in its wanted state.
    pub fn partial_success(&self) -> bool {
        self.counts.in_place + self.counts.changed > 0
    }

    /// The opposite of [`success`](Report::success).
    pub fn failure(&self) -> bool {
        !self.success()
    }

    /// Whether this was a dry run.
    pub fn is_no_act(&self) -> bool {
        self.no_act
    }

    /// Whether the run was ended before all jobs had settled by themselves.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether jobs were left because the time of the run was over ([`Engine::time_limit`](crate::Engine::time_limit)).
    pub fn is_timed_out(&self) -> bool {
        self.timed_out
    }

    /// The time of day at which the run began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// How long the run took, cleanups included.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// How many jobs ended how.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The jobs in the order of the graph.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = JobReport<'_>> {
        self.graph.iter().zip(&self.records).map(|(node, record)| JobReport { report: self, node, record })
    }

    /// The job of this name.
    ///
    /// # Panics
    /// When the graph has no such job; [`get`](Report::get) does not.
    pub fn job(&self, name: &str) -> JobReport<'_> {
        self.get(name).unwrap_or_else(|| panic!("there is no job `{name}` in this report"))
    }

    /// The job of this name, if the graph has one.
    pub fn get(&self, name: &str) -> Option<JobReport<'_>> {
        let node = self.graph.get(name)?;
        Some(JobReport { report: self, node, record: &self.records[node.id() as usize] })
    }

    /// The cleanups that were called, in that order.
    pub fn cleanups(&self) -> &[CleanupReport] {
        &self.cleanups
    }

    /// The cleanups that failed.
    pub fn failed_cleanups(&self) -> impl Iterator<Item = &CleanupReport> {
        self.cleanups.iter().filter(|cleanup| cleanup.failure.is_some())
    }

    /// The groups of the graph, outer ones first.
    pub fn groups(&self) -> &[GroupReport] {
        &self.groups
    }

    /// What was reverted, in that order, and what was not.
    pub fn reverts(&self) -> &[RevertReport] {
        &self.reverts
    }

    /// Whether a revert has failed, so that some of what was run is still to be reverted.
    pub fn is_revert_incomplete(&self) -> bool {
        self.reverts.iter().any(|revert| matches!(revert.ending, RevertEnding::Failed(_)))
    }

    /// What earlier convergences left pending and this one has not called: for lack of a job of that name, because it was
    /// declined on purpose, or because this is a dry run.
    pub fn pending(&self) -> &[PendingCleanup] {
        &self.pending
    }

    /// Why nothing was started, where that is so.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The exit code of a provisioning binary that ends with this report: 0 converged (no-act: nothing to do), 1 a job
    /// or a cleanup failed or a check could not find out, 3 no-act: something would run, 4 it was
    /// [refused](Report::refusal), 130 stopped.
    pub fn exit_code(&self) -> u8 {
        if self.refusal.is_some() {
            4
        } else if self.stopped {
            130
        } else if self.success() {
            0
        } else if self.no_act && self.counts.could_not_find_out == 0 && self.counts.failed == 0 {
            3
        } else {
            1
        }
    }
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report")
            .field("counts", &self.counts)
            .field("failed_cleanups", &self.failed_cleanups().count())
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

/// How one job ended.
#[derive(Clone, Copy)]
pub struct JobReport<'r> {
    report: &'r Report,
    node: Node<'r>,
    record: &'r Record,
}

impl<'r> JobReport<'r> {
    /// Its name.
    pub fn name(self) -> &'r str {
        self.node.name()
    }

    /// The job in its graph.
    pub fn node(self) -> Node<'r> {
        self.node
    }

    /// How it ended.
    pub fn outcome(self) -> Outcome {
        self.record.outcome
    }

    /// Whether it is in its wanted state.
    pub fn is_converged(self) -> bool {
        self.record.outcome.is_converged()
    }

    /// How many tries it had.
    pub fn tries(self) -> u32 {
        self.record.tries
    }

    /// How long they took together, waiting in between not counted.
    pub fn duration(self) -> Duration {
        self.record.duration
    }

    /// Why it ended so: for a job that was changed or would run, what its check said; for one that failed, what its
    /// last recheck said, or the check that could not find out.
    pub fn reason(self) -> Option<&'r str> {
        self.decisive_failure().map(|failure| failure.reason.as_str())
    }

    /// The failure that [`reason`](JobReport::reason) is from.
    pub fn decisive_failure(self) -> Option<&'r Failure> {
        decisive_failure(self.record.outcome, self.record.detail.as_deref())
    }

    /// How the world differed from what is wanted, where its check could tell.
    pub fn diff(self) -> Option<&'r str> {
        let because = self.record.detail.as_ref().and_then(|detail| detail.because.as_ref());
        because.into_iter().chain(self.failures()).find_map(|failure| failure.diff.as_deref())
    }

    /// The failures of its last try, in order. Those of a converged job are no problem any more: the check that made it
    /// run in that try, and perhaps a run that returned an error and yet did its work.
    pub fn failures(self) -> &'r [Failure] {
        self.record.detail.as_ref().map_or(&[], |detail| &detail.failures)
    }

    /// The direct dependencies that block it, or until which it is unknown. In a [look ahead](crate::Engine::look_ahead)
    /// the jobs before it that are not in place, so that the outcome is one as things stand: the direct dependencies among
    /// them, and behind one that is in place the first that it waits for itself.
    pub fn because_of(self) -> Vec<Arc<str>> {
        let Report { graph, records, hindrances, .. } = self.report;
        hindrances.of(graph, self.node.id(), |id| Some(records[id as usize].outcome))
    }

    /// Whether a look ahead has found it in place, and a job before it is not, so that it may change.
    pub fn may_change(self) -> bool {
        self.outcome() == Outcome::InPlace && self.report.hindrances.has(self.node.id())
    }

    /// What it has handed on, secrets masked.
    pub fn result(self) -> Option<&'r Value> {
        self.record.detail.as_ref()?.result.as_ref()
    }
}

/// The failure that explains an outcome best.
pub(crate) fn decisive_failure(outcome: Outcome, detail: Option<&Detail>) -> Option<&Failure> {
    match outcome {
        Outcome::InPlace | Outcome::Skipped => None,
        // A job that runs every time has no check that could say why.
        Outcome::Changed => detail?.because.as_ref(),
        _ => detail?.failures.last(),
    }
}

impl std::fmt::Debug for JobReport<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobReport")
            .field("name", &self.name())
            .field("outcome", &self.outcome())
            .field("tries", &self.tries())
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

/// How a group was attempted. Whether it converged says the job of its name.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct GroupReport {
    /// The group's name.
    pub name: Arc<str>,
    /// How many attempts have begun, those of an earlier, interrupted convergence included; 0 where the group has no attempts policy, or
    /// none has begun.
    pub attempts: u32,
    /// What the last one was attempted with, secrets masked, where the group is attempted for each of several values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// How one cleanup ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CleanupReport {
    /// The job's name.
    pub job: Arc<str>,
    /// The try whose run it cleans up after.
    #[serde(rename = "try")]
    pub attempt: u32,
    /// When the convergence began whose run that was, where it was an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Timestamp>,
    /// Why it failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
}

/// A cleanup or a revert that an earlier convergence has left to do.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct PendingCleanup {
    /// The job's name.
    pub job: Arc<str>,
    /// The try whose run it belongs to.
    #[serde(rename = "try")]
    pub attempt: u32,
    /// When the convergence began whose run that was.
    pub of: Timestamp,
    /// [`Phase::Cleanup`] or [`Phase::Revert`].
    pub phase: Phase,
    /// Whether it was left out on purpose: then it is called only on request.
    pub declined: bool,
    /// Whether the graph has a job of this name, without which it cannot be called.
    pub has_job: bool,
    /// Whether the job is known to have such a phase. Otherwise that turns out when it is called.
    pub certain: bool,
}

/// What became of a run that was to be reverted.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct RevertReport {
    /// The job's name.
    pub job: Arc<str>,
    /// The try whose run it is.
    #[serde(rename = "try")]
    pub attempt: u32,
    /// When the convergence began whose run that was, where it was an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<Timestamp>,
    /// How it ended.
    pub ending: RevertEnding,
    /// How long it took.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
}

/// How reverting a run ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevertEnding {
    /// Its revert has succeeded.
    Reverted,
    /// The job has no revert: what it did stays.
    NoRevert,
    /// Its revert has failed.
    Failed(Box<Failure>),
    /// An earlier one had failed.
    NotReached,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Report", 16)?;
        fields.serialize_field("v", &REPORT_VERSION)?;
        fields.serialize_field("started", &self.started)?;
        fields.serialize_field("seconds", &self.duration.as_secs_f64())?;
        fields.serialize_field("no_act", &self.no_act)?;
        fields.serialize_field("stopped", &self.stopped)?;
        fields.serialize_field("success", &self.success())?;
        fields.serialize_field("converged", &self.converged())?;
        fields.serialize_field("partial_success", &self.partial_success())?;
        fields.serialize_field("counts", &self.counts)?;
        fields.serialize_field("jobs", &Sequence(|| self.jobs()))?;
        fields.serialize_field("groups", &self.groups)?;
        fields.serialize_field("reverts", &self.reverts)?;
        fields.serialize_field("revert_incomplete", &self.is_revert_incomplete())?;
        fields.serialize_field("cleanups", &self.cleanups)?;
        fields.serialize_field("pending", &self.pending)?;
        fields.serialize_field("refusal", &self.refusal)?;
        fields.end()
    }
}

/// Serializes an iterator without collecting it.
struct Sequence<F>(F);

impl<F, I> Serialize for Sequence<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

impl Serialize for JobReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Fields<'a> {
            name: &'a str,
            kind: crate::job::JobKind,
            outcome: Outcome,
            tries: u32,
            seconds: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            because_of: Vec<Arc<str>>,
            #[serde(skip_serializing_if = "<[Failure]>::is_empty")]
            failures: &'a [Failure],
            #[serde(skip_serializing_if = "Option::is_none")]
            result: Option<&'a Value>,
        }
        Fields {
            name: self.name(),
            kind: self.node.kind(),
            outcome: self.outcome(),
            tries: self.tries(),
            seconds: self.duration().as_secs_f64(),
            reason: self.reason(),
            because_of: self.because_of(),
            failures: self.failures(),
            result: self.result(),
        }
        .serialize(serializer)
    }
}
