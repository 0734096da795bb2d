//! Jobs that have one target: at odds with each other, unless it is said that they may have it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::final_check::FinalCheck;
use crate::diagnostic::{Place, Problem};
use crate::job::Erased;
use crate::playbook::arguments;
use crate::playbook::hocon::Value;
use crate::playbook::hocon::{Places, Step};
use crate::playbook::prose::escaped;
use crate::playbook::target::Target;
use crate::playbook::task::Task;
use crate::playbook::task_path::TaskPath;
use crate::playbook::task_type::TaskType;

/// The targets of the jobs so far.
#[derive(Default)]
pub(super) struct SharedTargets {
    directory: PathBuf,
    /// Some task may share its target.
    is_allowed: bool,
    jobs: Vec<Owner>,
    /// By type, and by what names a target in full, the first job that has it.
    same: HashMap<(String, String, Vec<String>), usize>,
    /// By name, the jobs that share a target and may.
    shared: BTreeMap<String, Vec<usize>>,
}

/// A job that has a target.
struct Owner {
    name: Arc<str>,
    type_name: String,
    task: TaskPath,
    element: Option<usize>,
    argument: String,
    wish: Vec<String>,
    may_share: bool,
    /// Itself, to be checked once more.
    body: Option<Box<dyn Erased>>,
}

impl SharedTargets {
    /// None yet; `is_allowed`: some task may share its target, so that jobs are kept to be checked once more.
    pub(super) fn new(is_allowed: bool) -> Self {
        let directory = std::env::current_dir().unwrap_or_default();
        SharedTargets { directory, is_allowed, ..SharedTargets::default() }
    }

    /// What a job is about, where its type says so.
    pub(super) fn claim(&self, about: JobTargets<'_>) -> Option<Claim> {
        let JobTargets { task, kind, element, args, name } = about;
        let targets = kind.target()?.targets(args, &self.directory);
        let first = targets.first()?;
        let owner = Owner {
            name: name.clone(),
            type_name: kind.name().to_owned(),
            task: task.path.clone(),
            element,
            argument: first.argument.clone(),
            wish: first.wish.clone(),
            may_share: task.may_share_target,
            body: self.without_jobs(kind, args),
        };
        Some(Claim { owner, targets })
    }

    /// A job that does not follow others: what has changed was seen by the job itself.
    fn without_jobs(&self, kind: &TaskType, args: &Value) -> Option<Box<dyn Erased>> {
        if !self.is_allowed || kind.job_fields().is_empty() {
            return None;
        }
        let mut args = args.clone();
        let object = args.as_object_mut()?;
        kind.job_fields().iter().for_each(|field| drop(object.remove(field)));
        arguments::read(kind, &args).ok().map(|job| job.body)
    }

    /// Notes what a job is about; returns a problem where another job is about the same.
    pub(super) fn add(&mut self, claim: Claim, body: &dyn Erased, places: &Places) -> Option<Problem> {
        let Claim { mut owner, targets } = claim;
        // Kept only where it may be needed: one that is not allowed is refused.
        if self.is_allowed && owner.body.is_none() {
            owner.body = Some(body.clone_box());
        }
        let (argument, element, task) = (owner.argument.clone(), owner.element, owner.task.clone());
        let type_name = owner.type_name.clone();
        let (other, target) = self.note(owner, targets)?;
        let other = &self.jobs[other];
        let shown = escaped(&target);
        let message = format!("two tasks of the type `{type_name}` have the same target, `{shown}`");
        let of_element = |element: Option<usize>| {
            element.map_or_else(String::new, |index| format!(" (element {} of `for_each`)", index + 1))
        };
        let there = place_of_argument(places, &other.task, &other.argument);
        let there = there.map_or_else(|| format!("task {}", other.task), |place| place.to_string());
        let hint = format!(
            "the other is at {there}{}; if both are intended, write `same_target: allowed`",
            of_element(other.element)
        );
        let place = place_of_argument(places, &task, &argument);
        let message = format!("{message}{}", of_element(element));
        Some(Problem { place, message, hint: Some(hint) })
    }

    /// Notes the targets of a job; returns one that another job has, which is at odds with it.
    fn note(&mut self, owner: Owner, targets: Vec<Target>) -> Option<(usize, String)> {
        let number = self.jobs.len();
        let mut at_odds = None;
        let mut shared = Vec::new();
        for target in targets {
            let full = (owner.type_name.clone(), target.name.clone(), target.part.clone());
            let same = *self.same.entry(full).or_insert(number);
            let is_same = same != number && (target.wish.is_empty() || self.jobs[same].wish != target.wish);
            let other = is_same.then_some(same);
            let Some(other) = other else { continue };
            if owner.may_share || self.jobs[other].may_share {
                shared.push((target.name, other));
            } else if at_odds.is_none() {
                at_odds = Some((other, target.name));
            }
        }
        for (name, other) in shared {
            let jobs = self.shared.entry(name).or_default();
            for job in [other, number] {
                if !jobs.contains(&job) {
                    jobs.push(job);
                }
            }
        }
        self.jobs.push(owner);
        at_odds
    }

    /// What is to be looked at once more when all is done.
    pub(super) fn final_checks(&self) -> Vec<(String, FinalCheck)> {
        let final_checks = self.shared.iter().map(|(name, jobs)| {
            let jobs = jobs.iter().map(|job| &self.jobs[*job]);
            let jobs = jobs.filter_map(|job| Some((job.name.clone(), job.body.as_ref()?.clone_box())));
            (name.clone(), FinalCheck::new(name.clone(), jobs.collect()))
        });
        final_checks.collect()
    }
}

/// A job and what says what it is about.
pub(super) struct JobTargets<'j> {
    pub(super) task: &'j Task,
    pub(super) kind: &'j TaskType,
    pub(super) element: Option<usize>,
    pub(super) args: &'j Value,
    pub(super) name: &'j Arc<str>,
}

/// A job whose targets are known, before it is made.
pub(super) struct Claim {
    owner: Owner,
    targets: Vec<Target>,
}

fn place_of_argument(places: &Places, task: &TaskPath, argument: &str) -> Option<Place> {
    let mut steps = task.steps();
    steps.extend([Step::Key("args"), Step::Key(argument)]);
    places.near(&steps)
}
