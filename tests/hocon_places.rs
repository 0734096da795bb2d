//! Where values of a playbook stand: through includes, dotted keys, `+=`, merging and joining.

use std::fs;
use std::path::Path;

use dojob::playbook::hocon_for_tests::{Input, Loaded, Override, Settings, Step, load};

mod support {
    pub(crate) mod hocon;
}
use support::hocon::{library, text};

/// `tasks.0.args` as steps.
fn steps(path: &str) -> Vec<Step<'_>> {
    let names = path.split('.').filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_or(Step::Key(name), Step::Index)).collect()
}

/// `line:column "what stands there"` of a value.
fn of(loaded: &Loaded, path: &str) -> String {
    shown(loaded.places.of(&steps(path)))
}

fn of_key(loaded: &Loaded, path: &str) -> String {
    shown(loaded.places.of_key(&steps(path)))
}

fn shown(place: Option<dojob::playbook::Place>) -> String {
    let Some(place) = place else { return "nowhere".to_owned() };
    let text: String =
        place.source.line(place.line).chars().skip(place.column - 1).take(place.length).collect();
    let name = Path::new(place.source.name()).file_name().unwrap().to_string_lossy().into_owned();
    format!("{name}:{}:{} {text}", place.line, place.column)
}

fn loaded(source: &str) -> Loaded {
    let settings = Settings {
        given: [("given".to_owned(), serde_json::json!({ "x": [1] }))].into(),
        ..Settings::default()
    };
    load(&text(source), &settings).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn values_and_keys_of_a_playbook() {
    let playbook = loaded(
        "tasks: [\n    { name: shell_script\n      args: { script_path: uname, script_args: [-a, /b] } },\n    {\n\n      name: \"x\" }\n]\n",
    );
    assert_eq!(of(&playbook, ""), "playbook:1:1 tasks");
    assert_eq!(of(&playbook, "tasks"), "playbook:1:8 [");
    assert_eq!(of_key(&playbook, "tasks"), "playbook:1:1 tasks");
    assert_eq!(of(&playbook, "tasks.0"), "playbook:2:5 {");
    assert_eq!(of_key(&playbook, "tasks.0"), "playbook:2:5 {");
    assert_eq!(of(&playbook, "tasks.0.name"), "playbook:2:13 shell_script");
    assert_eq!(of(&playbook, "tasks.0.args"), "playbook:3:13 {");
    assert_eq!(of(&playbook, "tasks.0.args.script_args"), "playbook:3:48 [");
    assert_eq!(of(&playbook, "tasks.0.args.script_args.0"), "playbook:3:49 -a");
    assert_eq!(of(&playbook, "tasks.1"), "playbook:4:5 {");
    assert_eq!(of_key(&playbook, "tasks.1.name"), "playbook:6:7 name");
    assert_eq!(of(&playbook, "tasks.2"), "nowhere");
    assert_eq!(of(&playbook, "tasks.name"), "nowhere");
}

#[test]
fn the_last_one_counts() {
    let playbook = loaded("a = 1\na = 2\nb { x = 1, y = 1 }\nb.y = 3\nb { z = 4 }\nc = 5, c = ${?nothing}\n");
    assert_eq!(of(&playbook, "a"), "playbook:2:5 2");
    assert_eq!(of_key(&playbook, "a"), "playbook:2:1 a");
    assert_eq!(of(&playbook, "b.x"), "playbook:3:9 1");
    assert_eq!(of(&playbook, "b.y"), "playbook:4:7 3");
    assert_eq!(of_key(&playbook, "b.y"), "playbook:4:1 b.y");
    assert_eq!(of(&playbook, "b"), "playbook:5:3 {");
    assert_eq!(of(&playbook, "c"), "playbook:6:5 5");
}

#[test]
fn what_is_joined_and_added() {
    let playbook = loaded(
        "base = [1, 2]\nlist = ${base} [\n  3 ] [4]\nlist += { x = 5 }\nlist += 6\ntext = one ${base_text} two\nbase_text = x\n",
    );
    assert_eq!(of(&playbook, "list.0"), "playbook:1:9 1");
    assert_eq!(of(&playbook, "list.2"), "playbook:3:3 3");
    assert_eq!(of(&playbook, "list.3"), "playbook:3:8 4");
    assert_eq!(of(&playbook, "list.4"), "playbook:4:9 {");
    assert_eq!(of(&playbook, "list.4.x"), "playbook:4:15 5");
    assert_eq!(of(&playbook, "list.5"), "playbook:5:9 6");
    assert_eq!(of(&playbook, "text"), "playbook:6:8 one ${base_text} two");
}

#[test]
fn what_is_substituted_stands_where_the_substitution_does() {
    let playbook = loaded(
        "base { x = 1, deep { y = soon } }\ntask = ${base} { z = 3 }\ntask.deep.y = later\nnumber = ${base.x}\nall = ${given}\n",
    );
    assert_eq!(of(&playbook, "number"), "playbook:4:10 ${base.x}");
    assert_eq!(shown(playbook.places.origin(&steps("number"))), "playbook:1:12 1");
    assert_eq!(of(&playbook, "task.x"), "playbook:1:12 1");
    assert_eq!(of(&playbook, "task.deep.y"), "playbook:3:15 later");
    assert_eq!(of(&playbook, "base.deep.y"), "playbook:1:26 soon");
    assert_eq!(of(&playbook, "all"), "playbook:5:7 ${given}");
    assert_eq!(of(&playbook, "all.x.0"), "nowhere");
    assert_eq!(shown(playbook.places.near(&steps("all.x.0"))), "playbook:5:7 ${given}");
}

#[test]
fn numbers_are_kept_as_they_were_written() {
    let playbook = loaded("version = 1.10, whole = 5.0, list = [007]");
    assert_eq!(playbook.places.written(&steps("version")), Some("1.10"));
    assert_eq!(playbook.places.written(&steps("list.0")), Some("007"));
    assert_eq!(playbook.places.written(&steps("list")), None);
    assert_eq!(playbook.places.keys(&[]).collect::<Vec<_>>(), ["version", "whole", "list"]);
}

#[test]
fn included_values_stand_in_their_files() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path();
    fs::create_dir_all(directory.join("deep/er")).unwrap();
    fs::write(directory.join("main.conf"), "tasks = [zero]\na { include \"deep/one.conf\" }\na.y = 9\n")
        .unwrap();
    fs::write(directory.join("deep/one.conf"), "\ny = 1, x = 2\ninclude \"er/two.conf\"\n").unwrap();
    fs::write(directory.join("deep/er/two.conf"), "\n\nlist += 1\n").unwrap();
    let entry = Input::File(directory.join("main.conf"));
    let playbook = load(&entry, &Settings::default()).unwrap();
    assert_eq!(of(&playbook, "a.x"), "one.conf:2:12 2");
    assert_eq!(of(&playbook, "a.y"), "main.conf:3:7 9");
    assert_eq!(of(&playbook, "a.list.0"), "two.conf:3:9 1");
    assert_eq!(of_key(&playbook, "a.list"), "two.conf:3:1 list");
}

