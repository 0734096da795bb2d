//! What a graph of jobs is built from, and what comes of it beside the graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Place, Problem};
use crate::playbook::dependencies::Dependencies;
use crate::playbook::hocon::{Places, Step};
use crate::playbook::registry::Registry;
use crate::playbook::secrets::Fetched;
use crate::playbook::task::{Task, Tasks};

/// What a graph is built from.
pub(crate) struct BuildInput<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) tasks: &'a Tasks,
    pub(crate) places: &'a Places,
    pub(crate) dependencies: &'a Dependencies,
    /// `None` while they are not fetched: such a graph can be looked at, not run.
    pub(crate) secrets: Option<&'a Fetched>,
    pub(crate) today: Option<String>,
}

impl BuildInput<'_> {
    /// Where a part of a task was written.
    pub(super) fn place(&self, task: &Task, rest: &[Step<'_>]) -> Option<Place> {
        let mut path = task.path.steps();
        path.extend_from_slice(rest);
        self.places.near(&path)
    }

    /// A problem with a part of a task.
    pub(super) fn problem(
        &self,
        task: &Task,
        rest: &[Step<'_>],
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        Problem { place: self.place(task, rest), message: message.into(), hint }
    }
}

/// The names of the jobs of each task that has an id; none where it is left out.
pub(crate) type Ids = BTreeMap<String, Vec<Arc<str>>>;
