//! Jobs with real bodies that follow a script, and their convergence by the real engine, written down from both sides:
//! what the observers heard, and what the bodies were called for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;

use super::case::units;
use crate::clock::{Clock, VirtualClock, Wake};
use crate::context::Context;
use crate::engine::Engine;
use crate::event::{Event, Outcome, Phase};
use crate::graph::JobGraph;
use crate::job::JobKind;
use crate::job::reason::CouldNotFindOut;
use crate::job::retry::Retry;
use crate::report::Report;

/// What a job does. It depends on nothing but what was done for the job itself.
#[derive(Clone, Debug)]
pub(super) struct Doings {
    pub(super) kind: JobKind,
    pub(super) after: Vec<usize>,
    pub(super) tries: u32,
    /// In units.
    pub(super) delay: u32,
    /// A check passes once so many runs have begun; a run-only job's run fails before that.
    pub(super) runs_needed: u32,
    /// The try whose check cannot find out how things are.
    pub(super) unsure_at: Option<u32>,
    /// The try whose check panics.
    pub(super) panics_at: Option<u32>,
    /// A check sees what a run did in the try after it, and not at once.
    pub(super) shows_late: bool,
    /// A run returns an error though it did its work.
    pub(super) complains: bool,
}

/// A body was called: (job, phase, try).
pub(super) type Call = (String, Phase, u32);

/// How the engine is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting {
    pub(super) workers: usize,
    /// With simulated workers.
    pub(super) seed: Option<u64>,
    pub(super) no_act: bool,
    /// Stops when the try with this number starts, all jobs together.
    pub(super) stop_at: Option<usize>,
}

/// A run, and all that is known of it.
pub(super) struct Converged<'d> {
    pub(super) doings: &'d [Doings],
    pub(super) setting: Setting,
    pub(super) report: Report,
    pub(super) events: Vec<Event>,
    pub(super) calls: Vec<Call>,
}

/// More waits than any run of these tests needs.
const MOST_WAITS: usize = 10_000;

/// A virtual clock that ends a run which does not come to rest.
#[derive(Default)]
struct Impatient {
    clock: VirtualClock,
    waits: AtomicUsize,
}

impl Clock for Impatient {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn wait(&self, until: Option<Duration>, wake: &Wake) {
        let waits = self.waits.fetch_add(1, Ordering::Relaxed);
        assert!(waits < MOST_WAITS, "it does not come to rest");
        self.clock.wait(until, wake);
    }

    fn stands_still(&self) -> bool {
        self.clock.stands_still()
    }
}

pub(super) fn name(job: usize) -> String {
    format!("job {job}")
}

impl Doings {
    /// How the job ends once it may start.
    fn outcome(&self, no_act: bool) -> Outcome {
        let mut runs = 0;
        for attempt in 1..=if no_act { 1 } else { self.tries } {
            match self.kind {
                JobKind::Dummy => return Outcome::InPlace,
                JobKind::Job if self.unsure_at == Some(attempt) || self.panics_at == Some(attempt) => {
                    if no_act {
                        return Outcome::CouldNotFindOut;
                    }
                    continue;
                }
                JobKind::Job if runs >= self.runs_needed => {
                    return if runs == 0 { Outcome::InPlace } else { Outcome::Changed };
                }
                JobKind::Job | JobKind::RunOnly if no_act => return Outcome::WouldRun,
                JobKind::Job | JobKind::RunOnly => runs += 1,
            }
            let shows_late = self.shows_late && self.kind == JobKind::Job;
            if runs >= self.runs_needed && !shows_late {
                return Outcome::Changed;
            }
        }
        Outcome::Failed
    }

    fn runs(&self, cx: &Context, more: u32) -> Result<u32> {
        Ok(cx.global().update(cx.name(), |runs: Option<u32>| runs.unwrap_or(0) + more)?)
    }

