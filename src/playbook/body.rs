//! What a playbook adds to the body of a job: the time that its task may take, secrets to mask, and arguments that are
//! known only when the tasks before it have run.
//!
//! Knows jobs and what they are handed; nothing of files and places.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::Value;

use super::arguments::{self, Fitting};
use super::late::{self, Filled, Mark, Unfilled};
use super::task_type::{ArgumentStep, TaskType};
use crate::context::{Context, ResultError};
use crate::event::Phase;
use crate::job::erased::{Erased, Sameness};
use crate::job::reason::CouldNotFindOut;
use crate::job::{Deps, JobKind};
use crate::secret::Secret;

/// Under this key the arguments of a run are kept, for its cleanup in a later start.
const ARGUMENTS: &str = "dojob.arguments";

/// Jobs whose results are known under a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Registered {
    pub(super) jobs: Vec<Arc<str>>,
    /// The task is done for each of several elements, so that its result is a list.
    pub(super) is_list: bool,
}

/// What is to be a job once all of its arguments are known.
pub(super) struct Late {
    pub(super) kind: Arc<TaskType>,
    pub(super) args: Value,
    pub(super) results: BTreeMap<String, Registered>,
    /// Where the task is, for messages.
    pub(super) place: String,
}

/// The body of a task.
pub(super) struct TaskBody {
    pub(super) made: Made,
    pub(super) timeout: Option<Duration>,
    pub(super) secrets: Arc<[Secret<String>]>,
}

pub(super) enum Made {
    Ready(Box<dyn Erased>),
    Later(Arc<Late>, Option<Box<dyn Erased>>),
}

impl TaskBody {
    fn phase(
        &mut self,
        cx: &mut Context,
        call: impl FnOnce(&mut dyn Erased, &mut Context) -> Result<()>,
    ) -> Result<()> {
        self.secrets.iter().for_each(|secret| cx.mask(secret));
        let limit = self.timeout.filter(|_| !matches!(cx.phase(), Phase::Cleanup | Phase::Revert));
        if let Some(timeout) = limit {
            cx.limit(timeout);
            if is_over(cx) {
                return Err(over(timeout, cx.phase()));
            }
        }
        let returned = call(self.made.body(cx)?, cx);
        match limit.filter(|_| is_over(cx)) {
            None => returned,
            // What is in place is so, however long it took to find out.
            Some(_) if returned.is_ok() && cx.phase() != Phase::Run => returned,
            Some(timeout) => match returned {
                Ok(()) => Err(over(timeout, cx.phase())),
                Err(error) => Err(error.context(told(timeout))),
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
        Phase::Check => CouldNotFindOut::new("whether it is in place").because(anyhow!(told(timeout))).into(),
        _ => anyhow!(told(timeout)),
    }
}

impl Made {
    fn body(&mut self, cx: &mut Context) -> Result<&mut dyn Erased> {
        match self {
            Made::Ready(body) => Ok(body.as_mut()),
            Made::Later(_, Some(body)) => Ok(body.as_mut()),
            Made::Later(late, none) => Ok(none.insert(late.make(cx)?).as_mut()),
        }
    }
}

impl Late {
    fn make(&self, cx: &Context) -> Result<Box<dyn Erased>> {
        let args = self.arguments(cx)?;
        let faults = match arguments::read(&self.kind, &args, &mut |_| None) {
            Ok(Fitting::Job(job)) if job.body.deps().is_empty() => {
                if cx.phase() == Phase::Run || cx.phase() == Phase::Check {
                    cx.local().set(ARGUMENTS, &args)?;
                }
                return Ok(job.body);
            }
            Ok(Fitting::Job(_)) => vec![
                "it needs other jobs, which cannot be found once the run has begun; give it arguments that are known before"
                    .to_owned(),
            ],
            Ok(Fitting::Later) => vec!["some of them are still not known".to_owned()],
            Err(faults) => faults.into_iter().map(|fault| fault.message).collect(),
        };
        Err(self.refuse(&faults))
    }

    fn refuse(&self, faults: &[String]) -> anyhow::Error {
        let message = format!("the arguments do not fit ({}): {}", self.place, faults.join("; "));
        CouldNotFindOut::new("what is wanted").because(anyhow!(message)).into()
    }

    /// The arguments with the results filled in; those of the run, where this is its cleanup after a crash.
    fn arguments(&self, cx: &Context) -> Result<Value> {
        if let Some(args) = cx.local().get(ARGUMENTS)? {
            return Ok(args);
        }
        let mut unfilled = Vec::new();
        let mut filler = |path: &[ArgumentStep], mark: &Mark| self.result(cx, path, mark);
        let args = late::fill(&self.args, &mut filler, &mut unfilled);
        if unfilled.is_empty() {
            return Ok(args);
        }
        Err(self.refuse(&unfilled.into_iter().map(|why| why.message).collect::<Vec<_>>()))
    }

    fn result(&self, cx: &Context, path: &[ArgumentStep], mark: &Mark) -> Result<Filled, Unfilled> {
        let registered = mark.path.get(1).and_then(|name| self.results.get(name));
        let Some(registered) = registered else { return Ok(Filled::Missing) };
        let below = mark.path.get(2..).unwrap_or_default();
        let ask = |job: &str| match cx.result::<Value>(job) {
            Ok(value) => Ok(Some(value)),
            Err(ResultError::Missing { .. }) => Ok(None),
            Err(error) => Err(Unfilled::new(path, error.to_string())),
        };
        let value = if registered.is_list {
            let results: Result<Vec<Value>, Unfilled> =
                registered.jobs.iter().map(|job| Ok(ask(job)?.unwrap_or(Value::Null))).collect();
            Some(Value::Array(results?))
        } else {
            registered.jobs.first().map(|job| ask(job)).transpose()?.flatten()
        };
        let Some(value) = value else {
            if mark.is_optional {
                return Ok(Filled::Missing);
            }
            let job = registered.jobs.first().map_or("", |job| job);
            return Err(Unfilled::new(path, format!("`{}`: `{job}` has handed on no result", mark.shown())));
        };
        Ok(late::below(&value, below).map_or(Filled::Missing, |value| Filled::Now(value.clone())))
    }
}

impl Erased for TaskBody {
    fn kind(&self) -> JobKind {
        match &self.made {
            Made::Ready(body) => body.kind(),
            Made::Later(late, _) => late.kind.kind(),
        }
    }

    fn type_name(&self) -> &'static str {
        match &self.made {
            Made::Ready(body) => body.type_name(),
            Made::Later(late, _) => late.kind.type_name(),
        }
    }

    fn deps(&self) -> Deps {
        match &self.made {
            Made::Ready(body) => body.deps(),
            Made::Later(..) => Deps::new(),
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
            Made::Ready(body) => Made::Ready(body.clone_box()),
            Made::Later(late, body) => Made::Later(late.clone(), body.as_ref().map(|body| body.clone_box())),
        };
        Box::new(TaskBody { made, timeout: self.timeout, secrets: self.secrets.clone() })
    }

    fn value(&self) -> &dyn Any {
        match &self.made {
            Made::Ready(body) => body.value(),
            Made::Later(late, _) => late,
        }
    }

    fn compare(&self, other: &dyn Erased) -> Sameness {
        match &self.made {
            Made::Ready(body) => body.compare(other),
            Made::Later(late, _) => match other.value().downcast_ref::<Arc<Late>>() {
                Some(other) if Arc::ptr_eq(late, other) => Sameness::Same,
                Some(_) => Sameness::OtherValue,
                None => Sameness::OtherType,
            },
        }
    }
}
