//! A last look at a target that several tasks may have: whether all of them have what they want when all is done.
//!
//! It is a job of its own behind all others, which checks theirs once more and has nothing to run.

use std::any::Any;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use crate::context::Context;
use crate::job::reason::Permanent;
use crate::job::{Deps, JobKind};
use crate::job::{Erased, Sameness};

/// The jobs of one target.
pub(super) struct FinalCheck {
    target: String,
    jobs: Vec<(Arc<str>, Box<dyn Erased>)>,
}

impl FinalCheck {
    pub(super) fn new(target: String, jobs: Vec<(Arc<str>, Box<dyn Erased>)>) -> Self {
        FinalCheck { target, jobs }
    }
}

impl Erased for FinalCheck {
    fn kind(&self) -> JobKind {
        JobKind::Job
    }

    fn type_name(&self) -> &'static str {
        "last look"
    }

    fn deps(&self) -> Deps {
        Deps::new()
    }

    fn check(&mut self, cx: &mut Context) -> Result<()> {
        for at in 0..self.jobs.len() {
            let (name, body) = &mut self.jobs[at];
            let (name, found) = (name.clone(), body.check(cx));
            let Err(error) = found else { continue };
            if cx.is_early() {
                // Whether they go together shows when they have run.
                return Err(error.context(format!("`{name}` is not in place")));
            }
            let others = self.jobs.iter().map(|(other, _)| other).filter(|other| **other != name);
            let others: Vec<String> = others.map(|other| format!("`{other}`")).collect();
            let reason = format!(
                "`{name}` and {} conflict at `{}`: after all of them have run, `{name}` is not in place",
                others.join(" and "),
                self.target
            );
            return Err(error.context(reason));
        }
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Err(Permanent::new("running them again would not resolve the conflict")
            .because(anyhow!("remove one of them, or make them want the same"))
            .into())
    }

    fn cleanup(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }

    fn revert(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }

    fn clone_box(&self) -> Box<dyn Erased> {
        let jobs = self.jobs.iter().map(|(name, body)| (name.clone(), body.clone_box()));
        Box::new(FinalCheck { target: self.target.clone(), jobs: jobs.collect() })
    }

    fn value(&self) -> &dyn Any {
        &self.target
    }

    fn compare(&self, other: &dyn Erased) -> Sameness {
        match other.value().downcast_ref::<String>() {
            Some(target) if *target == self.target => Sameness::Same,
            Some(_) => Sameness::OtherValue,
            None => Sameness::OtherType,
        }
    }

    fn has_cleanup(&self) -> Option<bool> {
        Some(false)
    }

    fn has_revert(&self) -> Option<bool> {
        Some(false)
    }
}
