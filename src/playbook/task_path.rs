//! Where a task or a group stands in its playbook: the indices on the way there, from list to list.

use std::fmt;
use std::sync::Arc;

use super::hocon::{Step, Value};

/// The index in `tasks`, then the index in the `tasks` of that group, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TaskPath(Arc<[usize]>);

impl TaskPath {
    /// One level deeper.
    pub(super) fn then(&self, index: usize) -> TaskPath {
        TaskPath(self.0.iter().copied().chain([index]).collect())
    }

    /// The way from the root of the playbook.
    pub(super) fn steps<'s>(&self) -> Vec<Step<'s>> {
        let mut steps = Vec::with_capacity(3 * self.0.len());
        for (depth, index) in self.0.iter().enumerate() {
            if depth > 0 {
                steps.push(Step::Key("group"));
            }
            steps.extend([Step::Key("tasks"), Step::Index(*index)]);
        }
        steps
    }

    /// What stands there.
    pub(super) fn value_in<'v>(&self, root: &'v mut Value) -> Option<&'v mut Value> {
        self.steps().into_iter().try_fold(root, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.item_mut(index),
        })
    }
}

/// Counted from 1, `2.1` for the first task of the group that comes second.
impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, index) in self.0.iter().enumerate() {
            let dot = if depth > 0 { "." } else { "" };
            write!(f, "{dot}{}", index + 1)?;
        }
        Ok(())
    }
}
