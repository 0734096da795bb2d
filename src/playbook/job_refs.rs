//! Arguments that name jobs, in a playbook by the ids of their tasks: what a service is restarted after, say.
//!
//! Such an argument is a list of texts whose schema says so (`x-dojob-jobs`).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::argument_path::ArgumentStep;
use super::hocon::Value;
use super::prose::escaped;
use super::registry::Registry;
use super::task::Task;
use super::task_type::TaskType;
use super::violation::Violation;
use super::violation::ViolationKind;
use crate::suggest;

/// How many names that mean nothing are given a similar one.
const MOST_HINTS: usize = 100;

/// The tasks in this order, but each behind those that its arguments name by their ids, since names have to be given
/// before they can be used; and those that name jobs in another way behind all others. `waits`: what each has to be behind
/// in any case; among the `count` of those there may be groups, which are numbered behind the tasks.
pub(super) fn behind<'w>(
    order: Vec<usize>,
    tasks: &[Task],
    registry: &Registry,
    count: usize,
    waits: impl Fn(usize) -> &'w [usize],
) -> Vec<usize> {
    let fields: BTreeSet<&String> = registry.registered().flat_map(TaskType::job_fields).collect();
    if fields.is_empty() {
        return order;
    }
    let names = |number: usize| {
        let given = tasks.get(number).and_then(|task| task.args.as_object()).into_iter().flatten();
        let given = given.filter(|(name, _)| fields.contains(name)).filter_map(|(_, value)| value.as_array());
        given.flatten().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    if !order.iter().any(|number| names(*number).next().is_some()) {
        return order;
    }
    let ids = tasks.iter().enumerate().filter_map(|(number, task)| Some((task.id.as_deref()?, number)));
    let ids: HashMap<&str, usize> = ids.collect();
    let (last, first): (Vec<usize>, Vec<usize>) =
        order.into_iter().partition(|number| names(*number).any(|name| !ids.contains_key(name.as_str())));
    in_order(first.into_iter().chain(last), count, |number| {
        let named = names(number).filter_map(|name| ids.get(name.as_str()).copied());
        waits(number).iter().copied().chain(named).collect()
    })
}

/// These tasks, each behind those that are `before` it. A circle is told of elsewhere, and broken anywhere.
pub(super) fn in_order(
    roots: impl IntoIterator<Item = usize>,
    count: usize,
    before: impl Fn(usize) -> Vec<usize>,
) -> Vec<usize> {
    let mut order = Vec::with_capacity(count);
    let mut seen = vec![false; count];
    for root in roots {
        let mut open = vec![(root, false)];
        while let Some((number, is_done)) = open.pop() {
            if is_done {
                order.push(number);
            } else if !std::mem::replace(&mut seen[number], true) {
                open.push((number, true));
                let before = before(number).into_iter().rev();
                open.extend(before.filter(|other| !seen[*other]).map(|other| (other, false)));
            }
        }
    }
    order
}

/// A task that has an id.
struct NamedTask {
    jobs: Vec<Arc<str>>,
    is_left_out: bool,
    number: usize,
}

/// What can be named.
#[derive(Default)]
pub(super) struct NamedTasks<'a> {
    by_id: BTreeMap<&'a str, NamedTask>,
    /// The names of all jobs so far, and whether each is left out.
    jobs: HashMap<Arc<str>, bool>,
    /// How often a similar name was looked for, which takes a look at all of them.
    hints: Cell<usize>,
}

impl<'a> NamedTasks<'a> {
    /// Notes the jobs of a task; `number`: its place in the list.
    pub(super) fn add(&mut self, task: &'a Task, number: usize, jobs: Vec<Arc<str>>, is_left_out: bool) {
        self.jobs.extend(jobs.iter().map(|job| (job.clone(), is_left_out)));
        if let Some(id) = &task.id {
            self.by_id.insert(id, NamedTask { jobs, is_left_out, number });
        }
    }

    /// The arguments with the names of jobs in the place of ids; `None` where there are none such. Who follows on a task
    /// that is left out does not follow on it. `before`: only tasks before this number can be named.
    ///
    /// # Errors
    /// Names that mean nothing.
    pub(super) fn named(
        &self,
        kind: &TaskType,
        args: &Value,
        before: Option<usize>,
    ) -> Result<Option<Value>, Vec<Violation>> {
        let is_given = |field: &&String| args.get(field).is_some_and(Value::is_array);
        let given: Vec<&String> = kind.job_fields().iter().filter(is_given).collect();
        if given.is_empty() {
            return Ok(None);
        }
        let (mut args, mut violations) = (args.clone(), Vec::new());
        for field in given {
            let Some(values) = args.get_mut(field).and_then(Value::as_array_mut) else { continue };
            let mut named = Vec::with_capacity(values.len());
            for (index, value) in std::mem::take(values).into_iter().enumerate() {
                let name = match &value {
                    Value::String(name) => name.clone(),
                    // As an `id` may be one.
                    Value::Number(number) => number.to_string(),
                    _ => {
                        named.push(value);
                        continue;
                    }
                };
                match self.find(&name, before) {
                    Ok(jobs) => named.extend(jobs),
                    Err(what) => {
                        let path = vec![ArgumentStep::Key(field.clone()), ArgumentStep::Index(index)];
                        violations.push(Violation { path, what });
                    }
                }
            }
            *values = named;
        }
        if violations.is_empty() { Ok(Some(args)) } else { Err(violations) }
    }

    fn find(&self, name: &str, before: Option<usize>) -> Result<Vec<Value>, ViolationKind> {
        match self.by_id.get(name) {
            Some(target) if before.is_some_and(|before| target.number >= before) => {
                let message = format!("`{}` is not before this task", escaped(name));
                let hint = "in a sequence each task waits for the one before".to_owned();
                Err(ViolationKind::Unfilled { message, hint: Some(hint) })
            }
            Some(target) if target.is_left_out => Ok(Vec::new()),
            Some(target) => Ok(target.jobs.iter().map(|job| Value::from(&**job)).collect()),
            None => match self.jobs.get(name) {
                Some(true) => Ok(Vec::new()),
                Some(false) => Ok(vec![Value::from(name)]),
                None => Err(self.unknown(name)),
            },
        }
    }

    fn unknown(&self, name: &str) -> ViolationKind {
        let known = self.by_id.keys().copied().chain(self.jobs.keys().map(|job| &**job));
        self.hints.set(self.hints.get() + 1);
        let near = if self.hints.get() <= MOST_HINTS { suggest::nearest(name, known) } else { None };
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "give that task an `id`".to_owned(),
        };
        let message = format!("no task has the id `{}`, and no job is called so", escaped(name));
        ViolationKind::Unfilled { message, hint: Some(hint) }
    }
}
