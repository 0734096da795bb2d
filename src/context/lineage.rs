//! What a context asks of the graph, which it does not know.

use std::sync::Arc;

/// What a context needs to know of the graph.
pub(crate) trait Lineage: Send + Sync {
    /// A job's name.
    fn name_of(&self, job: u32) -> &Arc<str>;
    /// The job's number, by name.
    fn find(&self, name: &str) -> Option<u32>;
    /// Whether `job` depends on `dependency`, directly or through others.
    fn comes_before(&self, dependency: u32, job: u32) -> bool;
    /// A name like this one.
    fn hint(&self, name: &str) -> String;
    /// Whether a run of this job may have to be reverted for a group that it is in.
    fn may_revert(&self, job: u32) -> bool;
    /// Whether a job says that it provides a value.
    fn provides(&self, job: u32, value: &str) -> bool;
    /// Whether a job says that it requires a value.
    fn requires(&self, job: u32, value: &str) -> bool;
}
