//! The command `dojob`: runs playbooks with the ready-made jobs.

use std::process::ExitCode;

use dojob::cli::Program;
use dojob_jobs::Facts;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let facts = Facts::new();
    // What there is no fact of is told with the names that there are.
    Program::new().facts(move |name| facts.get(name).map(Some)).main()
}
