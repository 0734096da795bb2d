//! For tests of jobs: faults at a place of one's choosing, and a proof that a job may be run as often as one likes.
//!
//! Wraps jobs and converges graphs; the engine does not know of it.

mod faults;
mod proof;

pub use self::faults::{Fault, Faults};
pub use self::proof::Proof;
