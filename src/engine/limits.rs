//! Limits: at most so many jobs at once that use the same thing.
//!
//! Pure. A job takes what it uses one limit after the other, always in the same order, so that no two wait for each other; what
//! waits for a limit gets it in the order of the scheduler, by (pass, number).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// The limits of a run.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    limits: Vec<Limit>,
    /// Which limits a job counts against, ascending.
    uses: HashMap<u32, Vec<usize>>,
    /// How many of those a job has taken.
    taken: HashMap<u32, usize>,
}

#[derive(Debug)]
struct Limit {
    free: usize,
    /// (pass, job), lowest first.
    waiting: BinaryHeap<Reverse<(u32, u32)>>,
}

/// A job uses a limit that is not there.
#[derive(Debug, PartialEq)]
pub(crate) struct UnknownLimit {
    pub(crate) job: u32,
    pub(crate) limit: String,
}

impl Limits {
    /// From the limits by name, and what jobs use.
    pub(crate) fn new<'u>(
        limits: &BTreeMap<String, usize>,
        uses: impl IntoIterator<Item = (u32, Vec<&'u str>)>,
    ) -> Result<Limits, UnknownLimit> {
        let number: HashMap<&str, usize> = limits.keys().map(String::as_str).zip(0..).collect();
        let mut all = Limits {
            limits: limits.values().map(|free| Limit { free: *free, waiting: BinaryHeap::new() }).collect(),
            ..Limits::default()
        };
        for (job, names) in uses {
            let mut used = Vec::with_capacity(names.len());
            for name in names {
                match number.get(name) {
                    Some(limit) => used.push(*limit),
                    None => return Err(UnknownLimit { job, limit: name.to_owned() }),
                }
            }
            used.sort_unstable();
            used.dedup();
            if !used.is_empty() {
                all.uses.insert(job, used);
            }
        }
        Ok(all)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// Takes what a job uses; says whether it has all of it. Otherwise it waits, with what it has, until it is
    /// [handed back](Limits::give_back) to the scheduler.
    pub(crate) fn take(&mut self, job: u32, pass: u32) -> bool {
        let Some(uses) = self.uses.get(&job) else { return true };
        let taken = self.taken.entry(job).or_default();
        while let Some(limit) = uses.get(*taken) {
            let limit = &mut self.limits[*limit];
            if limit.free == 0 {
                limit.waiting.push(Reverse((pass, job)));
                return false;
            }
            limit.free -= 1;
            *taken += 1;
        }
        true
    }

    /// A job gives back what it has taken. Returns who may try again to take what it waits for, as (pass, job).
    pub(crate) fn give_back(&mut self, job: u32) -> Vec<(u32, u32)> {
        let Some(uses) = self.uses.get(&job) else { return Vec::new() };
        let taken = self.taken.remove(&job).unwrap_or(0);
        for limit in &uses[..taken] {
            self.limits[*limit].free += 1;
        }
        self.pass_over(job)
    }

    /// A job was called for what it uses and is not going to take it now. Returns who may try instead, as (pass, job).
    pub(crate) fn pass_over(&mut self, job: u32) -> Vec<(u32, u32)> {
        let Some(uses) = self.uses.get(&job) else { return Vec::new() };
        let mut called = Vec::new();
        for limit in uses {
            let limit = &mut self.limits[*limit];
            for _ in 0..limit.free {
                let Some(Reverse(next)) = limit.waiting.pop() else { break };
                called.push(next);
            }
        }
        called
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(of: &[(&str, usize)], uses: Vec<(u32, Vec<&str>)>) -> Limits {
        let of = of.iter().map(|(name, at_once)| ((*name).to_owned(), *at_once)).collect();
        Limits::new(&of, uses).unwrap()
    }

    #[test]
    fn the_first_in_order_that_waits_comes_next() {
        let mut limits = limits(&[("db", 1)], (0..4).map(|job| (job, vec!["db"])).collect());
        assert!(limits.take(3, 1));
        assert!(!limits.take(2, 2) && !limits.take(1, 1) && !limits.take(0, 3));
        assert_eq!(limits.give_back(3), [(1, 1)]);
        assert!(limits.take(1, 1));
        assert_eq!(limits.give_back(1), [(2, 2)]);
    }

    #[test]
    fn an_unknown_limit_is_named() {
        let unknown = UnknownLimit { job: 7, limit: "db".to_owned() };
        assert_eq!(Limits::new(&BTreeMap::new(), [(7, vec!["db"])]).unwrap_err(), unknown);
    }

    proptest! {
        /// Jobs of any uses, taken in order by a scheduler that asks all that are called: never more at once than a limit allows,
        /// and all have their turn.
        #[test]
        fn never_more_than_allowed_and_all_have_their_turn(
            at_once in prop::collection::vec(1..3_usize, 1..4),
            uses in prop::collection::vec(prop::collection::vec(0..4_usize, 0..4), 1..12),
            picks in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let of: Vec<(&str, usize)> = NAMES.into_iter().zip(at_once.iter().copied()).collect();
            let uses: Vec<(u32, Vec<&str>)> = uses.iter().zip(0..)
                .map(|(uses, job)| (job, uses.iter().filter_map(|at| of.get(*at)).map(|(name, _)| *name).collect()))
                .collect();
            let mut limits = limits(&of, uses.clone());
            let mut ready: BinaryHeap<Reverse<(u32, u32)>> = uses.iter().map(|(job, _)| Reverse((1, *job))).collect();
            let (mut at_work, mut done) = (Vec::new(), 0);
            for step in 0.. {
                while let Some(Reverse((pass, job))) = ready.pop() {
                    if limits.take(job, pass) {
                        at_work.push(job);
                    }
                }
                for (name, at_once) in &of {
                    let using = at_work.iter().filter(|job| uses[**job as usize].1.contains(name)).count();
                    prop_assert!(using <= *at_once, "{} use {}", using, name);
                }
                if at_work.is_empty() {
                    break;
                }
                let ended = at_work.remove(usize::from(picks[step % picks.len()]) % at_work.len());
                done += 1;
                ready.extend(limits.give_back(ended).into_iter().map(Reverse));
            }
            prop_assert_eq!(done, uses.len());
        }
    }
}
