//! The records of a log.
//!
//! Pure.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Failure;
use crate::secret::{MASK, Redactor};

/// The version of the records and of their form that is written, and the highest that is read.
pub(crate) const VERSION: u32 = 3;

/// A path as a journal has it: not every path is a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Location {
    Text(String),
    Bytes(Vec<u8>),
}

impl Location {
    /// A path as it is written down; with a secret in it, masked.
    pub(crate) fn without_secrets(path: &Path, redactor: &Redactor) -> Location {
        match Location::from(path) {
            Location::Text(text) if redactor.finds_in(&text) => {
                Location::Text(redactor.mask(&text).into_owned())
            }
            Location::Bytes(bytes) if redactor.finds_in(&String::from_utf8_lossy(&bytes)) => {
                Location::Text(MASK.to_owned())
            }
            location => location,
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Location::Text(text.to_owned()),
            None => Location::Bytes(path.as_os_str().as_bytes().to_owned()),
        }
    }
}

impl From<Location> for PathBuf {
    fn from(location: Location) -> Self {
        match location {
            Location::Text(text) => text.into(),
            Location::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

/// One thing that was written down. `n` is the number of a run of a job, counted on from start to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Record {
    /// The first of a file.
    Journal { version: u32 },
    /// A convergence begins; the intents that follow are its own.
    Start {
        run: String,
        at: Timestamp,
        pid: u32,
        /// Which start of the machine, where that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot: Option<String>,
        /// Whether it takes back what it did when it cannot be finished.
        revert: bool,
        /// The working directory in which it began, without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<Location>,
        /// Without secrets.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        args: Map<String, Value>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        positional: Vec<Value>,
    },
    /// A run of a job is about to begin.
    Intent {
        n: u64,
        job: String,
        #[serde(rename = "try")]
        attempt: u32,
        tries: u32,
        /// Without secrets.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        local: Map<String, Value>,
        /// The groups around the job for which it may have to be reverted, the outermost first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
    /// Something was put into its local storage.
    Set { n: u64, key: String, value: Value },
    /// Something was taken out of it, or is a secret, which is not kept.
    Unset { n: u64, key: String },
    /// It is about to start a command. All of its processes carry the token in their environment (`DOJOB_COMMAND`).
    Starting { n: u64, token: String },
    /// That command is at work, as the leader of this process group. `start`: the leader's start time in ticks since the
    /// machine's, where that can be told. Without a token in version 1, which had no other record of a start.
    Spawned {
        n: u64,
        group: i32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// That command has ended, or was not started after all; what it left behind is meant to live on.
    Finished { n: u64, token: String },
    /// The same in version 1, and whenever an earlier command that was left was ended.
    Ended { n: u64, group: i32 },
    /// Its try has ended with this result. Only where it may have to be reverted.
    Tried { n: u64, result: Value },
    /// Jobs have failed for good, and all that was run is going to be reverted.
    Undo { failures: BTreeMap<String, Failure> },
    /// A run was reverted, or there is nothing that could be called for it.
    Undone { n: u64 },
    /// Everything was reverted, or the rest was given up on purpose.
    UndoEnded,
    /// An attempt of a group begins. Those of the groups in it begin anew with it. The first one is written down only where its
    /// values are not known beforehand.
    Attempt {
        group: String,
        attempt: u32,
        /// The groups around it, the outermost first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        within: Vec<String>,
        /// What it is attempted with, from the first value on, where that was found out when the group started. Without secrets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<Vec<Value>>,
    },
    /// An attempt of a group has failed, and what was run in it is going to be reverted.
    GroupUndo {
        group: String,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        within: Vec<String>,
        failures: BTreeMap<String, Failure>,
        /// Whether there is another attempt afterwards.
        again: bool,
    },
    /// That was done.
    GroupUndone { group: String },
    /// A job has converged and provides these values. Without secrets.
    Provided { job: String, values: Map<String, Value> },
    /// Its cleanup has succeeded, or there was nothing to clean up.
    Settled { n: u64 },
    /// Its cleanup was left out on purpose.
    Declined { n: u64 },
    /// A job has converged that asked what its dependencies had changed; it need not see again what was begun before `n`.
    Seen { job: String, n: u64 },
    /// All changes so far were seen by whom they concern.
    AllSeen,
    /// Kept of an intent that is otherwise settled: the job may have changed something that its dependents have not seen.
    Mark { job: String, n: u64 },
    /// The convergence has ended by itself.
    End { converged: bool },
}
