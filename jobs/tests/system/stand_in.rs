//! A machine that is made up: a tree of files, and stand-ins for all programs that a system job may call.
//!
//! A process of its own uses it, since PATH belongs to a process: the test calls its own binary again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dojob::{AnyJob, Engine, IntoJob};
use dojob_jobs::{AuthorizedKey, CronEntry, Group, Hosts, Package, Service, User};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a stand-in is there for: none of these is ever called for real here.
const PROGRAMS: &[&str] = &[
    "apt-cache",
    "apt-get",
    "apt-mark",
    "chpasswd",
    "chroot",
    "crontab",
    "dpkg",
    "dpkg-query",
    "getent",
    "groupadd",
    "groupdel",
    "groupmod",
    "pwconv",
    "service",
    "systemctl",
    "touch",
    "useradd",
    "userdel",
    "usermod",
];

/// Says to the child which world it is in.
const WORLD: &str = "STAND_IN";

/// Says to the child of which type the job is.
const KIND: &str = "STAND_IN_KIND";

/// What stands for the tree's directory in a fixture.
const ROOT: &str = "$ROOT";

/// Facts in, commands out: a file of `tests/fixtures`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// What it shows.
    pub(crate) about: String,
    /// The job as in a configuration, without its `root`, which is added unless it is null.
    pub(crate) job: Value,
    #[serde(default)]
    no_act: bool,
    /// The tree's files, by path.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Modes of some of them, in octal.
    #[serde(default)]
    modes: BTreeMap<String, String>,
    /// Whether it is played by a user without any rights.
    #[serde(default)]
    pub(crate) unprivileged: bool,
    #[serde(default)]
    answers: Vec<Answer>,
    pub(crate) expected: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    argv: Vec<String>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
    #[serde(default)]
    status: u8,
    /// Files that are there afterwards.
    #[serde(default)]
    writes: BTreeMap<String, String>,
}

/// How it has to end.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The message with which the job is refused as it is read; then there is nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    #[serde(default)]
    pub(crate) outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The failures of the last try, those in a row that say the same as one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Call>,
    /// Files that are as said here afterwards; null is one that is not there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, Option<String>>,
}

/// A call: its words, or its words and what it read.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
enum Call {
    Plain(Vec<String>),
    Fed { argv: Vec<String>, stdin: String },
}

/// The job of a fixture's directory.
fn job_of(kind: &str, value: Value) -> serde_json::Result<AnyJob> {
    fn read<J: IntoJob<M> + for<'de> Deserialize<'de>, M>(value: Value) -> serde_json::Result<AnyJob> {
        Ok(serde_json::from_value::<J>(value)?.into_job())
    }
    match kind {
        "authorized_key" => read::<AuthorizedKey, _>(value),
        "cron_entry" => read::<CronEntry, _>(value),
        "group" => read::<Group, _>(value),
        "hosts" => read::<Hosts, _>(value),
        "package" => read::<Package, _>(value),
        "service" => read::<Service, _>(value),
        "user" => read::<User, _>(value),
        _ => panic!("there is no job type for the fixtures of {kind}"),
    }
}

