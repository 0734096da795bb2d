//! Saved plans: what a dry run has found, to be reviewed, kept and applied exactly.
//!
//! Pure: a plan is made of a report, and compared with a graph and another report. It knows no files, and calls no job.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan_mismatch::{Drift, DriftKind, GraphChange, PLAN_VERSION, PlanMismatch, UnplannableError};
use crate::context::args::Args;
use crate::digest::Digest;
use crate::event::Outcome;
use crate::graph::{JobGraph, Node};
use crate::report::{JobReport, Report};

/// What a run would do, as a dry run has found it: made by [`Engine::plan`](crate::Engine::plan), applied by
/// [`Engine::apply`](crate::Engine::apply).
///
/// Its JSON is for people, too: the order is stable, and diffs have one line an entry. Secrets are masked in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    v: u32,
    scope: Option<String>,
    /// Of the graph.
    graph: String,
    /// Of the arguments of the run, secrets left out.
    arguments: String,
    /// In the order of the graph.
    would_run: Vec<PlannedJob>,
    unknown: Vec<PlannedJob>,
    /// The digests of the jobs that were in place, by name.
    in_place: BTreeMap<String, String>,
    /// The same of those that were skipped, since a condition was false.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    skipped: BTreeMap<String, String>,
    /// Of all of this, so that a plan that was edited is not taken for the one that was reviewed.
    digest: String,
}

/// A job of a plan that would run, or of which that is not known before others have run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlannedJob {
    /// Its name.
    pub job: String,
    /// Why it would run, or why its check could not find out; a job that runs every time gives no reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The jobs before it that are not in place, so that this holds as things stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How the world differs from what is wanted, line by line, where the check could tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
    /// The digest of the job in its graph.
    digest: String,
}

impl PlannedJob {
    fn of(job: JobReport<'_>) -> Self {
        PlannedJob {
            job: job.name().to_owned(),
            reason: job.reason().map(str::to_owned),
            after: job.because_of().iter().map(ToString::to_string).collect(),
            diff: lines(job.diff()),
            digest: job.node().digest().to_string(),
        }
    }
}

fn lines(diff: Option<&str>) -> Vec<String> {
    diff.map_or_else(Vec::new, |diff| diff.lines().map(str::to_owned).collect())
}

impl Plan {
    /// What a dry run has found.
    pub(super) fn new(report: &Report, scope: Option<&str>, args: &Args) -> Result<Plan, UnplannableError> {
        let blind = report.jobs().find(|job| job.outcome() == Outcome::CouldNotFindOut);
        match blind {
            _ if !report.is_no_act() => return Err(UnplannableError::NoDryRun),
            _ if report.is_stopped() || report.refusal().is_some() => {
                return Err(UnplannableError::Incomplete);
            }
            Some(job) => return Err(UnplannableError::CouldNotFindOut { job: job.name().to_owned() }),
            None => {}
        }
        let of = |outcome| report.jobs().filter(move |job| job.outcome() == outcome);
        let digests = |outcome| -> BTreeMap<String, String> {
            of(outcome).map(|job| (job.name().to_owned(), job.node().digest().to_string())).collect()
        };
        let mut plan = Plan {
            v: PLAN_VERSION,
            scope: scope.map(str::to_owned),
            graph: report.graph.digest().to_string(),
            arguments: args.digest().to_string(),
            would_run: of(Outcome::WouldRun).map(PlannedJob::of).collect(),
            unknown: of(Outcome::Unknown).map(PlannedJob::of).collect(),
            in_place: digests(Outcome::InPlace),
            skipped: digests(Outcome::Skipped),
            digest: String::new(),
        };
        plan.digest = plan.own_digest();
        Ok(plan)
    }

    /// Reads what [`to_json`](Plan::to_json) has written.
    ///
    /// # Errors
    /// When it is no plan, or not all of it, of another version, or has been edited since.
    pub fn from_json(text: &str) -> Result<Plan, PlanMismatch> {
        let unreadable = |error: serde_json::Error| PlanMismatch::Unreadable { why: error.to_string() };
        let value: Value = serde_json::from_str(text).map_err(unreadable)?;
        match value.get("v").and_then(Value::as_u64) {
            Some(version) if version == u64::from(PLAN_VERSION) => {}
            Some(version) => return Err(PlanMismatch::Version { version }),
            None => return Err(PlanMismatch::Unreadable { why: "it has no version `v`".to_owned() }),
        }
        let plan: Plan = serde_json::from_value(value).map_err(unreadable)?;
        if plan.own_digest() == plan.digest { Ok(plan) } else { Err(PlanMismatch::Edited) }
    }

    /// The plan as text: JSON on many lines, always in the same order.
    pub fn to_json(&self) -> String {
        // Made of nothing but strings, numbers and lists of these, which always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    fn own_digest(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["digest"] = Value::Null;
        Digest::of_json(&value).to_string()
    }

