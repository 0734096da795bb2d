//! A job of any kind as a graph keeps it, and the list of what a job depends on.
//!
//! One file, since a job names its dependencies and these are jobs.

use std::any::Any;
use std::sync::Arc;

use anyhow::Result;

use super::about::About;
use super::condition::{Condition, SkipDepth};
use super::kind::JobKind;
use super::marker;
use super::retry::Retry;
use crate::context::Context;
use crate::digest::Digest;

/// How two jobs of one name compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sameness {
    Same,
    OtherValue,
    OtherType,
}

/// A job of any kind.
pub(crate) trait Erased: Send + Sync {
    fn kind(&self) -> JobKind;
    fn type_name(&self) -> &'static str;
    fn deps(&self) -> Deps;
    fn check(&mut self, cx: &mut Context) -> Result<()>;
    fn run(&mut self, cx: &mut Context) -> Result<()>;
    fn cleanup(&mut self, cx: &mut Context) -> Result<()>;
    fn revert(&mut self, cx: &mut Context) -> Result<()>;
    fn clone_box(&self) -> Box<dyn Erased>;
    /// The user's own value.
    fn value(&self) -> &dyn Any;
    /// Compares the values alone.
    fn compare(&self, other: &dyn Erased) -> Sameness;
    /// Whether it has a cleanup, where that can be told without calling it.
    fn has_cleanup(&self) -> Option<bool>;
    /// Whether it has a revert, where that can be told without calling it.
    fn has_revert(&self) -> Option<bool>;
    /// What is said about it beside what it does.
    fn about(&self) -> About {
        About::default()
    }
    /// The dependencies that its type does not know of.
    fn more_deps(&self) -> &[Dep] {
        &[]
    }
    /// Takes more of these, and returns `None`; a job that cannot keep them gives them back.
    fn add_deps(&mut self, deps: Vec<Dep>) -> Option<Vec<Dep>> {
        Some(deps)
    }
    /// Gives away those that nobody else has, so that a long chain of them is let go of one by one.
    fn give_deps_away(&mut self, _: &mut Vec<Dep>) {}
}

/// How two jobs of one name compare, with all that was said about them.
pub(crate) fn sameness(one: &dyn Erased, other: &dyn Erased) -> Sameness {
    let names = |job: &dyn Erased| job.more_deps().iter().map(|dep| dep.name().clone()).collect::<Vec<_>>();
    match one.compare(other) {
        Sameness::Same if names(one) != names(other) || one.about() != other.about() => Sameness::OtherValue,
        sameness => sameness,
    }
}

/// A job of any kind, ready to be put into a graph. [`deps!`](crate::deps) and [`Engine::new`](crate::Engine::new) make
/// these themselves.
pub struct AnyJob {
    pub(crate) name: Arc<str>,
    pub(crate) retry: Retry,
    pub(crate) durable: bool,
    /// The digest of its arguments, where they are known.
    pub(crate) arguments: Option<Digest>,
    pub(crate) body: Box<dyn Erased>,
}

impl AnyJob {
    /// The job's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The job's kind.
    pub fn kind(&self) -> JobKind {
        self.body.kind()
    }

    /// The name of the job's type, for messages.
    pub fn type_name(&self) -> &str {
        self.body.type_name()
    }

    /// How often it is tried.
    pub fn retry(&self) -> Retry {
        self.retry
    }
}

impl Clone for AnyJob {
    fn clone(&self) -> Self {
        AnyJob {
            name: self.name.clone(),
            retry: self.retry,
            durable: self.durable,
            arguments: self.arguments,
            body: self.body.clone_box(),
        }
    }
}

impl std::fmt::Debug for AnyJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnyJob")
            .field("name", &self.name)
            .field("type", &self.type_name())
            .finish_non_exhaustive()
    }
}

/// What can be put into a graph: a value of any of the three job traits.
///
/// `M` is one of the [`marker`]s. A type that implements two of the job traits is refused by the compiler as ambiguous.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    note = "implement `Job`, `RunOnlyJob` or `DummyJob` for it, and derive `Clone` and `PartialEq`"
)]
pub trait IntoJob<M> {
    /// The job, its kind forgotten.
    fn into_job(self) -> AnyJob;

