//! Settings in JSON, with comments and commas at the end where the file has some.
//!
//! An object on one line that gets a new name is written on several lines.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};

use super::tree;
use crate::value::{Number, Value};

fn read(text: &str) -> Result<CstRootNode> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    Ok(CstRootNode::parse(text, &options)?)
}

pub(super) fn parse(text: &str) -> Result<Value> {
    read(text)?.value().map_or(Ok(Value::Null), |node| value(&node))
}

fn value(node: &CstNode) -> Result<Value> {
    if let Some(object) = node.as_object() {
        let mut fields = BTreeMap::new();
        for property in object.properties() {
            let name = property.decoded_name().context("a name cannot be read")?;
            let found = property.value().with_context(|| format!("`{name}` has no value"))?;
            if fields.insert(name.clone(), value(&found)?).is_some() {
                bail!("`{name}` is there twice in one object");
            }
        }
        return Ok(Value::Object(fields));
    }
    if let Some(array) = node.as_array() {
        return array.elements().iter().map(value).collect();
    }
    if let Some(number) = node.as_number_lit() {
        return Ok(Number::new(number.to_string()).into());
    }
    node.to_serde_value().map(Value::from).context("a value cannot be read")
}

pub(super) fn edit(text: &str, names: &[String], wanted: Option<&Value>) -> Result<String> {
    let root = read(text)?;
    let Some((last, way)) = names.split_last() else { return Ok(text.to_owned()) };
    let Some(mut node) = root.value() else {
        root.set_value(input(&nested(names, wanted)));
        return Ok(with_end(root.to_string()));
    };
    for (depth, name) in way.iter().enumerate() {
        node = match (node.as_object(), node.as_array()) {
            (Some(object), _) => match object.get(name).and_then(|property| property.value()) {
                Some(next) if !next.is_null() => next,
                _ => {
                    set(&object, name, &nested(&names[depth + 1..], wanted));
                    return Ok(root.to_string());
                }
            },
            (None, Some(array)) => {
                let mut entries = array.elements();
                entries.swap_remove(tree::index(entries.len(), names, depth)?)
            }
            (None, None) => bail!("there is no place for it"),
        };
    }
    match (node.as_object(), node.as_array(), wanted) {
        (Some(object), _, Some(wanted)) => set(&object, last, wanted),
        (Some(object), _, None) => {
            object.get(last).into_iter().for_each(jsonc_parser::cst::CstObjectProp::remove);
        }
        (None, Some(array), wanted) => {
            let mut entries = array.elements();
            let index = tree::index(entries.len(), names, way.len())?;
            match wanted {
                Some(wanted) => {
                    array.insert(index, input(wanted));
                    entries.swap_remove(index).remove();
                }
                None => entries.swap_remove(index).remove(),
            }
        }
        (None, None, _) => bail!("there is no place for it"),
    }
    Ok(root.to_string())
}

fn set(object: &CstObject, name: &str, wanted: &Value) {
    match object.get(name) {
        Some(property) => property.set_value(input(wanted)),
        None => _ = object.append(name, input(wanted)),
    }
}

/// The value inside of objects, one for each name.
pub(super) fn nested(names: &[String], wanted: Option<&Value>) -> Value {
    names.iter().rev().fold(wanted.cloned().unwrap_or_default(), |value, name| {
        Value::Object(BTreeMap::from_iter([(name.clone(), value)]))
    })
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(truth) => CstInputValue::Bool(*truth),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

fn with_end(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Whether it is the word `null`.
trait IsNull {
    fn is_null(&self) -> bool;
}

impl IsNull for CstNode {
    fn is_null(&self) -> bool {
        self.as_null_keyword().is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edited(text: &str, key: &str, wanted: serde_json::Value) -> String {
        let names: Vec<String> = key.split('.').map(str::to_owned).collect();
        edit(text, &names, Some(&wanted.into())).unwrap()
    }

    fn removed(text: &str, key: &str) -> String {
        let names: Vec<String> = key.split('.').map(str::to_owned).collect();
        edit(text, &names, None).unwrap()
    }

    #[test]
    fn comments_and_layout_are_kept() {
        let spread = "{\n        \"c\": [1, 2],\n        \"d\": true\n    }";
        let text = "// top\n{\n    \"a\": 1, // one\n    \"b\": { \"c\": [1, 2] },\n}\n";
        assert_eq!(edited(text, "a", json!("x\"y")), text.replace("1, // one", "\"x\\\"y\", // one"));
        assert_eq!(edited(text, "b.c.1", json!(7)), text.replace("2]", "7]"));
        assert_eq!(edited(text, "b.d", json!(true)), text.replace("{ \"c\": [1, 2] }", spread));
        let added = edited(text, "z", json!(null));
        assert!(added.starts_with(&text[..text.len() - 2]) && added.contains("\n    \"z\": null"), "{added}");
        let gone = removed(text, "a");
        assert!(gone.contains("\"b\": { \"c\": [1, 2] }") && !gone.contains("\"a\""), "{gone}");
    }

    #[test]
    fn what_is_missing_is_made() {
        assert_eq!(parse(&edited("", "a.b", json!(1))).unwrap(), json!({"a": {"b": 1}}).into());
        assert_eq!(parse(&edited("{\"a\": null}", "a.b", json!(1))).unwrap(), json!({"a": {"b": 1}}).into());
        assert_eq!(
            edited("{\r\n  \"a\": 1\r\n}\r\n", "b", json!(2)),
            "{\r\n  \"a\": 1,\r\n  \"b\": 2\r\n}\r\n"
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["{", "{a: 1}", "{'a': 1}", "{\"a\": 1 \"b\": 2}", "[1,,2]", "{\"a\": 0x1}", "{} {}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(
            parse("{\"a\": 1, \"a\": 2}").unwrap_err().to_string(),
            "`a` is there twice in one object"
        );
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let text = "{\"a\": 1.10, \"b\": 18446744073709551616}";
        assert_eq!(parse(text).unwrap().to_string(), r#"{"a":1.10,"b":18446744073709551616}"#);
        let wanted = Value::from(Number::new("18446744073709551617"));
        assert_eq!(edit(text, &["b".to_owned()], Some(&wanted)).unwrap(), text.replace("616}", "617}"));
    }
}
