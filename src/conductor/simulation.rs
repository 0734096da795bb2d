//! A world of several conductors over one board in memory, on one virtual clock, with whatever can go wrong: calls and answers that
//! are lost or late, wake-ups that do not come or come twice, crashes, pauses longer than a lease, people who interfere.
//!
//! Everything follows from a seed. `CONDUCTOR_SEED=7` runs that one alone, `CONDUCTOR_RUNS=100000` so many; a failure names its seed.
//! The agents are a model of the engine: they check first, announce a run and wait for the answer, and test their deadline before it.

mod agent;
mod agents;
mod invariants;
mod random;
mod seen;
mod world;

use self::seen::Seen;
use self::world::World;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_goes_wrong_every_posting_comes_to_its_end_once() {
    let runs = variable("CONDUCTOR_RUNS").unwrap_or(400);
    let seeds = variable("CONDUCTOR_SEED").map_or(1..runs + 1, |seed| seed..seed + 1);
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run();
            invariants::hold(&world);
            world.seen
        });
        match outcome {
            Ok(of_this_run) => seen.add(&of_this_run),
            Err(_) => panic!("the simulation fails with CONDUCTOR_SEED={seed}"),
        }
    }
    // A simulation in which nothing goes wrong proves nothing.
    if runs >= 400 && seeds.end - seeds.start > 1 {
        seen.everything();
    }
}

#[test]
fn a_seed_always_leads_to_the_same() {
    let trace = |seed| {
        let mut world = World::new(seed);
        world.is_traced = true;
        world.run();
        world.trace()
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
