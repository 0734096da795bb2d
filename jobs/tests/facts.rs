//! What is known of a machine: of this one, and of trees that look like others.

#[path = "support/converge.rs"]
mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use dojob::{Engine, JobGraph, Outcome};
use dojob_jobs::{Facts, PackageManager, ServiceManager, Template};
use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Came, as_nobody, converge, is_root};

/// A tree with these files in it.
fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if ["bin", "sbin"].iter().any(|name| path.parent().unwrap().ends_with(name)) {
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    root
}

fn debian() -> TempDir {
    machine(&[
        (
            "usr/lib/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
             VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
        ),
        ("proc/sys/kernel/osrelease", "6.1.0-28-amd64\n"),
        ("proc/sys/kernel/hostname", "web1\n"),
        ("proc/sys/kernel/arch", "x86_64\n"),
        ("proc/meminfo", "MemTotal:        2048 kB\nMemFree:          100 kB\nSwapTotal:          0 kB\n"),
        ("sys/devices/system/cpu/online", "0-3\n"),
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nrosa:x:1000:100:Rosa,,,:/home/rosa:/bin/sh\n# no\n+\nroot:x:7:7::/:/\n",
        ),
        ("sys/class/net/eth0/address", "52:54:00:12:34:56\n"),
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/mtu", "1500\n"),
        ("sys/class/net/lo/address", "00:00:00:00:00:00\n"),
        ("sys/class/net/lo/operstate", "unknown\n"),
        ("sys/class/net/lo/mtu", "65536\n"),
        ("sys/class/net/bonding_masters", ""),
        ("usr/bin/apt-get", ""),
        ("usr/bin/dnf", ""),
        ("run/systemd/system/x", ""),
    ])
}

#[test]
fn a_whole_machine() {
    let root = debian();
    symlink("/usr/lib/os-release", root.path().join("etc/os-release")).unwrap();
    let facts = Facts::at(root.path());
    let wanted = json!({
        "os": {
            "family": "debian",
            "id": "debian",
            "version": "12",
            "codename": "bookworm",
            "name": "Debian GNU/Linux 12 (bookworm)",
            "kernel": "6.1.0-28-amd64",
        },
        "hardware": {"architecture": "x86_64", "cpus": 4, "memory": 2_097_152, "swap": 0},
        "hostname": "web1",
        "users": {
            "root": {"uid": 0, "gid": 0, "comment": "root", "home": "/root", "shell": "/bin/bash"},
            "rosa": {"uid": 1000, "gid": 100, "comment": "Rosa,,,", "home": "/home/rosa", "shell": "/bin/sh"},
        },
        "interfaces": {
            "eth0": {"mac": "52:54:00:12:34:56", "up": true, "mtu": 1500, "addresses": []},
            "lo": {"mac": null, "up": null, "mtu": 65536, "addresses": []},
        },
        "tools": {"package_manager": "apt", "service_manager": "systemd", "container": null},
    });
    assert_eq!(facts.to_json().unwrap(), wanted);
}

#[test]
fn nothing_is_known_of_an_empty_tree() {
    let root = machine(&[]);
    let wanted = json!({
        "os": {"family": "linux", "id": null, "version": null, "codename": null, "name": null, "kernel": null},
        "hardware": {"architecture": null, "cpus": null, "memory": null, "swap": null},
        "hostname": "localhost",
        "users": {},
        "interfaces": {},
        "tools": {"package_manager": null, "service_manager": null, "container": null},
    });
    assert_eq!(Facts::at(root.path()).to_json().unwrap(), wanted);
}

#[test]
fn distributions_have_families_and_tools() {
    let of = |release: &str, others: &[&str]| {
        let mut files = vec![("etc/os-release", release)];
        files.extend(others.iter().map(|file| (*file, "x\n")));
        let root = machine(&files);
        let facts = Facts::at(root.path());
        let tools = facts.tools().unwrap().clone();
        (facts.os().unwrap().family.clone(), tools.package_manager, tools.service_manager, tools.container)
    };
    assert_eq!(
        of("ID=alpine\nVERSION_ID=3.20.1", &["sbin/apk", "run/openrc/softlevel", ".dockerenv"]),
        ("alpine".into(), Some(PackageManager::Apk), Some(ServiceManager::Openrc), Some("docker".into()))
    );
    assert_eq!(
        of(
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"",
            &["usr/bin/dnf", "usr/bin/yum", "usr/bin/apt-get", "run/systemd/system/x"]
        ),
        ("redhat".into(), Some(PackageManager::Dnf), Some(ServiceManager::Systemd), None)
    );
    assert_eq!(
        of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", &["usr/bin/apt-get", "run/.containerenv"]),
        ("debian".into(), Some(PackageManager::Apt), None, Some("podman".into()))
    );
    assert_eq!(of("ID=void", &["usr/bin/xbps-install", "run/runit/x"]).1, Some(PackageManager::Xbps));
    assert_eq!(of("ID=x", &["run/systemd/container"]).3, Some("x".into()));
}

