//! From a name to its number: a hash table that holds the numbers alone, since the names stand elsewhere already.
//!
//! Does not know where the names are kept; it is told each time.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Numbers by name.
#[derive(Clone, Default)]
pub(crate) struct Names {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Names {
    /// The number that was inserted for `name`; `name_of` says what a number's name is.
    pub(crate) fn find<'n>(&self, name: &str, name_of: impl Fn(u32) -> &'n str) -> Option<u32> {
        self.table.find(self.hasher.hash_one(name), |id| name_of(*id) == name).copied()
    }

    /// Adds a number whose name was not there before.
    pub(crate) fn insert<'n>(&mut self, name: &str, id: u32, name_of: impl Fn(u32) -> &'n str) {
        let hasher = &self.hasher;
        self.table.insert_unique(hasher.hash_one(name), id, |id| hasher.hash_one(name_of(*id)));
    }

    /// Room for so many.
    pub(crate) fn reserve<'n>(&mut self, count: usize, name_of: impl Fn(u32) -> &'n str) {
        let hasher = &self.hasher;
        self.table.reserve(count, |id| hasher.hash_one(name_of(*id)));
    }
}
