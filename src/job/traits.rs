//! The three job traits.

use std::sync::Arc;

use anyhow::Result;

use super::any_job::Deps;
use super::retry::Retry;
use crate::context::Context;

/// A job with a check and a run.
///
/// ```
/// use dojob::{Context, Engine, Job, Result};
/// # use std::path::PathBuf;
///
/// /// A user that is created when missing.
/// #[derive(Clone, PartialEq)]
/// struct User {
///     name: String,
/// #   passwd: PathBuf,
/// }
///
/// impl Job for User {
///     fn name(&self) -> String {
///         format!("User {}", self.name)
///     }
///
///     fn check(&mut self, cx: &mut Context) -> Result<()> {
/// #       let id = cx.shell(&format!("grep -q '^{}:' {}", self.name, self.passwd.display())); #[cfg(any())]
///         let id = cx.command("id").arg(&self.name);
///         anyhow::ensure!(id.quiet().output()?.success(), "user {} does not exist", self.name);
///         Ok(())
///     }
///
///     fn run(&mut self, cx: &mut Context) -> Result<()> {
/// #       cx.shell(&format!("echo '{}:x:1000:' >> {}", self.name, self.passwd.display())).run()?; #[cfg(any())]
///         cx.command("useradd").args(["--create-home", &self.name]).run()?;
///         Ok(())
///     }
/// }
///
/// # let scratch = tempfile::tempdir()?;
/// # let passwd = scratch.path().join("passwd");
/// # std::fs::write(&passwd, "")?;
/// let mut engine = Engine::new(User {
///     name: "rosa".into(),
/// #   passwd,
/// })?;
/// let report = engine.converge();
/// assert_eq!(report.counts().changed, 1);
///
/// // Again: now there is nothing to do.
/// assert_eq!(engine.converge().counts().in_place, 1);
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// # What the engine expects
/// * `check` changes nothing, and may be called at any time.
/// * `run` may be called again after it failed, or was interrupted anywhere, and then goes on from what it finds.
/// * A panic in any method is a failure of that phase, and of nothing else. `std::process::exit`, an abort and a stack
///   overflow cannot be caught: they end the whole program at once, without cleanups, other jobs or a report. Return an
///   error instead.
///
/// Every try works on a fresh clone of the job, so fields can be changed at will and are never seen by the next try.
pub trait Job: Clone + PartialEq + Send + Sync + 'static {
    /// The name, unique in a graph; by default the name of the type. Two jobs of one name are taken for the same job,
    /// and then have to be equal.
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// The jobs that have to be in their wanted state before this one starts, in the order in which they are wanted.
    fn deps(&self) -> Deps {
        Deps::new()
    }

    /// How often to try; by default what the engine is set to. After an error that is [`Permanent`](crate::Permanent) it is
    /// not tried again.
    fn retry(&self) -> Retry {
        Retry::default()
    }

    /// Whether what is written down of its runs has to survive power loss, and not only a killed process; by default
    /// what the [engine](crate::Engine::durable) is set to.
    fn durable(&self) -> bool {
        false
    }

    /// Values by name that a job before it has to [provide](Job::provides); this job then depends on that one. What no job provides is an error
    /// before anything runs. They are read with [`Context::input`](crate::Context::input).
    fn requires(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Values by name that it hands on with [`Context::provide`](crate::Context::provide), in check, run or recheck, to jobs that
    /// [require](Job::requires) them. They are kept in the [`Journal`](crate::Journal), if there is one; where one of them is known neither from
    /// there nor from a check that passes, the job is run all the same.
    fn provides(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// The limits that it counts against while it is tried ([`Engine::limit`](crate::Engine::limit)).
    fn uses(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Says whether this piece of the world is as wanted: `Ok` when it is, otherwise the reason as a short sentence.
    ///
    /// # Errors
    /// Any error means that the world is not as wanted, and that `run` is called for; [`NotAsWanted`](crate::NotAsWanted)
    /// can show the difference, too. An error which says that it *could not find out* fails the try without a run, since
    /// nobody should change what they cannot see: [`CouldNotFindOut`](crate::CouldNotFindOut), and, unless a
    /// `NotAsWanted` is around it, a permission denied, or a command that cannot be started or did not end in time.
    fn check(&mut self, cx: &mut Context) -> Result<()>;

    /// Makes it so. Called after a check that failed; the check is called again afterwards and decides.
    ///
    /// # Errors
    /// An error is recorded and shown, but does not decide.
    fn run(&mut self, cx: &mut Context) -> Result<()>;

    /// Puts away what `run` left lying about. Called once for every run that was started, after the last job of the
    /// graph has settled, the last run first; on the same value and local storage that the run had.
    ///
    /// Where the engine has a [`Journal`](crate::Journal) and the process is killed, the next start calls it: on the job of
    /// this name as the graph has it then, with the local storage that the run has left and its arguments. It may rely on
    /// these two alone, and has to bear that it is called twice.
    ///
    /// # Errors
    /// An error is reported, and does not stop the cleanups of others.
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// Takes back what `run` has done: called, before all cleanups, for every run that was started, when a job has failed
    /// for good and [`OnFailure::Revert`](crate::OnFailure::Revert) is set. The runs of the job that failed come first, the
    /// others in reverse order. [`Context::failures`] says why; for the rest the same holds as for `cleanup`.
    ///
    /// # Errors
    /// An error stops the rollback: nothing more is reverted, and the report says *revert incomplete*.
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// Whether there is a cleanup to call. `--pending` leaves out those that have none, and says "if it has one" of those that
    /// do not tell: what a type overrides cannot be seen from outside. It is called in any case.
    fn has_cleanup(&self) -> Option<bool> {
        None
    }

    /// Whether there is a revert to call; as [`has_cleanup`](Job::has_cleanup).
    fn has_revert(&self) -> Option<bool> {
        None
    }
}

/// A job without a check, which runs every time: its check fails by definition, and its recheck is the result of its
/// run. What can be checked should be a [`Job`].
pub trait RunOnlyJob: Clone + PartialEq + Send + Sync + 'static {
    /// As [`Job::name`].
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// As [`Job::deps`].
    fn deps(&self) -> Deps {
        Deps::new()
    }

    /// As [`Job::retry`].
    fn retry(&self) -> Retry {
        Retry::default()
    }

    /// As [`Job::durable`].
    fn durable(&self) -> bool {
        false
    }

    /// As [`Job::requires`].
    fn requires(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// As [`Job::provides`].
    fn provides(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// As [`Job::uses`].
    fn uses(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Does what is to be done.
    ///
    /// # Errors
    /// An error fails the try.
    fn run(&mut self, cx: &mut Context) -> Result<()>;

    /// As [`Job::cleanup`].
    ///
    /// # Errors
    /// As there.
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// As [`Job::revert`].
    ///
    /// # Errors
    /// As there.
    fn revert(&mut self, cx: &mut Context) -> Result<()> {
        cx.set_absent();
        Ok(())
    }

    /// Whether there is a cleanup to call. `--pending` leaves out those that have none, and says "if it has one" of those that
    /// do not tell: what a type overrides cannot be seen from outside. It is called in any case.
    fn has_cleanup(&self) -> Option<bool> {
        None
    }

    /// Whether there is a revert to call; as [`has_cleanup`](RunOnlyJob::has_cleanup).
    fn has_revert(&self) -> Option<bool> {
        None
    }
}

/// A job that only holds others together: it converges when its dependencies have.
pub trait DummyJob: Clone + PartialEq + Send + Sync + 'static {
    /// As [`Job::name`].
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// As [`Job::deps`].
    fn deps(&self) -> Deps;
}

/// The name of a type without the modules that it and its parameters are in.
fn type_name<T>() -> String {
    let full = std::any::type_name::<T>();
    let mut name = String::with_capacity(full.len());
    // Where the path segment that is being read begins: a `::` ends a module's name, which is dropped.
    let mut segment = 0;
    for c in full.chars() {
        if c == ':' {
            name.truncate(segment);
            continue;
        }
        name.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            segment = name.len();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;
    struct Generic<T>(std::marker::PhantomData<T>);

    #[test]
    fn names_of_types_have_no_modules() {
        assert_eq!(type_name::<Plain>(), "Plain");
        assert_eq!(type_name::<Generic<Plain>>(), "Generic<Plain>");
        assert_eq!(type_name::<Generic<(Plain, Vec<String>)>>(), "Generic<(Plain, Vec<String>)>");
        assert_eq!(type_name::<&[Plain]>(), "&[Plain]");
    }
}
