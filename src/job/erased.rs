//! The job traits and closures, each as a job whose type is forgotten.

use std::any::Any;
use std::sync::Arc;

use anyhow::Result;

use super::about::About;
use super::any_job::{Deps, Erased, Sameness};
use super::kind::JobKind;
use super::traits::{DummyJob, Job, RunOnlyJob};
use crate::context::Context;

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
    fn about(&self) -> About {
        let (requires, provides, uses) = (self.0.requires(), self.0.provides(), self.0.uses());
        About { requires, provides, uses, ..About::default() }
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
    fn about(&self) -> About {
        let (requires, provides, uses) = (self.0.requires(), self.0.provides(), self.0.uses());
        About { requires, provides, uses, ..About::default() }
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
    pub(crate) about: About,
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
    fn about(&self) -> About {
        self.0.about.clone()
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        compare(self, other)
    }
}
