//! Rebuilds the runs that a journal tells of, on the jobs of the graph as it is now; what is left of their commands is ended
//! first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::survivors;
use crate::context::directory::Directory;
use crate::context::{Context, Run};
use crate::engine::aftermath::Aftermath;
use crate::engine::log::fold::{Entry, Start, Undoing};
use crate::engine::log::record::Location;
use crate::engine::recorder::LogRecorder;
use crate::engine::started_run::StartedRun;
use crate::event::Phase;
use crate::graph::SharedGraph;
use crate::panics::catch;
use crate::report::PendingCleanup;
use crate::secret::Redactor;

/// What an earlier convergence has left, ready to be called; and what cannot be, with why.
pub(crate) struct Rebuilt {
    pub(crate) runs: Vec<StartedRun>,
    pub(crate) lost: Vec<(PendingCleanup, String)>,
    /// Whether a job is there and cannot be cloned.
    pub(crate) is_broken: bool,
}

/// Ends what is left of the commands of earlier convergences, and then rebuilds these open runs of theirs. One of
/// which a process cannot be ended is kept for the next start: nothing may be put away under its hands.
pub(crate) fn rebuild_all(
    aftermath: &mut Aftermath,
    journal: &Arc<LogRecorder>,
    wanted: impl Fn(&Entry) -> bool,
) -> Rebuilt {
    let run = aftermath.context.run.clone();
    let unended: HashSet<u64> = survivors::end(journal, &run.emitter).into_iter().collect();
    let mut rebuilt = rebuild(journal, &aftermath.whole, &run, |_, entry| wanted(entry));
    let (kept, runs): (Vec<StartedRun>, Vec<StartedRun>) =
        rebuilt.runs.into_iter().partition(|run| unended.contains(&run.order));
    rebuilt.runs = runs;
    aftermath.needs_decision |= !kept.is_empty() || rebuilt.is_broken;
    let why = "a process that its command has left cannot be ended";
    rebuilt.lost.extend(kept.into_iter().map(|run| (pending_of(&run), why.to_owned())));
    rebuilt
}

/// Rebuilds the open runs that are `wanted`, with the arguments of their own convergence and the secrets of this one.
fn rebuild(
    journal: &Arc<LogRecorder>,
    graph: &SharedGraph,
    run: &Arc<Run>,
    wanted: impl Fn(u64, &Entry) -> bool,
) -> Rebuilt {
    let mut rebuilt = Rebuilt { runs: Vec::new(), lost: Vec::new(), is_broken: false };
    let mut runs: HashMap<String, Arc<Run>> = HashMap::new();
    let (open, undoing): (Vec<(u64, Entry, Start)>, Undoing) = journal.with_ledger(|ledger| {
        let wanted = ledger.entries().filter(|(n, entry)| wanted(*n, entry));
        let open = wanted.map(|(n, entry)| (n, entry.clone(), ledger.start_of(entry).clone()));
        (open.collect(), ledger.undoing())
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
                let phase = if undoing.concerns(&entry) { Phase::Revert } else { Phase::Cleanup };
                let (job, attempt, of) = (entry.job.as_str().into(), entry.attempt, start.at);
                let (declined, has_job, certain) = (entry.obligation.is_declined(), false, false);
                rebuilt
                    .lost
                    .push((PendingCleanup { job, attempt, of, phase, declined, has_job, certain }, why));
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
        rebuilt.runs.push(StartedRun {
            order: n,
            attempt: entry.attempt,
            of: Some(start.at),
            obligation: entry.obligation,
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
    if began == Location::without_secrets(here.path(), redactor) {
        return here;
    }
    Directory::of_earlier(began.into())
}

/// What is pending for a run of an earlier convergence.
fn pending_of(run: &StartedRun) -> PendingCleanup {
    let (phase, exists) = match run.obligation.is_revertible() {
        true => (Phase::Revert, run.body.has_revert()),
        false => (Phase::Cleanup, run.body.has_cleanup()),
    };
    PendingCleanup {
        job: run.cx.job().clone(),
        attempt: run.attempt,
        of: run.of.unwrap_or_default(),
        phase,
        declined: false,
        has_job: true,
        certain: exists == Some(true),
    }
}