#[test]
fn files_are_one_and_their_tasks_joined() {
    let scratch = tempfile::tempdir().unwrap();
    let paths = ["10.conf", "20.conf", "30.conf"].map(|name| scratch.path().join(name));
    fs::write(&paths[0], "who = one, tasks = [{ name: ${who} }]\n").unwrap();
    fs::write(&paths[1], "who = two\ntasks = [{ name: b }, { name: c }]\ntasks += { name: d }").unwrap();
    fs::write(&paths[2], "tasks = [{ name: e }]").unwrap();
    let settings = Settings { joined: vec!["tasks".to_owned()], ..Settings::default() };
    let playbook = load(&Input::Files(paths.to_vec()), &settings).unwrap();
    assert_eq!(
        playbook.value,
        serde_json::json!({
            "who": "two",
            "tasks": [{ "name": "two" }, { "name": "b" }, { "name": "c" }, { "name": "d" }, { "name": "e" }]
        })
    );
    assert_eq!(of(&playbook, "tasks.2.name"), "20.conf:2:31 c");
    assert_eq!(of(&playbook, "tasks.4"), "30.conf:1:10 {");
}

#[test]
fn what_is_set_stands_over_files_and_vars() {
    let scratch = tempfile::tempdir().unwrap();
    let vars = scratch.path().join("vars.conf");
    fs::write(&vars, "a = vars, b = vars, nested { x = vars }\n").unwrap();
    let set = |texts: &[&str]| {
        let mut overrides = vec![Override::Vars(vars.clone())];
        overrides.extend(texts.iter().map(|text| Override::Set((*text).to_owned())));
        let settings = Settings { overrides, ..Settings::default() };
        load(&text("a = own, b = own, c = own, d = ${b}, nested { x = own, y = own }"), &settings)
    };
    let playbook = set(&[
        "b=set",
        "n=3",
        "f=2.5",
        "t=true",
        "l=[1, x]",
        "nested.y={z = 1}",
        "e=",
        "u=http://x:1/*",
        "q=\"3\"",
        "l+=2",
    ])
    .unwrap();
    assert_eq!(
        playbook.value,
        serde_json::json!({
            "a": "vars", "b": "set", "c": "own", "d": "set", "nested": { "x": "vars", "y": { "z": 1 } },
            "n": 3, "f": 2.5, "t": true, "l": [1, "x", 2], "e": "", "u": "http://x:1/*", "q": "3"
        })
    );
    assert_eq!(of(&playbook, "nested.x"), "vars.conf:1:34 vars");
    assert_eq!(of(&playbook, "n"), "--set:1:3 3");
    let said = |texts: &[&str]| set(texts).unwrap_err().to_string();
    assert_eq!(said(&["b"]), "error: `--set b` is not of the form `key=value`");
    assert_eq!(said(&["=b"]), "error: `--set =b` is not of the form `key=value`");
    assert_eq!(said(&["l=[1"]), "error: `[` is never closed\n --> --set:1:3\n  |\n1 | l=[1\n  |   ^");
    assert_eq!(
        said(&["a={}\nb={}"]),
        "error: this is not one `key=value`\n --> --set:1:1\n  |\n1 | a={}\n  | ^"
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Texts made of what makes HOCON difficult; most of them are right.
    fn playbook(references: bool) -> impl Strategy<Value = String> {
        let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("a.b"), Just("b.c"), Just("c.a.b")];
        let plain = prop_oneof![
            Just("1".to_owned()),
            Just("x".to_owned()),
            Just("[1, {a = 2}]".to_owned()),
            Just("{a = 3}".to_owned()),
            Just("{b {c = 4}}".to_owned()),
            Just("null".to_owned()),
            Just("[${?nothing}, 7]".to_owned())
        ];
        let value = (plain, name.clone(), 0..9_u8).prop_map(move |(plain, name, form)| match form {
            _ if !references => plain,
            0..=4 => plain,
            5 => format!("${{?{name}}}"),
            6 => format!("${{?{name}}} [5]"),
            7 => format!("${{?nothing}}{plain}"),
            _ => format!("[${{?nothing}}, {plain}]"),
        });
        let field = (name, value, 0..8_u8).prop_map(move |(name, value, form)| match form {
            0 if references => format!("{name} += {value}"),
            _ => format!("{name} = {value}"),
        });
        prop::collection::vec(field, 1..6).prop_map(|fields| fields.join("\n"))
    }

    fn each(
        value: &serde_json::Value,
        path: &mut Vec<String>,
        see: &mut dyn FnMut(&[String], &serde_json::Value),
    ) {
        see(path, value);
        let members: Vec<(String, &serde_json::Value)> = match value {
            serde_json::Value::Object(members) => {
                members.iter().map(|(key, value)| (key.clone(), value)).collect()
            }
            serde_json::Value::Array(items) => {
                items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
            }
            _ => Vec::new(),
        };
        for (name, value) in members {
            path.push(name);
            each(value, path, see);
            path.pop();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn every_scalar_that_is_not_joined_stands_where_it_says(source in playbook(true)) {
            let Ok(playbook) = load(&text(&source), &Settings::default()) else { return Ok(()) };
            each(&playbook.value.to_json(), &mut Vec::new(), &mut |path, value| {
                let path = path.join(".");
                let shown = of(&playbook, &path);
                let stands = shown.split_once(' ').unwrap().1;
                let right = match value {
                    serde_json::Value::Object(_) => path.is_empty() || stands.starts_with(['{', '$']) || stands.contains('.'),
                    serde_json::Value::Array(_) => true,
                    scalar => {
                        let wanted = scalar.as_str().map_or_else(|| scalar.to_string(), str::to_owned);
                        stands == wanted || stands.starts_with("${")
                    }
                };
                assert!(right || stands.len() < 7, "{source}\n{path}: {value} stands at {shown}");
            });
        }

        #[test]
        fn without_references_the_parser_itself_agrees(source in playbook(false)) {
            let ours = load(&text(&source), &Settings::default()).ok().map(|loaded| loaded.value.to_json());
            prop_assert_eq!(ours, library(&source, &Default::default()), "{}", source);
        }
    }
}
