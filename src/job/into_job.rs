//! From a value of one of the job traits to a job of a graph.

use std::sync::Arc;

use super::any_job::{AnyJob, IntoJob};
use super::erased::{Checked, Dummy, RunOnly};
use super::marker;
use super::retry::Retry;
use super::traits::{DummyJob, Job, RunOnlyJob};
use crate::secret::without_passwords;

/// Names are shown everywhere, and kept: what a URL in one has as its password is no part of it.
fn shown_name(name: &str) -> Arc<str> {
    without_passwords(name).into()
}

impl<J: Job> IntoJob<marker::Checked> for J {
    fn into_job(self) -> AnyJob {
        AnyJob {
            name: shown_name(&self.name()),
            retry: self.retry(),
            durable: self.durable(),
            arguments: None,
            body: Box::new(Checked(self)),
        }
    }
}

impl<J: RunOnlyJob> IntoJob<marker::RunOnly> for J {
    fn into_job(self) -> AnyJob {
        AnyJob {
            name: shown_name(&self.name()),
            retry: self.retry(),
            durable: self.durable(),
            arguments: None,
            body: Box::new(RunOnly(self)),
        }
    }
}

impl<J: DummyJob> IntoJob<marker::Dummy> for J {
    fn into_job(self) -> AnyJob {
        AnyJob {
            name: shown_name(&self.name()),
            retry: Retry::default(),
            durable: false,
            arguments: None,
            body: Box::new(Dummy(self)),
        }
    }
}
