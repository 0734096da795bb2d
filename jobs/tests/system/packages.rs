//! Packages, by the real apt, in a system of its own with an archive of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dojob::{Engine, Event, Observer, Outcome};
use dojob_jobs::{Package, PackageState};
use tempfile::TempDir;

use crate::chroot::{inside, system_with};
use crate::tree::{converge, ended, no_act, read, snapshot, write};

/// Builds packages and an archive of them, without anything that the least of all Debians lacks.
const MAKE_ARCHIVE: &str = r#"
mkdir -p /srv/archive; cd /srv/archive
# name version fields [script]
deb() {
    dir=$(mktemp -d); mkdir -p "$dir/DEBIAN" "$dir/etc/$1"; chmod 755 "$dir"
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: test\n%s' \
        "$1" "$2" "$3" >"$dir/DEBIAN/control"
    echo "as delivered with $2" >"$dir/etc/$1/conf"; echo "/etc/$1/conf" >"$dir/DEBIAN/conffiles"
    if [ -n "$4" ]; then printf '#!/bin/sh\n%s\n' "$4" >"$dir/DEBIAN/postinst"; chmod 755 "$dir/DEBIAN/postinst"; fi
    dpkg-deb --build --root-owner-group "$dir" "$1_$2_all.deb" >/dev/null; rm -r "$dir"
}
index() {
    for deb in *.deb; do
        dpkg-deb -f "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
    done >Packages
}
"#;

const PACKAGES: &str = r#"
deb greet 1.0 ''; deb greet 2.0 'Depends: greet-data
'; deb greet-data 1.0 ''; deb rude 1.0 'Conflicts: greet
'
deb fussy 1.0 '' 'test -e /run/fussy'
deb deadly 1.0 '' 'test -e /run/deadly || { touch /run/deadly; kill -9 $PPID; sleep 60; }'
index
echo 'deb [trusted=yes] copy:/srv/archive ./' >/etc/apt/sources.list; apt-get -q update
# What is lost with the power may be lost here.
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/unsafe
"#;

/// A system that knows the archive.
fn archive(test: &str) -> Option<TempDir> {
    system_with(test, "archive", &format!("{MAKE_ARCHIVE}{PACKAGES}"))
}

fn installed(root: &Path, name: &str) -> String {
    inside(root, &format!("dpkg-query -W -f '${{Version}} ${{db:Status-Status}}' {name} 2>/dev/null || true"))
}

fn diff(report: &dojob::Report) -> String {
    report.jobs().next().unwrap().diff().unwrap_or_default().to_owned()
}

#[test]
fn packages_come_and_stay() {
    let Some(system) = archive("packages_come_and_stay") else { return };
    let root = system.path();
    let job = || Package::new(["greet", "cron"]).root(root);

    // By the content: apt renews its own cache.
    let before = snapshot(&root.join("var/lib/dpkg"));
    let report = no_act(job());
    assert_eq!(ended(&report), (Outcome::WouldRun, Some("greet is not installed".to_owned())));
    assert_eq!(diff(&report), "greet-data (none) -> 1.0\ngreet (none) -> 2.0\n");
    assert_eq!(before, snapshot(&root.join("var/lib/dpkg")), "a dry run changes nothing");

    assert_eq!(ended(&converge(job())).0, Outcome::Changed);
    assert_eq!(installed(root, "greet"), "2.0 installed");
    let report = converge(job());
    assert_eq!(ended(&report).0, Outcome::InPlace);
    let result = report.jobs().next().unwrap().result().unwrap();
    assert_eq!(result["greet"], "2.0");
}

#[test]
fn a_version_is_kept_until_the_latest_is_wanted() {
    let Some(system) = archive("a_version_is_kept_until_the_latest_is_wanted") else { return };
    let root = system.path();
    let greet = || Package::new(["greet"]).root(root);

    assert_eq!(ended(&converge(greet().version("1.0"))).0, Outcome::Changed);
    assert_eq!(ended(&converge(greet())).0, Outcome::InPlace, "any version is fine");
    write(root, "etc/greet/conf", "by hand\n");

    let report = no_act(greet().state(PackageState::Latest));
    assert_eq!(ended(&report), (Outcome::WouldRun, Some("greet is 1.0, not 2.0".to_owned())));
    assert_eq!(diff(&report), "greet-data (none) -> 1.0\ngreet 1.0 -> 2.0\n");
    assert_eq!(ended(&converge(greet().state(PackageState::Latest))).0, Outcome::Changed);
    assert_eq!(ended(&converge(greet().state(PackageState::Latest))).0, Outcome::InPlace);
    assert_eq!(read(root, "etc/greet/conf"), "by hand\n", "what people have changed stays");

    let report = converge(greet().version("1.*"));
    assert_eq!(ended(&report), (Outcome::Changed, Some("greet is 2.0, not 1.*".to_owned())));
    assert_eq!(installed(root, "greet"), "1.0 installed");

    inside(root, "apt-mark hold greet");
    let report = converge(greet().version("2.0"));
    let held = "greet is 1.0, not 2.0, and it is held back at 1.0; `apt-mark unhold greet` lets it go";
    assert_eq!(ended(&report), (Outcome::Failed, Some(held.to_owned())));
}

