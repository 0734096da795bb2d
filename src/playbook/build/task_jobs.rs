//! The arguments of a task to a job: one that is there, or one that is made when all of its arguments are known; and the
//! places of what is wrong with them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::element::{Origin, Said, as_named};
use super::input::BuildInput;
use super::shared_targets::{JobTargets, SharedTargets};
use crate::diagnostic::Problem;
use crate::digest::Digest;
use crate::job::retry::Retry;
use crate::job::{AnyJob, JobKind};
use crate::playbook::argument_path::{ArgumentStep, shown_path};
use crate::playbook::arguments;
use crate::playbook::deferred::around;
use crate::playbook::deferred::secrets_at;
use crate::playbook::deferred::{self, Roots};
use crate::playbook::deferred_task::{DeferredJob, RegisteredResult, TaskBody, TaskBodyState};
use crate::playbook::fill;
use crate::playbook::fill::{Filled, Unfilled};
use crate::playbook::hocon::Placeholder;
use crate::playbook::hocon::Step;
use crate::playbook::hocon::Value;
use crate::playbook::job_names::Element;
use crate::playbook::job_names::JobNames;
use crate::playbook::job_refs::NamedTasks;
use crate::playbook::literal::literal;
use crate::playbook::secrets::Fetched;
use crate::playbook::task::{Order, Task};
use crate::playbook::task_type::TaskType;
use crate::playbook::violation::Violation;
use crate::playbook::violation::ViolationKind;

/// What the jobs of one task have in common.
pub(super) struct TaskJobs<'a> {
    pub(super) task: &'a Task,
    /// Its place among the tasks.
    pub(super) number: usize,
    pub(super) kind: Arc<TaskType>,
    pub(super) args: Cow<'a, Value>,
    /// The element is used.
    pub(super) has_item: bool,
    /// Those that the task uses, as far as they were fetched.
    pub(super) secrets: Arc<Fetched>,
    /// What was said already, for another element.
    pub(super) told: BTreeSet<(String, String)>,
    /// How many elements something was wrong with.
    pub(super) faulty: usize,
}

/// A violation in words, where it was written.
struct Finding {
    path: Vec<ArgumentStep>,
    is_unknown_key: bool,
    /// Of a value that comes from the element.
    is_of_element: bool,
    message: String,
    hint: Option<String>,
}

/// Makes jobs of tasks, one after the other.
pub(super) struct JobBuilder<'a, 'p> {
    pub(super) input: &'a BuildInput<'a>,
    pub(super) problems: &'p mut Vec<Problem>,
    pub(super) names: JobNames,
    /// The jobs behind the names of results, of the tasks so far.
    pub(super) results: BTreeMap<&'a str, Arc<RegisteredResult>>,
    /// What tasks so far can be named by others.
    pub(super) targets: NamedTasks<'a>,
    /// What the jobs so far are about.
    pub(super) shared_targets: SharedTargets,
    /// How many jobs there were so far.
    pub(super) jobs: usize,
}

/// A job that does not know yet what it waits for.
pub(super) struct Unlinked(pub(super) AnyJob);

impl<'a, 'p> JobBuilder<'a, 'p> {
    pub(super) fn new(input: &'a BuildInput<'a>, problems: &'p mut Vec<Problem>) -> Self {
        let shares_somewhere = input.tasks.tasks.iter().any(|task| task.may_share_target);
        JobBuilder {
            input,
            problems,
            names: JobNames::new(input.today.clone()),
            results: BTreeMap::new(),
            targets: NamedTasks::default(),
            shared_targets: SharedTargets::new(shares_somewhere),
            jobs: 0,
        }
    }

