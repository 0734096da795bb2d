//! dojob: 300 files, as a whole program with its command line, its journal, and what it prints.

use std::path::Path;
use std::process::ExitCode;

use dojob::{Deps, DummyJob};
use dojob_jobs::File;

#[derive(Clone, PartialEq)]
struct Files(Vec<File>);

impl DummyJob for Files {
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        deps.extend(self.0.iter().cloned());
        deps
    }
}

fn main() -> ExitCode {
    let Some(directory) = std::env::var_os("FILES") else {
        eprintln!("FILES says in which directory");
        return ExitCode::from(2);
    };
    let file = |number: u32| {
        let content = format!("number = {number}\n").repeat(20);
        File::new(Path::new(&directory).join(format!("{number}.conf")), content).mode(0o640)
    };
    dojob::cli::provision(Files((0..300).map(file).collect()))
}
