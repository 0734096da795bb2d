//! From groups that list their jobs to edges and containment: who is in which group, what a group waits for, and who waits for
//! the whole of it.
//!
//! Works on numbers, while a graph is assembled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::adjacency::Adjacency;
use super::groups::{GroupNode, Groups, NO_GROUP};
use crate::job::policy::GroupSpec;

/// A group as it was told of.
pub(super) struct Told {
    pub(super) name: Arc<str>,
    pub(super) spec: Arc<GroupSpec>,
    /// How many of the dependencies of its dummy job are its jobs; the others are what it comes after.
    pub(super) members: usize,
}

/// A job is listed by two groups.
#[derive(Debug, PartialEq)]
pub(super) struct InTwoGroups {
    pub(super) job: u32,
    pub(super) first: u32,
    pub(super) second: u32,
}

/// Finds out who is in which group. `told` has the groups by the numbers of their dummy jobs; the edges have no circles.
pub(super) fn contain(edges: &Adjacency, told: &BTreeMap<u32, Told>) -> Result<Groups, Vec<InTwoGroups>> {
    let mut listed_by = vec![NO_GROUP; edges.len()];
    let mut mistakes = Vec::new();
    for (end, group) in told {
        for &job in &edges.of(*end)[..group.members] {
            match listed_by[job as usize] {
                NO_GROUP => listed_by[job as usize] = *end,
                first if first == *end => {}
                first => mistakes.push(InTwoGroups { job, first, second: *end }),
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let depth = |end: u32| {
        let around = |end: &u32| Some(listed_by[*end as usize]).filter(|by| *by != NO_GROUP);
        std::iter::successors(Some(end), around).count()
    };
    let mut ends: Vec<u32> = told.keys().copied().collect();
    ends.sort_by_key(|end| depth(*end));
    let number: BTreeMap<u32, u32> = ends.iter().copied().zip(0..).collect();
    let nodes = ends.iter().map(|end| {
        let Told { name, spec, .. } = &told[end];
        let parent = number.get(&listed_by[*end as usize]).copied();
        let (jobs, inner) = (Vec::new(), Vec::new());
        GroupNode { name: name.clone(), spec: spec.clone(), parent, end: Some(*end), jobs, inner }
    });
    let of = (0..edges.len() as u32).map(|job| {
        let group = number.get(&job).or_else(|| number.get(&listed_by[job as usize]));
        group.copied().unwrap_or(NO_GROUP)
    });
    Ok(Groups::new(nodes.collect(), of.collect()))
}

/// The edges with the groups in them: who depends on a job in a group from outside depends on the dummy job of the group, and
/// those jobs of a group that start first wait for what the group comes after.
pub(super) fn with_groups(edges: &Adjacency, groups: &Groups, told: &BTreeMap<u32, Told>) -> Adjacency {
    // The outermost group that has `to` and not `from`.
    let border = |from: u32, to: u32| {
        let around: Vec<u32> = groups.around(from).collect();
        let between = groups.around(to).take_while(|group| !around.contains(group));
        between.last().and_then(|group| groups.node(group).end).unwrap_or(to)
    };
    let lead = |from: u32, targets: &[u32]| -> Vec<u32> {
        targets.iter().map(|to| if *to == from { *to } else { border(from, *to) }).collect()
    };
    let own: Vec<Vec<u32>> = (0..edges.len() as u32)
        .map(|job| match told.get(&job) {
            // It is in its own group, so that its jobs are no outsiders; what it comes after its jobs wait for.
            Some(group) => lead(job, &edges.of(job)[..group.members]),
            None => lead(job, edges.of(job)),
        })
        .collect();
    let mut more: Vec<Vec<u32>> = vec![Vec::new(); edges.len()];
    for (group, node) in groups.iter() {
        let Some(end) = node.end else { continue };
        let after = lead_out(groups, group, &edges.of(end)[told[&end].members..]);
        if after.is_empty() {
            continue;
        }
        let begins = |job: &u32| !own[*job as usize].iter().any(|on| groups.has(group, *on));
        for job in groups.jobs(group).into_iter().filter(begins) {
            more[job as usize].extend(&after);
        }
    }
    let mut all = Adjacency::with_capacity(edges.len(), edges.edges());
    for (own, more) in own.iter().zip(&more) {
        own.iter().chain(more).for_each(|target| all.push(*target));
        all.close();
    }
    all
}

/// What a group comes after, groups as a whole.
fn lead_out(groups: &Groups, group: u32, after: &[u32]) -> Vec<u32> {
    let around: Vec<u32> = groups.outwards(groups.node(group).parent).collect();
    let lead = |to: &u32| {
        let between = groups.around(*to).take_while(|other| !around.contains(other) && *other != group);
        between.last().and_then(|other| groups.node(other).end).unwrap_or(*to)
    };
    after.iter().map(lead).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adjacency(lists: &[&[u32]]) -> Adjacency {
        let mut adjacency = Adjacency::default();
        for list in lists {
            list.iter().for_each(|target| adjacency.push(*target));
            adjacency.close();
        }
        adjacency
    }

    fn told(groups: &[(u32, usize)]) -> BTreeMap<u32, Told> {
        let told = |(end, members): &(u32, usize)| {
            let name = format!("group {end}").into();
            (*end, Told { name, spec: Arc::default(), members: *members })
        };
        groups.iter().map(told).collect()
    }

    fn lists(edges: &Adjacency) -> Vec<Vec<u32>> {
        (0..edges.len() as u32).map(|job| edges.of(job).to_vec()).collect()
    }

    #[test]
    fn outsiders_wait_for_the_whole_and_those_that_begin_wait_for_what_it_comes_after() {
        // 0 before; 1 and 2 in the group 3, which comes after 0; 4 depends on 1.
        let edges = adjacency(&[&[], &[], &[1], &[1, 2, 0], &[1]]);
        let told = told(&[(3, 2)]);
        let groups = contain(&edges, &told).unwrap();
        assert_eq!(groups.jobs(0), [1, 2, 3]);
        let edges = with_groups(&edges, &groups, &told);
        assert_eq!(lists(&edges), [vec![], vec![0], vec![1], vec![1, 2], vec![3]]);
    }

    #[test]
    fn a_group_in_a_group_is_waited_for_from_the_outer_one_and_from_outside_the_outer_one_is() {
        // 0 in 1, which is in 3 with 2, which depends on 0; 4 depends on 0. An empty group 5 comes after 4.
        let edges = adjacency(&[&[], &[0], &[0], &[1, 2], &[0], &[4]]);
        let told = told(&[(1, 1), (3, 2), (5, 0)]);
        let groups = contain(&edges, &told).unwrap();
        let outer = groups.of(2).unwrap();
        assert_eq!(
            (groups.node(outer).parent, groups.node(groups.of(0).unwrap()).parent),
            (None, Some(outer))
        );
        assert_eq!(
            lists(&with_groups(&edges, &groups, &told)),
            [vec![], vec![0], vec![1], vec![1, 2], vec![3], vec![4]]
        );
    }

    #[test]
    fn a_job_is_in_one_group() {
        let edges = adjacency(&[&[], &[0], &[0]]);
        let mistake = InTwoGroups { job: 0, first: 1, second: 2 };
        assert_eq!(contain(&edges, &told(&[(1, 1), (2, 1)])).unwrap_err(), [mistake]);
    }
}
