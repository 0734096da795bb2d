//! Jobs that run commands: another user's, any command with a check, scripts, waits, assertions and checkouts.

#[path = "commands/become.rs"]
mod r#become;
#[path = "support/converge.rs"]
mod support;
