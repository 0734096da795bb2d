//! What comes from outside of a playbook's text: variables of the environment and what is given.

use dojob::playbook::hocon::{Override, Settings, load};
use serde_json::json;

mod support {
    pub(crate) mod hocon;
}
use support::hocon::{library, text};

fn settings(environment: &[(&str, &str)]) -> Settings {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings {
        environment: environment.collect(),
        deferred: vec!["secrets".to_owned()],
        ..Settings::default()
    }
}

fn said(source: &str, settings: &Settings) -> String {
    load(&text(source), settings)
        .map_or_else(|problems| problems.to_string(), |loaded| loaded.value.to_string())
}

/// What a mark of `${secrets.t}` looks like.
const MARK: &str = "\u{F0000}secrets\u{F0002}t\u{F0001}";

#[test]
fn the_parser_is_used_as_a_library() {
    assert!(library("a = 1", &Default::default()).is_some());
}

#[test]
fn what_is_used_of_the_environment_is_known_with_its_places() {
    let settings = settings(&[("TOK", "x"), ("UNUSED", "y"), ("OWN", "z"), ("L_0", "0"), ("L_1", "1")]);
    let playbook = load(
        &text("a = ${TOK}, OWN = mine, b = ${OWN}\nc = [${?TOK}, ${?NOBODY}], d = \"${UNUSED}\"\ne = ${L[]}, f = ${a}"),
        &settings,
    )
    .unwrap();
    let used = playbook.environment.iter().map(|(name, places)| {
        let places: Vec<String> =
            places.iter().map(|place| format!("{}:{}+{}", place.line, place.column, place.length)).collect();
        format!("{name} {}", places.join(" "))
    });
    assert_eq!(used.collect::<Vec<_>>(), ["L_0 3:5+6", "L_1 3:5+6", "TOK 1:5+6 2:6+7"]);
}

#[test]
fn characters_that_mark_later_values_do_not_come_from_outside() {
    let mut settings = settings(&[("EVIL", MARK), ("LIST_0", MARK), ("FINE", "\u{F0004}")]);
    settings.given =
        [("own".to_owned(), json!({ "deep": [MARK], "fine": 1 })), ("good".to_owned(), json!({ "x": 1 }))]
            .into();
    assert_eq!(
        said("a = ${good.x}, b = ${FINE}, c = \"${EVIL}\"", &settings),
        "{\"a\":1,\"b\":\"\u{F0004}\",\"c\":\"${EVIL}\"}"
    );
    let shown = said("a = x\nb = y${EVIL}", &settings);
    assert_eq!(
        shown,
        "error: the variable `EVIL` has the character U+F0000\n --> playbook:2:6\n  |\n2 | b = y${EVIL}\n  |      ^^^^^^^\nhint: U+F0000 to U+F0003 mark values that come later, and cannot be part of a playbook's own"
    );
    assert!(said("a = ${LIST[]}", &settings).starts_with("error: the variable `LIST_0` has"));
    assert!(said("a = ${?own.fine}", &settings).starts_with("error: `own` has the character U+F0000"));
    assert!(said("a = ${EVIL}, b = ${EVIL}", &settings).contains("playbook:1:18"));
}

#[test]
fn nor_are_they_written() {
    let mut settings = settings(&[]);
    let shown = said("a = 1\nb = ä\u{F0001}", &settings);
    assert!(shown.starts_with("error: there is the character U+F0001 here\n --> playbook:2:6\n"), "{shown}");
    assert!(
        said("a = \"\\udb80\\udc00\"", &settings).starts_with("error: there is the character U+F0000 here")
    );
    settings.overrides = vec![Override::Set(format!("a={MARK}"))];
    assert!(
        said("a = 1", &settings).starts_with("error: there is the character U+F0000 here\n --> --set:1:4\n")
    );
}
