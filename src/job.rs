//! What a job is: three traits, one for each kind, and the values that stand for jobs in a list of dependencies.
//!
//! Knows what a job is handed ([`Context`]), but neither how jobs make a graph nor how they are tried.

pub(crate) mod erased;
pub(crate) mod reason;
pub(crate) mod retry;

use std::sync::Arc;

use anyhow::Result;

use self::erased::{Checked, Dummy, Erased, RunOnly};
use self::retry::Retry;
use crate::context::Context;
use crate::secret::without_passwords;

/// Which of the three kinds a job is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobKind {
    /// Check and run: [`Job`].
    Job,
    /// Run only: [`RunOnlyJob`].
    RunOnly,
    /// Dependencies only: [`DummyJob`].
    Dummy,
}

/// A job with a check and a run.
///
/// ```
/// use dojob::{Context, Engine, Job, Result};
/// # use std::path::PathBuf;
///
/// /// A user that is created when missing.
/// #[derive(Clone, PartialEq)]
/// struct User {
///     name: String,
/// #   passwd: PathBuf,
/// }
///
/// impl Job for User {
///     fn name(&self) -> String {
///         format!("User {}", self.name)
///     }
///
///     fn check(&mut self, cx: &mut Context) -> Result<()> {
/// #       let id = cx.shell(&format!("grep -q '^{}:' {}", self.name, self.passwd.display())); #[cfg(any())]
///         let id = cx.command("id").arg(&self.name);
///         anyhow::ensure!(id.quiet().output()?.success(), "user {} does not exist", self.name);
///         Ok(())
///     }
///
///     fn run(&mut self, cx: &mut Context) -> Result<()> {
/// #       cx.shell(&format!("echo '{}:x:1000:' >> {}", self.name, self.passwd.display())).run()?; #[cfg(any())]
///         cx.command("useradd").args(["--create-home", &self.name]).run()?;
///         Ok(())
///     }
/// }
///
/// # let scratch = tempfile::tempdir()?;
/// # let passwd = scratch.path().join("passwd");
/// # std::fs::write(&passwd, "")?;
/// let mut engine = Engine::new(User {
///     name: "rosa".into(),
/// #   passwd,
/// })?;
/// let report = engine.converge();
/// assert_eq!(report.counts().changed, 1);
///
/// // Again: now there is nothing to do.
/// assert_eq!(engine.converge().counts().in_place, 1);
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// # What the engine expects
/// * `check` changes nothing, and may be called at any time.
/// * `run` may be called again after it failed, or was interrupted anywhere, and then goes on from what it finds.
/// * A panic in any method is a failure of that phase, and of nothing else. `std::process::exit`, an abort and a stack
///   overflow cannot be caught: they end the whole program at once, without cleanups, other jobs or a report. Return an
///   error instead.
///
/// Every try works on a fresh clone of the job, so fields can be changed at will and are never seen by the next try.
pub trait Job: Clone + PartialEq + Send + Sync + 'static {
    /// The name, unique in a graph; by default the name of the type. Two jobs of one name are taken for the same job,
    /// and then have to be equal.
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// The jobs that have to be in their wanted state before this one starts, in the order in which they are wanted.
    fn deps(&self) -> Deps {
        Deps::new()
    }

    /// How often to try; by default what the engine is set to. After an error that is [`Permanent`](crate::Permanent) it is
    /// not tried again.
    fn retry(&self) -> Retry {
        Retry::default()
    }

    /// Whether what is written down of its runs has to survive power loss, and not only a killed process; by default
    /// what the [engine](crate::Engine::durable) is set to.
    fn durable(&self) -> bool {
        false
    }

    /// Says whether this piece of the world is as wanted: `Ok` when it is, otherwise the reason as a short sentence.
    ///
    /// # Errors
    /// Any error means that the world is not as wanted, and that `run` is called for; [`NotAsWanted`](crate::NotAsWanted)
    /// can show the difference, too. An error which says that it *could not find out* fails the try without a run, since
    /// nobody should change what they cannot see: [`CouldNotFindOut`](crate::CouldNotFindOut), and, unless a
    /// `NotAsWanted` is around it, a permission denied, or a command that cannot be started or did not end in time.
    fn check(&mut self, cx: &mut Context) -> Result<()>;

    /// Makes it so. Called after a check that failed; the check is called again afterwards and decides.
    ///
    /// # Errors
    /// An error is recorded and shown, but does not decide.
    fn run(&mut self, cx: &mut Context) -> Result<()>;

    /// Puts away what `run` left lying about. Called once for every run that was started, after the last job of the
    /// graph has settled, the last run first; on the same value and local storage that the run had.
    ///
    /// Where the engine has a [`Journal`](crate::Journal) and the process is killed, the next start calls it: on the job of
    /// this name as the graph has it then, with the local storage that the run has left and its arguments. It may rely on
    /// these two alone, and has to bear that it is called twice.
    ///
    /// # Errors
    /// An error is reported, and does not stop the cleanups of others.
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// Takes back what `run` has done: called, before all cleanups, for every run that was started, when a job has failed
    /// for good and [`OnFailure::Revert`](crate::OnFailure::Revert) is set. The runs of the job that failed come first, the
    /// others in reverse order. [`Context::failures`] says why; for the rest the same holds as for `cleanup`.
    ///
    /// # Errors
    /// An error stops the taking back: nothing more is reverted, and the run is *stuck*.
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// Whether there is a cleanup to call. `--debts` leaves out those that have none, and says "if it has one" of those that
    /// do not tell: what a type overrides cannot be seen from outside. It is called in any case.
    fn has_cleanup(&self) -> Option<bool> {
        None
    }

    /// Whether there is a revert to call; as [`has_cleanup`](Job::has_cleanup).
    fn has_revert(&self) -> Option<bool> {
        None
    }
}

