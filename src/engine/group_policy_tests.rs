//! Groups without threads: every graph of up to four jobs in up to two groups, one in the other, and random ones, played by the
//! scheduler against named invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use proptest::prelude::*;

use super::*;
use crate::engine::scheduler::{Next, Scheduler, Tries, TryEnd};
use crate::event::Outcome;
use crate::graph::JobGraph;
use crate::job::group::Group;
use crate::job::policy::{Attempts, OnFailure};

/// How a job does in the attempts of its innermost group.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Script {
    Succeeds,
    /// In so many first attempts.
    Fails(u32),
}

const ALWAYS: u32 = u32::MAX;

/// What a group is told, and the group around it.
#[derive(Clone, Copy, Debug)]
struct Told {
    parent: Option<usize>,
    /// 0: it has no policy of its own.
    attempts: u32,
    keeps: bool,
    reverts_all: bool,
}

impl Told {
    fn of(parent: Option<usize>, attempts: u32) -> Told {
        Told { parent, attempts, keeps: false, reverts_all: false }
    }
}

struct Case {
    graph: JobGraph,
    scripts: Vec<Script>,
    workers: usize,
    run_reverts: bool,
}

/// The graph; `None` where jobs would wait for each other through a group.
fn graph(dependencies: &[Vec<usize>], group_of: &[Option<usize>], groups: &[Told]) -> Option<JobGraph> {
    let mut builder = JobGraph::builder();
    for (job, on) in dependencies.iter().enumerate() {
        builder.dummy(format!("job {job}")).after(on.iter().map(|on| format!("job {on}")));
    }
    for (number, told) in groups.iter().enumerate() {
        let jobs = group_of.iter().enumerate().filter(|(_, group)| **group == Some(number));
        let inner = groups.iter().enumerate().filter(|(_, inner)| inner.parent == Some(number));
        let names =
            jobs.map(|(job, _)| format!("job {job}")).chain(inner.map(|(inner, _)| format!("group {inner}")));
        let mut group = Group::new(format!("group {number}")).jobs_named(names);
        if told.attempts > 0 {
            let attempts = Attempts::times(told.attempts);
            group = group.attempts(if told.reverts_all { attempts.revert_all() } else { attempts });
        }
        if told.keeps {
            group = group.on_failure(OnFailure::Keep);
        }
        builder.add(group);
    }
    builder.build().ok()
}

/// What was seen of a play.
struct Play<'c> {
    case: &'c Case,
    scheduler: Scheduler<'c>,
    at_work: Vec<u32>,
    /// Runs that were started and not reverted, in order.
    standing: Vec<u32>,
    /// How many attempts of each group have begun since the group around it began its own.
    attempts: Vec<u32>,
    /// The groups that have to be reverted before anything of them starts, by what failed in them.
    failed: BTreeSet<u32>,
    given_up: BTreeSet<u32>,
    everything: bool,
    outcomes: BTreeMap<u32, Outcome>,
    settled: Vec<u32>,
}

impl<'c> Play<'c> {
    fn new(case: &'c Case) -> Play<'c> {
        let groups = case.graph.groups();
        let policy = |_| Tries { count: 1, delay: Duration::ZERO };
        let scheduler = Scheduler::new(case.graph.dependencies(), case.graph.dependents(), policy, false);
        let begins = groups.iter().map(|(_, node)| node.spec.attempts.is_some()).collect();
        Play {
            case,
            scheduler: scheduler.with_groups(groups, begins, case.run_reverts),
            at_work: Vec::new(),
            standing: Vec::new(),
            attempts: vec![0; groups.len()],
            failed: BTreeSet::new(),
            given_up: BTreeSet::new(),
            everything: false,
            outcomes: BTreeMap::new(),
            settled: Vec::new(),
        }
    }

    fn groups(&self) -> &'c Groups {
        self.case.graph.groups()
    }

