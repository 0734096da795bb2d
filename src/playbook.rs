//! Playbooks: HOCON files that name task types and their arguments.
//!
//! Everything in a playbook is validated before anything runs. Knows nothing of how its graph is converged. A job type
//! becomes a task type by [`task_type!`](crate::task_type), a [`Registry`] is all of them, and a [`Playbook`] is read by
//! [`Playbook::load`], and made a graph with a registry.

mod arguments;
mod build;
mod config;
mod cursor;
mod deferred;
mod deferred_task;
mod dependencies;
mod foreign;
pub mod hocon;
mod job_names;
mod job_refs;
mod literal;
mod load;
mod playbook_schema;
pub mod problem;
mod quote_lint;
mod registry;
mod schema;
mod schema_check;
mod secrets;
mod set_check;
mod target;
mod task;
mod task_type;
mod violation;

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
