//! Building a graph node by node, for those who have no types: a playbook, a program that reads its jobs from somewhere.

use std::marker::PhantomData;
use std::sync::Arc;

use anyhow::Result;

use super::assembly::{Assembly, LIMIT};
use super::error::{GraphError, GraphErrors};
use super::job_graph::JobGraph;
use crate::context::Context;
use crate::job::about::About;
use crate::job::any_job::Annotated;
use crate::job::condition::{Condition, SkipDepth};
use crate::job::erased::{Bodies, Body, Closures};
use crate::job::retry::Retry;
use crate::job::{AnyJob, IntoJob, JobKind};
use crate::panics::catch;

/// How a graph is made.
impl JobGraph {
    /// The graph of `root` and all that it needs.
    ///
    /// ```
    /// # use dojob::{deps, Context, Deps, DummyJob, Job, JobGraph, Result};
    /// # #[derive(Clone, PartialEq)] struct Leaf;
    /// # impl Job for Leaf {
    /// #     fn check(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
    /// #     fn run(&mut self, _: &mut Context) -> Result<()> { Ok(()) }
    /// # }
    /// #[derive(Clone, PartialEq)]
    /// struct Root;
    ///
    /// impl DummyJob for Root {
    ///     fn deps(&self) -> Deps {
    ///         deps![Leaf]
    ///     }
    /// }
    ///
    /// let graph = JobGraph::new(Root)?;
    /// assert_eq!(graph.iter().map(|job| job.name()).collect::<Vec<_>>(), ["Leaf", "Root"]);
    /// # Ok::<(), dojob::GraphErrors>(())
    /// ```
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn new<M>(root: impl IntoJob<M>) -> Result<JobGraph, GraphErrors> {
        let root = catch(|| root.into_job()).map_err(|caught| GraphError::Panicked {
            job: "the root".to_owned(),
            message: caught.message,
            location: caught.location,
        })?;
        let name = root.name.clone();
        let mut assembly = Assembly::new(LIMIT);
        assembly.add(root);
        assembly.discover(|_, _| {});
        assembly.finish(Some(vec![name]))
    }

    /// A graph that is built node by node.
    pub fn builder() -> GraphBuilder {
        GraphBuilder::default()
    }
}

/// A graph in the making; [`JobGraph::builder`] starts one.
///
/// ```
/// use dojob::{Engine, JobGraph, Retry};
///
/// let mut graph = JobGraph::builder();
/// graph
///     .job("cache", |cx| cx.global().require::<bool>("cache").map(drop).map_err(Into::into), |cx| {
///         cx.global().set("cache", true)?;
///         Ok(())
///     })
///     .retry(Retry::tries(2))
///     .cleanup(|cx| {
///         cx.global().remove("cache");
///         Ok(())
///     });
/// graph.run_only("report", |cx| {
///     cx.log("all done");
///     Ok(())
/// })
/// .after(["cache"]);
/// let report = Engine::with_graph(graph.build()?).converge();
/// assert!(report.success());
/// # Ok::<(), dojob::GraphErrors>(())
/// ```
pub struct GraphBuilder {
    nodes: Vec<Node>,
    roots: Option<Vec<Arc<str>>>,
    limit: usize,
}

struct Node {
    source: Source,
    after: Vec<Arc<str>>,
}

enum Source {
    Described {
        name: Arc<str>,
        retry: Retry,
        bodies: Bodies,
    },
    Job(AnyJob),
    /// Its name or its tries could not be found out.
    Panicked(GraphError),
}

/// A node of a [`GraphBuilder`] that can be told more. `S` says where its phases come from: [`FromClosures`], or
/// [`FromType`].
pub struct NodeBuilder<'g, S = FromClosures> {
    node: &'g mut Node,
    source: PhantomData<S>,
}

/// The phases of a node are closures.
#[derive(Debug)]
pub enum FromClosures {}

/// The phases of a node are those of a job trait.
#[derive(Debug)]
pub enum FromType {}

impl Default for GraphBuilder {
    fn default() -> Self {
        GraphBuilder { nodes: Vec::new(), roots: None, limit: LIMIT }
    }
}