#[test]
fn a_container_is_known_by_its_first_process() {
    let of = |file: &str, text: &str| {
        let root = machine(&[(file, text)]);
        Facts::at(root.path()).tools().unwrap().container.clone()
    };
    assert_eq!(of("proc/1/environ", "A=b\0container=lxc\0"), Some("lxc".into()));
    assert_eq!(of("proc/1/cgroup", "1:name=systemd:/kubepods/besteffort/pod1\n"), Some("kubernetes".into()));
    assert_eq!(of("proc/1/cgroup", "0::/\n"), None);
}

#[test]
fn one_fact_is_found_by_its_path() {
    let root = debian();
    let path = root.path().join("sys/class/net/eth0.7");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("operstate"), "down\n").unwrap();
    let facts = Facts::at(root.path());
    let get = |path: &str| facts.get(path).unwrap();
    assert_eq!(get("os.version"), json!("12"));
    assert_eq!(get("users.rosa.home"), json!("/home/rosa"));
    assert_eq!(get("/interfaces/eth0.7/up"), json!(false));
    assert_eq!(get("tools.container"), Value::Null);
    assert_eq!(get("tools.container.name"), Value::Null);
    assert_eq!(get("hardware")["cpus"], json!(4));
    let error = |path: &str| facts.get(path).unwrap_err().to_string();
    assert_eq!(
        error("so.family"),
        "there is no fact `so`; there are `os`, `hardware`, `hostname`, `users`, `interfaces`, `tools`"
    );
    assert_eq!(error("users.rose"), "there is no fact `users.rose`; in `users` there are `root`, `rosa`");
    assert_eq!(error("hostname.x"), "there is no fact `hostname.x`; `hostname` has no parts");
}

#[test]
fn what_is_known_stays_and_what_is_not_asked_for_is_not_read() {
    let root = debian();
    symlink("passwd", root.path().join("etc/passwd.new")).unwrap();
    fs::rename(root.path().join("etc/passwd.new"), root.path().join("etc/passwd")).unwrap();
    let facts = Facts::at(root.path());
    assert_eq!(facts.hostname().unwrap(), "web1");
    let error = format!("{:#}", facts.get("users").unwrap_err());
    assert!(error.contains("could not find out") && error.contains("symbolic links"), "{error}");
    fs::write(root.path().join("proc/sys/kernel/hostname"), "web2\n").unwrap();
    assert_eq!(facts.hostname().unwrap(), "web1");
    assert_eq!(Facts::at(root.path()).hostname().unwrap(), "web2");
}

#[test]
fn a_template_asks_for_facts() {
    let root = debian();
    let path = root.path().join("motd");
    let rendered = |template: &str| {
        let graph = JobGraph::new(Template::new(&path, template)).unwrap();
        let report = Engine::with_graph(graph).tries(1).handle(Facts::at(root.path())).converge();
        let came = Came::of(&report);
        if report.success() { fs::read_to_string(&path).unwrap() } else { came.reason }
    };
    assert_eq!(
        rendered(
            "{{ facts.hostname }} {{ facts.os.family }} {{ facts.hardware.cpus + 1 }} {{ facts.users['rosa'].home }}"
        ),
        "web1 debian 5 /home/rosa"
    );
    assert_eq!(rendered("{% for user in facts.users %}{{ user }},{% endfor %}"), "root,rosa,");
    assert_eq!(rendered("{% if not facts.tools.container %}{{ facts | list | join }}{% endif %}"), {
        "oshardwarehostnameusersinterfacestools"
    });
    let start = format!("could not find out what {} is to say: ", path.display());
    assert!(rendered("{{ facts.so }}").starts_with(&(start.clone() + "undefined value")));
    assert!(rendered("{{ facts.os.so }}").starts_with(&(start.clone() + "undefined value")));

    // What cannot be read is an error of those alone who ask for it.
    symlink("passwd", root.path().join("etc/passwd.new")).unwrap();
    fs::rename(root.path().join("etc/passwd.new"), root.path().join("etc/passwd")).unwrap();
    assert_eq!(rendered("{{ facts.hostname }}"), "web1");
    for template in
        ["{{ facts.users }}", "{{ facts.users.rosa.home }}", "{% for user in facts.users %}{% endfor %}"]
    {
        let said = rendered(template);
        assert!(
            said.starts_with(&start) && said.contains("Too many levels of symbolic links"),
            "{template}: {said}"
        );
    }
}

