//! A playbook from its text to its graph.
//!
//! Puts the parts together: text to values, values to tasks, tasks to jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value as Json;

use super::argument_path::ArgumentStep;
use super::argument_path::as_steps;
use super::build::{self, BuildInput, Ids};
use super::deferred;
use super::dependencies::{self, Dependencies, Selection};
use super::fill;
use super::fill::Filled;
use super::hocon::Placeholder;
use super::hocon::Value;
use super::hocon::{self, Input, Loaded, Override, Places, Settings};
use super::quote_lint;
use super::registry::Registry;
use super::secrets::Fetched;
use super::set_check;
use super::task::Tasks;
use crate::clock::{Clock, SystemClock};
use crate::diagnostic::{Place, Problem, Problems};
use crate::engine::Engine;
use crate::graph::JobGraph;
use crate::graph::error::GraphErrors;

/// Says what is known of the machine: the value of `${facts.os.family}` when it is asked for `os.family`. Where there is no
/// such fact it is `None`, or a [`NoSuchFact`] that says what there is.
pub type Facts = dyn Fn(&str) -> anyhow::Result<Option<Json>> + Send + Sync;

/// There is no such fact, in the words of who knows the facts: what there is, say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSuchFact(String);

impl NoSuchFact {
    /// With what is to be told where the fact is needed.
    pub fn new(message: impl fmt::Display) -> Self {
        NoSuchFact(message.to_string())
    }
}

/// A playbook: tasks with their arguments, read from HOCON files.
///
/// ```standalone_crate
/// # use dojob::{Context, Engine, Result, RunOnlyJob};
/// # #[derive(Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
/// # struct SayHello { friend: String }
/// # impl RunOnlyJob for SayHello { fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) } }
/// # dojob::task_type!(SayHello);
/// use dojob::playbook::{Playbook, Registry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let scratch = tempfile::tempdir()?;
/// # let path = scratch.path().join("hello.conf");
/// # std::fs::write(&path, "vars { friend: Ann }, tasks: [ { name: say_hello, args { friend: ${vars.friend} } } ]")?;
/// # #[cfg(any())]
/// let path = "hello.conf"; // vars { friend: Ann }, tasks: [ { name: say_hello, args { friend: ${vars.friend} } } ]
/// let registry = Registry::linked()?;
/// let playbook = Playbook::load(&path)?;
/// let report = playbook.engine(&registry)?.converge();
/// assert!(report.success());
///
/// // The same with variables of the caller's own, as a graph for an engine of the caller's own.
/// let playbook = Playbook::options().set("vars.friend", "Bob").load(&path)?;
/// let graph = playbook.graph(&registry)?;
/// assert_eq!(graph.iter().next().unwrap().name(), "say_hello Bob");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Playbook {
    tasks: Tasks,
    places: Places,
    /// What was found wrong with the tasks already; it is told with the rest.
    problems: Problems,
    /// Among them are values that are not defined.
    has_undefined: bool,
    environment: BTreeMap<String, String>,
    today: String,
    scope: Option<String>,
    selection: Selection,
}

/// What a playbook is read with; [`Playbook::options`].
#[derive(Clone, Default)]
pub struct Options {
    overrides: Vec<Override>,
    /// What was set by hand, as it was written.
    set: Vec<String>,
    facts: Option<Arc<Facts>>,
    failed: Vec<Problem>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("overrides", &self.overrides.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Playbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playbook").field("tasks", &self.tasks.tasks.len()).finish_non_exhaustive()
    }
}

impl Options {
    /// Sets what is at a path of the playbook, over all that its text says: `vars.domain`.
    #[must_use]
    pub fn set(mut self, path: impl fmt::Display, value: impl Serialize) -> Self {
        match serde_json::to_string(&value) {
            // Data, in which nothing is meant to be substituted.
            Ok(value) => {
                let value = value.replace("${", "\\u0024{");
                self.overrides.push(Override::Set(format!("{path}={value}")));
            }
            Err(error) => {
                self.failed
                    .push(Problem::new(None, format!("the value for `{path}` has no JSON form: {error}")));
            }
        }
        self
    }

