//! The command `dojob`: runs playbooks with the ready-made jobs.

use std::process::ExitCode;

use dojob::cli::Program;
use dojob_jobs::{Facts, NoSuchFact};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let facts = Facts::new();
    let fact = move |name: &str| match facts.get(name) {
        // With the names that there are; `${?facts.…}` is content with none.
        Err(error) => match error.downcast::<NoSuchFact>() {
            Ok(none) => Err(dojob::playbook::NoSuchFact::new(none).into()),
            Err(error) => Err(error),
        },
        found => found.map(Some),
    };
    Program::new().facts(fact).main()
}
