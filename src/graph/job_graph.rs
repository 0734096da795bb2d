//! The graph itself: jobs by number and by name, their edges and their order.
//!
//! Jobs are numbered in depth-first post-order from the root, dependencies in declared order, so that a dependency's
//! number is always lower than its dependents'.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fixedbitset::FixedBitSet;

use super::adjacency::Adjacency;
use super::annotations::Annotations;
use super::error::{GraphError, GraphErrors};
use super::groups::Groups;
use super::names::Names;
use crate::context::Lineage;
use crate::digest::Digest;
use crate::job::about::About;
use crate::job::policy::GroupSpec;
use crate::job::retry::Retry;
use crate::job::{AnyJob, Erased, JobKind};
use crate::suggest;

/// A number that no job has.
pub(crate) const NO_JOB: u32 = u32::MAX;

/// A checked graph of jobs: one job a name, no circles, everything there that is depended upon.
#[derive(Clone)]
pub struct JobGraph {
    jobs: Vec<AnyJob>,
    names: Names,
    /// In declared order.
    dependencies: Adjacency,
    dependents: Adjacency,
    roots: Vec<u32>,
    annotations: Annotations,
    after: After,
}

/// What comes after a job, for those that were asked about; only a memory, which a clone begins anew.
#[derive(Default)]
struct After(Mutex<Vec<(u32, Arc<FixedBitSet>)>>);

impl After {
    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Arc<FixedBitSet>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for After {
    fn clone(&self) -> Self {
        After::default()
    }
}

impl JobGraph {
    /// Numbers the jobs by their place in `order`, and drops those that are not in it.
    pub(crate) fn arrange(
        mut jobs: Vec<AnyJob>,
        edges: &Adjacency,
        order: &[u32],
        roots: &[u32],
        annotations: &Annotations,
    ) -> JobGraph {
        let mut position = vec![NO_JOB; jobs.len()];
        order.iter().enumerate().for_each(|(at, id)| position[*id as usize] = at as u32);

        let mut dependencies = Adjacency::with_capacity(order.len(), edges.edges());
        for &id in order {
            edges.of(id).iter().for_each(|target| dependencies.push(position[*target as usize]));
            dependencies.close();
        }
        let roots = roots.iter().map(|id| position[*id as usize]).collect();
        let annotations = annotations.renumbered(&position, order.len());

        // In place, since a second list of a million jobs would be the largest thing in memory: every job not in the
        // order gets a place behind those that are, and then each is swapped to its own.
        let unplaced = position.iter_mut().filter(|place| **place == NO_JOB);
        unplaced.zip(order.len() as u32..).for_each(|(place, next)| *place = next);
        for at in 0..jobs.len() {
            while position[at] as usize != at {
                let to = position[at] as usize;
                jobs.swap(at, to);
                position.swap(at, to);
            }
        }
        jobs.truncate(order.len());
        drop(position);

        let mut names = Names::default();
        names.reserve(jobs.len(), |id| &*jobs[id as usize].name);
        for (id, job) in jobs.iter().enumerate() {
            names.insert(&job.name, id as u32, |id| &*jobs[id as usize].name);
        }
        JobGraph {
            dependents: dependencies.reversed(),
            dependencies,
            jobs,
            names,
            roots,
            annotations,
            after: After::default(),
        }
    }

    /// How many jobs there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are none, which a graph that was built never is.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The jobs in depth-first post-order: each after all that it depends on. One worker without retries tries them in
    /// this order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Node<'_>> + DoubleEndedIterator {
        (0..self.jobs.len() as u32).map(|id| Node { graph: self, id })
    }

