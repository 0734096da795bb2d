//! The world: conductors, their agents, the board, people, and what goes wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::agent::{Agent, Doing, JOBS};
use super::random::Random;
use super::seen::Seen;
use crate::board::{
    Append, Board, BoardError, Claim, MemoryBoard, NewPosting, Now, Posting, PostingId, Query, Release,
    Request, history_of,
};
use crate::conductor::{Effect, Input, Machine, Notice, Settings, Trouble};
use crate::flow::State;

/// Until when things go wrong, and how long it may then take until everything has ended.
const FAULTS: Duration = Duration::from_secs(400);
const PATIENCE: Duration = Duration::from_secs(900);
const CONDUCTORS: usize = 3;
const POSTINGS: u64 = 8;

#[derive(Debug)]
pub(super) enum Event {
    /// Something for a conductor that is lost with the incarnation that it is for.
    To(usize, u64, Box<Input>),
    Timer(usize, u64),
    /// A call on its way to the board, sent at that time.
    Call(usize, u64, Duration, Effect),
    /// An agent goes on.
    Agent(usize, u64, PostingId, u64),
    Crash(usize),
    Restart(usize),
    Pause(usize),
    Drain(usize),
    Post(u64),
    Person(u64),
}

pub(super) struct Conductor {
    /// Counts its processes.
    pub(super) incarnation: u64,
    pub(super) machine: Option<Machine>,
    pub(super) paused_until: Duration,
    /// When its machine is called next though nothing has happened.
    pub(super) timer: Option<Duration>,
    pub(super) agents: BTreeMap<PostingId, (u64, Agent)>,
}

/// A run of a job that was begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Effected {
    pub(super) posting: PostingId,
    pub(super) job: usize,
    pub(super) term: u64,
}

pub(super) struct World {
    pub(super) board: MemoryBoard,
    pub(super) seen: Seen,
    pub(super) begun: Vec<Effected>,
    /// Which jobs are as wanted.
    pub(super) done: BTreeSet<(PostingId, usize)>,
    /// Which process has started agents for which claims.
    pub(super) owners: BTreeMap<(PostingId, u64), (usize, u64)>,
    pub(super) taken_away: BTreeSet<(PostingId, u64)>,
    pub(super) random: Random,
    pub(super) now: Duration,
    pub(super) events: BTreeMap<(Duration, u64), Event>,
    pub(super) count: u64,
    pub(super) conductors: Vec<Conductor>,
    /// Every event, where it is wanted.
    pub(super) is_traced: bool,
    pub(super) trace: Vec<String>,
    /// From hardly longer than the way to the board and back, to long.
    lease: Duration,
    /// Whether the store goes by its own clock, or by the time at which it was called.
    pub(super) store_has_a_clock: bool,
}