    fn play(&mut self, mut pick: impl FnMut(usize) -> usize) -> Result<()> {
        for _ in 0..10_000 {
            let next = match self.at_work.len() < self.case.workers {
                true => self.scheduler.next(Duration::ZERO),
                false => Next::WaitForNews,
            };
            match next {
                Next::Try { job, .. } => self.start(job)?,
                Next::Begin { group, attempt } => self.begin(group, attempt)?,
                Next::Revert { group, attempt, again } => self.revert(group, attempt, again)?,
                Next::WaitForNews => {
                    ensure!(!self.at_work.is_empty(), "it waits for news, and nothing is at work");
                    let job = self.at_work.remove(pick(self.at_work.len()));
                    self.end(job)?;
                }
                Next::WaitUntil(due) => bail!("it waits until {due:?}, and there are no delays"),
                Next::Rest => return self.rest(),
            }
        }
        bail!("it does not come to rest")
    }

    fn start(&mut self, job: u32) -> Result<()> {
        nothing_of_a_failed_group_starts(self, job)?;
        a_job_starts_after_its_dependencies(self, job)?;
        a_job_starts_in_a_begun_attempt(self, job)?;
        self.at_work.push(job);
        self.standing.push(job);
        Ok(())
    }

    fn begin(&mut self, group: u32, attempt: u32) -> Result<()> {
        attempts_count_from_one_and_are_no_more_than_allowed(self, group, attempt)?;
        self.attempts[group as usize] = attempt;
        self.scheduler.begin(group, None);
        Ok(())
    }

    fn end(&mut self, job: u32) -> Result<()> {
        let attempt = self.groups().of(job).map_or(1, |group| self.attempts[group as usize].max(1));
        let name = &self.case.graph.job(job).name;
        let number = name.strip_prefix("job ").and_then(|number| number.parse::<usize>().ok());
        let fails = match number.map(|number| self.case.scripts[number]) {
            Some(Script::Fails(times)) => attempt <= times,
            Some(Script::Succeeds) | None => false,
        };
        if fails {
            match self.expected(job) {
                Decision::Keep => {}
                Decision::Again(group) | Decision::GiveUp(group) => _ = self.failed.insert(group),
                Decision::RevertAll => self.everything = true,
            }
        }
        self.scheduler.ended(job, if fails { TryEnd::Failed } else { TryEnd::Changed });
        ensure!(self.scheduler.reverts_all() == self.everything, "whether all is reverted");
        if self.everything {
            self.scheduler.stop();
        }
        self.note_settled()
    }

    /// The rule in other words: whoever is first in the list, from the job outwards, has a say.
    fn expected(&self, job: u32) -> Decision {
        let around: Vec<u32> = self.groups().around(job).collect();
        let spec = |group: u32| &self.groups().node(group).spec;
        let left = |group: u32| {
            let allowed = spec(group).attempts.as_ref().and_then(Attempts::count).unwrap_or(1);
            allowed > self.attempts[group as usize].max(1)
        };
        let first = around.iter().position(|group| left(*group) || spec(*group).reverts_all());
        match first.map(|at| around[at]) {
            Some(group) if left(group) => Decision::Again(group),
            Some(_) => Decision::RevertAll,
            None if self.case.run_reverts => Decision::RevertAll,
            None => match around.iter().rev().find(|group| spec(**group).reverts()) {
                Some(group) => Decision::GiveUp(*group),
                None => Decision::Keep,
            },
        }
    }

    fn revert(&mut self, group: u32, attempt: u32, again: bool) -> Result<()> {
        nothing_of_a_group_is_at_work_when_it_is_reverted(self, group)?;
        the_outermost_failed_group_is_reverted_first(self, group)?;
        ensure!(attempt == self.attempts[group as usize].max(1), "it is not attempt {attempt}");
        let groups = self.groups();
        self.standing.retain(|job| !groups.has(group, *job));
        self.failed.retain(|failed| !groups.inwards(group).contains(failed));
        let before = self.outcomes.clone();
        if again {
            let reopened = self.scheduler.start_again(group, Duration::ZERO);
            for inner in groups.inwards(group).into_iter().filter(|inner| *inner != group) {
                self.attempts[inner as usize] = 0;
                self.given_up.remove(&inner);
            }
            for job in reopened {
                ensure!(groups.has(group, job), "job {job} outside of group {group} starts again");
                self.outcomes.remove(&job);
            }
        } else {
            self.given_up.extend(groups.inwards(group));
            self.scheduler.give_up(group);
        }
        self.note_settled()?;
        outside_of_a_reverted_group_nothing_changes(self, group, &before)
    }

