//! What a job is handed: arguments, storage, results, commands, cancellation, a log.
//!
//! A [`Context`] belongs to one try of one job. It knows its run, but neither the graph nor the engine: what it needs of
//! the graph it asks a [`Lineage`].

pub(crate) mod ahead;
pub(crate) mod args;
pub(crate) mod attempt;
pub(crate) mod cancel;
pub(crate) mod command;
pub(crate) mod current;
pub(crate) mod directory;
pub(crate) mod escaped;
pub(crate) mod group_attempt;
pub(crate) mod lineage;
mod mismatch;
pub(crate) mod output;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod recorder;
pub(crate) mod result_text;
pub(crate) mod results;
pub(crate) mod session;
pub(crate) mod storage;
pub(crate) mod time;
pub(crate) mod values;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::ahead::Ahead;
use self::args::{ArgError, Args};
use self::cancel::Cancel;
use self::directory::Directory;
use self::group_attempt::GroupAttempt;
pub(crate) use self::lineage::Lineage;
use self::process::Groups;
use self::recorder::{Recorder, RunRecord};
pub use self::results::ResultError;
use self::storage::{Global, Handles, Local, encode};
use crate::clock::Clock;
use crate::event::{Emitter, Failure, Phase, Stream};
use crate::secret::{Redactor, Secret};

/// What all tries of a run share.
pub(crate) struct Run {
    pub(crate) args: Arc<Args>,
    pub(crate) global: Global,
    pub(crate) handles: Handles,
    pub(crate) results: Mutex<HashMap<u32, Value>>,
    /// The values that jobs have provided, by name.
    pub(crate) values: Mutex<HashMap<String, Value>>,
    /// The jobs that a run has changed.
    pub(crate) changed: Mutex<HashSet<u32>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// When the first try of a job began whose time is limited.
    pub(crate) first_tries: Mutex<HashMap<u32, Duration>>,
    /// What earlier runs, and this one, have written down.
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) lineage: Arc<dyn Lineage>,
    pub(crate) emitter: Arc<Emitter>,
    /// Ends what is at work.
    pub(crate) cancel: Cancel,
    /// Ends cleanups, which the first request to stop does not touch.
    pub(crate) cancel_cleanup: Cancel,
    pub(crate) groups: Arc<Groups>,
    /// Where the run began.
    pub(crate) directory: Directory,
    pub(crate) no_act: bool,
    /// When the time of the run is over, by its clock.
    pub(crate) deadline: Option<Duration>,
    /// In a look ahead: what is not in place.
    pub(crate) ahead: Option<Ahead>,
    /// Whether what is run may have to be reverted.
    pub(crate) reverts: bool,
}

impl Run {
    pub(crate) fn results(&self) -> MutexGuard<'_, HashMap<u32, Value>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn values(&self) -> MutexGuard<'_, HashMap<String, Value>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a cleanup of an earlier run is handed: other arguments, its own directory, and nothing that lived in that
    /// process.
    pub(crate) fn of_earlier(&self, args: Args, directory: Directory, lineage: Arc<dyn Lineage>) -> Run {
        Run {
            args: Arc::new(args),
            global: Global::new(self.emitter.redactor()),
            handles: self.handles.clone(),
            results: Mutex::default(),
            values: Mutex::default(),
            changed: Mutex::default(),
            clock: self.clock.clone(),
            first_tries: Mutex::default(),
            recorder: self.recorder.clone(),
            lineage,
            emitter: self.emitter.clone(),
            cancel: self.cancel.clone(),
            cancel_cleanup: self.cancel_cleanup.clone(),
            groups: self.groups.clone(),
            directory,
            no_act: self.no_act,
            deadline: None,
            ahead: None,
            reverts: self.reverts,
        }
    }

