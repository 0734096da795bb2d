//! What comes from outside of a playbook's text: variables of the environment and what is given.

use dojob::playbook::hocon_for_tests::{Override, Part, Placeholder, Settings, Value, load};
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
fn private_use_characters_are_text_wherever_they_come_from() {
    const PRIVATE: &str = "\u{F0000}secrets\u{F0002}t\u{F0001}";
    let mut settings = settings(&[("VARIABLE", PRIVATE)]);
    settings.given = [("own".to_owned(), json!({ "deep": [PRIVATE] }))].into();
    settings.overrides = vec![Override::Set(format!("b={PRIVATE}"))];
    assert_eq!(
        said(
            &format!("a = \"\\udb80\\udc00\", {PRIVATE} = x{PRIVATE}, c = ${{VARIABLE}}, d = ${{own}}"),
            &settings
        ),
        format!(
            "{{\"a\":\"\u{F0000}\",\"b\":\"{PRIVATE}\",\"c\":\"{PRIVATE}\",\"d\":{{\"deep\":[\"{PRIVATE}\"]}},\
             \"{PRIVATE}\":\"x{PRIVATE}\"}}"
        )
    );
}

#[test]
fn deferred_substitutions_are_parts_of_values_and_of_strings() {
    let settings = settings(&[]);
    let loaded = load(&text("a = ${secrets.t}, b = x ${?secrets.\"u.v\"}y, c = ${a}z"), &settings).unwrap();
    let placeholder = |path: &[&str], is_optional| {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        Placeholder { path, is_optional }
    };
    assert_eq!(loaded.value["a"], Value::Unknown(placeholder(&["secrets", "t"], false)));
    let parts = |key: &str| match &loaded.value[key] {
        Value::Template(template) => template.parts().to_vec(),
        other => panic!("{other:?}"),
    };
    let text = |text: &str| Part::Text(text.to_owned());
    let optional = Part::Placeholder(placeholder(&["secrets", "u.v"], true));
    assert_eq!(parts("b"), [text("x "), optional, text("y")]);
    assert_eq!(parts("c"), [Part::Placeholder(placeholder(&["secrets", "t"], false)), text("z")]);
    assert_eq!(
        loaded.value.to_string(),
        "{\"a\":\"${secrets.t}\",\"b\":\"x ${?secrets.\\\"u.v\\\"}y\",\"c\":\"${secrets.t}z\"}"
    );
}
