//! The command `dojob` with the ready-made jobs: the playbooks that people copy, from end to end.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

#[path = "dojob/at_once.rs"]
mod at_once;
#[path = "dojob/groups.rs"]
mod groups;
#[path = "support/server.rs"]
mod server;

use server::{Reply, Server};

/// The command in an empty home, with its state there.
fn dojob(home: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dojob"))
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("DOJOB_STATE_DIR", home.join("state"))
        .current_dir(home)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    path.canonicalize().unwrap().display().to_string()
}

/// Root's Git believes repositories of whoever has called `sudo`, and runs what they configure.
#[test]
fn a_repository_of_another_user_runs_nothing_as_root_under_sudo() {
    if !rustix::process::geteuid().is_root() {
        assert!(
            std::env::var_os("CI").is_none(),
            "skipped in CI: only root's Git asks who has called `sudo`"
        );
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (up, own) = (home.path().join("up"), home.path().join("own"));
    let pwned = home.path().join("pwned");
    let git = |directory: &Path, args: &[&str]| {
        let mut command = Command::new("git");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(directory);
        for setting in ["user.name=Rosa", "user.email=rosa@localhost", "safe.directory=*"] {
            command.args(["-c", setting]);
        }
        assert!(command.args(args).status().unwrap().success(), "{args:?}");
    };
    fs::create_dir(&up).unwrap();
    git(&up, &["init", "--quiet"]);
    git(&up, &["commit", "--quiet", "--allow-empty", "--message", "first"]);
    git(home.path(), &["clone", "--quiet", "up", "own"]);
    git(&own, &["config", "core.fsmonitor", &format!("touch {}; false", pwned.display())]);
    chown_all(&own, 12345);
    let playbook = home.path().join("p.conf");
    let args = format!("repo = \"file://{}\", dest = \"{}\"", up.display(), own.display());
    fs::write(&playbook, format!("tasks: [ {{ name: git_checkout, args {{ {args} }} }} ]")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dojob"))
        .args(["plan", "p.conf"])
        .env("SUDO_UID", "12345")
        .env("SUDO_GID", "12345")
        .env("DOJOB_STATE_DIR", home.path().join("state"))
        .current_dir(home.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("belongs to another user"), "{text}");
    assert!(!pwned.exists(), "what another user has configured was run");
}

fn chown_all(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| chown_all(&entry.path(), user));
    }
}

/// It need not be declared as a secret; a job's name is shown everywhere, and stored.
#[test]
fn no_password_of_a_url_is_in_the_name_of_a_job() {
    let home = tempfile::tempdir().unwrap();
    let padding = "x".repeat(30);
    let playbook = format!(
        r#"tasks: [
            {{ name: command, args {{ run: [ "true", "https://bob:hunter2hunter2@{padding}.example.com/" ], creates: "/nowhere" }} }}
            {{ name: command, args {{ run: "true {padding} https://hunter2hunter2@example.com/", creates: "/nowhere" }} }}
            {{ id: "https://bob:hunter2hunter2@example.com/", name: command, args {{ run: "true", creates: "/nowhere" }} }}
        ]"#
    );
    fs::write(home.path().join("p.conf"), playbook).unwrap();
    for args in [
        &["run", "p.conf", "--list"][..],
        &["plan", "p.conf"],
        &["graph", "p.conf"],
        &["run", "p.conf", "-n", "--format", "json"],
        &["run", "p.conf", "--tries", "1", "-d", "-v"],
    ] {
        let (_, stdout, stderr) = dojob(home.path(), args);
        assert!(stdout.contains("***") || stderr.contains("***"), "{args:?}: {stdout}{stderr}");
        assert!(!stdout.contains("hunter2") && !stderr.contains("hunter2"), "{args:?}: {stdout}{stderr}");
    }
    for (path, (content, _)) in tree(&home.path().join("state")) {
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(!text.contains("hunter2"), "{}: {text}", path.display());
    }
}

/// Every file below a directory, with what is in it and when it was changed.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            let path = entry.path();
            let changed = entry.metadata().unwrap().modified().unwrap();
            let content = fs::read(&path).unwrap_or_default();
            if path.is_dir() {
                open.push(path.clone());
            }
            files.insert(path, (content, changed));
        }
    }
    files
}

