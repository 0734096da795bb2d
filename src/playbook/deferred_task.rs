//! What a playbook adds to the body of a job: the time that its task may take, secrets to mask, and arguments that are
//! known only when the tasks before it have run.
//!
//! What is written down of arguments is for their cleanup in a later start, whose secrets may be others, and whose tasks
//! have not run.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::Value as Json;

use super::argument_path::ArgumentStep;
use super::arguments;
use super::deferred;
use super::deferred::secrets_at;
use super::fill;
use super::fill::{Filled, ShiftedIndices, Unfilled};
use super::hocon::Map;
use super::hocon::Placeholder;
use super::hocon::Places;
use super::hocon::Value;
use super::literal::literal;
use super::secrets::Fetched;
use super::task_path::TaskPath;
use super::task_type::TaskType;
use super::violation::Violation;
use crate::context::result_text::NOT_TEXT;
use crate::context::{Context, ResultError};
use crate::event::Phase;
use crate::job::reason::{CouldNotFindOut, Permanent};
use crate::job::{AnyJob, Deps, JobKind};
use crate::job::{Erased, Sameness};

/// Under this key are the names of the arguments that a body was made of; without it none was.
const BEGUN: &str = "dojob.arguments";
/// Begins the keys of these arguments, each by itself, so that one that has a secret does not keep others from being
/// written down.
const ARGUMENT: &str = "dojob.argument.";
/// Begins the keys of results that stand beside a secret in an argument.
const RESULT: &str = "dojob.result.";

/// Jobs whose results are known under a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RegisteredResult {
    pub(super) jobs: Vec<Arc<str>>,
    /// The task is done for each of several elements, so that its result is a list.
    pub(super) is_list: bool,
}

/// What is to be a job once all of its arguments are known.
pub(super) struct DeferredJob {
    pub(super) kind: Arc<TaskType>,
    /// With the placeholders of results and secrets.
    pub(super) args: Value,
    /// Where they stand otherwise than in the playbook.
    pub(super) moved: ShiftedIndices,
    /// Those that are used.
    pub(super) results: BTreeMap<String, Arc<RegisteredResult>>,
    pub(super) places: Places,
    /// Where the task stands.
    pub(super) task: TaskPath,
}

/// The body of a task.
pub(super) struct TaskBody {
    pub(super) made: TaskBodyState,
    pub(super) timeout: Option<Duration>,
    pub(super) secrets: Arc<Fetched>,
}

pub(super) enum TaskBodyState {
    Ready(Box<dyn Erased>),
    Deferred(Arc<DeferredJob>, Option<Box<dyn Erased>>),
}

impl TaskBody {
    fn phase(
        &mut self,
        cx: &mut Context,
        call: impl FnOnce(&mut dyn Erased, &mut Context) -> Result<()>,
    ) -> Result<()> {
        self.secrets.values().for_each(|secret| cx.mask(secret));
        let limit = self.timeout.filter(|_| !matches!(cx.phase(), Phase::Cleanup | Phase::Revert));
        if let Some(timeout) = limit {
            cx.limit(timeout);
            if is_over(cx) {
                return Err(over(timeout, cx.phase()));
            }
        }
        let returned = match self.made.body(&self.secrets, cx)? {
            Some(body) => call(body, cx),
            // Nothing was begun, and nothing has to be reverted.
            None => Ok(()),
        };
        match limit.filter(|_| is_over(cx)) {
            None => returned,
            // What is in place is so, however long it took to find out.
            Some(_) if returned.is_ok() && cx.phase() != Phase::Run => returned,
            Some(timeout) => match returned {
                Ok(()) => Err(over(timeout, cx.phase())),
                // The time is that of all tries together.
                Err(error) => Err(error.context(Permanent::new(told(timeout)))),
            },
        }
    }
}

fn is_over(cx: &Context) -> bool {
    cx.time_left().is_some_and(|left| left.is_zero())
}

fn told(timeout: Duration) -> String {
    format!("the task did not end within its timeout of {timeout:?}")
}

/// Nobody should change what there is no time to look at.
fn over(timeout: Duration, phase: Phase) -> anyhow::Error {
    match phase {
        Phase::Check => {
            let why = anyhow!(told(timeout));
            CouldNotFindOut::new("whether it is in place").because(why).permanent().into()
        }
        _ => Permanent::new(told(timeout)).into(),
    }
}

