//! Values as they are while a playbook is read: shared, weighed, and each with its place.
//!
//! Sharing keeps what is substituted a thousand times in memory once; the weight says what it would be as a tree of its
//! own, so that it can be refused before it is one.

use std::sync::Arc;

use serde_json::{Number, Value as Json};

use super::small_map::SmallMap;
use super::template::{Placeholder, Template};
use super::value::{Map, Value};

/// Where something begins: a source by its number, line and column from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pos {
    pub(crate) source: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Pos {
    /// Of what was not written in any source.
    pub(crate) const NOWHERE: Pos = Pos { source: u32::MAX, line: 0, column: 0 };
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) data: Data,
    /// Where it stands: for what was substituted, the place of the substitution.
    pub(crate) pos: Pos,
    /// Where it was written, when that is elsewhere.
    pub(crate) origin: Pos,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    /// As it was written: `1.10` stays what it is where text is wanted.
    Number(Arc<str>),
    Text(Arc<str>),
    List(Arc<List>),
    Object(Arc<Object>),
    /// What is filled in later.
    Unknown(Arc<Placeholder>),
    /// A string of which parts are filled in later.
    Template(Arc<Template>),
    /// What a problem has been found with; whatever is made of it has none of its own.
    Bad,
}

#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) items: Vec<Located>,
    size: Size,
}

#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) members: Members,
    /// Something that is no object stood before it, so that nothing from before that merges with it.
    pub(crate) closed: bool,
    size: Size,
}

pub(crate) type Members = SmallMap<Member>;

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: Pos,
    pub(crate) val: Located,
}

/// How much there is of a value, counted as if nothing were shared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// About as many bytes as it takes.
    pub(crate) weight: usize,
    pub(crate) depth: usize,
}

/// About what a value takes beside its text.
const OVERHEAD: usize = 64;

impl Located {
    pub(crate) fn new(data: Data, pos: Pos) -> Located {
        Located { data, pos, origin: Pos::NOWHERE }
    }

    pub(crate) fn list(items: Vec<Located>, pos: Pos) -> Located {
        let size = whole(items.iter().map(Located::size));
        Located::new(Data::List(Arc::new(List { items, size })), pos)
    }

    pub(crate) fn object(members: Members, pos: Pos) -> Located {
        Located::object_of(members, false, pos)
    }

    /// An object that may be cut off from what was before it.
    pub(crate) fn object_of(members: Members, closed: bool, pos: Pos) -> Located {
        let size = whole(members.iter().map(|(key, member)| {
            let size = member.val.size();
            Size { weight: size.weight.saturating_add(key.len()), ..size }
        }));
        Located::new(Data::Object(Arc::new(Object { members, closed, size })), pos)
    }

