//! One task type: what it was registered with, and what its schema says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use heck::ToSnakeCase;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::argument_path::{ArgumentStep, shown_path};
use super::field::Field;
use super::prose;
use super::schema::{self, View};
use super::schema_keys;
use super::target::TargetSpec;
use crate::job::{AnyJob, IntoJob, JobKind, marker};

/// Registers a job type as a task type, so that playbooks can ask for it by name: outside of any function,
/// `dojob::task_type!(Type);`. The type is a job of any kind that derives `serde::Deserialize` and
/// `schemars::JsonSchema`; its doc comments and those of its fields are its documentation. (It should deny unknown
/// fields; those of a playbook are refused in any case.)
///
/// A field that is a list of the names of other jobs, as [`Context::changed`](crate::Context::changed) takes them, says so
/// by `#[schemars(extend("x-dojob-jobs" = true))]`: a playbook then names tasks by their ids there. The job depends on them
/// by its own [`deps`](crate::Job::deps). A field that is a template says so by
/// `#[schemars(extend("x-dojob-template" = true))]`: everywhere else `{{ … }}` is taken for a mistake.
///
/// What its jobs are about, a path say, is told by `#[schemars(extend("x-dojob-target" = { "by": "path", "compare": "path" }))]`
/// on the type itself: two tasks of a playbook that have the same target are refused. `by` is the argument that names it,
/// `and` are others that tell several targets within it apart; names are compared as `text`, `path` or `unit`.
///
/// What its jobs hand on as their result is told by `#[schemars(extend("x-dojob-result" = { "path": false }))]` on the type:
/// the names of its parts, with `true` for those that may have parts of their own; `"text"`; or `false` for none. Without
/// it, `${results.NAME.part}` is only looked at when it is there.
///
/// Its name is that of the type in snake case, unless another is given; `example` is the text of a task that shows how
/// it is used:
///
/// ```standalone_crate
/// # use dojob::{Context, Result, RunOnlyJob};
/// # #[derive(Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
/// # struct SayHello { friend: String }
/// # impl RunOnlyJob for SayHello { fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) } }
/// dojob::task_type!(SayHello, name = "hello", example = "{ name: hello, args: { friend: Ann } }");
/// # assert!(dojob::playbook::Registry::linked().unwrap().has("hello"));
/// ```
#[macro_export]
macro_rules! task_type {
    ($Type:ty $(, name = $name:expr)? $(, example = $example:expr)? $(,)?) => {
        $crate::playbook::private::inventory::submit! {
            $crate::playbook::Registration::of::<$Type, _>(
                env!("CARGO_PKG_NAME"),
                module_path!(),
            )
            $(.named($name))?
            $(.example($example))?
        }
    };
}

/// What a type is registered with; made by [`task_type!`](crate::task_type).
#[derive(Clone, Copy)]
pub struct Registration {
    name: Option<&'static str>,
    type_name: fn() -> &'static str,
    package: &'static str,
    module: &'static str,
    example: Option<&'static str>,
    kind: JobKind,
    schema: fn(&mut SchemaGenerator) -> Schema,
    decode: fn(&Value) -> Decoded,
}

inventory::collect!(Registration);

/// What came of reading arguments.
pub(super) struct Decoded {
    pub(super) job: Result<AnyJob, ArgumentError>,
    /// The paths of arguments that nobody has read.
    pub(super) unread: Vec<Vec<ArgumentStep>>,
}

/// Arguments that a task type does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArgumentError {
    /// The way to what does not fit; empty where that is all of them together.
    pub path: Vec<ArgumentStep>,
    /// What does not fit.
    pub message: String,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "`{}`: {}", shown_path(&self.path), self.message)
    }
}

impl std::error::Error for ArgumentError {}

impl Registration {
    /// The registration of `T`.
    pub const fn of<T, M>(package: &'static str, module: &'static str) -> Registration
    where
        T: IntoJob<M> + DeserializeOwned + JsonSchema,
        M: marker::Kind,
    {
        Registration {
            name: None,
            type_name: std::any::type_name::<T>,
            package,
            module,
            example: None,
            kind: M::KIND,
            schema: T::json_schema,
            decode: decode::<T, M>,
        }
    }

