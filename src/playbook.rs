//! Playbooks: HOCON files that name task types and their arguments.
//!
//! Everything in a playbook is validated before anything runs. Knows nothing of how its graph is converged.

pub mod hocon;
pub mod problem;
pub mod units;