/// A job without a check, which runs every time: its check fails by definition, and its recheck is the result of its
/// run. What can be checked should be a [`Job`].
pub trait RunOnlyJob: Clone + PartialEq + Send + Sync + 'static {
    /// As [`Job::name`].
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// As [`Job::deps`].
    fn deps(&self) -> Deps {
        Deps::new()
    }

    /// As [`Job::retry`].
    fn retry(&self) -> Retry {
        Retry::default()
    }

    /// As [`Job::durable`].
    fn durable(&self) -> bool {
        false
    }

    /// Does what is to be done.
    ///
    /// # Errors
    /// An error fails the try.
    fn run(&mut self, cx: &mut Context) -> Result<()>;

    /// As [`Job::cleanup`].
    ///
    /// # Errors
    /// As there.
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// As [`Job::revert`].
    ///
    /// # Errors
    /// As there.
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// Whether there is a cleanup to call. `--debts` leaves out those that have none, and says "if it has one" of those that
    /// do not tell: what a type overrides cannot be seen from outside. It is called in any case.
    fn has_cleanup(&self) -> Option<bool> {
        None
    }

    /// Whether there is a revert to call; as [`has_cleanup`](RunOnlyJob::has_cleanup).
    fn has_revert(&self) -> Option<bool> {
        None
    }
}

/// A job that only holds others together: it converges when its dependencies have.
pub trait DummyJob: Clone + PartialEq + Send + Sync + 'static {
    /// As [`Job::name`].
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// As [`Job::deps`].
    fn deps(&self) -> Deps;
}

/// The name of a type without the modules that it and its parameters are in.
fn type_name<T>() -> String {
    let full = std::any::type_name::<T>();
    let mut name = String::with_capacity(full.len());
    // Where the path segment that is being read begins: a `::` ends a module's name, which is dropped.
    let mut segment = 0;
    for c in full.chars() {
        if c == ':' {
            name.truncate(segment);
            continue;
        }
        name.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            segment = name.len();
        }
    }
    name
}