    fn check(&self, cx: &Context) -> Result<()> {
        if cx.phase() == Phase::Check && self.panics_at == Some(cx.try_number()) {
            panic!("the check panics");
        }
        if cx.phase() == Phase::Check && self.unsure_at == Some(cx.try_number()) {
            bail!(CouldNotFindOut::new("how things are"));
        }
        let runs = self.runs(cx, 0)?;
        ensure!(runs >= self.runs_needed, "not as wanted after {runs} runs");
        ensure!(cx.phase() == Phase::Check || !self.shows_late, "not as wanted so soon");
        Ok(())
    }

    fn run(&self, cx: &mut Context) -> Result<()> {
        let attempt = cx.try_number();
        cx.local().set("the run of", attempt)?;
        let runs = self.runs(cx, 1)?;
        match self.kind {
            JobKind::RunOnly => ensure!(runs >= self.runs_needed, "run {runs} is too early"),
            JobKind::Job | JobKind::Dummy => ensure!(!self.complains, "the run complains"),
        }
        Ok(())
    }

    /// Fails where it was not handed the storage of its run, or is cancelled with it.
    fn clean_up(&self, cx: &mut Context) -> Result<()> {
        let attempt = cx.try_number();
        let of: u32 = cx.local().require("the run of")?;
        ensure!(of == attempt, "it was handed the storage of try {of}");
        ensure!(!cx.is_cancelled(), "it is cancelled");
        Ok(())
    }
}

/// How every job has to end.
pub(super) fn expected(doings: &[Doings], no_act: bool) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(doings.len());
    for doings in doings {
        let hindered = doings.after.iter().any(|on| !outcomes[*on].is_converged());
        outcomes.push(match hindered {
            false => doings.outcome(no_act),
            true if no_act => Outcome::Unknown,
            true => Outcome::Blocked,
        });
    }
    outcomes
}

fn graph(doings: &[Doings], calls: &Arc<Mutex<Vec<Call>>>) -> JobGraph {
    let mut graph = JobGraph::builder();
    let body = |doings: &Doings, does: fn(&Doings, &mut Context) -> Result<()>| {
        let (doings, calls) = (doings.clone(), calls.clone());
        move |cx: &mut Context| {
            calls.lock().unwrap().push((cx.name().to_owned(), cx.phase(), cx.try_number()));
            does(&doings, cx)
        }
    };
    for (job, doings) in doings.iter().enumerate() {
        let check = body(doings, |doings, cx| doings.check(cx));
        let run = body(doings, Doings::run);
        let node = match doings.kind {
            JobKind::Job => graph.job(name(job), check, run),
            JobKind::RunOnly => graph.run_only(name(job), run),
            JobKind::Dummy => graph.dummy(name(job)),
        };
        node.after(doings.after.iter().copied().map(name))
            .retry(Retry::tries(doings.tries).delay(units(doings.delay)))
            .cleanup(body(doings, Doings::clean_up));
    }
    graph.build().unwrap()
}

/// Converges the jobs and writes down what happens.
pub(super) fn converge(doings: &[Doings], setting: Setting) -> Converged<'_> {
    let calls = Arc::<Mutex<Vec<Call>>>::default();
    let events = Arc::<Mutex<Vec<Event>>>::default();
    let engine = Engine::with_graph(graph(doings, &calls)).workers(setting.workers).no_act(setting.no_act);
    let engine = match setting.seed {
        Some(seed) => engine.simulate(seed),
        None => engine,
    };
    let engine = engine.clock(Impatient::default());
    let (handle, hears, mut tries) = (engine.stop_handle(), events.clone(), 0);
    let report = engine
        .observe(move |event: &Event| {
            hears.lock().unwrap().push(event.clone());
            if matches!(event, Event::TryStarted { .. }) {
                if setting.stop_at == Some(tries) {
                    handle.stop();
                }
                tries += 1;
            }
        })
        .converge();
    let events = std::mem::take(&mut *events.lock().unwrap());
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    Converged { doings, setting, report, events, calls }
}
