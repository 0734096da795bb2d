//! Values by name: who provides what another job requires.
//!
//! Works on numbers and names, while a graph is assembled.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::GraphError;
use crate::job::about::About;
use crate::suggest;

/// The dependencies that follow from values: (who requires it, who provides it).
pub(super) fn providers<'n>(
    about: &HashMap<u32, About>,
    name: impl Fn(u32) -> &'n Arc<str>,
) -> Result<Vec<(u32, u32)>, Vec<GraphError>> {
    let mut jobs: Vec<(&u32, &About)> = about.iter().collect();
    jobs.sort_by_key(|(id, _)| **id);
    let mut provided: BTreeMap<&str, u32> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (id, about) in &jobs {
        for value in &about.provides {
            match provided.insert(value, **id) {
                Some(first) if first != **id => mistakes.push(GraphError::TwoProviders {
                    value: value.to_string(),
                    first: name(first).to_string(),
                    second: name(**id).to_string(),
                }),
                _ => {}
            }
        }
    }
    let mut edges = Vec::new();
    for (id, about) in &jobs {
        for value in &about.requires {
            match provided.get(&**value) {
                Some(provider) => edges.push((**id, *provider)),
                None => mistakes.push(GraphError::MissingInput {
                    job: name(**id).to_string(),
                    value: value.to_string(),
                    hint: suggest::hint(value, provided.keys().copied()),
                }),
            }
        }
    }
    if mistakes.is_empty() { Ok(edges) } else { Err(mistakes) }
}
