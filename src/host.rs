//! What never leaves a machine: the log file and its lock, the state directory, and processes of earlier convergences.
//!
//! Knows no jobs.

pub(crate) mod file_log;
pub(crate) mod lock;
mod processes;
pub(crate) mod state_dir;
pub(crate) mod trust;