    /// The jobs that would run, in the order of the graph.
    pub fn would_run(&self) -> &[PlannedJob] {
        &self.would_run
    }

    /// The jobs of which that is not known before others have run, in the order of the graph.
    pub fn unknown(&self) -> &[PlannedJob] {
        &self.unknown
    }

    /// The names of the jobs that were in place, sorted.
    pub fn in_place(&self) -> impl Iterator<Item = &str> {
        self.in_place.keys().map(String::as_str)
    }

    /// The names of the jobs that were skipped, since a condition was false, sorted.
    pub fn skipped(&self) -> impl Iterator<Item = &str> {
        self.skipped.keys().map(String::as_str)
    }

    /// Whether it was made for this graph, scope and arguments.
    pub(super) fn fits(
        &self,
        graph: &JobGraph,
        scope: Option<&str>,
        args: &Args,
    ) -> Result<(), PlanMismatch> {
        if self.scope.as_deref() != scope {
            let here = scope.map(str::to_owned);
            return Err(PlanMismatch::OtherScope { planned: self.scope.clone(), here });
        }
        if self.arguments != args.digest().to_string() {
            return Err(PlanMismatch::OtherArguments);
        }
        let changes = self.changes(graph);
        if changes.is_empty() && self.graph == graph.digest().to_string() {
            return Ok(());
        }
        Err(PlanMismatch::Graph { changes })
    }

    /// In what a graph differs from the one that was planned.
    fn changes(&self, graph: &JobGraph) -> Vec<GraphChange> {
        let planned =
            self.would_run.iter().chain(&self.unknown).map(|planned| (&planned.job, &planned.digest));
        let known: BTreeMap<&String, &String> = planned.chain(&self.in_place).chain(&self.skipped).collect();
        let of = |node: Node<'_>| match known.get(&node.name().to_owned()) {
            None => Some(GraphChange::New { job: node.name().to_owned() }),
            Some(digest) if **digest != node.digest().to_string() => {
                Some(GraphChange::Changed { job: node.name().to_owned() })
            }
            Some(_) => None,
        };
        let gone = known.keys().filter(|name| graph.get(name).is_none());
        let gone = gone.map(|name| GraphChange::Gone { job: (*name).clone() });
        graph.iter().filter_map(of).chain(gone).collect()
    }

    /// Whether a dry run now finds in place what the plan saw in place, and the same to do elsewhere.
    pub(super) fn compare(&self, found: &Report) -> Result<(), PlanMismatch> {
        let planned: BTreeMap<&str, &PlannedJob> =
            self.would_run.iter().map(|planned| (planned.job.as_str(), planned)).collect();
        let drift = |job: JobReport<'_>| {
            let reason = job.reason().map(str::to_owned);
            if self.skipped.contains_key(job.name()) {
                let would_run = job.outcome() == Outcome::WouldRun;
                let how = DriftKind::NotSkipped { reason, diff: lines(job.diff()) };
                return would_run.then(|| Drift { job: job.name().to_owned(), how });
            }
            let how = match (self.in_place.contains_key(job.name()), job.outcome()) {
                (true, Outcome::WouldRun) => DriftKind::WouldRun { reason, diff: lines(job.diff()) },
                (true, Outcome::Unknown | Outcome::CouldNotFindOut) => DriftKind::CouldNotFindOut { reason },
                (false, Outcome::WouldRun) => {
                    let planned = &planned.get(job.name())?.diff;
                    let diff = lines(job.diff());
                    if planned.is_empty() || diff.is_empty() || *planned == diff {
                        return None;
                    }
                    DriftKind::OtherDifference { diff }
                }
                _ => return None,
            };
            Some(Drift { job: job.name().to_owned(), how })
        };
        let drifts: Vec<Drift> = found.jobs().filter_map(drift).collect();
        if drifts.is_empty() { Ok(()) } else { Err(PlanMismatch::Drift { drifts }) }
    }

    /// Which jobs of its graph may run.
    pub(super) fn approval(&self, graph: &JobGraph) -> Approval {
        let numbers = |jobs: &[PlannedJob]| jobs.iter().filter_map(|job| graph.number(&job.job)).collect();
        Approval { would_run: numbers(&self.would_run), unknown: numbers(&self.unknown) }
    }
}

/// The jobs that may run while a plan is applied.
#[derive(Debug)]
pub(super) struct Approval {
    would_run: HashSet<u32>,
    unknown: HashSet<u32>,
}

impl Approval {
    /// Whether a job may run.
    pub(super) fn covers(&self, job: u32) -> bool {
        self.is_planned(job) || self.unknown.contains(&job)
    }

    /// Whether a job was to run.
    pub(super) fn is_planned(&self, job: u32) -> bool {
        self.would_run.contains(&job)
    }
}
