//! The work of resolving grows as the text does.

use super::*;
use crate::playbook::hocon::settings::{Input, Settings};
use crate::playbook::hocon::tree_builder;

/// How much work a text is.
fn work(text: &str) -> usize {
    let settings = Settings::default();
    let entry = Input::Text { name: "text".to_owned(), text: text.as_bytes().to_vec() };
    let built = tree_builder::build(&entry, &settings);
    assert!(built.problems.is_empty());
    let resolved = resolve(&built.tree, &settings);
    assert!(resolved.wrong.is_empty(), "{}", resolved.wrong[0].message);
    resolved.work
}

/// Four times as much is about four times the work.
fn grows_with(text: impl Fn(usize) -> String) {
    let (few, many) = (work(&text(500)), work(&text(2_000)));
    assert!(many <= 5 * few, "{few} and {many}");
}

#[test]
fn work_grows_as_the_text_does() {
    let lines = |count: usize, line: &str| format!("{line}\n").repeat(count);
    grows_with(|n| lines(n, "x=${b}{z=${w}}") + "b {}\nw = 1\nl = [" + &lines(n, "${x.z}") + "]");
    grows_with(|n| lines(n, "x=${b}{z {y=${w}}}") + "b {}\nw = 1\nl = [" + &lines(n, "${x.z.y}") + "]");
    grows_with(|n| lines(n, "x += 1") + &lines(n, "y { z += 1 }"));
    grows_with(|n| "a = 1\nl = [".to_owned() + &lines(n, "{ b = ${a}, c = ${?d} }") + "]");
}