#[test]
fn a_variable_of_ones_own_takes_the_place_of_the_facts() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("motd");
    let job = Template::new(&path, "{{ facts.moon }}").var("facts", json!({ "moon": "full" }));
    assert_eq!(converge(job).outcome, Outcome::Changed);
    assert_eq!(fs::read_to_string(path).unwrap(), "full");
}

#[test]
fn bytes_that_are_no_text_harm_nobody() {
    let root = machine(&[]);
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/passwd"), b"rosa:x:1000:100:R\xf6sa:/home/rosa:/bin/sh\n").unwrap();
    fs::create_dir(root.path().join("etc/os-release")).unwrap();
    let facts = Facts::at(root.path());
    assert_eq!(facts.users().unwrap()["rosa"].comment, "R\u{fffd}sa");
    assert_eq!(facts.os().unwrap().id, None);
}

#[test]
fn what_may_not_be_read_is_not_missing() {
    if !is_root("being somebody else") {
        return;
    }
    let root = debian();
    fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(root.path().join("etc/passwd"), PermissionsExt::from_mode(0o600)).unwrap();
    as_nobody("inner_closed", OsStr::new("/usr/bin:/bin"), &[("ROOT", root.path().as_os_str())]);
}

#[test]
#[ignore = "called by `what_may_not_be_read_is_not_missing` as nobody"]
fn inner_closed() {
    let facts = Facts::at(std::env::var_os("ROOT").unwrap());
    let error = format!("{:#}", facts.to_json().unwrap_err());
    assert!(error.starts_with("could not find out what ") && error.contains("/etc/passwd"), "{error}");
    assert_eq!(facts.hostname().unwrap(), "web1");
}

fn printed(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn this_machine_says_the_same_to_all() {
    let facts = Facts::new();
    let hardware = facts.hardware().unwrap();
    assert_eq!(hardware.architecture.as_deref(), Some(printed("uname", &["-m"]).as_str()));
    assert_eq!(facts.os().unwrap().kernel.as_deref(), Some(printed("uname", &["-r"]).as_str()));
    assert_eq!(facts.hostname().unwrap(), printed("uname", &["-n"]));
    assert_eq!(facts.users().unwrap()["root"].uid, 0);
    assert!(hardware.memory.unwrap() > 1024 * 1024 && hardware.cpus.unwrap() > 0);
    let interfaces = facts.interfaces().unwrap();
    if Path::new("/sys/class/net/lo").exists() {
        assert!(interfaces["lo"].addresses.contains(&"127.0.0.1".parse().unwrap()), "{interfaces:?}");
    }
    facts.to_json().unwrap();
}

#[test]
fn all_jobs_of_a_run_share_them() {
    let root = debian();
    let mut graph = JobGraph::builder();
    let hostname = root.path().join("proc/sys/kernel/hostname");
    graph.run_only("first", move |cx| {
        assert_eq!(Facts::of(cx).hostname()?, "web1");
        Ok(fs::write(&hostname, "web2")?)
    });
    graph
        .run_only("second", |cx| {
            assert_eq!(Facts::of(cx).hostname()?, "web1");
            Facts::forget(cx);
            assert_eq!(Facts::of(cx).hostname()?, "web2");
            Ok(())
        })
        .after(["first"]);
    graph.root("second");
    let report =
        Engine::with_graph(graph.build().unwrap()).tries(1).handle(Facts::at(root.path())).converge();
    assert!(report.success(), "{:?}", report.job("second").reason());
}
