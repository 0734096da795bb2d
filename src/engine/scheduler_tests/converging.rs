//! The same invariants of whole runs of the engine, told from its events; and that many workers come to the same end as
//! one.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail, ensure};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::bodies::{Converged, Doings, Setting, converge, expected, name};
use crate::engine::Engine;
use crate::event::{Event, FailureKind, Outcome, Phase};
use crate::graph::JobGraph;
use crate::job::JobKind;

type Invariant = fn(&Converged<'_>) -> Result<()>;

static INVARIANTS: [(&str, Invariant); 12] = [
    ("never run before a failed check", never_run_before_a_failed_check),
    ("converged only after a passing check or recheck", converged_only_after_a_passing_check_or_recheck),
    ("nothing starts before its dependencies converged", nothing_starts_before_its_dependencies_converged),
    ("blocked only where a dependency failed", blocked_only_where_a_dependency_failed),
    ("no more tries than allowed", no_more_tries_than_allowed),
    ("no more at work than there are workers", no_more_at_work_than_there_are_workers),
    ("no-act never runs", no_act_never_runs),
    ("cleanups mirror runs", cleanups_mirror_runs),
    ("after a stop nothing starts", after_a_stop_nothing_starts),
    ("bodies are called as told", bodies_are_called_as_told),
    ("it comes to rest", it_comes_to_rest),
    ("the outcomes follow from the scripts alone", the_outcomes_follow_from_the_scripts_alone),
];

fn hold(run: &Converged<'_>) -> Result<(), TestCaseError> {
    INVARIANTS
        .iter()
        .try_for_each(|(name, holds)| holds(run).context(*name))
        .map_err(|error| TestCaseError::fail(format!("{error:#}\n{:#?}", run.events)))
}

impl Converged<'_> {
    fn doings_of(&self, job: &str) -> &Doings {
        let job = (0..self.doings.len()).find(|at| name(*at) == job);
        &self.doings[job.unwrap()]
    }

    /// The runs that were started, as (job, try), in that order.
    fn runs(&self) -> Vec<(&str, u32)> {
        let started = self.events.iter().filter_map(|event| match event {
            Event::PhaseStarted { job, phase: Phase::Run, attempt } => Some((&**job, *attempt)),
            _ => None,
        });
        started.collect()
    }

    fn is_in_one_thread(&self) -> bool {
        self.setting.workers == 1 || self.setting.seed.is_some()
    }
}

/// Phases follow each other within a try: a run only on its failed check, a recheck only on its run.
fn never_run_before_a_failed_check(run: &Converged<'_>) -> Result<()> {
    let mut last: HashMap<(&str, u32), (Phase, bool)> = HashMap::new();
    for event in &run.events {
        match event {
            Event::PhaseStarted { job, phase, attempt } => {
                let before = last.get(&(&**job, *attempt)).copied();
                let fits = match phase {
                    Phase::Check => before.is_none(),
                    Phase::Run => before == Some((Phase::Check, false)),
                    Phase::Recheck => matches!(before, Some((Phase::Run, _))),
                    Phase::Cleanup | Phase::Revert => false,
                };
                ensure!(fits, "{phase} of {job}, try {attempt}, comes after {before:?}");
            }
            Event::PhaseEnded { job, phase, attempt, passed, failure, .. } => {
                // One that could not find out has not failed, but neither does it lead to a run.
                let kind = failure.as_ref().map_or(FailureKind::Error, |failure| failure.kind);
                let verdict = *passed || (*phase == Phase::Check && kind != FailureKind::Error);
                last.insert((job, *attempt), (*phase, verdict));
            }
            _ => {}
        }
    }
    Ok(())
}

fn converged_only_after_a_passing_check_or_recheck(run: &Converged<'_>) -> Result<()> {
    let mut last: HashMap<&str, (Phase, bool)> = HashMap::new();
    let mut have_run: HashSet<&str> = HashSet::new();
    for event in &run.events {
        match event {
            Event::PhaseEnded { job, phase, passed, .. } => {
                last.insert(job, (*phase, *passed));
                have_run.extend((*phase == Phase::Run).then_some(&**job));
            }
            Event::JobSettled { job, outcome, .. } => {
                let before = last.get(&**job).copied();
                let has_run = have_run.contains(&**job);
                let fits = match outcome {
                    Outcome::InPlace => before == Some((Phase::Check, true)) && !has_run,
                    // By a check where the work shows late.
                    Outcome::Changed => {
                        matches!(before, Some((Phase::Check | Phase::Recheck, true))) && has_run
                    }
                    Outcome::Blocked | Outcome::Unknown | Outcome::NotStarted => before.is_none(),
                    // Not in the runs of these tests.
                    Outcome::Reverted | Outcome::Skipped => false,
                    // A stop may come after a run that passed, and before its recheck.
                    Outcome::Stopped => matches!(before, Some((Phase::Run, _) | (_, false))),
                    Outcome::Failed | Outcome::WouldRun | Outcome::CouldNotFindOut => {
                        before.is_some_and(|(_, passed)| !passed)
                    }
                };
                ensure!(fits, "{job} is {outcome} after {before:?}");
            }
            _ => {}
        }
    }
    Ok(())
}

