//! The registry of flows: what can be posted by name.
//!
//! A flow is registered by being linked; the registry is collected into a value that is passed on.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::parameters::{self, ParameterErrors};
use crate::graph::JobGraph;
use crate::job::policy::OnFailure;
use crate::panics;
use crate::suggest;

/// Registers a flow, so that it can be posted by its name: outside of any function, `dojob::flow!(function);`. The function
/// makes a graph of its parameters: one value of a type that derives `serde::Deserialize` and `schemars::JsonSchema`, whose doc
/// comments, and those of its fields, are the flow's documentation.
///
/// Its name is the function's, unless another is given; `on_failure` is what is done when a job has failed for good.
///
/// ```standalone_crate
/// use dojob::flow::FlowRegistry;
/// use dojob::{Context, JobGraph, OnFailure, Result, RunOnlyJob};
///
/// /// Says hello.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Greeting {
///     /// To whom.
///     friend: String,
/// }
///
/// fn greet(greeting: Greeting) -> Result<JobGraph> {
///     let mut graph = JobGraph::builder();
///     let friend = greeting.friend;
///     graph.run_only("greet", move |cx| Ok(cx.log(format!("hello, {friend}"))));
///     Ok(graph.build()?)
/// }
///
/// dojob::flow!(greet, on_failure = OnFailure::Revert);
///
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let registry = FlowRegistry::linked()?;
/// let flow = registry.get("greet")?;
/// assert_eq!(flow.doc(), "Says hello.");
/// let parameters = serde_json::json!({ "friend": "Ann" });
/// assert_eq!(flow.graph(parameters.as_object().unwrap())?.len(), 1);
///
/// let error = registry.get("great").unwrap_err();
/// assert_eq!(error.to_string(), "there is no flow `great`; did you mean `greet`?");
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! flow {
    ($factory:ident $(, name = $name:expr)? $(, on_failure = $on_failure:expr)? $(,)?) => {
        $crate::flow::private::inventory::submit! {
            $crate::flow::Registration::new(
                stringify!($factory),
                concat!(env!("CARGO_PKG_NAME"), ", module ", module_path!()),
                |generator| $crate::flow::private::schema($factory, generator),
                |parameters, known| $crate::flow::private::make($factory, parameters, known),
            )
            $(.named($name))?
            $(.on_failure($on_failure))?
        }
    };
}

type Parameters = Map<String, Value>;

/// What a flow is registered with; made by [`flow!`](crate::flow!).
#[derive(Clone, Copy)]
pub struct Registration {
    name: &'static str,
    origin: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    make: fn(&Parameters, &[String]) -> Result<JobGraph, FlowError>,
    on_failure: OnFailure,
}

inventory::collect!(Registration);

impl Registration {
    /// The registration of a flow of this name. `origin`: the package and module that it comes from.
    pub const fn new(
        name: &'static str,
        origin: &'static str,
        schema: fn(&mut SchemaGenerator) -> Schema,
        make: fn(&Parameters, &[String]) -> Result<JobGraph, FlowError>,
    ) -> Registration {
        Registration { name, origin, schema, make, on_failure: OnFailure::Keep }
    }