    /// As [`set`](Options::set), from `path=value`: a value that looks like a number, `true`, `false`, `null`, or begins
    /// with `[`, `{` or `"` is HOCON, and anything else a text. Below `vars` it has to be a variable that the playbook
    /// defines or uses: another one is most likely misspelled.
    #[must_use]
    pub fn set_text(mut self, assignment: impl Into<String>) -> Self {
        let assignment = assignment.into();
        self.set.push(assignment.clone());
        self.overrides.push(Override::Set(assignment));
        self
    }

    /// Puts all of a HOCON file over what the playbook says.
    #[must_use]
    pub fn overlay(mut self, path: impl Into<PathBuf>) -> Self {
        self.overrides.push(Override::Vars(path.into()));
        self
    }

    /// Where the values of `${facts.…}` come from; without this there are none.
    #[must_use]
    pub fn facts(
        mut self,
        facts: impl Fn(&str) -> anyhow::Result<Option<Json>> + Send + Sync + 'static,
    ) -> Self {
        self.facts = Some(Arc::new(facts));
        self
    }

    #[cfg(feature = "cli")]
    pub(crate) fn shared_facts(mut self, facts: Option<Arc<Facts>>) -> Self {
        self.facts = facts;
        self
    }

    /// Reads a file; or of a directory all files that end with `.conf`, in the order of their names, as one.
    ///
    /// # Errors
    /// When the text is no HOCON, or needs what is not there: files, variables. What is wrong with the tasks is told by
    /// [`Playbook::validate`].
    pub fn load(self, path: impl AsRef<Path>) -> Result<Playbook, Problems> {
        self.load_all(path.as_ref()).and_then(Playbook::without_undefined)
    }

    /// Says all that is wrong with the playbook of a file or a directory, variables that are not defined among it.
    ///
    /// # Errors
    /// All problems at once.
    pub fn validate(self, path: impl AsRef<Path>, registry: &Registry) -> Result<(), Problems> {
        self.load_all(path.as_ref())?.validate(registry)
    }

    /// As [`load`](Options::load), with values that are wrong: undefined variables, say. Validation reports them, together
    /// with what else is wrong.
    pub(crate) fn load_all(self, path: &Path) -> Result<Playbook, Problems> {
        let entry = entry(path)?;
        let scope = path.canonicalize().ok().map(|path| path.to_string_lossy().into_owned());
        self.read(entry, scope)
    }

    /// Reads a text that people know by this name, `standard input` say. Its includes count from the directory that the
    /// process is in.
    ///
    /// # Errors
    /// As [`load`](Options::load).
    pub fn load_text(self, name: impl Into<String>, text: impl Into<Vec<u8>>) -> Result<Playbook, Problems> {
        self.load_all_of_text(name.into(), text.into()).and_then(Playbook::without_undefined)
    }

    /// As [`load_text`](Options::load_text), with values that are wrong.
    pub(crate) fn load_all_of_text(self, name: String, text: Vec<u8>) -> Result<Playbook, Problems> {
        // What works on one tree from one place is taken for one.
        let here = std::env::current_dir().unwrap_or_default();
        let scope = format!("{} in {}", name, here.display());
        self.read(Input::Text { name, text }, Some(scope))
    }

    /// What an entry resolves to.
    pub(super) fn resolved(mut self, entry: &Input) -> Result<Loaded, Problems> {
        let settings = self.settings()?;
        hocon::load(entry, &settings).map_err(with_curly_quotes)
    }

    /// What entries are read with; the options are used up by it.
    fn settings(&mut self) -> Result<Settings, Problems> {
        crate::diagnostic::hide_arguments(super::task_type::secret_arguments);
        if !self.failed.is_empty() {
            return Err(std::mem::take(&mut self.failed).into());
        }
        let mut settings = Settings::of_process(today()).map_err(|error| {
            Problem::new(None, format!("failed to find out the working directory: {error}"))
        })?;
        settings.overrides = std::mem::take(&mut self.overrides);
        let tasks = || "tasks".to_owned();
        (settings.joined, settings.once) = (vec![tasks()], vec![tasks()]);
        settings.deferred_over = Some(tasks());
        settings.variables = Some("vars".to_owned());
        settings.deferred = deferred::NAMES.map(str::to_owned).to_vec();
        Ok(settings)
    }

