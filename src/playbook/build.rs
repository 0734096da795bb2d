//! From tasks to jobs: every task is read by its type, whether it is wanted or not, and those that are make a graph.
//!
//! Knows tasks, types and the graph's builder; not where the text came from. All problems are noted, and nothing is
//! built when there is one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::arguments::{self, About, Fault, Fitting};
use super::body::{Late, Made, Registered, TaskBody};
use super::hocon::{Places, Step};
use super::late::{self, Filled, Mark, Roots, Unfilled};
use super::links::Links;
use super::look::{as_steps, listed};
use super::names::{Element, Names};
use super::problem::{Place, Problem};
use super::registry::Registry;
use super::secrets::Fetched;
use super::task::{Order, Task, Tasks};
use super::task_type::{ArgumentStep, TaskType};
use crate::graph::builder::GraphBuilder;
use crate::job::retry::Retry;
use crate::job::{AnyJob, JobKind};
use crate::suggest;

/// How many jobs a playbook may make.
const MOST_JOBS: usize = 1_000_000;
/// How much all arguments of its jobs may take, in characters.
const MOST_TEXT: usize = 256 * 1024 * 1024;
/// How many elements of one `for_each` are told of.
const MOST_FAULTY: usize = 5;

/// What a graph is built from.
pub(super) struct Plan<'a> {
    pub(super) registry: &'a Registry,
    pub(super) tasks: &'a Tasks,
    pub(super) places: &'a Places,
    pub(super) links: &'a Links,
    /// `None` while they are not fetched: such a graph can be looked at, not run.
    pub(super) secrets: Option<&'a Fetched>,
    pub(super) today: Option<String>,
}

/// Builds the graph; an empty list of problems was found where there is one.
pub(super) fn build(plan: &Plan<'_>, problems: &mut Vec<Problem>) -> Option<GraphBuilder> {
    let before = problems.len();
    let mut builder = Builder {
        plan,
        problems,
        names: Names::new(plan.today.clone()),
        results: BTreeMap::new(),
        jobs: 0,
        text: 0,
    };
    let order = builder.order();
    let mut made: Vec<Vec<Unlinked>> = (0..plan.tasks.tasks.len()).map(|_| Vec::new()).collect();
    for number in order {
        made[number] = builder.task(number);
        if builder.jobs > MOST_JOBS || builder.text > MOST_TEXT {
            return None;
        }
    }
    if builder.problems.len() > before {
        return None;
    }
    let names = builder.names;
    let is_empty = !made.iter().zip(&plan.links.wanted).any(|(jobs, wanted)| *wanted && !jobs.is_empty());
    let mut graph = link(plan, made, names);
    if is_empty {
        // As it is with an empty list, this is no mistake.
        graph.dummy("nothing to do");
    }
    Some(graph)
}

/// A job that does not know yet what it waits for.
struct Unlinked(AnyJob);

struct Builder<'a, 'p> {
    plan: &'a Plan<'a>,
    problems: &'p mut Vec<Problem>,
    names: Names,
    /// The jobs behind the names of results, of the tasks so far.
    results: BTreeMap<&'a str, Registered>,
    jobs: usize,
    text: usize,
}

