//! Services: by the real `systemctl` on a tree, where that can be, and otherwise by one that plays its part.

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
        assert_eq!(diff(&report), "enable\nstart\n");
        assert_eq!(calls(), [""; 0], "a dry run tells nobody anything");
        assert_eq!(ended(&converge(job())).0, Outcome::Changed);
        assert_eq!(calls(), ["enable web.service", "start web.service"]);
        assert_eq!(ended(&converge(job())).0, Outcome::InPlace);
        assert_eq!(calls().len(), 2);
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
        let reason = "is not masked; is enabled; is active (running)";
        assert_eq!(ended(&report), (Outcome::Changed, Some(reason.to_owned())));
        assert_eq!(calls(), ["disable web.service", "stop web.service", "mask web.service"]);

        let report = converge(web().enabled(true));
        let why = "web is masked and cannot be enabled; `masked: false` lifts that";
        assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
        let report = converge(web().enabled(true).masked(false).state(ServiceState::Running));
        assert_eq!(ended(&report), (Outcome::Changed, Some("is masked; is inactive".to_owned())));
        assert_eq!(calls()[3..], ["unmask web.service", "enable web.service", "start web.service"]);
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
        assert_eq!(calls(), ["restart web.service"]);
        assert_eq!(following(&conf, "one\n", restarted()).counts().in_place, 2);

        let reloaded = || web().reload_on([name.clone()]);
        assert!(following(&conf, "two\n", reloaded()).success());
        assert_eq!(calls()[1..], ["reload-or-restart web.service"]);

        // Who is started now has read what is new; who is not wanted to run is not started.
        write(&units(), "web.service/active", "inactive\n");
        assert!(following(&conf, "three\n", reloaded()).success());
        assert!(following(&conf, "four\n", restarted()).success());
        assert_eq!(calls()[2..], ["start web.service"]);
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
        assert_eq!(calls(), ["restart web.service", "restart web.service"]);
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
    assert_eq!(ended(&report), (Outcome::Changed, Some("is masked".to_owned())));
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