#[test]
fn packages_go_and_take_their_configuration_when_told() {
    let Some(system) = archive("packages_go_and_take_their_configuration_when_told") else { return };
    let root = system.path();
    let absent = || Package::new(["greet", "never-heard-of"]).state(PackageState::Absent).root(root);
    assert!(converge(Package::new(["greet"]).version("1.0").root(root)).success());

    let report = converge(absent());
    assert_eq!(ended(&report), (Outcome::Changed, Some("greet is installed (1.0)".to_owned())));
    assert_eq!(diff(&report), "greet 1.0 -> (none)\n");
    assert_eq!(installed(root, "greet"), "1.0 config-files");
    assert_eq!(ended(&converge(absent())).0, Outcome::InPlace);

    let report = converge(absent().purge(true));
    assert_eq!(diff(&report), "greet (configuration) -> (none)\n");
    assert_eq!(ended(&report), (Outcome::Changed, Some("the configuration of greet is left".to_owned())));
    assert!(!root.join("etc/greet/conf").exists());
    assert_eq!(ended(&converge(absent().purge(true))).0, Outcome::InPlace);
}

#[test]
fn a_package_that_came_for_others_is_kept_for_its_own_sake() {
    let Some(system) = archive("a_package_that_came_for_others_is_kept_for_its_own_sake") else { return };
    let root = system.path();
    assert!(converge(Package::new(["greet"]).root(root)).success());
    let data = || Package::new(["greet-data"]).root(root);
    let report = converge(data());
    let reason = "greet-data was installed for other packages, and would go with them";
    assert_eq!(ended(&report), (Outcome::Changed, Some(reason.to_owned())));
    assert_eq!(ended(&converge(data())).0, Outcome::InPlace);
    inside(root, "apt-get -qy remove greet; apt-get -qy autoremove");
    assert_eq!(installed(root, "greet-data"), "1.0 installed");
}

#[test]
fn a_virtual_package_is_refused_before_anything_is_done() {
    let Some(system) = archive("a_virtual_package_is_refused_before_anything_is_done") else { return };
    let root = system.path();
    inside(root, &format!("{MAKE_ARCHIVE} deb polite 1.0 'Provides: greeter\n'; index; apt-get -q update"));
    let refused = "greeter is a virtual package, which polite provides; name a real one";
    let report = Engine::new(Package::new(["greeter", "rude"]).root(root)).unwrap().converge();
    assert_eq!(ended(&report), (Outcome::Failed, Some(refused.to_owned())));
    assert_eq!(report.jobs().next().unwrap().tries(), 1);
    assert_eq!(installed(root, "polite rude"), "");
    // Nor is its absence taken for that of what provides it.
    let absent = || Package::new(["greeter"]).state(PackageState::Absent).root(root);
    assert_eq!(ended(&converge(absent())).0, Outcome::InPlace);
    assert!(converge(Package::new(["polite"]).root(root)).success());
    assert_eq!(ended(&converge(absent())), (Outcome::Failed, Some(refused.to_owned())));
}

#[test]
fn an_unpacked_package_gets_what_it_lacks() {
    let Some(system) = archive("an_unpacked_package_gets_what_it_lacks") else { return };
    let root = system.path();
    inside(root, "dpkg --unpack /srv/archive/greet_2.0_all.deb");
    assert_eq!(installed(root, "greet"), "2.0 unpacked");
    let greet = || Package::new(["greet"]).root(root);
    assert_eq!(ended(&converge(greet())), (Outcome::Changed, Some("greet is unpacked".to_owned())));
    assert_eq!(
        (installed(root, "greet"), installed(root, "greet-data")),
        ("2.0 installed".into(), "1.0 installed".into())
    );
    // What cannot be configured can be removed all the same.
    assert_eq!(converge(Package::new(["fussy"]).root(root)).counts().failed, 1);
    let absent = Package::new(["fussy"]).state(PackageState::Absent).purge(true).root(root);
    assert_eq!(ended(&converge(absent)).0, Outcome::Changed);
    assert_eq!(installed(root, "fussy"), "");
}

