//! Writes in a log what a convergence is about to do, and keeps what the log says at hand.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use super::log::fold::Ledger;
use super::log::record::{Location, Record};
use super::log::{Host, Log, LogError};
use crate::context::args::Args;
use crate::context::recorder::{Recorder, RunRecord};
use crate::secret::Redactor;

pub(crate) struct LogRecorder {
    log: Box<dyn Log>,
    term: u64,
    state: Mutex<State>,
}

struct State {
    ledger: Ledger,
    /// How many records were appended.
    position: u64,
    /// The record of the convergence under way, until something has to be written down.
    start: Option<Record>,
    /// The name of the convergence under way.
    run: Arc<str>,
    /// Whether an intent of the convergence under way was written.
    has_begun: bool,
}

impl LogRecorder {
    /// Reads what is in a log, to go on with it.
    pub(crate) fn new(log: impl Log + 'static) -> Result<LogRecorder, LogError> {
        let ledger = Ledger::of(&log.read()?);
        let (start, run, has_begun) = (None, "".into(), false);
        let state = Mutex::new(State { ledger, position: 0, start, run, has_begun });
        Ok(LogRecorder { term: log.term(), log: Box::new(log), state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is open.
    pub(crate) fn with_ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.state().ledger)
    }

    /// Where the log is, for messages.
    pub(crate) fn location(&self) -> String {
        self.log.location()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.log.is_read_only()
    }

    pub(crate) fn host(&self) -> Option<&dyn Host> {
        self.log.host()
    }

    /// A convergence begins. That is written down together with its first intent.
    pub(crate) fn begin(
        &self,
        at: Timestamp,
        revert: bool,
        directory: &Path,
        args: &Args,
        redactor: &Redactor,
    ) {
        let mut state = self.state();
        let pid = std::process::id();
        // Two convergences of one process may begin in the same instant of a clock that stands still.
        let run = format!("{at}/{pid}/{}", state.ledger.next());
        state.run = run.as_str().into();
        let (args, positional) = args.without_secrets(redactor);
        state.has_begun = false;
        // Where it is not known, `.` would lead a later start astray.
        let directory = directory.is_absolute().then(|| Location::without_secrets(directory, redactor));
        state.start = Some(Record::Start { run, at, pid, boot: None, revert, directory, args, positional });
    }

    /// Writes down that a run of a job is about to begin, and returns where the rest of it is to be written.
    pub(crate) fn intend(self: &Arc<Self>, intent: Record, n: u64, durable: bool) -> io::Result<RunRecord> {
        let mut state = self.state();
        match state.start.take() {
            Some(mut start) => {
                if let Record::Start { boot, .. } = &mut start {
                    *boot = self.host().and_then(Host::boot);
                }
                let written = self.write(&mut state, &[start.clone(), intent]);
                state.has_begun = written.is_ok();
                if written.is_err() {
                    state.start = Some(start);
                }
                written?;
            }
            None => self.write(&mut state, &[intent])?,
        }
        let run = state.run.clone();
        drop(state);
        if let Err(error) = self.sync(durable) {
            // It did not begin, so nothing is pending for it.
            let _ = self.append(&Record::Settled { n }, false);
            return Err(error.into());
        }
        Ok(RunRecord { recorder: self.clone(), n, run, durable })
    }

    /// Where a run that was begun earlier goes on to be written down.
    pub(crate) fn page(self: &Arc<Self>, n: u64, run: &str, durable: bool) -> RunRecord {
        RunRecord { recorder: self.clone(), n, run: run.into(), durable }
    }

    pub(crate) fn append(&self, record: &Record, durable: bool) -> io::Result<()> {
        let mut state = self.state();
        self.write(&mut state, std::slice::from_ref(record))?;
        drop(state);
        Ok(self.sync(durable)?)
    }

    /// Appends records, and takes them into the ledger.
    fn write(&self, state: &mut State, records: &[Record]) -> Result<(), LogError> {
        self.log.append(self.term, state.position, records)?;
        state.position += records.len() as u64;
        records.iter().for_each(|record| state.ledger.apply(record));
        Ok(())
    }

    fn sync(&self, durable: bool) -> Result<(), LogError> {
        if durable { self.log.sync() } else { Ok(()) }
    }

    /// A convergence has ended by itself: what is not open any more can be forgotten.
    pub(crate) fn end(&self, converged: bool, durable: bool) -> io::Result<()> {
        let mut state = self.state();
        state.start = None;
        let has_begun = std::mem::take(&mut state.has_begun);
        if has_begun || state.ledger.is_changed_by_end(converged) {
            self.write(&mut state, &[Record::End { converged }])?;
        }
        self.compact(&mut state)?;
        drop(state);
        Ok(self.sync(durable)?)
    }

    /// Makes the log as short as what it says.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        Ok(self.compact(&mut self.state())?)
    }

