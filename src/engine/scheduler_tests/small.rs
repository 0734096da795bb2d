//! Every graph of up to four jobs.

use std::collections::HashSet;

use super::case::{Case, Script};
use super::choices::{Choices, Every, First};
use super::drive::{Step, drive};
use super::invariants::hold;

/// Every script of up to three tries: so many allowed, and the try that converges, where one does. Two like endings of
/// a try (in place and changed) come in turn.
const SCRIPTS: [Script; 9] = [
    Script::of(1, None),
    Script::of(1, Some(1)),
    Script::of(2, None),
    Script::of(2, Some(1)),
    Script::of(2, Some(2)),
    Script::of(3, None),
    Script::of(3, Some(1)),
    Script::of(3, Some(2)),
    Script::of(3, Some(3)),
];

/// Calls `visit` for every graph of so many jobs, in which dependencies have lower numbers, with every choice of a
/// script for each.
fn for_every_case(jobs: u32, scripts: &[Script], mut visit: impl FnMut(&mut Case)) {
    let pairs: Vec<(u32, u32)> = (0..jobs).flat_map(|job| (0..job).map(move |on| (job, on))).collect();
    for edges in 0..1_u32 << pairs.len() {
        let dependencies = (0..jobs).map(|job| {
            let chosen =
                pairs.iter().enumerate().filter(move |(at, pair)| edges >> at & 1 == 1 && pair.0 == job);
            chosen.map(|(_, pair)| pair.1)
        });
        let mut case = Case::new(dependencies, vec![scripts[0]; jobs as usize]);
        for number in 0..scripts.len().pow(jobs) {
            let mut rest = number;
            for script in &mut case.scripts {
                *script = scripts[rest % scripts.len()];
                rest /= scripts.len();
            }
            visit(&mut case);
        }
    }
}

/// Plays cases and counts the ways.
#[derive(Default)]
struct Player {
    steps: Vec<Step>,
    ways: usize,
}

impl Player {
    fn play(&mut self, case: &Case, choices: &mut impl Choices) {
        self.ways += 1;
        let played = drive(case, choices, &mut self.steps).and_then(|()| hold(case, &self.steps));
        if let Err(error) = played {
            panic!("{error:#}\n{case:?}{:#?}", self.steps);
        }
    }

    /// Plays a case with every sequence of choices.
    fn play_every_way(&mut self, case: &Case) {
        let mut choices = Every::default();
        loop {
            self.play(case, &mut choices);
            if !choices.advance() {
                return;
            }
        }
    }
}

/// One worker; 1, 2, 8 and 64 graphs of one to four jobs, 9 scripts for each job.
#[test]
fn every_graph_of_up_to_four_jobs_with_every_script_of_up_to_three_tries() {
    let mut player = Player::default();
    for jobs in 1..=4 {
        for_every_case(jobs, &SCRIPTS, |case| player.play(case, &mut First));
    }
    assert_eq!(player.ways, 9 + 2 * 9_usize.pow(2) + 8 * 9_usize.pow(3) + 64 * 9_usize.pow(4));
}

/// The same graphs, 3 scripts for each job: only the first try counts; that more are allowed changes nothing.
#[test]
fn every_dry_run_of_up_to_four_jobs() {
    let scripts = [Script::of(3, None), Script::of(3, Some(1)), Script::of(3, Some(2))];
    let mut player = Player::default();
    for jobs in 1..=4 {
        for_every_case(jobs, &scripts, |case| {
            case.no_act = true;
            for look_ahead in [false, true] {
                case.look_ahead = look_ahead;
                player.play(case, &mut First);
            }
        });
    }
    assert_eq!(player.ways, 2 * (3 + 2 * 3_usize.pow(2) + 8 * 3_usize.pow(3) + 64 * 3_usize.pow(4)));
}

/// Up to two tries, of which the last one decides.
const SHORT_SCRIPTS: [Script; 4] =
    [Script::of(1, None), Script::of(1, Some(1)), Script::of(2, None), Script::of(2, Some(2))];

/// Graphs of two to four jobs, 4 scripts for each job; each case once for every order in which the tries that are at
/// work together can end.
#[test]
fn many_workers_whose_tries_end_in_every_order() {
    let mut player = Player::default();
    for (jobs, workers) in [(2, 2), (3, 2), (3, 3), (4, 2)] {
        for_every_case(jobs, &SHORT_SCRIPTS, |case| {
            case.workers = workers;
            player.play_every_way(case);
        });
    }
    assert_eq!(player.ways, 130_836);
}

/// Graphs of up to three jobs, 4 scripts for each job, two of them with a delay; each case once for every order of what
/// can happen next: a try ends at once, it ends when its job's delay is over, or somebody else's delay is over first.
#[test]
fn delays_that_end_in_every_order() {
    let late = [Script::of(2, None), Script::of(2, Some(2))].map(|script| Script { delay: 1, ..script });
    let scripts = [Script::of(1, Some(1)), Script::of(2, Some(2)), late[0], late[1]];
    let mut player = Player::default();
    for (jobs, workers) in [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)] {
        for_every_case(jobs, &scripts, |case| {
            case.workers = workers;
            player.play_every_way(case);
        });
    }
    assert_eq!(player.ways, 198_363);
}

/// Graphs of three jobs, 4 scripts for each job, for every number of tries they can have; a try that is at work at the
/// stop ends as its script says, or is broken off.
#[test]
fn a_stop_after_every_number_of_tries() {
    let mut player = Player::default();
    for (jobs, workers, no_act) in [(3, 1, false), (3, 2, false), (3, 3, false), (3, 2, true)] {
        for stop_after in 0..=6 {
            for_every_case(jobs, &SHORT_SCRIPTS, |case| {
                (case.workers, case.no_act, case.stop_after) = (workers, no_act, Some(stop_after));
                player.play_every_way(case);
            });
        }
    }
    assert_eq!(player.ways, 71_888);
}

/// So that the numbers above count what they say.
#[test]
fn no_case_comes_twice() {
    let mut seen = HashSet::new();
    for_every_case(3, &SCRIPTS, |case| assert!(seen.insert(format!("{case:?}"))));
    for_every_case(4, &SHORT_SCRIPTS, |case| assert!(seen.insert(format!("{case:?}"))));
    assert_eq!(seen.len(), 8 * 9_usize.pow(3) + 64 * 4_usize.pow(4));
}

/// What gives up early, beside what does not: one worker and two, every graph of up to three jobs, 5 scripts.
#[test]
fn every_graph_of_up_to_three_jobs_of_which_some_give_up() {
    let scripts = [
        Script::giving_up(3, 1),
        Script::giving_up(3, 2),
        Script::of(3, None),
        Script::of(3, Some(2)),
        Script::of(1, Some(1)),
    ];
    let mut player = Player::default();
    for jobs in 1..=3 {
        for_every_case(jobs, &scripts, |case| {
            player.play(case, &mut First);
            case.workers = 2;
            player.play_every_way(case);
            case.workers = 1;
        });
    }
    assert!(player.ways > 5_000, "{}", player.ways);
}
