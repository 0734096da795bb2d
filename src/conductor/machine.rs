//! The conductor's machine: what is claimed, renewed, started, stopped, appended and handed back, and when.
//!
//! Pure. What belongs to one claim is [`work`](super::work)'s business.

use std::collections::BTreeMap;
use std::time::Duration;

use super::vocabulary::{Effect, Ending, Input, Notice, Settings, Stop, Trouble};
use super::work::{Stage, Work, closing_step};
use crate::board::{Claim, ClaimRequest, Held, PostingId, Renewal, Request};
use crate::flow::{Loss, Step};

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Working,
    /// No more; at this time everything is handed back.
    Draining(Duration),
    Ended,
}

/// A conductor, as a state machine.
///
/// Whoever drives it calls [`handle`](Machine::handle) with whatever happens, carries the effects out in their order, and calls
/// it with [`Input::Time`] at [`wakes_at`](Machine::wakes_at) at the latest.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    mode: Mode,
    work: BTreeMap<PostingId, Work>,
    is_claiming: bool,
    next_claim: Duration,
    is_renewing: bool,
    next_renewal: Duration,
    is_board_away: bool,
    effects: Vec<Effect>,
}

impl Machine {
    /// A conductor that has nothing yet. It begins with its first [`Input::Time`].
    pub fn new(settings: Settings) -> Machine {
        Machine {
            settings,
            mode: Mode::Working,
            work: BTreeMap::new(),
            is_claiming: false,
            next_claim: Duration::ZERO,
            is_renewing: false,
            next_renewal: Duration::ZERO,
            is_board_away: false,
            effects: Vec::new(),
        }
    }

