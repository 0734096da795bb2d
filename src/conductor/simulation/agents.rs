//! What agents do in the world, and what is done to them.

use std::time::Duration;

use super::agent::{Agent, Doing, JOBS, intent, told};
use super::world::{Effected, Event, World};
use crate::board::{Board, Durability, Item, PostingId, Query};
use crate::conductor::{Ending, Input, Stop};
use crate::flow::JobStep;

/// Whether a posting's second job fails until a person has looked after it.
fn needs_a_person(posting: &PostingId) -> bool {
    posting.as_str().ends_with('5')
}

impl World {
    pub(super) fn agent_of(
        &mut self,
        conductor: usize,
        posting: &PostingId,
        term: u64,
    ) -> Option<&mut Agent> {
        let (of, agent) = self.conductors[conductor].agents.get_mut(posting)?;
        (*of == term).then_some(agent)
    }

    pub(super) fn start_agent(
        &mut self,
        conductor: usize,
        incarnation: u64,
        posting: &PostingId,
        term: u64,
        stops_at: Duration,
        only_debts: bool,
    ) {
        let before = self.owners.insert((posting.clone(), term), (conductor, incarnation));
        assert!(before.is_none_or(|before| before == (conductor, incarnation)), "two owners of one term");
        self.count += 1;
        let agent = Agent {
            id: self.count,
            job: 0,
            attempt: 1,
            doing: Doing::Checking,
            stops_at,
            stops: only_debts,
            questions: 0,
        };
        let id = agent.id;
        let other = self.conductors[conductor].agents.insert(posting.clone(), (term, agent));
        assert!(other.is_none(), "two agents of one conductor for one posting");
        self.schedule(0, 2_000, Event::Agent(conductor, incarnation, posting.clone(), id));
    }

    pub(super) fn stop_agent(
        &mut self,
        conductor: usize,
        incarnation: u64,
        posting: PostingId,
        term: u64,
        how: Stop,
    ) {
        let Some(agent) = self.agent_of(conductor, &posting, term) else { return };
        agent.stops = true;
        if how == Stop::AtOnce {
            // Of what it was doing a part may have come about.
            if agent.doing == Doing::Acting {
                let job = agent.job;
                if self.random.once_in(2) {
                    self.done.insert((posting.clone(), job));
                }
            }
            self.end_agent(conductor, incarnation, &posting, Ending::Died { reason: "killed".to_owned() });
        }
    }

    fn end_agent(&mut self, conductor: usize, incarnation: u64, posting: &PostingId, ending: Ending) {
        let Some((term, _)) = self.conductors[conductor].agents.remove(posting) else { return };
        self.seen.deaths += u64::from(matches!(ending, Ending::Died { .. }));
        let input = Input::AgentEnded { posting: posting.clone(), term, ending };
        // After what it has asked for.
        self.schedule(2, 500, Event::To(conductor, incarnation, Box::new(input)));
    }

    /// An agent asks its conductor to append something; the number of the question.
    fn ask(
        &mut self,
        conductor: usize,
        incarnation: u64,
        posting: &PostingId,
        items: Vec<Item>,
        durability: Durability,
    ) -> u64 {
        let Some((term, agent)) = self.conductors[conductor].agents.get_mut(posting) else { return 0 };
        agent.questions += 1;
        let (term, question) = (*term, agent.questions);
        let input = Input::AgentAsks { posting: posting.clone(), term, question, items, durability };
        // What one agent says stays in its order.
        let time = self.now + Duration::from_millis(1);
        self.at(time, Event::To(conductor, incarnation, Box::new(input)));
        question
    }

    /// The announcement of a run is on the board: the last look at the clock, and the run begins.
    pub(super) fn begin_run(&mut self, conductor: usize, incarnation: u64, posting: &PostingId, term: u64) {
        let now = self.now;
        let Some(agent) = self.agent_of(conductor, posting, term) else { return };
        if now >= agent.stops_at || agent.stops {
            agent.doing = Doing::Checking;
            let id = agent.id;
            self.schedule(0, 10, Event::Agent(conductor, incarnation, posting.clone(), id));
            return;
        }
        agent.doing = Doing::Acting;
        let (id, job) = (agent.id, agent.job);
        let current = self.board.postings(&Query::one(posting)).expect("the list")[0].term;
        let was_taken_away = self.taken_away.contains(&(posting.clone(), term));
        assert!(
            current == term || was_taken_away,
            "{posting}: a run begins in term {term}, and {current} is there"
        );
        self.begun.push(Effected { posting: posting.clone(), job, term });
        self.schedule(10, 20_000, Event::Agent(conductor, incarnation, posting.clone(), id));
    }