    fn note_settled(&mut self) -> Result<()> {
        let mut settled = std::mem::take(&mut self.settled);
        self.scheduler.take_settled(&mut settled);
        for &job in &settled {
            let Some(outcome) = self.scheduler.outcome(job) else { continue };
            ensure!(self.outcomes.insert(job, outcome).is_none(), "job {job} settles twice");
        }
        self.settled = settled;
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        if self.everything {
            self.scheduler.abandon();
            self.note_settled()?;
            self.standing.clear();
        }
        every_job_is_settled(self)?;
        a_group_has_converged_when_all_of_its_jobs_have(self)?;
        nothing_of_a_group_that_was_given_up_stands(self)?;
        a_job_is_blocked_for_a_reason(self)
    }
}

fn nothing_of_a_failed_group_starts(play: &Play<'_>, job: u32) -> Result<()> {
    for group in play.groups().around(job) {
        ensure!(!play.failed.contains(&group), "job {job} starts in group {group}, which has failed");
        ensure!(!play.given_up.contains(&group), "job {job} starts in group {group}, which was given up");
    }
    ensure!(!play.everything, "job {job} starts, and everything is to be reverted");
    Ok(())
}

fn a_job_starts_after_its_dependencies(play: &Play<'_>, job: u32) -> Result<()> {
    for on in play.case.graph.dependencies().of(job) {
        let outcome = play.outcomes.get(on);
        ensure!(
            outcome.is_some_and(|outcome| outcome.is_converged()),
            "job {job} starts, and {on} is {outcome:?}"
        );
    }
    Ok(())
}

fn a_job_starts_in_a_begun_attempt(play: &Play<'_>, job: u32) -> Result<()> {
    for group in play.groups().around(job).filter(|group| play.groups().node(*group).spec.attempts.is_some())
    {
        ensure!(play.attempts[group as usize] > 0, "job {job} starts before group {group} has begun");
    }
    Ok(())
}

fn attempts_count_from_one_and_are_no_more_than_allowed(
    play: &Play<'_>,
    group: u32,
    attempt: u32,
) -> Result<()> {
    let before = play.attempts[group as usize];
    ensure!(attempt == before + 1, "attempt {attempt} of group {group} comes after {before}");
    let allowed = play.groups().node(group).spec.attempts.as_ref().and_then(Attempts::count);
    ensure!(allowed.is_none_or(|allowed| attempt <= allowed), "attempt {attempt} of {allowed:?}");
    Ok(())
}

fn nothing_of_a_group_is_at_work_when_it_is_reverted(play: &Play<'_>, group: u32) -> Result<()> {
    let at_work = play.at_work.iter().find(|job| play.groups().has(group, **job));
    ensure!(at_work.is_none(), "job {at_work:?} is at work while group {group} is reverted");
    Ok(())
}

fn the_outermost_failed_group_is_reverted_first(play: &Play<'_>, group: u32) -> Result<()> {
    ensure!(play.failed.contains(&group), "group {group} is reverted, and has not failed");
    let mut around = play.groups().outwards(play.groups().node(group).parent);
    ensure!(!around.any(|around| play.failed.contains(&around)), "a group around {group} has failed as well");
    Ok(())
}

/// Those that come after a group that was given up are blocked, and nothing else.
fn outside_of_a_reverted_group_nothing_changes(
    play: &Play<'_>,
    group: u32,
    before: &BTreeMap<u32, Outcome>,
) -> Result<()> {
    let outside = |job: &u32| !play.groups().has(group, *job);
    for job in (0..play.case.graph.len() as u32).filter(outside) {
        match (before.get(&job), play.outcomes.get(&job)) {
            (before, now) if before == now => {}
            (None, Some(Outcome::Blocked)) if play.given_up.contains(&group) => {}
            (before, now) => bail!("job {job} outside of group {group} was {before:?} and is {now:?}"),
        }
    }
    Ok(())
}

