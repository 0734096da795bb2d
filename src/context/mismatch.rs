//! What is told of a value that is not of the type asked for: what it is, and what was expected, in words for people.

/// Completes "argument `x` …".
pub(crate) fn mismatch(expected: &str, source: &serde_json::Error) -> String {
    let expected = in_words(expected);
    match found(&source.to_string()) {
        Some(found) => format!("is {found}, expected {expected}"),
        None => format!("does not fit, expected {expected}"),
    }
}

/// The kind of the value in an error such as ``invalid type: integer `5`, expected a string``.
fn found(error: &str) -> Option<&'static str> {
    let kind = error.strip_prefix("invalid type: ")?;
    let kinds = [
        ("string", "a string"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("number", "a number"),
        ("boolean", "true or false"),
        ("null", "null"),
        ("unit", "null"),
        ("map", "an object"),
        ("sequence", "a list"),
    ];
    kinds.into_iter().find(|(word, _)| kind.starts_with(word)).map(|(_, found)| found)
}

/// A Rust type as people say it; one of a program's own without its modules.
fn in_words(name: &str) -> String {
    match name {
        "alloc::string::String" | "&str" | "str" | "char" | "std::path::PathBuf" => "a string".to_owned(),
        "bool" => "true or false".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number, not negative".to_owned(),
        _ if name.starts_with("alloc::vec::Vec<") => "a list".to_owned(),
        _ if name.starts_with("alloc::collections::btree::map::") => "an object".to_owned(),
        _ if name.starts_with("std::collections::hash::map::") => "an object".to_owned(),
        _ => {
            let start = name.split('<').next().unwrap_or(name);
            format!("a `{}`", start.rsplit("::").next().unwrap_or(start))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::any::type_name;

    use serde_json::json;

    use super::*;

    fn told<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: serde_json::Value) -> String {
        mismatch(type_name::<T>(), &serde_json::from_value::<T>(value).unwrap_err())
    }

    #[test]
    fn a_mismatch_is_told_without_the_value() {
        assert_eq!(told::<String>(json!(5)), "is a number, expected a string");
        assert_eq!(told::<u8>(json!("hunter2")), "is a string, expected a whole number, not negative");
        assert_eq!(told::<u8>(json!(300)), "does not fit, expected a whole number, not negative");
        assert_eq!(told::<Vec<String>>(json!({})), "is an object, expected a list");
        assert_eq!(told::<std::time::Duration>(json!(1.5)), "is a number, expected a `Duration`");
    }
}