    fn read(mut self, entry: Input, scope: Option<String>) -> Result<Playbook, Problems> {
        let mut settings = self.settings()?;
        settings.kept = vec!["for_each".to_owned()];
        let loaded = hocon::load_all(&entry, &settings).map_err(with_curly_quotes)?;
        let (Loaded { value, places, environment }, mut problems) = loaded;
        let has_undefined = !problems.is_empty();
        set_check::check(&self.set, &entry, &settings, &places, &mut problems);
        not_in_clear(&value, &environment, &mut problems);
        let value = with_facts(value, &places, self.facts.as_deref(), &mut problems);
        let today = today_of(&value).unwrap_or_else(|| match settings.given.get("TODAY") {
            Some(Json::String(today)) => today.clone(),
            _ => today().to_string(),
        });
        let tasks = Tasks::read(value, &places, &mut problems);
        Ok(Playbook {
            tasks,
            places,
            problems: problems.into(),
            has_undefined,
            environment: settings.environment,
            today,
            scope,
            selection: Selection::default(),
        })
    }
}

/// Text that does not parse because of typographic quotes says so.
fn with_curly_quotes(mut problems: Problems) -> Problems {
    for problem in &mut problems.0 {
        let line = problem.place.as_ref().map_or("", |place| place.source.line(place.line));
        if let Some(hint) = quote_lint::curly_hint(line) {
            problem.hint = Some(hint);
        }
    }
    problems
}

fn today() -> jiff::civil::Date {
    SystemClock::new().wall().to_zoned(TimeZone::system()).date()
}

/// What a path that the user has named stands for: a file, or a directory's playbooks as one.
pub(super) fn entry(path: &Path) -> Result<Input, Problems> {
    Ok(if path.is_dir() { Input::Files(files_of(path)?) } else { Input::File(path.to_owned()) })
}

/// The day that a playbook was told, `--set TODAY=2026-12-31`. What is no date would be found in names by chance.
fn today_of(value: &Value) -> Option<String> {
    let told = value.get("TODAY")?.as_str()?;
    told.parse::<jiff::civil::Date>().is_ok().then(|| told.to_owned())
}

/// The playbooks of a directory: what a shell finds as `*.conf`. One that is named there and is not to be had is not
/// passed over, since its tasks would be missed by nobody.
fn files_of(directory: &Path) -> Result<Vec<PathBuf>, Problems> {
    let failed = |path: &Path, error: std::io::Error| {
        Problem::new(None, format!("failed to read {}: {error}", path.display()))
    };
    let of_directory = |error: std::io::Error| {
        Problem::new(None, format!("failed to read the directory {}: {error}", directory.display()))
    };
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(of_directory)? {
        let path = entry.map_err(of_directory)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden || path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        match (std::fs::metadata(&path), std::fs::read_link(&path)) {
            (Ok(metadata), _) if metadata.is_file() => files.push(path),
            (Ok(_), _) => {}
            (Err(error), Ok(target)) if error.kind() == std::io::ErrorKind::NotFound => {
                let message =
                    format!("{} is a link to {}, which does not exist", path.display(), target.display());
                problems
                    .push(Problem::new(None, message).hint("remove the link if its tasks are not wanted"));
            }
            (Err(error), _) => problems.push(failed(&path, error)),
        }
    }
    if !problems.is_empty() {
        problems.sort_by(|one, two| one.message.cmp(&two.message));
        return Err(problems.into());
    }
    files.sort();
    if files.is_empty() {
        let message = format!("there are no files that end with `.conf` in {}", directory.display());
        return Err(Problem::new(None, message).into());
    }
    Ok(files)
}

/// What came of asking for a fact.
enum Fact {
    Is(Value),
    /// There is none, in words.
    None(String),
    /// It cannot be found out, and why.
    Unknown(String),
}