    /// The same value, with which nothing from before merges.
    pub(crate) fn closed(self) -> Located {
        match &self.data {
            Data::Object(object) if !object.closed => {
                let Object { members, size, .. } = &**object;
                let object = Object { members: members.clone(), closed: true, size: *size };
                Located { data: Data::Object(Arc::new(object)), ..self }
            }
            _ => self,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(&self.data, Data::Object(object) if object.closed)
    }

    /// The same value where it is substituted.
    pub(crate) fn at(&self, pos: Pos) -> Located {
        let origin = if self.origin == Pos::NOWHERE { self.pos } else { self.origin };
        Located { data: self.data.clone(), pos, origin }
    }

    pub(crate) fn size(&self) -> Size {
        match &self.data {
            Data::Null | Data::Bool(_) | Data::Bad => Size { weight: OVERHEAD, depth: 0 },
            Data::Number(text) | Data::Text(text) => Size { weight: OVERHEAD + text.len(), depth: 0 },
            Data::Unknown(_) => Size { weight: OVERHEAD, depth: 0 },
            Data::Template(template) => {
                let texts: usize = template.texts().map(str::len).sum();
                Size { weight: OVERHEAD + texts + OVERHEAD * template.parts().len(), depth: 0 }
            }
            Data::List(list) => list.size,
            Data::Object(object) => object.size,
        }
    }

    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.data, Data::Bad)
    }

    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "`true` or `false`",
            Data::Number(_) => "a number",
            Data::Text(_) | Data::Unknown(_) | Data::Template(_) => "a string",
            Data::List(_) => "a list",
            Data::Object(_) => "an object",
            Data::Bad => "something wrong",
        }
    }

    /// As it was written, where it is not made of others.
    pub(crate) fn written(&self) -> Option<&str> {
        match &self.data {
            Data::Null => Some("null"),
            Data::Bool(value) => Some(if *value { "true" } else { "false" }),
            Data::Number(text) | Data::Text(text) => Some(text),
            Data::List(_) | Data::Object(_) | Data::Unknown(_) | Data::Template(_) | Data::Bad => None,
        }
    }

    /// Adds it to a string that it is a part of, if it can be one.
    pub(crate) fn append_to(&self, template: &mut Template) {
        match &self.data {
            Data::Unknown(placeholder) => template.push_placeholder((**placeholder).clone()),
            Data::Template(parts) => template.append(parts),
            _ => template.push_text(self.written().unwrap_or_default()),
        }
    }

    /// Whether it can be a part of a string.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self.data, Data::List(_) | Data::Object(_) | Data::Bad)
    }

    pub(crate) fn member(&self, key: &str) -> Option<&Member> {
        match &self.data {
            Data::Object(object) => object.members.get(key),
            _ => None,
        }
    }

    /// By itself. Recursive: no value is deeper than was allowed when it was made.
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bad => Value::Invalid,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(text) => number(text),
            Data::Text(text) => Value::String(text.to_string()),
            Data::Unknown(placeholder) => Value::Unknown((**placeholder).clone()),
            Data::Template(template) => Value::Template((**template).clone()),
            Data::List(list) => Value::Array(list.items.iter().map(Located::to_value).collect()),
            Data::Object(object) => {
                let members = object.members.iter();
                let members = members.map(|(key, member)| (key.to_string(), member.val.to_value()));
                Value::Object(members.collect::<Map>())
            }
        }
    }

    /// Of JSON that was given from outside; `None` where it is deeper than `depth`.
    pub(crate) fn of_json(value: &Json, depth: usize) -> Option<Located> {
        let deeper = depth.checked_sub(1);
        let data = match value {
            Json::Null => Data::Null,
            Json::Bool(value) => Data::Bool(*value),
            Json::Number(number) => Data::Number(number.to_string().into()),
            Json::String(text) => Data::Text(text.as_str().into()),
            Json::Array(items) => {
                let items: Option<Vec<Located>> =
                    items.iter().map(|item| Located::of_json(item, deeper?)).collect();
                return Some(Located::list(items?, Pos::NOWHERE));
            }
            Json::Object(members) => {
                let members: Option<Members> = members
                    .iter()
                    .map(|(key, value)| {
                        let val = Located::of_json(value, deeper?)?;
                        Some((Arc::from(key.as_str()), Member { key: Pos::NOWHERE, val }))
                    })
                    .collect();
                return Some(Located::object(members?, Pos::NOWHERE));
            }
        };
        Some(Located::new(data, Pos::NOWHERE))
    }
}

fn whole(parts: impl Iterator<Item = Size>) -> Size {
    parts.fold(Size { weight: OVERHEAD, depth: 1 }, |all, part| Size {
        weight: all.weight.saturating_add(part.weight),
        depth: all.depth.max(part.depth + 1),
    })
}

/// The number that a literal stands for. `1e3` is a float, as for every reader of JSON that tells the two apart.
fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return Value::Number(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Value::Number(whole.into());
    }
    let float = text.parse::<f64>().ok();
    float.and_then(Number::from_f64).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}
