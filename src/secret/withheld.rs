//! The variables of this process's environment that hold secrets: no child inherits them.
//!
//! Kept for the whole process, as the environment is. A child that is meant to have one is given it explicitly.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{PoisonError, RwLock};

static NAMES: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// Keeps the variable `name` from all children that are started from now on.
#[cfg(feature = "playbook")]
pub(crate) fn withhold(name: &str) {
    let known = NAMES.read().unwrap_or_else(PoisonError::into_inner).contains(name);
    // What could not be a variable would make every start of a child fail.
    if !known && !name.is_empty() && !name.contains(['=', '\0']) {
        NAMES.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }
}

/// Takes the variables that hold secrets out of the environment of `command`.
pub(crate) fn withheld(command: &mut Command) -> &mut Command {
    for name in &*NAMES.read().unwrap_or_else(PoisonError::into_inner) {
        command.env_remove(name);
    }
    command
}