impl TaskBodyState {
    /// The body, made if that was not done before; `None` for the cleanup or revert of what never was one.
    fn body(&mut self, secrets: &Fetched, cx: &mut Context) -> Result<Option<&mut dyn Erased>> {
        match self {
            TaskBodyState::Ready(body) | TaskBodyState::Deferred(_, Some(body)) => Ok(Some(body.as_mut())),
            TaskBodyState::Deferred(deferred, none) => {
                let made = match cx.phase() {
                    Phase::Cleanup | Phase::Revert => deferred.make_again(secrets, cx)?,
                    _ => Some(deferred.make(secrets, cx)?),
                };
                match made {
                    Some(body) => Ok(Some(none.insert(body).as_mut())),
                    None => Ok(None),
                }
            }
        }
    }
}

impl DeferredJob {
    fn make(&self, secrets: &Fetched, cx: &Context) -> Result<Box<dyn Erased>> {
        let jobs = self.results.values().flat_map(|registered| registered.jobs.iter());
        if let Some(awaited) = cx.first_awaited(jobs.map(|job| &**job)) {
            let why = ResultError::NotYet { name: awaited.to_owned() };
            return Err(CouldNotFindOut::new("what is wanted").because(why).into());
        }
        let mut used = BTreeMap::new();
        let (args, moved) = self.fill(&self.args, secrets, |path, placeholder| {
            let filled = match placeholder.root() {
                "attempt" => attempt(cx, path, placeholder)?,
                _ => self.result(cx, path, placeholder)?,
            };
            if let Filled::Now(value) = &filled {
                used.insert(placeholder.to_string(), value.clone());
            }
            Ok(filled)
        })?;
        let body = self.body(cx, &args, &moved)?;
        self.note(cx, &args, &used)?;
        Ok(body)
    }

    fn body(&self, cx: &Context, args: &Value, moved: &ShiftedIndices) -> Result<Box<dyn Erased>> {
        match arguments::read(&self.kind, args) {
            Ok(AnyJob { body, .. }) if body.deps().is_empty() => Ok(body),
            Ok(_) => Err(self.refuse(&[
                "it needs other jobs, which cannot be found once the run has begun; give it arguments that are known before"
                    .to_owned(),
            ])),
            Err(violations) => {
                let told = |violation: &Violation| self.told(cx, violation, args, moved);
                Err(self.refuse(&violations.iter().map(told).collect::<Vec<_>>()))
            }
        }
    }

    /// A violation in words, without a value in which there is a secret: what of it would be masked is not known here.
    fn told(&self, cx: &Context, violation: &Violation, args: &Value, moved: &ShiftedIndices) -> String {
        let before = moved.before(&violation.path);
        let secrets = secrets_at(&self.args, &before);
        let found = deferred::around(args, &violation.path).unwrap_or(args);
        let has_secret =
            !secrets.is_empty() || cx.run_of().emitter.redactor().finds_in_value(&found.to_json());
        let path = self.moved.before(&before);
        match has_secret {
            true => violation.explain_without_value(&self.kind, &path, &secrets).0,
            false => violation.explain(&self.kind, &path).0,
        }
    }

    /// Writes down what a cleanup in a later start has to know; at last that there is one.
    fn note(&self, cx: &Context, args: &Value, used: &BTreeMap<String, Value>) -> Result<()> {
        let Some(object) = args.as_object() else { return Ok(()) };
        for (name, value) in object {
            let said = self.args.get(name).unwrap_or(&Value::Null);
            if !deferred::roots(said).secrets {
                cx.local().set(&format!("{ARGUMENT}{name}"), value.to_json())?;
                continue;
            }
            for (_, placeholder) in deferred::placeholders(said) {
                let shown = placeholder.to_string();
                if let Some(value) = used.get(&shown) {
                    cx.local().set(&format!("{RESULT}{shown}"), value.to_json())?;
                }
            }
        }
        Ok(cx.local().set(BEGUN, true)?)
    }

