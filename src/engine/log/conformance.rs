//! What every store of a log has to keep to: one suite, which each of them passes.

use super::record::Record;
use super::{Log, LogError};

fn settled(n: u64) -> Record {
    Record::Settled { n }
}

/// The records that matter: a store may have others of its own, a header say.
fn read(log: &dyn Log) -> Vec<Record> {
    let mut records = log.read().unwrap();
    records.retain(|record| !matches!(record, Record::Journal { .. }));
    records
}

/// `open` opens the same log again and again; each log that it returns is dropped before the next is opened.
pub(crate) fn keeps_the_contract(open: &mut dyn FnMut() -> Box<dyn Log>) {
    let log = open();
    assert!(read(&*log).is_empty() && !log.is_read_only());
    let term = log.term();

    let first = [settled(1), settled(2)];
    log.append(term, 0, &first).unwrap();
    log.append(term, 0, &first).expect("the same again is accepted");
    let other = log.append(term, 0, &[settled(3)]);
    assert!(matches!(other, Err(LogError::Conflict { position: 0 })), "{other:?}");
    let ahead = log.append(term, 3, &[settled(3)]);
    assert!(matches!(ahead, Err(LogError::Conflict { position: 3 })), "{ahead:?}");
    let foreign = log.append(term + 1, 2, &[settled(3)]);
    assert!(matches!(foreign, Err(LogError::Fenced { term: owner }) if owner == term), "{foreign:?}");
    assert!(log.snapshot(term + 1, &[]).is_err());
    log.append(term, 2, &[settled(3)]).unwrap();
    log.sync().unwrap();
    let all = [settled(1), settled(2), settled(3)];
    assert_eq!(read(&*log), all, "nothing twice, and nothing that was refused");
    drop(log);

    let log = open();
    assert_eq!(read(&*log), all, "another owner reads the same");
    let term = log.term();
    log.append(term, 0, &[settled(4)]).expect("positions are counted per term");
    log.snapshot(term, &[]).unwrap();
    assert!(read(&*log).is_empty());
    log.append(term, 1, &[settled(5)]).expect("positions go on after a snapshot");
    assert_eq!(read(&*log), [settled(5)]);
    drop(log);
    assert_eq!(read(&*open()), [settled(5)]);
}