/// A server that keeps what is put there.
fn store() -> Server {
    let kept: Mutex<HashMap<String, Vec<u8>>> = Mutex::default();
    Server::start(move |seen| {
        let mut kept = kept.lock().unwrap();
        match seen.method.as_str() {
            "PUT" => {
                kept.insert(seen.path.clone(), seen.body.clone());
                Reply::status(201)
            }
            _ => kept.get(&seen.path).map_or_else(|| Reply::status(404), |body| Reply::ok(body.clone())),
        }
    })
}

#[test]
fn the_playbook_of_the_readme_runs_as_it_stands() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("src")).unwrap();
    fs::write(home.path().join("src/main.rs"), "fn main() {}\n").unwrap();
    let playbook = example("tasks.conf");
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    assert!(readme.contains(&fs::read_to_string(&playbook).unwrap()), "the README shows another one");
    let (code, _, stderr) = dojob(home.path(), &["run", &playbook, "-v"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("shell_script uname | Linux"), "{stderr}");
    assert!(stderr.contains("src/main.rs"), "{stderr}");
}

#[test]
fn the_lineage_is_scanned_completed_uploaded_backed_up_and_cleaned() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("src")).unwrap();
    fs::write(home.path().join("src/lib.rs"), "mod one;\nuse crate::two;\n").unwrap();
    let server = store();
    let store = format!("vars.store=\"{}\"", server.url(""));
    let root = home.path().join("lineage");
    for round in 0..2 {
        let (code, _, stderr) = dojob(home.path(), &["run", &example("lineage.conf"), "--set", &store]);
        assert_eq!(code, Some(0), "round {round}: {stderr}");
        assert!(!root.join("workspace").exists(), "it was cleaned");
        assert_eq!(fs::read_dir(root.join("backup")).unwrap().count(), 1);
    }
    let put: Vec<_> = server.seen().into_iter().filter(|seen| seen.method == "PUT").collect();
    assert_eq!(put.len(), 1, "what is there already is not uploaded again");
    let lineage: serde_json::Value = serde_json::from_slice(&put[0].body).unwrap();
    assert_eq!((&lineage["files"], &lineage["lines"]), (&1.into(), &2.into()));
    assert_eq!(lineage["edges"].as_array().unwrap().len(), 2);
    assert!(lineage["scanned"]["on"].is_string() && lineage["scanned"]["by"].is_string());
}

#[test]
fn the_small_web_host_converges_below_a_root_and_then_has_nothing_to_do() {
    let home = tempfile::tempdir().unwrap();
    let playbook = example("site.conf");
    let run = |verb| dojob(home.path(), &[verb, &playbook, "--skip-tags", "system"]);

    // Of this machine and of an image, as its first lines say.
    for args in [&["vars.root=/"][..], &["vars.root=/mnt/image", "--skip-tags", "live"]] {
        let (code, _, stderr) = dojob(home.path(), &[&["validate", &playbook, "--set"], args].concat());
        assert_eq!(code, Some(0), "{stderr}");
    }

    let (code, _, stderr) = run("plan");
    assert_eq!(code, Some(3), "{stderr}");
    assert!(tree(home.path()).is_empty(), "a plan leaves nothing behind");

    let (code, _, stderr) = run("run");
    assert_eq!(code, Some(0), "{stderr}");
    let page = fs::read_to_string(home.path().join("site-root/srv/www/index.html")).unwrap();
    assert!(page.contains("Hello from www.example.org"), "{page}");
    let firewall = fs::read_to_string(home.path().join("site-root/etc/nftables.conf")).unwrap();
    assert!(firewall.contains("tcp dport { 22, 80, 443 } accept"), "{firewall}");

    let before = tree(&home.path().join("site-root"));
    let (code, _, stderr) = run("run");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.starts_with("nothing to do"), "{stderr}");
    assert_eq!(tree(&home.path().join("site-root")), before);

    fs::write(home.path().join("site-root/srv/www/index.html"), "defaced").unwrap();
    let (code, stdout, stderr) = run("plan");
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stdout.contains("-defaced") && stdout.contains("+<!doctype html>"), "{stdout}");
    let (_, _, stderr) = run("run");
    assert!(
        stderr.contains("changed template page") && stderr.contains("12 in place, 1 changed"),
        "{stderr}"
    );
}

