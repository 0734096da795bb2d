//! From jobs that name their dependencies to a [`JobGraph`]: finding them all, and all mistakes with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::visit::{Dfs, DfsPostOrder};

use super::adjacency::{Adjacency, BothWays};
use super::annotations::Annotations;
use super::error::{GraphError, GraphErrors};
use super::grouping::{InTwoGroups, Told, contain, with_groups};
use super::groups::Groups;
use super::job_graph::{JobGraph, NO_JOB};
use super::names::Names;
use super::values::providers;
use crate::job::about::About;
use crate::job::policy::{AttemptSource, Attempts};
use crate::job::{AnyJob, Dep, Deps, Sameness, sameness};
use crate::panics::catch;
use crate::suggest;

/// How many jobs a graph may have unless it is told otherwise.
pub(crate) const LIMIT: usize = 5_000_000;

/// A graph that is being found.
pub(crate) struct Assembly {
    jobs: Vec<AnyJob>,
    names: Names,
    /// The job that named this one first; itself for those that were there from the beginning.
    named_by: Vec<u32>,
    /// Dependencies of the jobs, in the order in which they were asked, which `asked` keeps.
    edges: Adjacency,
    asked: Vec<u32>,
    /// Dependencies by name whose job is not known yet: the place in `edges`, who asks, and the name.
    open: Vec<(usize, u32, Arc<str>)>,
    mistakes: Vec<GraphError>,
    limit: usize,
    /// Of the jobs about which anything is said.
    about: HashMap<u32, About>,
}

impl Assembly {
    pub(crate) fn new(limit: usize) -> Self {
        Assembly {
            jobs: Vec::new(),
            names: Names::default(),
            named_by: Vec::new(),
            edges: Adjacency::default(),
            asked: Vec::new(),
            open: Vec::new(),
            mistakes: Vec::new(),
            // Numbers are 32 bits wide, and the largest one means "none".
            limit: limit.min(NO_JOB as usize - 1),
            about: HashMap::new(),
        }
    }