    /// Takes an input in, at this time of the conductor's `CLOCK_BOOTTIME`, and returns what is to be done.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Effect> {
        // Before anything else: whoever has slept through its lease must not go on as if it had not.
        self.give_up_what_has_run_out(now);
        match input {
            Input::Time => {}
            Input::Woken => self.next_claim = now.min(self.next_claim),
            Input::Claimed { sent, result } => self.claimed(now, sent, result),
            Input::Inspected { posting, term, result } => self.inspected(now, &posting, term, result),
            Input::Renewed { sent, held, result } => self.renewed(now, sent, &held, result),
            Input::Appended { posting, term, position, result } => {
                self.appended(now, &posting, term, position, result.map(drop));
            }
            Input::Released { posting, term, result } => self.released(now, &posting, term, result.map(drop)),
            Input::AgentAsks { posting, term, question, items, durability } => {
                if let Some(work) = self.running(&posting, term) {
                    work.append(items, durability, Some(question));
                }
            }
            Input::AgentEnded { posting, term, ending } => self.agent_ended(&posting, term, &ending),
            Input::Drain => {
                if self.mode == Mode::Working {
                    self.mode = Mode::Draining(now + self.settings.drain);
                }
            }
        }
        self.go_on(now);
        std::mem::take(&mut self.effects)
    }

    /// When it wants to be called again though nothing has happened; `None`: not before something does.
    pub fn wakes_at(&self) -> Option<Duration> {
        let mut times: Vec<Duration> = self.work.values().filter_map(Work::wakes_at).collect();
        if self.wants_more() {
            times.push(self.next_claim);
        }
        if !self.is_renewing && self.work.values().any(|work| work.stage != Stage::Lost) {
            times.push(self.next_renewal);
        }
        if let Mode::Draining(until) = self.mode
            && self.work.values().any(|work| work.stage == Stage::Running(None))
        {
            times.push(until);
        }
        times.into_iter().min()
    }

    fn wants_more(&self) -> bool {
        self.mode == Mode::Working && !self.is_claiming && self.work.len() < self.settings.workers
    }

    /// The claim of this term, where it is not lost.
    fn held(&mut self, posting: &PostingId, term: u64) -> Option<&mut Work> {
        self.work.get_mut(posting).filter(|work| work.term() == term && work.stage != Stage::Lost)
    }

    fn running(&mut self, posting: &PostingId, term: u64) -> Option<&mut Work> {
        self.held(posting, term).filter(|work| matches!(work.stage, Stage::Running(_)))
    }

    fn stops_at(&self, sent: Duration) -> Duration {
        (sent + self.settings.lease).saturating_sub(self.settings.margin)
    }

    /// Whether a call was answered, for people.
    fn notice_board(&mut self, is_away: bool) {
        if self.is_board_away != is_away {
            self.is_board_away = is_away;
            let notice = if is_away { Notice::BoardIsAway } else { Notice::BoardIsBack };
            self.effects.push(Effect::Tell(notice));
        }
    }

    fn give_up_what_has_run_out(&mut self, now: Duration) {
        let over = self.work.values().filter(|work| work.stage != Stage::Lost && now >= work.stops_at);
        let over: Vec<PostingId> = over.map(Work::posting).collect();
        over.iter().for_each(|posting| self.lose(posting));
    }

    /// A claim is lost: its agent ends at once, and nothing more is said in its name.
    fn lose(&mut self, posting: &PostingId) {
        let Some(work) = self.work.get_mut(posting) else { return };
        let (posting, term) = (work.posting(), work.term());
        self.effects.push(Effect::Tell(Notice::ClaimLost { posting: posting.clone(), term }));
        if work.has_agent() {
            work.stage = Stage::Lost;
            self.effects.push(Effect::StopAgent { posting, term, how: Stop::AtOnce });
        } else {
            self.work.remove(&posting);
        }
    }

    fn claimed(&mut self, now: Duration, sent: Duration, result: Result<Option<Box<Claim>>, Trouble>) {
        self.is_claiming = false;
        self.notice_board(result.is_err());
        let claim = match result {
            Ok(Some(claim)) => claim,
            Ok(None) => {
                self.next_claim = now + self.settings.poll;
                return;
            }
            Err(_) => {
                self.next_claim = now + self.settings.backoff;
                return;
            }
        };
        self.next_claim = now;
        let stops_at = self.stops_at(sent);
        // The answer may have come so late that the claim is of no use any more.
        if now >= stops_at || self.work.contains_key(&claim.posting.id) {
            return;
        }
        if self.work.is_empty() {
            self.next_renewal = sent + self.settings.lease / 3;
        }
        let mut work = Work::new(claim, stops_at);
        work.answered();
        let requests = work.claim.posting.requests.clone();
        take_requests(&mut work, &requests);
        if self.mode != Mode::Working {
            work.stage = hand_back();
        }
        self.work.insert(work.posting(), work);
    }

    fn inspected(
        &mut self,
        now: Duration,
        posting: &PostingId,
        term: u64,
        result: Result<Option<Loss>, Trouble>,
    ) {
        let (again, limit) = (now + self.settings.backoff, self.settings.losses);
        let is_unanswered = matches!(result, Err(Trouble::Unanswered));
        self.notice_board(is_unanswered);
        let Some(work) = self.held(posting, term).filter(|work| work.stage == Stage::Inspecting) else {
            return;
        };
        work.answered();
        match result {
            Err(Trouble::Unanswered) => work.ask_again(again),
            Err(Trouble::Lost) => self.lose(posting),
            Err(Trouble::Refused) => {
                work.close(Step::Parked { reason: "its log cannot be read".to_owned() });
            }
            Ok(Some(loss)) if loss.times >= limit && !work.is_cancelled => {
                work.close(Step::Parked { reason: loss_reason(&loss) });
            }
            Ok(_) => self.start_agent(posting),
        }
    }

    fn start_agent(&mut self, posting: &PostingId) {
        let Some(work) = self.work.get_mut(posting) else { return };
        work.stage = Stage::Running(None);
        let (claim, stops_at, only_debts) = (work.claim.clone(), work.stops_at, work.is_cancelled);
        self.effects.push(Effect::StartAgent { claim, stops_at, only_debts });
    }

    fn renewed(
        &mut self,
        now: Duration,
        sent: Duration,
        held: &[Held],
        result: Result<Vec<Renewal>, Trouble>,
    ) {
        self.is_renewing = false;
        self.notice_board(result.is_err());
        let Ok(answers) = result else {
            self.next_renewal = now + self.settings.backoff;
            return;
        };
        self.next_renewal = sent + self.settings.lease / 3;
        let stops_at = self.stops_at(sent);
        for (held, answer) in held.iter().zip(answers) {
            let Some(work) = self.held(&held.posting, held.term) else { continue };
            match answer {
                // What closes it may be on the board, and only its answer on the way.
                Renewal::Lost if matches!(work.stage, Stage::Closing | Stage::Releasing { .. }) => {}
                Renewal::Lost => self.lose(&held.posting),
                Renewal::Kept { requests, .. } => {
                    work.stops_at = stops_at.max(work.stops_at);
                    take_requests(work, &requests);
                    let cancels = work.is_cancelled && work.stage == Stage::Running(None);
                    let (posting, term, stops_at) = (work.posting(), work.term(), work.stops_at);
                    if matches!(work.stage, Stage::Running(_)) {
                        let posting = posting.clone();
                        self.effects.push(Effect::Extend { posting, term, stops_at });
                    }
                    if cancels {
                        self.stop_agent(&posting);
                    }
                }
            }
        }
    }

    /// Asks an agent to stop, once.
    fn stop_agent(&mut self, posting: &PostingId) {
        let Some(work) = self.work.get_mut(posting) else { return };
        if work.stage == Stage::Running(None) {
            work.stage = Stage::Running(Some(Stop::Gently));
            let (posting, term, how) = (work.posting(), work.term(), Stop::Gently);
            self.effects.push(Effect::StopAgent { posting, term, how });
        }
    }

    fn appended(
        &mut self,
        now: Duration,
        posting: &PostingId,
        term: u64,
        position: u64,
        result: Result<(), Trouble>,
    ) {
        let again = now + self.settings.backoff;
        self.notice_board(matches!(result, Err(Trouble::Unanswered)));
        let Some(work) = self.held(posting, term) else { return };
        match result {
            Ok(()) => {
                let (stops_at, posting) = (work.stops_at, work.posting());
                let is_running = matches!(work.stage, Stage::Running(_));
                if let Some(Some(question)) = work.appended(position).filter(|_| is_running) {
                    self.effects.push(Effect::Answer { posting, term, question, stops_at });
                }
            }
            Err(Trouble::Unanswered) => work.ask_again(again),
            Err(Trouble::Refused) => match work.refused() {
                Some(question) => {
                    let posting = work.posting();
                    self.effects.push(Effect::Refuse { posting, term, question });
                }
                // What the conductor itself has to say is refused: this claim cannot go on.
                None => self.lose(posting),
            },
            Err(Trouble::Lost) => self.lose(posting),
        }
    }

    fn released(&mut self, now: Duration, posting: &PostingId, term: u64, result: Result<(), Trouble>) {
        let again = now + self.settings.backoff;
        self.notice_board(matches!(result, Err(Trouble::Unanswered)));
        let Some(work) = self.held(posting, term) else { return };
        match result {
            Err(Trouble::Unanswered) => work.ask_again(again),
            _ => _ = self.work.remove(posting),
        }
    }

    fn agent_ended(&mut self, posting: &PostingId, term: u64, ending: &Ending) {
        let Some(work) = self.work.get_mut(posting).filter(|work| work.term() == term) else { return };
        if work.stage == Stage::Lost {
            self.work.remove(posting);
            return;
        }
        if !matches!(work.stage, Stage::Running(_)) {
            return;
        }
        match (closing_step(ending), ending) {
            (Some(step), _) => work.close(step),
            // What was under way counts as a failed try: the next claim goes on from there, or parks it.
            (None, Ending::Died { reason }) => {
                work.forget_questions();
                work.stage = Stage::Releasing { reason: reason.clone(), after_death: true };
            }
            (None, _) if work.is_cancelled => {
                work.close(Step::Cancelled { reason: "it was requested".to_owned() });
            }
            (None, _) => work.stage = hand_back(),
        }
    }

    /// Does what is due.
    fn go_on(&mut self, now: Duration) {
        let backoff = self.settings.backoff;
        let effects = self.work.values_mut().filter_map(|work| work.next_call(now, backoff));
        self.effects.extend(effects);
        self.work.retain(|_, work| !(work.stage == Stage::Closing && work.is_quiet()));
        if let Mode::Draining(until) = self.mode {
            if now >= until {
                let all: Vec<PostingId> = self.work.keys().cloned().collect();
                all.iter().for_each(|posting| self.stop_agent(posting));
            }
            if self.work.is_empty() && !self.is_claiming {
                self.mode = Mode::Ended;
                self.effects.push(Effect::End);
            }
        }
        self.renew(now);
        self.claim(now);
    }

    fn renew(&mut self, now: Duration) {
        if self.is_renewing || now < self.next_renewal {
            return;
        }
        let held = self.work.values().filter(|work| work.stage != Stage::Lost);
        let held: Vec<Held> = held.map(|work| Held { posting: work.posting(), term: work.term() }).collect();
        if !held.is_empty() {
            self.is_renewing = true;
            self.effects.push(Effect::Renew(held));
        }
    }

    fn claim(&mut self, now: Duration) {
        if !self.wants_more() || now < self.next_claim {
            return;
        }
        self.is_claiming = true;
        self.effects.push(Effect::Claim(ClaimRequest {
            conductor: self.settings.conductor.clone(),
            host: self.settings.host.clone(),
            lease: self.settings.lease,
            only: None,
            // One that was lost is not taken again before its agent has ended.
            skip: self.work.keys().cloned().collect(),
        }));
    }
}

fn hand_back() -> Stage {
    Stage::Releasing { reason: "the conductor ends".to_owned(), after_death: false }
}

/// Takes in what people have asked for.
fn take_requests(work: &mut Work, requests: &[(u64, Request)]) {
    work.is_cancelled = work.is_cancelled || requests.iter().any(|(_, request)| *request == Request::Cancel);
    // What is at work tries by itself what has failed. What cancels is answered by the end.
    if let Some((last, _)) = requests.last().filter(|_| !work.is_cancelled) {
        work.note_answered(*last);
    }
}

fn loss_reason(loss: &Loss) -> String {
    let times = loss.times;
    match &loss.at {
        Some((job, phase)) => format!("{times} conductors were lost in the {phase} of {job}"),
        None => format!("{times} conductors were lost before a job was begun"),
    }
}
