//! Putting the jobs of a playbook in order.

use std::sync::Arc;

use super::final_check::FinalCheck;
use super::input::BuildInput;
use super::task_jobs::Unlinked;
use crate::graph::builder::GraphBuilder;
use crate::job::AnyJob;
use crate::job::retry::Retry;
use crate::playbook::job_names::JobNames;
use crate::playbook::task::Order;

/// Puts the jobs in order.
pub(super) fn link(
    input: &BuildInput<'_>,
    made: Vec<Vec<Unlinked>>,
    mut names: JobNames,
    final_checks: Vec<(Arc<str>, FinalCheck)>,
) -> GraphBuilder {
    let mut graph = GraphBuilder::default();
    let all: Vec<Arc<str>> = match final_checks.is_empty() {
        true => Vec::new(),
        false => {
            let wanted = made.iter().zip(&input.dependencies.wanted).filter(|(_, wanted)| **wanted);
            wanted.flat_map(|(jobs, _)| jobs.iter().map(|job| job.0.name.clone())).collect()
        }
    };
    match input.tasks.order {
        Order::Sequence => {
            let mut before: Option<Arc<str>> = None;
            for (number, jobs) in made.into_iter().enumerate() {
                for Unlinked(job) in jobs.into_iter().filter(|_| input.dependencies.wanted[number]) {
                    let name = job.name.clone();
                    graph.add(job).after(before.replace(name));
                }
            }
        }
        Order::Graph => {
            let waits = input.dependencies.among_wanted(Order::Graph);
            let mut awaited = vec![false; waits.len()];
            waits.iter().flatten().for_each(|other| awaited[*other] = true);
            // Who waits for several jobs waits for one that stands for them.
            let last: Vec<Option<Arc<str>>> = made
                .iter()
                .zip(&input.tasks.tasks)
                .zip(awaited)
                .map(|((jobs, task), awaited)| match (&task.for_each, jobs.as_slice()) {
                    (None, [job]) => Some(job.0.name.clone()),
                    (Some(_), _) if awaited => {
                        let about =
                            task.id.as_ref().or(task.register.as_ref()).map_or(task.called(), String::as_str);
                        Some(names.unique(format!("all of {about}")))
                    }
                    _ => None,
                })
                .collect();
            for (number, jobs) in
                made.into_iter().enumerate().filter(|(number, _)| input.dependencies.wanted[*number])
            {
                let before: Vec<Arc<str>> =
                    waits[number].iter().filter_map(|other| last[*other].clone()).collect();
                let own: Vec<Arc<str>> = jobs.iter().map(|job| job.0.name.clone()).collect();
                for Unlinked(job) in jobs {
                    graph.add(job).after(before.iter().cloned());
                }
                if let (Some(_), Some(all)) = (&input.tasks.tasks[number].for_each, &last[number]) {
                    graph.dummy(all.clone()).after(if own.is_empty() { before } else { own });
                }
            }
        }
    }
    for (name, cursor) in final_checks {
        graph
            .add(AnyJob {
                name,
                retry: Retry::tries(1),
                durable: false,
                arguments: None,
                body: Box::new(cursor),
            })
            .after(all.iter().cloned());
    }
    graph
}