    fn compact(&self, state: &mut State) -> Result<(), LogError> {
        let is_empty = state.ledger.is_empty();
        if self.is_read_only() || !(is_empty || self.log.is_long()) {
            return Ok(());
        }
        let records = if is_empty { Vec::new() } else { state.ledger.records() };
        self.log.snapshot(self.term, &records)?;
        state.ledger = Ledger::of(&records);
        Ok(())
    }
}

/// What a run of a job writes down: its storage, its commands, and how it was settled.
impl Recorder for LogRecorder {
    fn is_unseen(&self, job: &str, reader: &str) -> bool {
        self.with_ledger(|ledger| ledger.is_unseen(job, reader))
    }

    fn set(&self, n: u64, durable: bool, key: &str, value: Option<&Value>) -> io::Result<()> {
        let key = key.to_owned();
        let record = match value.cloned() {
            Some(value) => Record::Set { n, key, value },
            None => Record::Unset { n, key },
        };
        self.append(&record, durable)
    }

    fn settled(&self, n: u64, durable: bool) -> io::Result<()> {
        self.append(&Record::Settled { n }, durable)
    }

    fn undone(&self, n: u64, durable: bool) -> io::Result<()> {
        self.append(&Record::Undone { n }, durable)
    }

    fn starting(&self, n: u64, token: &str) -> io::Result<()> {
        self.append(&Record::Starting { n, token: token.to_owned() }, false)
    }

    fn spawned(&self, n: u64, token: &str, group: i32) {
        let start = self.host().and_then(|host| host.start_ticks(group));
        let record = Record::Spawned { n, group, start, token: Some(token.to_owned()) };
        if let Err(error) = self.append(&record, false) {
            tracing::warn!("failed to write down when a command was started: {error}");
        }
    }

    fn ended(&self, n: u64, token: &str) {
        if let Err(error) = self.append(&Record::Finished { n, token: token.to_owned() }, false) {
            tracing::warn!("failed to write down that a command has ended: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use crate::engine::log::memory::MemoryLog;
    use crate::{Engine, JobGraph, Outcome};

    /// The engine owes the same, whatever store its log has.
    #[test]
    fn what_is_owed_is_done_by_the_next_owner_of_a_log_in_memory() {
        let log = MemoryLog::default();
        let engine = |fails: bool| {
            let mut graph = JobGraph::builder();
            graph.run_only("maker", |cx| Ok(cx.local().set("made", 7)?)).cleanup(move |cx| {
                ensure!(cx.local().get::<u32>("made")? == Some(7), "its storage was lost");
                ensure!(!fails, "not yet");
                Ok(())
            });
            Engine::with_graph(graph.build().unwrap()).journal(log.take_over())
        };
        let report = engine(true).converge();
        assert_eq!((report.job("maker").outcome(), report.failed_cleanups().count()), (Outcome::Changed, 1));
        assert_eq!(engine(true).pending().len(), 1);
        let report = engine(false).call_pending(false);
        assert_eq!(report.failed_cleanups().count(), 0);
        assert!(engine(false).pending().is_empty());
    }

    #[test]
    fn nothing_runs_once_another_owner_has_taken_over() {
        let log = MemoryLog::default();
        let mut graph = JobGraph::builder();
        graph.run_only("never", |_| panic!("it runs without a record"));
        let mut engine = Engine::with_graph(graph.build().unwrap()).tries(1).journal(log.take_over());
        let _other = log.take_over();
        let report = engine.converge();
        let reason = report.job("never").reason().unwrap_or_default().to_owned();
        assert!(reason.contains("another owner has taken over, with term 2"), "{reason}");
    }
}
