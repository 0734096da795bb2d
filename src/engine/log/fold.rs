//! What a log says: the fold of its records.
//!
//! Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::record::{Location, Record};
use crate::engine::obligation::{Obligation, Transition};
use crate::event::Failure;

/// A convergence, as far as it was written down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Start {
    pub(crate) run: String,
    pub(crate) at: Timestamp,
    pub(crate) pid: u32,
    pub(crate) boot: Option<String>,
    pub(crate) revert: bool,
    pub(crate) directory: Option<Location>,
    pub(crate) args: Map<String, Value>,
    pub(crate) positional: Vec<Value>,
}

/// A command that may still be at work. One of the two is always known.
#[derive(Clone, Debug, PartialEq)]
pub struct AtWork {
    /// What its processes carry.
    pub(crate) token: Option<String>,
    /// Its process group, and the start time of the leader of that.
    pub(crate) group: Option<(i32, Option<u64>)>,
}

/// A run of a job that was begun.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Which of the [starts](Ledger::start_of) it belongs to.
    start: usize,
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) tries: u32,
    pub(crate) local: Map<String, Value>,
    /// The commands that were not seen to end.
    pub(crate) commands: Vec<AtWork>,
    pub(crate) result: Option<Value>,
    /// The groups for which it may have to be reverted, the outermost first.
    pub(crate) groups: Vec<String>,
    pub(crate) obligation: Obligation,
}

/// How far a group has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupState {
    /// The attempt that is under way, or was the last one.
    pub(crate) attempt: u32,
    /// The groups around it, the outermost first.
    pub(crate) within: Vec<String>,
    /// What it is attempted with, where that was found out when it started.
    pub(crate) values: Option<Vec<Value>>,
    pub(crate) stage: Stage,
}

/// What is happening to a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// The attempt is under way, or is about to begin.
    UnderWay,
    /// The attempt has failed and is being reverted.
    Undoing { failures: BTreeMap<String, Failure>, again: bool },
    /// No attempt is left, and it was reverted.
    GivenUp { failures: BTreeMap<String, Failure> },
}

/// What is being reverted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Undoing {
    Nothing,
    Everything,
    Group(String),
}

impl Undoing {
    /// Whether a run has to be reverted.
    pub(crate) fn concerns(&self, entry: &Entry) -> bool {
        match self {
            Undoing::Nothing => false,
            Undoing::Everything => entry.obligation.is_revertible(),
            Undoing::Group(group) => Ledger::is_in_group(entry, group),
        }
    }
}

/// What is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    starts: Vec<Start>,
    entries: BTreeMap<u64, Entry>,
    /// The failures for which everything is being reverted.
    undo: Option<BTreeMap<String, Failure>>,
    /// The groups of which anything is known beyond that they are in their first attempt.
    groups: BTreeMap<String, GroupState>,
    /// The values that jobs provide.
    provided: BTreeMap<String, Map<String, Value>>,
    /// Which run of a job was the last that may have changed something.
    marks: BTreeMap<String, u64>,
    seen: BTreeMap<String, u64>,
    /// The number of the run that is begun next.
    next: u64,
}

impl Ledger {
    /// The ledger of these records.
    pub(crate) fn of(records: &[Record]) -> Ledger {
        let mut ledger = Ledger::default();
        records.iter().for_each(|record| ledger.apply(record));
        ledger
    }