    /// The job with more dependencies than its type knows of: how ready-made jobs are put in order.
    ///
    /// ```
    /// # use dojob::{deps, Context, Deps, DummyJob, IntoJob, JobGraph, Result, RunOnlyJob};
    /// # #[derive(Clone, PartialEq)] struct Say(&'static str);
    /// # impl RunOnlyJob for Say {
    /// #     fn name(&self) -> String { self.0.to_owned() }
    /// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
    /// # }
    /// let greeting = Say("hello").needs(deps![Say("ahem")]);
    /// let graph = JobGraph::new(greeting)?;
    /// assert_eq!(graph.iter().map(|job| job.name()).collect::<Vec<_>>(), ["ahem", "hello"]);
    /// # Ok::<(), dojob::GraphErrors>(())
    /// ```
    fn needs(self, deps: Deps) -> AnyJob
    where
        Self: Sized,
    {
        let AnyJob { name, retry, durable, arguments, body } = self.into_job();
        AnyJob { name, retry, durable, arguments, body: Needing::around(body, deps.0) }
    }

    /// The job under another name.
    fn named(self, name: impl Into<Arc<str>>) -> AnyJob
    where
        Self: Sized,
    {
        AnyJob { name: name.into(), ..self.into_job() }
    }

    /// The job, skipped where the predicate is false when it is about to start. It is skipped with the
    /// depth that is given, and counts as converged for the jobs that depend on it and are not skipped. A predicate that returns an error
    /// fails the job for good.
    ///
    /// ```
    /// # use dojob::{deps, Context, Deps, DummyJob, Engine, IntoJob, Outcome, Result, RunOnlyJob, SkipDepth};
    /// # #[derive(Clone, PartialEq)] struct Reboot;
    /// # impl RunOnlyJob for Reboot { fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) } }
    /// let reboot = Reboot.only_if(SkipDepth::Itself, |cx| Ok(cx.global().get("new kernel")?.unwrap_or(false)));
    /// let report = Engine::new(reboot)?.converge();
    /// assert_eq!(report.job("Reboot").outcome(), Outcome::Skipped);
    /// # Ok::<(), dojob::GraphErrors>(())
    /// ```
    fn only_if(
        self,
        depth: SkipDepth,
        holds: impl Fn(&Context) -> Result<bool> + Send + Sync + 'static,
    ) -> AnyJob
    where
        Self: Sized,
    {
        let AnyJob { name, retry, durable, body, arguments } = self.into_job();
        let about = About { condition: Some(Condition::new(depth, holds)), ..About::default() };
        AnyJob { name, retry, durable, body: Annotated::around(body, about), arguments }
    }

    /// The job, tried as often as this says, whatever its type does.
    fn tried(self, retry: Retry) -> AnyJob
    where
        Self: Sized,
    {
        AnyJob { retry, ..self.into_job() }
    }
}

#[diagnostic::do_not_recommend]
impl IntoJob<marker::Any> for AnyJob {
    fn into_job(self) -> AnyJob {
        self
    }
}

/// One entry of a list of dependencies.
#[derive(Clone, Debug)]
pub(crate) enum Dep {
    /// The job itself.
    Job(AnyJob),
    /// A job that is described elsewhere in the graph.
    Named(Arc<str>),
}

/// The jobs that a job depends on, in order; made by [`deps!`](crate::deps).
#[derive(Clone, Debug, Default)]
pub struct Deps(pub(crate) Vec<Dep>);

impl Dep {
    pub(crate) fn name(&self) -> &Arc<str> {
        match self {
            Dep::Job(job) => &job.name,
            Dep::Named(name) => name,
        }
    }
}

impl Deps {
    /// No dependencies.
    pub fn new() -> Self {
        Deps::default()
    }

    /// This list with `job` behind it.
    pub fn with<M>(mut self, job: impl IntoJob<M>) -> Self {
        self.push(job);
        self
    }

    /// Adds a job that was made at run time.
    pub fn push<M>(&mut self, job: impl IntoJob<M>) {
        self.0.push(Dep::Job(job.into_job()));
    }

    /// Adds jobs that were made at run time.
    pub fn extend<M, J: IntoJob<M>>(&mut self, jobs: impl IntoIterator<Item = J>) {
        self.0.extend(jobs.into_iter().map(|job| Dep::Job(job.into_job())));
    }