    /// The job of this name.
    pub fn get(&self, name: &str) -> Option<Node<'_>> {
        self.number(name).map(|id| Node { graph: self, id })
    }

    pub(crate) fn node(&self, id: u32) -> Node<'_> {
        Node { graph: self, id }
    }

    /// The jobs that the graph was built for.
    pub fn roots(&self) -> impl ExactSizeIterator<Item = Node<'_>> {
        self.roots.iter().map(|id| Node { graph: self, id: *id })
    }

    /// How many dependencies there are, all jobs together.
    pub fn dependency_count(&self) -> usize {
        self.dependencies.edges()
    }

    /// The graph of the jobs of these names and what they need; the order of jobs stays.
    ///
    /// # Errors
    /// When there is no job of one of the names, all of those at once; or no name at all.
    pub fn only<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Result<JobGraph, GraphErrors> {
        let mut mistakes = Vec::new();
        let mut roots = Vec::new();
        for name in names {
            let name = name.as_ref();
            match self.number(name) {
                Some(id) => roots.push(id),
                None => {
                    mistakes.push(GraphError::UnknownJob { name: name.to_owned(), hint: self.hint(name) });
                }
            }
        }
        if roots.is_empty() && mistakes.is_empty() {
            mistakes.push(GraphError::Empty);
        }
        if !mistakes.is_empty() {
            return Err(GraphErrors(mistakes));
        }
        roots.sort_unstable();
        roots.dedup();
        let mut needed = vec![false; self.jobs.len()];
        roots.iter().for_each(|root| needed[*root as usize] = true);
        // Dependencies have lower numbers: a walk downwards meets every job after all of its dependents.
        for id in (0..self.jobs.len() as u32).rev() {
            if needed[id as usize] {
                self.dependencies.of(id).iter().for_each(|dependency| needed[*dependency as usize] = true);
            }
        }
        let order: Vec<u32> = (0..self.jobs.len() as u32).filter(|id| needed[*id as usize]).collect();
        Ok(JobGraph::arrange(self.jobs, &self.dependencies, &order, &roots, &self.annotations))
    }

    /// Whether all of these names are jobs.
    pub(crate) fn check_names<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<(), GraphErrors> {
        let unknown = names.filter(|name| self.number(name).is_none());
        let mistakes: Vec<GraphError> = unknown
            .map(|name| GraphError::UnknownJob { name: name.to_owned(), hint: self.hint(name) })
            .collect();
        if mistakes.is_empty() { Ok(()) } else { Err(GraphErrors(mistakes)) }
    }

    /// The same graph with other bodies in its jobs.
    pub(crate) fn map_bodies(mut self, map: impl Fn(&str, Box<dyn Erased>) -> Box<dyn Erased>) -> JobGraph {
        self.jobs =
            self.jobs.into_iter().map(|job| AnyJob { body: map(&job.name, job.body), ..job }).collect();
        self
    }

    /// Every job that depends on `dependency`, directly or through others.
    fn all_after(&self, dependency: u32) -> Arc<FixedBitSet> {
        /// More than a graph has results that everybody reads; each takes a bit for every job.
        const KEPT: usize = 64;
        let mut kept = self.after.lock();
        if let Some((_, after)) = kept.iter().find(|(known, _)| *known == dependency) {
            return after.clone();
        }
        let mut after = FixedBitSet::with_capacity(self.jobs.len());
        let mut open = vec![dependency];
        while let Some(id) = open.pop() {
            open.extend(self.dependents.of(id).iter().filter(|next| !after.put(**next as usize)));
        }
        let after = Arc::new(after);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((dependency, after.clone()));
        after
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.names.find(name, |id| &*self.jobs[id as usize].name)
    }

    pub(crate) fn job(&self, id: u32) -> &AnyJob {
        &self.jobs[id as usize]
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.annotations.groups
    }

    /// How many jobs may be at work at once that use something, by its name.
    pub(crate) fn limits(&self) -> &BTreeMap<String, usize> {
        &self.annotations.limits
    }

    /// Every job that uses a limit, with the names of those.
    pub(crate) fn uses(&self) -> impl Iterator<Item = (u32, Vec<&str>)> {
        let about = self.annotations.about.iter().filter(|(_, about)| !about.uses.is_empty());
        about.map(|(job, about)| (*job, about.uses.iter().map(|name| &**name).collect()))
    }

    /// At most `at_once` jobs are at work at once that use `name`; as [`Engine::limit`](crate::Engine::limit).
    ///
    /// # Panics
    /// When it is 0.
    #[must_use]
    pub fn limit(mut self, name: impl Into<String>, at_once: usize) -> JobGraph {
        assert!(at_once > 0, "a job that uses it could never start");
        self.annotations.limits.insert(name.into(), at_once);
        self
    }

    /// What is said about a job, where there is anything.
    pub(crate) fn about(&self, job: u32) -> Option<&About> {
        self.annotations.of(job)
    }

    pub(crate) fn dependencies(&self) -> &Adjacency {
        &self.dependencies
    }

    pub(crate) fn dependents(&self) -> &Adjacency {
        &self.dependents
    }
}

