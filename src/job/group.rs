//! A group: jobs under one name, with a policy of their own.
//!
//! In a graph a group is a dummy job of its name that comes after all of its jobs, so that it can be depended upon like any
//! other. What its policy brings about is the engine's business.

use std::any::Any;
use std::sync::Arc;

use anyhow::Result;

use super::about::About;
use super::any_job::{AnyJob, Dep, Deps, Erased, IntoJob, Sameness};
use super::condition::{Condition, SkipDepth};
use super::kind::JobKind;
use super::marker;
use super::policy::{Attempts, GroupSpec, OnFailure};
use super::retry::Retry;
use crate::context::Context;

/// Jobs under one name, with a policy for failures of their own.
///
/// A group is a dependency like a job, and comes after all of its jobs; a job outside that depends on a job inside waits for the
/// whole group. A job belongs to one group at most, a group may be a job of another one. What a job of the group depends on and
/// is not listed is not part of it.
///
/// When a job of it has failed for good, nothing of the group starts any more. What is at work ends its try, and the group is
/// reverted: every run of it that was started, the failed job's first, then in reverse order of their starts. Then it starts again,
/// while its [`Attempts`] allow, and its jobs get their tries anew. Without an attempt left, the group around it is asked, and
/// at last the [engine](crate::Engine::on_failure). Where nobody around has a policy, only the group is reverted: jobs outside stay as
/// they are, and those that depend on it are blocked.
///
/// ```
/// # use dojob::{deps, Attempts, Context, Engine, Group, Result, RunOnlyJob};
/// # #[derive(Clone, PartialEq)] struct Fetch;
/// # impl RunOnlyJob for Fetch {
/// fn run(&mut self, cx: &mut Context) -> Result<()> {
///     let mirror: String = cx.attempt_value()?;
///     anyhow::ensure!(mirror != "ftp.example.org", "{mirror} does not answer");
///     Ok(())
/// }
/// # }
/// let mirrors = ["ftp.example.org", "mirror.example.net"];
/// let group = Group::new("mirror").jobs(deps![Fetch]).attempts(Attempts::for_each(mirrors));
/// let report = Engine::new(group)?.tries(1).converge();
/// assert!(report.success());
/// # Ok::<(), dojob::GraphErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    name: Arc<str>,
    jobs: Vec<Dep>,
    after: Vec<Dep>,
    spec: GroupSpec,
    condition: Option<Condition>,
}

impl Group {
    /// A group without jobs. Its name has to be unique among groups and jobs.
    pub fn new(name: impl Into<Arc<str>>) -> Group {
        let (jobs, after, spec) = (Vec::new(), Vec::new(), GroupSpec::default());
        Group { name: name.into(), jobs, after, spec, condition: None }
    }

    /// Jobs and groups that belong to it, in order; called again, it adds more.
    #[must_use]
    pub fn jobs(mut self, jobs: Deps) -> Group {
        self.jobs.extend(jobs.0);
        self
    }

    /// As [`jobs`](Group::jobs), by name; the jobs themselves have to be in the graph by another way.
    #[must_use]
    pub fn jobs_named<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Group {
        self.jobs.extend(names.into_iter().map(|name| Dep::Named(name.into())));
        self
    }

    /// What all of its jobs depend on.
    #[must_use]
    pub fn after(mut self, dependencies: Deps) -> Group {
        self.after.extend(dependencies.0);
        self
    }

    /// As [`after`](Group::after), by name.
    #[must_use]
    pub fn after_named<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Group {
        self.after.extend(names.into_iter().map(|name| Dep::Named(name.into())));
        self
    }

    /// What is done with its runs when it has failed, no attempt is left, and no policy around it decides otherwise. Unless this is
    /// called they are reverted where it has [`attempts`](Group::attempts), and kept otherwise.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Group {
        self.spec.on_failure = Some(on_failure);
        self
    }

    /// How often it is attempted; once unless this is called.
    #[must_use]
    pub fn attempts(mut self, attempts: Attempts) -> Group {
        self.spec.attempts = Some(attempts);
        self
    }

    /// Skips the group where the predicate is false when it is about to start.
    #[must_use]
    pub fn only_if(
        mut self,
        depth: SkipDepth,
        holds: impl Fn(&Context) -> Result<bool> + Send + Sync + 'static,
    ) -> Group {
        self.condition = Some(Condition::new(depth, holds));
        self
    }
}

impl IntoJob<marker::Group> for Group {
    fn into_job(self) -> AnyJob {
        let Group { name, jobs, after, spec, condition } = self;
        let body = GroupBody { members: jobs.len(), deps: Arc::new([jobs, after].concat()), spec, condition };
        AnyJob { name, retry: Retry::default(), durable: false, body: Box::new(body), arguments: None }
    }
}

/// The dummy job that stands for a group: first its jobs are its dependencies, then what it comes after.
#[derive(Clone)]
struct GroupBody {
    members: usize,
    deps: Arc<Vec<Dep>>,
    spec: GroupSpec,
    condition: Option<Condition>,
}

impl GroupBody {
    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.deps.iter().map(Dep::name)
    }
}

impl Erased for GroupBody {
    fn kind(&self) -> JobKind {
        JobKind::Dummy
    }
    fn type_name(&self) -> &'static str {
        "group"
    }
    fn deps(&self) -> Deps {
        Deps(self.deps.to_vec())
    }
    fn about(&self) -> About {
        let group = Some((Arc::new(self.spec.clone()), self.members));
        About { group, condition: self.condition.clone(), ..About::default() }
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
        self
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        match other.value().downcast_ref::<GroupBody>() {
            None => Sameness::OtherType,
            Some(other)
                if self.members == other.members
                    && self.spec == other.spec
                    && self.condition == other.condition
                    && self.names().eq(other.names()) =>
            {
                Sameness::Same
            }
            Some(_) => Sameness::OtherValue,
        }
    }
    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }
    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
