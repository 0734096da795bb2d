//! Any bytes as a playbook with two task types: a graph, or problems that can be shown; never a panic.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use dojob::playbook::{Playbook, Registry};
use dojob::{Context, Job, Result, RunOnlyJob, units};
use libfuzzer_sys::fuzz_target;
use schemars::JsonSchema;
use serde::Deserialize;

/// Something with a check.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    path: String,
    #[serde(default)]
    size: u8,
    #[serde(default)]
    lines: Vec<String>,
    #[serde(default)]
    r#become: Option<String>,
}

impl Job for Note {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

/// Something without.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
struct Wait {
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    time: Duration,
    #[serde(default)]
    really: bool,
}

impl RunOnlyJob for Wait {
    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

dojob::task_type!(Note);
dojob::task_type!(Wait);

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::linked().expect("two types of two names"));

fuzz_target!(|bytes: &[u8]| {
    // Nothing outside of the input is to be read, be it a device that never ends.
    if bytes.windows(7).any(|window| window == b"include") {
        return;
    }
    let options = Playbook::options().facts(|name| Ok((name == "cpus").then(|| 4.into())));
    let validated =
        options.load_text("input", bytes).and_then(|playbook| playbook.outline(&REGISTRY));
    match validated {
        Ok(graph) => assert!(graph.len() > 0),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert!(!problems.to_string().is_empty());
        }
    }
});