impl<'a> Builder<'a, '_> {
    /// As in the list, but those whose results are used before those that use them.
    fn order(&self) -> Vec<usize> {
        let count = self.plan.tasks.tasks.len();
        let handing: BTreeSet<usize> = self.plan.links.registered.values().copied().collect();
        if handing.is_empty() || self.plan.tasks.order == Order::Sequence {
            return (0..count).collect();
        }
        // What a task waits for comes first; a circle was told of already, and is broken anywhere.
        let mut order = Vec::with_capacity(count);
        let mut seen = vec![false; count];
        for root in 0..count {
            let mut open = vec![(root, false)];
            while let Some((number, is_done)) = open.pop() {
                if is_done {
                    order.push(number);
                } else if !std::mem::replace(&mut seen[number], true) {
                    open.push((number, true));
                    let waits = &self.plan.links.waits[number];
                    open.extend(
                        waits.iter().rev().filter(|other| !seen[**other]).map(|other| (*other, false)),
                    );
                }
            }
        }
        order
    }

    fn task(&mut self, number: usize) -> Vec<Unlinked> {
        let plan = self.plan;
        let task: &'a Task = &plan.tasks.tasks[number];
        if task.name.is_empty() {
            return Vec::new();
        }
        let Some(kind) = self.kind(task) else { return Vec::new() };
        if !task.are_args_readable {
            return Vec::new();
        }
        let Some(args) = self.with_become(task, &kind) else { return Vec::new() };
        let roots = if task.r#become.is_some() { late::roots(&args) } else { task.roots };
        let secrets = self.check_marks(task, &args, roots);
        let size = size_of(&args);
        let mut making = Making { task, kind, args, roots, secrets, told: BTreeSet::new(), faulty: 0 };
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
            self.results.insert(name, Registered { jobs: names, is_list: task.for_each.is_some() });
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
            self.problem(task, &[], message);
        }
        true
    }

    fn place(&self, task: &'a Task, rest: &[Step<'_>]) -> Option<Place> {
        let mut path = vec![Step::Key("tasks"), Step::Index(task.index)];
        path.extend_from_slice(rest);
        self.plan.places.near(&path)
    }

    fn problem(&mut self, task: &Task, rest: &[Step<'_>], message: impl Into<String>) -> &mut Problem {
        let mut path = vec![Step::Key("tasks"), Step::Index(task.index)];
        path.extend_from_slice(rest);
        let place = self.plan.places.near(&path);
        self.problems.push(Problem { place, message: message.into(), hint: None });
        match self.problems.last_mut() {
            Some(problem) => problem,
            None => unreachable!("pushed above"),
        }
    }

    fn kind(&mut self, task: &'a Task) -> Option<Arc<TaskType>> {
        match self.plan.registry.shared(&task.name) {
            Ok(kind) => Some(kind),
            Err(unknown) => {
                let message = format!("there is no task type `{}`", late::escaped(&unknown.name));
                let hint = match (&unknown.suggestion, self.plan.registry.registered().len()) {
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    (None, 0) => "no task types are linked into this program".to_owned(),
                    (None, _) => "`dojob types` lists what there is".to_owned(),
                };
                self.problem(task, &[Step::Key("name")], message).hint = Some(hint);
                None
            }
        }
    }

    /// The arguments, with the task's `become` among them where its type has such a field.
    fn with_become(&mut self, task: &'a Task, kind: &TaskType) -> Option<Cow<'a, Value>> {
        let Some(r#become) = &task.r#become else { return Some(Cow::Borrowed(&task.args)) };
        let key = [Step::Key("become")];
        if !kind.fields().iter().any(|field| field.name == "become") {
            let message = format!("`{}` does nothing as another user", kind.name());
            self.problem(task, &key, message).hint = Some("leave `become` out".to_owned());
            return Some(Cow::Borrowed(&task.args));
        }
        let mut args = task.args.clone();
        let object: &mut Map<String, Value> = args.as_object_mut()?;
        if object.insert("become".to_owned(), r#become.clone()).is_some() {
            let message = "`become` is given twice, for the task and among its arguments";
            self.problem(task, &key, message).hint = Some("leave one of them out".to_owned());
            return None;
        }
        Some(Cow::Owned(args))
    }

    /// Tells of marks that cannot have a value here; returns the secrets that are used.
    fn check_marks(&mut self, task: &'a Task, args: &Value, roots: Roots) -> Vec<String> {
        let mut secrets = Vec::new();
        if !roots.any() {
            return secrets;
        }
        for (path, mark) in late::marks(args) {
            let (message, hint) = match (mark.root(), mark.path.as_slice()) {
                ("item", _) if task.for_each.is_none() => (
                    format!("`{}` is only known in a task with `for_each`", mark.shown()),
                    Some("write `for_each: [ … ]` beside `args`".to_owned()),
                ),
                ("secrets", [_, name]) if self.plan.tasks.secrets.has(name) => {
                    if !secrets.contains(name) {
                        secrets.push(name.clone());
                    }
                    continue;
                }
                ("secrets", [_, name, ..]) => {
                    let known: Vec<&str> = self.plan.tasks.secrets.names().collect();
                    let hint = match suggest::nearest(name, known.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None if known.is_empty() => {
                            format!("say where it comes from: `secrets {{ {name} {{ env: NAME }} }}`")
                        }
                        None => format!("there are {}", listed(&known)),
                    };
                    (format!("there is no secret `{}`", mark.path[1..].join(".")), Some(hint))
                }
                ("secrets", _) => ("`${secrets}` has no value of its own".to_owned(), None),
                _ => continue,
            };
            let steps = argument_steps(task, &path);
            self.problem(task, &steps, message).hint = hint;
        }
        secrets
    }

    /// One job of a task.
    fn job(&mut self, making: &mut Making<'a>, element: Option<&Element<'_>>) -> Option<Unlinked> {
        self.jobs += 1;
        let task = making.task;
        let mut unfilled = Vec::new();
        let filled = making.roots.any().then(|| {
            let mut filler = |path: &[ArgumentStep], mark: &Mark| self.filled(path, mark, element);
            late::fill(&making.args, &mut filler, &mut unfilled)
        });
        if !unfilled.is_empty() {
            making.faulty += 1;
            for why in unfilled {
                let fault =
                    Fault { path: why.path, about: About::Value, message: why.message, hint: why.hint };
                self.fault(making, fault, element);
            }
            return None;
        }
        let args = filled.as_ref().unwrap_or(making.args.as_ref());
        let places = self.plan.places;
        let mut written = |path: &[ArgumentStep]| as_written(places, task, path);
        let read = arguments::read(&making.kind, args, &mut written);
        let made = match read {
            Ok(fitting) => fitting,
            Err(faults) => {
                making.faulty += 1;
                faults.into_iter().for_each(|fault| self.fault(making, fault, element));
                return None;
            }
        };
        // Named by what the playbook says, so that no secret can be in it.
        let named = making.roots.any().then(|| {
            let mut filler = |path: &[ArgumentStep], mark: &Mark| match mark.root() {
                "item" => self.filled(path, mark, element),
                _ => Ok(Filled::Later),
            };
            late::fill(&making.args, &mut filler, &mut Vec::new())
        });
        let name = self.names.name(task, &making.kind, named.as_ref().unwrap_or(args), element);
        self.whole(making, made, args, name)
    }

    fn filled(
        &self,
        path: &[ArgumentStep],
        mark: &Mark,
        element: Option<&Element<'_>>,
    ) -> Result<Filled, Unfilled> {
        let below = mark.path.get(1..).unwrap_or_default();
        match (mark.root(), element) {
            ("item", Some(element)) => match late::below(element.value, below) {
                Some(value) => Ok(Filled::Now(value.clone())),
                None if mark.is_optional => Ok(Filled::Missing),
                None => {
                    let message = format!("`{}` has no value", mark.shown());
                    let hint = element.value.as_object().and_then(|object| {
                        let known = object.keys().map(String::as_str);
                        let near = below.first().and_then(|name| suggest::nearest(name, known));
                        near.map(|near| format!("did you mean `${{item.{near}}}`?"))
                    });
                    Err(Unfilled::new(path, message).hint(hint))
                }
            },
            ("secrets", _) => Ok(match (self.plan.secrets, below) {
                (Some(fetched), [name]) => match fetched.get(name) {
                    Some(secret) => Filled::Now(Value::String(secret.expose().clone())),
                    None => Filled::Later,
                },
                _ => Filled::Later,
            }),
            _ => Ok(Filled::Later),
        }
    }

    fn fault(&mut self, making: &mut Making<'a>, fault: Fault, element: Option<&Element<'_>>) {
        let mut message = fault.message;
        for secret in making.secrets.iter().filter_map(|name| self.plan.secrets?.get(name)) {
            message = message.replace(secret.expose(), crate::secret::MASK);
        }
        let is_of_element = match fault.path.as_slice() {
            [] => making.roots.item,
            path => value_at(&making.args, path).is_none_or(|value| late::roots(value).item),
        };
        if let Some(element) = element.filter(|_| is_of_element && fault.about == About::Value) {
            message = format!("{message} (element {} of `for_each`)", element.index + 1);
        }
        if !making.told.insert((format!("{:?}", fault.path), message.clone())) {
            return;
        }
        let task = making.task;
        let mut steps = argument_steps(task, &fault.path);
        let place = if fault.about == About::UnknownKey {
            let mut path = vec![Step::Key("tasks"), Step::Index(task.index)];
            path.append(&mut steps);
            self.plan.places.of_key(&path).or_else(|| self.plan.places.near(&path))
        } else if fault.path.is_empty() && !task.has_args {
            self.place(task, &[Step::Key("name")])
        } else if fault.path.is_empty() {
            let path = [Step::Key("tasks"), Step::Index(task.index), Step::Key("args")];
            self.plan.places.of_key(&path).or_else(|| self.plan.places.near(&path))
        } else {
            self.place(task, &steps)
        };
        self.problems.push(Problem { place, message, hint: fault.hint });
    }

    fn whole(
        &mut self,
        making: &Making<'a>,
        fitting: Fitting,
        args: &Value,
        name: Arc<str>,
    ) -> Option<Unlinked> {
        let (task, kind) = (making.task, &making.kind);
        let (made, own, durable) = match fitting {
            Fitting::Job(AnyJob { retry, durable, body, .. }) => (Made::Ready(body), retry, durable),
            Fitting::Later if kind.kind() == JobKind::Dummy && making.roots.results => {
                let message =
                    format!("`{}` only holds others together, and cannot wait for results", kind.name());
                self.problem(task, &[Step::Key("args")], message);
                return None;
            }
            Fitting::Later => {
                let results = self.results.iter().map(|(name, jobs)| ((*name).to_owned(), jobs.clone()));
                let used: BTreeSet<String> = late::marks(args)
                    .into_iter()
                    .filter(|(_, mark)| mark.root() == "results")
                    .filter_map(|(_, mark)| mark.path.get(1).cloned())
                    .collect();
                let late = Late {
                    kind: kind.clone(),
                    args: args.clone(),
                    results: results.filter(|(name, _)| used.contains(name)).collect(),
                    place: self
                        .place(task, &[])
                        .map_or_else(|| format!("task {}", task.index + 1), |place| place.to_string()),
                };
                (Made::Later(Arc::new(late), None), Retry::default(), false)
            }
        };
        let fetched = |name| self.plan.secrets.and_then(|secrets| secrets.get(name)).cloned();
        let secrets: Arc<[_]> = making.secrets.iter().filter_map(fetched).collect();
        let is_plain = task.timeout.is_none() && secrets.is_empty();
        let body = match made {
            Made::Ready(body) if is_plain => body,
            made => Box::new(TaskBody { made, timeout: task.timeout, secrets }),
        };
        Some(Unlinked(AnyJob { name, retry: retry(task, kind.kind(), own), durable, body }))
    }
}

/// What the jobs of one task have in common.
struct Making<'a> {
    task: &'a Task,
    kind: Arc<TaskType>,
    args: Cow<'a, Value>,
    roots: Roots,
    secrets: Vec<String>,
    /// What was said already, for another element.
    told: BTreeSet<(String, String)>,
    faulty: usize,
}

/// What the task says, or its type; a script that is tried again and again is rarely what was meant.
fn retry(task: &Task, kind: JobKind, own: Retry) -> Retry {
    let tries = task.tries.or(own.get_tries()).or((kind == JobKind::RunOnly).then_some(1));
    let retry = tries.map_or_else(Retry::default, Retry::tries);
    match task.retry_delay.or(own.get_delay()) {
        Some(delay) => retry.delay(delay),
        None => retry,
    }
}

/// From the task to one of its arguments, where that was written.
fn argument_steps<'s>(task: &Task, path: &'s [ArgumentStep]) -> Vec<Step<'s>> {
    let is_become = path.first() == Some(&ArgumentStep::Key("become".to_owned())) && task.r#become.is_some();
    let args = (!is_become).then_some(Step::Key("args"));
    args.into_iter().chain(as_steps(path)).collect()
}