    /// The body for a cleanup or a revert in a later start, of arguments as they were.
    fn make_again(&self, secrets: &Fetched, cx: &Context) -> Result<Option<Box<dyn Erased>>> {
        if !cx.local().get::<bool>(BEGUN)?.unwrap_or(false) {
            return Ok(None);
        }
        let mut args = Map::new();
        for (name, said) in self.args.as_object().into_iter().flatten() {
            if let Some(value) = cx.local().get::<Json>(&format!("{ARGUMENT}{name}"))? {
                args.insert(name.clone(), value.into());
                continue;
            }
            // It had a secret, which is not written down.
            let said: Map = std::iter::once((name.clone(), said.clone())).collect();
            let (filled, _) = self.fill(&Value::Object(said), secrets, |path, placeholder| {
                match cx.local().get::<Json>(&format!("{RESULT}{placeholder}")) {
                    Ok(Some(value)) => Ok(Filled::Now(value.into())),
                    Ok(None) if placeholder.is_optional => Ok(Filled::Missing),
                    _ => {
                        let message = format!("`{}` had a secret, and was not written down", placeholder);
                        Err(Unfilled::new(path, message))
                    }
                }
            })?;
            if let Value::Object(filled) = filled {
                args.extend(filled);
            }
        }
        self.body(cx, &Value::Object(args), &ShiftedIndices::default()).map(Some)
    }

    fn refuse(&self, violations: &[String]) -> anyhow::Error {
        let place = self.places.near(&self.task.steps());
        let place = place.map_or_else(|| format!("task {}", self.task), |place| place.to_string());
        let message = format!("invalid arguments ({place}): {}", violations.join("; "));
        // What was handed on stays as it is, however often this is tried.
        CouldNotFindOut::new("what is wanted").permanent().because(anyhow!(message)).into()
    }

    /// Fills in results and secrets, both at once: what is filled in is data, and no placeholder is looked for in it.
    fn fill(
        &self,
        args: &Value,
        secrets: &Fetched,
        mut result: impl FnMut(&[ArgumentStep], &Placeholder) -> Result<Filled, Unfilled>,
    ) -> Result<(Value, ShiftedIndices)> {
        let mut unfilled = Vec::new();
        let mut filler = |path: &[ArgumentStep], placeholder: &Placeholder| {
            let filled = match deferred::secret(placeholder).map(|name| secrets.get(name)) {
                Some(Some(secret)) => Filled::Now(Value::String(secret.expose().clone())),
                Some(None) => Filled::Missing,
                None => result(path, placeholder)?,
            };
            match filled {
                Filled::Now(value) => literal(&self.kind, path, placeholder, value).map(Filled::Now),
                other => Ok(other),
            }
        };
        let filled = fill::fill_and_note(args, &mut filler, &mut unfilled);
        if unfilled.is_empty() {
            return Ok(filled);
        }
        Err(self.refuse(&unfilled.into_iter().map(|why| why.message).collect::<Vec<_>>()))
    }

    fn result(
        &self,
        cx: &Context,
        path: &[ArgumentStep],
        placeholder: &Placeholder,
    ) -> Result<Filled, Unfilled> {
        let registered = placeholder.path.get(1).and_then(|name| self.results.get(name));
        let Some(registered) = registered else { return Ok(Filled::Missing) };
        let mut below = placeholder.path.get(2..).unwrap_or_default();
        let ask = |job: &str| match cx.result::<Json>(job) {
            Ok(value) => Ok(Some(Value::from(value))),
            Err(ResultError::Missing { .. }) => Ok(None),
            Err(error) => Err(Unfilled::new(path, error.to_string())),
        };
        let value = match below.split_first() {
            // Of many only the one that is meant is asked.
            Some((index, rest)) if registered.is_list => {
                below = rest;
                let job = index.parse::<usize>().ok().and_then(|index| registered.jobs.get(index));
                let Some(job) = job else { return Ok(Filled::Missing) };
                Some(ask(job)?.unwrap_or(Value::Null))
            }
            None if registered.is_list => {
                let results: Result<Vec<Value>, Unfilled> =
                    registered.jobs.iter().map(|job| Ok(ask(job)?.unwrap_or(Value::Null))).collect();
                Some(Value::Array(results?))
            }
            _ => registered.jobs.first().map(|job| ask(job)).transpose()?.flatten(),
        };
        let Some(value) = value else {
            if placeholder.is_optional {
                return Ok(Filled::Missing);
            }
            let job = registered.jobs.first().map_or("", |job| job);
            return Err(Unfilled::new(path, format!("`{}`: `{job}` has handed on no result", placeholder)));
        };
        let Some(value) = deferred::below(&value, below) else { return Ok(Filled::Missing) };
        match missing_text(value) {
            Some(why) => Err(Unfilled::new(path, format!("`{placeholder}` is not text: {why}"))),
            None => Ok(Filled::Now(value.clone())),
        }
    }
}