    pub(crate) fn changed(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a job is handed in each phase.
///
/// One context lives for one try: the [local storage](Context::local) that `check` fills is there in `run` and `recheck`,
/// and, where the run was started, in `cleanup`.
pub struct Context {
    run: Arc<Run>,
    id: u32,
    phase: Phase,
    attempt: u32,
    tries: u32,
    local: Local,
    result: Option<Value>,
    /// Whether the phase called last was the trait's own, empty one.
    absent: bool,
    /// Whether this job was told of a change that it has to see to.
    was_told: Cell<bool>,
    /// For what a revert is called.
    failures: Option<Arc<BTreeMap<String, Failure>>>,
    /// The attempt of its innermost group that has attempts.
    group_attempt: Option<Arc<GroupAttempt>>,
    /// What this try has provided so far.
    provided: Map<String, Value>,
    /// When the job's time is over, by the engine's clock; cleanups and reverts have all the time they need.
    deadline: Option<Duration>,
}

impl Context {
    pub(crate) fn new(run: &Arc<Run>, id: u32, attempt: u32, tries: u32) -> Self {
        Context {
            run: run.clone(),
            id,
            phase: Phase::Check,
            attempt,
            tries,
            local: Local::new(run.emitter.redactor()),
            result: None,
            absent: false,
            was_told: Cell::new(false),
            failures: None,
            group_attempt: None,
            provided: Map::new(),
            deadline: run.deadline,
        }
    }

    /// That of a try in an earlier run, which ended before it was done with.
    pub(crate) fn restored(
        run: &Arc<Run>,
        id: u32,
        (attempt, tries): (u32, u32),
        local: impl IntoIterator<Item = (String, Value)>,
        result: Option<Value>,
        page: RunRecord,
    ) -> Self {
        let local = Local::restored(run.emitter.redactor(), local, page);
        Context { local, result, ..Context::new(run, id, attempt, tries) }
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        self.job()
    }

    /// The phase that is at work.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Which try this is, counted from 1.
    pub fn try_number(&self) -> u32 {
        self.attempt
    }

    /// How many tries the job may have.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether this is a dry run. Only checks are called in one, and they should change nothing in any run.
    pub fn is_no_act(&self) -> bool {
        self.run.no_act
    }

    /// Whether this check is called early, in a [look ahead](crate::Engine::look_ahead): a job before this one is not in
    /// place. Where something is missing that such a job may bring, the best answer is that this job would run; where it
    /// decides what is wanted, that the check [could not find out](crate::CouldNotFindOut). Never true where jobs are run.
    pub fn is_early(&self) -> bool {
        self.run.ahead.as_ref().is_some_and(|ahead| ahead.is_behind(self.id))
    }

    /// Whether the job's [`revert`](crate::Job::revert) may be called for this run, should another job fail for good
    /// ([`OnFailure::Revert`](crate::OnFailure::Revert)): only then does a run have to keep what it replaces.
    pub fn may_be_reverted(&self) -> bool {
        self.run.reverts || self.run.lineage.may_revert(self.id)
    }

    /// The directory in which the run began, and in which commands start.
    pub fn working_directory(&self) -> &Path {
        self.run.directory.path()
    }

    /// The keyword argument `name`.
    ///
    /// ```
    /// # use dojob::{Context, Result};
    /// fn check(cx: &mut Context) -> Result<()> {
    ///     let movie: String = cx.arg("movie")?;
    ///     anyhow::ensure!(movie != "Plan 9 from Outer Space", "nobody wants to see {movie}");
    ///     Ok(())
    /// }
    /// # let graph = { let mut g = dojob::JobGraph::builder(); g.job("A", check, |_| Ok(())); g.build().unwrap() };
    /// # let mut engine = dojob::Engine::with_graph(graph).args(&serde_json::json!({"movie": "Brazil"})).unwrap();
    /// # assert!(engine.converge().success());
    /// ```
    ///
    /// # Errors
    /// When there is none, or it is not a `T`.
    pub fn arg<T: DeserializeOwned>(&self, name: &str) -> Result<T, ArgError> {
        self.run.args.keyword(name)
    }

    /// The keyword argument `name`, or `None` where it is absent or null.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn arg_opt<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ArgError> {
        self.run.args.optional(name)
    }

    /// The positional argument at `index`, counted from 0.
    ///
    /// # Errors
    /// When there are fewer, or it is not a `T`.
    pub fn positional<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgError> {
        self.run.args.positional(index)
    }

    /// All keyword arguments as one value.
    ///
    /// # Errors
    /// When they do not fit a `T`.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, ArgError> {
        self.run.args.all()
    }

