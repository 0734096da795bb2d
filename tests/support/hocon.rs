//! What the tests of HOCON share: a text as an entry, and hocon-parser on its own.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;

use dojob::playbook::hocon_for_tests::Input;
use hocon::{HoconValue, ScalarType};
use serde_json::Value;

pub(crate) fn text(text: &str) -> Input {
    Input::Text { name: "playbook".to_owned(), text: text.as_bytes().to_vec() }
}

/// What hocon-parser makes of a text; its includes are relative to the working directory.
pub(crate) fn library(text: &str, environment: &BTreeMap<String, String>) -> Option<Value> {
    let environment = environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let options = hocon::ParseOptions::defaults().with_env(environment).with_base_dir(".".into());
    let config = hocon::parse_string_with_options(text, options).ok()?;
    let members = config.keys().into_iter().map(|key| key.to_owned()).collect::<Vec<_>>();
    let path = |key: &str| serde_json::Value::from(key).to_string();
    members
        .into_iter()
        .map(|key| Some((key.clone(), json(config.get(&path(&key))?)?)))
        .collect::<Option<_>>()
        .map(Value::Object)
}

fn json(value: &HoconValue) -> Option<Value> {
    match value {
        HoconValue::Object(members) => members
            .iter()
            .map(|(key, value)| Some((key.clone(), json(value)?)))
            .collect::<Option<_>>()
            .map(Value::Object),
        HoconValue::Array(items) => items.iter().map(json).collect::<Option<_>>().map(Value::Array),
        HoconValue::Scalar(scalar) => Some(match scalar.value_type {
            ScalarType::Null => Value::Null,
            ScalarType::Boolean => Value::Bool(scalar.raw == "true"),
            ScalarType::Number => {
                let whole = scalar
                    .raw
                    .parse::<i64>()
                    .map(Value::from)
                    .or_else(|_| scalar.raw.parse::<u64>().map(Value::from));
                whole.or_else(|_| scalar.raw.parse::<f64>().map(Value::from)).ok()?
            }
            _ => Value::String(scalar.raw.clone()),
        }),
        _ => None,
    }
}
