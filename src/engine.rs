//! Converging a graph on one machine.
//!
//! [`Engine`] is what a user sets up; a run of it is [`converge`]. The rooms below know one thing each: which job next
//! ([`scheduler`]), one try ([`attempt`]), who makes it ([`workers`]), what a crash must not lose ([`log`]), what a
//! started run owes ([`obligation`]), what is reverted after a failure ([`policy`]), cleanups and reverts ([`rollback`]), and
//! what earlier convergences have left ([`recovery`]).

mod aftermath;
mod apply;
pub(crate) mod attempt;
mod converge;
#[cfg(test)]
mod group_crash_tests;
mod group_policy;
mod group_rollback;
mod group_states;
mod limits;
pub(crate) mod log;
mod obligation;
mod phase_call;
pub(crate) mod plan;
pub(crate) mod plan_mismatch;
pub(crate) mod policy;
mod recorder;
mod recovery;
mod rollback;
mod run_context;
pub(crate) mod scheduler;
#[cfg(test)]
mod scheduler_tests;
mod settings;
mod setup;
mod started_run;
mod step;
mod stop;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use self::converge::Convergence;
use self::log::Log;
use self::plan::Plan;
use self::plan_mismatch::{PlanMismatch, UnplannableError};
use self::recorder::LogRecorder;
use self::scheduler::Tries;
use self::settings::Settings;
use self::setup::Setup;
pub use self::stop::StopHandle;
use crate::clock::{Clock, SystemClock, VirtualClock};
use crate::context::args::{ArgError, Args};
use crate::context::storage::Handles;
use crate::event::Observer;
use crate::graph::JobGraph;
use crate::graph::error::GraphErrors;
use crate::job::IntoJob;
use crate::job::policy::OnFailure;
use crate::report::{CleanupReport, PendingCleanup, Report};
use crate::secret::Secret;

/// Brings a graph of jobs to its wanted state.
///
/// ```
/// # use dojob::{Context, Engine, Job, Result};
/// # #[derive(Clone, PartialEq)] struct WatchMovie;
/// # impl Job for WatchMovie {
/// #     fn check(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
/// # }
/// use std::time::Duration;
///
/// let mut engine = Engine::new(WatchMovie)?
///     .args(&serde_json::json!({"movie": "Brazil"}))?
///     .tries(3)
///     .retry_delay(Duration::from_secs(1))
///     .workers(1);
/// let report = engine.converge();
/// assert!(report.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Engine {
    setup: Setup,
}

impl Engine {
    /// An engine for `root` and all that it depends on.
    ///
    /// # Errors
    /// All mistakes of the graph at once.
    pub fn new<M>(root: impl IntoJob<M>) -> Result<Self, GraphErrors> {
        JobGraph::new(root).map(Engine::with_graph)
    }

    /// An engine for a graph that is there already.
    pub fn with_graph(graph: JobGraph) -> Self {
        let graph = Arc::new(graph);
        let may_revert_all = graph.groups().may_revert_all();
        let limits = graph.limits().clone();
        let setup = Setup {
            whole: graph.clone(),
            graph,
            args: Args::default(),
            handles: Handles::default(),
            emitter: Arc::default(),
            tries: Tries { count: 3, delay: Duration::from_secs(1) },
            workers: 1,
            settings: Settings {
                no_act: false,
                look_ahead: false,
                cleanup: true,
                durable: false,
                on_failure: OnFailure::Keep,
                may_revert_all,
                forget_undo: false,
            },
            clock: Arc::new(SystemClock::new()),
            simulated: None,
            stop: StopHandle::default(),
            started_runs: Vec::new(),
            limits,
            time_limit: None,
            recorder: None,
            unreadable: None,
            scope: None,
            approval: None,
        };
        Engine { setup }
    }

    /// Keyword arguments for all jobs: the fields of a struct (one that `clap` has parsed, say), or a map. Called again,
    /// it adds to them. Secrets among them ([`Secret`]) are masked in everything that is shown.
    ///
    /// # Errors
    /// When `args` is neither a struct nor a map, has no JSON form, or has a secret that is part of a job's name.
    pub fn args(mut self, args: &impl Serialize) -> Result<Self, ArgError> {
        let secrets = self.setup.args.merge(args)?;
        self.hide(&secrets)?;
        Ok(self)
    }

