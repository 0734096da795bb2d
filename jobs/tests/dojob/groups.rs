//! Groups of tasks in playbooks: reverted, and tried again.

use std::fs;
use std::path::Path;

use super::dojob;

/// The playbook on the page, below `## Groups`.
fn on_the_page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/playbooks.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Groups\n").unwrap();
    let (_, text) = section.split_once("```hocon\n").unwrap();
    text.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_group_on_the_page_is_reverted_and_tries_the_next_mirror() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("site.conf"), on_the_page()).unwrap();
    fs::create_dir_all(at("mirrors/first")).unwrap();
    fs::create_dir_all(at("mirrors/second")).unwrap();
    fs::write(at("mirrors/second/app"), "app").unwrap();
    let (code, _, shown) = dojob(home.path(), &["run", "site.conf"]);
    assert_eq!(code, Some(0), "{shown}");
    let lines = shown.lines().filter(|line| !line.starts_with("failed") && !line.starts_with("converged"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "changed command source: source does not exist",
            "reverted command fetch",
            "reverted command source",
            "reverted mirror: attempt 1 failed because of command fetch; starting again",
            "changed command source: source does not exist",
            "changed command fetch: app does not exist",
            "changed command install: installed does not exist",
        ],
        "{shown}"
    );
    assert_eq!(fs::read_to_string(at("source")).unwrap(), "mirrors/second\n");
    assert_eq!(fs::read_to_string(at("installed")).unwrap(), "app");
}

#[test]
fn a_group_without_attempts_left_is_reverted_and_what_is_outside_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let text = r#"tasks: [
        { name: command, args { creates: before, run: [touch, before] } }
        { group { name: outer, tasks: [
            { name: command, args { creates: outer, run: [touch, outer], revert: [rm, outer] } }
            { group { name: inner, attempts: 2, tasks: [
                { name: command, args { creates: inner, run: "echo x >> tries; touch inner", revert: [rm, inner] } }
                { name: command, id: fails, tries: 1, args { creates: never, run: "false" } }
            ] } }
        ] } }
        { name: command, id: behind, args { creates: behind, run: [touch, behind] } }
    ]"#;
    fs::write(at("site.conf"), text).unwrap();
    let (code, _, shown) = dojob(home.path(), &["run", "site.conf"]);
    assert_eq!(code, Some(1), "{shown}");
    assert_eq!(fs::read_to_string(at("tries")).unwrap(), "x\nx\n");
    assert!(at("before").exists() && at("outer").exists(), "{shown}");
    assert!(!at("inner").exists() && !at("behind").exists(), "{shown}");
}