#[test]
fn every_ready_made_job_is_a_task_type_whose_example_is_valid() {
    let home = tempfile::tempdir().unwrap();
    let (code, types, stderr) = dojob(home.path(), &["types"]);
    assert_eq!(code, Some(0), "{stderr}");
    let listed: Vec<&str> = types.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed.len(), 27, "{types}");
    for name in listed {
        let (code, told, stderr) = dojob(home.path(), &["types", name]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(told.contains("Arguments:"), "{told}");
        let (_, behind) = told.split_once("\nExample:\n").unwrap();
        let (example, _) = behind.split_once("\n\nFrom ").unwrap();
        // The one that follows on another task.
        let before = "{ name: file, id: nginx-conf, args { path: /etc/nginx/nginx.conf, content: x } }";
        let before = if example.contains("nginx-conf") { before } else { "" };
        fs::write(home.path().join("example.conf"), format!("tasks: [\n{before}\n{example}\n]\n")).unwrap();
        let (code, _, stderr) = dojob(home.path(), &["validate", "example.conf"]);
        assert_eq!(code, Some(0), "{stderr}");
    }
    let (code, starter, _) = dojob(home.path(), &["new"]);
    fs::write(home.path().join("new.conf"), starter).unwrap();
    assert_eq!((code, dojob(home.path(), &["validate", "new.conf"]).0), (Some(0), Some(0)));
    let (_, schema, _) = dojob(home.path(), &["schema"]);
    assert!(serde_json::from_str::<serde_json::Value>(&schema).unwrap().is_object());
}

#[test]
fn what_a_task_hands_on_is_used_by_later_ones() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    fs::write(home.join("token"), "hunter2\n").unwrap();
    let text = r#"
        secrets { token { file: token } }
        tasks: [
            { name: shell_script, register: version
              args { script_path: sh, script_args: [-c, "echo 1.2; echo"] } }
            { name: command, register: answer
              args { run: "echo 42 > answer", check: "cat answer && echo $TOKEN >&2", secret_env { TOKEN: ${secrets.token} } } }
            { name: template, register: motd, args { path: ./motd, template: "Hello" } }
            { name: file, args { path: about, content: ${results.version.stdout}" in "${results.motd.path}" is "${results.answer.stdout} } }
            { name: file, args { path: whole, mode: "0600", content: key ${results.answer.stderr} } }
        ]"#;
    fs::write(home.join("site.conf"), text).unwrap();
    for changed in [5, 1] {
        let (code, stdout, stderr) = dojob(&home, &["run", "site.conf", "--format", "json"]);
        assert_eq!(code, Some(0), "{stderr}");
        let shown = stdout + &stderr;
        assert!(!shown.contains("hunter2") && shown.contains(r#""stderr":"***""#), "{shown}");
        assert_eq!(shown.matches(r#""outcome":"changed""#).count(), changed, "{shown}");
        let about = format!("1.2 in {}/motd is 42", home.display());
        assert_eq!(fs::read_to_string(home.join("about")).unwrap(), about);
        assert_eq!(fs::read_to_string(home.join("whole")).unwrap(), "key hunter2");
    }
}

#[test]
fn what_is_no_text_is_not_used_as_one() {
    let home = tempfile::tempdir().unwrap();
    let content = |content: &str| {
        let tasks = format!(
            r#"tasks: [
                {{ name: shell_script, register: r, args {{ script_path: printf, script_args: ["M\\374ller"] }} }}
                {{ name: file, args {{ path: ./motd, content: {content} }} }}
            ]"#
        );
        fs::write(home.path().join("p.conf"), tasks).unwrap();
        dojob(home.path(), &["run", "p.conf", "--retry-delay", "0s"])
    };
    for (used, shown) in [
        ("${results.r.stdout}", "${results.r.stdout}"),
        ("\"of \"${results.r.stdout}", "${results.r.stdout}"),
        ("${?results.r.stdout}", "${?results.r.stdout}"),
    ] {
        let (code, out, err) = content(used);
        assert_eq!(code, Some(1), "{out}{err}");
        let why = format!("`{shown}` is not text: it is not UTF-8: offset 1, the byte 0xfc");
        assert!(format!("{out}{err}").contains(&why), "{out}{err}");
        assert!(!home.path().join("motd").exists());
    }
    let (code, out, err) = content("exit ${results.r.exit_code}");
    assert_eq!(code, Some(0), "the rest of the result can be used: {out}{err}");
    assert_eq!(fs::read_to_string(home.path().join("motd")).unwrap(), "exit 0");
}

#[test]
fn facts_are_asserted_with_and_without_quotes() {
    let home = tempfile::tempdir().unwrap();
    let text = r#"tasks: [ { name: assert, args { facts {
        os.family: { not: plan9 }, os.kernel.matches: "[0-9]", hardware: { cpus: { min: 1 } }, "hardware.memory": { min: 1 }
    } } } ]"#;
    fs::write(home.path().join("site.conf"), text).unwrap();
    let (code, _, stderr) = dojob(home.path(), &["run", "site.conf"]);
    assert_eq!(code, Some(0), "{stderr}");
    fs::write(home.path().join("site.conf"), text.replace("cpus: { min: 1", "cpus: { min: 1, mox: 9"))
        .unwrap();
    let (code, _, stderr) = dojob(home.path(), &["validate", "site.conf"]);
    assert_eq!(code, Some(2), "{stderr}");
    let said = "`hardware.cpus` has the bound `min` beside the part `mox`";
    assert!(stderr.contains(said) && stderr.contains("site.conf:2:"), "{stderr}");
}

