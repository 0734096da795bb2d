//! Many short lists in two long ones: which entries belong to which number.

/// The entries of lists `0..n`, each list in ascending order.
#[derive(Debug)]
pub(super) struct Lists {
    starts: Vec<u32>,
    entries: Vec<u32>,
}

impl Lists {
    /// `n` lists; the entry `i` goes to the list that the `i`th of `keys` names.
    pub(super) fn group(n: usize, keys: impl Iterator<Item = u32> + Clone) -> Self {
        let mut starts = vec![0; n + 1];
        keys.clone().for_each(|key| starts[key as usize + 1] += 1);
        for list in 0..n {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut entries = vec![0; starts[n] as usize];
        for (entry, key) in keys.enumerate() {
            let slot = &mut next[key as usize];
            entries[*slot as usize] = entry as u32;
            *slot += 1;
        }
        Lists { starts, entries }
    }

    #[inline]
    pub(super) fn of(&self, list: u32) -> &[u32] {
        let list = list as usize;
        &self.entries[self.starts[list] as usize..self.starts[list + 1] as usize]
    }
}