    /// Values that live for this try, and on to its cleanup: an expensive look-up is made once a try.
    ///
    /// ```
    /// # use dojob::{Context, Engine, Job, Result};
    /// # fn ask_the_inventory(_: &str) -> Result<String> { Ok("10.0.0.7".into()) }
    /// #[derive(Clone, PartialEq)]
    /// struct Route {
    ///     host: String,
    /// }
    ///
    /// impl Route {
    ///     fn address(&self, cx: &Context) -> Result<String> {
    ///         if let Some(address) = cx.local().get("address")? {
    ///             return Ok(address);
    ///         }
    ///         let address = ask_the_inventory(&self.host)?; // takes a while
    ///         cx.local().set("address", &address)?;
    ///         Ok(address)
    ///     }
    /// }
    ///
    /// impl Job for Route {
    ///     fn check(&mut self, cx: &mut Context) -> Result<()> {
    ///         let address = self.address(cx)?;
    ///         let routes: Vec<String> = cx.global().get("routes")?.unwrap_or_default();
    ///         anyhow::ensure!(routes.contains(&address), "there is no route to {address}");
    ///         Ok(())
    ///     }
    ///
    ///     fn run(&mut self, cx: &mut Context) -> Result<()> {
    ///         let address = self.address(cx)?; // not asked for again
    ///         cx.global().update("routes", |routes: Option<Vec<String>>| {
    ///             let mut routes = routes.unwrap_or_default();
    ///             routes.push(address);
    ///             routes
    ///         })?;
    ///         Ok(())
    ///     }
    /// }
    /// # assert!(Engine::new(Route { host: "a".into() })?.converge().success());
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Values that live for the run and are seen by all jobs: something is found out once, and used by later jobs.
    ///
    /// ```
    /// # use dojob::{deps, Context, Deps, Engine, Job, Result, RunOnlyJob};
    /// #[derive(Clone, PartialEq)]
    /// struct CountCpus;
    ///
    /// impl Job for CountCpus {
    ///     fn check(&mut self, cx: &mut Context) -> Result<()> {
    ///         cx.global().require::<usize>("cpus")?;
    ///         Ok(())
    ///     }
    ///
    ///     fn run(&mut self, cx: &mut Context) -> Result<()> {
    ///         cx.global().set("cpus", std::thread::available_parallelism()?)?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// #[derive(Clone, PartialEq)]
    /// struct Build;
    ///
    /// impl RunOnlyJob for Build {
    ///     fn deps(&self) -> Deps {
    ///         deps![CountCpus]
    ///     }
    ///
    ///     fn run(&mut self, cx: &mut Context) -> Result<()> {
    ///         let cpus: usize = cx.global().require("cpus")?;
    /// #       cx.command("true").arg(format!("-j{cpus}")).run()?; #[cfg(any())]
    ///         cx.command("make").arg(format!("-j{cpus}")).run()?;
    ///         Ok(())
    ///     }
    /// }
    /// # assert!(Engine::new(Build)?.converge().success());
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// What a job hands to its dependents alone is better a [result](Context::set_result).
    pub fn global(&self) -> &Global {
        &self.run.global
    }

    /// Connections and the like, shared by all jobs of this process.
    pub fn handles(&self) -> &Handles {
        &self.run.handles
    }