impl GraphBuilder {
    /// A job that is checked, run, and checked again.
    pub fn job(
        &mut self,
        name: impl Into<Arc<str>>,
        check: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static,
        run: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static,
    ) -> NodeBuilder<'_> {
        self.describe(name.into(), JobKind::Job, Some(Box::new(check)), Some(Box::new(run)))
    }

    /// A job that runs every time.
    pub fn run_only(
        &mut self,
        name: impl Into<Arc<str>>,
        run: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static,
    ) -> NodeBuilder<'_> {
        self.describe(name.into(), JobKind::RunOnly, None, Some(Box::new(run)))
    }

    /// A job that only holds others together.
    pub fn dummy(&mut self, name: impl Into<Arc<str>>) -> NodeBuilder<'_> {
        self.describe(name.into(), JobKind::Dummy, None, None)
    }

    /// A value of one of the job traits. What it depends on is found as usual.
    pub fn add<M>(&mut self, job: impl IntoJob<M>) -> NodeBuilder<'_, FromType> {
        self.push(match catch(|| job.into_job()) {
            Ok(job) => Source::Job(job),
            Err(caught) => Source::Panicked(GraphError::Panicked {
                job: "a job that was added".to_owned(),
                message: caught.message,
                location: caught.location,
            }),
        })
    }

    /// Makes `name` the root: only what it needs is part of the graph. Called again, it adds a root. Without any, all
    /// jobs are part of it, and those that nobody needs are its roots.
    pub fn root(&mut self, name: impl Into<Arc<str>>) -> &mut Self {
        self.roots.get_or_insert_default().push(name.into());
        self
    }

    /// How many jobs there may be at most; 5 million unless this is called.
    pub fn limit(&mut self, jobs: usize) -> &mut Self {
        self.limit = jobs;
        self
    }

    /// The graph.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn build(self) -> Result<JobGraph, GraphErrors> {
        let mut assembly = Assembly::new(self.limit);
        let mut after = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let before = assembly.len();
            assembly.add(match node.source {
                Source::Panicked(mistake) => {
                    assembly.mistake(mistake);
                    continue;
                }
                Source::Job(job) => job,
                Source::Described { name, retry, bodies } => {
                    let body = Box::new(Closures(Arc::new(bodies)));
                    AnyJob { name, retry, durable: false, arguments: None, body }
                }
            });
            // A job that was refused for its name has no number.
            if assembly.len() > before {
                after.push(node.after);
            }
        }
        assembly.discover(|id, deps| {
            if let Some(names) = after.get_mut(id) {
                std::mem::take(names).into_iter().for_each(|name| deps.push_named(name));
            }
        });
        assembly.finish(self.roots)
    }

    fn describe(
        &mut self,
        name: Arc<str>,
        kind: JobKind,
        check: Option<Body>,
        run: Option<Body>,
    ) -> NodeBuilder<'_> {
        let bodies = Bodies { kind, check, run, cleanup: None, revert: None, about: About::default() };
        self.push(Source::Described { name, retry: Retry::default(), bodies })
    }

    fn push<S>(&mut self, source: Source) -> NodeBuilder<'_, S> {
        self.nodes.push(Node { source, after: Vec::new() });
        match self.nodes.last_mut() {
            Some(node) => NodeBuilder { node, source: PhantomData },
            None => unreachable!("pushed above"),
        }
    }
}

impl std::fmt::Debug for GraphBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphBuilder").field("jobs", &self.nodes.len()).field("roots", &self.roots).finish()
    }
}

impl<S> NodeBuilder<'_, S> {
    /// The jobs it depends on, by name, in order; called again, it adds more.
    pub fn after<N: Into<Arc<str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.node.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// Skips it where the predicate is false when it is about to start; as [`IntoJob::only_if`].
    pub fn only_if(
        self,
        depth: SkipDepth,
        holds: impl Fn(&Context) -> Result<bool> + Send + Sync + 'static,
    ) -> Self {
        self.tell(About { condition: Some(Condition::new(depth, holds)), ..About::default() })
    }

    /// Values by name that another job has to provide; as [`Job::requires`](crate::Job::requires).
    pub fn requires<N: Into<Arc<str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.tell(About { requires: names.into_iter().map(Into::into).collect(), ..About::default() })
    }

    /// Values by name that it hands on; as [`Job::provides`](crate::Job::provides).
    pub fn provides<N: Into<Arc<str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.tell(About { provides: names.into_iter().map(Into::into).collect(), ..About::default() })
    }

    /// The limits that it counts against; as [`Job::uses`](crate::Job::uses).
    pub fn uses<N: Into<Arc<str>>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.tell(About { uses: names.into_iter().map(Into::into).collect(), ..About::default() })
    }

    fn tell(self, more: About) -> Self {
        match &mut self.node.source {
            Source::Described { bodies, .. } => bodies.about = std::mem::take(&mut bodies.about).and(more),
            Source::Job(job) => {
                job.body = Annotated::around(job.body.clone_box(), more);
            }
            Source::Panicked(_) => {}
        }
        self
    }

    /// How often to try, in place of what the type says.
    pub fn retry(self, retry: Retry) -> Self {
        match &mut self.node.source {
            Source::Described { retry: own, .. } => *own = retry,
            Source::Job(job) => job.retry = retry,
            Source::Panicked(_) => {}
        }
        self
    }
}

impl NodeBuilder<'_> {
    /// What to call for every run that was started.
    pub fn cleanup(self, cleanup: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static) -> Self {
        if let Source::Described { bodies, .. } = &mut self.node.source {
            bodies.cleanup = Some(Box::new(cleanup));
        }
        self
    }

    /// What to call for every run that was started, when the run is reverted.
    pub fn revert(self, revert: impl Fn(&mut Context) -> Result<()> + Send + Sync + 'static) -> Self {
        if let Source::Described { bodies, .. } = &mut self.node.source {
            bodies.revert = Some(Box::new(revert));
        }
        self
    }
}