    /// Masks secret arguments in all that is shown; in names they cannot be masked.
    fn hide(&self, secrets: &[String]) -> Result<(), ArgError> {
        let redactor = self.setup.emitter.redactor();
        secrets.iter().for_each(|secret| redactor.add(secret));
        match !secrets.is_empty() && self.setup.graph.iter().any(|node| redactor.finds_in(node.name())) {
            true => Err(ArgError::SecretInName),
            false => Ok(()),
        }
    }

    /// Positional arguments for all jobs.
    ///
    /// # Errors
    /// When one has no JSON form.
    pub fn positional<T: Serialize>(mut self, args: impl IntoIterator<Item = T>) -> Result<Self, ArgError> {
        let secrets = self.setup.args.set_positional(args)?;
        self.hide(&secrets)?;
        Ok(self)
    }

    /// Masks a secret that is no argument in everything that is shown.
    #[must_use]
    pub fn mask(self, secret: &Secret<String>) -> Self {
        self.setup.emitter.redactor().add(secret.expose());
        self
    }

    /// A handle for all jobs, as [`Handles::put`].
    #[must_use]
    pub fn handle<T: Send + Sync + 'static>(self, handle: T) -> Self {
        self.setup.handles.put(handle);
        self
    }

    /// How often a job is tried that does not say itself; 3 unless this is called.
    ///
    /// # Panics
    /// When it is 0.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        assert!(tries > 0, "a job cannot be tried 0 times");
        self.setup.tries.count = tries;
        self
    }

    /// From the start of one try to the start of the next, for jobs that do not say themselves; 1 second unless this is
    /// called.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.setup.tries.delay = delay;
        self
    }

    /// How many jobs may be in work at once; 1 unless this is called, which makes the order exact and repeatable.
    ///
    /// # Panics
    /// When it is 0.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        assert!(workers > 0, "there must be at least 1 worker");
        self.setup.workers = workers;
        self
    }

    /// At most `at_once` jobs are at work at once that [use](crate::Job::uses) `name`; called again for the same name, it takes
    /// the place of what was said before. A job that uses a limit which is not set is refused before anything runs
    /// ([`Report::refusal`]).
    ///
    /// # Panics
    /// When it is 0.
    #[must_use]
    pub fn limit(mut self, name: impl Into<String>, at_once: usize) -> Self {
        assert!(at_once > 0, "a job that uses it could never start");
        self.setup.limits.insert(name.into(), at_once);
        self
    }

    /// How long a run may take, cleanups and reverts not counted. When that time is over it is stopped: nothing new starts,
    /// commands are ended, cleanups are called, and [`Report::is_timed_out`] is true. No limit unless this is called.
    #[must_use]
    pub fn time_limit(mut self, time: Duration) -> Self {
        self.setup.time_limit = Some(time);
        self
    }

    /// Whether this is a dry run: checks only, nothing is changed. Not unless this is called.
    #[must_use]
    pub fn no_act(mut self, no_act: bool) -> Self {
        self.setup.settings.no_act = no_act;
        self
    }

    /// Whether a [dry run](Engine::no_act) also calls the checks of jobs behind one that is not in place. Their answers
    /// then are given as things stand, with the jobs before them that are not in place
    /// ([`because_of`](crate::JobReport::because_of)): [`WouldRun`](crate::Outcome::WouldRun),
    /// [`InPlace`](crate::Outcome::InPlace) (it may change after those), or where the check could not find out
    /// [`Unknown`](crate::Outcome::Unknown). Not unless this is called: then such a job is unknown, and its check is not
    /// called. Without effect where jobs are run.
    ///
    /// ```
    /// # use dojob::{Engine, JobGraph, Outcome};
    /// # use anyhow::bail;
    /// let mut graph = JobGraph::builder();
    /// graph.job("directory", |_| bail!("does not exist"), |_| Ok(()));
    /// graph.job("file", |_| bail!("does not exist"), |_| Ok(())).after(["directory"]);
    /// let report = Engine::with_graph(graph.build()?).no_act(true).look_ahead(true).converge();
    /// assert_eq!(report.job("file").outcome(), Outcome::WouldRun);
    /// assert_eq!(report.job("file").because_of(), ["directory".into()]);
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    #[must_use]
    pub fn look_ahead(mut self, look_ahead: bool) -> Self {
        self.setup.settings.look_ahead = look_ahead;
        self
    }

    /// Whether [`converge`](Engine::converge) calls the cleanups; it does unless told otherwise. When it does not,
    /// [`clean_up`](Engine::clean_up) can be called by hand until the next run, which lets go of them: they were
    /// declined, and are not pending.
    #[must_use]
    pub fn cleanup(mut self, cleanup: bool) -> Self {
        self.setup.settings.cleanup = cleanup;
        self
    }

    /// Adds somebody who hears all events of all runs.
    #[must_use]
    pub fn observe(self, observer: impl Observer + 'static) -> Self {
        self.setup.emitter.add(Box::new(observer));
        self
    }

    /// Takes time from `clock` in place of the machine. Give an `Arc` of it to keep hold of it.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.setup.clock = Arc::new(clock);
        self
    }

    /// Simulates the workers in one thread, on a clock that stands still: which of the tries at work ends first is
    /// decided by `seed`. For tests of a graph: every interleaving that several workers may bring about can be tried,
    /// and repeated.
    #[must_use]
    pub fn simulate(mut self, seed: u64) -> Self {
        self.setup.clock = Arc::new(VirtualClock::new());
        self.setup.simulated = Some(seed);
        self
    }

    /// Writes down in a log (a [`Journal`](crate::Journal)) what is about to be run, so that the next start with the same log does what a killed
    /// process left pending: it ends the commands that are left, and calls the cleanups that are open, before anything else.
    #[must_use]
    pub fn journal(mut self, log: impl Log + 'static) -> Self {
        match LogRecorder::new(log) {
            Ok(recorder) => self.setup.recorder = Some(Arc::new(recorder)),
            Err(error) => self.setup.unreadable = Some(error),
        }
        self
    }

    /// What a program adds to its name to make a scope of its own: the root that it works on, say. The
    /// command line keeps a journal, and a lock, for each scope; without this call a program has one.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.setup.scope = Some(scope.into());
        self
    }

    pub(crate) fn scope_name(&self) -> Option<&str> {
        self.setup.scope.as_deref()
    }

    #[cfg(feature = "cli")]
    pub(crate) fn has_journal(&self) -> bool {
        self.setup.recorder.is_some() || self.setup.unreadable.is_some()
    }

    /// Whether what is written down survives power loss, and not only a killed process: one `fsync` before a run, and one
    /// for each value that it puts into its local storage. Not unless this is called; jobs can ask for it on their own.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.setup.settings.durable = durable;
        self
    }

    /// What is done when a job has failed for good; everything stays as it is unless this is called.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.setup.settings.on_failure = on_failure;
        self
    }

    /// Leaves as it is what an earlier run began to revert and did not finish; otherwise such a revert is continued
    /// ([`OnFailure::Revert`]), or [refused](Report::refusal).
    #[must_use]
    pub fn forget_undo(mut self, forget_undo: bool) -> Self {
        self.setup.settings.forget_undo = forget_undo;
        self
    }

    /// The cleanups and reverts that earlier runs left pending, by the journal, the oldest first; empty without one.
    pub fn pending(&self) -> Vec<PendingCleanup> {
        self.setup.recorder.as_ref().map_or_else(Vec::new, |journal| {
            journal.with_ledger(|ledger| recovery::list(ledger, &self.setup.whole))
        })
    }

    /// Calls the cleanups that earlier runs left pending, and does nothing else: no job is checked or run. With `declined`
    /// also those that were left out on purpose.
    pub fn call_pending(&mut self, declined: bool) -> Report {
        Convergence::new(&mut self.setup).only_clean_up(declined)
    }

    /// Converges only the jobs of these names and what they need.
    ///
    /// # Errors
    /// When there is no job of one of the names; all of those at once.
    pub fn only<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Result<Self, GraphErrors> {
        let graph = JobGraph::clone(&self.setup.graph).only(names)?;
        self.setup.graph = Arc::new(graph);
        Ok(self)
    }

    /// The graph.
    pub fn graph(&self) -> &JobGraph {
        &self.setup.graph
    }

    /// What ends a run early, from another thread or a signal.
    pub fn stop_handle(&self) -> StopHandle {
        self.setup.stop.clone()
    }

    /// Brings every job to its wanted state, as far as that is possible, and says how it ended. Called again, it is a
    /// new run, from the start.
    pub fn converge(&mut self) -> Report {
        Convergence::new(&mut self.setup).converge()
    }

    /// What a dry run of this engine has found, as a [`Plan`] that can be reviewed, kept, and [applied](Engine::apply). It is
    /// best made with a [look ahead](Engine::look_ahead): without one, all that stands behind a job that would run is unknown.
    ///
    /// # Errors
    /// When the report is not of a whole dry run, or a check could not find out how things are with nothing before it open.
    pub fn plan(&self, report: &Report) -> Result<Plan, UnplannableError> {
        Plan::new(report, self.scope_name(), &self.setup.args)
    }

    /// Whether a plan was made for this graph, scope and arguments. Nothing is checked or changed.
    ///
    /// # Errors
    /// When it was not.
    pub fn fits(&self, plan: &Plan) -> Result<(), PlanMismatch> {
        plan.fits(&self.setup.graph, self.scope_name(), &self.setup.args)
    }

    /// Converges as a plan has it, and does nothing else: first all checks are called once more, and where the plan does not
    /// fit any more nothing is changed. Then the jobs run that would run by the plan, or were unknown. One that is in place
    /// by now is passed over, and [`JobSettled`](crate::Event::JobSettled) says so. A job that was in place and would run
    /// in spite of that, because of what the others have changed, fails.
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicBool, Ordering};
    /// # use std::sync::Arc;
    /// # use dojob::{Engine, JobGraph};
    /// # let mended = Arc::new(AtomicBool::new(false));
    /// # let engine = || {
    /// #     let (is_mended, mend) = (mended.clone(), mended.clone());
    /// #     let mut graph = JobGraph::builder();
    /// #     graph.job(
    /// #         "Fence",
    /// #         move |_| if is_mended.load(Ordering::Relaxed) { Ok(()) } else { anyhow::bail!("a board is missing") },
    /// #         move |_| { mend.store(true, Ordering::Relaxed); Ok(()) },
    /// #     );
    /// #     Engine::with_graph(graph.build().unwrap())
    /// # };
    /// use dojob::Plan;
    ///
    /// let mut dry = engine().no_act(true).look_ahead(true);
    /// let report = dry.converge();
    /// let text = dry.plan(&report)?.to_json();
    ///
    /// let report = engine().apply(&Plan::from_json(&text)?)?;
    /// assert!(report.success());
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the plan does not fit any more; nothing was changed.
    ///
    /// # Panics
    /// When this engine makes dry runs.
    pub fn apply(&mut self, plan: &Plan) -> Result<Report, PlanMismatch> {
        assert!(!self.setup.settings.no_act, "a dry run applies no plan");
        apply::apply(&mut self.setup, plan)
    }

    /// Calls the cleanups that are open, the last run first: those that [`cleanup`](Engine::cleanup) has switched off in
    /// the last run, and those that have failed and are still pending. In a dry run it calls none.
    pub fn clean_up(&mut self) -> Vec<CleanupReport> {
        if self.setup.settings.no_act {
            return Vec::new();
        }
        rollback::clean_up_runs(&mut self.setup.started_runs, self.setup.clock.as_ref())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("graph", &self.setup.graph)
            .field("workers", &self.setup.workers)
            .field("no_act", &self.setup.settings.no_act)
            .finish_non_exhaustive()
    }
}