fn nothing_starts_before_its_dependencies_converged(run: &Converged<'_>) -> Result<()> {
    let mut converged: HashSet<&str> = HashSet::new();
    for event in &run.events {
        match event {
            Event::JobSettled { job, outcome, .. } if outcome.is_converged() => {
                converged.insert(job);
            }
            Event::TryStarted { job, .. } => {
                for on in run.doings_of(job).after.iter().copied().map(name) {
                    ensure!(converged.contains(&*on), "{job} starts before {on} has converged");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A blocked job names those of its direct dependencies that failed; one that was stopped has not.
fn blocked_only_where_a_dependency_failed(run: &Converged<'_>) -> Result<()> {
    let mut failed: HashSet<&str> = HashSet::new();
    for event in &run.events {
        let Event::JobSettled { job, outcome, because_of, .. } = event else { continue };
        let mut names: Vec<&str> = because_of.iter().map(|name| &**name).collect();
        let mut expected: Vec<String> = match outcome {
            Outcome::Blocked | Outcome::Unknown => {
                run.doings_of(job).after.iter().copied().map(name).collect()
            }
            _ => Vec::new(),
        };
        expected.retain(|on| failed.contains(&**on));
        expected.sort_unstable();
        expected.dedup();
        names.sort_unstable();
        ensure!(names == expected, "{job} is {outcome} because of {names:?}, not {expected:?}");
        match outcome {
            Outcome::Blocked | Outcome::Unknown => ensure!(!names.is_empty(), "{job} is {outcome}"),
            Outcome::InPlace | Outcome::Changed | Outcome::Stopped | Outcome::NotStarted => continue,
            Outcome::Failed
            | Outcome::WouldRun
            | Outcome::CouldNotFindOut
            | Outcome::Reverted
            | Outcome::Skipped => {}
        }
        failed.insert(job);
    }
    Ok(())
}

fn no_more_tries_than_allowed(run: &Converged<'_>) -> Result<()> {
    let mut had: HashMap<&str, u32> = HashMap::new();
    for event in &run.events {
        let Event::TryStarted { job, attempt, tries } = event else { continue };
        let allowed = if run.setting.no_act { 1 } else { run.doings_of(job).tries };
        let had = had.entry(job).or_default();
        *had += 1;
        ensure!(*attempt == *had, "try {attempt} of {job} comes as its {had}th");
        ensure!(*attempt <= allowed, "try {attempt} of {job}, which is allowed {allowed}");
        ensure!(*tries == allowed, "{job} is promised {tries} tries");
    }
    for job in run.report.jobs() {
        let had = had.get(job.name()).copied().unwrap_or(0);
        ensure!(job.tries() == had, "{} is said to have had {} tries, not {had}", job.name(), job.tries());
    }
    Ok(())
}

fn no_more_at_work_than_there_are_workers(run: &Converged<'_>) -> Result<()> {
    let mut at_work: HashSet<&str> = HashSet::new();
    for event in &run.events {
        match event {
            Event::TryStarted { job, .. } => {
                ensure!(at_work.insert(job), "{job} is tried twice at once");
                ensure!(at_work.len() <= run.setting.workers, "at work are {at_work:?}");
            }
            Event::RetryScheduled { job, .. } | Event::JobSettled { job, .. } => {
                at_work.remove(&**job);
            }
            _ => {}
        }
    }
    ensure!(at_work.is_empty(), "still at work are {at_work:?}");
    Ok(())
}

fn no_act_never_runs(run: &Converged<'_>) -> Result<()> {
    if !run.setting.no_act {
        return Ok(());
    }
    for event in &run.events {
        match event {
            Event::PhaseStarted { phase, job, .. } | Event::PhaseEnded { phase, job, .. } => {
                ensure!(*phase == Phase::Check, "{phase} of {job}");
            }
            Event::RetryScheduled { job, .. } | Event::CleanupEnded { job, .. } => bail!("{job}: {event:?}"),
            _ => {}
        }
    }
    for (job, phase, _) in &run.calls {
        ensure!(*phase == Phase::Check, "{phase} of {job} was called");
    }
    Ok(())
}

/// Each run that was started is cleaned up after, the last one first, once all jobs have settled.
fn cleanups_mirror_runs(run: &Converged<'_>) -> Result<()> {
    let mut expected = run.runs();
    expected.reverse();
    let mut heard = Vec::new();
    let mut all_settled = false;
    for (at, event) in run.events.iter().enumerate() {
        if let Event::CleanupEnded { job, attempt, passed, .. } = event {
            all_settled = all_settled
                || !run.events[at..].iter().any(|event| matches!(event, Event::JobSettled { .. }));
            ensure!(all_settled, "{job} is cleaned up after before all jobs have settled");
            ensure!(passed, "the cleanup of {job}: {event:?}");
            heard.push((&**job, *attempt));
        }
    }
    let reported = run.report.cleanups().iter().map(|cleanup| (&*cleanup.job, cleanup.attempt));
    ensure!(reported.eq(heard.iter().copied()), "reported are {:?}", run.report.cleanups());
    if !run.is_in_one_thread() {
        // Between the event of a run and the run itself another worker's may come.
        heard.sort_unstable();
        expected.sort_unstable();
    }
    ensure!(heard == expected, "cleaned up after {heard:?}, not after {expected:?}");
    Ok(())
}

/// What was at work may end its phase.
fn after_a_stop_nothing_starts(run: &Converged<'_>) -> Result<()> {
    let Some(stop_at) = run.setting.stop_at else { return Ok(()) };
    let is_try = |event: &&Event| matches!(event, Event::TryStarted { .. });
    let tries = run.events.iter().filter(is_try).count();
    ensure!(tries <= stop_at + 1, "{tries} tries start, though number {stop_at} was the last");
    // A stop that came when all else had settled has stopped nothing.
    let left = |outcome| matches!(outcome, Outcome::Stopped | Outcome::NotStarted);
    let is_cut_short = run.report.jobs().any(|job| left(job.outcome()));
    ensure!(run.report.is_stopped() == is_cut_short, "it says otherwise");
    ensure!(tries == stop_at + 1 || !is_cut_short, "it was cut short without a stop");
    if run.report.is_stopped() {
        let after = run.events.iter().rev().take_while(|event| !is_try(event));
        let phases = after.filter(|event| matches!(event, Event::PhaseStarted { .. })).count();
        ensure!(phases <= 1, "{phases} phases start, not just that of the try which was told");
    }
    Ok(())
}

/// What the events tell and what the bodies were called for is the same.
fn bodies_are_called_as_told(run: &Converged<'_>) -> Result<()> {
    let told = run.events.iter().filter_map(|event| match event {
        Event::PhaseEnded { job, phase, attempt, .. } => Some((&**job, *phase, *attempt)),
        Event::CleanupEnded { job, attempt, .. } => Some((&**job, Phase::Cleanup, *attempt)),
        _ => None,
    });
    let has_body = |job: &str, phase| match run.doings_of(job).kind {
        JobKind::Job => true,
        JobKind::RunOnly => matches!(phase, Phase::Run | Phase::Cleanup),
        JobKind::Dummy => false,
    };
    let mut told: Vec<_> = told.filter(|(job, phase, _)| has_body(job, *phase)).collect();
    let called = run.calls.iter().map(|(job, phase, attempt)| (&**job, *phase, *attempt));
    let mut called: Vec<_> = called.collect();
    if !run.is_in_one_thread() {
        told.sort_unstable();
        called.sort_unstable();
    }
    ensure!(told == called, "told was of {told:?}, called were {called:?}");
    Ok(())
}

/// Every job settles once, as reported, between the first and the last event.
fn it_comes_to_rest(run: &Converged<'_>) -> Result<()> {
    let ends = |event: Option<&Event>| matches!(event, Some(Event::RunEnded { .. }));
    ensure!(matches!(run.events.first(), Some(Event::RunStarted { .. })), "it starts with something else");
    ensure!(ends(run.events.last()), "it ends with something else");
    let mut settled: HashMap<&str, Outcome> = HashMap::new();
    for event in &run.events {
        if let Event::JobSettled { job, outcome, .. } = event {
            ensure!(settled.insert(job, *outcome).is_none(), "{job} settles twice");
        }
    }
    for job in run.report.jobs() {
        let heard = settled.get(job.name()).copied();
        ensure!(heard == Some(job.outcome()), "{} is {}, and heard was {heard:?}", job.name(), job.outcome());
    }
    Ok(())
}

fn the_outcomes_follow_from_the_scripts_alone(run: &Converged<'_>) -> Result<()> {
    if run.report.is_stopped() {
        return Ok(());
    }
    for (job, expected) in expected(run.doings, run.setting.no_act).into_iter().enumerate() {
        let outcome = run.report.job(&name(job)).outcome();
        ensure!(outcome == expected, "{} is {outcome}, not {expected}", name(job));
    }
    Ok(())
}

const MOST_JOBS: usize = 40;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Jobs that nearly all converge, each depending on up to three before it.
fn jobs() -> impl Strategy<Value = Vec<Doings>> {
    let kind = prop_oneof![6 => Just(JobKind::Job), 2 => Just(JobKind::RunOnly), 1 => Just(JobKind::Dummy)];
    let mishap = || option::weighted(0.1, 1..=3_u32);
    let script = (kind, 1..=4_u32, 0..=2_u32, 0..=3_u32);
    let doings = (script, mishap(), mishap(), proptest::bool::weighted(0.15), any::<bool>()).prop_map(
        |((kind, tries, delay, runs_needed), unsure_at, panics_at, shows_late, complains)| {
            // Who fails does so by a mishap: where many fail, the others are blocked and show nothing.
            let runs_needed = runs_needed.min(tries);
            let after = Vec::new();
            Doings { kind, after, tries, delay, runs_needed, unsure_at, panics_at, shows_late, complains }
        },
    );
    vec((vec(any::<Index>(), 0..=3), doings), 1..=MOST_JOBS).prop_map(|jobs| {
        let after = |job: usize, (picks, doings): (Vec<Index>, Doings)| {
            let picks = picks.iter().filter(|_| job > 0);
            Doings { after: picks.map(|pick| pick.index(job)).collect(), ..doings }
        };
        jobs.into_iter().enumerate().map(|(number, job)| after(number, job)).collect()
    })
}

const ONE_WORKER: Setting = Setting { workers: 1, seed: None, no_act: false, stop_at: None };

fn outcomes(run: &Converged<'_>) -> Vec<(String, Outcome, u32)> {
    run.report.jobs().map(|job| (job.name().to_owned(), job.outcome(), job.tries())).collect()
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn simulated_workers_come_to_the_same_end_as_one(
        doings in jobs(),
        workers in 2..=8_usize,
        no_act in any::<bool>(),
        seeds in vec(any::<u64>(), 1..=4),
    ) {
        let one = converge(&doings, Setting { no_act, ..ONE_WORKER });
        hold(&one)?;
        for seed in seeds {
            let many = converge(&doings, Setting { workers, seed: Some(seed), no_act, ..ONE_WORKER });
            hold(&many)?;
            prop_assert_eq!(outcomes(&many), outcomes(&one), "with seed {}", seed);
        }
    }

    #[test]
    fn a_stop_when_some_try_starts(
        doings in jobs(),
        workers in 1..=8_usize,
        no_act in any::<bool>(),
        seed in any::<u64>(),
        stop_at in 0..2 * MOST_JOBS,
    ) {
        let stop_at = Some(stop_at);
        hold(&converge(&doings, Setting { no_act, stop_at, ..ONE_WORKER }))?;
        hold(&converge(&doings, Setting { workers, seed: Some(seed), no_act, stop_at }))?;
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn threads_come_to_the_same_end_as_one(doings in jobs(), workers in 2..=8_usize, no_act in any::<bool>()) {
        let one = converge(&doings, Setting { no_act, ..ONE_WORKER });
        let many = converge(&doings, Setting { workers, no_act, ..ONE_WORKER });
        hold(&many)?;
        prop_assert_eq!(outcomes(&many), outcomes(&one));
    }
}

/// The first time all cleanups fail, and stay owed; the second time all runs are cleaned up after, the last one first.
#[test]
fn cleanups_that_are_owed_come_after_those_of_later_runs() {
    for seed in 0..32 {
        let fails = Arc::new(AtomicBool::new(true));
        let runs = Arc::<Mutex<Vec<String>>>::default();
        let mut graph = JobGraph::builder();
        for job in 0..3 {
            let (runs, fails) = (runs.clone(), fails.clone());
            graph
                .run_only(name(job), move |cx| {
                    runs.lock().unwrap().push(cx.name().to_owned());
                    Ok(())
                })
                .cleanup(move |_| {
                    ensure!(!fails.load(Ordering::Relaxed), "the cleanup fails");
                    Ok(())
                });
        }
        let mut engine = Engine::with_graph(graph.build().unwrap()).workers(3).simulate(seed);
        assert_eq!(engine.converge().failed_cleanups().count(), 3);
        fails.store(false, Ordering::Relaxed);
        let report = engine.converge();
        let cleanups: Vec<String> = report.cleanups().iter().map(|cleanup| cleanup.job.to_string()).collect();
        let mut expected = std::mem::take(&mut *runs.lock().unwrap());
        expected.reverse();
        assert_eq!(cleanups, expected, "with seed {seed}");
    }
}