/// The text of an argument as it stands in its file.
fn as_written(places: &Places, task: &Task, path: &[ArgumentStep]) -> Option<String> {
    let mut steps = vec![Step::Key("tasks"), Step::Index(task.index)];
    steps.extend(argument_steps(task, path));
    places.written(&steps).map(str::to_owned)
}

/// What is at the end of a path.
fn value_at<'v>(value: &'v Value, path: &[ArgumentStep]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        ArgumentStep::Key(key) => value.get(key),
        ArgumentStep::Index(index) => value.get(index),
    })
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

/// Puts the jobs in order.
fn link(plan: &Plan<'_>, made: Vec<Vec<Unlinked>>, mut names: Names) -> GraphBuilder {
    let mut graph = GraphBuilder::default();
    match plan.tasks.order {
        Order::Sequence => {
            let mut before: Option<Arc<str>> = None;
            for (number, jobs) in made.into_iter().enumerate() {
                for Unlinked(job) in jobs.into_iter().filter(|_| plan.links.wanted[number]) {
                    let name = job.name.clone();
                    graph.add(job).after(before.replace(name));
                }
            }
        }
        Order::Graph => {
            let waits = plan.links.among_wanted(Order::Graph);
            let mut awaited = vec![false; waits.len()];
            waits.iter().flatten().for_each(|other| awaited[*other] = true);
            // Who waits for several jobs waits for one that stands for them.
            let last: Vec<Option<Arc<str>>> = made
                .iter()
                .zip(&plan.tasks.tasks)
                .zip(awaited)
                .map(|((jobs, task), awaited)| match (&task.for_each, jobs.as_slice()) {
                    (None, [job]) => Some(job.0.name.clone()),
                    (Some(_), _) if awaited => {
                        let about = task.id.as_ref().or(task.register.as_ref()).unwrap_or(&task.name);
                        Some(names.unique(format!("all of {about}")))
                    }
                    _ => None,
                })
                .collect();
            for (number, jobs) in
                made.into_iter().enumerate().filter(|(number, _)| plan.links.wanted[*number])
            {
                let before: Vec<Arc<str>> =
                    waits[number].iter().filter_map(|other| last[*other].clone()).collect();
                let own: Vec<Arc<str>> = jobs.iter().map(|job| job.0.name.clone()).collect();
                for Unlinked(job) in jobs {
                    graph.add(job).after(before.iter().cloned());
                }
                if let (Some(_), Some(all)) = (&plan.tasks.tasks[number].for_each, &last[number]) {
                    graph.dummy(all.clone()).after(if own.is_empty() { before } else { own });
                }
            }
        }
    }
    graph
}