#[test]
fn facts_of_the_machine_are_values() {
    let home = tempfile::tempdir().unwrap();
    let text = "tasks: [ { name: file, args { path: facts, content: \"on \"${facts.os.kernel} } } ]";
    fs::write(home.path().join("facts.conf"), text).unwrap();
    let (code, _, stderr) = dojob(home.path(), &["run", "facts.conf"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(fs::read_to_string(home.path().join("facts")).unwrap().starts_with("on "));
    fs::write(home.path().join("facts.conf"), text.replace("os.kernel", "os.kernle")).unwrap();
    let (code, _, stderr) = dojob(home.path(), &["validate", "facts.conf"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("facts.conf:1:") && stderr.contains("os.kernle"), "{stderr}");
}

#[test]
fn a_service_follows_tasks_by_their_ids() {
    let home = tempfile::tempdir().unwrap();
    let playbook = |order: &str, reload_on: &str| {
        let text = format!(
            r#"order: {order}
            tasks: [
                {{ name: file, id: conf, tags: [files], args {{ path: /etc/nginx/nginx.conf, content: x }} }}
                {{ name: file, id: sites, tags: [files], for_each: [a, b], args {{ path: /etc/nginx/${{item}}, content: x }} }}
                {{ name: service, tags: [services], args {{ name: nginx, state: running, reload_on: [{reload_on}] }} }}
                {{ name: file, id: late, args {{ path: /etc/late, content: x }} }}
            ]"#
        );
        fs::write(home.path().join("web.conf"), text).unwrap();
    };
    let followed = |args: &[&str]| -> Vec<String> {
        let list = ["run", "web.conf", "--list", "--format", "json"];
        let (code, graph, stderr) = dojob(home.path(), &[&list, args].concat());
        assert_eq!(code, Some(0), "{stderr}");
        let graph: serde_json::Value = serde_json::from_str(&graph).unwrap();
        let jobs = graph.as_array().unwrap();
        let service = jobs.iter().find(|job| job["name"] == "service nginx").unwrap();
        let names = service["needs"].as_array().into_iter().flatten();
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };

    playbook("graph", "conf, sites, file late");
    assert_eq!(followed(&[]), ["file conf", "file sites (a)", "file sites (b)", "file late"]);
    // What is left out is not waited for, and is no mistake.
    assert!(followed(&["--tags", "services"]).is_empty());

    playbook("sequence", "cnf, late");
    let (code, _, stderr) = dojob(home.path(), &["validate", "web.conf"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("error: no task has the id `cnf`, and no job is called so\n --> web.conf:5:100")
            && stderr.contains("hint: did you mean `conf`?")
            && stderr.contains("error: `late` is not before this task\n --> web.conf:5:105"),
        "{stderr}"
    );
}

#[test]
fn those_who_follow_each_other_may_stand_in_any_order() {
    let home = tempfile::tempdir().unwrap();
    let validated = |text: &str| {
        fs::write(home.path().join("web.conf"), text).unwrap();
        dojob(home.path(), &["validate", "web.conf"])
    };
    let text = r#"order: graph, tasks: [
        { name: service, id: a, register: r, args { name: a, state: running, reload_on: [b] } }
        { name: service, id: b, args { name: b, state: running, reload_on: [5] } }
        { name: file, id: 5, args { path: /etc/x, content: x } }
        { name: file, args { path: /etc/y, content: ${?results.r} } }
    ]"#;
    assert_eq!(validated(text).0, Some(0), "{}", validated(text).2);
    let late = r#"tasks: [
        { name: shell_script, id: conf, register: r, args { script_path: echo, script_args: nginx } }
        { name: service, args { name: ${results.r.stdout}, state: running, reload_on: [conf] } }
    ]"#;
    let (code, _, stderr) = validated(late);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("`service` needs other jobs, and cannot wait for results"), "{stderr}");
}

/// What `validate` says of these tasks.
fn validated(tasks: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("site.conf"), format!("tasks: [\n{tasks}\n]\n")).unwrap();
    let (code, _, stderr) = dojob(home.path(), &["validate", "site.conf"]);
    (code, stderr)
}