fn every_job_is_settled(play: &Play<'_>) -> Result<()> {
    for job in 0..play.case.graph.len() as u32 {
        ensure!(play.outcomes.contains_key(&job), "job {job} is open");
    }
    Ok(())
}

fn a_group_has_converged_when_all_of_its_jobs_have(play: &Play<'_>) -> Result<()> {
    for (group, node) in play.groups().iter() {
        let end = node.end.unwrap();
        let converged = |job: u32| play.outcomes[&job].is_converged();
        let all = play.groups().jobs(group).into_iter().filter(|job| *job != end).all(converged);
        let is_left =
            (play.everything || play.given_up.contains(&group)) && play.outcomes[&end] == Outcome::NotStarted;
        ensure!(converged(end) == all || is_left, "group {group} is {}", play.outcomes[&end]);
    }
    Ok(())
}

fn nothing_of_a_group_that_was_given_up_stands(play: &Play<'_>) -> Result<()> {
    for job in &play.standing {
        let given_up = play.groups().around(*job).find(|group| play.given_up.contains(group));
        ensure!(given_up.is_none(), "job {job} stands, and group {given_up:?} was given up");
    }
    Ok(())
}

fn a_job_is_blocked_for_a_reason(play: &Play<'_>) -> Result<()> {
    for (job, _) in play.outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Blocked) {
        let mut on = play.case.graph.dependencies().of(*job).iter();
        ensure!(on.any(|on| !play.outcomes[on].is_converged()), "job {job} is blocked by nobody");
    }
    Ok(())
}

fn check(case: &Case, pick: impl FnMut(usize) -> usize) -> Result<(), String> {
    let mut play = Play::new(case);
    play.play(pick).map_err(|error| {
        let edges: Vec<_> = case
            .graph
            .iter()
            .map(|node| (node.id(), node.name().to_owned(), case.graph.dependencies().of(node.id()).to_vec()))
            .collect();
        format!("{error:#}\n{edges:?}\n{:?}\n{:?}\n{:?}", case.graph.groups(), case.scripts, play.outcomes)
    })
}

/// Every way in which one or two of so many jobs can fail.
fn scripts(jobs: usize) -> Vec<Vec<Script>> {
    let mut all = vec![vec![Script::Succeeds; jobs]];
    for first in 0..jobs {
        for times in [1, ALWAYS] {
            let mut one = vec![Script::Succeeds; jobs];
            one[first] = Script::Fails(times);
            for second in 0..first {
                let mut two = one.clone();
                two[second] = Script::Fails(1);
                all.push(two);
            }
            all.push(one);
        }
    }
    all
}

#[test]
fn every_graph_of_up_to_four_jobs_in_up_to_two_groups() {
    let policies = [(2, 2), (2, 1), (1, 2), (0, 2), (2, 0)];
    let mut played = 0_usize;
    for jobs in 1..=4_usize {
        let pairs: Vec<(usize, usize)> =
            (0..jobs).flat_map(|job| (0..job).map(move |on| (job, on))).collect();
        let scripts = scripts(jobs);
        for edges in 0..1_usize << pairs.len() {
            let mut dependencies = vec![Vec::new(); jobs];
            let chosen = pairs.iter().enumerate().filter(|(at, _)| edges >> at & 1 == 1);
            chosen.for_each(|(_, (job, on))| dependencies[*job].push(*on));
            for placing in 0..3_usize.pow(jobs as u32) {
                let mut rest = placing;
                let group_of: Vec<Option<usize>> = (0..jobs)
                    .map(|_| {
                        let place = rest % 3;
                        rest /= 3;
                        place.checked_sub(1)
                    })
                    .collect();
                let has_inner = group_of.contains(&Some(1));
                let policy = policies[(edges + placing) % policies.len()];
                // With four jobs one group is in the other; with fewer they are side by side as often.
                let parent = (jobs == 4 || edges % 2 == 0).then_some(0);
                let groups = [Told::of(None, policy.0), Told::of(parent, policy.1)];
                let groups = if has_inner { &groups[..] } else { &groups[..1] };
                let Some(graph) = graph(&dependencies, &group_of, groups) else { continue };
                let mut case = Case { graph, scripts: Vec::new(), workers: 1, run_reverts: false };
                // Of the many scripts of four jobs each graph plays a few, and all of them are played.
                let step = if jobs == 4 { 7 } else { 1 };
                for scripts in scripts.iter().skip((edges + placing) % step).step_by(step) {
                    case.scripts.clone_from(scripts);
                    for workers in [1, 2] {
                        case.workers = workers;
                        // With two workers the one that started last ends first, so that others are caught at work.
                        check(&case, |of| of - 1).unwrap_or_else(|error| panic!("{error}"));
                        played += 1;
                    }
                }
            }
        }
    }
    assert!(played > 20_000, "{played}");
}