    pub(super) fn agent(&mut self, conductor: usize, incarnation: u64, posting: &PostingId, id: u64) {
        let it = &self.conductors[conductor];
        if it.incarnation != incarnation || it.machine.is_none() {
            return;
        }
        if it.paused_until > self.now {
            let until = it.paused_until;
            self.at(until, Event::Agent(conductor, incarnation, posting.clone(), id));
            return;
        }
        let Some((term, agent)) = it.agents.get(posting).filter(|(_, agent)| agent.id == id) else { return };
        let (term, job, attempt) = (*term, agent.job, agent.attempt);
        let is_late = self.now >= agent.stops_at;
        match agent.doing {
            Doing::Waiting(_) => {}
            Doing::Acting => {
                // It comes about, however long the process was stopped in the middle.
                let current = self.board.postings(&Query::one(posting)).expect("the list")[0].term;
                self.seen.late_effects += u64::from(current != term);
                let waits_for_a_person = needs_a_person(posting) && job == 1;
                let has_looked = self.done.contains(&(posting.clone(), JOBS));
                if !self.random.once_in(6) && (!waits_for_a_person || has_looked) {
                    self.done.insert((posting.clone(), job));
                }
                self.set(conductor, posting, |agent| agent.doing = Doing::Checking);
                self.schedule(0, 100, Event::Agent(conductor, incarnation, posting.clone(), id));
            }
            Doing::Checking if is_late => {
                let reason = "its time is over".to_owned();
                self.end_agent(conductor, incarnation, posting, Ending::Died { reason });
            }
            Doing::Checking if agent.stops => {
                self.end_agent(conductor, incarnation, posting, Ending::Stopped)
            }
            Doing::Checking if job == JOBS => {
                self.end_agent(conductor, incarnation, posting, Ending::Converged);
            }
            Doing::Checking if self.is_faulty() && self.random.once_in(25) => {
                let reason = "it aborts".to_owned();
                self.end_agent(conductor, incarnation, posting, Ending::Died { reason });
            }
            Doing::Checking => self.check(conductor, incarnation, posting, id, job, attempt),
        }
    }

    fn set(&mut self, conductor: usize, posting: &PostingId, change: impl FnOnce(&mut Agent)) {
        if let Some((_, agent)) = self.conductors[conductor].agents.get_mut(posting) {
            change(agent);
        }
    }

    fn check(
        &mut self,
        conductor: usize,
        incarnation: u64,
        posting: &PostingId,
        id: u64,
        job: usize,
        attempt: u32,
    ) {
        let began = told(job, JobStep::TryBegan { attempt, tries: 99 });
        let again = Event::Agent(conductor, incarnation, posting.clone(), id);
        if self.done.contains(&(posting.clone(), job)) {
            let converged = told(job, JobStep::Converged { changed: attempt > 1 });
            let items = if attempt > 1 { vec![converged] } else { vec![began, converged] };
            self.ask(conductor, incarnation, posting, items, Durability::Relaxed);
            self.set(conductor, posting, |agent| (agent.job, agent.attempt) = (job + 1, 1));
            self.schedule(0, 100, again);
            return;
        }
        let has_looked = self.done.contains(&(posting.clone(), JOBS));
        if needs_a_person(posting) && job == 1 && attempt > 2 && !has_looked {
            let reason = "it needs a person".to_owned();
            let failed = told(job, JobStep::Failed { reason: reason.clone() });
            self.ask(conductor, incarnation, posting, vec![failed], Durability::Relaxed);
            self.end_agent(conductor, incarnation, posting, Ending::Failed { reason });
            return;
        }
        let mut items = if attempt > 1 { vec![told(job, JobStep::TryFailed)] } else { Vec::new() };
        items.extend([began, intent(job, attempt)]);
        let question = self.ask(conductor, incarnation, posting, items, Durability::Full);
        self.set(conductor, posting, |agent| {
            agent.doing = Doing::Waiting(question);
            agent.attempt = attempt + 1;
        });
    }
}