    /// Under another name.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Registration {
        self.name = Some(name);
        self
    }

    /// With a task as an example.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Registration {
        self.example = Some(example);
        self
    }

    /// The schema, whose definitions are left with the generator.
    pub(super) fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("type", &(self.type_name)()).finish_non_exhaustive()
    }
}

/// The names of all arguments of linked task types whose values are secret, in lower case.
pub(super) fn secret_arguments() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for registration in inventory::iter::<Registration> {
        let mut generator = SchemaGenerator::default();
        let schema = registration.schema(&mut generator);
        View::secret_keys(schema.as_value(), &mut names);
        generator.definitions().values().for_each(|schema| View::secret_keys(schema, &mut names));
    }
    names
}

/// The arguments whose schema has this key.
fn marked(schema: View<'_>, mark: &str) -> Vec<String> {
    let is_marked = |schema: &Value| schema.get(mark) == Some(&Value::Bool(true));
    let properties = schema.properties().into_iter().flatten();
    properties.filter(|(_, schema)| is_marked(schema)).map(|(name, _)| name.clone()).collect()
}

fn decode<T: IntoJob<M> + DeserializeOwned, M>(args: &Value) -> Decoded {
    let mut unread = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let read = {
        let paths = serde_path_to_error::Deserializer::new(args, &mut track);
        let mut note = |path: serde_ignored::Path<'_>| unread.push(unread_steps(&path));
        T::deserialize(serde_ignored::Deserializer::new(paths, &mut note))
    };
    let job = match read {
        Ok(job) => crate::panics::catch(|| job.into_job()).map_err(|caught| ArgumentError {
            path: Vec::new(),
            message: format!("naming the job panicked: {}", caught.message),
        }),
        Err(error) => Err(ArgumentError { path: steps(&track.path(), args), message: error.to_string() }),
    };
    Decoded { job, unread }
}

fn unread_steps(path: &serde_ignored::Path<'_>) -> Vec<ArgumentStep> {
    use serde_ignored::Path;
    let mut steps = Vec::new();
    let mut here = path;
    loop {
        here = match here {
            Path::Root => break,
            Path::Seq { parent, index } => {
                steps.push(ArgumentStep::Index(*index));
                parent
            }
            Path::Map { parent, key } => {
                steps.push(ArgumentStep::Key(key.clone()));
                parent
            }
            Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
                parent
            }
        };
    }
    steps.reverse();
    steps
}

