//! The tools that run commands as another user.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tool that runs commands as another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BecomeMethod {
    /// `sudo -n`. Its rules have to allow every command (`true` is tried first), and variables where a job sets some.
    Sudo,
    /// `doas -n`. It hands on no variables by itself: those of a job are given by `env`, and secret ones are refused.
    Doas,
    /// `run0`, of systemd 256 and later.
    Run0,
    /// `su`, for root only: it would ask anybody else for a password.
    Su,
}
