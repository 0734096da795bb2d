//! The groups of a playbook as jobs of the graph.
//!
//! Knows groups and the names of the jobs in them; not what the jobs do.

use std::sync::Arc;

use super::input::BuildInput;
use crate::graph::builder::GraphBuilder;
use crate::job::group::Group;
use crate::playbook::job_names::JobNames;
use crate::playbook::task_group::TaskGroup;

/// The names of the groups' jobs, by their numbers; `None` where a group is left out.
pub(super) struct Groups(Vec<Option<Arc<str>>>);

impl Groups {
    /// Names them.
    pub(super) fn named(input: &BuildInput<'_>, names: &mut JobNames) -> Groups {
        let count = input.tasks.tasks.len();
        let name = |(number, group): (usize, &TaskGroup)| {
            let is_wanted = input.dependencies.wanted[count + number];
            is_wanted.then(|| names.unique(group.name.clone().unwrap_or_default()))
        };
        Groups(input.tasks.groups.iter().enumerate().map(name).collect())
    }

    /// The job that stands for a group, where it is wanted.
    pub(super) fn name(&self, group: usize) -> Option<&Arc<str>> {
        self.0.get(group)?.as_ref()
    }

    /// By the names in the playbook.
    pub(super) fn ids<'s>(
        &'s self,
        input: &'s BuildInput<'_>,
    ) -> impl Iterator<Item = (String, Vec<Arc<str>>)> + 's {
        let groups = input.tasks.groups.iter().zip(&self.0);
        groups.filter_map(|(group, job)| Some((group.name.clone()?, job.iter().cloned().collect())))
    }

    /// Adds the job of a group.
    pub(super) fn add(
        &self,
        graph: &mut GraphBuilder,
        input: &BuildInput<'_>,
        group: usize,
        members: Vec<Arc<str>>,
        after: Vec<Arc<str>>,
    ) {
        let Some(name) = self.name(group) else { return };
        let written = &input.tasks.groups[group];
        let mut job = Group::new(name.clone()).jobs_named(members).after_named(after);
        if let Some(on_failure) = written.on_failure {
            job = job.on_failure(on_failure);
        }
        if let Some(attempts) = &written.attempts {
            job = job.attempts(attempts.clone());
        }
        graph.add(job);
    }
}
