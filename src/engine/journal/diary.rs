//! A journal as what a run of a job writes in: its storage, its commands, and how it was settled.
//!
//! Turns that into records; how they get into the file is [`journal`](super)'s business.

use std::io;

use serde_json::Value;

use super::record::Record;
use super::{Shared, processes};
use crate::context::diary::Diary;

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

    fn starting(&self, n: u64, token: &str) -> io::Result<()> {
        self.append(&Record::Starting { n, token: token.to_owned() }, false)
    }

    fn spawned(&self, n: u64, token: &str, group: i32) {
        let (token, start) = (Some(token.to_owned()), processes::start_ticks(group));
        if let Err(error) = self.append(&Record::Spawned { n, group, start, token }, false) {
            tracing::warn!("failed to write down when a command was started: {error}");
        }
    }

    fn ended(&self, n: u64, token: &str) {
        if let Err(error) = self.append(&Record::Finished { n, token: token.to_owned() }, false) {
            tracing::warn!("failed to write down that a command has ended: {error}");
        }
    }
}
