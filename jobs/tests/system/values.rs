//! Values alone: what is built in Rust is validated, too, names say what a job is about, and schemas describe every field.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use dojob::{Job, Outcome};
use dojob_jobs::{AuthorizedKey, CronEntry, Group, Hosts, Package, Service, User};
use schemars::{JsonSchema, schema_for};

use crate::files::ONE;
use crate::tree::{converge, ended};

/// That a job is refused with this reason, and nothing is run.
fn refused(job: impl Job, reason: &str) {
    let report = converge(job);
    assert_eq!(ended(&report), (Outcome::Failed, Some(reason.to_owned())));
}

#[test]
fn values_built_in_rust_are_validated() {
    let no_text = PathBuf::from(OsStr::from_bytes(b"/home/\xff"));
    refused(Group::new(""), "`name` is empty");
    refused(Group::new("a").root("tree"), "`root` is tree: an absolute path is wanted");
    refused(Group::new("a").root("/tr\0ee"), "`root` has a NUL byte in it: /tr\\0ee");
    refused(
        User::new("a b"),
        "`name` is `a b`, which is no name of a user or group: letters, digits, `_`, `-`, `.` are wanted",
    );
    refused(User::new("rosa").home(no_text), "`home` is no UTF-8: /home/\u{fffd}");
    refused(User::new("rosa").shell(""), "`shell` is empty: an absolute path is wanted");
    refused(AuthorizedKey::in_file("/", ONE), "`path` is /, which is no file");
    refused(AuthorizedKey::new("rosa", "x\0"), "`key` has a NUL byte in it");
    refused(Hosts::new("::1", ["a\nb"]), "`names` is `a\\nb`: it has to be one line without NUL bytes");
    refused(CronEntry::new(" x", "@daily", "x"), "`name` is ` x`: blanks around it would be lost");
    refused(
        Package::new([""]),
        "`names` has `` in it, which is no name of a package: small letters, digits, `+`, `-` and `.` are wanted",
    );
    refused(
        Service::new("--now"),
        "`name` is `--now`, which is no name of a unit: `nginx`, `getty@tty1` or `backup.timer` is one",
    );
}

#[test]
fn names_say_what_a_job_is_about() {
    assert_eq!(Group::new("web").name(), "Group web");
    assert_eq!(User::new("rosa").password_hash("$6$a$b").name(), "User rosa");
    assert_eq!(
        AuthorizedKey::new("rosa", ONE).name(),
        "AuthorizedKey rosa SHA256:RXm/ruZ0eTzRXKwi1AQEDynB0VgHQ2ac9KPSFdf/YnA"
    );
    assert_eq!(Hosts::new("10.0.0.1", ["db", "db.local"]).name(), "Hosts 10.0.0.1 db db.local");
    assert_eq!(CronEntry::absent("x").name(), "CronEntry x");
    assert_eq!(CronEntry::absent("x").user("rosa").name(), "CronEntry x in the crontab of rosa");
    assert_eq!(CronEntry::absent("x").file("all").name(), "CronEntry x in /etc/cron.d/all");
    assert_eq!(Package::new(["git", "curl"]).name(), "Package git curl");
    assert_eq!(Service::new("nginx").name(), "Service nginx");
}

fn described<T: JsonSchema>() {
    let schema = schema_for!(T).to_value();
    let fields = schema["properties"].as_object().unwrap();
    assert!(!fields.is_empty() && schema["additionalProperties"] == false, "{schema}");
    for (name, field) in fields {
        assert!(field["description"].is_string(), "{} of {schema}", name);
    }
}

#[test]
fn schemas_describe_every_field() {
    described::<AuthorizedKey>();
    described::<CronEntry>();
    described::<Group>();
    described::<Hosts>();
    described::<Package>();
    described::<Service>();
    described::<User>();
}
