//! The arguments of a run, the same for all jobs: keyword arguments from any `Serialize`, and positional ones.
//!
//! Does not know where they come from: a command line, a playbook, a posting.

use std::any::type_name;
use std::collections::HashSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::mismatch::mismatch;
use crate::digest::Digest;
use crate::secret::{MASK, Redactor, hide_again, reveal};
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
    #[error("argument `{name}` {}", mismatch(.expected, .source))]
    WrongType {
        /// Its name, or its index.
        name: String,
        /// The type asked for.
        expected: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The argument belongs to an earlier run; it was a secret, which is never written down, and this run has none.
    #[error("argument `{name}` has a secret of an earlier run, which is not known any more; give it again")]
    SecretLost {
        /// Its name, or its index.
        name: String,
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
    /// The same, with secrets hidden.
    hidden: Map<String, Value>,
    hidden_positional: Vec<Value>,
    /// Those of an earlier run whose secrets are not known any more.
    lost: HashSet<String>,
}

impl Args {
    /// Takes over the fields of `args`; a field that was set before is replaced. Returns the texts of secrets found.
    pub(crate) fn merge(&mut self, args: &impl Serialize) -> Result<Vec<String>, ArgError> {
        let (value, secrets) = reveal(args).map_err(|source| ArgError::NotSerializable { source })?;
        match value {
            Value::Object(fields) => {
                let hidden =
                    serde_json::to_value(args).map_err(|source| ArgError::NotSerializable { source })?;
                if let Value::Object(hidden) = hidden {
                    self.hidden.extend(hidden);
                }
                self.keyword.extend(fields);
            }
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
        let hidden = serde_json::to_value(&values).map_err(|source| ArgError::NotSerializable { source })?;
        if let (Value::Array(values), Value::Array(hidden)) = (value, hidden) {
            (self.positional, self.hidden_positional) = (values, hidden);
        }
        Ok(secrets)
    }

    /// The digest of all of them; secrets are hidden in it.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of_json(&serde_json::json!([self.hidden, self.hidden_positional]))
    }

    pub(crate) fn keyword<T: DeserializeOwned>(&self, name: &str) -> Result<T, ArgError> {
        self.must_be_whole(name)?;
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
        self.must_be_whole(name)?;
        match self.keyword.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => decode(name, value).map(Some),
        }
    }

    pub(crate) fn positional<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgError> {
        self.must_be_whole(&index.to_string())?;
        match self.positional.get(index) {
            Some(value) => decode(&index.to_string(), value),
            None => Err(ArgError::TooFew { index, given: self.positional.len() }),
        }
    }

    /// The arguments as they may be written down: what is secret is masked.
    pub(crate) fn without_secrets(&self, redactor: &Redactor) -> (Map<String, Value>, Vec<Value>) {
        let mut keyword = self.keyword.clone();
        for (name, value) in &mut keyword {
            self.hidden.get(name).into_iter().for_each(|hidden| hide_again(value, hidden));
            redactor.mask_for_keeping(value);
        }
        let mut positional = self.positional.clone();
        for (index, value) in positional.iter_mut().enumerate() {
            self.hidden_positional.get(index).into_iter().for_each(|hidden| hide_again(value, hidden));
            redactor.mask_for_keeping(value);
        }
        (keyword, positional)
    }

    /// The arguments that were written down by an earlier run, with the secrets of these. A secret that this run does not
    /// have is lost: to ask for it is an error.
    pub(crate) fn restored(
        &self,
        mut keyword: Map<String, Value>,
        mut positional: Vec<Value>,
        redactor: &Redactor,
    ) -> Args {
        let (present, present_positional) = self.without_secrets(redactor);
        let mut lost = HashSet::new();
        for (name, value) in &mut keyword {
            let whole = reveal_again(value, self.keyword.get(name).zip(present.get(name)));
            if !whole {
                lost.insert(name.clone());
            }
        }
        for (index, value) in positional.iter_mut().enumerate() {
            let present = self.positional.get(index).zip(present_positional.get(index));
            if !reveal_again(value, present) {
                lost.insert(index.to_string());
            }
        }
        Args { keyword, positional, lost, ..Args::default() }
    }

    fn must_be_whole(&self, name: &str) -> Result<(), ArgError> {
        match self.lost.contains(name) {
            true => Err(ArgError::SecretLost { name: name.to_owned() }),
            false => Ok(()),
        }
    }

    /// All keyword arguments as one struct.
    pub(crate) fn all<T: DeserializeOwned>(&self) -> Result<T, ArgError> {
        self.lost.iter().min().map_or(Ok(()), |name| self.must_be_whole(name))?;
        T::deserialize(&self.keyword).map_err(|source| ArgError::WrongType {
            name: "all of them".to_owned(),
            expected: type_name::<T>(),
            source,
        })
    }
}

