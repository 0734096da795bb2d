//! Characters that stand for nothing in a playbook's text: with them, the playbook's other parts mark values that come
//! later, so that what is data could be taken for such a placeholder.
//!
//! Knows the characters; not what the placeholders mean.

use std::ops::RangeInclusive;

use serde_json::Value;

/// They are for private use, so that no text for people has them.
const PRIVATE: RangeInclusive<char> = '\u{F0000}'..='\u{F0003}';

/// What to do about one.
pub(crate) const HINT: &str =
    "U+F0000 to U+F0003 mark values that come later, and cannot be part of a playbook's own";

/// The first of them, and the byte that it begins at.
pub(crate) fn find(text: &str) -> Option<(usize, char)> {
    // Hardly any text has their first byte, which is found much sooner than one of them.
    if !text.as_bytes().contains(&0xF3) {
        return None;
    }
    text.char_indices().find(|(_, each)| PRIVATE.contains(each))
}

/// The first of them in a value.
pub(crate) fn within(value: &Value) -> Option<char> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let found = match value {
            Value::String(text) => find(text),
            Value::Array(values) => {
                open.extend(values);
                None
            }
            Value::Object(members) => {
                open.extend(members.values());
                members.keys().find_map(|key| find(key))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        };
        if let Some((_, found)) = found {
            return Some(found);
        }
    }
    None
}

/// A character as people look it up.
pub(crate) fn named(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::playbook::deferred;

    #[test]
    fn all_that_a_mark_is_made_of_is_found() {
        let placeholder = deferred::placeholder(&["a", "b"], true);
        let private = placeholder.chars().filter(|each| find(&each.to_string()).is_some()).count();
        assert_eq!(private, placeholder.chars().count() - "ab".len());
        assert_eq!(find("ü\u{F0002}"), Some((2, '\u{F0002}')));
        assert_eq!(find("\u{F0004}\u{EFFFF}"), None);
        assert_eq!(named('\u{F0002}'), "U+F0002");
    }

    #[test]
    fn a_value_is_looked_through() {
        assert_eq!(within(&json!({ "a": [1, null, "x"] })), None);
        assert_eq!(within(&json!({ "a": [1, { "b": "x\u{F0001}" }] })), Some('\u{F0001}'));
        assert_eq!(within(&json!({ "\u{F0000}": 1 })), Some('\u{F0000}'));
    }
}
