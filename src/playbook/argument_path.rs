//! The path of an argument: the steps that lead to a value among the arguments of a task.

use super::hocon::Step;

/// A step on the way to an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ArgumentStep {
    /// Into an object.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// As people write it: `users[0].name`.
pub(super) fn shown_path(path: &[ArgumentStep]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            ArgumentStep::Key(key) if shown.is_empty() => shown.push_str(key),
            ArgumentStep::Key(key) => shown.extend([".", key]),
            ArgumentStep::Index(index) => shown.push_str(&format!("[{index}]")),
        }
    }
    shown
}

/// Steps on the way to an argument as those of a place.
pub(super) fn as_steps(path: &[ArgumentStep]) -> impl Iterator<Item = Step<'_>> {
    path.iter().map(|step| match step {
        ArgumentStep::Key(key) => Step::Key(key),
        ArgumentStep::Index(index) => Step::Index(*index),
    })
}
