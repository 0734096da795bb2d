//! From tasks to jobs: every task is read by its type, whether it is wanted or not, and those that are make a graph.
//!
//! Knows tasks, types and the graph's builder; not where the text came from. All problems are noted, and nothing is
//! built when there is one.

mod edges;
mod element;
mod final_check;
mod placeholders;
mod shared_targets;
mod task_jobs;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use self::shared_targets::Sharing;
use self::task_jobs::TaskJobs;
use super::cursor::{as_steps, listed};
use super::deferred;
use super::deferred_task::RegisteredResult;
use super::dependencies::Dependencies;
use super::foreign;
use super::hocon::{Places, Step};
use super::job_names::{Element, JobNames};
use super::job_refs::{self, NamedTasks};
use super::problem::{Place, Problem};
use super::quote_lint;
use super::registry::Registry;
use super::secrets::Fetched;
use super::task::{Order, TASK_KEYS, Task, Tasks};
use super::task_type::{ArgumentStep, TaskType};
use crate::graph::builder::GraphBuilder;
use crate::job::AnyJob;
use crate::suggest;

/// How many jobs a playbook may make.
const MOST_JOBS: usize = 1_000_000;
/// How much all arguments of its jobs may take, in characters.
const MOST_TEXT: usize = 256 * 1024 * 1024;
/// How many elements of one `for_each` are told of.
const MOST_FAULTY: usize = 5;

/// What a graph is built from.
pub(super) struct BuildInput<'a> {
    pub(super) registry: &'a Registry,
    pub(super) tasks: &'a Tasks,
    pub(super) places: &'a Places,
    pub(super) dependencies: &'a Dependencies,
    /// `None` while they are not fetched: such a graph can be looked at, not run.
    pub(super) secrets: Option<&'a Fetched>,
    pub(super) today: Option<String>,
}

/// The names of the jobs of each task that has an id; none where it is left out.
pub(crate) type Ids = BTreeMap<String, Vec<Arc<str>>>;

/// Builds the graph; an empty list of problems was found where there is one.
pub(super) fn build(plan: &BuildInput<'_>, problems: &mut Vec<Problem>) -> Option<(GraphBuilder, Ids)> {
    let before = problems.len();
    let mut builder = Builder {
        plan,
        problems,
        names: JobNames::new(plan.today.clone()),
        results: BTreeMap::new(),
        targets: NamedTasks::default(),
        sharing: Sharing::new(),
        shares_somewhere: plan.tasks.tasks.iter().any(|task| task.may_share_target),
        jobs: 0,
        text: 0,
    };
    let waits = |number: usize| plan.dependencies.waits[number].as_slice();
    let order = job_refs::behind(builder.order(), &plan.tasks.tasks, plan.registry, waits);
    let mut made: Vec<Vec<Unlinked>> = (0..plan.tasks.tasks.len()).map(|_| Vec::new()).collect();
    for number in order {
        made[number] = builder.task(number);
        let names = made[number].iter().map(|job| job.0.name.clone()).collect();
        builder.targets.add(&plan.tasks.tasks[number], number, names, !plan.dependencies.wanted[number]);
        if builder.jobs > MOST_JOBS || builder.text > MOST_TEXT {
            return None;
        }
    }
    if builder.problems.len() > before {
        return None;
    }
    let mut names = builder.names;
    let final_checks = builder.sharing.final_checks().into_iter();
    let final_checks = final_checks
        .map(|(target, cursor)| (names.unique(format!("last look at {target}")), cursor))
        .collect();
    let tasks = made.iter().zip(&plan.tasks.tasks).zip(&plan.dependencies.wanted);
    let ids = tasks.filter_map(|((jobs, task), wanted)| {
        let jobs = jobs.iter().filter(|_| *wanted).map(|job| job.0.name.clone());
        Some((task.id.clone()?, jobs.collect()))
    });
    let ids = ids.collect();
    let is_empty =
        !made.iter().zip(&plan.dependencies.wanted).any(|(jobs, wanted)| *wanted && !jobs.is_empty());
    let mut graph = edges::link(plan, made, names, final_checks);
    if is_empty {
        // As it is with an empty list, this is no mistake.
        graph.dummy("nothing to do");
    }
    Some((graph, ids))
}

/// A job that does not know yet what it waits for.
struct Unlinked(AnyJob);

struct Builder<'a, 'p> {
    plan: &'a BuildInput<'a>,
    problems: &'p mut Vec<Problem>,
    names: JobNames,
    /// The jobs behind the names of results, of the tasks so far.
    results: BTreeMap<&'a str, Arc<RegisteredResult>>,
    /// What tasks so far can be named by others.
    targets: NamedTasks<'a>,
    /// What the jobs so far are about.
    sharing: Sharing,
    /// Some task may share its target.
    shares_somewhere: bool,
    jobs: usize,
    text: usize,
}

