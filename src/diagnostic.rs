//! What is wrong with a text, and where: rendered for people, with the line and a caret below it.
//!
//! Knows text and places only; nothing of HOCON, playbooks or tasks.

mod hidden;
mod place;
mod problem;
mod render;
mod source;

pub(crate) use self::hidden::hide_arguments;
pub use self::place::Place;
pub use self::problem::{Problem, Problems};
pub use self::source::Source;
