//! What a text resolves to: JSON, and values that are filled in later.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

use serde_json::{Number, Value as Json};

use super::template::{Placeholder, Template};

/// The members of an object, by key.
pub type Map = BTreeMap<String, Value>;

/// A value, of which parts may not be known yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, all of which is known.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
    /// A value that is filled in later, of any type.
    Unknown(Placeholder),
    /// A string of which parts are filled in later.
    Template(Template),
    /// In the place of a value that is wrong, which was reported: no other problem is seen in it.
    Invalid,
}

static NULL: Value = Value::Null;

impl Value {
    /// A string of these parts; a single part that is filled in later may be a value of any type.
    pub fn of_template(template: Template) -> Value {
        use super::template::Part;
        match template.parts() {
            [] => Value::String(String::new()),
            [Part::Text(text)] => Value::String(text.clone()),
            [Part::Placeholder(placeholder)] => Value::Unknown(placeholder.clone()),
            _ => Value::Template(template),
        }
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// The member of an object.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.as_object_mut()?.get_mut(key)
    }

    /// An item of a list, from 0.
    pub fn item(&self, index: usize) -> Option<&Value> {
        self.as_array()?.get(index)
    }

    /// An item of a list, from 0.
    pub fn item_mut(&mut self, index: usize) -> Option<&mut Value> {
        self.as_array_mut()?.get_mut(index)
    }

    /// The members, of an object.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The members, of an object.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items, of a list.
    pub fn as_array(&self) -> Option<&Vec<Value>> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The items, of a list.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a string, all of which is known.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The number, where it is whole and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// Whether it is filled in later, all of it.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Value::Unknown(_))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it is `true` or `false`.
    pub fn is_boolean(&self) -> bool {
        matches!(self, Value::Bool(_))
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Number(_))
    }

    /// Whether it is a list.
    pub fn is_array(&self) -> bool {
        matches!(self, Value::Array(_))
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Value::Object(_))
    }

    /// What is there, with `null` left in its place.
    pub fn take(&mut self) -> Value {
        std::mem::take(self)
    }

    /// As JSON; what is filled in later is a string of how it is written, and what is wrong is `null`.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Null | Value::Invalid => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::String(text) => Json::String(text.clone()),
            Value::Array(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Object(members) => {
                Json::Object(members.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
            Value::Unknown(placeholder) => Json::String(placeholder.to_string()),
            Value::Template(template) => Json::String(template.to_string()),
        }
    }

    /// As it stands in a text, a string without its quotes.
    pub fn plain(&self) -> String {
        match self {
            Value::String(text) => text.clone(),
            Value::Unknown(placeholder) => placeholder.to_string(),
            Value::Template(template) => template.to_string(),
            other => other.to_string(),
        }
    }
}

/// JSON, in one line, with what is filled in later as it is written.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => Value::Number(number),
            Json::String(text) => Value::String(text),
            Json::Array(items) => Value::Array(items.into_iter().map(Value::from).collect()),
            Json::Object(members) => {
                Value::Object(members.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

/// Only what is known can be equal to JSON.
impl PartialEq<Json> for Value {
    fn eq(&self, other: &Json) -> bool {
        match (self, other) {
            (Value::Null, Json::Null) => true,
            (Value::Bool(one), Json::Bool(other)) => one == other,
            (Value::Number(one), Json::Number(other)) => one == other,
            (Value::String(one), Json::String(other)) => one == other,
            (Value::Array(one), Json::Array(other)) => one == other,
            (Value::Object(one), Json::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| value == other))
            }
            _ => false,
        }
    }
}

/// The member of an object; `null` where there is none.
impl Index<&str> for Value {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&NULL)
    }
}

/// The item of a list; `null` where there is none.
impl Index<usize> for Value {
    type Output = Value;

    fn index(&self, index: usize) -> &Value {
        self.item(index).unwrap_or(&NULL)
    }
}
