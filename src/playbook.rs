//! Playbooks: HOCON files that name task types and their arguments.
//!
//! Everything in a playbook is validated before anything runs. Knows nothing of how its graph is converged. A job type
//! becomes a task type by [`task_type!`](crate::task_type), a [`Registry`] is all of them, and a [`Playbook`] is read by
//! [`Playbook::load`], and made a graph with a registry.

mod argument_path;
mod arguments;
mod build;
mod config;
mod cursor;
mod deferred;
mod deferred_task;
mod dependencies;
mod durations;
mod field;
mod fill;
mod foreign;
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, dead_code, reason = "its tests and the fuzzer see more of it than playbooks do")
)]
mod hocon;
mod job_names;
mod job_refs;
mod limits;
mod literal;
mod load;
mod playbook_schema;
mod prose;
mod quote_lint;
mod registry;
mod schema;
mod schema_check;
mod schema_keys;
mod secrets;
mod set_check;
mod target;
mod task;
mod task_group;
mod task_path;
mod task_type;
mod violation;

pub use self::argument_path::ArgumentStep;
#[cfg(feature = "cli")]
pub(crate) use self::build::Ids;
pub use self::field::Field;
pub use self::load::{Facts, NoSuchFact, Options, Playbook};
pub use self::registry::{CreateError, NotRegistered, Registry, RegistryErrors, SameName};
pub use self::task_type::{ArgumentError, Registration, TaskType};
pub use crate::diagnostic::{Place, Problem, Problems, Source};

/// What [`task_type!`](crate::task_type) needs wherever it is called.
#[doc(hidden)]
pub mod private {
    pub use inventory;
}

/// The HOCON reader by itself, for its tests and the fuzzer; no part of the interface.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod hocon_for_tests {
    pub use super::hocon::{
        Input, Loaded, Map, Override, Part, Placeholder, Places, Settings, Step, Template, Value, load,
    };
}
