//! What the job `Package` asks of a program that manages packages: the seam behind which there may be others than apt.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use dojob::{Context, Result};

/// How far a package is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not at all.
    Absent,
    /// Only its configuration is there.
    ConfigurationLeft,
    /// Neither: something was interrupted; how the manager calls that.
    Unfinished(String),
    /// All of it, in this version.
    Installed(String),
}

/// What is known of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstalledState {
    pub(crate) status: Status,
    /// Whether it was told to stay at its version.
    pub(crate) held: bool,
    /// Whether it is installed for the sake of others alone, and goes when they do.
    pub(crate) automatic: bool,
}

/// What is to be done, in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) action: Action,
    pub(crate) names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Install or upgrade.
    Install {
        /// The version, where it is not just the newest.
        version: Option<String>,
        /// Whether recommended packages come with it, where that is said.
        recommends: Option<bool>,
        /// Whether other packages may be removed for it.
        may_remove: bool,
    },
    /// Remove, with the configuration or without.
    Remove { purge: bool },
}

/// A package before and after a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What has no version before and after was not there but for its configuration.
        let nothing = if self.to.is_none() { "(configuration)" } else { "(none)" };
        let from = self.from.as_deref().unwrap_or(nothing);
        write!(f, "{} {from} -> {}", self.name, self.to.as_deref().unwrap_or("(none)"))
    }
}

/// A program that manages packages. What only looks takes no lock, and as a rule no rights.
pub(crate) trait PackageManager {
    /// How far each of these is installed, in their order.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn find(&self, cx: &Context, names: &[String]) -> Result<Vec<InstalledState>>;

    /// The version of each that would be installed now; a name that nobody knows is missing.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn candidates(&self, cx: &Context, names: &[String]) -> Result<BTreeMap<String, String>>;

    /// Which packages provide names that no package has itself, those that are installed alone or all that there are to be
    /// had; names that none provides are missing.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn providers(
        &self,
        cx: &Context,
        names: &[String],
        installed: bool,
    ) -> Result<BTreeMap<String, Vec<String>>>;

    /// What a transaction would change, other packages included.
    ///
    /// # Errors
    /// When the manager would refuse it, or will not say.
    fn preview(&self, cx: &Context, transaction: &Transaction) -> Result<Vec<Change>>;

    /// How old the list of what there is to be had is; `None` where there is none.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn age(&self, cx: &Context) -> Result<Option<Duration>>;

    /// The file that says where packages come from, and is newer than that list; as it is named on the machine.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn newer_source(&self, cx: &Context) -> Result<Option<String>>;

    /// Notes that these, which are installed, are wanted for themselves.
    ///
    /// # Errors
    /// As [`refresh`](PackageManager::refresh).
    fn want(&self, cx: &Context, names: &[String]) -> Result<()>;

    /// Fetches that list.
    ///
    /// # Errors
    /// When that fails, or somebody holds the lock for too long.
    fn refresh(&self, cx: &Context) -> Result<()>;

    /// Finishes what was interrupted, where anything was: configures what is unpacked, and gets what it lacks. `may_remove`:
    /// whether other packages may go for that.
    ///
    /// # Errors
    /// As [`refresh`](PackageManager::refresh).
    fn finish(&self, cx: &Context, may_remove: bool) -> Result<()>;

    /// Does it.
    ///
    /// # Errors
    /// As [`refresh`](PackageManager::refresh).
    fn apply(&self, cx: &Context, transaction: &Transaction) -> Result<()>;
}