impl Fixture {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What comes of it.
    pub(crate) fn play(&self, path: &Path) -> Expected {
        let kind = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let world = fs::canonicalize(scratch.path()).unwrap();
        let job = self.job_in(&world);
        if let Err(error) = job_of(kind, job) {
            return Expected { refused: Some(error.to_string()), ..Expected::default() };
        }
        self.build(&world);
        fs::copy(path, world.join("fixture")).unwrap();
        let output = self
            .child(&world)
            .args(["--exact", "stand_in::child", "--nocapture"])
            .env(WORLD, &world)
            .env(KIND, kind)
            .env("PATH", world.join("bin"))
            .output()
            .unwrap();
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success(), "{}: {}", path.display(), said.concat());
        let told = fs::read_to_string(world.join("report")).unwrap().replace(&root_of(&world), ROOT);
        let mut came: Expected = serde_json::from_str(&told).unwrap();
        came.commands = calls(&world);
        for path in self.expected.files.keys() {
            came.files.insert(path.clone(), fs::read_to_string(world.join("root").join(path)).ok());
        }
        came
    }

    fn child(&self, world: &Path) -> Command {
        let own = std::env::current_exe().unwrap();
        if !self.unprivileged {
            return Command::new(own);
        }
        // The binary may be where nobody else can reach it.
        let copy = world.join("child");
        fs::copy(own, &copy).unwrap();
        fs::set_permissions(world, fs::Permissions::from_mode(0o777)).unwrap();
        let mut child = Command::new("/usr/bin/setpriv");
        child.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        child
    }

    fn job_in(&self, world: &Path) -> Value {
        let mut job: Value =
            serde_json::from_str(&self.job.to_string().replace(ROOT, &root_of(world))).unwrap();
        if let Some(fields) = job.as_object_mut() {
            match fields.get("root") {
                Some(Value::Null) => fields.remove("root"),
                Some(_) => None,
                None => fields.insert("root".into(), root_of(world).into()),
            };
        }
        job
    }

    fn build(&self, world: &Path) {
        fs::create_dir_all(world.join("root")).unwrap();
        write_all(&world.join("root"), &self.files);
        for (path, mode) in &self.modes {
            let mode = fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap());
            fs::set_permissions(world.join("root").join(path), mode).unwrap();
        }
        fs::create_dir(world.join("bin")).unwrap();
        for program in PROGRAMS {
            let path = world.join("bin").join(program);
            fs::write(&path, include_str!("stand_in.sh")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (index, answer) in self.answers.iter().enumerate() {
            let directory = world.join("answers").join(format!("{index:03}"));
            fs::create_dir_all(&directory).unwrap();
            let here = |text: &str| text.replace(ROOT, &root_of(world));
            fs::write(directory.join("argv"), here(&answer.argv.join("\n"))).unwrap();
            fs::write(directory.join("stdout"), here(&answer.stdout)).unwrap();
            fs::write(directory.join("stderr"), here(&answer.stderr)).unwrap();
            fs::write(directory.join("status"), answer.status.to_string()).unwrap();
            if !answer.writes.is_empty() {
                write_all(&directory.join("writes"), &answer.writes);
            }
        }
    }
}

fn root_of(world: &Path) -> String {
    world.join("root").to_str().unwrap().to_owned()
}

fn write_all(root: &Path, files: &BTreeMap<String, String>) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn calls(world: &Path) -> Vec<Call> {
    let text = fs::read_to_string(world.join("calls")).unwrap_or_default().replace(&root_of(world), ROOT);
    let calls = text.split_terminator('\u{1e}').map(|call| {
        let (words, stdin) = call.split_once('\u{1d}').unwrap();
        let argv: Vec<String> = words.split_terminator('\u{1f}').map(str::to_owned).collect();
        match stdin {
            "" => Call::Plain(argv),
            stdin => Call::Fed { argv, stdin: stdin.to_owned() },
        }
    });
    calls.collect()
}

/// What the child does; for everybody else nothing.
#[test]
fn child() {
    let Some(world) = std::env::var_os(WORLD).map(PathBuf::from) else { return };
    let fixture = Fixture::read(&world.join("fixture"));
    let job = job_of(&std::env::var(KIND).unwrap(), fixture.job_in(&world)).unwrap();
    let name = job.name().to_owned();
    let report = Engine::new(job).unwrap().tries(1).no_act(fixture.no_act).converge();
    let job = report.job(&name);
    let failed = !job.is_converged() && !fixture.no_act;
    let mut failures: Vec<String> = job.failures().iter().map(|failure| failure.reason.clone()).collect();
    failures.dedup();
    let came = Expected {
        outcome: serde_json::to_value(job.outcome()).unwrap().as_str().unwrap().to_owned(),
        reason: job.reason().map(str::to_owned),
        failures: if failed { failures } else { Vec::new() },
        diff: job.diff().map(str::to_owned),
        ..Expected::default()
    };
    fs::write(world.join("report"), serde_json::to_string(&came).unwrap()).unwrap();
}