    /// Under another name.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Registration {
        self.name = name;
        self
    }

    /// With another failure policy.
    #[must_use]
    pub const fn on_failure(mut self, on_failure: OnFailure) -> Registration {
        self.on_failure = on_failure;
        self
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A graph could not be made of a flow's name and parameters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The flow does not take these parameters.
    #[error(transparent)]
    Parameters(#[from] ParameterErrors),
    /// The flow's function has failed.
    #[error("{0:#}")]
    Factory(anyhow::Error),
    /// The flow's function has panicked.
    #[error("making the graph panicked: {0}")]
    Panicked(String),
}

/// The schema of a factory's parameters.
pub fn schema<P: JsonSchema>(_: fn(P) -> Result<JobGraph>, generator: &mut SchemaGenerator) -> Schema {
    generator.root_schema_for::<P>()
}

/// The graph that a factory makes of parameters.
pub fn make<P: DeserializeOwned>(
    factory: fn(P) -> Result<JobGraph>,
    parameters: &Parameters,
    known: &[String],
) -> Result<JobGraph, FlowError> {
    let parameters = parameters::read(parameters, known)?;
    match panics::catch(|| factory(parameters)) {
        Ok(made) => made.map_err(FlowError::Factory),
        Err(caught) => Err(FlowError::Panicked(caught.message)),
    }
}

/// A flow: a graph with parameters, by name.
#[derive(Clone, Debug)]
pub struct Flow {
    registration: Registration,
    schema: Schema,
}

impl Flow {
    fn new(registration: &Registration) -> Flow {
        let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
        Flow { registration: *registration, schema: (registration.schema)(&mut generator) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.registration.name
    }

    /// Where it comes from, as `package, module path`.
    pub fn origin(&self) -> &str {
        self.registration.origin
    }

    /// What it is for: the doc comment of its parameters' type; empty without one.
    pub fn doc(&self) -> &str {
        self.schema.get("description").and_then(Value::as_str).unwrap_or_default()
    }

    /// The JSON schema of its parameters.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What is done when a job of it has failed for good.
    pub fn on_failure(&self) -> OnFailure {
        self.registration.on_failure
    }

    /// The names of its parameters, in the order of their declarations where the schema keeps it.
    pub fn parameters(&self) -> Vec<String> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect()
    }

    /// The graph that it makes of these parameters.
    ///
    /// # Errors
    /// When it does not take them, or fails.
    pub fn graph(&self, parameters: &Map<String, Value>) -> Result<JobGraph, FlowError> {
        (self.registration.make)(parameters, &self.parameters())
    }
}

/// The flows of a program, by name.
#[derive(Clone, Debug, Default)]
pub struct FlowRegistry {
    flows: BTreeMap<&'static str, Flow>,
}

/// There is no flow of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no flow `{}`{}", .name.escape_debug(), suggested(.suggestion))]
#[non_exhaustive]
pub struct NotRegistered {
    /// The name asked for.
    pub name: String,
    /// A registered name that is like it.
    pub suggestion: Option<String>,
}

fn suggested(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Two flows have one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "two flows are named `{name}`: of package {first}, and of package {second}; give one of them another name"
)]
#[non_exhaustive]
pub struct SameName {
    /// The name.
    pub name: String,
    /// Where one comes from.
    pub first: String,
    /// Where the other comes from.
    pub second: String,
}

/// All names that stand for two flows; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRegistryErrors(Vec<SameName>);

impl FlowRegistryErrors {
    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SameName> {
        self.0.iter()
    }
}

impl fmt::Display for FlowRegistryErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for FlowRegistryErrors {}

impl FlowRegistry {
    /// All flows that are linked into this program. (The linker leaves out a package of which nothing is used: `use
    /// that_package as _;` is enough.)
    ///
    /// # Errors
    /// When two have one name; all of those at once.
    pub fn linked() -> Result<FlowRegistry, FlowRegistryErrors> {
        FlowRegistry::of(inventory::iter::<Registration>())
    }

