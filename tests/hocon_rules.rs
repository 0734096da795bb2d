//! The rules of HOCON by which values are found, each with documents that show it.

use std::fs;

use dojob::playbook::Playbook;
use dojob::playbook::hocon_for_tests::{Input, Settings, load};
use serde_json::Value;

mod support {
    pub(crate) mod hocon;
}
use support::hocon::text;

/// Documents and the JSON that each comes to, or the beginning of what is wrong with it.
fn all_are(cases: &[(&str, &str)]) {
    for (document, expected) in cases {
        match (load(&text(document), &Settings::default()), serde_json::from_str::<Value>(expected)) {
            (Ok(loaded), Ok(expected)) => assert_eq!(loaded.value, expected, "{document}"),
            (Err(problems), Err(_)) => {
                let message = &problems.0[0].message;
                assert!(message.starts_with(expected), "{document}\n{message}");
            }
            (Ok(loaded), Err(_)) => panic!("{document}\n{} and not: {expected}", loaded.value),
            (Err(problems), Ok(_)) => panic!("{document}\n{problems}"),
        }
    }
}

#[test]
fn what_is_no_object_cuts_off_what_was_before() {
    all_are(&[
        ("b.p { x = 1 }, s = ${b}, s.p = 0, s.p { y = 2 }", r#"{"b":{"p":{"x":1}},"s":{"p":{"y":2}}}"#),
        (
            "b.p { x = 1 }, n = [1], s = ${b}, s.p = ${n}, s.p.y = 2",
            r#"{"b":{"p":{"x":1}},"n":[1],"s":{"p":{"y":2}}}"#,
        ),
        ("b.p { x = 1 }, s = ${b} { p = text, p { y = 2 } }", r#"{"b":{"p":{"x":1}},"s":{"p":{"y":2}}}"#),
        (
            "b.p.q { x = 1 }, s = ${b}, s.p.q = null, s.p.q.y = 2",
            r#"{"b":{"p":{"q":{"x":1}}},"s":{"p":{"q":{"y":2}}}}"#,
        ),
        (
            "b.p { x = 1 }, s = ${b}, s.p = ${?none}, s.p.y = 2",
            r#"{"b":{"p":{"x":1}},"s":{"p":{"x":1,"y":2}}}"#,
        ),
        // The value of a path sees the same.
        (
            "b.p { x = 1 }, s = ${b}, s.p = null, s.p { y = 2 }, v = ${?s.p.x}, w = ${s.p.y}",
            r#"{"b":{"p":{"x":1}},"s":{"p":{"y":2}},"w":2}"#,
        ),
        // Where it is substituted, it stays cut off.
        ("a = 1, a = { x = 1 }, b = { y = 2 }, b = ${a}", r#"{"a":{"x":1},"b":{"x":1}}"#),
    ]);
}

#[test]
fn looking_back_sees_all_that_was_before() {
    all_are(&[
        ("a { x = 1, y = ${a.x} }, a = ${a}", r#"{"a":{"x":1,"y":1}}"#),
        ("a { x = [1], x += 2 }, a = ${a} { y = 3 }", r#"{"a":{"x":[1,2],"y":3}}"#),
        ("a { x = 1, y = ${?a.x}0 }, b.z = 2, a = ${?a} ${b}", r#"{"a":{"x":1,"y":"10","z":2},"b":{"z":2}}"#),
        ("a { x = 1 }, a = ${a} { y = ${a.x} }, a = ${a} { z = ${a.y} }", r#"{"a":{"x":1,"y":1,"z":1}}"#),
        ("a { x = 1, x = ${?a} }", r#"{"a":{"x":{"x":1}}}"#),
        ("a { x += 1 }, a = ${a} { x = text }", r#"{"a":{"x":"text"}}"#),
        ("a.b = ${?none}, a.b = ${a}, a.c = 1", r#"{"a":{"b":{"c":1},"c":1}}"#),
        ("a { 0 = x }, a += y", r#"{"a":["x","y"]}"#),
        ("a = [${none}], a { b = 1 }", r#"{"a":{"b":1}}"#),
        ("a = 1, a = [${a}]", "`a` refers to itself"),
        ("a = { b = ${a} }", "`a` refers to itself"),
        ("a { b = ${?a} }", r#"{"a":{}}"#),
    ]);
}

#[test]
fn a_substitution_has_one_value_however_it_is_reached() {
    let circle = r#"{"w":"1","v":"12"}"#;
    for fields in [["w = \"1\"", "v = ${w}2", "w = ${w}"], ["v = ${w}2", "w = \"1\"", "w = ${w}"]] {
        all_are(&[(&fields.join("\n"), circle)]);
    }
    let broken = r#"{"way":"/a:/b","wide":{"way":"/a:/b"}}"#;
    for (own, optional) in [("", ""), ("?", ""), ("", "?"), ("?", "?")] {
        let first = format!("wide.way = ${{{own}way}}\":/b\"\nway = /a\nway = ${{{optional}wide.way}}");
        let last = format!("way = /a\nwide.way = ${{{own}way}}\":/b\"\nway = ${{{optional}wide.way}}");
        all_are(&[(&first, broken), (&last, broken)]);
    }
    all_are(&[
        ("a = ${b}, b.c = ${?a}", r#"{"a":{},"b":{}}"#),
        ("b.c = ${?a}, a = ${b}", r#"{"a":{},"b":{}}"#),
        ("a = 1, b = ${a}, c = ${b}, a = ${c}2", r#"{"a":"12","b":1,"c":1}"#),
        ("c = ${b}, b = ${a}, a = 1, a = ${c}2", r#"{"a":"12","b":1,"c":1}"#),
        ("a = [1], b = ${a} [2], a = ${b}", r#"{"a":[1,2],"b":[1,2]}"#),
        ("a = ${b}, b = ${c}, c = ${a}", "`a` refers to itself: a -> b -> c -> a"),
    ]);
}

#[test]
fn what_does_not_go_together_is_refused_wherever_it_comes_from() {
    all_are(&[
        ("a.x += 1, a = ${?a} [2]", "an object and a list cannot be joined"),
        ("a.x += 1, a = my ${?a}", "a string and an object cannot be joined"),
        ("l = [1], a = { b = 1 } ${l}", "an object and a list cannot be joined"),
        ("l = [1], a = { 0 = 2 } ${l}", r#"{"l":[1],"a":[2,1]}"#),
        ("l = [1], a = ${l} { 5 = 3, 2 = 2, x = 4 }", r#"{"l":[1],"a":[1,2,3]}"#),
        ("l = [1], a = ${l} { 0 = 2 }, a = ${a} [3]", r#"{"l":[1],"a":[1,2,3]}"#),
        ("t = text, a = ${t} { b = 1 }", "a string cannot be joined"),
    ]);
}

#[test]
fn a_path_is_written_in_one_way() {
    all_are(&[
        ("\"\"\"a.b\"\"\" = 1, c = ${\"\"\"a.b\"\"\"}", r#"{"a.b":1,"c":1}"#),
        ("a.\"b\"c.d = 1, e = ${a.b\"c\".d}", r#"{"a":{"bc":{"d":1}},"e":1}"#),
        ("a. b = 1, c = ${a. b}, d = ${?a.b}", r#"{"a":{" b":1},"c":1}"#),
        ("a .b = 1, c = ${ a .b }", r#"{"a ":{"b":1},"c":1}"#),
        ("a  b . c = 1, d = ${a  b . c}", r#"{"a  b ":{" c":1},"d":1}"#),
        ("1.5 = x, y = ${1.5}", r#"{"1":{"5":"x"},"y":"x"}"#),
        ("-a = 1, b = ${-a}", r#"{"-a":1,"b":1}"#),
        ("\"\".\"\" = 1, b = ${\"\".\"\"}", r#"{"":{"":1},"b":1}"#),
        ("a..b = 1", "a name is missing in this path"),
        ("a = ${.b}", "a name is missing in this path"),
        ("a.b. = 1", "a name is missing in this path"),
        ("a = ${b\nc}", "this substitution is never closed"),
    ]);
}

#[test]
fn words_end_where_the_specification_says() {
    all_are(&[
        ("a = true1e+2", r#"{"a":"true1e+2"}"#),
        ("a = null-1", r#"{"a":"null-1"}"#),
        ("a = 1e+2x", r#"{"a":"1e+2x"}"#),
        ("a = x1e+2", "`+` cannot stand outside of quotes"),
        ("a = 1+2", "`+` cannot stand outside of quotes"),
        ("a = truefalse, b = -, c = 10.0.0.1", r#"{"a":"truefalse","b":"-","c":"10.0.0.1"}"#),
        // Not white space: the next-line character. White space: separators, spaces that do not break, a byte order mark.
        ("a = x\u{85}", "{\"a\":\"x\u{85}\"}"),
        ("\u{FEFF}a\u{1C} =\u{A0}x\u{2028}", r#"{"a":"x"}"#),
        ("a = x\u{1F}\u{2007}y", "{\"a\":\"x\\u001f\u{2007}y\"}"),
        (r#"a = "\ud83d\ude00""#, "{\"a\":\"\u{1F600}\"}"),
        (r#"a = "\ud83dx""#, "`\\u` needs four hexadecimal digits"),
        (r#"a = "\ud83d\u0041""#, "`\\u` needs four hexadecimal digits"),
    ]);
}

#[test]
fn an_include_in_a_list_sees_itself_first() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(scratch.path().join(name), text).unwrap();
    file("part.conf", "user = own, shown = ${user}, root = ${other}, below { include \"deep.conf\" }");
    file("deep.conf", "port = 1, from = ${port}, of = ${other}");
    file("main.conf", "user = root, port = 2, other = 3, l = [ 0, { in { include \"part.conf\" } } ]");
    let settings =
        Settings { environment: [("port".to_owned(), "4".to_owned())].into(), ..Settings::default() };
    let loaded = load(&Input::File(scratch.path().join("main.conf")), &settings).unwrap();
    let expected = r#"{"user":"own","shown":"own","root":3,"below":{"port":1,"from":1,"of":3}}"#;
    assert_eq!(loaded.value["l"][1]["in"], serde_json::from_str::<Value>(expected).unwrap());
}

#[test]
fn hostile_circles_end() {
    let mut document = String::from("a = {}\n");
    for index in 0..300 {
        document += &format!("a {{ k{index} = ${{?a}} }}, b{index} = ${{?b{}}} ${{?a}}\n", (index + 1) % 300);
    }
    drop(load(&text(&document), &Settings::default()));
    let nested = format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(load(&text(&nested), &Settings::default()).is_err());
    let long = format!("a = ${{{}a}}", "a.".repeat(100_000));
    assert!(load(&text(&long), &Settings::default()).is_err());
}

fn config(text: &str) -> String {
    Playbook::options().config_text("text", text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn a_resolved_file_is_shown_as_it_was_written() {
    assert_eq!(
        config("z = 1.10, a { y = 1e3, x = 18446744073709551616, w = 01 }, e = [], o {}, t = \"q\\\"\""),
        "{\n  \"z\": 1.10,\n  \"a\": {\n    \"y\": 1e3,\n    \"x\": 18446744073709551616,\n    \"w\": 1\n  },\n  \"e\": [],\n  \
         \"o\": {},\n  \"t\": \"q\\\"\"\n}\n"
    );
}

#[test]
fn what_comes_later_is_marked_and_secrets_are_masked() {
    let shown = config(
        "secrets { token { env: A_TOKEN }, written: hidden }\n\
         tasks: [ { name: x, args { a: ${secrets.token}, b: is-${secrets.token}, c: ${item.name}, d: ${?facts.os.family} } } ]",
    );
    assert!(!shown.contains("hidden"), "{shown}");
    let value: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["secrets"], serde_json::json!({ "token": { "env": "A_TOKEN" }, "written": "***" }));
    let expected =
        serde_json::json!({ "a": "***", "b": "is-***", "c": "${item.name}", "d": "${?facts.os.family}" });
    assert_eq!(value["tasks"][0]["args"], expected);
    // In a file that is no playbook these names are free.
    let value: Value = serde_json::from_str(&config("item = 1, a = ${item}")).unwrap();
    assert_eq!(value["a"], 1);
}
