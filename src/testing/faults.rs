//! Faults that a test puts into the jobs of a graph.
//!
//! Stands around a job's phases and counts their calls; knows nothing of what they do.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock::{Clock, SystemClock, Wake};
use crate::context::Context;
use crate::event::Phase;
use crate::graph::JobGraph;
use crate::graph::error::GraphErrors;
use crate::job::{Dep, Deps, JobKind};
use crate::job::{Erased, Sameness};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The phase returns an error and is not called.
    Fail,
    /// The phase does what it does, and an error is returned.
    FailAfterwards,
    /// The phase panics and is not called.
    Panic,
    /// The process kills itself (SIGKILL) before the phase is called.
    Kill,
    /// The process kills itself when the phase has returned.
    KillAfterwards,
    /// The process kills itself so long after the phase was called, unless the phase has returned by then: in its middle,
    /// at an instant that nobody chooses.
    KillWithin(Duration),
    /// The phase is called twice; what the second call returns counts. Every job must survive that.
    Twice,
}

/// Which faults happen where; put into a graph by [`JobGraph::with_faults`].
///
/// ```
/// use dojob::testing::{Fault, Faults};
/// use dojob::{Engine, JobGraph, Outcome, Phase, VirtualClock};
///
/// let mut graph = JobGraph::builder();
/// graph.run_only("copy", |_| Ok(()));
/// graph.run_only("announce", |_| Ok(())).after(["copy"]);
/// let faults = Faults::new().at("copy", Phase::Run, 1, Fault::Fail);
/// let graph = graph.build()?.with_faults(faults)?;
///
/// let report = Engine::with_graph(graph).clock(VirtualClock::new()).converge();
/// assert_eq!(report.job("copy").tries(), 2);
/// assert_eq!(report.job("announce").outcome(), Outcome::Changed);
/// # Ok::<(), dojob::GraphErrors>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults {
    planned: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    job: String,
    phase: Phase,
    /// Counted from 1; `None`: every call.
    call: Option<u32>,
    fault: Fault,
}

impl Faults {
    /// None.
    pub fn new() -> Self {
        Faults::default()
    }

    /// A fault in the `call`th call of a phase of the job of this name, counted from 1 over all tries.
    #[must_use]
    pub fn at(mut self, job: &str, phase: Phase, call: u32, fault: Fault) -> Self {
        self.planned.push(Planned { job: job.to_owned(), phase, call: Some(call), fault });
        self
    }

    /// A fault in every call of a phase of the job of this name.
    #[must_use]
    pub fn always(mut self, job: &str, phase: Phase, fault: Fault) -> Self {
        self.planned.push(Planned { job: job.to_owned(), phase, call: None, fault });
        self
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = &str> {
        self.planned.iter().map(|planned| planned.job.as_str())
    }

    /// The job with its faults around it.
    pub(crate) fn around(&self, name: &str, body: Box<dyn Erased>) -> Box<dyn Erased> {
        let planned: Vec<Planned> =
            self.planned.iter().filter(|planned| planned.job == name).cloned().collect();
        if planned.is_empty() {
            return body;
        }
        Box::new(Faulty { body, planned: planned.into(), calls: Arc::default() })
    }
}

/// A job with faults. Its clones count together.
struct Faulty {
    body: Box<dyn Erased>,
    planned: Arc<[Planned]>,
    calls: Arc<Mutex<HashMap<Phase, Arc<AtomicU32>>>>,
}

impl Faulty {
    fn fault(&self, phase: Phase) -> Option<Fault> {
        let count = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.entry(phase).or_default().clone()
        };
        let call = count.fetch_add(1, Ordering::Relaxed) + 1;
        let here = |planned: &&Planned| planned.phase == phase && planned.call.is_none_or(|at| at == call);
        self.planned.iter().find(here).map(|planned| planned.fault)
    }

    fn call(
        &mut self,
        cx: &mut Context,
        call: impl Fn(&mut dyn Erased, &mut Context) -> Result<()>,
    ) -> Result<()> {
        let phase = cx.phase();
        let Some(fault) = self.fault(phase) else { return call(self.body.as_mut(), cx) };
        match fault {
            Fault::Fail => bail!("a fault: the {phase} was made to fail"),
            Fault::Panic => panic!("a fault: the {phase} was made to panic"),
            Fault::Kill => kill_ourselves(),
            Fault::FailAfterwards => {
                call(self.body.as_mut(), cx)?;
                bail!("a fault: the {phase} was made to fail afterwards")
            }
            Fault::KillAfterwards => {
                let _ = call(self.body.as_mut(), cx);
                kill_ourselves()
            }
            Fault::KillWithin(delay) => {
                let _bomb = Bomb::set(delay);
                call(self.body.as_mut(), cx)
            }
            Fault::Twice => {
                let _ = call(self.body.as_mut(), cx);
                call(self.body.as_mut(), cx)
            }
        }
    }
}

/// Kills the process when its time has come; unless it is dropped before.
struct Bomb {
    defused: Arc<Wake>,
}

impl Bomb {
    fn set(delay: Duration) -> Bomb {
        let defused = Arc::new(Wake::default());
        let wake = defused.clone();
        let clock = SystemClock::new();
        std::thread::spawn(move || {
            clock.wait(Some(delay), &wake);
            if clock.now() >= delay {
                kill_ourselves();
            }
        });
        Bomb { defused }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.defused.wake();
    }
}

/// Ends this process as a crash would: nothing is called, nothing is written.
pub(crate) fn kill_ourselves() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

impl Erased for Faulty {
    fn has_cleanup(&self) -> Option<bool> {
        self.body.has_cleanup()
    }
    fn has_revert(&self) -> Option<bool> {
        self.body.has_revert()
    }
    fn kind(&self) -> JobKind {
        self.body.kind()
    }
    fn type_name(&self) -> &'static str {
        self.body.type_name()
    }
    fn deps(&self) -> Deps {
        self.body.deps()
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.call(cx, |body, cx| body.check(cx))
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        self.call(cx, |body, cx| body.run(cx))
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.call(cx, |body, cx| body.cleanup(cx))
    }
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        self.call(cx, |body, cx| body.revert(cx))
    }
    fn clone_box(&self) -> Box<dyn Erased> {
        Box::new(Faulty {
            body: self.body.clone_box(),
            planned: self.planned.clone(),
            calls: self.calls.clone(),
        })
    }
    fn value(&self) -> &dyn Any {
        self.body.value()
    }
    fn compare(&self, other: &dyn Erased) -> Sameness {
        self.body.compare(other)
    }
    fn more_deps(&self) -> &[Dep] {
        self.body.more_deps()
    }
    fn give_deps_away(&mut self, open: &mut Vec<Dep>) {
        self.body.give_deps_away(open);
    }
}

impl JobGraph {
    /// The graph with faults in its jobs, for tests of what a graph survives.
    ///
    /// # Errors
    /// When there is no job of one of the names; all of those at once.
    pub fn with_faults(self, faults: Faults) -> Result<JobGraph, GraphErrors> {
        self.check_names(faults.jobs())?;
        Ok(self.map_bodies(|name, body| faults.around(name, body)))
    }
}