    /// Reports a problem with a part of a task.
    pub(super) fn report(
        &mut self,
        task: &Task,
        rest: &[Step<'_>],
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.problems.push(self.input.problem(task, rest, message, hint));
    }

    /// One job of a task.
    pub(super) fn job(
        &mut self,
        making: &mut TaskJobs<'a>,
        element: Option<&Element<'_>>,
    ) -> Option<Unlinked> {
        self.jobs += 1;
        match self.made(making, element) {
            Ok(job) => job,
            Err(violations) => {
                making.faulty += 1;
                violations.into_iter().for_each(|told| self.tell(making, told, element));
                None
            }
        }
    }

    fn made(
        &mut self,
        making: &TaskJobs<'a>,
        element: Option<&Element<'_>>,
    ) -> Result<Option<Unlinked>, Vec<Finding>> {
        let (task, kind) = (making.task, &making.kind);
        let origin = Origin { task, places: self.input.places, args: &making.args, element };
        let tell = |violation| told(making, violation, None);
        let mut said = origin
            .said(kind, making.has_item)
            .map_err(|unfilled| unfilled.into_iter().map(Violation::from).map(tell).collect::<Vec<_>>())?;
        let before = (self.input.tasks.order == Order::Sequence).then_some(making.number);
        let named = self.targets.named(kind, &said.args, before);
        if let Some(args) =
            named.map_err(|violations| violations.into_iter().map(tell).collect::<Vec<_>>())?
        {
            said.args = Cow::Owned(args);
        }
        if let Some(args) = hidden(kind, &said.args) {
            said.args = Cow::Owned(args);
        }
        let roots = if task.roots.any() { deferred::roots(&said.args) } else { Roots::default() };
        let mut refused = Vec::new();
        let known = Known::of(kind, &said.args, roots, &making.secrets, &mut refused);
        if !refused.is_empty() {
            return Err(refused.into_iter().map(Violation::from).map(tell).collect());
        }
        let fitting = if known.is_all {
            arguments::read(kind, &known.args).map(Fitting::Job)
        } else {
            arguments::foresee(kind, &known.args).map(Fitting::Later)
        };
        let fitting = fitting.map_err(|violations| {
            let said = Some((&said, known.has_secret));
            violations.into_iter().map(|violation| told(making, violation, said)).collect::<Vec<_>>()
        })?;
        // Named by what the playbook says, so that no secret can be in it.
        let name = match element {
            Some(element) => {
                let value = as_named(task, self.input.places, element);
                let element = Element { index: element.index, value: &value };
                self.names.name(task, kind, &said.args, Some(&element))
            }
            None => self.names.name(task, kind, &said.args, None),
        };
        let element = element.map(|element| element.index);
        let is_wanted = self.input.dependencies.wanted[making.number];
        let about = JobTargets { task, kind, element, args: &said.args, name: &name };
        let mut claim = is_wanted.then(|| self.shared_targets.claim(about)).flatten();
        // As the playbook says them: results and secrets by their names.
        let arguments = Some(Digest::of_json(&said.args.to_json()));
        let (made, own, durable) = match fitting {
            Fitting::Job(AnyJob { retry, durable, body, .. }) => (TaskBodyState::Ready(body), retry, durable),
            Fitting::Later(_) if kind.kind() == JobKind::Dummy && (roots.results || roots.attempt) => {
                let message =
                    format!("`{}` only groups other jobs, and cannot wait for results", kind.name());
                self.report(task, &[Step::Key("args")], message, None);
                return Ok(None);
            }
            Fitting::Later(Some(like)) if !like.body.deps().is_empty() => {
                let message = format!("`{}` needs other jobs, and cannot wait for results", kind.name());
                let hint = "those are found before the run: give it arguments that are known then".to_owned();
                self.report(task, &[Step::Key("args")], message, Some(hint));
                return Ok(None);
            }
            Fitting::Later(like) => {
                let (retry, durable) =
                    like.map_or((Retry::default(), false), |like| (like.retry, like.durable));
                (TaskBodyState::Deferred(Arc::new(self.deferred(making, said)), None), retry, durable)
            }
        };
        let is_plain = task.timeout.is_none() && making.secrets.is_empty();
        let body = match made {
            TaskBodyState::Ready(body) if is_plain => body,
            made => Box::new(TaskBody { made, timeout: task.timeout, secrets: making.secrets.clone() }),
        };
        if let Some(claim) = claim.take() {
            self.problems.extend(self.shared_targets.add(claim, &*body, self.input.places));
        }
        Ok(Some(Unlinked(AnyJob { name, retry: retry(task, kind.kind(), own), durable, arguments, body })))
    }

    fn deferred(&self, making: &TaskJobs<'a>, said: Said<'_>) -> DeferredJob {
        let mut results: BTreeMap<String, Arc<RegisteredResult>> = BTreeMap::new();
        for (_, placeholder) in deferred::placeholders(&said.args) {
            if let ("results", Some(name)) = (placeholder.root(), placeholder.path.get(1))
                && let Some(registered) = self.results.get(name.as_str())
            {
                results.insert(name.clone(), registered.clone());
            }
        }
        DeferredJob {
            kind: making.kind.clone(),
            args: said.args.into_owned(),
            moved: said.moved,
            results,
            places: self.input.places.clone(),
            task: making.task.path.clone(),
        }
    }

    fn tell(&mut self, making: &mut TaskJobs<'a>, told: Finding, element: Option<&Element<'_>>) {
        let mut message = told.message;
        if let Some(element) = element.filter(|_| told.is_of_element) {
            message = format!("{message} (element {} of `for_each`)", element.index + 1);
        }
        if !making.told.insert((shown_path(&told.path), message.clone())) {
            return;
        }
        let task = making.task;
        let mut way = task.path.steps();
        let places = self.input.places;
        let place = if told.path.is_empty() && !task.has_args {
            self.input.place(task, &[Step::Key("name")])
        } else {
            way.extend(task.argument_steps(&told.path));
            let key = if told.is_unknown_key || told.path.is_empty() { places.of_key(&way) } else { None };
            key.or_else(|| places.near(&way))
        };
        self.problems.push(Problem { place, message, hint: told.hint });
    }
}

/// The arguments of a job, with what is known before the run.
struct Known<'v> {
    args: Cow<'v, Value>,
    has_secret: bool,
    is_all: bool,
}

