//! The registry of task types: what a playbook can ask for by name.
//!
//! A type is registered by being linked, so the registry depends on nothing but the program; it is collected into a value
//! that is passed on.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::task_type::{ArgumentError, Registration, TaskType};
use crate::job::AnyJob;
use crate::suggest;

/// The task types of a program, by name.
///
/// ```standalone_crate
/// # use dojob::{Context, Result, RunOnlyJob};
/// use dojob::playbook::Registry;
/// use serde_json::json;
///
/// /// Says hello.
/// #[derive(Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct SayHello {
///     /// To whom.
///     friend: String,
/// }
///
/// impl RunOnlyJob for SayHello {
///     fn run(&mut self, cx: &mut Context) -> Result<()> {
///         cx.log(format!("hello, {}", self.friend));
///         Ok(())
///     }
/// }
///
/// dojob::task_type!(SayHello);
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::linked()?;
/// assert!(registry.has("say_hello") && registry.has("SayHello"));
/// assert_eq!(registry.get("say_hello")?.doc(), "Says hello.");
///
/// let job = registry.create("say_hello", &json!({ "friend": "Ann" }))?;
/// assert_eq!(job.name(), "SayHello");
///
/// let error = registry.create("say_helo", &json!({})).unwrap_err();
/// assert_eq!(error.to_string(), "there is no task type `say_helo`; did you mean `say_hello`?");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    /// In the order of their names.
    types: Vec<Arc<TaskType>>,
    /// By what is left of a name without case and underscores.
    by_key: HashMap<String, usize>,
}

/// There is no task type of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no task type `{}`{}", .name.escape_debug(), suggested(.suggestion))]
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

/// A job could not be made of a task type's name and arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is no such type.
    #[error(transparent)]
    NotRegistered(#[from] NotRegistered),
    /// It does not accept these arguments.
    #[error("`{name}` does not accept these arguments: {source}")]
    Arguments {
        /// The name of the type.
        name: String,
        /// What does not fit.
        source: ArgumentError,
    },
}

/// Two task types have one name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SameName {
    /// The name, or one of two that differ in case and underscores alone.
    pub name: String,
    /// Where one type comes from, as `type (package, module)`.
    pub first: String,
    /// Where the other comes from.
    pub second: String,
}

impl fmt::Display for SameName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SameName { name, first, second } = self;
        write!(f, "two task types are named `{name}`: {first} and {second}; give one of them another name")
    }
}

/// All names that stand for two task types; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryErrors(Vec<SameName>);

impl RegistryErrors {
    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SameName> {
        self.0.iter()
    }
}

impl fmt::Display for RegistryErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [single] => single.fmt(f),
            all => {
                f.write_str("several task types have the same name:")?;
                all.iter().try_for_each(|error| write!(f, "\n  - {error}"))
            }
        }
    }
}

impl std::error::Error for RegistryErrors {}

/// What counts of a name: neither case nor underscores.
pub(super) fn key(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

impl Registry {
    /// All task types that are linked into this program. (The linker leaves out a package of which nothing is used:
    /// `use that_package as _;` is enough.)
    ///
    /// # Errors
    /// When two have one name; all of those at once.
    pub fn linked() -> Result<Registry, RegistryErrors> {
        Registry::of(inventory::iter::<Registration>())
    }

    /// These task types alone.
    pub(super) fn of<'r>(
        registrations: impl IntoIterator<Item = &'r Registration>,
    ) -> Result<Registry, RegistryErrors> {
        let mut types: Vec<Arc<TaskType>> =
            registrations.into_iter().map(|registration| Arc::new(TaskType::new(registration))).collect();
        // Their order is the linker's, and says nothing.
        types.sort_by(|a, b| (a.name(), a.origin()).cmp(&(b.name(), b.origin())));
        let mut by_key = HashMap::with_capacity(types.len());
        let mut same = Vec::new();
        for (index, next) in types.iter().enumerate() {
            if let Some(first) = by_key.insert(key(next.name()), index) {
                let first: &TaskType = &types[first];
                same.push(SameName {
                    name: next.name().to_owned(),
                    first: first.origin(),
                    second: next.origin(),
                });
            }
        }
        if same.is_empty() { Ok(Registry { types, by_key }) } else { Err(RegistryErrors(same)) }
    }

    /// All of them, in the order of their names.
    pub fn registered(&self) -> impl ExactSizeIterator<Item = &TaskType> {
        self.types.iter().map(AsRef::as_ref)
    }

    /// Whether there is a task type of this name, case and underscores aside.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The task type of this name, case and underscores aside.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&TaskType, NotRegistered> {
        self.find(name).map(AsRef::as_ref).ok_or_else(|| self.unknown(name))
    }

    /// As [`get`](Registry::get), to keep.
    pub(super) fn shared(&self, name: &str) -> Result<Arc<TaskType>, NotRegistered> {
        self.find(name).cloned().ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> NotRegistered {
        NotRegistered {
            name: name.to_owned(),
            suggestion: suggest::nearest(name, self.registered().map(TaskType::name)).map(str::to_owned),
        }
    }

    /// The job that a task type makes of these arguments.
    ///
    /// # Errors
    /// When there is no such type, or it does not take them.
    pub fn create(&self, name: &str, args: &Value) -> Result<AnyJob, CreateError> {
        let found = self.get(name)?;
        found.create(args).map_err(|source| CreateError::Arguments { name: found.name().to_owned(), source })
    }

    fn find(&self, name: &str) -> Option<&Arc<TaskType>> {
        self.by_key.get(&key(name)).and_then(|index| self.types.get(*index))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.registered().map(TaskType::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::context::Context;
    use crate::job::RunOnlyJob;

    #[derive(Clone, PartialEq, Deserialize, JsonSchema)]
    struct SayHello;

    #[derive(Clone, PartialEq, Deserialize, JsonSchema)]
    struct Greeting;

    impl RunOnlyJob for SayHello {
        fn run(&mut self, _: &mut Context) -> crate::Result<()> {
            Ok(())
        }
    }

    impl RunOnlyJob for Greeting {
        fn run(&mut self, _: &mut Context) -> crate::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn two_types_under_one_name_are_told_with_where_they_come_from() {
        let registrations = [
            Registration::of::<SayHello, _>("hello", "hello::jobs"),
            Registration::of::<Greeting, _>("other", "other").named("sayHello"),
        ];
        let errors = Registry::of(&registrations).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "two task types are named `say_hello`: dojob::playbook::registry::tests::Greeting (package other, module \
             other) and dojob::playbook::registry::tests::SayHello (package hello, module hello::jobs); give one of \
             them another name"
        );
        assert_eq!(errors.iter().count(), 1);
    }

    #[test]
    fn the_order_of_the_linker_says_nothing() {
        let one = Registration::of::<SayHello, _>("hello", "hello");
        let other = Registration::of::<Greeting, _>("hello", "hello");
        let names = |registrations: [Registration; 2]| {
            let registry = Registry::of(&registrations).unwrap();
            registry.registered().map(|kind| kind.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names([one, other]), ["greeting", "say_hello"]);
        assert_eq!(names([other, one]), names([one, other]));
    }
}
