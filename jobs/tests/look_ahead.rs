//! Plans look ahead: what stands behind something that would be done is shown, and what is shown is what a run does.
//!
//! Real playbooks, real files, the real `git`, `systemctl` and tools for accounts; everything is below a temporary root.

#[path = "look_ahead/graphs.rs"]
mod graphs;
#[path = "look_ahead/snapshot.rs"]
mod snapshot;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use snapshot::snapshot;
use tempfile::TempDir;

/// A playbook of the examples, in an empty home.
struct Server {
    home: TempDir,
    playbook: PathBuf,
    args: Vec<String>,
}

/// What a run says of one job.
#[derive(Clone, Debug)]
struct Job {
    outcome: String,
    reason: String,
}

impl Server {
    fn new(playbook: &str, args: &[&str]) -> Self {
        let playbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(playbook);
        let home = tempfile::tempdir().unwrap();
        Server { home, playbook, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
    }

    /// One with the lists of accounts that a bare system has; without root's rights nobody can change those.
    fn with_accounts(playbook: &str, args: &[&str]) -> Self {
        let skipped = if rustix::process::geteuid().is_root() { "packages" } else { "packages,accounts" };
        let args = [&["--skip-tags", skipped], args].concat();
        let server = Server::new(playbook, &args);
        let etc = server.root().join("etc");
        fs::create_dir_all(&etc).unwrap();
        let numbers =
            "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nSYS_UID_MIN 101\nSYS_UID_MAX 999\n";
        for (name, text) in [
            ("passwd", "root:x:0:0:root:/root:/bin/bash\n"),
            ("group", "root:x:0:\n"),
            ("shadow", "root:*:19000:0:99999:7:::\n"),
            ("gshadow", "root:*::\n"),
            ("login.defs", &format!("USERGROUPS_ENAB yes\nHOME_MODE 0750\n{numbers}")),
        ] {
            fs::write(etc.join(name), text).unwrap();
        }
        server
    }

    /// As both playbooks call it unless told otherwise.
    fn root(&self) -> PathBuf {
        let name = self.playbook.file_stem().unwrap().to_str().unwrap();
        self.home.path().join(format!("{name}-root"))
    }

    fn dojob(&self, verb: &str) -> (Option<i32>, BTreeMap<String, Job>) {
        let output = Command::new(env!("CARGO_BIN_EXE_dojob"))
            .arg(verb)
            .arg(&self.playbook)
            .args(["--format", "json"])
            .args(&self.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("DOJOB_STATE_DIR", self.home.path().join("state"))
            .current_dir(self.home.path())
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let events = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let settled = events.filter(|event| event["event"] == "job_settled").map(|event| {
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            (text("job"), Job { outcome: text("outcome"), reason: text("reason") })
        });
        let jobs: BTreeMap<String, Job> = settled.collect();
        assert!(!jobs.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), jobs)
    }

    /// Plans, which leaves no trace.
    fn plan(&self) -> BTreeMap<String, Job> {
        let before = snapshot(self.home.path());
        let (code, jobs) = self.dojob("plan");
        assert!(before == snapshot(self.home.path()), "a plan has changed something");
        assert_eq!(code, Some(3), "{jobs:#?}");
        jobs
    }

    fn converge(&self) {
        let (code, jobs) = self.dojob("run");
        let wrong: Vec<_> =
            jobs.iter().filter(|(_, job)| !matches!(&*job.outcome, "in_place" | "changed")).collect();
        assert_eq!(code, Some(0), "{wrong:#?}");
    }

    fn break_it(&self, how: &str) {
        let status = Command::new("/bin/sh").args(["-ec", how]).current_dir(self.root()).status().unwrap();
        assert!(status.success(), "{how}");
    }

    /// After any five of these drifts, all five are shown, and a run mends them.
    fn shows_any_five_of(&self, drifts: Vec<(String, &'static str)>, rounds: u32) {
        self.converge();
        let mut runner =
            TestRunner::new(Config { cases: rounds, failure_persistence: None, ..Config::default() });
        let five = subsequence(drifts, 5);
        let all_are_shown = |five: Vec<(String, &str)>| {
            five.iter().for_each(|(_, how)| self.break_it(how));
            let jobs = self.plan();
            for (job, how) in &five {
                let shown = jobs.get(job).unwrap_or_else(|| panic!("there is no job `{job}`: {jobs:#?}"));
                assert_eq!(shown.outcome, "would_run", "{job}, after `{how}`: {shown:?}");
                assert!(!shown.reason.is_empty(), "{job}, after `{how}`");
            }
            let unknown = jobs.values().filter(|job| job.outcome == "unknown").count();
            assert!(unknown * 10 <= jobs.len(), "{unknown} of {} are unknown", jobs.len());
            self.converge();
            Ok(())
        };
        runner.run(&five, all_are_shown).unwrap();
    }
}

fn few_are_unknown(jobs: &BTreeMap<String, Job>) {
    let unknown: Vec<_> = jobs.iter().filter(|(_, job)| job.outcome == "unknown").collect();
    assert!(unknown.len() * 10 <= jobs.len(), "{} of {}: {unknown:#?}", unknown.len(), jobs.len());
    let blind: Vec<_> = jobs.iter().filter(|(_, job)| job.outcome == "could_not_find_out").collect();
    assert!(blind.is_empty(), "{blind:#?}");
    assert!(jobs.values().filter(|job| job.outcome == "would_run").count() * 10 >= jobs.len() * 8);
}

#[test]
fn on_a_machine_that_has_nothing_at_most_one_in_ten_is_unknown() {
    few_are_unknown(&Server::new("server.conf", &[]).plan());
    few_are_unknown(&Server::with_accounts("server.conf", &[]).plan());
    few_are_unknown(&Server::new("site.conf", &[]).plan());
    few_are_unknown(&Server::new("site.conf", &["--skip-tags", "system"]).plan());
}

#[test]
fn what_depends_on_a_result_that_is_not_there_is_unknown() {
    let jobs = Server::with_accounts("server.conf", &[]).plan();
    let told = &jobs["file told version"];
    assert_eq!(told.outcome, "unknown");
    assert_eq!(
        told.reason,
        "could not find out what is wanted: the result of `command version` is not known before it is in place"
    );
}

#[test]
fn five_drifts_of_a_server_are_all_shown() {
    let server = Server::with_accounts("server.conf", &[]);
    if !server.args.contains(&"packages".to_owned()) {
        assert!(std::env::var_os("CI").is_none(), "without root's rights accounts are left out");
    }
    let drifts = [
        ("directory logs", "rmdir var/log/app"),
        ("line no root", "sed -i 's/PermitRootLogin no/PermitRootLogin yes/' etc/ssh/sshd_config"),
        ("line keys alone", "sed -i '/PasswordAuthentication/d' etc/ssh/sshd_config"),
        ("block transfers", "sed -i 's/AllowTcpForwarding no/AllowTcpForwarding yes/' etc/ssh/sshd_config"),
        ("file host name", "echo other.example.org >etc/hostname"),
        ("line own address", "sed -i '/127.0.1.1/d' etc/hosts"),
        ("hosts database", "sed -i 's/10.0.0.7/10.0.0.9/' etc/hosts"),
        ("template motd", "rm etc/motd"),
        ("symlink time zone", "ln -sf /usr/share/zoneinfo/UTC etc/localtime"),
        ("line swappiness", "sed -i 's/= 10/= 60/' etc/sysctl.d/90-server.conf"),
        ("setting journal size", "sed -i 's/500M/5G/' etc/systemd/journald.conf"),
        ("template web server", "chmod 0600 etc/nginx/nginx.conf"),
        ("template sites (shop.example.org)", "echo broken >etc/nginx/sites/shop.example.org.conf"),
        ("template pages (wiki.example.org)", "rm -r srv/www/wiki.example.org"),
        ("absent no example", "touch etc/nginx/sites/example.conf"),
        ("replace no plain links", "echo '<a href=\"http://x\">' >>srv/www/www.example.org/index.html"),
        // Not the checkout itself: without the source of `file program` nobody can tell what that is to say.
        ("git_checkout checkout", "git -C srv/app remote set-url origin /nowhere"),
        ("setting workers", "sed -i 's/workers = 4/workers = 1/' etc/app/config.toml"),
        ("setting features", "rm etc/app/features.json"),
        ("file environment", "chmod 0644 etc/app/environment"),
        ("file program", "echo exit 1 >usr/local/bin/app"),
        ("command built", "rm -f srv/app/app.built"),
        ("file backup timer", "sed -i 's/daily/weekly/' etc/systemd/system/backup.timer"),
        ("service app at boot", "rm etc/systemd/system/multi-user.target.wants/app.service"),
        ("template backup script", "chmod 0644 usr/local/bin/backup"),
        ("cron_entry certificates", "sed -i 's/^17/18/' etc/cron.d/certificates"),
        ("setting monitor", "sed -i 's/9100/9200/' etc/monitor/agent.yaml"),
        ("archive old configuration", "rm var/backups/nginx.tar.gz"),
        ("template firewall", "sed -i 's/policy drop/policy accept/' etc/nftables.conf"),
    ];
    server.shows_any_five_of(drifts.map(|(job, how)| (job.to_owned(), how)).to_vec(), 10);
}

#[test]
fn five_drifts_of_a_small_web_host_are_all_shown() {
    let site = Server::new("site.conf", &["--skip-tags", "system"]);
    let drifts = [
        ("directory /srv/www", "rm -r srv/www"),
        ("directory /var/backups", "rm -r var/backups"),
        ("archive old configuration", "date +%s%N >etc/nginx/extra.conf"),
        ("template server", "echo broken >etc/nginx/conf.d/site.conf"),
        ("template page", "rm -f srv/www/index.html"),
        ("line hosts", "sed -i 's/www.example.org/example.org/' etc/hosts"),
        ("template firewall", "chmod 0644 etc/nftables.conf"),
    ];
    let jobs = site.plan();
    let name = |job: &str| {
        let found = jobs.keys().find(|known| known.ends_with(job.trim_start_matches("directory ")));
        found.unwrap_or_else(|| panic!("there is no job {job}: {jobs:#?}")).clone()
    };
    site.shows_any_five_of(drifts.map(|(job, how)| (name(job), how)).to_vec(), 8);
}