/// Puts the present value in the place of one that was written down masked, wherever masking makes the same of both. Says
/// whether no mask is left. `present`: the value of this run, and what it looks like when written down.
fn reveal_again(written: &mut Value, present: Option<(&Value, &Value)>) -> bool {
    match (written, present) {
        (written, Some((present, masked))) if *written == *masked => {
            *written = present.clone();
            true
        }
        (Value::Object(fields), present) => {
            let part =
                |name: &String| present.and_then(|(present, masked)| present.get(name).zip(masked.get(name)));
            fields.iter_mut().fold(true, |whole, (name, value)| reveal_again(value, part(name)) && whole)
        }
        (Value::Array(values), present) => {
            let part = |index: usize| {
                present.and_then(|(present, masked)| present.get(index).zip(masked.get(index)))
            };
            let values = values.iter_mut().enumerate();
            values.fold(true, |whole, (index, value)| reveal_again(value, part(index)) && whole)
        }
        (Value::String(text), _) => text != MASK,
        _ => true,
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
    fn arguments_of_an_earlier_run_have_the_secrets_of_this_one() {
        let redactor = Redactor::default();
        let args = |movie: &str, password: &str| {
            let mut args = Args::default();
            let url = format!("https://ann:{password}@example.org");
            args.merge(&serde_json::json!({"movie": movie, "login": {"password": password}, "url": url}))
                .unwrap();
            args
        };
        redactor.add("hunter2");
        let (keyword, positional) = args("Brazil", "hunter2").without_secrets(&redactor);
        assert!(!serde_json::to_string(&keyword).unwrap().contains("hunter2"));
        redactor.add("swordfish");
        let restored = args("Alien", "swordfish").restored(keyword, positional, &redactor);
        assert_eq!(restored.keyword::<String>("movie").unwrap(), "Brazil");
        assert_eq!(restored.keyword::<Value>("login").unwrap()["password"], "swordfish");
        assert_eq!(restored.keyword::<String>("url").unwrap(), "https://ann:swordfish@example.org");

        let (keyword, positional) = args("Brazil", "hunter2").without_secrets(&redactor);
        let without = Args::default().restored(keyword, positional, &redactor);
        assert_eq!(without.keyword::<String>("movie").unwrap(), "Brazil");
        assert_eq!(
            without.keyword::<String>("url").unwrap_err().to_string(),
            "argument `url` has a secret of an earlier run, which is not known any more; give it again"
        );
        assert!(without.all::<Value>().is_err());
    }

    #[test]
    fn secrets_that_are_no_texts_and_very_short_ones_are_not_kept_and_spoil_nothing_else() {
        #[derive(Serialize)]
        struct Cli {
            strict: crate::secret::Secret<bool>,
            password: crate::secret::Secret,
            path: &'static str,
        }
        let mut args = Args::default();
        let cli = Cli { strict: true.into(), password: "db".to_owned().into(), path: "/srv/db" };
        let redactor = Redactor::default();
        args.merge(&cli).unwrap().iter().for_each(|secret| redactor.add(secret));
        let (keyword, _) = args.without_secrets(&redactor);
        let expected = serde_json::json!({"strict": "***", "password": "***", "path": "/srv/db"});
        assert_eq!(Value::from(keyword), expected);
    }

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
        assert_eq!(
            args.keyword::<u8>("movie").unwrap_err().to_string(),
            "argument `movie` is a string, expected a whole number, not negative"
        );
        assert!(matches!(args.merge(&7), Err(ArgError::NotAnObject { .. })));
    }
}
