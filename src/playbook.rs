//! Playbooks: HOCON files that name task types and their arguments.
//!
//! Everything in a playbook is validated before anything runs. Knows nothing of how its graph is converged. A job type
//! becomes a task type by [`task_type!`](crate::task_type), a [`Registry`] is all of them, and a [`Playbook`] is read by
//! [`Playbook::load`], and made a graph with a registry.

mod arguments;
mod body;
mod build;
mod config;
mod fault;
mod fit;
mod following;
mod foreign;
pub mod hocon;
mod late;
mod links;
mod literal;
mod load;
mod look;
mod names;
pub mod problem;
mod quoted;
mod registry;
mod schema;
mod secrets;
mod set;
mod target;
mod task;
mod task_type;
mod whole_schema;

#[cfg(feature = "cli")]
pub(crate) use self::build::Ids;
pub use self::load::{Facts, NoSuchFact, Options, Playbook};
pub use self::problem::{Place, Problem, Problems, Source};
pub use self::registry::{CreateError, NotRegistered, Registry, RegistryErrors, SameName};
pub use self::task_type::{ArgumentError, ArgumentStep, Field, Registration, TaskType};

/// What [`task_type!`](crate::task_type) needs wherever it is called.
#[doc(hidden)]
pub mod private {
    pub use inventory;
}
