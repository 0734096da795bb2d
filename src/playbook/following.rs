//! Arguments that name jobs, in a playbook by the ids of their tasks: what a service is restarted after, say.
//!
//! Such an argument is a list of texts whose schema says so ([`MARK`]). Knows ids and names; not what follows on what, and
//! no places.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fault::{Fault, What};
use super::late;
use super::registry::Registry;
use super::task::Task;
use super::task_type::{ArgumentStep, TaskType};
use crate::suggest;

/// What the schema of an argument says that names jobs.
pub(super) const MARK: &str = "x-dojob-jobs";

/// The arguments of a schema that name jobs.
pub(super) fn fields(properties: Option<&Map<String, Value>>) -> Vec<String> {
    let names_jobs = |schema: &Value| schema.get(MARK) == Some(&Value::Bool(true));
    let properties = properties.into_iter().flatten();
    properties.filter(|(_, schema)| names_jobs(schema)).map(|(name, _)| name.clone()).collect()
}

/// The tasks in this order, but those that name jobs after all others, since names have to be given before they can be
/// used. One that hands on a result stays where it is, before those that use that.
pub(super) fn last(order: Vec<usize>, tasks: &[Task], registry: &Registry) -> Vec<usize> {
    let fields: BTreeSet<&String> = registry.registered().flat_map(TaskType::job_fields).collect();
    if fields.is_empty() {
        return order;
    }
    let names_jobs = |number: &usize| {
        let task = &tasks[*number];
        let mut given = task.args.as_object().into_iter().flat_map(Map::keys);
        task.register.is_none() && given.any(|name| fields.contains(name))
    };
    let (last, mut order): (Vec<usize>, Vec<usize>) = order.into_iter().partition(names_jobs);
    order.extend(last);
    order
}

/// A task that has an id.
struct Target {
    jobs: Vec<Arc<str>>,
    is_left_out: bool,
    number: usize,
}

/// What can be named.
#[derive(Default)]
pub(super) struct Targets<'a> {
    by_id: BTreeMap<&'a str, Target>,
    /// The names of all jobs so far, and whether each is left out.
    jobs: HashMap<Arc<str>, bool>,
}

impl<'a> Targets<'a> {
    /// Notes the jobs of a task; `number`: its place in the list.
    pub(super) fn add(&mut self, task: &'a Task, number: usize, jobs: Vec<Arc<str>>, is_left_out: bool) {
        self.jobs.extend(jobs.iter().map(|job| (job.clone(), is_left_out)));
        if let Some(id) = &task.id {
            self.by_id.insert(id, Target { jobs, is_left_out, number });
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
    ) -> Result<Option<Value>, Vec<Fault>> {
        let is_given = |field: &&String| args.get(*field).is_some_and(Value::is_array);
        let given: Vec<&String> = kind.job_fields().iter().filter(is_given).collect();
        if given.is_empty() {
            return Ok(None);
        }
        let (mut args, mut faults) = (args.clone(), Vec::new());
        for field in given {
            let Some(values) = args.get_mut(field).and_then(Value::as_array_mut) else { continue };
            let mut named = Vec::with_capacity(values.len());
            for (index, value) in std::mem::take(values).into_iter().enumerate() {
                let Some(name) = value.as_str() else {
                    named.push(value);
                    continue;
                };
                match self.find(name, before) {
                    Ok(jobs) => named.extend(jobs),
                    Err(what) => {
                        let path = vec![ArgumentStep::Key(field.clone()), ArgumentStep::Index(index)];
                        faults.push(Fault { path, what });
                    }
                }
            }
            *values = named;
        }
        if faults.is_empty() { Ok(Some(args)) } else { Err(faults) }
    }

    fn find(&self, name: &str, before: Option<usize>) -> Result<Vec<Value>, What> {
        match self.by_id.get(name) {
            Some(target) if before.is_some_and(|before| target.number >= before) => {
                let message = format!("`{}` is not before this task", late::escaped(name));
                let hint = "in a sequence each task waits for the one before".to_owned();
                Err(What::Unfilled { message, hint: Some(hint) })
            }
            Some(target) if target.is_left_out => Ok(Vec::new()),
            Some(target) => Ok(target.jobs.iter().map(|job| Value::from(&**job)).collect()),
            None => match self.jobs.get(name) {
                Some(true) => Ok(Vec::new()),
                Some(false) => Ok(vec![Value::from(name)]),
                None if late::has_mark(name) => Ok(vec![Value::from(name)]),
                None => Err(self.unknown(name)),
            },
        }
    }

    fn unknown(&self, name: &str) -> What {
        let known = self.by_id.keys().copied().chain(self.jobs.keys().map(|job| &**job));
        let hint = match suggest::nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "give the task that is meant an `id`".to_owned(),
        };
        let message = format!("no task has the id `{}`, and no job is called so", late::escaped(name));
        What::Unfilled { message, hint: Some(hint) }
    }
}
