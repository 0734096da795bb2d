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
    let registry = Registry::linked().unwrap();
    match said("tags=") {
        Some(tag) => options.load(path)?.tags([tag]).validate(&registry),
        None => options.validate(path, &registry),
    }
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
        let Err(problems) = problems(&path) else { continue };
        let text = fs::read_to_string(&path).unwrap_or_default();
        // Of what is in the file somebody may have written down a secret.
        let is_in_words = |message: &str| text.contains("secrets") && message.contains(".conf:");
        let is_not_in_the_file = text.starts_with("#! ");
        for problem in problems.0 {
            let is_placed = problem.place.is_some() || is_in_words(&problem.message);
            assert!(is_placed || is_not_in_the_file, "{}: {problem}", path.display());
        }
    }
}

#[test]
fn a_secret_in_the_playbook_itself_is_not_shown() {
    let with_one =
        bad().into_iter().filter(|path| fs::read(path).unwrap().windows(7).any(|text| text == b"hunter2"));
    let messages: Vec<String> = with_one.map(|path| problems(&path).unwrap_err().to_string()).collect();
    assert!(messages.len() >= 3);
    assert!(messages.iter().all(|message| !message.contains("hunter2")), "{messages:?}");
}