    /// Sets what this job hands on to its dependents and to the report. It counts when this try converges; of several
    /// calls the last one counts.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn set_result(&mut self, value: impl Serialize) -> serde_json::Result<()> {
        self.result = Some(encode(self.run.emitter.redactor(), &value)?);
        Ok(())
    }

    /// The result of the job `name`, which this job has to depend on, directly or through others.
    ///
    /// # Errors
    /// When there is no such job, no such dependency, no result, none [yet](ResultError::NotYet), or it is not a `T`.
    pub fn result<T: DeserializeOwned>(&self, name: &str) -> Result<T, ResultError> {
        let id = self.dependency(name)?;
        let results = self.run.results();
        let value = results.get(&id).ok_or_else(|| {
            let name = name.to_owned();
            if self.is_awaited(id) { ResultError::NotYet { name } } else { ResultError::Missing { name } }
        })?;
        T::deserialize(value).map_err(|source| ResultError::WrongType {
            name: name.to_owned(),
            expected: std::any::type_name::<T>(),
            source,
        })
    }

    /// In a look ahead: whether a job is not in place, so that what it hands on is not known.
    fn is_awaited(&self, job: u32) -> bool {
        self.run.ahead.as_ref().is_some_and(|ahead| ahead.is_open(job))
    }

    /// The first of these jobs whose result is [not known yet](ResultError::NotYet).
    #[cfg(feature = "playbook")]
    pub(crate) fn first_awaited<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        names.find(|name| self.run.lineage.find(name).is_some_and(|id| self.is_awaited(id)))
    }

    fn dependency(&self, name: &str) -> Result<u32, ResultError> {
        let Some(id) = self.run.lineage.find(name) else {
            return Err(ResultError::NoSuchJob { name: name.to_owned(), hint: self.run.lineage.hint(name) });
        };
        if !self.run.lineage.comes_before(id, self.id) {
            return Err(ResultError::NotADependency {
                reader: self.name().to_owned(),
                name: name.to_owned(),
            });
        }
        Ok(id)
    }

    /// Whether the job `name`, which this job has to depend on, has changed something that this job has not seen yet: it
    /// was converged by a run in this convergence, or, where the engine has a [`Journal`](crate::Journal), run in an
    /// earlier one after which this job did not converge. So that which follows on a change (a restart) is not lost when
    /// something fails in between. In a [look ahead](crate::Engine::look_ahead) a job that would run counts as changed.
    ///
    /// It stays true until this job has converged, in its recheck, too; so note in the local storage what was done:
    ///
    /// ```
    /// # use dojob::{Context, Result};
    /// fn check(cx: &mut Context) -> Result<()> {
    ///     let is_restarted = cx.local().get("restarted")?.unwrap_or(false);
    ///     anyhow::ensure!(is_restarted || !cx.changed("configuration")?, "the configuration was changed");
    ///     Ok(())
    /// }
    ///
    /// fn run(cx: &mut Context) -> Result<()> {
    /// #   #[cfg(any())]
    ///     cx.command("systemctl").args(["restart", "nginx"]).run()?;
    ///     cx.local().set("restarted", true)?;
    ///     Ok(())
    /// }
    /// # let mut graph = dojob::JobGraph::builder();
    /// # graph.run_only("configuration", |_| Ok(()));
    /// # graph.job("service", check, run).after(["configuration"]);
    /// # assert_eq!(dojob::Engine::with_graph(graph.build().unwrap()).converge().counts().changed, 2);
    /// ```
    ///
    /// # Errors
    /// When there is no such job, or no such dependency.
    pub fn changed(&self, name: &str) -> Result<bool, ResultError> {
        let id = self.dependency(name)?;
        let is_unseen =
            || self.run.recorder.as_ref().is_some_and(|recorder| recorder.is_unseen(name, self.name()));
        let would_change = || self.run.ahead.as_ref().is_some_and(|ahead| ahead.would_run(id));
        let changed = self.run.changed().contains(&id) || would_change() || is_unseen();
        if changed {
            self.was_told.set(true);
        }
        Ok(changed)
    }

    /// In a revert: why everything is reverted, the failures that stand by the names of their jobs; empty in other
    /// phases.
    pub fn failures(&self) -> &BTreeMap<String, Failure> {
        static NONE: BTreeMap<String, Failure> = BTreeMap::new();
        self.failures.as_deref().unwrap_or(&NONE)
    }

    /// In a revert or a cleanup: what this try has set as its [result](Context::set_result), if it has.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn own_result<T: DeserializeOwned>(&self) -> Result<Option<T>, ResultError> {
        let decode = |value| {
            T::deserialize(value).map_err(|source| ResultError::WrongType {
                name: self.name().to_owned(),
                expected: std::any::type_name::<T>(),
                source,
            })
        };
        self.result.as_ref().map(decode).transpose()
    }

    /// A line of this job's output; `tracing` from the same thread ends up in the same place.
    pub fn log(&self, line: impl Display) {
        if self.is_observed() {
            self.output(Stream::Log, &line.to_string());
        }
    }

    /// Masks the text of `secret` in all that this run shows from now on: for one that was found on the way, and not
    /// given as an argument.
    pub fn mask(&self, secret: &Secret<String>) {
        self.run.emitter.redactor().add(secret.expose());
    }

    /// Whether a text has a secret of this run in it, as far as they are known by then, in any form that would be masked. Secrets of
    /// less than four bytes do not count, since they may be there by accident.
    pub fn has_secret(&self, text: &str) -> bool {
        self.run.emitter.redactor().finds_in(text)
    }

    /// Shows texts as they are shown everywhere, with all secrets masked that are known by then: for a text that is cut before
    /// it is handed on, since half a secret is not recognized.
    pub fn masking(&self) -> impl Fn(&str) -> String + Send + Sync + use<> {
        let run = self.run.clone();
        move |text| run.emitter.redactor().mask(text).into_owned()
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        match self.phase {
            Phase::Cleanup | Phase::Revert => &self.run.cancel_cleanup,
            Phase::Check | Phase::Run | Phase::Recheck => &self.run.cancel,
        }
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        self.run.emitter.redactor()
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.run.groups
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.run.emitter.is_observed()
    }

    pub(crate) fn output(&self, stream: Stream, text: &str) {
        self.run.emitter.output(self.job(), self.phase, stream, text);
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.absent = false;
    }

    /// In a cleanup or a revert: this job has none, though its type can have one. It then is not told of, and of a revert
    /// it is said that what the run did stays.
    pub fn set_absent(&mut self) {
        self.absent = true;
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }

    pub(crate) fn run_of(&self) -> &Arc<Run> {
        &self.run
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn job(&self) -> &Arc<str> {
        self.run.lineage.name_of(self.id)
    }

    pub(crate) fn result_so_far(&self) -> Option<&Value> {
        self.result.as_ref()
    }

    /// A run begins, and is written down there.
    pub(crate) fn open(&mut self, page: RunRecord) {
        self.local.open(page);
    }

    pub(crate) fn page(&self) -> Option<&RunRecord> {
        self.local.page()
    }

    pub(crate) fn was_told(&self) -> bool {
        self.was_told.get()
    }

    pub(crate) fn set_failures(&mut self, failures: &Arc<BTreeMap<String, Failure>>) {
        self.failures = Some(failures.clone());
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("job", &self.name())
            .field("phase", &self.phase)
            .field("try", &self.attempt)
            .finish_non_exhaustive()
    }
}
