//! Any bytes as a playbook: a value, every part of which has a place or stands in one that has, or problems that can be
//! shown; never a panic.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dojob::playbook::hocon_for_tests::{Input, Settings, Step, load};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    given: BTreeMap::from([("CWD".to_owned(), json!("/work")), ("f".to_owned(), json!({ "a": [1, {}] }))]),
    environment: BTreeMap::from([("e".to_owned(), "text".to_owned()), ("l_0".to_owned(), "x".to_owned())]),
    joined: vec!["tasks".to_owned()],
    ..Settings::default()
});

fuzz_target!(|bytes: &[u8]| {
    // Nothing outside of the input is to be read, be it a device that never ends.
    if bytes.windows(7).any(|window| window == b"include") {
        return;
    }
    let entry = Input::Text { name: "input".to_owned(), text: bytes.to_vec() };
    match load(&entry, &SETTINGS) {
        Ok(loaded) => {
            let mut path = Vec::new();
            walk(&loaded.value.to_json(), &mut path, &mut |path| {
                assert!(loaded.places.near(path).is_some());
                if let Some(place) = loaded.places.of(path) {
                    let width = place.source.line(place.line).chars().count();
                    assert!(place.column >= 1 && place.column <= width.max(1));
                }
            });
        }
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert!(!problems.to_string().is_empty());
        }
    }
});

fn walk<'v>(value: &'v Value, path: &mut Vec<Step<'v>>, each: &mut dyn FnMut(&[Step<'_>])) {
    each(path);
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                path.push(Step::Key(key));
                walk(value, path, each);
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                path.push(Step::Index(index));
                walk(value, path, each);
                path.pop();
            }
        }
        _ => {}
    }
}