/// A job of any kind, ready to be put into a graph. [`deps!`](crate::deps) and [`Engine::new`](crate::Engine::new) make
/// these themselves.
pub struct AnyJob {
    pub(crate) name: Arc<str>,
    pub(crate) retry: Retry,
    pub(crate) durable: bool,
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

/// Tells the three conversions of [`IntoJob`] apart. These types are never named by users: the compiler finds them.
pub mod marker {
    /// For a [`Job`](crate::Job).
    #[derive(Debug)]
    pub enum Checked {}
    /// For a [`RunOnlyJob`](crate::RunOnlyJob).
    #[derive(Debug)]
    pub enum RunOnly {}
    /// For a [`DummyJob`](crate::DummyJob).
    #[derive(Debug)]
    pub enum Dummy {}
    /// For an [`AnyJob`](crate::AnyJob).
    #[derive(Debug)]
    pub enum Any {}

    /// A job trait, as a value.
    #[cfg(feature = "playbook")]
    pub trait Kind: sealed::Sealed {
        /// Which one.
        const KIND: super::JobKind;
    }

    #[cfg(feature = "playbook")]
    mod sealed {
        pub trait Sealed {}
        impl Sealed for super::Checked {}
        impl Sealed for super::RunOnly {}
        impl Sealed for super::Dummy {}
    }

    #[cfg(feature = "playbook")]
    impl Kind for Checked {
        const KIND: super::JobKind = super::JobKind::Job;
    }

    #[cfg(feature = "playbook")]
    impl Kind for RunOnly {
        const KIND: super::JobKind = super::JobKind::RunOnly;
    }

    #[cfg(feature = "playbook")]
    impl Kind for Dummy {
        const KIND: super::JobKind = super::JobKind::Dummy;
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
        let AnyJob { name, retry, durable, body } = self.into_job();
        AnyJob { name, retry, durable, body: erased::Needing::around(body, deps.0) }
    }

    /// The job under another name.
    fn named(self, name: impl Into<Arc<str>>) -> AnyJob
    where
        Self: Sized,
    {
        AnyJob { name: name.into(), ..self.into_job() }
    }

    /// The job, tried as often as this says, whatever its type does.
    fn tried(self, retry: Retry) -> AnyJob
    where
        Self: Sized,
    {
        AnyJob { retry, ..self.into_job() }
    }
}

/// Names are shown everywhere, and kept: what a URL in one has as its password is no part of it.
fn shown_name(name: &str) -> Arc<str> {
    without_passwords(name).into()
}

impl<J: Job> IntoJob<marker::Checked> for J {
    fn into_job(self) -> AnyJob {
        AnyJob {
            name: shown_name(&self.name()),
            retry: self.retry(),
            durable: self.durable(),
            body: Box::new(Checked(self)),
        }
    }
}

impl<J: RunOnlyJob> IntoJob<marker::RunOnly> for J {
    fn into_job(self) -> AnyJob {
        AnyJob {
            name: shown_name(&self.name()),
            retry: self.retry(),
            durable: self.durable(),
            body: Box::new(RunOnly(self)),
        }
    }
}

impl<J: DummyJob> IntoJob<marker::Dummy> for J {
    fn into_job(self) -> AnyJob {
        AnyJob {
            name: shown_name(&self.name()),
            retry: Retry::default(),
            durable: false,
            body: Box::new(Dummy(self)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;
    struct Generic<T>(std::marker::PhantomData<T>);

    #[test]
    fn names_of_types_have_no_modules() {
        assert_eq!(type_name::<Plain>(), "Plain");
        assert_eq!(type_name::<Generic<Plain>>(), "Generic<Plain>");
        assert_eq!(type_name::<Generic<(Plain, Vec<String>)>>(), "Generic<(Plain, Vec<String>)>");
        assert_eq!(type_name::<&[Plain]>(), "&[Plain]");
    }
}