impl Lineage for JobGraph {
    fn name_of(&self, job: u32) -> &Arc<str> {
        &self.jobs[job as usize].name
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.number(name)
    }

    fn comes_before(&self, dependency: u32, job: u32) -> bool {
        if self.dependencies.of(job).contains(&dependency) {
            return true;
        }
        // Only what lies between the two numbers can be on the way. Near ones are found soon; for one that many ask for
        // from afar, what comes after it is found once and kept.
        const NEAR: usize = 1000;
        let mut seen = HashSet::new();
        let mut open = vec![job];
        while let Some(id) = open.pop() {
            for &next in self.dependencies.of(id) {
                if next == dependency {
                    return true;
                }
                if next > dependency && seen.insert(next) {
                    open.push(next);
                }
            }
            if seen.len() > NEAR {
                return self.all_after(dependency).contains(job as usize);
            }
        }
        false
    }

    fn hint(&self, name: &str) -> String {
        suggest::hint(name, self.jobs.iter().map(|job| &*job.name))
    }

    fn may_revert(&self, job: u32) -> bool {
        self.groups().may_revert(job)
    }

    fn provides(&self, job: u32, value: &str) -> bool {
        self.about(job).is_some_and(|about| about.provides.iter().any(|name| &**name == value))
    }

    fn requires(&self, job: u32, value: &str) -> bool {
        self.about(job).is_some_and(|about| about.requires.iter().any(|name| &**name == value))
    }
}

impl std::fmt::Debug for JobGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobGraph")
            .field("jobs", &self.len())
            .field("dependencies", &self.dependency_count())
            .finish_non_exhaustive()
    }
}

/// A job in its graph.
#[derive(Clone, Copy)]
pub struct Node<'g> {
    graph: &'g JobGraph,
    id: u32,
}

impl<'g> Node<'g> {
    /// Its name.
    pub fn name(self) -> &'g str {
        &self.graph.job(self.id).name
    }

    /// Its kind.
    pub fn kind(self) -> JobKind {
        self.graph.job(self.id).kind()
    }

    /// The name of its type, with modules.
    pub fn type_name(self) -> &'g str {
        self.graph.job(self.id).type_name()
    }

    /// How often it is tried.
    pub fn retry(self) -> Retry {
        self.graph.job(self.id).retry
    }

    /// What it depends on, in declared order.
    pub fn dependencies(self) -> impl ExactSizeIterator<Item = Node<'g>> {
        self.graph.dependencies.of(self.id).iter().map(move |id| Node { graph: self.graph, id: *id })
    }

    /// What depends on it, in the order of the graph.
    pub fn dependents(self) -> impl ExactSizeIterator<Item = Node<'g>> {
        self.graph.dependents.of(self.id).iter().map(move |id| Node { graph: self.graph, id: *id })
    }

    /// What is said about it beside what it does, where there is anything.
    pub(crate) fn about(self) -> Option<&'g About> {
        self.graph.about(self.id)
    }

    /// The groups around it, the innermost first, each with what it is told to do.
    pub(crate) fn groups_around(self) -> impl Iterator<Item = (&'g str, &'g GroupSpec)> {
        let groups = self.graph.groups();
        let nodes = groups.outwards(groups.of(self.id)).map(|group| groups.node(group));
        nodes.map(|group| (&*group.name, &*group.spec))
    }

    /// The digest of its arguments, where they are known.
    pub(crate) fn arguments(self) -> Option<Digest> {
        self.graph.job(self.id).arguments
    }

    /// Whether what is written down of it has to survive power loss.
    pub(crate) fn is_durable(self) -> bool {
        self.graph.job(self.id).durable
    }

    pub(crate) fn id(self) -> u32 {
        self.id
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("name", &self.name()).field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// Keeps a graph in one place for all who look at it during a run.
pub(crate) type SharedGraph = Arc<JobGraph>;
