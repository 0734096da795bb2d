//! Putting the jobs of a playbook in order.

use std::sync::Arc;

use super::final_check::FinalCheck;
use super::groups::Groups;
use super::input::BuildInput;
use super::task_jobs::Unlinked;
use crate::graph::builder::GraphBuilder;
use crate::job::AnyJob;
use crate::job::retry::Retry;
use crate::playbook::job_names::JobNames;
use crate::playbook::task::{Order, Task};

/// Puts the jobs in order.
pub(super) fn link(
    input: &BuildInput<'_>,
    made: Vec<Vec<Unlinked>>,
    names: JobNames,
    groups: &Groups,
    final_checks: Vec<(Arc<str>, FinalCheck)>,
) -> GraphBuilder {
    let mut graph = GraphBuilder::default();
    let all: Vec<Arc<str>> = match final_checks.is_empty() {
        true => Vec::new(),
        false => {
            let wanted = made.iter().zip(&input.dependencies.wanted).filter(|(_, wanted)| **wanted);
            wanted.flat_map(|(jobs, _)| names_of(jobs)).collect()
        }
    };
    match input.tasks.order {
        Order::Sequence => in_sequence(&mut graph, input, made, groups),
        Order::Graph => in_graph(&mut graph, input, made, names, groups),
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

fn names_of(jobs: &[Unlinked]) -> Vec<Arc<str>> {
    jobs.iter().map(|job| job.0.name.clone()).collect()
}

fn add(graph: &mut GraphBuilder, job: AnyJob, task: &Task, after: impl IntoIterator<Item = Arc<str>>) {
    let node = graph.add(job).after(after);
    if !task.uses.is_empty() {
        node.uses(task.uses.iter().map(String::as_str));
    }
}

/// A group whose end was not reached.
struct OpenGroup {
    number: usize,
    members: Vec<Arc<str>>,
    before: Option<Arc<str>>,
}

/// Each waits for the one before: a job, or a group as a whole.
fn in_sequence(graph: &mut GraphBuilder, input: &BuildInput<'_>, made: Vec<Vec<Unlinked>>, groups: &Groups) {
    let mut before: Option<Arc<str>> = None;
    let mut open: Vec<OpenGroup> = Vec::new();
    let close = |graph: &mut GraphBuilder, open: &mut Vec<OpenGroup>, before: &mut Option<Arc<str>>| {
        let Some(OpenGroup { number, members, before: outside }) = open.pop() else { return };
        groups.add(graph, input, number, members, outside.into_iter().collect());
        let Some(name) = groups.name(number) else { return };
        *before = Some(name.clone());
        if let Some(around) = open.last_mut() {
            around.members.push(name.clone());
        }
    };
    for (number, jobs) in
        made.into_iter().enumerate().filter(|(number, _)| input.dependencies.wanted[*number])
    {
        let task = &input.tasks.tasks[number];
        let mut around: Vec<usize> = input.tasks.around(task).collect();
        around.reverse();
        let common = open.iter().zip(&around).take_while(|(open, group)| open.number == **group).count();
        while open.len() > common {
            close(graph, &mut open, &mut before);
        }
        for number in &around[common..] {
            open.push(OpenGroup { number: *number, members: Vec::new(), before: before.clone() });
        }
        for Unlinked(job) in jobs {
            let name = job.name.clone();
            if let Some(group) = open.last_mut() {
                group.members.push(name.clone());
            }
            add(graph, job, task, before.replace(name));
        }
    }
    while !open.is_empty() {
        close(graph, &mut open, &mut before);
    }
}

/// Each waits for those that it names.
fn in_graph(
    graph: &mut GraphBuilder,
    input: &BuildInput<'_>,
    made: Vec<Vec<Unlinked>>,
    mut names: JobNames,
    groups: &Groups,
) {
    let count = input.tasks.tasks.len();
    let waits = input.dependencies.among_wanted(Order::Graph);
    let mut awaited = vec![false; waits.len()];
    waits[..count].iter().flatten().for_each(|other| awaited[*other] = true);
    // Who waits for several jobs waits for one that stands for them.
    let mut last: Vec<Option<Arc<str>>> = made
        .iter()
        .zip(&input.tasks.tasks)
        .zip(awaited)
        .map(|((jobs, task), awaited)| match (&task.for_each, jobs.as_slice()) {
            (None, [job]) => Some(job.0.name.clone()),
            (Some(_), _) if awaited => {
                let about = task.id.as_ref().or(task.register.as_ref()).map_or(task.called(), String::as_str);
                Some(names.unique(format!("all of {about}")))
            }
            _ => None,
        })
        .collect();
    last.extend((0..input.tasks.groups.len()).map(|group| groups.name(group).cloned()));
    let names_of_waits = |waits: &[usize]| -> Vec<Arc<str>> {
        waits.iter().filter_map(|other| last[*other].clone()).collect()
    };
    let mut members: Vec<Vec<Arc<str>>> = vec![Vec::new(); input.tasks.groups.len()];
    for (number, jobs) in
        made.into_iter().enumerate().filter(|(number, _)| input.dependencies.wanted[*number])
    {
        let task = &input.tasks.tasks[number];
        let before = names_of_waits(&waits[number]);
        let own = names_of(&jobs);
        if let Some(group) = task.group {
            members[group].extend(own.iter().cloned());
        }
        for Unlinked(job) in jobs {
            add(graph, job, task, before.iter().cloned());
        }
        if let (Some(_), Some(all)) = (&task.for_each, &last[number]) {
            graph.dummy(all.clone()).after(if own.is_empty() { before } else { own });
            // Its own group waits for it, too: outside it would stand between the jobs of the group.
            if let Some(group) = task.group {
                members[group].push(all.clone());
            }
        }
    }
    // Inner groups come behind those around them.
    for (number, group) in input.tasks.groups.iter().enumerate().rev() {
        let Some(name) = groups.name(number) else { continue };
        if let Some(parent) = group.parent {
            members[parent].push(name.clone());
        }
        let is_inside = |other: &usize| {
            let innermost = match other.checked_sub(count) {
                Some(group) => Some(group),
                None => input.tasks.tasks[*other].group,
            };
            input.tasks.outwards(innermost).any(|around| around == number)
        };
        let after: Vec<usize> =
            waits[count + number].iter().copied().filter(|other| !is_inside(other)).collect();
        groups.add(graph, input, number, std::mem::take(&mut members[number]), names_of_waits(&after));
    }
}