fn any_told(number: usize) -> impl Strategy<Value = Told> {
    let parent = proptest::option::of(0..number.max(1)).prop_map(move |parent| parent.filter(|_| number > 0));
    (parent, 0..4_u32, proptest::bool::weighted(0.1), proptest::bool::weighted(0.1))
        .prop_map(|(parent, attempts, keeps, reverts_all)| Told { parent, attempts, keeps, reverts_all })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn random_graphs(
        dependencies in prop::collection::vec(prop::collection::vec(0..10_usize, 0..3), 1..10),
        group_of in prop::collection::vec(proptest::option::weighted(0.7, 0..5_usize), 10),
        groups in (any_told(0), any_told(1), any_told(2), any_told(3), any_told(4)),
        scripts in prop::collection::vec((0..6_u32, 1..4_u32), 10),
        workers in 1..4_usize,
        run_reverts in proptest::bool::weighted(0.2),
        picks in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut dependencies = dependencies;
        for (job, on) in dependencies.iter_mut().enumerate() {
            on.retain(|on| *on < job);
        }
        let jobs = dependencies.len();
        let groups = [groups.0, groups.1, groups.2, groups.3, groups.4];
        let group_of: Vec<Option<usize>> = group_of.into_iter().take(jobs).collect();
        if let Some(graph) = graph(&dependencies, &group_of, &groups) {
            let script = |(kind, times): &(u32, u32)| match kind {
                0 => Script::Fails(ALWAYS),
                1 => Script::Fails(*times),
                _ => Script::Succeeds,
            };
            let scripts = scripts.iter().take(jobs).map(script).collect();
            let case = Case { graph, scripts, workers, run_reverts };
            let mut at = 0;
            let pick = |of: usize| {
                at += 1;
                usize::from(picks[at % picks.len()]) % of
            };
            if let Err(error) = check(&case, pick) {
                prop_assert!(false, "{}", error);
            }
        }
    }
}

#[test]
fn the_first_group_outwards_with_an_attempt_left_takes_it() {
    let told = [Told::of(None, 3), Told::of(Some(0), 0), Told::of(Some(1), 2)];
    let graph = graph(&[vec![]], &[Some(2)], &told).unwrap();
    let groups = graph.groups();
    let job = graph.number("job 0").unwrap();
    let (inner, outer) = (groups.of(job), groups.find("group 0").unwrap());
    let states = |attempts: [u32; 2]| {
        let mut states: Vec<GroupState> = (0..3).map(|_| GroupState::new(Some(1))).collect();
        let at = |attempt, attempts| GroupState { attempt, ..GroupState::new(Some(attempts)) };
        states[outer as usize] = at(attempts[0], 3);
        states[inner.unwrap() as usize] = at(attempts[1], 2);
        states
    };
    assert_eq!(decide(groups, &states([1, 1]), inner, false), Decision::Again(inner.unwrap()));
    assert_eq!(decide(groups, &states([1, 2]), inner, false), Decision::Again(outer));
    assert_eq!(decide(groups, &states([3, 2]), inner, false), Decision::GiveUp(outer));
    assert_eq!(decide(groups, &states([3, 2]), inner, true), Decision::RevertAll);
    assert_eq!(decide(groups, &states([3, 2]), None, false), Decision::Keep);
}
