//! Values by name, in the order in which the names came first.
//!
//! Nearly all objects of a playbook have a handful of members, for which looking through them is quicker than any table;
//! only larger ones get one.

use std::sync::Arc;

use hashbrown::HashMap;

/// So many members are looked through one by one.
const FEW: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct SmallMap<T> {
    entries: Vec<(Arc<str>, T)>,
    /// Of more than a few, where each is.
    index: Option<Box<HashMap<Arc<str>, usize>>>,
}

impl<T> Default for SmallMap<T> {
    fn default() -> Self {
        SmallMap { entries: Vec::new(), index: None }
    }
}

impl<T> SmallMap<T> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        SmallMap { entries: Vec::with_capacity(capacity), index: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn find(&self, name: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(name).copied(),
            None => self.entries.iter().position(|(known, _)| **known == *name),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.find(name).map(|at| &self.entries[at].1)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.find(name).map(|at| &mut self.entries[at].1)
    }

    /// Adds a member, or replaces the value of the one that there is, which keeps its place.
    pub(crate) fn insert(&mut self, name: Arc<str>, value: T) {
        match self.find(&name) {
            Some(at) => self.entries[at].1 = value,
            None => self.push(name, value),
        }
    }

    /// Adds a member that is not there yet.
    fn push(&mut self, name: Arc<str>, value: T) {
        if let Some(index) = &mut self.index {
            index.insert(name.clone(), self.entries.len());
        }
        self.entries.push((name, value));
        if self.index.is_none() && self.entries.len() > FEW {
            let places = self.entries.iter().enumerate().map(|(at, (name, _))| (name.clone(), at));
            self.index = Some(Box::new(places.collect()));
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &T)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.iter().map(|(name, _)| name)
    }
}

impl<T> FromIterator<(Arc<str>, T)> for SmallMap<T> {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, T)>>(members: I) -> Self {
        let mut named = SmallMap::default();
        members.into_iter().for_each(|(name, value)| named.insert(name, value));
        named
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_that_keeps_the_order(names in prop::collection::vec("[a-e]{1,2}", 0..40)) {
            let mut named = SmallMap::default();
            let mut model: Vec<(String, usize)> = Vec::new();
            for (value, name) in names.iter().enumerate() {
                named.insert(Arc::from(name.as_str()), value);
                match model.iter_mut().find(|(known, _)| known == name) {
                    Some(known) => known.1 = value,
                    None => model.push((name.clone(), value)),
                }
            }
            let all: Vec<_> = named.iter().map(|(name, value)| (name.to_string(), *value)).collect();
            prop_assert_eq!(&all, &model);
            for (name, value) in &model {
                prop_assert_eq!(named.get(name), Some(value));
                prop_assert_eq!(named.get_mut(name).map(|value| *value), Some(*value));
            }
            prop_assert_eq!(named.get("zz"), None);
            prop_assert_eq!(named.len(), model.len());
            let again: SmallMap<usize> = all.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
            prop_assert!(again.keys().eq(named.keys()));
        }
    }
}
