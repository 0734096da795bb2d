//! What a check makes of something that is missing when it is called early, in a look ahead: a job before it may bring it,
//! so that it is in place is no secret, it is not.
//!
//! Where jobs are run nothing of this counts: there a check that could not find out keeps its job from being run.

use std::path::Path;

use anyhow::Error;
use dojob::{CommandError, Context, NotAsWanted, Result};

use crate::command_line::NoSuchProgram;
use crate::disk::inspect::{self, Links};

/// What was found out, or in a check that is called early: that it is not in place, where `missing` says why that is known all
/// the same.
pub(crate) fn or_missing<T>(
    cx: &Context,
    found: Result<T>,
    missing: impl FnOnce(&Error) -> Option<String>,
) -> Result<T> {
    found.map_err(|error| match cx.is_early().then(|| missing(&error)).flatten() {
        Some(reason) => NotAsWanted::new(reason).into(),
        None => error,
    })
}

/// Whether it is known that there is nothing at a path, not even a link.
pub(crate) fn is_missing(path: &Path) -> bool {
    matches!(inspect::meta(path, Links::Stay), Ok(None))
}

/// Why a command has not even begun: its program is not there yet, or the directory to start in.
pub(crate) fn not_begun(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let known = match cause.downcast_ref() {
            Some(
                CommandError::NotFound { .. }
                | CommandError::NoDirectory { .. }
                | CommandError::NoInterpreter { .. },
            ) => true,
            _ => cause.is::<NoSuchProgram>(),
        };
        known.then(|| cause.to_string())
    })
}