#[test]
fn two_tasks_do_not_want_different_things_of_one_target() {
    let file = "{ name: file, args { path: /srv/a, content: x } }";
    for other in [
        r#"{ name: file, args { path: "/srv//a", mode: "0600" } }"#,
        "{ name: file, args { path: /srv/b/../a, content: y } }",
    ] {
        for tasks in [format!("{file}\n{other}"), format!("{other}\n{file}")] {
            let (code, said) = validated(&tasks);
            assert_eq!(code, Some(2), "{tasks}");
            assert!(said.contains("`/srv/a`") && said.contains("the other is at site.conf:2:"), "{said}");
            let allowed = tasks.replacen("args", "same_target: allowed, args", 1);
            assert_eq!(validated(&allowed), (Some(0), String::new()), "{allowed}");
        }
    }
    for tasks in [
        "{ name: service, args { name: a, state: running } }\n{ name: service, args { name: a.service, enabled: true } }",
        "{ name: user, for_each: [ann, bob, ann], args { name: ${item} } }",
        "{ name: package, args { names: [git, curl] } }\n{ name: package, args { names: curl, state: absent } }",
        "{ name: line, args { path: /a, line: x, regex: \"^x\" } }\n{ name: line, args { path: /a, line: y, regex: \"^x\" } }",
        "{ name: setting, args { path: /a.ini, key: b, value: 1 } }\n{ name: setting, args { path: /a.ini, key: b, value: 2 } }",
        "{ name: git_checkout, args { repo: /r, dest: /a } }\n{ name: git_checkout, args { repo: /s, dest: \"//a\" } }",
    ] {
        let (code, said) = validated(tasks);
        assert_eq!(code, Some(2), "{tasks}");
        assert!(said.contains("have the same target"), "{said}");
    }
}

#[test]
fn tasks_that_go_together_may_be_about_one_path() {
    let tasks = r#"{ name: download, args { path: /a, url: "http://x.example/" } }
           { name: file, args { path: /a, mode: "0600" } }
           { name: line, args { path: /b, line: x } }
           { name: line, args { path: /b, line: y } }
           { name: block, args { path: /b, name: z, content: z } }
           { name: setting, args { path: /c.ini, key: a, value: 1 } }
           { name: setting, args { path: /c.ini, key: b, value: 1 } }
           { name: directory, args { path: /d } }
           { name: git_checkout, args { repo: /r, dest: /d } }
           { name: absent, args { path: /c.ini } }
           { name: template, args { path: /b, template: z } }
           { name: package, args { names: [git, curl] } }
           { name: package, args { names: curl } }
           { name: service, args { name: a, state: running } }
           { name: service, args { name: a.timer, state: running } }"#;
    assert_eq!(validated(tasks), (Some(0), String::new()), "{tasks}");
}

