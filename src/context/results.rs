//! Why another job cannot be asked about.

use super::mismatch;

/// Another job cannot be asked about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// There is no job of this name.
    #[error("there is no job `{name}`{hint}")]
    NoSuchJob {
        /// The name asked for.
        name: String,
        /// A similar name, as part of the message; may be empty.
        hint: String,
    },
    /// The job does not come before the one that asks, so that its result may not be there yet.
    #[error("`{reader}` cannot ask about `{name}`, which it does not depend on; add it to its dependencies")]
    NotADependency {
        /// The job that asks.
        reader: String,
        /// The job asked for.
        name: String,
    },
    /// In a look ahead: the job is not in place, so that its result is not known yet. A check that ends with this error
    /// has not found out how things are.
    #[error("the result of `{name}` is not known before it is in place")]
    NotYet {
        /// The job asked for.
        name: String,
    },
    /// The job hands nothing on.
    #[error("`{name}` has handed on no result")]
    Missing {
        /// The job asked for.
        name: String,
    },
    /// The result is not of the type asked for.
    #[error("the result of `{name}` {}", mismatch::mismatch(.expected, .source))]
    WrongType {
        /// The job asked for.
        name: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
}
