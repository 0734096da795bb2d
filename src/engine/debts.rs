//! What earlier convergences owe: cleanups, and taking back what they did.
//!
//! Rebuilds the runs of jobs that a journal tells of, on the jobs of the graph as it is now. Does not call them
//! ([`unwind`](super::unwind) does), nor decide whether they are called.

use std::collections::HashMap;
use std::sync::Arc;

use super::attempt::Begun;
use super::journal::ledger::{Entry, Ledger};
use super::journal::record::Record;
use super::journal::{Shared, processes};
use crate::context::{Context, Run};
use crate::event::Phase;
use crate::graph::SharedGraph;
use crate::panics::catch;
use crate::report::Debt;

/// All that is open, in the order in which it was begun.
pub(crate) fn list(ledger: &Ledger, graph: &SharedGraph) -> Vec<Debt> {
    let undoing = ledger.undo().is_some();
    let debts = ledger.entries().flat_map(|(_, entry)| {
        let debt = |phase, declined| Debt {
            job: entry.job.as_str().into(),
            attempt: entry.attempt,
            of: ledger.start_of(entry).at,
            phase,
            declined,
            payable: graph.number(&entry.job).is_some(),
        };
        let revert = (undoing && entry.revertible).then(|| debt(Phase::Revert, false));
        let cleanup = (!entry.cleaned).then(|| debt(Phase::Cleanup, entry.declined));
        [revert, cleanup].into_iter().flatten()
    });
    debts.collect()
}

/// What an earlier convergence has left, ready to be called; and what cannot be.
pub(crate) struct Rebuilt {
    pub(crate) begun: Vec<Begun>,
    pub(crate) lost: Vec<Debt>,
}

/// Rebuilds the open runs that are `wanted`, with the arguments of their own convergence and the secrets of this one.
pub(crate) fn rebuild(
    journal: &Arc<Shared>,
    graph: &SharedGraph,
    run: &Arc<Run>,
    wanted: impl Fn(&Entry) -> bool,
) -> Rebuilt {
    let mut rebuilt = Rebuilt { begun: Vec::new(), lost: Vec::new() };
    let mut runs: HashMap<String, Arc<Run>> = HashMap::new();
    let open: Vec<(u64, Entry)> = journal.with_ledger(|ledger| {
        let wanted = ledger.entries().filter(|(_, entry)| wanted(entry));
        wanted.map(|(n, entry)| (n, entry.clone())).collect()
    });
    for (n, entry) in open {
        let start = journal.with_ledger(|ledger| ledger.start_of(&entry).clone());
        let id = graph.number(&entry.job);
        let body = id.and_then(|id| catch(|| graph.job(id).body.clone_box()).ok());
        let (Some(id), Some(body)) = (id, body) else {
            let phase = if entry.revertible { Phase::Revert } else { Phase::Cleanup };
            rebuilt.lost.push(Debt {
                job: entry.job.as_str().into(),
                attempt: entry.attempt,
                of: start.at,
                phase,
                declined: entry.declined,
                payable: false,
            });
            continue;
        };
        let own = runs.entry(start.run.clone()).or_insert_with(|| {
            let redactor = run.emitter.redactor();
            let args = run.args.restored(start.args, start.positional, redactor);
            Arc::new(run.of_earlier(args, graph.clone()))
        });
        let page = journal.page(n, graph.job(id).durable);
        let tries = (entry.attempt, entry.tries);
        rebuilt.begun.push(Begun {
            order: n,
            attempt: entry.attempt,
            of: Some(start.at),
            owed: true,
            is_clean: entry.cleaned,
            is_revertible: entry.revertible,
            is_stuck: false,
            body,
            cx: Context::restored(own, id, tries, entry.local, entry.result, page),
        });
    }
    rebuilt
}

/// Ends what is left of the commands of earlier convergences, and says of which jobs and how many processes.
pub(crate) fn end_survivors(journal: &Shared) -> Vec<(String, usize)> {
    if journal.with_ledger(|ledger| ledger.entries().all(|(_, entry)| entry.groups.is_empty())) {
        return Vec::new();
    }
    let boot = processes::boot_id();
    let open: Vec<_> = journal.with_ledger(|ledger| {
        let of_this_boot = |entry: &&Entry| {
            let start = ledger.start_of(entry);
            start.boot.is_some() && start.boot == boot
        };
        let commands = |(n, entry): (u64, &Entry)| {
            let (run, job) = (ledger.start_of(entry).run.clone(), entry.job.clone());
            entry
                .groups
                .clone()
                .into_iter()
                .map(move |(group, start)| (n, group, start, run.clone(), job.clone()))
        };
        ledger.entries().filter(|(_, entry)| of_this_boot(entry)).flat_map(commands).collect()
    });
    let mut ended = Vec::new();
    for (n, group, start, run, job) in open {
        match processes::end_survivors(group, start, &run) {
            Ok(count) => {
                if count > 0 {
                    tracing::warn!(
                        job,
                        "ended {count} processes that an earlier run has left in group {group}"
                    );
                    ended.push((job, count));
                }
                let _ = journal.append(&Record::Ended { n, group }, false);
            }
            Err(error) => tracing::error!(job, "failed to end what an earlier run has left: {error}"),
        }
    }
    ended
}