impl Fact {
    fn of(name: &str, facts: Option<&Facts>) -> Fact {
        let Some(facts) = facts else { return Fact::Unknown("this program knows no facts".to_owned()) };
        match facts(name) {
            Ok(Some(value)) => Fact::Is(value.into()),
            Ok(None) => Fact::None(format!("there is no fact `{name}`")),
            Err(error) if error.is::<NoSuchFact>() => Fact::None(error.to_string()),
            Err(error) => Fact::Unknown(format!("{error:#}")),
        }
    }
}

/// A variable of the environment that is a secret would be masked nowhere if it were used by its own name.
pub(super) fn not_in_clear(value: &Value, used: &BTreeMap<String, Vec<Place>>, problems: &mut Vec<Problem>) {
    let secrets = value.get("secrets").and_then(Value::as_object);
    let mut told = BTreeSet::new();
    for (name, source) in secrets.into_iter().flatten() {
        let Some(variable) = source.get("env").and_then(Value::as_str) else { continue };
        if !told.insert(variable) {
            continue;
        }
        for place in used.get(variable).into_iter().flatten() {
            let message = format!("`${{{variable}}}` is the secret `{name}`");
            let hint = format!("write `${{{}}}`", hocon::written_path(&["secrets", name]));
            problems.push(Problem::new(place.clone(), message).hint(hint));
        }
    }
}

/// The value with the facts that it asks for.
fn with_facts(value: Value, places: &Places, facts: Option<&Facts>, problems: &mut Vec<Problem>) -> Value {
    if !deferred::roots(&value).facts {
        return value;
    }
    let mut known: BTreeMap<String, Fact> = BTreeMap::new();
    let mut wrong: Vec<(Vec<ArgumentStep>, String)> = Vec::new();
    let mut filler = |path: &[ArgumentStep], placeholder: &Placeholder| {
        if placeholder.root() != "facts" {
            return Ok(Filled::Later);
        }
        let name = placeholder.path[1..].join(".");
        let message = match known.entry(name).or_insert_with_key(|name| Fact::of(name, facts)) {
            Fact::Is(value) => return Ok(Filled::Now(value.clone())),
            Fact::None(_) if placeholder.is_optional => return Ok(Filled::Missing),
            Fact::None(message) => message.clone(),
            Fact::Unknown(why) => format!("`{}`: {why}", placeholder),
        };
        wrong.push((path.to_vec(), message));
        // It stays as it is, so that nothing else is said of it.
        Ok(Filled::Later)
    };
    let mut unfilled = Vec::new();
    let value = fill::fill(&value, &mut filler, &mut unfilled);
    wrong.extend(unfilled.into_iter().map(|why| (why.path, why.message)));
    problems.extend(wrong.into_iter().map(|(path, message)| {
        let steps: Vec<_> = as_steps(&path).collect();
        Problem::new(places.near(&steps), message)
    }));
    value
}

