//! Reading the parameters of a flow: what does not fit is named with the way to it.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::suggest;

/// Parameters that a flow does not take: all that is known to be wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterErrors(Vec<String>);

impl ParameterErrors {
    /// What is wrong, each on one line.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ParameterErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ParameterErrors {}

/// Reads parameters as a type. Those that it does not know are refused, also where the type would let them pass. `known`: the names
/// that there are, to suggest one.
pub(super) fn read<T: DeserializeOwned>(
    parameters: &Map<String, Value>,
    known: &[String],
) -> Result<T, ParameterErrors> {
    let value = Value::Object(parameters.clone());
    let mut unread = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let read = {
        let paths = serde_path_to_error::Deserializer::new(&value, &mut track);
        let mut note = |path: serde_ignored::Path<'_>| unread.push(path.to_string());
        T::deserialize(serde_ignored::Deserializer::new(paths, &mut note))
    };
    match read {
        Ok(read) if unread.is_empty() => Ok(read),
        Ok(_) => Err(ParameterErrors(unread.iter().map(|name| unknown(name, known)).collect())),
        Err(error) => {
            let path = track.path().to_string();
            let whole = path == ".";
            Err(ParameterErrors(vec![if whole { error.to_string() } else { format!("`{path}`: {error}") }]))
        }
    }
}

fn unknown(name: &str, known: &[String]) -> String {
    // Of what is within a parameter the names are not known.
    let known = if name.contains(['.', '[']) { &[] } else { known };
    match suggest::nearest(name, known.iter().map(String::as_str)) {
        Some(nearest) => format!("there is no parameter `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no parameter `{name}`"),
    }
}