#[test]
fn lists_that_are_older_than_a_source_are_fetched() {
    let Some(system) = archive("lists_that_are_older_than_a_source_are_fetched") else { return };
    let root = system.path();
    inside(
        root,
        &format!(
            "{MAKE_ARCHIVE} mkdir /srv/other; cd /srv/other; deb late 1.0 ''; index; touch -d '2 hours ago' /var/lib/apt/lists
            echo 'deb [trusted=yes] copy:/srv/other ./' >/etc/apt/sources.list.d/other.list
            touch -d '3 hours ago' /etc/apt/sources.list /etc/apt/sources.list.d
            touch -d '1 hour ago' /etc/apt/sources.list.d/other.list"
        ),
    );
    let report = converge(Package::new(["late"]).root(root));
    let reason =
        "late is not installed; the lists of packages are older than /etc/apt/sources.list.d/other.list";
    assert_eq!(ended(&report), (Outcome::Changed, Some(reason.to_owned())));
}

#[test]
fn a_package_that_is_held_out_is_refused_at_once() {
    let Some(system) = archive("a_package_that_is_held_out_is_refused_at_once") else { return };
    let root = system.path();
    inside(root, "apt-mark hold greet");
    let report = Engine::new(Package::new(["greet"]).root(root)).unwrap().converge();
    let reason = "greet is not installed, and it is held back; `apt-mark unhold greet` lets it in";
    assert_eq!(ended(&report), (Outcome::Failed, Some(reason.to_owned())));
    assert_eq!(report.jobs().next().unwrap().tries(), 1);
}

#[test]
fn others_are_removed_only_when_told() {
    let Some(system) = archive("others_are_removed_only_when_told") else { return };
    let root = system.path();
    assert!(converge(Package::new(["greet"]).version("1.0").root(root)).success());
    let rude = || Package::new(["rude"]).root(root);

    let report = converge(rude());
    assert_eq!(report.counts().failed, 1);
    assert_eq!(diff(&report), "not to be said yet: Packages need to be removed but remove is disabled.\n");
    assert_eq!(installed(root, "greet"), "1.0 installed");

    let report = converge(rude().allow_removals(true));
    assert_eq!(ended(&report).0, Outcome::Changed);
    assert_eq!(diff(&report), "greet 1.0 -> (none)\nrude (none) -> 1.0\n");
}

#[test]
fn what_others_need_goes_only_with_them() {
    let Some(system) = archive("what_others_need_goes_only_with_them") else { return };
    let root = system.path();
    assert!(converge(Package::new(["greet"]).root(root)).success());
    let data = || Package::new(["greet-data"]).state(PackageState::Absent).root(root);
    let report = converge(data());
    let why = "greet-data cannot be removed alone: greet needs it; with `allow_removals` they go together";
    assert_eq!(ended(&report), (Outcome::Failed, Some(why.to_owned())));
    assert_eq!(installed(root, "greet"), "2.0 installed");
    assert_eq!(ended(&converge(data().allow_removals(true))).0, Outcome::Changed);
    assert_eq!(installed(root, "greet"), "2.0 config-files");
}

#[test]
fn lists_are_fetched_when_they_are_too_old() {
    let Some(system) = archive("lists_are_fetched_when_they_are_too_old") else { return };
    let root = system.path();
    let hourly = |job: Package| job.update_cache(Duration::from_secs(3600)).root(root);
    assert!(converge(Package::new(["greet-data"]).root(root)).success());
    let newer = format!("{MAKE_ARCHIVE} deb greet-data 1.5 ''; deb late 1.0 ''; index");
    inside(root, &newer);

    // The lists are young, and do not know.
    inside(root, "touch /var/lib/apt/lists");
    let latest = || hourly(Package::new(["greet-data"]).state(PackageState::Latest));
    assert_eq!(ended(&converge(latest())).0, Outcome::InPlace);
    let report = converge(hourly(Package::new(["late"])));
    assert_eq!(ended(&report), (Outcome::Failed, Some("late is not installed".to_owned())));

    inside(
        root,
        "touch -d '3 days ago' /var/lib/apt/lists; touch -d '4 days ago' /etc/apt/sources.list /etc/apt/sources.list.d",
    );
    assert_eq!(
        ended(&converge(hourly(Package::new(["greet-data"])))).0,
        Outcome::InPlace,
        "nobody asked for the latest"
    );
    let reason = ended(&no_act(latest())).1.unwrap();
    assert!(
        reason.starts_with("the lists of packages are 72h") && reason.ends_with("old, not 1h at most"),
        "{reason}"
    );
    assert_eq!(ended(&converge(latest())).0, Outcome::Changed);
    assert_eq!(installed(root, "greet-data"), "1.5 installed");
    assert_eq!(ended(&converge(latest())).0, Outcome::InPlace);

    inside(root, "rm -r /var/lib/apt/lists/*");
    let without = converge(Package::new(["late"]).root(root));
    let failures = without.jobs().next().unwrap().failures();
    let hint = "there are no lists of packages, and `update_cache` does not say that they are to be fetched";
    assert!(failures.iter().any(|failure| failure.reason.contains(hint)), "{failures:?}");
    let report = converge(hourly(Package::new(["late"])));
    let reason = "late is not installed; there are no lists of packages";
    assert_eq!(ended(&report), (Outcome::Changed, Some(reason.to_owned())));
}