    fn of<'r>(
        registrations: impl IntoIterator<Item = &'r Registration>,
    ) -> Result<FlowRegistry, FlowRegistryErrors> {
        // Their order is the linker's, and says nothing.
        let mut registrations: Vec<&Registration> = registrations.into_iter().collect();
        registrations.sort_by_key(|registration| (registration.name, registration.origin));
        let mut flows: BTreeMap<&'static str, Flow> = BTreeMap::new();
        let mut same = Vec::new();
        for registration in registrations {
            match flows.get(registration.name) {
                None => _ = flows.insert(registration.name, Flow::new(registration)),
                Some(first) => same.push(SameName {
                    name: registration.name.to_owned(),
                    first: first.origin().to_owned(),
                    second: registration.origin.to_owned(),
                }),
            }
        }
        if same.is_empty() { Ok(FlowRegistry { flows }) } else { Err(FlowRegistryErrors(same)) }
    }

    /// All of them, in the order of their names.
    pub fn registered(&self) -> impl ExactSizeIterator<Item = &Flow> {
        self.flows.values()
    }

    /// The flow of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Flow, NotRegistered> {
        self.flows.get(name).ok_or_else(|| NotRegistered {
            name: name.to_owned(),
            suggestion: suggest::nearest(name, self.flows.keys().copied()).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Serves a folder.
    #[derive(serde::Deserialize, JsonSchema)]
    struct Serve {
        /// The port to listen on.
        port: u16,
        /// How often.
        #[serde(default)]
        times: u32,
        #[serde(default)]
        nested: Nested,
    }

    #[derive(Default, serde::Deserialize, JsonSchema)]
    struct Nested {
        #[serde(default)]
        depth: Vec<u8>,
    }

    fn serve(parameters: Serve) -> Result<JobGraph> {
        anyhow::ensure!(parameters.port != 80, "port 80 is taken");
        assert!(parameters.times < 3, "too often");
        let _ = parameters.nested.depth;
        let mut graph = JobGraph::builder();
        graph.run_only("serve", |_| Ok(()));
        Ok(graph.build()?)
    }

    fn other(_: Nested) -> Result<JobGraph> {
        Ok(JobGraph::builder().build()?)
    }

    const SERVE: Registration = Registration::new(
        "serve",
        "tests, module serve",
        |generator| schema(serve, generator),
        |parameters, known| make(serve, parameters, known),
    );
    const OTHER: Registration = Registration::new(
        "other",
        "tests, module other",
        |generator| schema(other, generator),
        |parameters, known| make(other, parameters, known),
    );

    fn refusal(parameters: Value) -> String {
        let registry = FlowRegistry::of(&[SERVE]).unwrap();
        let flow = registry.get("serve").unwrap();
        flow.graph(parameters.as_object().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn parameters_that_do_not_fit_are_named() {
        assert_eq!(
            refusal(json!({ "port": 1, "prot": 2, "time": 3, "nested": { "x": 1 } })),
            "there is no parameter `nested.x`; there is no parameter `prot`; did you mean `port`?; there is no \
             parameter `time`; did you mean `times`?"
        );
        assert_eq!(refusal(json!({})), "missing field `port`");
        assert_eq!(refusal(json!({ "port": 70000 })), "`port`: invalid value: integer `70000`, expected u16");
        assert_eq!(
            refusal(json!({ "port": 1, "nested": { "depth": [1, "x"] } })),
            "`nested.depth[1]`: invalid type: string \"x\", expected u8"
        );
    }

    #[test]
    fn a_factory_that_fails_or_panics_makes_no_graph() {
        assert_eq!(refusal(json!({ "port": 80 })), "port 80 is taken");
        assert_eq!(refusal(json!({ "port": 1, "times": 3 })), "making the graph panicked: too often");
    }

    #[test]
    fn a_flow_tells_what_it_is_for_and_what_it_takes() {
        let registry = FlowRegistry::of(&[SERVE.on_failure(OnFailure::Revert), OTHER]).unwrap();
        let names: Vec<_> = registry.registered().map(Flow::name).collect();
        assert_eq!(names, ["other", "serve"]);
        let flow = registry.get("serve").unwrap();
        assert_eq!((flow.doc(), flow.on_failure()), ("Serves a folder.", OnFailure::Revert));
        assert_eq!(flow.parameters(), ["nested", "port", "times"]);
        assert_eq!(flow.schema().as_value()["properties"]["port"]["description"], "The port to listen on.");
        assert_eq!(registry.get("other").unwrap().doc(), "");
    }

    #[test]
    fn two_flows_under_one_name_are_told_with_where_they_come_from() {
        let errors = FlowRegistry::of(&[OTHER.named("serve"), SERVE]).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "two flows are named `serve`: of package tests, module other, and of package tests, module serve; give one \
             of them another name"
        );
        assert_eq!(errors.iter().count(), 1);
    }
}