impl Playbook {
    /// Reads a file or a directory with the usual [`Options`].
    ///
    /// # Errors
    /// As [`Options::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Playbook, Problems> {
        Playbook::options().load(path)
    }

    fn without_undefined(self) -> Result<Playbook, Problems> {
        if self.has_undefined { Err(self.problems.sorted()) } else { Ok(self) }
    }

    /// Reads with options.
    pub fn options() -> Options {
        Options::default()
    }

    /// Only the tasks that have one of these tags.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.selection.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Without the tasks that have one of these tags.
    #[must_use]
    pub fn skip_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.selection.skip_tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// How many tasks it has.
    pub fn len(&self) -> usize {
        self.tasks.tasks.len()
    }

    /// Whether it has no tasks.
    pub fn is_empty(&self) -> bool {
        self.tasks.tasks.is_empty()
    }

    /// Says all that is wrong with it. Nothing is changed, started or asked for: its secrets are not fetched.
    ///
    /// # Errors
    /// All problems at once.
    pub fn validate(&self, registry: &Registry) -> Result<(), Problems> {
        self.outline(registry).map(drop)
    }

    /// The graph as it can be known without its secrets: for a picture or a list, not to be run.
    ///
    /// # Errors
    /// All problems at once.
    pub fn outline(&self, registry: &Registry) -> Result<JobGraph, Problems> {
        self.build(registry, None)
    }

    /// The graph of its jobs. Secrets are fetched, once all else is known to be right; the jobs mask them wherever they
    /// run.
    ///
    /// # Errors
    /// All problems at once.
    pub fn graph(&self, registry: &Registry) -> Result<JobGraph, Problems> {
        self.with_secrets(registry).map(|(graph, _)| graph)
    }

    /// The graph, and the secrets that are in it.
    fn with_secrets(&self, registry: &Registry) -> Result<(JobGraph, Fetched), Problems> {
        if !self.has_secrets() {
            return Ok((self.build(registry, None)?, Fetched::default()));
        }
        self.validate(registry)?;
        let fetched = self.fetch()?;
        Ok((self.build(registry, Some(&fetched))?, fetched))
    }

    /// An engine for the graph, with the playbook's file as its [scope](Engine::scope), which masks its secrets.
    ///
    /// # Errors
    /// All problems at once.
    pub fn engine(&self, registry: &Registry) -> Result<Engine, Problems> {
        let (graph, secrets) = self.with_secrets(registry)?;
        Ok(self.in_scope(secrets.values().fold(Engine::with_graph(graph), Engine::mask)))
    }

    pub(crate) fn has_secrets(&self) -> bool {
        self.tasks.secrets.names().next().is_some()
    }

    pub(crate) fn in_scope(&self, engine: Engine) -> Engine {
        match &self.scope {
            Some(scope) => engine.scope(scope),
            None => engine,
        }
    }

    /// The secrets that the wanted tasks use.
    fn fetch(&self) -> Result<Fetched, Problems> {
        let mut unused = Vec::new();
        let dependencies = self.dependencies(&mut unused);
        let wanted = self.tasks.tasks.iter().zip(&dependencies.wanted).filter(|(_, wanted)| **wanted);
        let mut names = std::collections::BTreeSet::new();
        for (task, _) in wanted.filter(|(task, _)| task.roots.secrets) {
            let secrets = task.placeholders().filter(|(_, placeholder)| placeholder.root() == "secrets");
            names.extend(secrets.filter_map(|(_, placeholder)| placeholder.path.get(1).cloned()));
        }
        self.tasks.secrets.fetch(names.iter(), &self.environment)
    }

    fn dependencies(&self, problems: &mut Vec<Problem>) -> Dependencies {
        dependencies::find(&self.tasks, &self.places, &self.selection, problems)
    }

    /// As [`outline`](Playbook::outline), with the names of the jobs of each task that has an id.
    #[cfg(feature = "cli")]
    pub(crate) fn outline_with_ids(&self, registry: &Registry) -> Result<(JobGraph, Ids), Problems> {
        self.build_with_ids(registry, None)
    }

    fn build(&self, registry: &Registry, secrets: Option<&Fetched>) -> Result<JobGraph, Problems> {
        self.build_with_ids(registry, secrets).map(|(graph, _)| graph)
    }

    fn build_with_ids(
        &self,
        registry: &Registry,
        secrets: Option<&Fetched>,
    ) -> Result<(JobGraph, Ids), Problems> {
        let mut problems = self.problems.0.clone();
        problems.extend(self.selection.unknown(&self.tasks));
        let dependencies = self.dependencies(&mut problems);
        let today = Some(self.today.clone());
        let plan = BuildInput {
            registry,
            tasks: &self.tasks,
            places: &self.places,
            dependencies: &dependencies,
            secrets,
            today,
        };
        let built = build::build(&plan, &mut problems);
        match built.filter(|_| problems.is_empty()) {
            Some((graph, ids)) => match graph.build() {
                Ok(graph) => {
                    let limits = self.tasks.limits.iter();
                    Ok((limits.fold(graph, |graph, (name, at_once)| graph.limit(name, *at_once)), ids))
                }
                Err(errors) => Err(of_graph(&errors)),
            },
            None => Err(Problems::from(problems).and(self.problems.left_out())),
        }
    }
}

/// What only the graph itself finds: names that the jobs of types bring along.
fn of_graph(errors: &GraphErrors) -> Problems {
    errors.iter().map(|error| Problem::new(None, error.to_string())).collect::<Vec<_>>().into()
}
