//! What a job is: three traits, one for each kind, and the values that stand for jobs in a list of dependencies.
//!
//! Knows what a job is handed ([`Context`](crate::Context)), but neither how jobs make a graph nor how they are tried.

pub(crate) mod about;
pub(crate) mod any_job;
pub(crate) mod condition;
pub(crate) mod erased;
pub(crate) mod group;
mod into_job;
pub(crate) mod kind;
pub mod marker;
pub(crate) mod policy;
pub(crate) mod reason;
pub(crate) mod retry;
pub(crate) mod traits;

pub use self::any_job::{AnyJob, Deps, IntoJob};
pub(crate) use self::any_job::{Dep, Erased, Sameness, sameness};
pub use self::kind::JobKind;
pub use self::traits::{DummyJob, Job, RunOnlyJob};
