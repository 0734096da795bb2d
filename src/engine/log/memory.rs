//! A log in memory, for tests: as strict as any store, and forgetting with the process.

use std::sync::{Arc, Mutex};

use super::record::Record;
use super::{Log, LogError};

/// What all who have opened one log share.
#[derive(Debug, Default)]
struct Stored {
    records: Vec<Record>,
    term: u64,
    /// How many records the current owner has appended, and the last of its appends.
    position: u64,
    last: Option<(u64, Vec<Record>)>,
}

/// One owner's view of a log.
#[derive(Debug, Default)]
pub(crate) struct MemoryLog {
    stored: Arc<Mutex<Stored>>,
    term: u64,
}

impl MemoryLog {
    /// Takes the log over, as a new owner.
    pub(crate) fn take_over(&self) -> MemoryLog {
        let mut stored = self.stored.lock().unwrap();
        stored.term += 1;
        (stored.position, stored.last) = (0, None);
        MemoryLog { term: stored.term, stored: self.stored.clone() }
    }
}

impl Log for MemoryLog {
    fn term(&self) -> u64 {
        self.term
    }

    fn append(&self, term: u64, position: u64, records: &[Record]) -> Result<(), LogError> {
        let mut stored = self.stored.lock().unwrap();
        if term != stored.term {
            return Err(LogError::Fenced { term: stored.term });
        }
        if stored.last.as_ref().is_some_and(|(at, last)| *at == position && last == records) {
            return Ok(());
        }
        if position != stored.position {
            return Err(LogError::Conflict { position });
        }
        stored.records.extend_from_slice(records);
        stored.position += records.len() as u64;
        stored.last = Some((position, records.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn read(&self) -> Result<Vec<Record>, LogError> {
        Ok(self.stored.lock().unwrap().records.clone())
    }

    fn snapshot(&self, term: u64, records: &[Record]) -> Result<(), LogError> {
        let mut stored = self.stored.lock().unwrap();
        if term != stored.term {
            return Err(LogError::Fenced { term: stored.term });
        }
        stored.records = records.to_vec();
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.stored.lock().unwrap().records.len() > 100
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(n: u64) -> Record {
        Record::Settled { n }
    }

    #[test]
    fn it_keeps_the_contract() {
        let first = MemoryLog::default();
        crate::engine::log::conformance::keeps_the_contract(&mut || Box::new(first.take_over()));
    }

    #[test]
    fn whoever_was_taken_over_from_is_refused() {
        let first = MemoryLog::default();
        first.append(first.term(), 0, &[seen(1)]).unwrap();
        let second = first.take_over();
        assert!(matches!(first.append(first.term(), 1, &[seen(2)]), Err(LogError::Fenced { term: 1 })));
        assert!(first.snapshot(first.term(), &[]).is_err());
        second.append(second.term(), 0, &[seen(3)]).unwrap();
        assert_eq!(second.read().unwrap(), [seen(1), seen(3)]);
    }
}
