//! Flows: what is posted to a board, and what the log of a posting says of it.
//!
//! Knows graphs, parameters and the steps of a posting; neither where postings are kept nor who runs them.

pub(crate) mod fact;
#[cfg(test)]
mod page;
pub(crate) mod state;

pub use self::state::{Illegal, State, Step, StepKind};
