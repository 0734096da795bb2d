//! The registry, and playbooks from a program of one's own.

use dojob::playbook::{ArgumentStep, CreateError, Playbook, Registry};
use dojob::{Engine, JobKind};
use serde_json::json;

use crate::kinds::TextFile;

fn registry() -> Registry {
    Registry::linked().unwrap()
}

#[test]
fn types_are_found_whatever_their_case_and_underscores() {
    let registry = registry();
    for name in ["text_file", "TextFile", "TEXTFILE", "Text_File"] {
        assert!(registry.has(name), "{name}");
        assert_eq!(registry.get(name).unwrap().name(), "text_file");
    }
    let names: Vec<&str> = registry.registered().map(|kind| kind.name()).collect();
    assert_eq!(
        names,
        ["add_line", "choosy", "http_server", "lodger", "owned", "sh", "text_file", "text_files", "words"]
    );
    let kinds: Vec<JobKind> = registry.registered().map(|kind| kind.kind()).collect();
    use JobKind::{Dummy, Job, RunOnly};
    assert_eq!(kinds, [RunOnly, RunOnly, Job, RunOnly, Job, RunOnly, Job, Dummy, RunOnly]);
}

#[test]
fn a_type_tells_of_itself() {
    let registry = registry();
    let kind = registry.get("http_server").unwrap();
    assert_eq!(kind.doc(), "A server that listens on a port.");
    assert_eq!(kind.summary(), "A server that listens on a port");
    assert_eq!((kind.package(), kind.module()), ("dojob", "playbook::kinds"));
    assert_eq!(kind.type_name(), "playbook::kinds::HttpServer");
    assert_eq!(kind.example(), "{ name: http_server, args: { name: \"…\", port: 1 } }");
    let fields: Vec<(&str, &str, bool)> =
        kind.fields().iter().map(|field| (&*field.name, &*field.takes, field.required)).collect();
    assert_eq!(
        fields,
        [
            ("name", "a string", true),
            ("port", "a whole number from 0 to 65535", true),
            ("become", "a string", false),
            ("env", "an object of strings", false),
            ("guests", "a list, each entry an object", false),
            ("password", "a string", false),
            ("patience", "a string", false),
            ("public", "true or false", false),
            ("share", "a number", false),
            ("state", "`restarted`, `running` or `stopped`", false),
        ]
    );
    let state = kind.fields().iter().find(|field| field.name == "state").unwrap();
    assert_eq!(state.doc, "How it is to be.");
    assert_eq!(state.choices, [json!("restarted"), json!("running"), json!("stopped")]);
    let public = kind.fields().iter().find(|field| field.name == "public").unwrap();
    assert_eq!(public.default, Some(json!(false)));
}

#[test]
fn a_job_is_created_by_name() {
    let registry = registry();
    let job = registry.create("text_file", &json!({ "path": "/tmp/x", "text": "x" })).unwrap();
    assert_eq!((job.name(), job.kind()), ("TextFile", JobKind::Job));
    let told = |name: &str, args| registry.create(name, &args).unwrap_err().to_string();
    assert_eq!(told("txt_file", json!({})), "there is no task type `txt_file`; did you mean `text_file`?");
    assert_eq!(
        told("http_server", json!({ "name": "web", "port": 80, "guests": [{ "name": "ann", "age": 300 }] })),
        "`http_server` does not accept these arguments: `guests[0].age`: invalid value: integer `300`, expected u8"
    );
    assert_eq!(
        told("sh", json!({ "line": "ls", "lin": "ls" })),
        "`sh` does not accept these arguments: there is no argument `lin`; did you mean `line`?"
    );
    match registry.create("http_server", &json!({ "name": "web", "port": "x" })).unwrap_err() {
        CreateError::Arguments { source, .. } => {
            assert_eq!(source.path, [ArgumentStep::Key("port".to_owned())]);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn variables_of_the_caller_stand_over_those_of_the_playbook() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("site.conf");
    let overlay = home.path().join("overlay.conf");
    std::fs::write(
        &path,
        "vars { text: theirs, more { a: 1, b: 2 } }
        tasks: [ { name: text_file, args { path: ${vars.path}, text: ${vars.text} ${vars.more.a} ${vars.more.b} } } ]",
    )
    .unwrap();
    std::fs::write(&overlay, "vars { text: overlaid, more.a: 5 }").unwrap();
    let read = |options: dojob::playbook::Options| {
        let target = home.path().join("target");
        let site = options.set("vars.path", &target).load(&path).unwrap();
        let mut engine = Engine::with_graph(site.graph(&registry()).unwrap());
        assert!(engine.converge().success());
        std::fs::read_to_string(target).unwrap()
    };
    assert_eq!(read(Playbook::options()), "theirs 1 2");
    assert_eq!(read(Playbook::options().set("vars.text", "80")), "80 1 2");
    assert_eq!(read(Playbook::options().set_text("vars.text=a b")), "a b 1 2");
    assert_eq!(read(Playbook::options().overlay(&overlay)), "overlaid 5 2");
    assert_eq!(read(Playbook::options().set("vars.more", json!({ "b": true }))), "theirs 1 true");
    assert!(Playbook::load(&path).unwrap_err().to_string().contains("`vars.path` is not defined"));
}

#[test]
fn a_text_is_a_playbook_too() {
    let site = Playbook::options().load_text("my text", "tasks: [ { name: sh } ]").unwrap();
    assert_eq!(
        site.validate(&registry()).unwrap_err().to_string(),
        "error: `sh` needs the argument `line`
 --> my text:1:18
  |
1 | tasks: [ { name: sh } ]
  |                  ^^
hint: `line`: The command line"
    );
}

#[test]
fn the_schema_has_all_types() {
    let schema = registry().json_schema();
    let task = &schema["$defs"]["dojob.task"];
    assert_eq!(task["properties"]["name"]["enum"].as_array().unwrap().len(), 9);
    let of_file = task["allOf"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["if"]["properties"]["name"]["const"] == "text_file");
    let args = &of_file.unwrap()["then"]["properties"]["args"];
    assert_eq!(args["required"], json!(["path", "text"]));
    assert_eq!(args["properties"]["text"]["description"], "What it says.");
    // What is referred to is there.
    let text = schema.to_string();
    let mut targets = text.match_indices("\"#/$defs/").map(|(at, _)| {
        let target = &text[at + 1..];
        target[..target.find('"').unwrap()].trim_start_matches('#').to_owned()
    });
    assert!(targets.all(|target| schema.pointer(&target).is_some()));
}

#[test]
fn a_type_is_an_ordinary_job_as_well() {
    let home = tempfile::tempdir().unwrap();
    let file = TextFile { path: home.path().join("a"), text: "a".to_owned() };
    assert!(Engine::new(file).unwrap().converge().success());
}
