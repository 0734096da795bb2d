//! The arguments of a run, the same for all jobs: keyword arguments from any `Serialize`, and positional ones.
//!
//! Does not know where they come from: a command line, a playbook, a posting.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::secret::reveal;
use crate::suggest;

/// An argument is missing, not of the wanted type, or cannot be handed to jobs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgError {
    /// No keyword argument has this name.
    #[error("there is no argument `{name}`{hint}")]
    Missing {
        /// The name asked for.
        name: String,
        /// A similar name, as part of the message; may be empty.
        hint: String,
    },
    /// There are fewer positional arguments.
    #[error("there is no positional argument {index}: {given} were given, counted from 0")]
    TooFew {
        /// The index asked for.
        index: usize,
        /// How many there are.
        given: usize,
    },
    /// The argument is not of the type asked for.
    #[error("argument `{name}` is no {expected}")]
    WrongType {
        /// Its name, or its index.
        name: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// Keyword arguments have to be a struct or a map.
    #[error("keyword arguments have to be a struct or a map with string keys, this is {found}")]
    NotAnObject {
        /// What kind of value was given instead.
        found: &'static str,
    },
    /// A secret would be shown wherever a job is named.
    #[error(
        "the name of a job has a secret argument in it, and names are shown everywhere; leave it out of the name"
    )]
    SecretInName,
    /// The arguments have no JSON form.
    #[error("arguments cannot be written as JSON")]
    NotSerializable {
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// Keyword and positional arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    keyword: Map<String, Value>,
    positional: Vec<Value>,
}

impl Args {
    /// Takes over the fields of `args`; a field that was set before is replaced. Returns the texts of secrets found.
    pub(crate) fn merge(&mut self, args: &impl Serialize) -> Result<Vec<String>, ArgError> {
        let (value, secrets) = reveal(args).map_err(|source| ArgError::NotSerializable { source })?;
        match value {
            Value::Object(fields) => self.keyword.extend(fields),
            Value::Null => {}
            // Its kind alone: it may be a secret.
            Value::Array(_) => return Err(ArgError::NotAnObject { found: "a list" }),
            Value::String(_) => return Err(ArgError::NotAnObject { found: "a string" }),
            Value::Bool(_) | Value::Number(_) => {
                return Err(ArgError::NotAnObject { found: "a single value" });
            }
        }
        Ok(secrets)
    }

    /// Sets the positional arguments. Returns the texts of secrets found.
    pub(crate) fn set_positional<T: Serialize>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Vec<String>, ArgError> {
        let values: Vec<T> = values.into_iter().collect();
        let (value, secrets) = reveal(&values).map_err(|source| ArgError::NotSerializable { source })?;
        if let Value::Array(values) = value {
            self.positional = values;
        }
        Ok(secrets)
    }

    pub(crate) fn keyword<T: DeserializeOwned>(&self, name: &str) -> Result<T, ArgError> {
        match self.keyword.get(name) {
            Some(value) => decode(name, value),
            None => {
                let hint = suggest::hint(name, self.keyword.keys().map(String::as_str));
                Err(ArgError::Missing { name: name.to_owned(), hint })
            }
        }
    }

    /// As [`keyword`](Args::keyword); an argument that is absent or null is `None`.
    pub(crate) fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ArgError> {
        match self.keyword.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => decode(name, value).map(Some),
        }
    }

    pub(crate) fn positional<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgError> {
        match self.positional.get(index) {
            Some(value) => decode(&index.to_string(), value),
            None => Err(ArgError::TooFew { index, given: self.positional.len() }),
        }
    }

    /// All keyword arguments as one struct.
    pub(crate) fn all<T: DeserializeOwned>(&self) -> Result<T, ArgError> {
        T::deserialize(&self.keyword).map_err(|source| ArgError::WrongType {
            name: "all of them".to_owned(),
            expected: type_name::<T>(),
            source,
        })
    }
}

fn decode<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, ArgError> {
    T::deserialize(value).map_err(|source| ArgError::WrongType {
        name: name.to_owned(),
        expected: type_name::<T>(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_from_any_struct() {
        #[derive(Serialize)]
        struct Cli {
            movie: String,
            seats: Option<u8>,
        }
        let mut args = Args::default();
        args.merge(&Cli { movie: "Brazil".into(), seats: None }).unwrap();
        args.set_positional(["a", "b"]).unwrap();
        assert_eq!(args.keyword::<String>("movie").unwrap(), "Brazil");
        assert_eq!(args.optional::<u8>("seats").unwrap(), None);
        assert_eq!(args.positional::<String>(1).unwrap(), "b");
        assert_eq!(
            args.keyword::<String>("movy").unwrap_err().to_string(),
            "there is no argument `movy`; did you mean `movie`?"
        );
        assert_eq!(
            args.positional::<String>(2).unwrap_err().to_string(),
            "there is no positional argument 2: 2 were given, counted from 0"
        );
        assert_eq!(args.keyword::<u8>("movie").unwrap_err().to_string(), "argument `movie` is no u8");
        assert!(matches!(args.merge(&7), Err(ArgError::NotAnObject { .. })));
    }
}