    /// Adds a job by its name alone; the job itself has to be in the graph by another way.
    pub fn push_named(&mut self, name: impl Into<Arc<str>>) {
        self.0.push(Dep::Named(name.into()));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The dependencies of a job: values of any of the three job traits, in the order in which they are wanted.
///
/// ```
/// # use dojob::{deps, Context, Deps, DummyJob, Result, RunOnlyJob};
/// # #[derive(Clone, PartialEq)] struct CleanCouch;
/// # impl RunOnlyJob for CleanCouch { fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) } }
/// # #[derive(Clone, PartialEq)] struct Invite { friend: &'static str }
/// # impl RunOnlyJob for Invite {
/// #     fn name(&self) -> String { format!("Invite {}", self.friend) }
/// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// # }
/// #[derive(Clone, PartialEq)]
/// struct PrepareParty;
///
/// impl DummyJob for PrepareParty {
///     fn deps(&self) -> Deps {
///         let mut deps = deps![CleanCouch, Invite { friend: "Ann" }];
///         deps.extend(["Bob", "Cem"].map(|friend| Invite { friend }));
///         deps
///     }
/// }
/// # assert_eq!(PrepareParty.deps().len(), 4);
/// ```
#[macro_export]
macro_rules! deps {
    ($($job:expr),* $(,)?) => {
        $crate::Deps::new()$(.with($job))*
    };
}

/// A job with more dependencies than its type knows of.
pub(crate) struct Needing {
    body: Box<dyn Erased>,
    deps: Arc<Vec<Dep>>,
}

impl Needing {
    /// This job with these dependencies behind those that it has.
    pub(crate) fn around(mut body: Box<dyn Erased>, deps: Vec<Dep>) -> Box<dyn Erased> {
        match body.add_deps(deps) {
            Some(deps) => Box::new(Needing { body, deps: Arc::new(deps) }),
            None => body,
        }
    }
}

/// A chain of jobs, each with the next one as a dependency, may be a million long: to drop it job within job would need
/// more stack than there is.
impl Drop for Needing {
    fn drop(&mut self) {
        let mut open = Vec::new();
        self.give_deps_away(&mut open);
        while let Some(dep) = open.pop() {
            if let Dep::Job(mut job) = dep {
                job.body.give_deps_away(&mut open);
            }
        }
    }
}

impl Erased for Needing {
    fn has_cleanup(&self) -> Option<bool> {
        self.body.has_cleanup()
    }
    fn has_revert(&self) -> Option<bool> {
        self.body.has_revert()
    }
    fn kind(&self) -> JobKind {
        self.body.kind()
    }
    fn type_name(&self) -> &'static str {
        self.body.type_name()
    }
    fn deps(&self) -> Deps {
        let mut deps = self.body.deps();
        deps.0.extend(self.deps.iter().cloned());
        deps
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.body.check(cx)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.body.run(cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.body.cleanup(cx)
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.body.revert(cx)
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(Needing { body: self.body.clone_box(), deps: self.deps.clone() })
    }
    fn value(&self) -> &dyn Any {
        self.body.value()
    }
    fn about(&self) -> About {
        self.body.about()
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        self.body.compare(other)
    }
    fn more_deps(&self) -> &[Dep] {
        &self.deps
    }
    fn add_deps(&mut self, deps: Vec<Dep>) -> Option<Vec<Dep>> {
        Arc::make_mut(&mut self.deps).extend(deps);
        None
    }
    fn give_deps_away(&mut self, open: &mut Vec<Dep>) {
        open.extend(Arc::into_inner(std::mem::take(&mut self.deps)).unwrap_or_default());
        self.body.give_deps_away(open);
    }
}

/// A job about which more is said than its type does.
pub(crate) struct Annotated {
    body: Box<dyn Erased>,
    about: About,
}

impl Annotated {
    pub(crate) fn around(body: Box<dyn Erased>, about: About) -> Box<dyn Erased> {
        Box::new(Annotated { body, about })
    }
}

impl Erased for Annotated {
    fn has_cleanup(&self) -> Option<bool> {
        self.body.has_cleanup()
    }
    fn has_revert(&self) -> Option<bool> {
        self.body.has_revert()
    }
    fn kind(&self) -> JobKind {
        self.body.kind()
    }
    fn type_name(&self) -> &'static str {
        self.body.type_name()
    }
    fn deps(&self) -> Deps {
        self.body.deps()
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.body.check(cx)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.body.run(cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.body.cleanup(cx)
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.body.revert(cx)
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(Annotated { body: self.body.clone_box(), about: self.about.clone() })
    }
    fn value(&self) -> &dyn Any {
        self.body.value()
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        self.body.compare(other)
    }
    fn about(&self) -> About {
        self.body.about().and(self.about.clone())
    }
    fn more_deps(&self) -> &[Dep] {
        self.body.more_deps()
    }
    fn give_deps_away(&mut self, open: &mut Vec<Dep>) {
        self.body.give_deps_away(open);
    }
}
