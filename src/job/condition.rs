//! When a job or a group is skipped, and with it whom.

use std::sync::Arc;

use anyhow::Result;

use crate::context::Context;

/// What is skipped with a job or group whose condition is false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipDepth {
    /// The job, or the jobs of the group, alone; those that depend on it go on as if it had converged.
    #[default]
    Itself,
    /// It and the jobs that depend on it directly.
    Dependents,
    /// It and all that comes after it within the group around it; outside of any group, all that comes after it.
    Group,
    /// It and all that comes after it.
    After,
}

pub(crate) type Predicate = Arc<dyn Fn(&Context) -> Result<bool> + Send + Sync>;

/// A predicate that says whether something is done at all.
#[derive(Clone)]
pub(crate) struct Condition {
    pub(crate) depth: SkipDepth,
    pub(crate) holds: Predicate,
}

impl Condition {
    pub(crate) fn new(
        depth: SkipDepth,
        holds: impl Fn(&Context) -> Result<bool> + Send + Sync + 'static,
    ) -> Condition {
        Condition { depth, holds: Arc::new(holds) }
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.depth == other.depth && Arc::ptr_eq(&self.holds, &other.holds)
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Condition").field("depth", &self.depth).finish_non_exhaustive()
    }
}
