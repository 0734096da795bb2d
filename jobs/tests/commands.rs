//! Jobs that run commands: another user's, any command with a check, scripts, waits, assertions and checkouts.

#[path = "commands/assert.rs"]
mod assert;
#[path = "commands/become.rs"]
mod r#become;
#[path = "commands/command.rs"]
mod command;
#[path = "commands/git_checkout.rs"]
mod git_checkout;
#[path = "commands/git_foreign.rs"]
mod git_foreign;
#[path = "commands/git_losses.rs"]
mod git_losses;
#[path = "commands/shell_script.rs"]
mod shell_script;
#[path = "support/converge.rs"]
mod support;
#[cfg(feature = "http")]
#[path = "commands/wait_for.rs"]
mod wait_for;
