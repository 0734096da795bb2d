//! A journal as what a run of a job writes in: its storage, its commands, and how it was settled.
//!
//! Turns that into records; how they get into the file is [`journal`](super)'s business.

use std::io;
use std::process::Child;

use serde_json::Value;

use super::record::{Record, fill_spawned_line, spawned_line};
use super::{Shared, processes};
use crate::context::diary::{Diary, Note};

impl Diary for Shared {
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

    fn spawn(
        &self,
        n: u64,
        spawn: &mut dyn FnMut(Note) -> io::Result<Option<Child>>,
    ) -> io::Result<Option<Child>> {
        // Nobody else writes meanwhile: the length has to be right.
        let mut state = self.state();
        self.upgrade(&mut state)?;
        let Some(file) = state.file.clone().filter(|_| !state.is_broken) else {
            return Err(io::Error::other("the journal cannot be written to"));
        };
        let line = spawned_line(n, &state.sum);
        let note = Note { file: file.clone(), line: line.clone(), fill: fill_spawned_line };
        let spawned = spawn(note);
        let noted = file.metadata().map(|metadata| metadata.len());
        match (&spawned, noted) {
            (Ok(Some(child)), Ok(noted)) if noted == state.length + line.len() as u64 => {
                let mut line = line;
                fill_spawned_line(&mut line, child.id());
                state.sum.copy_from_slice(&line[..8]);
                state.length = noted;
            }
            // There is no such program, say: what the process has noted, or a part of that, is not so.
            _ => state.is_broken = file.set_len(state.length).is_err(),
        }
        if let Ok(Some(child)) = &spawned {
            let group = child.id() as i32;
            let record = Record::Spawned { n, group, start: processes::start_ticks(group) };
            if let Err(error) = self.write(&mut state, &[&record]) {
                tracing::warn!("failed to write down when a command was started: {error}");
            }
        }
        spawned
    }

    fn ended(&self, n: u64, group: i32) {
        if let Err(error) = self.append(&Record::Ended { n, group }, false) {
            tracing::warn!("failed to write down that a command has ended: {error}");
        }
    }
}