    /// Takes a record in. One about a run that is not open any more says nothing new.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Journal { .. } => {}
            Record::Start { run, at, pid, boot, revert, directory, args, positional } => {
                self.starts.push(Start {
                    run: run.clone(),
                    at: *at,
                    pid: *pid,
                    boot: boot.clone(),
                    revert: *revert,
                    directory: directory.clone(),
                    args: args.clone(),
                    positional: positional.clone(),
                })
            }
            Record::Intent { n, job, attempt, tries, local, groups } => {
                self.begin(*n, job, *attempt, *tries, local);
                self.with(*n, |entry| {
                    if !groups.is_empty() {
                        entry.obligation = Obligation::of_a_start(true);
                        entry.groups.clone_from(groups);
                    }
                });
            }
            Record::Set { n, key, value } => self.with(*n, |entry| {
                entry.local.insert(key.clone(), value.clone());
            }),
            Record::Unset { n, key } => self.with(*n, |entry| _ = entry.local.remove(key)),
            Record::Starting { n, token } => self.with(*n, |entry| {
                entry.commands.push(AtWork { token: Some(token.clone()), group: None });
            }),
            Record::Spawned { n, group, start, token } => self.with(*n, |entry| {
                let known = |command: &AtWork| match token {
                    Some(_) => command.token == *token,
                    // The process noted itself, and then whoever had started it, who can tell more.
                    None => command.group.is_some_and(|(known, _)| known == *group),
                };
                entry.commands.retain(|command| !known(command));
                entry.commands.push(AtWork { token: token.clone(), group: Some((*group, *start)) });
            }),
            Record::Finished { n, token } => self.with(*n, |entry| {
                entry.commands.retain(|command| command.token.as_ref() != Some(token));
            }),
            Record::Ended { n, group } => self.with(*n, |entry| {
                entry.commands.retain(|command| command.group.is_none_or(|(known, _)| known != *group));
            }),
            Record::Tried { n, result } => self.with(*n, |entry| entry.result = Some(result.clone())),
            Record::Undo { failures } => self.undo = Some(failures.clone()),
            Record::Undone { n } => self.change(*n, Transition::Reverted),
            Record::UndoEnded => self.close(),
            Record::Attempt { group, attempt, within, values } => {
                // The same attempt again is one that goes on after an interruption.
                if self.groups.get(group).is_none_or(|state| state.attempt != *attempt) {
                    self.forget_groups_in(group);
                }
                let known = self.groups.remove(group).and_then(|state| state.values);
                let values = values.clone().or(known);
                let (within, stage) = (within.clone(), Stage::UnderWay);
                self.groups.insert(group.clone(), GroupState { attempt: *attempt, within, values, stage });
            }
            Record::GroupUndo { group, attempt, within, failures, again } => {
                let values = self.groups.remove(group).and_then(|state| state.values);
                let stage = Stage::Undoing { failures: failures.clone(), again: *again };
                let within = within.clone();
                self.groups.insert(group.clone(), GroupState { attempt: *attempt, within, values, stage });
            }
            Record::GroupUndone { group } => self.group_undone(group),
            Record::Provided { job, values } => _ = self.provided.insert(job.clone(), values.clone()),
            Record::Settled { n } => self.change(*n, Transition::Cleaned),
            Record::Declined { n } => self.change(*n, Transition::CleanupDeclined),
            Record::Seen { job, n } => _ = self.seen.insert(job.clone(), *n),
            Record::Mark { job, n } => {
                self.marks.insert(job.clone(), *n);
                self.next = self.next.max(n + 1);
            }
            Record::End { converged } => {
                if self.undo.is_none() && self.undoing_group().is_none() {
                    self.close();
                }
                if *converged {
                    self.forget_changes();
                }
            }
            Record::AllSeen => self.forget_changes(),
        }
    }

    fn begin(&mut self, n: u64, job: &str, attempt: u32, tries: u32, local: &Map<String, Value>) {
        let Some(start) = self.starts.len().checked_sub(1) else { return };
        let entry = Entry {
            start,
            job: job.to_owned(),
            attempt,
            tries,
            local: local.clone(),
            commands: Vec::new(),
            result: None,
            groups: Vec::new(),
            obligation: Obligation::of_a_start(self.starts[start].revert),
        };
        self.marks.insert(entry.job.clone(), n);
        self.entries.insert(n, entry);
        self.next = self.next.max(n + 1);
    }

    fn with(&mut self, n: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&n) {
            change(entry);
        }
    }

    /// Changes what an entry owes, and removes it once that is nothing.
    fn change(&mut self, n: u64, transition: Transition) {
        self.with(n, |entry| entry.obligation = entry.obligation.after(transition));
        if self.entries.get(&n).is_some_and(|entry| entry.obligation == Obligation::Settled) {
            self.entries.remove(&n);
        }
    }

    /// What is known of the groups within a group is of an attempt of that which is over.
    fn forget_groups_in(&mut self, group: &str) {
        self.groups.retain(|_, state| !state.within.iter().any(|around| around == group));
    }

    fn group_undone(&mut self, group: &str) {
        self.forget_groups_in(group);
        let Some(state) = self.groups.get_mut(group) else { return };
        state.stage = match std::mem::replace(&mut state.stage, Stage::UnderWay) {
            Stage::Undoing { again: true, .. } => {
                state.attempt = state.attempt.saturating_add(1);
                Stage::UnderWay
            }
            Stage::Undoing { failures, again: false } => Stage::GivenUp { failures },
            stage @ (Stage::UnderWay | Stage::GivenUp { .. }) => stage,
        };
    }

    /// Nothing of what was begun has to be reverted any more.
    fn close(&mut self) {
        self.undo = None;
        self.groups.clear();
        self.entries.retain(|_, entry| {
            entry.obligation = entry.obligation.after(Transition::Closed);
            entry.obligation != Obligation::Settled
        });
    }

    fn forget_changes(&mut self) {
        self.marks.clear();
        self.seen.clear();
    }

    /// The runs of jobs that are open, in the order in which they were begun.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(n, entry)| (*n, entry))
    }

    #[cfg(test)]
    pub(crate) fn entry(&self, n: u64) -> Option<&Entry> {
        self.entries.get(&n)
    }

    /// The convergence that an entry was begun in.
    pub(crate) fn start_of(&self, entry: &Entry) -> &Start {
        &self.starts[entry.start]
    }

    /// The failures for which runs are to be reverted, where that was begun and did not end.
    pub(crate) fn undo(&self) -> Option<&BTreeMap<String, Failure>> {
        self.undo.as_ref()
    }

    /// The group that is being reverted, where that was begun and did not come to its end.
    pub(crate) fn undoing_group(&self) -> Option<(&str, &GroupState)> {
        let undoing = |(_, state): &(&String, &GroupState)| matches!(state.stage, Stage::Undoing { .. });
        self.groups.iter().find(undoing).map(|(group, state)| (group.as_str(), state))
    }

    /// What is being reverted, where that was begun and did not come to its end.
    pub(crate) fn undoing(&self) -> Undoing {
        match (&self.undo, self.undoing_group()) {
            (Some(_), _) => Undoing::Everything,
            (None, Some((group, _))) => Undoing::Group(group.to_owned()),
            (None, None) => Undoing::Nothing,
        }
    }

    /// How far a group has come, where more is known than that it is in its first attempt.
    pub(crate) fn group(&self, name: &str) -> Option<&GroupState> {
        self.groups.get(name)
    }

    /// The values that a job has provided.
    pub(crate) fn provided(&self, job: &str) -> Option<&Map<String, Value>> {
        self.provided.get(job)
    }

    /// Whether a run may have to be reverted for this group.
    pub(crate) fn is_in_group(entry: &Entry, group: &str) -> bool {
        entry.obligation.is_revertible() && entry.groups.iter().any(|around| around == group)
    }

    /// The number of the run that is begun next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether `job` may have changed something that `reader` has not seen.
    pub(crate) fn is_unseen(&self, job: &str, reader: &str) -> bool {
        let seen = self.seen.get(reader).copied().unwrap_or(0);
        self.marks.get(job).is_some_and(|mark| *mark >= seen)
    }

    /// Whether the end of a convergence closes anything here.
    pub(crate) fn is_changed_by_end(&self, converged: bool) -> bool {
        let closes =
            self.undo.is_none() && self.entries.values().any(|entry| entry.obligation.is_revertible());
        closes
            || (converged && !self.marks.is_empty())
            || (!self.groups.is_empty() && self.undoing_group().is_none())
    }

    /// Whether there is nothing that has to be remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.undo.is_none()
            && self.marks.is_empty()
            && self.groups.is_empty()
            && self.provided.is_empty()
    }

    /// The fewest records that say the same.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (index, start) in self.starts.iter().enumerate() {
            let mut own = self.entries.iter().filter(|(_, entry)| entry.start == index).peekable();
            if own.peek().is_none() {
                continue;
            }
            records.push(Record::Start {
                run: start.run.clone(),
                at: start.at,
                pid: start.pid,
                boot: start.boot.clone(),
                revert: start.revert,
                directory: start.directory.clone(),
                args: start.args.clone(),
                positional: start.positional.clone(),
            });
            own.for_each(|(n, entry)| entry.write(*n, start.revert, &mut records));
        }
        records.extend(self.undo.clone().map(|failures| Record::Undo { failures }));
        // Outer groups first: what is said of one forgets what is known of those in it.
        let mut groups: Vec<(&String, &GroupState)> = self.groups.iter().collect();
        groups.sort_by_key(|(_, state)| state.within.len());
        groups.into_iter().for_each(|(name, state)| state.write(name, &mut records));
        let provided = self.provided.iter();
        records.extend(
            provided.map(|(job, values)| Record::Provided { job: job.clone(), values: values.clone() }),
        );
        // Entries have left marks, too.
        records.push(Record::AllSeen);
        let marks = self.marks.iter().map(|(job, n)| Record::Mark { job: job.clone(), n: *n });
        records.extend(marks);
        records.extend(self.seen.iter().map(|(job, n)| Record::Seen { job: job.clone(), n: *n }));
        records
    }
}