#[test]
fn a_number_is_no_mode_unless_it_can_only_be_octal() {
    let file = |mode: &str| validated(&format!("{{ name: file, args {{ path: /a, mode: {mode} }} }}"));
    assert_eq!(file("0644"), (Some(0), String::new()));
    assert_eq!(file("\"644\"").0, Some(0));
    for (mode, hint) in
        [("644", "`\"0644\"`"), ("420", "`\"0644\"`"), ("493", "`\"0755\"`"), ("1777", "`\"1777\"`")]
    {
        let (code, said) = file(mode);
        assert_eq!(code, Some(2), "{mode}");
        assert!(said.contains(&format!("`mode` is the number {mode}, expected a string")), "{said}");
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn a_result_has_the_parts_that_its_type_hands_on() {
    let used = |task: &str, part: &str| {
        validated(&format!(
            "{{ name: {task}, register: r }}\n{{ name: file, args {{ path: /a, content: ${{results.r{part}}} }} }}"
        ))
    };
    let command = "command, args { run: [true], check: [true] }";
    assert_eq!(used(command, ".stdout").0, Some(0));
    let said = used(command, ".stdot").1;
    assert!(said.contains("`r` is the result of `command`, and has no part `stdot`"), "{said}");
    assert!(said.contains("did you mean `${results.r.stdout}`?"), "{said}");
    assert!(used("directory, args { path: /d }", "").1.contains("`directory` hands on no result"));
    assert!(
        used("git_checkout, args { repo: /r, dest: /d }", ".commit")
            .1
            .contains("is the result of `git_checkout`, a string")
    );
    let request =
        r#"http_request, args { url: "http://x.example", expect { json { /a: 1 } }, send { method: PUT } }"#;
    assert_eq!(used(request, ".json.a.b").0, Some(0), "{}", used(request, ".json.a.b").1);
}

#[test]
fn a_template_that_needs_what_is_not_there_is_refused_before_anything_is_done() {
    let template = |text: &str| {
        validated(&format!(
            "{{ name: template, args {{ path: /a, vars {{ x: {{ y: 1 }} }}, template: \"{text}\" }} }}"
        ))
    };
    for good in [
        "{{ x.y }}",
        "{{ z | default('') }}",
        "{% if z is defined %}{{ z }}{% endif %}",
        "{{ facts.os.family }}",
    ] {
        assert_eq!(template(good), (Some(0), String::new()), "{good}");
    }
    for bad in ["{{ z }}", "{{ x.z }}", "{{ x.y", "{% for a in z %}{% endfor %}"] {
        assert_eq!(template(bad).0, Some(2), "{bad}: {}", template(bad).1);
    }
}

#[test]
fn neither_the_secret_of_today_nor_that_of_yesterday_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    fs::write(
        home.join("secret.conf"),
        r#"order: graph
        secrets { pw { file: ./pw } }
        tasks: [
            { name: file, args { path: ./file, content: "pw="${secrets.pw}"\n" } }
            { name: line, args { path: ./line, line: "pw="${secrets.pw}, regex: "^pw=", create: true } }
            { name: setting, args { path: ./a.ini, key: db.password, value: ${secrets.pw}, create: true } }
            { name: template, args { path: ./template, vars { p: ${secrets.pw} }, template: "{{ p|upper }}" } }
        ]"#,
    )
    .unwrap();
    let mut said = String::new();
    for (secret, verbs) in [("yesterday-555", &["run"][..]), ("today-777", &["plan", "run"])] {
        fs::write(home.join("pw"), secret).unwrap();
        for verb in verbs {
            let (code, stdout, stderr) = dojob(&home, &[verb, "secret.conf", "--diff"]);
            assert_eq!(code, Some(if *verb == "plan" { 3 } else { 0 }), "{stderr}");
            said.extend([stdout, stderr]);
        }
    }
    assert!(fs::read_to_string(home.join("template")).unwrap().contains("TODAY-777"));
    let said = said.to_lowercase();
    assert!(!said.contains("day-555") && !said.contains("day-777"), "{said}");
    for (path, (content, _)) in tree(&home.join("state")) {
        let text = String::from_utf8_lossy(&content).to_lowercase();
        assert!(!text.contains("day-555") && !text.contains("day-777"), "{}: {text}", path.display());
    }
}

#[test]
fn no_message_has_a_secret_however_deep_it_stands() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("key"), "hunter2(never closed").unwrap();
    let text = "secrets { k { file: ./key } }
        tasks: [ { name: wait_for, args { until { line { file: /etc/passwd, pattern: ${secrets.k} } } } } ]";
    fs::write(home.path().join("secret.conf"), text).unwrap();
    let (code, _, stderr) = dojob(home.path(), &["run", "secret.conf"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.starts_with("error: `until.line.pattern` does not accept the value of the secret `k`\n"),
        "{stderr}"
    );
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn config_prints_what_a_file_resolves_to() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write("any.conf", "version = 1.10, big = 18446744073709551616, name = x-${version}, of = ${more.of}");
    write("more.conf", "more { of = 2 }");
    let (code, out, _) =
        dojob(home.path(), &["config", "any.conf", "--vars", "more.conf", "--set", "more.of=3"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        out,
        "{\n  \"version\": 1.10,\n  \"big\": 18446744073709551616,\n  \"name\": \"x-1.10\",\n  \"of\": 3,\n  \"more\": {\n    \"of\": 3\n  }\n}\n"
    );
    let (code, out, error) = dojob(home.path(), &["config", "any.conf"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.starts_with("error: `more.of` is not defined\n --> any.conf:1:"), "{error}");
    // A secret is not shown by the name of its variable.
    write("secret.conf", "secrets { token { env: HOME } }, tasks: [], a = ${HOME}");
    let (code, out, error) = dojob(home.path(), &["config", "secret.conf"]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
}
