//! Why a convergence did not begin.

use std::fmt;

use serde::Serialize;

/// Why nothing was started. Its text says what is wrong; what to do about it depends on the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// What earlier convergences left pending could not be read from the log.
    #[non_exhaustive]
    UnreadableLog {
        /// What the log says.
        reason: String,
    },
    /// The log is open for reading only, without its lock, so nothing may be run.
    ReadOnlyLog,
    /// An earlier convergence began to revert its runs and did not finish, and this one is set neither to go on with that
    /// ([`OnFailure::Revert`](crate::OnFailure::Revert)) nor to [forget it](crate::Engine::forget_undo).
    #[non_exhaustive]
    UnfinishedRevert {
        /// The jobs whose failures caused it, by name.
        failed: Vec<String>,
    },
    /// A job uses a limit that is not set ([`Engine::limit`](crate::Engine::limit)).
    #[non_exhaustive]
    UnknownLimit {
        /// The job.
        job: String,
        /// The limit.
        limit: String,
        /// A similar name, as part of the message; may be empty.
        #[serde(skip)]
        hint: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnreadableLog { reason } => {
                write!(f, "failed to read what earlier starts left pending: {reason}")
            }
            Refusal::ReadOnlyLog => {
                f.write_str("the journal is open for reading only, so nothing may be run")
            }
            Refusal::UnknownLimit { job, limit, hint } => {
                write!(f, "`{job}` uses the limit `{limit}`, which is not set{hint}")
            }
            Refusal::UnfinishedRevert { failed } => write!(
                f,
                "an earlier start began to revert what it did, since {} failed, and did not finish",
                failed.join(", ")
            ),
        }
    }
}

impl std::error::Error for Refusal {}
