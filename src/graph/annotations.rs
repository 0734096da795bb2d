//! What is said about the few jobs of a graph that have more than dependencies: their groups, conditions, values by name, limits.
//!
//! Only keeps it, by number.

use std::collections::{BTreeMap, HashMap};

use super::groups::Groups;
use crate::job::about::About;

/// What is said about the jobs of a graph.
#[derive(Clone, Default)]
pub(crate) struct Annotations {
    pub(crate) groups: Groups,
    pub(crate) about: HashMap<u32, About>,
    /// How many jobs may be at work at once that use something, by its name.
    pub(crate) limits: BTreeMap<String, usize>,
}

impl Annotations {
    pub(crate) fn of(&self, job: u32) -> Option<&About> {
        if self.about.is_empty() { None } else { self.about.get(&job) }
    }

    /// The same about jobs with other numbers; those whose number is none of the `jobs` are gone.
    pub(crate) fn renumbered(&self, position: &[u32], jobs: usize) -> Annotations {
        let place = |(job, about): (&u32, &About)| {
            let place = position[*job as usize];
            ((place as usize) < jobs).then(|| (place, about.clone()))
        };
        Annotations {
            groups: self.groups.renumbered(position, jobs),
            about: self.about.iter().filter_map(place).collect(),
            limits: self.limits.clone(),
        }
    }
}
