//! What earlier convergences owe: cleanups, and taking back what they did.
//!
//! Rebuilds the runs of jobs that a journal tells of, on the jobs of the graph as it is now. Does not call them
//! ([`unwind`](super::unwind) does), nor decide whether they are called.

use std::collections::HashMap;
use std::sync::Arc;

use super::attempt::Begun;
use super::journal::ledger::{Entry, Ledger, Start};
use super::journal::record::{Location, Record};
use super::journal::{Shared, processes, without_secrets};
use crate::context::directory::Directory;
use crate::context::{Context, Run};
use crate::event::{Emitter, Event, Phase};
use crate::graph::SharedGraph;
use crate::panics::catch;
use crate::report::Debt;
use crate::secret::Redactor;

/// All that is open, in the order in which it was begun; without what its job is known not to have.
pub(crate) fn list(ledger: &Ledger, graph: &SharedGraph) -> Vec<Debt> {
    let undoing = ledger.undo().is_some();
    let debts = ledger.entries().flat_map(|(_, entry)| {
        let id = graph.number(&entry.job);
        let debt = |phase, declined| Debt {
            job: entry.job.as_str().into(),
            attempt: entry.attempt,
            of: ledger.start_of(entry).at,
            phase,
            declined,
            payable: id.is_some(),
            certain: has(graph, id, phase) == Some(true),
        };
        let revert = (undoing && entry.revertible).then(|| debt(Phase::Revert, false));
        let cleanup = (!entry.cleaned).then(|| debt(Phase::Cleanup, entry.declined));
        let has_it = move |debt: &Debt| has(graph, id, debt.phase) != Some(false);
        [revert, cleanup].into_iter().flatten().filter(has_it)
    });
    debts.collect()
}

/// Whether a job has a cleanup or a revert, as far as that is known.
fn has(graph: &SharedGraph, id: Option<u32>, phase: Phase) -> Option<bool> {
    let body = &graph.job(id?).body;
    if phase == Phase::Revert { body.has_revert() } else { body.has_cleanup() }
}

/// What an earlier convergence has left, ready to be called; and what cannot be, with why.
pub(crate) struct Rebuilt {
    pub(crate) begun: Vec<Begun>,
    pub(crate) lost: Vec<(Debt, String)>,
    /// Whether a job is there and cannot be cloned.
    pub(crate) is_broken: bool,
}

/// Rebuilds the open runs that are `wanted`, with the arguments of their own convergence and the secrets of this one.
pub(crate) fn rebuild(
    journal: &Arc<Shared>,
    graph: &SharedGraph,
    run: &Arc<Run>,
    wanted: impl Fn(u64, &Entry) -> bool,
) -> Rebuilt {
    let mut rebuilt = Rebuilt { begun: Vec::new(), lost: Vec::new(), is_broken: false };
    let mut runs: HashMap<String, Arc<Run>> = HashMap::new();
    let (open, undoing): (Vec<(u64, Entry, Start)>, bool) = journal.with_ledger(|ledger| {
        let wanted = ledger.entries().filter(|(n, entry)| wanted(*n, entry));
        let open = wanted.map(|(n, entry)| (n, entry.clone(), ledger.start_of(entry).clone()));
        (open.collect(), ledger.undo().is_some())
    });
    for (n, entry, start) in open {
        let id = graph.number(&entry.job);
        let body = id.map(|id| (id, catch(|| graph.job(id).body.clone_box())));
        let (id, body) = match body {
            Some((id, Ok(body))) => (id, body),
            other => {
                rebuilt.is_broken |= other.is_some();
                let why = match other {
                    Some((_, Err(caught))) => format!("it cannot be cloned: {}", caught.message),
                    _ => "the graph has no job of this name any more".to_owned(),
                };
                let phase = if undoing && entry.revertible { Phase::Revert } else { Phase::Cleanup };
                let (job, attempt, of) = (entry.job.as_str().into(), entry.attempt, start.at);
                let (declined, payable, certain) = (entry.declined, false, false);
                rebuilt.lost.push((Debt { job, attempt, of, phase, declined, payable, certain }, why));
                continue;
            }
        };
        let page = journal.page(n, &start.run, graph.job(id).durable);
        let own = runs.entry(start.run).or_insert_with(|| {
            let redactor = run.emitter.redactor();
            let args = run.args.restored(start.args, start.positional, redactor);
            let directory = directory_of(start.directory, redactor);
            Arc::new(run.of_earlier(args, directory, graph.clone()))
        });
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

/// The directory in which an earlier convergence began. What was written down of one with a secret in its path does not
/// lead there; but whoever starts again in the same one is where it was.
fn directory_of(began: Option<Location>, redactor: &Redactor) -> Directory {
    let here = Directory::new(false);
    let Some(began) = began else { return here };
    if began == without_secrets(here.path(), redactor) {
        return here;
    }
    Directory::of_earlier(began.into())
}

/// Ends what is left of the commands of earlier convergences; returns the numbers of the runs of which somebody could not
/// be ended.
pub(crate) fn end_survivors(journal: &Shared, emitter: &Emitter) -> Vec<u64> {
    if journal.with_ledger(|ledger| ledger.entries().all(|(_, entry)| entry.commands.is_empty())) {
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
            let commands = entry.commands.clone().into_iter();
            commands.map(move |command| (n, command, run.clone(), job.clone()))
        };
        ledger.entries().filter(|(_, entry)| of_this_boot(entry)).flat_map(commands).collect()
    });
    let mut unended = Vec::new();
    for (n, command, run, job) in open {
        match processes::end_survivors(&command, &run) {
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