/// What is known of the attempt that the job is in.
fn attempt(cx: &Context, path: &[ArgumentStep], placeholder: &Placeholder) -> Result<Filled, Unfilled> {
    match placeholder.path.get(1).map(String::as_str) {
        Some("number") => Ok(Filled::Now(Value::from(Json::from(cx.attempt())))),
        _ => {
            let value: Json = cx
                .attempt_value()
                .map_err(|error| Unfilled::new(path, format!("`{placeholder}`: {error}")))?;
            let below = placeholder.path.get(2..).unwrap_or_default();
            let found = deferred::below(&Value::from(value), below).cloned();
            Ok(found.map_or(Filled::Missing, Filled::Now))
        }
    }
}

/// Why there is no text somewhere in a result, if so.
fn missing_text(result: &Value) -> Option<&str> {
    let mut open = vec![result];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(object) => {
                if let (1, Some(Value::String(why))) = (object.len(), object.get(NOT_TEXT)) {
                    return Some(why);
                }
                open.extend(object.values());
            }
            _ => {}
        }
    }
    None
}

impl Erased for TaskBody {
    fn has_cleanup(&self) -> Option<bool> {
        match &self.made {
            TaskBodyState::Ready(body) | TaskBodyState::Deferred(_, Some(body)) => body.has_cleanup(),
            TaskBodyState::Deferred(_, None) => None,
        }
    }

    fn has_revert(&self) -> Option<bool> {
        match &self.made {
            TaskBodyState::Ready(body) | TaskBodyState::Deferred(_, Some(body)) => body.has_revert(),
            TaskBodyState::Deferred(_, None) => None,
        }
    }

    fn kind(&self) -> JobKind {
        match &self.made {
            TaskBodyState::Ready(body) => body.kind(),
            TaskBodyState::Deferred(deferred, _) => deferred.kind.kind(),
        }
    }

    fn type_name(&self) -> &'static str {
        match &self.made {
            TaskBodyState::Ready(body) => body.type_name(),
            TaskBodyState::Deferred(deferred, _) => deferred.kind.type_name(),
        }
    }

    fn deps(&self) -> Deps {
        match &self.made {
            TaskBodyState::Ready(body) => body.deps(),
            TaskBodyState::Deferred(..) => Deps::new(),
        }
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.phase(cx, |body, cx| body.check(cx))
    }

    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.phase(cx, |body, cx| body.run(cx))
    }

    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.phase(cx, |body, cx| body.cleanup(cx))
    }

    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.phase(cx, |body, cx| body.revert(cx))
    }

    fn clone_box(&self) -> Box<dyn Erased> {
        let made = match &self.made {
            TaskBodyState::Ready(body) => TaskBodyState::Ready(body.clone_box()),
            TaskBodyState::Deferred(deferred, body) => {
                TaskBodyState::Deferred(deferred.clone(), body.as_ref().map(|body| body.clone_box()))
            }
        };
        Box::new(TaskBody { made, timeout: self.timeout, secrets: self.secrets.clone() })
    }

    fn value(&self) -> &dyn Any {
        match &self.made {
            TaskBodyState::Ready(body) => body.value(),
            TaskBodyState::Deferred(deferred, _) => deferred,
        }
    }

    fn compare(&self, other: &dyn Erased) -> Sameness {
        match &self.made {
            TaskBodyState::Ready(body) => body.compare(other),
            TaskBodyState::Deferred(deferred, _) => match other.value().downcast_ref::<Arc<DeferredJob>>() {
                Some(other) if Arc::ptr_eq(deferred, other) => Sameness::Same,
                Some(_) => Sameness::OtherValue,
                None => Sameness::OtherType,
            },
        }
    }
}
