//! Where the parts of a value were written.

use std::sync::Arc;

use super::located::{Data, Located, Member, Pos};
use super::parse;
use crate::diagnostic::{Place, Source};

/// One step of the way to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into a list, from 0.
    Index(usize),
}

/// Where the parts of a value were written. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub(super) sources: Arc<[Arc<Source>]>,
    pub(super) root: Option<Located>,
}

impl Places {
    /// Where the value at this path stands; the last one that counted. What was substituted stands where the
    /// substitution does; its parts, where they were written. `None` when there is no such value, or when it was
    /// written nowhere, as the parts of what is given.
    pub fn of(&self, path: &[Step<'_>]) -> Option<Place> {
        self.place(self.find(path)?.1.pos)
    }

    /// Where the key at the end of this path was written; as [`of`](Places::of) for what has no key.
    pub fn of_key(&self, path: &[Step<'_>]) -> Option<Place> {
        let (member, val) = self.find(path)?;
        self.place(member.map_or(val.pos, |member| member.key))
    }

    /// As [`of`](Places::of), or of the nearest value around it that was written somewhere.
    pub fn near(&self, path: &[Step<'_>]) -> Option<Place> {
        (0..=path.len()).rev().find_map(|length| self.of(&path[..length]))
    }

    /// Where a value that was substituted was written, if that is in a source.
    pub fn origin(&self, path: &[Step<'_>]) -> Option<Place> {
        self.place(self.find(path)?.1.origin)
    }

    /// The texts that it was read from.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(AsRef::as_ref)
    }

    /// A scalar as it was written: `1.10` for the number 1.1, so that it can be text where text is wanted.
    pub fn written(&self, path: &[Step<'_>]) -> Option<&str> {
        self.find(path)?.1.written()
    }

    /// The keys of the object at this path, in the order in which they were written first.
    pub fn keys(&self, path: &[Step<'_>]) -> impl Iterator<Item = &str> {
        let object = self.find(path).and_then(|(_, val)| match &val.data {
            Data::Object(object) => Some(object),
            _ => None,
        });
        object.into_iter().flat_map(|object| object.members.keys()).map(AsRef::as_ref)
    }

    fn find(&self, path: &[Step<'_>]) -> Option<(Option<&Member>, &Located)> {
        let mut found: (Option<&Member>, &Located) = (None, self.root.as_ref()?);
        for step in path {
            found = match (step, &found.1.data) {
                (Step::Key(key), Data::Object(object)) => {
                    let member = object.members.get(key)?;
                    (Some(member), &member.val)
                }
                (Step::Index(index), Data::List(list)) => (None, list.items.get(*index)?),
                _ => return None,
            };
        }
        Some(found)
    }

    pub(super) fn place(&self, pos: Pos) -> Option<Place> {
        let source = self.sources.get(usize::try_from(pos.source).ok()?)?;
        Some(parse::place(source, pos.line as usize, pos.column as usize))
    }
}