#[test]
fn what_was_interrupted_is_finished() {
    let Some(system) = archive("what_was_interrupted_is_finished") else { return };
    let root = system.path();
    let fussy = || Package::new(["fussy"]).root(root);
    assert_eq!(converge(fussy()).counts().failed, 1);
    let report = no_act(fussy());
    assert_eq!(ended(&report), (Outcome::WouldRun, Some("fussy is half-configured".to_owned())));
    write(root, "run/fussy", "");
    assert_eq!(ended(&converge(fussy())).0, Outcome::Changed);

    // dpkg itself is killed in the middle, and leaves its journal.
    let deadly = || Package::new(["deadly"]).root(root);
    assert_eq!(converge(deadly()).counts().failed, 1);
    assert!(fs::read_dir(root.join("var/lib/dpkg/updates")).unwrap().next().is_some());
    assert!(converge(Package::new(["greet"]).root(root)).success(), "of another package, too");
    assert_eq!(ended(&converge(deadly())).0, Outcome::InPlace);
}

#[test]
fn a_name_is_not_taken_for_a_pattern() {
    let Some(system) = archive("a_name_is_not_taken_for_a_pattern") else { return };
    let root = system.path();
    let report = converge(Package::new(["gree."]).root(root));
    assert_eq!(report.counts().failed, 1, "{report:?}");
    assert_eq!(ended(&report).1.as_deref(), Some("gree. is not installed"));
    assert_eq!(
        diff(&report),
        "not to be said yet: Unable to locate package gree.; Couldn't find any package by glob 'gree.'\n"
    );
    assert_eq!(installed(root, "greet"), "");
}

/// Holds a lock of apt or dpkg until it is dropped.
struct Holder(Child);

impl Holder {
    fn of(root: &Path, lock: &str) -> Self {
        let script = r#"use Fcntl; $| = 1; open(my $f, "+>>", $ARGV[0]) or die;
            my $lock = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $lock) or die; print "held\n"; <STDIN>;"#;
        let mut child = Command::new("chroot")
            .arg(root)
            .args(["perl", "-e", script, lock])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Holder(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets go of the lock as soon as somebody says that they wait for it.
struct LetGo(Arc<Mutex<Option<Holder>>>);

impl Observer for LetGo {
    fn observe(&mut self, event: &Event) {
        if let Event::Output { line, .. } = event
            && (line.contains("waiting for it") || line.contains("Waiting for cache lock"))
        {
            self.0.lock().unwrap().take();
        }
    }
}

#[test]
fn others_at_work_are_waited_for() {
    let Some(system) = archive("others_at_work_are_waited_for") else { return };
    let root = system.path();
    for (lock, name) in [("/var/lib/dpkg/lock-frontend", "greet"), ("/var/lib/apt/lists/lock", "rude")] {
        let holder = Arc::new(Mutex::new(Some(Holder::of(root, lock))));
        let job = Package::new([name]).allow_removals(true).update_cache(Duration::ZERO).root(root);
        let report = Engine::new(job).unwrap().tries(1).observe(LetGo(holder.clone())).converge();
        assert!(report.success(), "{:?}", report.jobs().next().unwrap().failures());
        assert!(holder.lock().unwrap().is_none(), "nobody waited for {lock}");
    }
}

#[test]
fn the_wait_for_others_has_an_end() {
    let Some(system) = archive("the_wait_for_others_has_an_end") else { return };
    let root = system.path();
    let impatient = || Package::new(["greet"]).lock_timeout(Duration::from_secs(1)).root(root);
    for (lock, job) in [
        ("/var/lib/dpkg/lock-frontend", impatient()),
        ("/var/lib/apt/lists/lock", impatient().update_cache(Duration::ZERO)),
    ] {
        let _holder = Holder::of(root, lock);
        let report = converge(job);
        assert_eq!(report.counts().failed, 1);
        let failures = report.jobs().next().unwrap().failures();
        assert!(failures.iter().any(|failure| failure.reason.contains(lock)), "{failures:?}");
    }
}