/// The way to a value among the arguments.
fn steps(path: &serde_path_to_error::Path, args: &Value) -> Vec<ArgumentStep> {
    use serde_path_to_error::Segment;
    let mut here = Some(args);
    let mut steps = Vec::new();
    for segment in path.iter() {
        let step = match segment {
            Segment::Seq { index } => ArgumentStep::Index(*index),
            Segment::Map { key } => ArgumentStep::Key(key.clone()),
            // One that holds something stands as a key, one that does not is a text.
            Segment::Enum { variant } if here.is_some_and(|here| here.get(variant).is_some()) => {
                ArgumentStep::Key(variant.clone())
            }
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        here = here.and_then(|here| match &step {
            ArgumentStep::Key(key) => here.get(key),
            ArgumentStep::Index(index) => here.get(index),
        });
        steps.push(step);
    }
    steps
}

/// A job type that playbooks can ask for by name.
#[derive(Clone)]
pub struct TaskType {
    name: String,
    registration: Registration,
    /// With its definitions.
    schema: Value,
    fields: Vec<Field>,
    job_fields: Vec<String>,
    template_fields: Vec<String>,
    target: Option<TargetSpec>,
    result: Option<ResultShape>,
}

/// What the jobs of a type hand on as their result.
#[derive(Clone, Debug)]
pub(super) enum ResultShape {
    Nothing,
    Text,
    /// An object with these parts, each of which may have parts of its own or not.
    Parts(BTreeMap<String, bool>),
}

impl ResultShape {
    /// As a schema says it: `false`, `"text"`, or an object with `true` for each part that may have parts.
    fn of(schema: &Value) -> Option<ResultShape> {
        match schema.get(schema_keys::RESULT)? {
            Value::Bool(false) => Some(ResultShape::Nothing),
            Value::String(_) => Some(ResultShape::Text),
            Value::Object(parts) => {
                let parts = parts.iter().map(|(name, deeper)| (name.clone(), deeper == &Value::Bool(true)));
                Some(ResultShape::Parts(parts.collect()))
            }
            _ => None,
        }
    }
}

impl TaskType {
    pub(super) fn new(registration: &Registration) -> Self {
        let mut generator = SchemaGenerator::default();
        let mut schema = registration.schema(&mut generator).to_value();
        let definitions: Map<String, Value> = generator.take_definitions(true);
        if let Value::Object(schema) = &mut schema
            && !definitions.is_empty()
        {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        let name = registration.name.map_or_else(
            || {
                let full = (registration.type_name)();
                let plain = full.split('<').next().unwrap_or(full);
                plain.rsplit("::").next().unwrap_or(plain).to_snake_case()
            },
            str::to_owned,
        );
        let fields = schema::fields(View::new(&schema));
        let job_fields = marked(View::new(&schema), schema_keys::JOBS);
        let template_fields = marked(View::new(&schema), schema_keys::TEMPLATE);
        let target = TargetSpec::of(&schema);
        let result = ResultShape::of(&schema);
        TaskType {
            name,
            registration: *registration,
            schema,
            fields,
            job_fields,
            template_fields,
            target,
            result,
        }
    }

    /// Its name, as it is best written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its documentation.
    pub fn doc(&self) -> &str {
        self.schema.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The first sentence of its documentation.
    pub fn summary(&self) -> String {
        prose::first_sentence(self.doc())
    }

    /// Which kind of job it makes.
    pub fn kind(&self) -> JobKind {
        self.registration.kind
    }

    /// The Rust type behind it.
    pub fn type_name(&self) -> &'static str {
        (self.registration.type_name)()
    }

    /// The package that it comes from.
    pub fn package(&self) -> &'static str {
        self.registration.package
    }

    /// The module that it was registered in.
    pub fn module(&self) -> &'static str {
        self.registration.module
    }

    /// A task as an example: the one that it was registered with, or one with what it needs.
    pub fn example(&self) -> String {
        self.registration.example.map_or_else(|| schema::example(&self.name, &self.fields), str::to_owned)
    }

    /// Its arguments: those that it needs as they are declared, then the others by name.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The arguments that name jobs.
    pub(super) fn job_fields(&self) -> &[String] {
        &self.job_fields
    }

    /// Whether an argument is a template, in which `{{ … }}` means something.
    pub(super) fn is_template(&self, argument: &str) -> bool {
        self.template_fields.iter().any(|field| field == argument)
    }

    /// What its jobs are about, where it says so.
    pub(super) fn target(&self) -> Option<&TargetSpec> {
        self.target.as_ref()
    }

    /// What its jobs hand on, where it says so.
    pub(super) fn result(&self) -> Option<&ResultShape> {
        self.result.as_ref()
    }

    /// The JSON Schema of its arguments.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The job that it makes of these arguments.
    ///
    /// # Errors
    /// When it does not take them.
    pub fn create(&self, args: &Value) -> Result<AnyJob, ArgumentError> {
        let Decoded { job, unread } = self.decode(args);
        let job = job?;
        match unread.first() {
            None => Ok(job),
            Some(path) => {
                let name = shown_path(path);
                let known = self.fields.iter().map(|field| &*field.name);
                let hint = crate::suggest::hint(&name, known);
                Err(ArgumentError {
                    path: Vec::new(),
                    message: format!("there is no argument `{name}`{hint}"),
                })
            }
        }
    }

    pub(super) fn decode(&self, args: &Value) -> Decoded {
        (self.registration.decode)(args)
    }

    pub(super) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// For a message: the type, its package and module.
    pub(super) fn origin(&self) -> String {
        format!("{} (package {}, module {})", self.type_name(), self.package(), self.module())
    }
}

impl fmt::Debug for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskType")
            .field("name", &self.name)
            .field("type", &self.type_name())
            .finish_non_exhaustive()
    }
}
