//! Settings as a tree of values, whatever the format: finding, comparing and changing one.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::value::Value;

/// The value at the end of the way; `None` where the way or its end is not there.
///
/// # Errors
/// When something on the way has no names in it, or is a list without that entry.
pub(super) fn get<'v>(tree: &'v Value, names: &[String]) -> Result<Option<&'v Value>> {
    let mut value = tree;
    for (depth, name) in names.iter().enumerate() {
        let found = match value {
            Value::Object(fields) => fields.get(name),
            Value::Array(entries) => Some(&entries[index(entries.len(), names, depth)?]),
            Value::Null => None,
            other => bail!("`{}` is {}, and has no `{name}`", names[..depth].join("."), kind(other)),
        };
        match found {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// Sets or removes the value at the end of the way.
///
/// # Errors
/// As [`get`].
pub(super) fn set(tree: &mut Value, names: &[String], wanted: Option<&Value>) -> Result<()> {
    let Some((last, way)) = names.split_last() else { return Ok(()) };
    let mut value = tree;
    for (depth, name) in way.iter().enumerate() {
        value = enter(value, names, depth, name)?;
    }
    match (value, wanted) {
        (Value::Array(entries), wanted) => {
            let index = index(entries.len(), names, way.len())?;
            match wanted {
                Some(wanted) => entries[index] = wanted.clone(),
                None => _ = entries.remove(index),
            }
        }
        (value, Some(wanted)) => {
            object(value).context("there is no place for it")?.insert(last.clone(), wanted.clone());
        }
        (Value::Object(fields), None) => _ = fields.remove(last),
        (_, None) => {}
    }
    Ok(())
}

fn enter<'v>(value: &'v mut Value, names: &[String], depth: usize, name: &str) -> Result<&'v mut Value> {
    if let Value::Array(entries) = value {
        let index = index(entries.len(), names, depth)?;
        return Ok(&mut entries[index]);
    }
    Ok(object(value).context("there is no place for it")?.entry(name.to_owned()).or_insert(Value::Null))
}

fn object(value: &mut Value) -> Option<&mut BTreeMap<String, Value>> {
    if value.is_null() {
        *value = Value::Object(BTreeMap::new());
    }
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Which entry of a list is meant.
pub(super) fn index(length: usize, names: &[String], depth: usize) -> Result<usize> {
    let (list, name) = (names[..depth].join("."), &names[depth]);
    let index = name.parse::<usize>().ok().filter(|index| *index < length);
    index.with_context(|| format!("`{list}` is a list of {length}, and has no entry `{name}`"))
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether they mean the same. With `tells_floats`, as in YAML and TOML, 1 and 1.0 are two things.
pub(super) fn is_same(one: &Value, other: &Value, tells_floats: bool) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one.is_same(other) && (!tells_floats || one.is_float() == other.is_float())
        }
        (Value::Array(one), Value::Array(other)) => {
            let is_same = |(one, other)| is_same(one, other, tells_floats);
            one.len() == other.len() && one.iter().zip(other).all(is_same)
        }
        (Value::Object(one), Value::Object(other)) => {
            let has =
                |(name, value)| other.get(name).is_some_and(|other| is_same(value, other, tells_floats));
            one.len() == other.len() && one.iter().all(has)
        }
        (one, other) => one == other,
    }
}

/// The same for whole documents: one with nothing in it has no settings, whichever way that is written.
pub(super) fn is_same_document(one: &Value, other: &Value, tells_floats: bool) -> bool {
    let has_none = |tree: &Value| match tree {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    has_none(one) && has_none(other) || is_same(one, other, tells_floats)
}
