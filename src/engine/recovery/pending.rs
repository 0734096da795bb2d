//! What is pending by a journal, as a list for people.

use crate::engine::log::fold::Ledger;
use crate::event::Phase;
use crate::graph::SharedGraph;
use crate::report::PendingCleanup;

/// All that is open, in the order in which it was begun; without what its job is known not to have.
pub(crate) fn list(ledger: &Ledger, graph: &SharedGraph) -> Vec<PendingCleanup> {
    let undoing = ledger.undoing();
    let pending = ledger.entries().flat_map(|(_, entry)| {
        let id = graph.number(&entry.job);
        let cleanup = |phase, declined| PendingCleanup {
            job: entry.job.as_str().into(),
            attempt: entry.attempt,
            of: ledger.start_of(entry).at,
            phase,
            declined,
            has_job: id.is_some(),
            certain: has(graph, id, phase) == Some(true),
        };
        let revert = undoing.concerns(entry).then(|| cleanup(Phase::Revert, false));
        let cleanup =
            (!entry.obligation.is_clean()).then(|| cleanup(Phase::Cleanup, entry.obligation.is_declined()));
        let has_it = move |cleanup: &PendingCleanup| has(graph, id, cleanup.phase) != Some(false);
        [revert, cleanup].into_iter().flatten().filter(has_it)
    });
    pending.collect()
}

/// Whether a job has a cleanup or a revert, as far as that is known.
fn has(graph: &SharedGraph, id: Option<u32>, phase: Phase) -> Option<bool> {
    let body = &graph.job(id?).body;
    if phase == Phase::Revert { body.has_revert() } else { body.has_cleanup() }
}
