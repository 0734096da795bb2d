//! Values by name, which a job provides and others require.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::storage::encode;
use super::{Context, mismatch};

/// A value by name cannot be provided or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The job does not say that it provides it.
    #[error("`{job}` does not say that it provides `{value}`")]
    NotProvided {
        /// The job.
        job: String,
        /// The name of the value.
        value: String,
    },
    /// The job does not say that it requires it, so that it may not be there yet.
    #[error("`{job}` does not say that it requires `{value}`")]
    NotRequired {
        /// The job.
        job: String,
        /// The name of the value.
        value: String,
    },
    /// The job that provides it was skipped.
    #[error("`{value}` was not provided, since the job that provides it was skipped")]
    Missing {
        /// The name of the value.
        value: String,
    },
    /// The value is not of the type asked for.
    #[error("`{value}` {}", mismatch::mismatch(.expected, .source))]
    WrongType {
        /// The name of the value.
        value: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The value has no JSON form.
    #[error("`{value}` cannot be written as JSON")]
    NotSerializable {
        /// The name of the value.
        value: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

impl Context {
    /// Provides a value that the job [says](crate::Job::provides) it provides. It counts when this try converges; of several calls
    /// the last one counts. Set it in check wherever that can find it out.
    ///
    /// # Errors
    /// When the job does not say so, or the value has no JSON form.
    pub fn provide(&mut self, name: &str, value: impl Serialize) -> Result<(), ValueError> {
        if !self.run.lineage.provides(self.id, name) {
            return Err(ValueError::NotProvided { job: self.name().to_owned(), value: name.to_owned() });
        }
        let value = encode(self.run.emitter.redactor(), &value)
            .map_err(|source| ValueError::NotSerializable { value: name.to_owned(), source })?;
        self.provided.insert(name.to_owned(), value);
        Ok(())
    }

    /// A value that the job [says](crate::Job::requires) it requires.
    ///
    /// # Errors
    /// When the job does not say so, the job that provides it was skipped, or it is not a `T`.
    pub fn input<T: DeserializeOwned>(&self, name: &str) -> Result<T, ValueError> {
        if !self.run.lineage.requires(self.id, name) {
            return Err(ValueError::NotRequired { job: self.name().to_owned(), value: name.to_owned() });
        }
        let values = self.run.values();
        let value = values.get(name).ok_or_else(|| ValueError::Missing { value: name.to_owned() })?;
        T::deserialize(value).map_err(|source| ValueError::WrongType {
            value: name.to_owned(),
            expected: std::any::type_name::<T>(),
            source,
        })
    }

    pub(crate) fn provided(&self) -> &Map<String, Value> {
        &self.provided
    }

    pub(crate) fn provided_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.provided
    }
}
