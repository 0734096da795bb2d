//! Bad playbooks, each with its message beside it.
//!
//! A first line `#! tags=a` chooses tags, `#! set=path=value` sets something.

use std::fs;
use std::path::{Path, PathBuf};

use dojob::playbook::{Playbook, Problems, Registry};

fn bad() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/playbooks/bad")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    files.sort();
    files
}

fn problems(path: &Path) -> Result<(), Problems> {
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let said = |key: &str| {
        let line = text.lines().next().and_then(|line| line.strip_prefix("#! "));
        line.and_then(|line| line.strip_prefix(key)).map(str::to_owned)
    };
    let options = Playbook::options().facts(|fact| match fact {
        "os.family" => Ok(Some("debian".into())),
        "os.broken" => anyhow::bail!("nobody knows"),
        _ => Ok(None),
    });
    let options = said("set=").into_iter().fold(options, |options, set| options.set_text(set));
    let playbook = options.load(path)?.tags(said("tags="));
    playbook.validate(&Registry::linked().unwrap())
}

#[test]
fn what_is_wrong_is_told_word_by_word() {
    let renew = std::env::var_os("RENEW").is_some();
    let mut differ = Vec::new();
    for path in bad() {
        let Err(problems) = problems(&path) else {
            differ.push(format!("{}: nothing is wrong with it", path.display()));
            continue;
        };
        let found = format!("{problems}\n");
        let beside = path.with_extension("txt");
        if renew {
            fs::write(&beside, &found).unwrap();
        }
        let wanted = fs::read_to_string(&beside).unwrap_or_default();
        if found != wanted {
            differ.push(format!("{}:\n--- found\n{found}--- wanted\n{wanted}", path.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn there_are_many_of_them_and_every_message_has_its_playbook() {
    assert!(bad().len() >= 60, "{}", bad().len());
    for entry in fs::read_dir("tests/playbooks/bad").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(path.with_extension("conf").exists(), "{}", path.display());
        }
    }
}

#[test]
fn every_problem_has_a_place() {
    for path in bad() {
        let Err(Problems(problems)) = problems(&path) else { continue };
        // What is not in the file, and what must not be shown of it.
        let has_none =
            fs::read(&path).unwrap().starts_with(b"#! tags") || path.ends_with("secret_in_clear.conf");
        for problem in problems {
            assert!(problem.place.is_some() || has_none, "{}: {problem}", path.display());
        }
    }
}
