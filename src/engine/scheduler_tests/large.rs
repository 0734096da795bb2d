//! Random graphs, and enormous ones.

use std::ops::RangeInclusive;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;

use super::case::{Case, Script};
use super::choices::{Choices, First, Given};
use super::drive::drive;
use super::invariants::hold;
use crate::engine::scheduler::{Next, Scheduler};
use crate::event::Outcome;

const MOST_JOBS: usize = 200;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 256,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Nearly all jobs converge, most of them late: where many fail, the others are blocked and show nothing.
fn script(most_delay: u32) -> impl Strategy<Value = Script> {
    let at = |share| option::weighted(share, any::<Index>());
    (1..=5_u32, at(0.97), at(0.02), 0..=most_delay).prop_map(|(tries, converges, gives_up, delay)| {
        let one_of = |at: Index| at.index(tries as usize) as u32 + 1;
        Script { tries, converges_at: converges.map(one_of), gives_up_at: gives_up.map(one_of), delay }
    })
}

/// A graph in which each job depends on up to three before it.
fn case(workers: RangeInclusive<usize>, most_delay: u32) -> impl Strategy<Value = Case> {
    let job = (vec(any::<Index>(), 0..=3), script(most_delay));
    (vec(job, 1..=MOST_JOBS), workers).prop_map(|(jobs, workers)| {
        let dependencies = jobs.iter().enumerate().map(|(job, (picks, _))| {
            let mut on: Vec<u32> =
                picks.iter().filter(|_| job > 0).map(|pick| pick.index(job) as u32).collect();
            on.sort_unstable();
            on.dedup();
            on
        });
        Case { workers, ..Case::new(dependencies, jobs.iter().map(|(_, script)| *script).collect()) }
    })
}

fn choices() -> impl Strategy<Value = Given> {
    vec(any::<u8>(), 0..=32).prop_map(Given::new)
}

fn play(case: &Case, mut choices: impl Choices) -> Result<(), TestCaseError> {
    let mut steps = Vec::new();
    drive(case, &mut choices, &mut steps)
        .and_then(|()| hold(case, &steps))
        .map_err(|error| TestCaseError::fail(format!("{error:#}")))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_worker(case in case(1..=1, 0)) {
        play(&case, First)?;
    }

    #[test]
    fn one_worker_with_delays(case in case(1..=1, 3), choices in choices()) {
        play(&case, choices)?;
    }

    #[test]
    fn many_workers(case in case(2..=16, 0), choices in choices()) {
        play(&case, choices)?;
    }

    #[test]
    fn many_workers_with_delays(case in case(2..=16, 3), choices in choices()) {
        play(&case, choices)?;
    }

    #[test]
    fn dry_runs(case in case(1..=16, 3), choices in choices()) {
        play(&Case { no_act: true, ..case.clone() }, choices.clone())?;
        play(&Case { no_act: true, look_ahead: true, ..case }, choices)?;
    }

    #[test]
    fn stopped_in_the_middle(
        case in case(1..=16, 3),
        no_act in any::<bool>(),
        look_ahead in any::<bool>(),
        stop_after in 0..MOST_JOBS,
        choices in choices(),
    ) {
        play(&Case { no_act, look_ahead, stop_after: Some(stop_after), ..case }, choices)?;
    }
}

/// Plays a case without looking closely, which a million jobs would not allow; says how each job ended and how many
/// tries there were.
fn outcomes(case: &Case) -> (Vec<Outcome>, usize) {
    let policy = |job| case.policy(job);
    let mut scheduler = Scheduler::new(&case.dependencies, &case.dependents, policy, case.no_act);
    let mut tries = 0;
    loop {
        match scheduler.next(Duration::ZERO) {
            Next::Try { job, attempt, .. } => {
                tries += 1;
                scheduler.ended(job, case.end(job, attempt));
            }
            told => {
                assert_eq!(told, Next::Rest);
                break;
            }
        }
    }
    let mut settled = Vec::new();
    scheduler.take_settled(&mut settled);
    assert_eq!(settled.len(), case.len(), "each settles once");
    (case.jobs().map(|job| scheduler.outcome(job).unwrap()).collect(), tries)
}

const MILLION: u32 = 1_000_000;

fn chain(first: Script, others: Script) -> Case {
    let mut scripts = vec![others; MILLION as usize];
    scripts[0] = first;
    Case::new((0..MILLION).map(|job| job.checked_sub(1)), scripts)
}

#[test]
fn a_chain_of_a_million_jobs_whose_first_never_converges() {
    let (outcomes, tries) = outcomes(&chain(Script::of(3, None), Script::of(1, Some(1))));
    assert_eq!(tries, 3);
    assert_eq!(outcomes[0], Outcome::Failed);
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Outcome::Blocked));
}

#[test]
fn a_chain_of_a_million_jobs_that_converge_at_their_second_try() {
    let script = Script::of(2, Some(2));
    let case = chain(script, script);
    let (outcomes, tries) = outcomes(&case);
    assert_eq!(tries, 2 * case.len());
    assert!(outcomes.into_iter().all(Outcome::is_converged));
}

/// A million that depend on one, and one that depends on them all.
#[test]
fn a_fan_of_a_million_jobs() {
    let last = MILLION + 1;
    let dependencies = (0..=last).map(|job| match job {
        0 => 0..0,
        job if job == last => 1..last,
        _ => 0..1,
    });
    let case = Case::new(dependencies, vec![Script::of(1, Some(1)); last as usize + 1]);
    let (outcomes, tries) = outcomes(&case);
    assert_eq!(tries, case.len());
    assert!(outcomes.into_iter().all(Outcome::is_converged));
}