    pub(crate) fn mistake(&mut self, mistake: GraphError) {
        self.mistakes.push(mistake);
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Adds a job that is there from the beginning.
    pub(crate) fn add(&mut self, job: AnyJob) {
        let own = self.jobs.len() as u32;
        if self.find(&job.name).is_some() {
            self.mistake(GraphError::Duplicate { name: job.name.to_string() });
        } else {
            self.insert(job, own);
        }
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.names.find(name, |id| &*self.jobs[id as usize].name)
    }

    fn insert(&mut self, job: AnyJob, named_by: u32) -> u32 {
        let id = self.jobs.len() as u32;
        for mistake in job.retry.mistakes() {
            self.mistakes.push(GraphError::Retry { job: job.name.to_string(), mistake });
        }
        match catch(|| job.body.about()) {
            Ok(about) if about.is_empty() => {}
            Ok(about) => self.take_about(id, &job.name, about),
            Err(caught) => self.mistakes.push(GraphError::Panicked {
                job: job.name.to_string(),
                message: caught.message,
                location: caught.location,
            }),
        }
        self.names.insert(&job.name, id, |id| &*self.jobs[id as usize].name);
        self.jobs.push(job);
        self.named_by.push(named_by);
        id
    }

    fn take_about(&mut self, id: u32, name: &str, about: About) {
        if let Some((spec, _)) = &about.group {
            let mistakes = spec.attempts.iter().flat_map(Attempts::mistakes);
            self.mistakes
                .extend(mistakes.map(|mistake| GraphError::Attempts { group: name.to_owned(), mistake }));
        }
        self.about.insert(id, about);
    }

    /// Asks every job for its dependencies, and those for theirs. `more` adds what a job itself does not know.
    pub(crate) fn discover(&mut self, mut more: impl FnMut(usize, &mut Deps)) {
        // Depth first: jobs that are tried one after the other then lie near each other in memory.
        let mut open: Vec<u32> = (0..self.jobs.len() as u32).rev().collect();
        while let Some(next) = open.pop() {
            let known = self.jobs.len() as u32;
            let mut deps = match catch(|| self.jobs[next as usize].body.deps()) {
                Ok(deps) => deps,
                Err(caught) => {
                    self.mistake(GraphError::Panicked {
                        job: self.name(next).to_owned(),
                        message: caught.message,
                        location: caught.location,
                    });
                    Deps::new()
                }
            };
            more(next as usize, &mut deps);
            for dep in deps.0 {
                match dep {
                    Dep::Job(job) => self.depend_on_job(next, job),
                    Dep::Named(name) => self.depend_on_name(next, name),
                }
            }
            self.edges.close();
            self.asked.push(next);
            open.extend((known..self.jobs.len() as u32).rev());
            if self.jobs.len() > self.limit {
                let path = self.way_to(self.jobs.len() as u32 - 1);
                self.mistake(GraphError::TooMany { limit: self.limit, path });
                return;
            }
        }
        tracing::debug!(jobs = self.jobs.len(), dependencies = self.edges.edges(), "found the graph");
    }

    fn depend_on_job(&mut self, from: u32, job: AnyJob) {
        let to = match self.find(&job.name) {
            Some(known) => {
                self.compare(known, &job, from);
                known
            }
            None => {
                tracing::trace!(job = &*job.name, needed_by = self.name(from), "found a job");
                self.insert(job, from)
            }
        };
        self.edges.push(to);
    }

    fn depend_on_name(&mut self, from: u32, name: Arc<str>) {
        let known = self.find(&name);
        if known.is_none() {
            self.open.push((self.edges.edges(), from, name));
        }
        self.edges.push(known.unwrap_or(NO_JOB));
    }

    fn compare(&mut self, known: u32, again: &AnyJob, from: u32) {
        let first = &self.jobs[known as usize];
        let mistake = match catch(|| sameness(first.body.as_ref(), again.body.as_ref())) {
            Ok(Sameness::Same) => return,
            Err(caught) => GraphError::Panicked {
                job: first.name.to_string(),
                message: caught.message,
                location: caught.location,
            },
            Ok(Sameness::OtherType) => GraphError::TwoTypes {
                name: first.name.to_string(),
                first: first.type_name().to_owned(),
                first_by: self.needed_by(known),
                second: again.type_name().to_owned(),
                second_by: format!("`{}`", self.name(from)),
            },
            Ok(Sameness::OtherValue) => GraphError::TwoValues {
                name: first.name.to_string(),
                type_name: first.type_name().to_owned(),
                first_by: self.needed_by(known),
                second_by: format!("`{}`", self.name(from)),
            },
        };
        self.mistake(mistake);
    }

    fn needed_by(&self, job: u32) -> String {
        match self.named_by[job as usize] {
            by if by == job => "nothing: it is where the graph begins".to_owned(),
            by => format!("`{}`", self.name(by)),
        }
    }

    fn name(&self, job: u32) -> &str {
        &self.jobs[job as usize].name
    }

    fn way_to(&self, mut job: u32) -> Vec<String> {
        let mut path = vec![self.name(job).to_owned()];
        while self.named_by[job as usize] != job {
            job = self.named_by[job as usize];
            path.push(self.name(job).to_owned());
        }
        path.reverse();
        path
    }

    /// The graph of all jobs that the roots need; without names, of all jobs.
    pub(crate) fn finish(mut self, roots: Option<Vec<Arc<str>>>) -> Result<JobGraph, GraphErrors> {
        if self.jobs.is_empty() && self.mistakes.is_empty() {
            self.mistake(GraphError::Empty);
        }
        let found = self.mistakes.iter().all(|mistake| !matches!(mistake, GraphError::TooMany { .. }));
        if found {
            // Otherwise a name may be missing only because nobody came so far.
            self.resolve_names();
        }
        // Without roots, the jobs come in the order in which they were told, as far as their dependencies allow.
        let starts = roots.is_none().then(|| (0..self.jobs.len() as u32).collect::<Vec<_>>());
        let mut roots = self.find_roots(roots);
        // A graph that was not found to its end has no order.
        if found {
            self.edges = self.edges.in_place_of(&self.asked);
            if !self.about.is_empty() && self.mistakes.is_empty() {
                self.link_values();
            }
            self.find_circles();
        }
        let mut annotations = Annotations::default();
        if found && !self.about.is_empty() && self.mistakes.is_empty() {
            annotations.groups = self.link_groups();
            if starts.is_some() {
                // More depend on each other now.
                roots = self.find_roots(None);
            }
        }
        if !self.mistakes.is_empty() {
            return Err(GraphErrors(self.mistakes));
        }
        self.edges.deduplicate();
        let order = post_order(&self.edges, starts.as_ref().unwrap_or(&roots));
        annotations.about = self.about;
        Ok(JobGraph::arrange(self.jobs, &self.edges, &order, &roots, &annotations))
    }

    /// Who requires a value depends on the job that provides it.
    fn link_values(&mut self) {
        let names: Vec<Arc<str>> = self.jobs.iter().map(|job| job.name.clone()).collect();
        match providers(&self.about, |id| &names[id as usize]) {
            Ok(more) if more.is_empty() => {}
            Ok(more) => self.edges = self.edges.with(&more),
            Err(mistakes) => self.mistakes.extend(mistakes),
        }
    }

    /// Puts the jobs into their groups.
    fn link_groups(&mut self) -> Groups {
        let told: BTreeMap<u32, Told> = self
            .about
            .iter()
            .filter_map(|(id, about)| {
                let (spec, members) = about.group.clone()?;
                Some((*id, Told { name: self.jobs[*id as usize].name.clone(), spec, members }))
            })
            .collect();
        if told.is_empty() {
            return Groups::default();
        }
        let groups = match contain(&self.edges, &told) {
            Ok(groups) => groups,
            Err(twice) => {
                for InTwoGroups { job, first, second } in twice {
                    let name = |id| self.name(id).to_owned();
                    let (job, first, second) = (name(job), name(first), name(second));
                    self.mistake(GraphError::TwoGroups { job, first, second });
                }
                return Groups::default();
            }
        };
        self.edges = with_groups(&self.edges, &groups, &told);
        self.find_circles();
        if self.mistakes.is_empty() {
            self.check_results(&groups);
        }
        groups
    }

    /// A group that is attempted for each value of a result has to come after the job that hands it on.
    fn check_results(&mut self, groups: &Groups) {
        for (group, node) in groups.iter() {
            let Some(AttemptSource::Result(job)) = node.spec.attempts.as_ref().map(Attempts::source) else {
                continue;
            };
            let group_name = node.name.to_string();
            let Some(id) = self.find(job) else {
                let hint = self.hint(job);
                let (job, dependency) = (group_name, job.to_string());
                self.mistake(GraphError::UnknownDependency { job, dependency, hint });
                continue;
            };
            // Every job of the group that starts first has to wait for it.
            let jobs = groups.jobs(group);
            let begins = |job: &&u32| !self.edges.of(**job).iter().any(|on| groups.has(group, *on));
            let mut firsts = jobs.iter().filter(begins);
            if groups.has(group, id) || !firsts.all(|first| reaches(&self.edges, *first, id)) {
                self.mistake(GraphError::NotAfter { group: group_name, job: job.to_string() });
            }
        }
    }

    /// A similar name; for the first mistakes alone, since looking for one takes its time.
    fn hint(&self, name: &str) -> String {
        const HINTS: usize = 20;
        match self.mistakes.len() < HINTS {
            true => suggest::hint(name, self.jobs.iter().map(|job| &*job.name)),
            false => String::new(),
        }
    }

    fn resolve_names(&mut self) {
        let open = std::mem::take(&mut self.open);
        let before = self.mistakes.len();
        for (edge, from, name) in open {
            match self.find(&name) {
                Some(id) => self.edges.targets_mut()[edge] = id,
                None => {
                    let hint = self.hint(&name);
                    let (job, dependency) = (self.name(from).to_owned(), name.to_string());
                    self.mistake(GraphError::UnknownDependency { job, dependency, hint });
                }
            }
        }
        if self.mistakes.len() > before {
            self.edges.retain(|_, target| target != NO_JOB);
        }
    }

    fn find_roots(&mut self, names: Option<Vec<Arc<str>>>) -> Vec<u32> {
        let Some(names) = names else {
            // Those that nobody needs, in the order in which they were told.
            let mut needed = vec![false; self.jobs.len()];
            let targets = self.edges.targets_mut().iter().filter(|target| **target != NO_JOB);
            targets.for_each(|target| needed[*target as usize] = true);
            return (0..self.jobs.len() as u32).filter(|id| !needed[*id as usize]).collect();
        };
        let mut roots = Vec::with_capacity(names.len());
        for name in names {
            match self.find(&name) {
                Some(id) => roots.push(id),
                None => {
                    let hint = self.hint(&name);
                    self.mistake(GraphError::UnknownJob { name: name.to_string(), hint });
                }
            }
        }
        roots
    }

    /// One path for each set of jobs that wait for each other.
    fn find_circles(&mut self) {
        let all: Vec<u32> = (0..self.jobs.len() as u32).collect();
        let order = post_order(&self.edges, &all);
        let mut position = vec![0_u32; self.jobs.len()];
        order.iter().enumerate().for_each(|(at, id)| position[*id as usize] = at as u32);
        // In a post-order every edge of a graph without circles leads to an earlier place.
        let mut circular = false;
        for &job in &all {
            for &dependency in self.edges.of(job) {
                if dependency == job {
                    let job = self.jobs[job as usize].name.to_string();
                    self.mistakes.push(GraphError::SelfDependency { job });
                } else if position[dependency as usize] > position[job as usize] {
                    circular = true;
                }
            }
        }
        if !circular {
            return;
        }
        let backward = self.edges.reversed();
        let components = kosaraju_scc(BothWays { forward: &self.edges, backward: &backward });
        let mut circles: Vec<Vec<u32>> =
            components.into_iter().filter(|component| component.len() > 1).collect();
        circles.iter_mut().for_each(|circle| circle.sort_unstable());
        circles.sort();
        for circle in circles {
            let path = shortest_circle(&self.edges, &circle);
            let path = path.into_iter().map(|id| self.name(id).to_owned()).collect();
            self.mistake(GraphError::Cycle { path });
        }
    }
}

/// Whether a way leads from one node to the other.
fn reaches(edges: &Adjacency, from: u32, to: u32) -> bool {
    let mut walk = Dfs::new(edges, from);
    std::iter::from_fn(|| walk.next(edges)).any(|node| node == to)
}

/// Every node that the roots reach, each after all that it leads to, neighbours in order.
fn post_order(edges: &Adjacency, roots: &[u32]) -> Vec<u32> {
    let mut order = Vec::with_capacity(edges.len());
    let mut walk = DfsPostOrder::empty(edges);
    for &root in roots {
        walk.move_to(root);
        while let Some(id) = walk.next(edges) {
            order.push(id);
        }
    }
    order
}

/// The shortest way from the first node of a strongly connected set back to itself.
fn shortest_circle(edges: &Adjacency, members: &[u32]) -> Vec<u32> {
    let start = members[0];
    let mut reached_from = std::collections::HashMap::from([(start, NO_JOB)]);
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &next in edges.of(node) {
            if next == start && node != start {
                let mut path = vec![start];
                let mut at = node;
                while at != NO_JOB {
                    path.push(at);
                    at = reached_from[&at];
                }
                path.reverse();
                return path;
            }
            if members.binary_search(&next).is_ok() && !reached_from.contains_key(&next) {
                reached_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    unreachable!("a strongly connected set of several nodes has a way back")
}
