//! Why a plan cannot be made, or is not applied.

use std::fmt;

use serde::Serialize;

/// The version of the form in which plans are written; it changes when a field changes its meaning or goes away.
pub const PLAN_VERSION: u32 = 1;

/// Why a report makes no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnplannableError {
    /// It is of a run, and not of a dry run.
    #[error("a plan is made by a dry run, and this was none")]
    NoDryRun,
    /// The dry run was stopped or refused.
    #[error("the dry run did not come to its end, so there is no plan")]
    Incomplete,
    /// A check could not find out how things are, though nothing before it is open.
    #[error("there is no plan, since the check of {job} could not find out how things are")]
    CouldNotFindOut {
        /// The first such job.
        job: String,
    },
}

/// Why a plan is not applied. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlanMismatch {
    /// It is no plan, or not all of it.
    #[error("this is no plan, or not all of it: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// It has another version than this program writes.
    #[error("the plan has version {version}, and this program knows version {}", PLAN_VERSION)]
    Version {
        /// The version of the plan.
        version: u64,
    },
    /// It is not what was written.
    #[error("the plan was edited after it was written; plan again")]
    Edited,
    /// It was made in another scope: by another program, or for another root.
    #[error("the plan was made for {}, and this is {}", scope(.planned), scope(.here))]
    OtherScope {
        /// The scope of the plan.
        planned: Option<String>,
        /// The scope in which it was to be applied.
        here: Option<String>,
    },
    /// The run has other arguments than the plan.
    #[error("the plan was made with other arguments; give the same, or plan again")]
    OtherArguments,
    /// The graph is not the one that was planned.
    #[error("the plan was made for other jobs{}", listed(.changes))]
    Graph {
        /// What has changed; where it is the order of the jobs alone, nothing.
        changes: Vec<GraphChange>,
    },
    /// The world is not the one that was planned.
    #[error("things are not as they were when the plan was made{}", listed(.drifts))]
    Drift {
        /// The jobs for which it is not, in the order of the graph.
        drifts: Vec<Drift>,
    },
}

/// How a graph differs from that of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GraphChange {
    /// The plan does not know this job.
    New {
        /// The job.
        job: String,
    },
    /// This job is not there any more.
    Gone {
        /// The job.
        job: String,
    },
    /// This job has another type, other arguments, or other dependencies.
    Changed {
        /// The job.
        job: String,
    },
}

/// A job that is not as a plan saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// The job.
    pub job: String,
    /// How it is now.
    #[serde(flatten)]
    pub how: DriftKind,
}

/// How a job differs from what a plan saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "now", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftKind {
    /// It was in place, and would run.
    WouldRun {
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How the world differs from what is wanted, line by line, where the check could tell.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        diff: Vec<String>,
    },
    /// It was skipped, and would run.
    NotSkipped {
        /// Why it would run.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How the world differs from what is wanted, line by line, where the check could tell.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        diff: Vec<String>,
    },
    /// It was in place, and its check could not find out whether it is.
    CouldNotFindOut {
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// It would run, and make another change than the one that was planned.
    OtherDifference {
        /// How the world differs from what is wanted now, line by line.
        diff: Vec<String>,
    },
}

impl fmt::Display for GraphChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GraphChange::New { job } => write!(f, "{job} is new"),
            GraphChange::Gone { job } => write!(f, "{job} is gone"),
            GraphChange::Changed { job } => {
                write!(f, "{job} has another type, other arguments or other dependencies")
            }
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, reason) = match &self.how {
            DriftKind::WouldRun { reason, .. } => ("was in place and would run now", reason),
            DriftKind::NotSkipped { reason, .. } => ("was skipped and would run now", reason),
            DriftKind::CouldNotFindOut { reason } => {
                ("was in place, and now its check could not find out", reason)
            }
            DriftKind::OtherDifference { .. } => ("would make another change than was planned", &None),
        };
        write!(f, "{} {what}", self.job)?;
        reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

fn scope(scope: &Option<String>) -> String {
    scope.as_ref().map_or_else(|| "no scope of its own".to_owned(), |scope| format!("the scope {scope}"))
}

/// So many are named, each on a line of its own.
const SHOWN: usize = 20;

fn listed(items: &[impl fmt::Display]) -> String {
    let mut text: String = items.iter().take(SHOWN).map(|item| format!("\n  {item}")).collect();
    if let Some(more) = items.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!("\n  … and {more} more"));
    }
    text
}
