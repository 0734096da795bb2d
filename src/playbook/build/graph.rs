//! From tasks to jobs: every task is read by its type, whether it is wanted or not, and those that are make a graph.
//!
//! All problems are noted, and nothing is built when there is one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edges;
use super::groups::Groups;
use super::input::{BuildInput, Ids};
use super::placeholders::PlaceholderCheck;
use super::task_jobs::{JobBuilder, TaskJobs, Unlinked};
use super::task_lint::TaskLint;
use crate::diagnostic::Problem;
use crate::graph::builder::GraphBuilder;
use crate::playbook::deferred;
use crate::playbook::deferred_task::RegisteredResult;
use crate::playbook::hocon::Value;
use crate::playbook::job_names::Element;
use crate::playbook::job_refs;
use crate::playbook::secrets::Fetched;
use crate::playbook::task::{Order, Task};

/// How many jobs a playbook may make.
const MOST_JOBS: usize = 1_000_000;
/// How much all arguments of its jobs may take, in characters.
const MOST_TEXT: usize = 256 * 1024 * 1024;
/// How many elements of one `for_each` are told of.
const MOST_FAULTY: usize = 5;

/// Builds the graph; an empty list of problems was found where there is one.
pub(crate) fn build(input: &BuildInput<'_>, problems: &mut Vec<Problem>) -> Option<(GraphBuilder, Ids)> {
    let before = problems.len();
    let mut builder = Builder { input, jobs: JobBuilder::new(input, problems), text: 0 };
    let waits = |number: usize| input.dependencies.waits[number].as_slice();
    let (count, nodes) = (input.tasks.tasks.len(), input.dependencies.waits.len());
    let order = job_refs::behind(builder.order(), &input.tasks.tasks, input.registry, nodes, waits);
    let mut made: Vec<Vec<Unlinked>> = (0..input.tasks.tasks.len()).map(|_| Vec::new()).collect();
    for number in order.into_iter().filter(|number| *number < count) {
        made[number] = builder.task(number);
        let names = made[number].iter().map(|job| job.0.name.clone()).collect();
        builder.jobs.targets.add(
            &input.tasks.tasks[number],
            number,
            names,
            !input.dependencies.wanted[number],
        );
        if builder.jobs.jobs > MOST_JOBS || builder.text > MOST_TEXT {
            return None;
        }
    }
    if builder.jobs.problems.len() > before {
        return None;
    }
    let mut names = builder.jobs.names;
    let groups = Groups::named(input, &mut names);
    let final_checks = builder.jobs.shared_targets.final_checks().into_iter();
    let final_checks =
        final_checks.map(|(target, check)| (names.unique(format!("last look at {target}")), check)).collect();
    let tasks = made.iter().zip(&input.tasks.tasks).zip(&input.dependencies.wanted);
    let ids = tasks.filter_map(|((jobs, task), wanted)| {
        let jobs = jobs.iter().filter(|_| *wanted).map(|job| job.0.name.clone());
        Some((task.id.clone()?, jobs.collect()))
    });
    let ids = ids.chain(groups.ids(input)).collect();
    let is_empty =
        !made.iter().zip(&input.dependencies.wanted).any(|(jobs, wanted)| *wanted && !jobs.is_empty());
    let mut graph = edges::link(input, made, names, &groups, final_checks);
    if is_empty {
        // As it is with an empty list, this is no mistake.
        graph.dummy("nothing to do");
    }
    Some((graph, ids))
}

/// Reads one task after the other.
struct Builder<'a, 'p> {
    input: &'a BuildInput<'a>,
    jobs: JobBuilder<'a, 'p>,
    /// How much the arguments take so far, in characters.
    text: usize,
}

impl<'a> Builder<'a, '_> {
    /// As in the list, but those whose results are used before those that use them.
    fn order(&self) -> Vec<usize> {
        let count = self.input.tasks.tasks.len();
        let handing: BTreeSet<usize> = self.input.dependencies.registered.values().copied().collect();
        if handing.is_empty() || self.input.tasks.order == Order::Sequence {
            return (0..count).collect();
        }
        let waits = &self.input.dependencies.waits;
        job_refs::in_order(0..count, waits.len(), |number| waits[number].clone())
    }

    fn task(&mut self, number: usize) -> Vec<Unlinked> {
        let input = self.input;
        let task: &'a Task = &input.tasks.tasks[number];
        let mut lint = TaskLint { input, problems: self.jobs.problems };
        let kind = task.name.as_ref().and_then(|name| lint.kind(task, name));
        lint.unknown_keys(task, kind.as_deref());
        let Some(kind) = kind else { return Vec::new() };
        if !task.verbatim {
            lint.braces(task, &kind);
        }
        if !task.are_args_readable {
            return Vec::new();
        }
        let Some(args) = lint.with_become(task, &kind) else { return Vec::new() };
        let roots = deferred::roots(&args);
        let mut placeholders = PlaceholderCheck { input, problems: self.jobs.problems };
        let names = if task.roots.any() { placeholders.check(task) } else { Vec::new() };
        let fetched = self.input.secrets.into_iter().flatten();
        let secrets: Fetched = fetched
            .filter(|(name, _)| names.contains(name))
            .map(|(name, secret)| (name.clone(), secret.clone()))
            .collect();
        let size = size_of(&args);
        let mut making = TaskJobs {
            task,
            number,
            kind,
            args,
            has_item: roots.item,
            secrets: Arc::new(secrets),
            told: BTreeSet::new(),
            faulty: 0,
        };
        let mut jobs = Vec::new();
        match &task.for_each {
            None => {
                self.text += size;
                jobs.extend(self.jobs.job(&mut making, None));
            }
            Some(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.text += size + if roots.item { size_of(value) } else { 0 };
                    if self.is_too_much(task) || making.faulty == MOST_FAULTY {
                        break;
                    }
                    jobs.extend(self.jobs.job(&mut making, Some(&Element { index, value })));
                }
            }
        }
        self.is_too_much(task);
        if let Some(name) = &task.register {
            let names = jobs.iter().map(|job| job.0.name.clone()).collect();
            let registered = RegisteredResult { jobs: names, is_list: task.for_each.is_some() };
            self.jobs.results.insert(name, Arc::new(registered));
        }
        jobs
    }

    fn is_too_much(&mut self, task: &Task) -> bool {
        let message = if self.jobs.jobs > MOST_JOBS {
            format!("the playbook makes more than {MOST_JOBS} jobs")
        } else if self.text > MOST_TEXT {
            format!("the arguments of all jobs take more than {} MiB", MOST_TEXT / 1024 / 1024)
        } else {
            return false;
        };
        if self.jobs.problems.last().is_none_or(|last| last.message != message) {
            self.jobs.report(task, &[], message, None);
        }
        true
    }
}

/// About how many characters a value takes.
fn size_of(value: &Value) -> usize {
    let mut size = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        size += 8;
        match value {
            Value::String(text) => size += text.len(),
            Value::Template(template) => size += template.texts().map(str::len).sum::<usize>(),
            Value::Array(values) => open.extend(values),
            Value::Object(object) => {
                size += object.keys().map(String::len).sum::<usize>();
                open.extend(object.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown(_) | Value::Invalid => {}
        }
    }
    size
}
