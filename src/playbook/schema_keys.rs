//! What the schema of a task type says beyond JSON Schema: the names of these keys.

/// Of an argument: its value names jobs, in a playbook by the ids of their tasks.
pub(super) const JOBS: &str = "x-dojob-jobs";
/// Of an argument: it is a template.
pub(super) const TEMPLATE: &str = "x-dojob-template";
/// Of a type: the result of its jobs.
pub(super) const RESULT: &str = "x-dojob-result";
/// Of a type: the arguments that name its target.
pub(super) const TARGET: &str = "x-dojob-target";
/// Of an argument: its strings are octal digits, so that a number may mean two things.
pub(super) const OCTAL: &str = "x-dojob-octal";
/// Of an argument: numbers are handed over as they were written, also within lists and objects, each as an object with this
/// one key and a string behind it.
pub(super) const WRITTEN: &str = "x-written-number";
/// Of an argument: how its string is read, `regex` or `replacement`.
pub(super) const LITERAL: &str = "x-literal";