impl GroupState {
    fn write(&self, name: &str, records: &mut Vec<Record>) {
        let (group, attempt, within) = (name.to_owned(), self.attempt, self.within.clone());
        let values = self.values.clone();
        records.push(Record::Attempt { group: group.clone(), attempt, within: within.clone(), values });
        let (failures, again) = match &self.stage {
            Stage::UnderWay => return,
            Stage::Undoing { failures, again } => (failures.clone(), *again),
            Stage::GivenUp { failures } => (failures.clone(), false),
        };
        records.push(Record::GroupUndo { group: group.clone(), attempt, within, failures, again });
        if matches!(self.stage, Stage::GivenUp { .. }) {
            records.push(Record::GroupUndone { group });
        }
    }
}

impl Entry {
    fn write(&self, n: u64, reverts: bool, records: &mut Vec<Record>) {
        let (job, local, groups) = (self.job.clone(), self.local.clone(), self.groups.clone());
        let reverts = reverts || !groups.is_empty();
        records.push(Record::Intent { n, job, attempt: self.attempt, tries: self.tries, local, groups });
        records.extend(self.commands.iter().filter_map(|command| match (&command.group, &command.token) {
            (Some((group, start)), token) => {
                Some(Record::Spawned { n, group: *group, start: *start, token: token.clone() })
            }
            (None, Some(token)) => Some(Record::Starting { n, token: token.clone() }),
            (None, None) => None,
        }));
        records.extend(self.result.clone().map(|result| Record::Tried { n, result }));
        if reverts && !self.obligation.is_revertible() {
            records.push(Record::Undone { n });
        }
        if self.obligation.is_declined() {
            records.push(Record::Declined { n });
        }
        if self.obligation.is_clean() {
            records.push(Record::Settled { n });
        }
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
