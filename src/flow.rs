//! Flows: what is posted to a board, and what the log of a posting says of it.
//!
//! Knows graphs, parameters and the steps of a posting; neither where postings are kept nor who runs them.

pub(crate) mod fact;
mod history;
mod job_history;
mod job_state;
#[cfg(test)]
mod page;
mod parameters;
mod registry;
pub(crate) mod state;

pub use self::history::{History, Impossible};
pub use self::job_history::{JobHistory, Loss};
pub use self::job_state::{JobState, JobStep, JobStepKind};
pub use self::parameters::ParameterErrors;
pub use self::registry::{
    Flow, FlowError, FlowRegistry, FlowRegistryErrors, NotRegistered, Registration, SameName,
};
pub use self::state::{Illegal, State, Step, StepKind};

/// What the macro needs, and nobody else.
#[doc(hidden)]
pub mod private {
    pub use inventory;

    pub use super::registry::{make, schema};
}
