//! The three kinds of jobs.

/// Which of the three kinds a job is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobKind {
    /// Check and run: [`Job`](crate::Job).
    Job,
    /// Run only: [`RunOnlyJob`](crate::RunOnlyJob).
    RunOnly,
    /// Dependencies only: [`DummyJob`](crate::DummyJob).
    Dummy,
}
