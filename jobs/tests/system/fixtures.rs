//! All fixtures, in one table.

use std::fs;
use std::path::{Path, PathBuf};

use crate::own_process::alone;
use crate::stand_in::Fixture;
use crate::tree::is_root;

/// Every file of `tests/fixtures/TYPE`, in order.
fn cases() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let list = |directory: &Path| {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    list(&all).iter().filter(|path| path.is_dir()).flat_map(|directory| list(directory)).collect()
}

/// `ONLY=user/new` plays those alone whose path has that in it; `SHOW=1` prints what came of each.
#[test]
fn facts_in_commands_out() {
    // Alone: programs are written and called, which fails while another test, just forked, has them still open.
    match std::env::var_os("SHOW") {
        Some(_) => play_all(),
        None => alone(&[], play_all),
    }
}

#[allow(clippy::print_stdout, reason = "it shows what it was asked to show")]
fn play_all() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(!cases.is_empty());
    for path in cases.iter().filter(|path| path.to_string_lossy().contains(&only)) {
        let fixture = Fixture::read(path);
        if fixture.unprivileged && !is_root(&path.to_string_lossy()) {
            continue;
        }
        let came = fixture.play(path);
        let shown = serde_json::to_string_pretty(&came).unwrap();
        if std::env::var_os("SHOW").is_some() {
            println!("FIXTURE {}\n{shown}\nEND", path.display());
        }
        if came != fixture.expected {
            let expected = serde_json::to_string_pretty(&fixture.expected).unwrap();
            wrong.push(format!("{} ({})\nexpected {expected}\ncame {shown}", path.display(), fixture.about));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