impl<'a> Builder<'a, '_> {
    /// As in the list, but those whose results are used before those that use them.
    fn order(&self) -> Vec<usize> {
        let count = self.plan.tasks.tasks.len();
        let handing: BTreeSet<usize> = self.plan.dependencies.registered.values().copied().collect();
        if handing.is_empty() || self.plan.tasks.order == Order::Sequence {
            return (0..count).collect();
        }
        job_refs::in_order(0..count, count, |number| self.plan.dependencies.waits[number].clone())
    }

    fn task(&mut self, number: usize) -> Vec<Unlinked> {
        let plan = self.plan;
        let task: &'a Task = &plan.tasks.tasks[number];
        let kind = task.name.as_ref().and_then(|name| self.kind(task, name));
        self.unknown_keys(task, kind.as_deref());
        let Some(kind) = kind else { return Vec::new() };
        if !task.verbatim {
            self.braces(task, &kind);
        }
        if !task.are_args_readable {
            return Vec::new();
        }
        let Some(args) = self.with_become(task, &kind) else { return Vec::new() };
        let roots = deferred::roots(&args);
        let names = if task.roots.any() { self.check_placeholders(task) } else { Vec::new() };
        let fetched = self.plan.secrets.into_iter().flatten();
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
                jobs.extend(self.job(&mut making, None));
            }
            Some(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.text += size + if roots.item { size_of(value) } else { 0 };
                    if self.is_too_much(task) || making.faulty == MOST_FAULTY {
                        break;
                    }
                    jobs.extend(self.job(&mut making, Some(&Element { index, value })));
                }
            }
        }
        self.is_too_much(task);
        if let Some(name) = &task.register {
            let names = jobs.iter().map(|job| job.0.name.clone()).collect();
            let registered = RegisteredResult { jobs: names, is_list: task.for_each.is_some() };
            self.results.insert(name, Arc::new(registered));
        }
        jobs
    }

    fn is_too_much(&mut self, task: &Task) -> bool {
        let message = if self.jobs > MOST_JOBS {
            format!("the playbook makes more than {MOST_JOBS} jobs")
        } else if self.text > MOST_TEXT {
            format!("the arguments of all jobs take more than {} MiB", MOST_TEXT / 1024 / 1024)
        } else {
            return false;
        };
        if self.problems.last().is_none_or(|last| last.message != message) {
            self.problem(task, &[], message, None);
        }
        true
    }

    fn place(&self, task: &Task, rest: &[Step<'_>]) -> Option<Place> {
        let mut path = vec![Step::Key("tasks"), Step::Index(task.index)];
        path.extend_from_slice(rest);
        self.plan.places.near(&path)
    }

    fn problem(&mut self, task: &Task, rest: &[Step<'_>], message: impl Into<String>, hint: Option<String>) {
        let place = self.place(task, rest);
        self.problems.push(Problem { place, message: message.into(), hint });
    }

    fn kind(&mut self, task: &'a Task, name: &str) -> Option<Arc<TaskType>> {
        match self.plan.registry.shared(name) {
            Ok(kind) => Some(kind),
            Err(unknown) => {
                let message = format!("there is no task type `{}`", deferred::escaped(&unknown.name));
                let foreign = foreign::task_type(name, &|name| self.plan.registry.has(name));
                let hint = match (foreign, &unknown.suggestion, self.plan.registry.registered().len()) {
                    (Some(advice), ..) => advice,
                    (None, Some(near), _) => format!("did you mean `{near}`?"),
                    (None, None, 0) => "no task types are linked into this program".to_owned(),
                    (None, None, _) => "`dojob types` lists what there is".to_owned(),
                };
                self.problem(task, &[Step::Key("name")], message, Some(hint));
                None
            }
        }
    }

    /// Reports keys that no task has; those of its arguments belong below `args`.
    fn unknown_keys(&mut self, task: &'a Task, kind: Option<&TaskType>) {
        for key in &task.unknown {
            let registry = self.plan.registry;
            let argument = kind.filter(|kind| kind.fields().iter().any(|field| field.name == *key));
            let hint = if let Some(kind) = argument {
                format!("it is an argument of `{}`: write `args {{ {key}: … }}`", kind.name())
            } else if let Some(advice) = foreign::task_key(key, &|name| registry.has(name)) {
                advice
            } else if let Some(near) = suggest::nearest(key, TASK_KEYS) {
                format!("did you mean `{near}`?")
            } else {
                format!("a task has {}; the arguments of its type are below `args`", listed(&TASK_KEYS))
            };
            let way = [Step::Key("tasks"), Step::Index(task.index), Step::Key(key)];
            let place = self.plan.places.of_key(&way).or_else(|| self.plan.places.near(&way));
            let message = format!("a task has no `{}`", deferred::escaped(&deferred::shown(key)));
            self.problems.push(Problem { place, message, hint: Some(hint) });
        }
    }

    /// Reports placeholders of templates in arguments that are no templates.
    fn braces(&mut self, task: &'a Task, kind: &TaskType) {
        let mut open: Vec<(Vec<Step<'a>>, &'a Value)> = task
            .deferrable_parts()
            .filter(|(_, value)| has_braces(value))
            .map(|(way, value)| {
                ([Step::Key("tasks"), Step::Index(task.index)].into_iter().chain(way).collect(), value)
            })
            .collect();
        let vars = self.plan.tasks.vars.as_ref();
        while let Some((path, value)) = open.pop() {
            let below = |step| path.iter().copied().chain([step]).collect::<Vec<_>>();
            match value {
                Value::String(text) => {
                    self.problems.extend(quote_lint::check_braces(&path, text, vars, self.plan.places));
                }
                Value::Array(values) => {
                    let items = values.iter().enumerate();
                    open.extend(items.map(|(index, value)| (below(Step::Index(index)), value)));
                }
                Value::Object(object) => {
                    let is_args = path.len() == 3 && path[2] == Step::Key("args");
                    for (key, value) in object {
                        if !(is_args && kind.is_template(key)) {
                            open.push((below(Step::Key(key)), value));
                        }
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }

    /// The arguments, with the task's `become` among them where its type has such a field.
    fn with_become(&mut self, task: &'a Task, kind: &TaskType) -> Option<Cow<'a, Value>> {
        const BECOME: &str = "become";
        let is_known = kind.fields().iter().any(|field| field.name == BECOME);
        let among = task.args.get(BECOME).filter(|_| is_known).map(|value| (value, &["args", BECOME][..]));
        for (value, way) in task.r#become.iter().map(|value| (value, &[BECOME][..])).chain(among) {
            if is_truth(value) {
                let message =
                    format!("`become` is {}, expected the name of a user", super::schema_check::told(value));
                let way: Vec<Step<'_>> = way.iter().map(|name| Step::Key(name)).collect();
                self.problem(task, &way, message, Some("write `become: root`, or leave it out".to_owned()));
                return None;
            }
        }
        let Some(r#become) = &task.r#become else { return Some(Cow::Borrowed(&task.args)) };
        let key = [Step::Key("become")];
        if !is_known {
            let message = format!("`{}` does nothing as another user", kind.name());
            self.problem(task, &key, message, Some("leave `become` out".to_owned()));
            return Some(Cow::Borrowed(&task.args));
        }
        let mut args = task.args.clone();
        let object: &mut Map<String, Value> = args.as_object_mut()?;
        if object.insert("become".to_owned(), r#become.clone()).is_some() {
            let message = "`become` is given twice, for the task and among its arguments";
            self.problem(task, &key, message, Some("leave one of them out".to_owned()));
            return None;
        }
        Some(Cow::Owned(args))
    }
}

/// Whether somebody says that it is done as another user, and not as which one.
fn is_truth(value: &Value) -> bool {
    const WORDS: [&str; 6] = ["yes", "no", "on", "off", "true", "false"];
    value.is_boolean() || value.as_str().is_some_and(|text| WORDS.contains(&text))
}

/// Whether there are braces of a template anywhere in a value.
fn has_braces(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if text.contains("{{") => return true,
            Value::Array(values) => open.extend(values),
            Value::Object(object) => open.extend(object.values()),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    false
}

/// From the task to one of its arguments, where that was written.
fn argument_steps<'s>(task: &Task, path: &'s [ArgumentStep]) -> Vec<Step<'s>> {
    let is_become = path.first() == Some(&ArgumentStep::Key("become".to_owned())) && task.r#become.is_some();
    let args = (!is_become).then_some(Step::Key("args"));
    args.into_iter().chain(as_steps(path)).collect()
}

/// About how many characters a value takes.
fn size_of(value: &Value) -> usize {
    let mut size = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        size += 8;
        match value {
            Value::String(text) => size += text.len(),
            Value::Array(values) => open.extend(values),
            Value::Object(object) => {
                size += object.keys().map(String::len).sum::<usize>();
                open.extend(object.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    size
}
