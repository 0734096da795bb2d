//! HOCON by the table `playbooks/hocon/cases.txt`, beside what hocon-parser itself makes of it; where values stand; what
//! hostile input comes to.

use std::collections::BTreeMap;

use dojob::playbook::hocon_for_tests::{Settings, load};
use serde_json::{Value, json};

mod support {
    pub(crate) mod hocon;
}
use support::hocon::{library, text};

/// What the cases are read with.
fn settings() -> Settings {
    let environment = [
        ("ENV_TEXT", "text of the environment"),
        ("ENV_NUMBER", "42"),
        ("NUMBERED_0", "a"),
        ("NUMBERED_1", "b"),
        ("a.dotted", "dotted"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let given = [
        ("CWD", json!("/here")),
        ("PLATFORM", json!("Linux")),
        ("TODAY", json!("2026-11-22")),
        ("facts", json!({ "cpus": 4, "os": { "name": "debian" } })),
    ];
    let given = given.map(|(name, value)| (name.to_owned(), value));
    Settings { given: BTreeMap::from(given), environment: BTreeMap::from(environment), ..Settings::default() }
}

struct Case<'t> {
    title: &'t str,
    text: &'t str,
    expected: &'t str,
    /// Whether hocon-parser agrees.
    agreed: bool,
}

fn cases(table: &str) -> Vec<Case<'_>> {
    let cases = table.split("\n### ").skip(1).map(|case| {
        let (title, rest) = case.split_once('\n').unwrap();
        let agreed = !rest.contains("\n== ") && !rest.starts_with("== ");
        let (text, expected) =
            rest.split_once(if agreed { "\n=> " } else { "\n== " }).unwrap_or_else(|| panic!("{title}"));
        Case { title, text, expected: expected.trim_end(), agreed }
    });
    cases.collect()
}

#[test]
fn every_case_comes_to_what_the_table_says() {
    let table = include_str!("playbooks/hocon/cases.txt");
    let cases = cases(table);
    assert!(cases.len() >= 120, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let loaded = load(&text(case.text), &settings());
        let found = match &loaded {
            Ok(loaded) => loaded.value.to_string(),
            Err(problems) => {
                let messages: Vec<&str> = problems.0.iter().map(|problem| problem.message.as_str()).collect();
                format!("error {}", messages.join(" | "))
            }
        };
        let right = match (case.expected.strip_prefix("error "), &loaded) {
            (Some(messages), Err(problems)) => {
                let messages: Vec<&str> = messages.split(" | ").collect();
                let begins = messages.iter().zip(&problems.0).all(|(one, two)| two.message.starts_with(one));
                messages.len() == problems.0.len() && begins
            }
            (None, Ok(loaded)) => {
                loaded.value == serde_json::from_str::<Value>(case.expected).expect(case.title)
            }
            _ => false,
        };
        if !right {
            wrong
                .push(format!("{}\n{}\nexpected {}\nfound    {found}", case.title, case.text, case.expected));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn the_parser_itself_agrees_but_where_the_table_says_so() {
    let table = include_str!("playbooks/hocon/cases.txt");
    let mut wrong = Vec::new();
    for case in cases(table) {
        let theirs = library(case.text, &settings().environment);
        let ours = load(&text(case.text), &settings()).ok().map(|loaded| loaded.value.to_json());
        if (theirs == ours) != case.agreed {
            wrong.push(format!("{}\n{}\ntheirs {theirs:?}\nours   {ours:?}", case.title, case.text));
        }
    }
    assert!(wrong.is_empty(), "{}:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
