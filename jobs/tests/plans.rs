//! Saved plans on the command line: `plan --save-plan`, a review, and `run --apply`, with real files.

#[path = "look_ahead/snapshot.rs"]
mod snapshot;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use snapshot::snapshot;
use tempfile::TempDir;

const PLAYBOOK: &str = r#"
vars { root: ${CWD}/site, host: ${HOST} }
secrets { token { env: TOKEN } }
tasks: [
    { name: directory, id: site, args { path: ${vars.root} } }
    { name: file, id: page, args { path: ${vars.root}/index.html, content: "<h1>"${vars.host}"</h1>\n" } }
    { name: file, id: token, args { path: ${vars.root}/token, secret: ${secrets.token}, mode: "0600" } }
    { name: line, id: hosts, args { path: ${vars.root}/hosts, line: "127.0.1.1 "${vars.host}, create: true } }
    { name: command, id: count, register: count, args { check: [ls, ${vars.root}], run: ["true"] } }
    { name: file, id: list, args { path: ${vars.root}/list, content: ${results.count.stdout} } }
]
"#;

/// An empty home with the playbook in it.
struct Home {
    directory: TempDir,
    host: &'static str,
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("site.conf"), PLAYBOOK).unwrap();
        Home { directory, host: "www.example.org" }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn site(&self, name: &str) -> PathBuf {
        self.path("site").join(name)
    }

    #[track_caller]
    fn dojob(&self, code: i32, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_dojob"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("DOJOB_STATE_DIR", self.path("state"))
            .env("HOST", self.host)
            .env("TOKEN", "swordfish")
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        // What differs from one home to the next.
        let here = self.directory.path().canonicalize().unwrap().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&format!("{here}/"), "");
        let ran =
            Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:#?}");
        ran
    }

    fn plan(&self) -> Ran {
        self.dojob(3, &["plan", "site.conf", "--save-plan", "plan.json"])
    }

    /// Applies the plan, which is refused, for this reason, and changes nothing.
    #[track_caller]
    fn is_refused(&self, why: &str) {
        let before = snapshot(&self.path("site"));
        let ran = self.dojob(2, &["run", "site.conf", "--apply", "plan.json"]);
        assert_eq!(
            ran.stderr,
            format!("error: nothing was changed, since the plan in plan.json is refused: {why}\n")
        );
        assert!(before == snapshot(&self.path("site")), "something was changed");
    }

    fn converged() -> Self {
        let home = Home::new();
        home.dojob(0, &["run", "site.conf"]);
        home
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_plan_is_saved_reviewed_and_applied() {
    let home = Home::new();
    let ran = home.plan();
    assert!(ran.stdout.ends_with(" ms)\n"), "{ran:?}");
    assert!(!home.path("site").exists());
    let plan = json(&home.path("plan.json"));
    let of = |key: &str| -> Vec<String> {
        let jobs = plan[key].as_array().unwrap().iter();
        jobs.map(|job| job["job"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("would_run"), ["directory site", "file page", "file token", "line hosts", "command count"]);
    assert_eq!(of("unknown"), ["file list"]);
    assert_eq!(plan["would_run"][1]["diff"][3], "+<h1>www.example.org</h1>");
    let text = fs::read_to_string(home.path("plan.json")).unwrap();
    assert!(!text.contains("swordfish"), "{text}");
    // Once more it is the same, word for word.
    home.plan();
    assert_eq!(fs::read_to_string(home.path("plan.json")).unwrap(), text);

    let ran = home.dojob(0, &["run", "site.conf", "--apply", "plan.json"]);
    assert!(
        ran.stderr.contains("changed file page: ") && ran.stderr.contains("changed file list: "),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(home.site("token")).unwrap(), "swordfish");
    // It has been applied: what it was to do is in place.
    let ran = home.dojob(0, &["run", "site.conf", "--apply", "plan.json"]);
    let said = "in place directory site: it was to run, and is in place by now\n";
    assert!(ran.stderr.contains(said), "{ran:?}");
}

#[test]
fn a_drift_by_hand_is_refused_and_named() {
    let home = Home::converged();
    fs::remove_file(home.site("hosts")).unwrap();
    home.plan();
    fs::write(home.site("index.html"), "defaced\n").unwrap();
    home.is_refused(
        "things are not as they were when the plan was made\n  file page was in place and would run now: site/index.html differs",
    );
    assert!(!home.site("hosts").exists());
    // The same for programs.
    let ran = home.dojob(2, &["run", "site.conf", "--apply", "plan.json", "--format", "json"]);
    let told: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(told["event"], "plan_refused");
    assert_eq!(told["mismatch"]["drifts"][0]["job"], "file page");
    assert_eq!(told["mismatch"]["drifts"][0]["now"], "would_run");
    // Mended, it fits again.
    fs::write(home.site("index.html"), "<h1>www.example.org</h1>\n").unwrap();
    let ran = home.dojob(0, &["run", "site.conf", "--apply", "plan.json"]);
    assert!(ran.stderr.contains("changed line hosts: "), "{ran:?}");
}

#[test]
fn other_arguments_are_refused_and_the_jobs_are_named() {
    let mut home = Home::converged();
    fs::remove_file(home.site("hosts")).unwrap();
    home.plan();
    let changed = "has another type, other arguments or other dependencies";
    home.host = "shop.example.org";
    home.is_refused(&format!(
        "the plan was made for other jobs\n  file page {changed}\n  line hosts {changed}"
    ));
    home.host = "www.example.org";
    let more = "{ name: directory, id: more, args { path: ${vars.root}/more } }\n]";
    fs::write(home.path("site.conf"), PLAYBOOK.replace("\n]", &format!("\n{more}"))).unwrap();
    home.is_refused("the plan was made for other jobs\n  directory more is new");
    let fewer = PLAYBOOK.lines().filter(|line| !line.contains("id: list")).collect::<Vec<_>>().join("\n");
    fs::write(home.path("site.conf"), fewer).unwrap();
    home.is_refused("the plan was made for other jobs\n  file list is gone");
}

#[test]
fn a_torn_an_edited_and_a_missing_plan_are_refused() {
    let home = Home::converged();
    fs::remove_file(home.site("hosts")).unwrap();
    home.plan();
    let text = fs::read_to_string(home.path("plan.json")).unwrap();
    fs::write(home.path("plan.json"), text.replace("line hosts", "line guests")).unwrap();
    home.is_refused("the plan was edited after it was written; plan again");
    fs::write(home.path("plan.json"), text.replace("\"v\": 1,", "\"v\": 7,")).unwrap();
    home.is_refused("the plan has version 7, and this program knows version 1");
    fs::write(home.path("plan.json"), &text[..text.len() / 2]).unwrap();
    let ran = home.dojob(2, &["run", "site.conf", "--apply", "plan.json"]);
    assert!(ran.stderr.contains("this is no plan, or not all of it: EOF while parsing"), "{ran:?}");
    let ran = home.dojob(2, &["run", "site.conf", "--apply", "none.json"]);
    assert_eq!(
        ran.stderr,
        "error: failed to read the plan in none.json: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_plan_of_another_playbook_is_refused() {
    let home = Home::new();
    home.plan();
    fs::copy(home.path("site.conf"), home.path("other.conf")).unwrap();
    let ran = home.dojob(2, &["run", "other.conf", "--apply", "plan.json"]);
    assert!(ran.stderr.contains("is refused: the plan was made for the scope "), "{ran:?}");
}

#[test]
fn a_check_that_cannot_find_out_makes_no_plan() {
    let home = Home::new();
    fs::write(
        home.path("blind.conf"),
        r#"tasks: [ { name: file, args { path: x, source: /nowhere/at/all } } ]"#,
    )
    .unwrap();
    let ran = home.dojob(1, &["plan", "blind.conf", "--save-plan", "plan.json"]);
    let why = "error: failed to save the plan: there is no plan, since the check of file x could not find out how things are\n";
    assert_eq!(ran.stderr, why);
    assert!(!home.path("plan.json").exists());
}

#[test]
fn the_plan_is_the_last_line_of_json() {
    let home = Home::new();
    let ran = home.dojob(3, &["plan", "site.conf", "--format", "json", "--save-plan", "plan.json"]);
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let first: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&last["v"], &last["event"]), (&first["v"], &"plan".into()));
    let mut plan = json(&home.path("plan.json"));
    // Paths are as they are in the file, and were shortened above.
    let jobs = |plan: &Value| plan["would_run"].as_array().unwrap().len();
    assert_eq!(jobs(&last["plan"]), jobs(&plan));
    assert_eq!(last["plan"]["digest"], plan["digest"].take());
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let home = Home::new();
    for (args, why) in [
        (
            &["run", "site.conf", "--save-plan", "x"][..],
            "error: --save-plan requires --no-act: a plan is the result of a dry run\n",
        ),
        (
            &["plan", "site.conf", "--apply", "x"],
            "error: --apply runs jobs, and a dry run does not; give it without --no-act\n",
        ),
    ] {
        assert_eq!(home.dojob(2, args).stderr, why);
    }
    assert!(
        home.dojob(2, &["run", "site.conf", "--apply", "x", "--list"]).stderr.contains("cannot be used with")
    );
}
