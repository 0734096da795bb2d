//! What is said about a job beside what it does: whether it is a group, when it is skipped, what it needs and shares.
//!
//! Only the values; the graph keeps those of the few jobs that have any.

use std::sync::Arc;

use super::condition::Condition;
use super::policy::GroupSpec;

/// What is said about a job. Most jobs have nothing of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct About {
    /// It stands for a group: so many of its dependencies, the first ones, are the jobs of the group.
    pub(crate) group: Option<(Arc<GroupSpec>, usize)>,
    pub(crate) condition: Option<Condition>,
    /// Values by name that another job has to provide.
    pub(crate) requires: Vec<Arc<str>>,
    pub(crate) provides: Vec<Arc<str>>,
    /// The limits that it counts against.
    pub(crate) uses: Vec<Arc<str>>,
}

impl About {
    pub(crate) fn is_empty(&self) -> bool {
        *self == About::default()
    }

    /// This and that together; a condition of `other` takes the place of the one that was there.
    pub(crate) fn and(mut self, other: About) -> About {
        self.group = self.group.or(other.group);
        self.condition = other.condition.or(self.condition);
        self.requires.extend(other.requires);
        self.provides.extend(other.provides);
        self.uses.extend(other.uses);
        self
    }
}
