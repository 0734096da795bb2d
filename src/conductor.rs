//! The conductor: claims postings, has agents run them, keeps its claims alive, and hands over.
//!
//! [`Machine`] decides all of that, and does none of it: inputs go in, effects come out, time is an argument. Knows no threads, no
//! processes, no clock and no board; whoever carries its effects out tells it what they came to.

mod machine;
mod vocabulary;
mod work;

#[cfg(test)]
mod simulation;

pub use self::machine::Machine;
pub use self::vocabulary::{Effect, Ending, Input, Notice, Settings, Stop, Trouble};