impl<'v> Known<'v> {
    fn of(
        kind: &TaskType,
        said: &'v Value,
        roots: Roots,
        secrets: &Fetched,
        refused: &mut Vec<Unfilled>,
    ) -> Self {
        let mut known = Known {
            args: Cow::Borrowed(said),
            has_secret: false,
            is_all: !roots.item && !roots.results && !roots.attempt && !roots.facts,
        };
        if roots.secrets {
            let mut filler = |path: &[ArgumentStep], placeholder: &Placeholder| {
                let secret = deferred::secret(placeholder).and_then(|name| secrets.get(name));
                known.has_secret |= secret.is_some();
                known.is_all &= secret.is_some();
                let Some(secret) = secret else { return Ok(Filled::Later) };
                literal(kind, path, placeholder, Value::String(secret.expose().clone())).map(Filled::Now)
            };
            known.args = Cow::Owned(fill::fill(said, &mut filler, refused));
        }
        known
    }
}

enum Fitting {
    Job(AnyJob),
    /// With a job like the one that it will be.
    Later(Option<AnyJob>),
}

fn told(making: &TaskJobs<'_>, violation: Violation, said: Option<(&Said<'_>, bool)>) -> Finding {
    let path = said.map_or_else(|| violation.path.clone(), |(said, _)| said.moved.before(&violation.path));
    let is_of_element = match path.as_slice() {
        [] => making.has_item,
        path => around(&making.args, path).is_none_or(|value| deferred::roots(value).item),
    };
    let secrets = said.filter(|(_, has_secret)| *has_secret);
    let secrets = secrets.map_or_else(Vec::new, |(said, _)| secrets_at(&said.args, &violation.path));
    let (message, hint) = if secrets.is_empty() {
        violation.explain(&making.kind, &path)
    } else {
        violation.explain_without_value(&making.kind, &path, &secrets)
    };
    Finding {
        is_of_element: is_of_element && !violation.is_about_key(),
        is_unknown_key: matches!(violation.what, ViolationKind::UnknownKey { .. }),
        path,
        message,
        hint,
    }
}

/// What the task says, or its type; a script that is tried again and again is rarely what was meant.
fn retry(task: &Task, kind: JobKind, own: Retry) -> Retry {
    let tries = task.tries.or(own.max_tries()).or((kind == JobKind::RunOnly).then_some(1));
    let retry = tries.map_or_else(Retry::default, Retry::tries);
    match task.retry_delay.or(own.min_delay()) {
        Some(delay) => retry.delay(delay),
        None => retry,
    }
}

/// The arguments with `hide: true`, where a secret is among them, and their type can hide how things differ: what was
/// there before may be the secret of yesterday.
fn hidden(kind: &TaskType, args: &Value) -> Option<Value> {
    const HIDE: &str = "hide";
    let can_hide = kind.fields().iter().any(|field| field.name == HIDE && field.takes == "true or false");
    if !can_hide || args.get(HIDE).is_some() || !deferred::roots(args).secrets {
        return None;
    }
    let mut hidden = args.clone();
    hidden.as_object_mut()?.insert(HIDE.to_owned(), Value::Bool(true));
    // A type may need something else for that.
    arguments::foresee(kind, &hidden).is_ok().then_some(hidden)
}
