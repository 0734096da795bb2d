//! What a job can say beside "no": what differs, that it could not find out, that another try is pointless.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::time::Duration;

use similar::TextDiff;

use crate::context::command::CommandError;
use crate::context::results::ResultError;

/// A diff that is not found within this time is made coarser: showing it must not take longer than making it so.
const DIFF_TIMEOUT: Duration = Duration::from_secs(1);

/// The world is not as wanted: a reason, and where the check can tell, the difference.
///
/// Any other error of a check says the same; this one can carry a diff for `--diff`, and is never taken for "could not
/// find out".
///
/// ```
/// # use dojob::NotAsWanted;
/// let error = NotAsWanted::new("/etc/motd differs").diff("/etc/motd", "Hi\n", "Welcome\n");
/// assert_eq!(error.to_string(), "/etc/motd differs");
/// assert_eq!(error.difference_found().unwrap(), "--- /etc/motd\n+++ /etc/motd (wanted)\n@@ -1 +1 @@\n-Hi\n+Welcome\n");
/// ```
#[derive(Debug)]
pub struct NotAsWanted {
    reason: String,
    diff: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl NotAsWanted {
    /// For this reason, a short sentence.
    pub fn new(reason: impl Into<String>) -> Self {
        NotAsWanted { reason: reason.into(), diff: None, source: None }
    }

    /// Adds the difference between the text that was found and the one that is wanted, as a unified diff. What does not
    /// exist is best given as an empty text.
    #[must_use]
    pub fn diff(mut self, name: &str, found: &str, wanted: &str) -> Self {
        let diff = TextDiff::configure().timeout(DIFF_TIMEOUT).diff_lines(found, wanted);
        let text = diff.unified_diff().header(name, &format!("{name} (wanted)")).to_string();
        self.diff = (!text.is_empty()).then_some(text);
        self
    }

    /// Adds a difference that is no text: sizes and hashes of a binary file, say.
    #[must_use]
    pub fn difference(mut self, difference: impl Into<String>) -> Self {
        self.diff = Some(difference.into());
        self
    }

    /// Adds the error that says so.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The difference, where there is one.
    pub fn difference_found(&self) -> Option<&str> {
        self.diff.as_deref()
    }
}

impl Display for NotAsWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for NotAsWanted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// A check could not find out how things are. The try then fails without a run.
///
/// ```
/// # use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut, Result};
/// fn check(_: &mut Context) -> Result<()> {
///     let table = std::fs::read_to_string("/nowhere/mounts").or_could_not_find_out("what is mounted")?;
///     anyhow::ensure!(table.contains("/srv"), "/srv is not mounted");
///     Ok(())
/// }
/// # let graph = { let mut g = dojob::JobGraph::builder(); g.job("A", check, |_| unreachable!()); g.build()? };
/// # let report = dojob::Engine::with_graph(graph).tries(1).converge();
/// # assert_eq!(report.job("A").reason(), Some("could not find out what is mounted: No such file or directory (os error 2)"));
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct CouldNotFindOut {
    what: String,
    permanent: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CouldNotFindOut {
    /// Completes the sentence "could not find out …".
    pub fn new(what: impl Into<String>) -> Self {
        CouldNotFindOut { what: what.into(), permanent: false, source: None }
    }

    /// Nor could another try: see [`Permanent`].
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// Adds the error that was in the way.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Display for CouldNotFindOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not find out {}", self.what)
    }
}

impl Error for CouldNotFindOut {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Another try would end in the same way: arguments that no world fits, say, and no server that may answer in a while. A
/// try that ends without success, and in which a phase has returned such an error, is the job's last, however many it may
/// have. Whether it fails is still decided by the recheck.
///
/// Alone it says nothing of the world: a check that cannot tell returns a [`CouldNotFindOut`] that is
/// [permanent](CouldNotFindOut::permanent), or nobody keeps the job from being run.
///
/// ```
/// # use dojob::{Context, Permanent, Result};
/// fn run(_: &mut Context) -> Result<()> {
///     Err(Permanent::new("port 99999 is out of range").into())
/// }
/// # fn check(_: &mut Context) -> Result<()> { anyhow::bail!("nobody listens") }
/// # let graph = { let mut g = dojob::JobGraph::builder(); g.job("A", check, run); g.build()? };
/// let report = dojob::Engine::with_graph(graph).tries(5).converge();
/// assert_eq!(report.job("A").tries(), 1);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct Permanent {
    reason: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Permanent {
    /// For this reason, a short sentence.
    pub fn new(reason: impl Into<String>) -> Self {
        Permanent { reason: reason.into(), source: None }
    }

    /// Adds the error that says so.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Display for Permanent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Permanent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Whether an error says that another try is pointless, wherever in it.
pub(crate) fn is_permanent(error: &anyhow::Error) -> bool {
    let is_permanent = |cause: &(dyn Error + 'static)| {
        cause.is::<Permanent>()
            || cause.downcast_ref::<CouldNotFindOut>().is_some_and(|known| known.permanent)
    };
    error.downcast_ref::<Permanent>().is_some()
        || error.downcast_ref::<CouldNotFindOut>().is_some_and(|known| known.permanent)
        || error.chain().any(is_permanent)
}

/// Turns any error into a [`CouldNotFindOut`].
pub trait OrCouldNotFindOut<T> {
    /// On an error: "could not find out `what`", caused by that error.
    ///
    /// # Errors
    /// Where `self` is one.
    fn or_could_not_find_out(self, what: impl Display) -> anyhow::Result<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> OrCouldNotFindOut<T> for Result<T, E> {
    fn or_could_not_find_out(self, what: impl Display) -> anyhow::Result<T> {
        self.map_err(|source| CouldNotFindOut::new(what.to_string()).because(source).into())
    }
}

/// Whether an error of a check says that it could not find out. Among what `anyhow` has put around each other, that
/// counts before all else: nobody should change what they may not have seen. Below, the outermost error that knows
/// decides.
pub(crate) fn could_not_find_out(error: &anyhow::Error) -> bool {
    if error.downcast_ref::<CouldNotFindOut>().is_some() {
        return true;
    }
    if error.downcast_ref::<NotAsWanted>().is_some() {
        return false;
    }
    error
        .chain()
        .find_map(|cause| {
            if cause.is::<NotAsWanted>() {
                Some(false)
            } else if cause.is::<CouldNotFindOut>() {
                Some(true)
            } else if let Some(ResultError::NotYet { .. }) = cause.downcast_ref() {
                Some(true)
            } else if let Some(error) = cause.downcast_ref::<CommandError>() {
                Some(!matches!(error, CommandError::Failed(_)))
            } else {
                let error = cause.downcast_ref::<io::Error>()?;
                (error.kind() == io::ErrorKind::PermissionDenied).then_some(true)
            }
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    fn denied() -> io::Error {
        io::Error::from(io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn the_outermost_error_that_knows_decides() {
        assert!(!could_not_find_out(&anyhow!("different")));
        assert!(could_not_find_out(&anyhow::Error::new(denied()).context("failed to read a file")));
        assert!(could_not_find_out(&CouldNotFindOut::new("anything").into()));
        assert!(!could_not_find_out(&NotAsWanted::new("unreadable").because(denied()).into()));
        assert!(!could_not_find_out(&io::Error::from(io::ErrorKind::NotFound).into()));
        let around = anyhow::Error::new(NotAsWanted::new("different")).context(CouldNotFindOut::new("how"));
        assert!(could_not_find_out(&around));
        let nested: Result<(), _> = Err(denied()).or_could_not_find_out("who is there");
        let error = nested.context("outside").unwrap_err();
        assert!(could_not_find_out(&error));
        assert_eq!(format!("{error:#}"), "outside: could not find out who is there: permission denied");
    }
}
