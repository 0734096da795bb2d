//! Services: by the real `systemctl` on a tree, where that can be, and otherwise by one that plays its part. With a systemd at work
//! they are tried by `.ci/services`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dojob::testing::Proof;
use dojob::{Engine, JobGraph, Outcome, Report};
use dojob_jobs::{File, Service, ServiceState};
use tempfile::TempDir;

use crate::own_process::alone;
use crate::tree::{converge, ended, no_act, skipped, tree, write};

/// Where the units of the `systemctl` are that plays its part.
const UNITS: &str = "UNITS";

/// Calls `body` where `systemctl` plays its part.
fn with_systemctl(body: impl FnOnce()) {
    let scratch = tempfile::tempdir().unwrap();
    let (bin, units) = (scratch.path().join("bin"), scratch.path().join("units"));
    fs::create_dir(&units).unwrap();
    let mut path = bin.clone().into_os_string();
    path.push(":/usr/bin:/bin");
    alone(&[("PATH", &path), (UNITS, units.as_os_str())], || {
        let bin = PathBuf::from(std::env::var_os(UNITS).unwrap()).with_file_name("bin");
        // A proof starts the test again, to be killed: then it is there, and must not be written while it is called.
        if !bin.exists() {
            write(&bin, "new", include_str!("systemctl.sh"));
            fs::set_permissions(bin.join("new"), fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(bin.join("new"), bin.join("systemctl")).unwrap();
        }
        body();
    });
}

fn units() -> PathBuf {
    std::env::var_os(UNITS).unwrap().into()
}

/// Forgets everything, and makes a unit of which these files are there.
fn unit(name: &str, files: &[(&str, &str)]) {
    let all = units();
    fs::remove_dir_all(&all).unwrap();
    fs::create_dir_all(all.join(name)).unwrap();
    files.iter().for_each(|(file, text)| write(&all.join(name), file, text));
}

/// What was told to systemd so far.
fn calls() -> Vec<String> {
    let text = fs::read_to_string(units().join("calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn web() -> Service {
    Service::new("web")
}

fn diff(report: &Report) -> String {
    report.jobs().next().unwrap().diff().unwrap_or_default().to_owned()
}

#[test]
fn a_service_is_started_and_enabled() {
    with_systemctl(|| {
        unit("web.service", &[]);
        let job = || web().state(ServiceState::Running).enabled(true);
        let report = no_act(job());
        assert_eq!(ended(&report), (Outcome::WouldRun, Some("is disabled; is inactive".to_owned())));
        assert_eq!(diff(&report), "enable\ndaemon-reload\nstart\n");
        assert_eq!(calls(), [""; 0], "a dry run tells nobody anything");
        assert_eq!(ended(&converge(job())).0, Outcome::Changed);
        assert_eq!(calls(), ["enable web.service", "daemon-reload ", "start web.service"]);
        assert_eq!(ended(&converge(job())).0, Outcome::InPlace);
        assert_eq!(calls().len(), 3);
    });
}

#[test]
fn a_service_is_proved() {
    with_systemctl(|| {
        let state = |_: &Path| {
            let mut files: Vec<String> = fs::read_dir(units().join("web.service"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            files.join(" ")
        };
        Proof::new(|_| web().state(ServiceState::Stopped).masked(true))
            .prepare(|_| unit("web.service", &[("active", "active\n"), ("enabled", "")]))
            .look(state)
            .instants(8)
            .prove();
    });
}

#[test]
fn a_service_is_stopped_disabled_and_masked() {
    with_systemctl(|| {
        unit("web.service", &[("active", "active\n"), ("enabled", "")]);
        let job = || web().state(ServiceState::Stopped).enabled(false).masked(true);
        let report = converge(job());
        let reason = "is enabled; is not masked; is active (running)";
        assert_eq!(ended(&report), (Outcome::Changed, Some(reason.to_owned())));
        assert_eq!(calls(), ["disable web.service", "stop web.service", "mask web.service"]);

        let report = converge(web().enabled(true));
        let why = "web is masked and cannot be enabled; `masked: false` lifts that";
        assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
        let report = converge(web().enabled(true).masked(false).state(ServiceState::Running));
        assert_eq!(ended(&report), (Outcome::Changed, Some("is masked; is inactive".to_owned())));
        assert_eq!(
            calls()[3..],
            ["unmask web.service", "enable web.service", "daemon-reload ", "start web.service"]
        );
    });
}

#[test]
fn changed_files_of_a_unit_are_read_before_all_else() {
    with_systemctl(|| {
        unit("backup.timer", &[("changed", "")]);
        let job = || Service::new("backup.timer").state(ServiceState::Running);
        let report = converge(job());
        let reason = "its unit has changed since systemd read it; is inactive";
        assert_eq!(ended(&report), (Outcome::Changed, Some(reason.to_owned())));
        assert_eq!(diff(&report), "daemon-reload\nstart\n");
        assert_eq!(calls(), ["daemon-reload ", "start backup.timer"]);
        write(&units(), "backup.timer/changed", "");
        assert_eq!(ended(&converge(job().daemon_reload(false))).0, Outcome::InPlace);
    });
}

#[test]
fn what_fails_is_told() {
    with_systemctl(|| {
        unit("web.service", &[("broken", "")]);
        let report = converge(web().state(ServiceState::Running));
        let job = report.jobs().next().unwrap();
        assert_eq!(job.outcome(), Outcome::Failed);
        let reasons: Vec<&str> = job.failures().iter().map(|failure| failure.reason.as_str()).collect();
        let told = "`systemctl --no-ask-password start -- web.service` failed with exit status 1: Job for web.service failed.";
        assert_eq!(reasons, ["is inactive", told, "is failed"]);
        let report = converge(Service::new("nothing").enabled(false));
        let why = "there is no unit nothing.service; a job before this one has to install it";
        assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
        let report = converge(Service::new("nothing").state(ServiceState::Stopped));
        assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
        unit("web.service", &[("static", "")]);
        let report = converge(web().enabled(true));
        let why = "web cannot be enabled: it is static, its unit does not say when it is wanted";
        assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
        assert_eq!(ended(&converge(web().enabled(false))).0, Outcome::InPlace);
    });
}

/// A service that follows its configuration, the file `conf`.
fn following(conf: &Path, text: &str, service: Service) -> Report {
    let mut graph = JobGraph::builder();
    graph.add(File::new(conf, text));
    graph.add(service);
    Engine::with_graph(graph.build().unwrap()).tries(1).converge()
}

#[test]
fn a_service_follows_what_it_depends_on() {
    with_systemctl(|| {
        unit("web.service", &[("active", "active\n")]);
        let scratch = tempfile::tempdir().unwrap();
        let conf = scratch.path().join("conf");
        let name = format!("File {}", conf.display());
        let restarted = || web().state(ServiceState::Running).restart_on([name.clone()]);

        let report = following(&conf, "one\n", restarted());
        let reason = format!("has to be restarted after a change of {name}");
        assert_eq!(report.job("Service web").reason(), Some(reason.as_str()));
        assert!(report.success());
        assert_eq!(calls(), ["daemon-reload ", "restart web.service"]);
        assert_eq!(following(&conf, "one\n", restarted()).counts().in_place, 2);

        let reloaded = || web().reload_on([name.clone()]);
        assert!(following(&conf, "two\n", reloaded()).success());
        assert_eq!(calls()[2..], ["daemon-reload ", "reload-or-restart web.service"]);

        // Who is started now has read what is new; who is not wanted to run is not started.
        write(&units(), "web.service/active", "inactive\n");
        assert!(following(&conf, "three\n", reloaded()).success());
        assert!(following(&conf, "four\n", restarted()).success());
        assert_eq!(calls()[4..], ["daemon-reload ", "start web.service"]);
    });
}

#[test]
fn a_restart_is_not_lost_when_it_fails() {
    with_systemctl(|| {
        unit("web.service", &[("active", "active\n"), ("broken", "")]);
        let scratch = tempfile::tempdir().unwrap();
        let conf = scratch.path().join("conf");
        let service = || web().restart_on([format!("File {}", conf.display())]);
        let start = || {
            let mut graph = JobGraph::builder();
            graph.add(File::new(&conf, "one\n"));
            graph.add(service());
            let journal = dojob::Journal::open(scratch.path().join("state")).unwrap();
            Engine::with_graph(graph.build().unwrap()).tries(1).journal(journal).converge()
        };
        let report = start();
        assert_eq!(report.counts().changed, 1, "{report:?}");
        fs::remove_file(units().join("web.service/broken")).unwrap();
        write(&units(), "web.service/active", "active\n");
        assert!(start().success());
        assert_eq!(calls().iter().filter(|call| *call == "restart web.service").count(), 2, "{:?}", calls());
        assert_eq!(start().counts().in_place, 2);
    });
}

#[test]
fn a_job_that_is_followed_has_to_be_there() {
    let mut graph = JobGraph::builder();
    graph.add(web().restart_on(["File /etc/web.conf"]));
    let error = graph.build().unwrap_err().to_string();
    assert!(error.contains("File /etc/web.conf"), "{error}");
}

#[test]
fn a_service_that_is_still_starting_is_restarted_for_what_is_new() {
    with_systemctl(|| {
        let scratch = tempfile::tempdir().unwrap();
        let conf = scratch.path().join("conf");
        let name = format!("File {}", conf.display());
        for (text, sub) in [("one\n", "auto-restart"), ("two\n", "start")] {
            unit("web.service", &[("active", "activating\n"), ("sub", sub)]);
            assert!(following(&conf, text, web().reload_on([name.clone()])).success());
            assert_eq!(calls(), ["daemon-reload ", "restart web.service"], "{sub}");
        }
    });
}

#[test]
fn a_service_that_is_still_stopping_is_waited_for() {
    with_systemctl(|| {
        unit("web.service", &[("active", "deactivating\n")]);
        let report = converge(web().state(ServiceState::Stopped));
        assert_eq!(ended(&report).0, Outcome::Changed);
        assert_eq!(calls(), ["stop web.service"]);
    });
}

#[test]
fn a_start_that_hangs_has_a_limit() {
    with_systemctl(|| {
        unit("web.service", &[("hangs", "")]);
        let job = web().state(ServiceState::Running).timeout(std::time::Duration::from_millis(300));
        let report = converge(job);
        let job = report.jobs().next().unwrap();
        assert_eq!((job.outcome(), job.tries()), (Outcome::Failed, 1));
        let told = &job.failures()[1].reason;
        let start = "start of web.service did not end within 300ms: it is activating (start)";
        assert!(told.starts_with(start), "{told}");
    });
}

#[test]
fn a_service_that_systemd_starts_again_and_again_is_not_running() {
    with_systemctl(|| {
        let dying = &[("type", "simple\n"), ("restarts", "0\n"), ("dies", "")];
        unit("web.service", dying);
        let report = converge(web().state(ServiceState::Running));
        let reasons: Vec<String> =
            report.jobs().next().unwrap().failures().iter().map(|failure| failure.reason.clone()).collect();
        assert!(!report.success());
        assert!(reasons[1].contains("ended at once after its start"), "{reasons:?}");

        // It is at work in most moments, and each time it is another process.
        let report = no_act(web().state(ServiceState::Running));
        let reason = ended(&report).1.unwrap();
        assert!(reason.contains("by systemd"), "{reason}");
    });
}

#[test]
fn without_a_bus_a_unit_is_not_missing() {
    with_systemctl(|| {
        unit("web.service", &[("no-bus", "")]);
        for job in [web().enabled(true), web().state(ServiceState::Running), web().masked(true)] {
            let report = converge(job);
            let reason = ended(&report).1.unwrap();
            assert!(reason.starts_with("could not find out"), "{reason}");
            assert!(reason.ends_with("Failed to connect to bus: No such file or directory"), "{reason}");
            assert_eq!(calls(), [""; 0]);
        }
    });
}

/// A tree with units for the real `systemctl`.
fn system() -> TempDir {
    tree(&[
        ("etc/systemd/system/.keep", ""),
        (
            "usr/lib/systemd/system/web.service",
            "[Service]\nExecStart=/bin/web\n[Install]\nWantedBy=multi-user.target\n",
        ),
        ("usr/lib/systemd/system/db.service", "[Service]\nExecStart=/bin/db\n"),
    ])
}

fn has_systemctl(test: &str) -> bool {
    let has = Path::new("/usr/bin/systemctl").exists() || Path::new("/bin/systemctl").exists();
    if !has {
        skipped(test, "needs `systemctl`");
    }
    has
}

#[test]
fn units_of_a_tree_are_enabled_and_masked_for_real() {
    if !has_systemctl("units_of_a_tree_are_enabled_and_masked_for_real") {
        return;
    }
    let wanted_by = "etc/systemd/system/multi-user.target.wants/web.service";
    let system = crate::tree::prove(system, |root| web().enabled(true).root(root));
    assert!(system.path().join(wanted_by).is_symlink());
    assert_eq!(ended(&converge(web().enabled(false).masked(true).root(system.path()))).0, Outcome::Changed);
    assert!(!system.path().join(wanted_by).is_symlink());
    let mask = fs::read_link(system.path().join("etc/systemd/system/web.service")).unwrap();
    assert_eq!(mask, Path::new("/dev/null"));
    let report = converge(web().enabled(true).masked(false).root(system.path()));
    assert_eq!(ended(&report), (Outcome::Changed, Some("is masked; is disabled".to_owned())));
    assert!(system.path().join(wanted_by).is_symlink());

    let report = converge(Service::new("db").enabled(true).root(system.path()));
    let why = "db cannot be enabled: it is static, its unit does not say when it is wanted";
    assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
    let report = converge(Service::new("nothing").enabled(true).root(system.path()));
    let why = "there is no unit nothing.service; a job before this one has to install it";
    assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
}

#[test]
fn without_systemd_nothing_is_found_out() {
    if !has_systemctl("without_systemd_nothing_is_found_out") || Path::new("/run/systemd/system").exists() {
        return;
    }
    let report = no_act(web().state(ServiceState::Running));
    let reason = ended(&report).1.unwrap();
    let start = "could not find out whether web.service is running (systemd is not at work here; with `root` a tree can be \
                 prepared for it): ";
    assert!(reason.starts_with(start), "{reason}");
    assert_eq!(report.counts().could_not_find_out, 1);
}

/// A tree with a unit of each kind, and the links of an administrator.
fn kinds() -> TempDir {
    let wanted = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    let alias = format!("{wanted}Alias=http.service\n");
    let system = tree(&[
        ("etc/systemd/system/.keep", ""),
        ("run/.keep", ""),
        ("usr/lib/systemd/system/web.service", &alias),
        ("usr/lib/systemd/system/plain.service", wanted),
        (
            "usr/lib/systemd/system/pair.socket",
            "[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\n",
        ),
        (
            "usr/lib/systemd/system/pair.service",
            "[Service]\nExecStart=/bin/true\n[Install]\nAlso=pair.socket\n",
        ),
        ("usr/lib/systemd/system/each@.service", wanted),
        ("opt/linked.service", wanted),
        ("opt/bare.service", "[Service]\nExecStart=/bin/true\n"),
        ("etc/systemd/system/own.service", wanted),
    ]);
    let link = |target: &str, at: &str| std::os::unix::fs::symlink(target, system.path().join(at)).unwrap();
    link("web.service", "usr/lib/systemd/system/www.service");
    link("/opt/linked.service", "etc/systemd/system/linked.service");
    link("/opt/bare.service", "etc/systemd/system/bare.service");
    link("/dev/null", "usr/lib/systemd/system/packaged.service");
    system
}

fn systemctl(system: &Path, words: &[&str]) -> String {
    let root = format!("--root={}", system.display());
    let output = std::process::Command::new("systemctl").arg(root).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Converges, is in place then, and is what `systemctl` calls it.
fn settles(system: &Path, job: &Service, unit: &str, word: &str) {
    let job = || job.clone().root(system);
    let report = converge(job());
    assert_eq!(ended(&report).0, Outcome::Changed, "{unit} {word}: {report:?}");
    assert_eq!(ended(&converge(job())).0, Outcome::InPlace, "{unit} {word}");
    assert_eq!(systemctl(system, &["is-enabled", unit]), word, "{unit}");
}

#[test]
fn an_alias_means_the_unit_behind_it() {
    if !has_systemctl("an_alias_means_the_unit_behind_it") {
        return;
    }
    let system = kinds();
    let system = system.path();
    settles(system, &Service::new("www").enabled(true), "web.service", "enabled");
    settles(system, &Service::new("http").enabled(false), "web.service", "disabled");
    settles(system, &Service::new("http").enabled(true), "web.service", "enabled");
    settles(system, &Service::new("www").masked(true).enabled(false), "web.service", "masked");
    settles(system, &Service::new("www").masked(false), "web.service", "disabled");
    systemctl(system, &["mask", "www.service"]);
    settles(system, &Service::new("www").masked(false).enabled(true), "web.service", "enabled");
}

#[test]
fn units_are_what_their_files_say() {
    if !has_systemctl("units_are_what_their_files_say") {
        return;
    }
    let system = kinds();
    let system = system.path();
    settles(system, &Service::new("pair").enabled(true), "pair.socket", "enabled");
    settles(system, &Service::new("pair").enabled(false), "pair.socket", "disabled");
    settles(system, &Service::new("linked").enabled(true), "linked.service", "enabled");
    settles(system, &Service::new("linked").enabled(false), "linked.service", "linked");
    settles(system, &Service::new("to-come").masked(true), "to-come.service", "masked");
    for (job, why) in [
        (Service::new("bare").enabled(true), "bare cannot be enabled: it is linked"),
        (Service::new("packaged").masked(false), "packaged is masked by its package"),
        (Service::new("own").masked(true), "own cannot be masked"),
        (
            Service::new("each@").enabled(true),
            "each@ cannot be enabled: it is a template without `DefaultInstance=`",
        ),
        (Service::new("to-come").enabled(true), "to-come is masked and cannot be enabled"),
    ] {
        let report = converge(job.root(system));
        let job = report.jobs().next().unwrap();
        assert_eq!((job.outcome(), job.tries()), (Outcome::Failed, 1));
        assert!(job.reason().unwrap().starts_with(why), "{:?}", job.reason());
    }
}

#[test]
fn units_that_are_enabled_together_are_judged_as_a_whole() {
    if !has_systemctl("units_that_are_enabled_together_are_judged_as_a_whole") {
        return;
    }
    let system = kinds();
    let system = system.path();
    let units = system.join("usr/lib/systemd/system");
    fs::write(units.join("other.socket"), "[Socket]\nListenStream=2\n[Install]\nWantedBy=sockets.target\n")
        .unwrap();
    let both = "[Service]\nExecStart=/bin/true\n[Install]\nAlso=pair.socket other.socket\n";
    fs::write(units.join("both.service"), both).unwrap();
    systemctl(system, &["enable", "pair.socket"]);
    settles(system, &Service::new("both").enabled(false), "pair.socket", "disabled");
    systemctl(system, &["enable", "pair.socket"]);
    settles(system, &Service::new("both").enabled(true), "other.socket", "enabled");
}

#[test]
fn drop_ins_say_when_a_unit_is_wanted() {
    if !has_systemctl("drop_ins_say_when_a_unit_is_wanted") {
        return;
    }
    let system = kinds();
    let system = system.path();
    let drop_in = |unit: &str, text: &str| {
        let directory = system.join(format!("etc/systemd/system/{unit}.d"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("boot.conf"), text).unwrap();
    };
    drop_in("bare.service", "[Install]\nWantedBy=multi-user.target\n");
    settles(system, &Service::new("bare").enabled(true), "bare.service", "enabled");
    fs::write(system.join("usr/lib/systemd/system/named.service"), "[Service]\nExecStart=/bin/true\n")
        .unwrap();
    drop_in("named.service", "[Install]\nAlias=nick.service\n");
    settles(system, &Service::new("nick").enabled(true), "named.service", "enabled");
}

#[test]
fn what_holds_until_the_next_boot_does_not_count() {
    if !has_systemctl("what_holds_until_the_next_boot_does_not_count") {
        return;
    }
    let system = kinds();
    let system = system.path();
    let plain = || Service::new("plain");
    systemctl(system, &["enable", "--runtime", "plain.service"]);
    settles(system, &plain().enabled(true), "plain.service", "enabled");
    settles(system, &plain().enabled(false), "plain.service", "disabled");
    systemctl(system, &["mask", "--runtime", "plain.service"]);
    settles(system, &plain().masked(true), "plain.service", "masked");
    settles(system, &plain().masked(false), "plain.service", "disabled");
    systemctl(system, &["enable", "plain.service"]);
    systemctl(system, &["mask", "plain.service"]);
    settles(system, &plain().masked(true).enabled(false), "plain.service", "masked");
    assert!(!system.join("etc/systemd/system/multi-user.target.wants/plain.service").is_symlink());
}
