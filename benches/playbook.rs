//! What a playbook costs before anything runs: text to graph.
//!
//! `cargo bench --features playbook --bench playbook`; with a number, so many tasks at most; with a name, that
//! playbook alone.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dojob::playbook::{Playbook, Registry};
use dojob::{Context, Job, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// That of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A file, of the size that people write.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BenchFile {
    path: std::path::PathBuf,
    content: Option<String>,
    mode: Option<String>,
    #[serde(default)]
    backup: bool,
}

impl Job for BenchFile {
    fn check(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }

    fn run(&mut self, _: &mut Context) -> Result<()> {
        Ok(())
    }
}

dojob::task_type!(BenchFile);

fn tasks(count: usize) -> String {
    let mut text = String::from("vars { root: /srv/www }\ntasks: [\n");
    for number in 0..count {
        let _ = writeln!(
            text,
            "    {{ name: bench_file\n      args: {{ path: ${{vars.root}}/page-{number}.html\n              content: \"page {number}\", mode: \"0644\" }} }}"
        );
    }
    text.push_str("]\n");
    text
}

fn graph(count: usize) -> String {
    let text = tasks(count);
    let text = text.replacen("tasks:", "order: graph\ntasks:", 1);
    let mut number = 0;
    let mut linked = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        linked.push_str(line);
        if line.contains("name: bench_file") {
            let _ = write!(linked, ", id: t{number}");
            if number > 0 {
                let _ = write!(linked, ", after: t{}", number / 2);
            }
            number += 1;
        }
        linked.push('\n');
    }
    linked
}

fn each(count: usize) -> String {
    let elements: Vec<String> = (0..count).map(|number| format!("page-{number}")).collect();
    format!(
        "tasks: [ {{ name: bench_file, for_each: [{}], args {{ path: /srv/www/${{item}}, content: x }} }} ]",
        elements.join(", ")
    )
}

fn measured(text: &str, registry: &Registry) -> (Duration, Duration) {
    let best = |work: &dyn Fn() -> Duration| (0..3).map(|_| work()).min().unwrap_or_default();
    #[allow(clippy::disallowed_methods, reason = "a bench measures time")]
    let now = Instant::now;
    let parsed = best(&|| {
        let start = now();
        Playbook::options().load_text("bench", text).expect("a good playbook");
        start.elapsed()
    });
    let all = best(&|| {
        let start = now();
        let playbook = Playbook::options().load_text("bench", text).expect("a good playbook");
        playbook.graph(registry).expect("a good playbook");
        start.elapsed()
    });
    (parsed, all)
}

#[allow(clippy::print_stdout, reason = "a bench prints what it has measured")]
fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let most = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(40_000);
    let names: Vec<&String> = args.iter().filter(|arg| arg.parse::<usize>().is_err()).collect();
    let registry = Registry::linked().expect("one type");
    println!("{:>8}  {:10} {:>10} {:>10} {:>12}", "tasks", "what", "text", "all", "each");
    for (what, text) in [("sequence", tasks as fn(usize) -> String), ("graph", graph), ("for_each", each)] {
        if !names.is_empty() && !names.iter().any(|name| *name == what) {
            continue;
        }
        for count in [2_500, 10_000, 40_000].into_iter().filter(|count| *count <= most) {
            let (parsed, all) = measured(&text(count), &registry);
            let one = all / u32::try_from(count).unwrap_or(u32::MAX);
            println!("{count:>8}  {what:10} {parsed:>10.1?} {all:>10.1?} {one:>12.1?}");
        }
    }
}
