//! Jobs whose type is forgotten, as a graph keeps them.
//!
//! Knows the three job traits and closures; not the engine that calls them.

use std::any::Any;
use std::sync::Arc;

use anyhow::Result;

use super::{Dep, Deps, DummyJob, Job, JobKind, RunOnlyJob};
use crate::context::Context;

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
        Sameness::Same if names(one) != names(other) => Sameness::OtherValue,
        sameness => sameness,
    }
}

fn compare<J: PartialEq + 'static>(own: &J, other: &dyn Erased) -> Sameness {
    match other.value().downcast_ref::<J>() {
        None => Sameness::OtherType,
        Some(other) if other == own => Sameness::Same,
        Some(_) => Sameness::OtherValue,
    }
}

/// A [`Job`].
#[derive(Clone)]
pub(crate) struct Checked<J>(pub(crate) J);

impl<J: Job> Erased for Checked<J> {
    fn has_cleanup(&self) -> Option<bool> {
        self.0.has_cleanup()
    }
    fn has_revert(&self) -> Option<bool> {
        self.0.has_revert()
    }
    fn kind(&self) -> JobKind {
        JobKind::Job
    }
    fn type_name(&self) -> &'static str {
        std::any::type_name::<J>()
    }
    fn deps(&self) -> Deps {
        self.0.deps()
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.0.check(cx)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.0.run(cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.0.cleanup(cx)
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.0.revert(cx)
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
    fn value(&self) -> &dyn Any {
        &self.0
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        compare(&self.0, other)
    }
}

/// A [`RunOnlyJob`].
#[derive(Clone)]
pub(crate) struct RunOnly<J>(pub(crate) J);

impl<J: RunOnlyJob> Erased for RunOnly<J> {
    fn has_cleanup(&self) -> Option<bool> {
        self.0.has_cleanup()
    }
    fn has_revert(&self) -> Option<bool> {
        self.0.has_revert()
    }
    fn kind(&self) -> JobKind {
        JobKind::RunOnly
    }
    fn type_name(&self) -> &'static str {
        std::any::type_name::<J>()
    }
    fn deps(&self) -> Deps {
        self.0.deps()
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.0.run(cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.0.cleanup(cx)
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.0.revert(cx)
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
    fn value(&self) -> &dyn Any {
        &self.0
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        compare(&self.0, other)
    }
}

/// A [`DummyJob`].
#[derive(Clone)]
pub(crate) struct Dummy<J>(pub(crate) J);

impl<J: DummyJob> Erased for Dummy<J> {
    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }
    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
    fn kind(&self) -> JobKind {
        JobKind::Dummy
    }
    fn type_name(&self) -> &'static str {
        std::any::type_name::<J>()
    }
    fn deps(&self) -> Deps {
        self.0.deps()
    }
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn cleanup(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn revert(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
    fn value(&self) -> &dyn Any {
        &self.0
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        compare(&self.0, other)
    }
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

/// A phase that is a closure.
pub(crate) type Body = Box<dyn Fn(&mut Context) -> Result<()> + Send + Sync>;

/// A job made of closures, as the graph builder makes them. A clone shares them.
#[derive(Clone)]
pub(crate) struct Closures(pub(crate) Arc<Bodies>);

pub(crate) struct Bodies {
    pub(crate) kind: JobKind,
    pub(crate) check: Option<Body>,
    pub(crate) run: Option<Body>,
    pub(crate) cleanup: Option<Body>,
    pub(crate) revert: Option<Body>,
}

impl PartialEq for Closures {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn call(body: Option<&Body>, cx: &mut Context) -> Result<()> {
    match body {
        Some(body) => body(cx),
        None => {
            cx.set_absent();
            Ok(())
        }
    }
}

impl Erased for Closures {
    fn has_cleanup(&self) -> Option<bool> {
        Some(self.0.cleanup.is_some())
    }
    fn has_revert(&self) -> Option<bool> {
        Some(self.0.revert.is_some())
    }
    fn kind(&self) -> JobKind {
        self.0.kind
    }
    fn type_name(&self) -> &'static str {
        match self.0.kind {
            JobKind::Job => "job",
            JobKind::RunOnly => "run-only job",
            JobKind::Dummy => "dummy job",
        }
    }
    fn deps(&self) -> Deps {
        Deps::new()
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        call(self.0.check.as_ref(), cx)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        call(self.0.run.as_ref(), cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        call(self.0.cleanup.as_ref(), cx)
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        call(self.0.revert.as_ref(), cx)
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
    fn value(&self) -> &dyn Any {
        self
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        compare(self, other)
    }
}