pub(super) fn posting(number: u64) -> PostingId {
    PostingId::new(format!("p{number}")).expect("an id")
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let store_has_a_clock = random.once_in(2);
        let lease = Duration::from_secs([9, 12, 30][random.below(3) as usize]);
        let mut world = World {
            board: MemoryBoard::new(),
            seen: Seen::default(),
            begun: Vec::new(),
            done: BTreeSet::new(),
            owners: BTreeMap::new(),
            taken_away: BTreeSet::new(),
            random,
            now: Duration::from_secs(10),
            events: BTreeMap::new(),
            count: 0,
            conductors: Vec::new(),
            is_traced: false,
            trace: Vec::new(),
            lease,
            store_has_a_clock,
        };
        for conductor in 0..CONDUCTORS {
            let (agents, paused_until) = (BTreeMap::new(), Duration::ZERO);
            world.conductors.push(Conductor {
                incarnation: 0,
                machine: None,
                paused_until,
                timer: None,
                agents,
            });
            world.schedule(0, 5_000, Event::Restart(conductor));
            let trouble = [Event::Crash(conductor), Event::Pause(conductor), Event::Drain(conductor)];
            trouble.into_iter().for_each(|event| world.schedule(1_000, 120_000, event));
        }
        for number in 0..POSTINGS {
            world.schedule(0, 200_000, Event::Post(number));
        }
        world.schedule(1_000, 60_000, Event::Person(0));
        world
    }

    pub(super) fn trace(self) -> Vec<String> {
        self.trace
    }

    pub(super) fn is_faulty(&self) -> bool {
        self.now < FAULTS
    }

    pub(super) fn at(&mut self, time: Duration, event: Event) {
        self.count += 1;
        self.events.insert((time, self.count), event);
    }

    /// Schedules an event between two times from now, in milliseconds.
    pub(super) fn schedule(&mut self, from: u64, to: u64, event: Event) {
        let time = self.now + self.random.millis(from, to);
        self.at(time, event);
    }

    fn board_now(&self, sent: Duration) -> Now {
        let since_boot = if self.store_has_a_clock { self.now } else { sent };
        Now { wall: Timestamp::UNIX_EPOCH, boot: "a boot".into(), since_boot }
    }

    fn is_over(&self) -> bool {
        let open =
            Query { states: Some(vec![State::Posted, State::Running, State::Suspended]), ..Query::all() };
        let found = self.board.postings(&Query::all()).expect("the list").len() as u64;
        found == POSTINGS && self.board.postings(&open).expect("the list").is_empty() && !self.is_faulty()
    }

    pub(super) fn run(&mut self) {
        let mut checked = Duration::ZERO;
        while let Some(((time, _), event)) = self.events.pop_first() {
            self.now = self.now.max(time);
            if self.is_traced {
                self.trace.push(format!("{:?} {event:?}", self.now));
            }
            self.happen(event);
            if self.now > checked + Duration::from_secs(1) {
                checked = self.now;
                if self.is_over() {
                    return;
                }
            }
            assert!(self.now < FAULTS + PATIENCE, "not everything has ended: {:#?}", self.open());
        }
        panic!("nothing happens any more, and not everything has ended: {:#?}", self.open());
    }

    fn open(&self) -> Vec<Posting> {
        let all = self.board.postings(&Query::all()).expect("the list");
        all.into_iter().filter(|posting| posting.state.is_open()).collect()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::To(conductor, incarnation, input) => self.tell(conductor, incarnation, *input),
            Event::Timer(conductor, incarnation) => {
                let it = &mut self.conductors[conductor];
                // Another was set since, or it belongs to another process.
                if it.incarnation == incarnation && it.timer == Some(self.now) {
                    it.timer = None;
                    self.tell(conductor, incarnation, Input::Time);
                }
            }
            Event::Call(conductor, incarnation, sent, effect) => {
                self.call(conductor, incarnation, sent, effect);
            }
            Event::Agent(conductor, incarnation, posting, id) => {
                self.agent(conductor, incarnation, &posting, id);
            }
            Event::Crash(conductor) => {
                if self.is_faulty() {
                    self.crash(conductor);
                    self.schedule(1_000, 200_000, Event::Crash(conductor));
                }
            }
            Event::Restart(conductor) => self.restart(conductor),
            Event::Pause(conductor) => {
                if self.is_faulty() {
                    self.seen.pauses += 1;
                    let lease = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
                    let length = self.random.millis(100, lease * 2);
                    self.conductors[conductor].paused_until = self.now + length;
                    self.schedule(20_000, 90_000, Event::Pause(conductor));
                }
            }
            Event::Drain(conductor) => {
                if self.is_faulty() {
                    self.seen.drains += 1;
                    let incarnation = self.conductors[conductor].incarnation;
                    self.tell(conductor, incarnation, Input::Drain);
                    self.schedule(60_000, 300_000, Event::Drain(conductor));
                }
            }
            Event::Post(number) => self.post(number),
            Event::Person(number) => self.person(number),
        }
    }

    fn post(&mut self, number: u64) {
        let posting =
            NewPosting { priority: (number % 3) as i32, ..NewPosting::new(posting(number), "a flow", *b"") };
        self.board.post(&self.board_now(self.now), &posting).expect("a post");
        self.wake();
    }

    /// Wake-ups come late, twice, or not at all.
    fn wake(&mut self) {
        for conductor in 0..CONDUCTORS {
            for _ in 0..self.random.below(3) {
                let incarnation = self.conductors[conductor].incarnation;
                self.schedule(0, 3_000, Event::To(conductor, incarnation, Box::new(Input::Woken)));
            }
        }
    }

    /// A person cancels a posting, tries a failed one again, or takes a claim away.
    fn person(&mut self, times: u64) {
        let now = self.board_now(self.now);
        for found in self.board.postings(&Query::all()).expect("the list") {
            if matches!(found.state, State::Failed | State::Parked) {
                self.done.insert((found.id.clone(), JOBS));
                self.board.request(&now, &found.id, Request::Retry).expect("a request");
                self.seen.retried += 1;
            }
        }
        let id = posting(self.random.below(POSTINGS));
        if self.is_faulty() {
            match self.random.below(6) {
                0 if id.as_str() == "p7" => {
                    self.seen.cancelled += u64::from(self.board.request(&now, &id, Request::Cancel).is_ok());
                }
                1 => {
                    let term = self
                        .board
                        .postings(&Query::one(&id))
                        .expect("the list")
                        .first()
                        .map(|found| found.term);
                    let release = Release {
                        posting: id.clone(),
                        term: None,
                        reason: "a person".to_owned(),
                        after_death: false,
                        not_before: None,
                        only_host: None,
                    };
                    if self.board.release(&now, &release).is_ok() {
                        self.seen.releases += 1;
                        self.taken_away.insert((id, term.unwrap_or_default()));
                    }
                }
                2 => _ = self.board.request(&now, &id, Request::Retry),
                _ => {}
            }
        }
        self.wake();
        self.schedule(5_000, 40_000, Event::Person(times + 1));
    }

    fn restart(&mut self, conductor: usize) {
        let incarnation = self.conductors[conductor].incarnation + 1;
        let mut settings = Settings::new(format!("conductor {conductor}.{incarnation}"), "here");
        settings.workers = 1 + self.random.below(3) as usize;
        (settings.lease, settings.margin) = (self.lease, self.lease / 10);
        settings.drain = Duration::from_secs(10);
        // So many faults would park everything.
        settings.losses = 1000;
        let it = &mut self.conductors[conductor];
        (it.incarnation, it.machine, it.paused_until) = (incarnation, Some(Machine::new(settings)), self.now);
        it.timer = None;
        self.tell(conductor, incarnation, Input::Time);
    }

    /// A conductor dies, and its agents with it. What they had begun may have come about.
    fn crash(&mut self, conductor: usize) {
        if self.conductors[conductor].machine.take().is_none() {
            return;
        }
        self.seen.crashes += 1;
        for (posting, (_, agent)) in std::mem::take(&mut self.conductors[conductor].agents) {
            if agent.doing == Doing::Acting && self.random.once_in(2) {
                self.done.insert((posting, agent.job));
            }
        }
        self.schedule(500, 60_000, Event::Restart(conductor));
    }

    /// Tells a conductor's machine something, unless it sleeps or is another process by now.
    fn tell(&mut self, conductor: usize, incarnation: u64, input: Input) {
        let it = &mut self.conductors[conductor];
        if it.incarnation != incarnation {
            return;
        }
        if it.paused_until > self.now {
            let until = it.paused_until;
            self.at(until, Event::To(conductor, incarnation, Box::new(input)));
            return;
        }
        let Some(machine) = &mut it.machine else { return };
        let effects = machine.handle(self.now, input);
        for effect in effects {
            self.carry_out(conductor, incarnation, effect);
        }
        let it = &mut self.conductors[conductor];
        let Some(time) = it.machine.as_ref().and_then(Machine::wakes_at) else { return };
        let time = time.max(self.now + Duration::from_millis(1));
        if it.timer.is_none_or(|timer| time < timer) {
            it.timer = Some(time);
            self.at(time, Event::Timer(conductor, incarnation));
        }
    }

    fn carry_out(&mut self, conductor: usize, incarnation: u64, effect: Effect) {
        match effect {
            Effect::StartAgent { claim, stops_at, only_debts } => {
                self.start_agent(conductor, incarnation, &claim.posting.id, claim.term, stops_at, only_debts);
            }
            Effect::Answer { posting, term, question, stops_at } => {
                if let Some(agent) = self.agent_of(conductor, &posting, term) {
                    agent.stops_at = agent.stops_at.max(stops_at);
                    if agent.doing == Doing::Waiting(question) {
                        self.begin_run(conductor, incarnation, &posting, term);
                    }
                }
            }
            Effect::Extend { posting, term, stops_at } => {
                if let Some(agent) = self.agent_of(conductor, &posting, term) {
                    agent.stops_at = agent.stops_at.max(stops_at);
                }
            }
            Effect::StopAgent { posting, term, how } => {
                self.stop_agent(conductor, incarnation, posting, term, how)
            }
            Effect::Tell(Notice::BoardIsAway) => self.seen.away += 1,
            Effect::Tell(_) => {}
            Effect::Refuse { .. } => panic!("nothing that agents ask for is refused here"),
            Effect::End => {
                assert!(self.conductors[conductor].agents.is_empty(), "it leaves agents behind");
                self.conductors[conductor].machine = None;
                self.schedule(500, 20_000, Event::Restart(conductor));
            }
            call => {
                let (from, to) = if self.is_faulty() { (0, 4_000) } else { (0, 50) };
                self.schedule(from, to, Event::Call(conductor, incarnation, self.now, call));
            }
        }
    }

    /// A call reaches the board, or not, and is answered, or not.
    fn call(&mut self, conductor: usize, incarnation: u64, sent: Duration, effect: Effect) {
        let is_lost = self.is_faulty() && self.random.once_in(15);
        let answer_is_lost = !is_lost && self.is_faulty() && self.random.once_in(15);
        self.seen.lost_calls += u64::from(is_lost);
        self.seen.lost_answers += u64::from(answer_is_lost);
        let now = self.board_now(sent);
        let (board, lease) = (self.board.clone(), self.lease);
        let fenced = &mut self.seen.fenced;
        fn gone<T>(
            is_lost: bool,
            answer_is_lost: bool,
            call: impl FnOnce() -> Result<T, BoardError>,
        ) -> Result<T, Trouble> {
            if is_lost {
                return Err(Trouble::Unanswered);
            }
            let answer = call().map_err(|error| Trouble::from(&error));
            if answer_is_lost { Err(Trouble::Unanswered) } else { answer }
        }
        let input = match effect {
            Effect::Claim(request) => {
                let takes_over = |claim: &Claim| claim.term > 1;
                let result = gone(is_lost, answer_is_lost, || board.claim(&now, &request));
                if let Ok(Some(claim)) = &result {
                    self.seen.takeovers += u64::from(takes_over(claim));
                }
                Input::Claimed { sent, result: result.map(|claim| claim.map(Box::new)) }
            }
            Effect::Inspect { posting, term } => {
                let history = |id: &PostingId| {
                    Ok(history_of(&board, id).expect("a history that is possible").worst_loss())
                };
                let result = gone(is_lost, answer_is_lost, || history(&posting));
                Input::Inspected { posting, term, result }
            }
            Effect::Renew(held) => {
                let result = gone(is_lost, answer_is_lost, || board.renew(&now, &held, lease));
                Input::Renewed { sent, held, result }
            }
            Effect::Append { posting, term, position, items, durability } => {
                let result = gone(is_lost, answer_is_lost, || {
                    let items = &items[..];
                    let append =
                        Append { posting: &posting, term, position, items, replaces: false, durability };
                    let answer = board.append(&now, &append);
                    *fenced += u64::from(matches!(answer, Err(BoardError::Fenced { .. })));
                    answer
                });
                Input::Appended { posting, term, position, result }
            }
            Effect::Release { posting, term, reason, after_death, delay: _ } => {
                let release = Release {
                    posting,
                    term: Some(term),
                    reason,
                    after_death,
                    not_before: None,
                    only_host: None,
                };
                let result = gone(is_lost, answer_is_lost, || board.release(&now, &release));
                Input::Released { posting: release.posting, term, result }
            }
            other => panic!("no call: {other:?}"),
        };
        if matches!(input, Input::Released { .. }) {
            self.wake();
        }
        let (from, to) = if self.is_faulty() { (0, 4_000) } else { (0, 50) };
        self.schedule(from, to, Event::To(conductor, incarnation, Box::new(input)));
    }
}
