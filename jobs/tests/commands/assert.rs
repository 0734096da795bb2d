//! What has to be so before anything else.

use std::fs;

use dojob::{Engine, Job, Outcome};
use dojob_jobs::{Assert, Bounds, Facts};
use serde_json::json;

use crate::support::{Came, engine, look};

/// What comes of it on a machine with Debian 12.
fn come(job: Assert) -> Came {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    Came::of(&engine(job).handle(Facts::at(root.path())).converge())
}

#[test]
fn what_holds_is_in_place() {
    let job = Assert::new()
        .fact("os.family", "debian")
        .fact("os.version", Bounds::min("11").max("12"))
        .exists("/")
        .missing("/nowhere")
        .command("true")
        .command(["test", "-d", "/"]);
    assert_eq!(come(job).outcome, Outcome::InPlace);
}

#[test]
fn all_that_does_not_hold_is_told_at_once() {
    let job = Assert::new()
        .fact("os.id", "ubuntu")
        .fact("os.version", Bounds::min("13"))
        .exists("/nowhere")
        .missing("/")
        .command("echo too old >&2; exit 1")
        .command(["false"]);
    let reasons = "os.id is debian, not ubuntu; os.version is 12, less than 13; /nowhere does not exist; / exists; \
                   too old; `false` ended with exit status 1";
    let came = come(job.clone());
    assert_eq!((came.outcome, came.reason.as_str()), (Outcome::Failed, reasons));
    let came = come(job.message("get another machine"));
    assert_eq!(came.reason, format!("get another machine: {reasons}"));
}

#[test]
fn a_run_explains_and_is_not_tried_again() {
    let report = Engine::new(Assert::new().exists("/nowhere")).unwrap().converge();
    let job = report.jobs().last().unwrap();
    assert_eq!((job.outcome(), job.tries()), (Outcome::Failed, 1));
    let said: Vec<_> = job.failures().iter().map(|failure| failure.reason.as_str()).collect();
    assert!(
        said.contains(&"an assertion changes nothing: make it so by other means, and start again"),
        "{said:?}"
    );
    assert_eq!(look(Assert::new().exists("/nowhere")).outcome, Outcome::WouldRun);
}

#[test]
fn a_path_may_be_taken_apart() {
    let read = |facts| serde_json::from_value::<Assert>(json!({ "facts": facts })).unwrap();
    let whole = Assert::new()
        .fact("os.family", "debian")
        .fact("os.version", Bounds::min(12))
        .fact("hardware.cpus", json!(null))
        .fact("hostname", "web1")
        .fact("/interfaces/eth0.7/up", true);
    let apart = read(json!({
        "os": { "family": "debian", "version": { "min": 12 } },
        "hardware": { "cpus": null },
        "hostname": "web1",
        "/interfaces": { "eth0.7": { "up": true } },
    }));
    assert_eq!(apart, whole);
    assert_eq!(read(json!({ "os.version": { "min": 12 }, "os": { "family": "debian" } })).facts.len(), 2);
    assert_eq!(
        come(read(json!({ "os": { "family": "debian", "version": { "min": 12 } } }))).outcome,
        Outcome::InPlace
    );
    let came = come(read(json!({ "os": { "id": ["alpine", "arch"] } })));
    assert_eq!(came.reason, "os.id is debian, and none of alpine, arch");
    // A bound that there is none of is taken for a part.
    let came = come(read(json!({ "os": { "version": { "least": 12 } } })));
    assert_eq!(came.reason, "there is no fact `os.version.least`; `os.version` has no parts");
}

#[test]
fn what_nobody_knows_is_told() {
    let came = look(Assert::new().command(["no-such-program"]));
    assert_eq!(came.outcome, Outcome::CouldNotFindOut);
    assert!(came.reason.starts_with("could not find out what `no-such-program` says: "), "{came:?}");
    let came = look(Assert::new().fact("os.famly", "x"));
    assert!(came.reason.starts_with("there is no fact `os.famly`; in `os` there are `"), "{came:?}");
}

#[test]
fn fields_are_read_and_bad_ones_refused() {
    let whole = json!({
        "message": "no",
        "facts": {"os.family": "debian", "os.version": {"min": "12"}, "hardware.cpus": [2, 4]},
        "exists": "/a",
        "missing": ["/b", "/c"],
        "commands": ["true", ["test", "-e", "x"]],
        "become": "rosa",
    });
    let job: Assert = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(job.commands.len(), 2);
    let written = serde_json::to_value(&job).unwrap();
    assert_eq!((&written["facts"], &written["commands"]), (&whole["facts"], &whole["commands"]));
    assert_eq!(serde_json::from_value::<Assert>(written).unwrap(), job);
    assert_eq!(job.name(), "Assert no");
    assert_eq!(Assert::new().exists("/a").command("b  c").name(), "Assert /a, b c");

    let cases = [
        (json!({}), "an assertion needs `facts`, `exists`, `missing` or `commands`"),
        (
            json!({"facts": {"a": {}}}),
            "what is expected of `a` is not possible: an object needs `min`, `max`, `not` or `matches`",
        ),
        (
            json!({"facts": {"a": []}}),
            "what is expected of `a` is not possible: a list of values must not be empty",
        ),
        (
            json!({"facts": {"a": {"min": "many"}}}),
            "what is expected of `a` is not possible: `min` has to be a number, or a version such as \"12.1\"",
        ),
        (json!({"facts": {"": 1}}), "the path of a fact must not be empty: `os.family` is one"),
        (
            json!({"facts": {"a": {"matches": "("}}}),
            "what is expected of `a` is not possible: `(` is no regular expression: regex parse error",
        ),
        (
            json!({"facts": {"a": {"b": {"max": "many"}}}}),
            "what is expected of `a.b` is not possible: `max` has to be a number, or a version such as \"12.1\"",
        ),
        (
            json!({"facts": {"a": {"b": {}}}}),
            "what is expected of `a.b` is not possible: an object needs `min`, `max`, `not` or `matches`",
        ),
        (
            json!({"facts": {"a": {"b": {"min": 1, "c": 1}}}}),
            "`a.b` has the bound `min` beside the part `c`: a fact has bounds or parts, not both; a path in quotes is never \
             taken apart, such as `\"a.b.c\"`",
        ),
        (json!({"facts": {"a.b": 1, "a": {"b": 1}}}), "the fact `a.b` is given twice"),
        (json!({"facts": 1}), "invalid type: integer `1`, expected facts by their paths"),
        (json!({"exists": ""}), "a path must not be empty"),
        (json!({"exists": "/a", "missing": "/a"}), "/a cannot be in both `exists` and `missing`"),
        (json!({"commands": "true"}), "invalid type: string \"true\", expected a sequence"),
        (json!({"commands": [""]}), "a command must not be empty"),
        (json!({"exists": "/a", "become": "-x"}), "`-x` is no name of a user to become"),
    ];
    for (value, said) in cases {
        let error = serde_json::from_value::<Assert>(value.clone()).unwrap_err().to_string();
        assert!(error.starts_with(said), "{value}: {error}");
    }
    assert!(look(Assert::new()).reason.starts_with("an assertion needs"));
}
