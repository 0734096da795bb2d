//! What the log of a posting has of one job, and of the places at which owners were lost.
//!
//! Plain values: [`history`](super::history) makes them.

use serde::{Deserialize, Serialize};

use super::job_state::JobState;
use crate::event::Phase;

/// A job, as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobHistory {
    /// Where it is on its way.
    pub state: JobState,
    /// How many tries it had, of all owners.
    pub tries: u32,
    /// Why it failed, or what blocks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a run of it was needed.
    #[serde(default)]
    pub has_changed: bool,
    /// The try whose run was announced last, until it is known how that try ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) announced: Option<u32>,
}

/// What was under way when an owner lost its claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Loss {
    /// The job and its phase; `None`: no try was under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<(String, Phase)>,
    /// How often owners were lost there, since the job was last settled.
    pub times: u32,
}
