//! Commands of earlier convergences that are still at work, and end now.

use crate::engine::log::fold::Entry;
use crate::engine::log::record::Record;
use crate::engine::recorder::LogRecorder;
use crate::event::{Emitter, Event};

/// Ends what is left of the commands of earlier convergences; returns the numbers of the runs that still have a process
/// which could not be ended.
pub(super) fn end(journal: &LogRecorder, emitter: &Emitter) -> Vec<u64> {
    if journal.with_ledger(|ledger| ledger.entries().all(|(_, entry)| entry.commands.is_empty())) {
        return Vec::new();
    }
    let Some(host) = journal.host() else { return Vec::new() };
    let boot = host.boot();
    let open: Vec<_> = journal.with_ledger(|ledger| {
        let of_this_boot = |entry: &&Entry| {
            let start = ledger.start_of(entry);
            start.boot.is_some() && start.boot == boot
        };
        let commands = |(n, entry): (u64, &Entry)| {
            let (run, job) = (ledger.start_of(entry).run.clone(), entry.job.clone());
            let commands = entry.commands.clone().into_iter();
            commands.map(move |command| (n, command, run.clone(), job.clone()))
        };
        ledger.entries().filter(|(_, entry)| of_this_boot(entry)).flat_map(commands).collect()
    });
    let mut unended = Vec::new();
    for (n, command, run, job) in open {
        match host.end_survivors(&command, &run) {
            Ok(count) => {
                if count > 0 {
                    emitter.emit(|| Event::SurvivorsEnded { job: job.as_str().into(), processes: count });
                }
                let ended = match (command.token, command.group) {
                    (Some(token), _) => Record::Finished { n, token },
                    (None, Some((group, _))) => Record::Ended { n, group },
                    (None, None) => continue,
                };
                let _ = journal.append(&ended, false);
            }
            Err(error) => {
                tracing::error!(job, "failed to end what an earlier run has left: {error}");
                unended.push(n);
            }
        }
    }
    unended
}
