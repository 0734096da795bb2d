//! Jobs about single files of a system: keys, host names, crontabs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use dojob::testing::Proof;
use dojob::{Deps, DummyJob, Engine, IntoJob, Outcome};
use dojob_jobs::{
    AuthorizedKey, Block, CronEntry, File, Format, Hosts, Line, Presence, Replace, Setting, Template,
};
use tempfile::TempDir;

use crate::chroot::{inside, run, system};
use crate::small_disk::{SmallDisk, needs_room};
use crate::tree::{converge, ended, is_root, no_act, prove, read, snapshot, tree, write};

pub(crate) const ONE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB rosa@laptop";
pub(crate) const TWO: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC rosa@phone";

fn mode(path: &Path) -> (u32, u32) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.mode() & 0o7777, meta.uid())
}

/// A tree in which the user rosa, who owns what is in her home, is the one that the test runs as.
fn home() -> TempDir {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let tree = tree(&[("etc/group", "root:x:0:\n"), ("srv/rosa/.profile", "")]);
    write(tree.path(), "etc/passwd", &format!("rosa:x:{uid}:{gid}::/srv/rosa:/bin/sh\n"));
    tree
}

fn home_with(keys: &str) -> TempDir {
    let tree = home();
    write(tree.path(), "srv/rosa/.ssh/authorized_keys", keys);
    tree
}

fn keys(tree: &TempDir) -> String {
    read(tree.path(), "srv/rosa/.ssh/authorized_keys")
}

#[test]
fn a_key_is_proved() {
    let tree = prove(home, |root| AuthorizedKey::new("rosa", ONE).root(root));
    assert_eq!(keys(&tree), format!("{ONE}\n"));
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(mode(&tree.path().join("srv/rosa/.ssh")), (0o700, own));
    assert_eq!(mode(&tree.path().join("srv/rosa/.ssh/authorized_keys")), (0o600, own));
}

#[test]
fn a_key_is_added_and_the_rest_stays() {
    let found = format!("# mine\n\n  {TWO}\r\nnonsense\n");
    let tree =
        prove(|| home_with(&found), |root| AuthorizedKey::new("rosa", ONE).options("no-pty").root(root));
    assert_eq!(keys(&tree), format!("{found}no-pty {ONE}\n"));
}

#[test]
fn a_key_that_signs_certificates_is_not_one_that_is_let_in() {
    let authority = format!("no-pty,Cert-Authority {ONE}\n");
    let tree = prove(|| home_with(&authority), |root| AuthorizedKey::new("rosa", ONE).root(root));
    assert_eq!(keys(&tree), format!("{authority}{ONE}\n"));
    let options = "no-pty,Cert-Authority";
    let report = no_act(AuthorizedKey::new("rosa", ONE).options(options).root(tree.path()));
    assert_eq!(report.counts().in_place, 1, "with that option it is the other line that counts");
    assert!(converge(AuthorizedKey::new("rosa", ONE).state(Presence::Absent).root(tree.path())).success());
    assert_eq!(keys(&tree), "");
}

/// The content of an RSA key of 1024 bits.
const RSA: &str = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC3PKQbyoHDalggRgm15kmKCfbeLuuZUnu+8pFSED5iY5hBy4WXzToP2tXGv9r4AWG/NO2jwZOk2CcNyL+zxRBm1vq5az8i9Zf4yJtfVZbfAD3qOShvZoC/2Y4YcBRHOTdinF1iPxnFNg6VpW5hT0xpw6eLayTqziIJ/LYePtdWYw==";

#[test]
fn an_rsa_key_named_after_its_signature_is_found() {
    for name in ["rsa-sha2-512", "rsa-sha2-256", "no-pty rsa-sha2-512", "RSA"] {
        let found = format!("{name} {RSA} intruder\n");
        let exclusive = |root: &Path| AuthorizedKey::new("rosa", ONE).exclusive(true).root(root);
        assert_eq!(keys(&prove(|| home_with(&found), exclusive)), format!("{ONE}\n"), "{name}");
        let key = format!("ssh-rsa {RSA}");
        let absent = |root: &Path| AuthorizedKey::new("rosa", &key).state(Presence::Absent).root(root);
        assert_eq!(keys(&prove(|| home_with(&found), absent)), "", "{name}");
    }
    let tree = prove(
        || home_with(&format!("no-pty rsa-sha2-512 {RSA} mine\n")),
        |root| AuthorizedKey::new("rosa", format!("ssh-rsa {RSA}")).root(root),
    );
    assert_eq!(keys(&tree), format!("no-pty ssh-rsa {RSA} mine\n"));
}

#[test]
fn a_line_that_sshd_does_not_read_as_a_key_is_none() {
    let content = ONE.split(' ').nth(1).unwrap();
    let lines = [
        ONE.replacen(' ', "\u{a0}", 1),
        ONE.replacen(' ', "\u{c}", 1),
        format!("command=\"echo \\\\\" {ONE}"),
        format!("nonsense {content}"),
    ];
    for line in lines {
        let tree =
            prove(|| home_with(&format!("{line}\n")), |root| AuthorizedKey::new("rosa", ONE).root(root));
        assert_eq!(keys(&tree), format!("{line}\n{ONE}\n"));
    }
    // The quote is closed behind the first key, for which it is a part of the options.
    let hidden = format!("environment=\"X=\\\\\" {ONE} \" {TWO}\n");
    let exclusive = |root: &Path| AuthorizedKey::new("rosa", ONE).exclusive(true).root(root);
    assert_eq!(keys(&prove(|| home_with(&hidden), exclusive)), format!("{ONE}\n"));
}

#[test]
fn a_byte_order_mark_hides_no_key() {
    let found = format!("\u{feff}{ONE}\n");
    let tree = prove(|| home_with(&found), |root| AuthorizedKey::new("rosa", ONE).root(root));
    assert_eq!(keys(&tree), format!("{ONE}\n"));
}

#[test]
fn only_the_modes_differ() {
    let tree = home_with(&format!("{ONE}\n"));
    let ssh = tree.path().join("srv/rosa/.ssh");
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(ssh.join("authorized_keys"), fs::Permissions::from_mode(0o664)).unwrap();
    let report = no_act(AuthorizedKey::new("rosa", ONE).root(tree.path()));
    assert_eq!(ended(&report).1.unwrap(), "/srv/rosa/.ssh: mode is 0755, not 0700; mode is 0664, not 0600");
    assert!(converge(AuthorizedKey::new("rosa", ONE).root(tree.path())).success());
    assert_eq!((mode(&ssh).0, mode(&ssh.join("authorized_keys")).0), (0o700, 0o600));
}

#[test]
fn only_the_owner_differs() {
    if !is_root("only_the_owner_differs") {
        return;
    }
    let tree = home_with(&format!("{ONE}\n"));
    let file = tree.path().join("srv/rosa/.ssh/authorized_keys");
    fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&file, Some(4711), None).unwrap();
    let report = converge(AuthorizedKey::new("rosa", ONE).root(tree.path()));
    assert_eq!(ended(&report), (Outcome::Changed, Some("owner is 4711, not root".to_owned())));
    assert_eq!(mode(&file).1, 0);
}

#[test]
fn an_exclusive_key_is_alone() {
    let found = format!("# mine\nno-pty {ONE}\n{TWO}\n{TWO} again\n");
    let tree = prove(|| home_with(&found), |root| AuthorizedKey::new("rosa", ONE).exclusive(true).root(root));
    assert_eq!(keys(&tree), format!("# mine\nno-pty {ONE}\n"));
}

#[test]
fn a_key_goes_and_takes_its_repetitions() {
    let found = format!("{ONE}\nno-pty {ONE}\n{TWO}\n");
    let absent = |root: &Path| AuthorizedKey::new("rosa", ONE).state(Presence::Absent).root(root);
    assert_eq!(keys(&prove(|| home_with(&found), absent)), format!("{TWO}\n"));
    assert_eq!(no_act(absent(home().path())).counts().in_place, 1, "nothing is made to be empty");
}

#[test]
fn a_directory_that_leads_elsewhere_is_refused() {
    let tree = home();
    fs::create_dir(tree.path().join("etc/secret")).unwrap();
    symlink("/etc/secret", tree.path().join("srv/rosa/.ssh")).unwrap();
    let before = snapshot(tree.path());
    let report = converge(AuthorizedKey::new("rosa", ONE).root(tree.path()));
    assert_eq!(
        ended(&report).1.unwrap(),
        "/srv/rosa/.ssh is a symbolic link, not a directory; give the file that it leads to as `path`"
    );
    assert_eq!(before, snapshot(tree.path()));
}

#[test]
fn a_file_of_keys_may_be_elsewhere() {
    let prepare = || tree(&[("etc/ssh/keys/rosa", "")]);
    let tree = prove(prepare, |root| AuthorizedKey::in_file("/etc/ssh/keys/rosa", ONE).root(root));
    assert_eq!(read(tree.path(), "etc/ssh/keys/rosa"), format!("{ONE}\n"));
}

#[test]
fn a_key_survives_kills() {
    let key = |root: &Path| AuthorizedKey::new("rosa", ONE).exclusive(true).root(root);
    let prepare = |root: &Path| {
        let made = home_with(&format!("# mine\n{TWO}\n"));
        run("cp", ["-a", made.path().join(".").to_str().unwrap(), root.to_str().unwrap()]);
    };
    Proof::new(key).prepare(prepare).prove();
}

#[test]
fn a_line_of_hosts_survives_kills() {
    Proof::new(|root| Hosts::new("10.0.0.7", ["db", "db.example"]).root(root))
        .prepare(|root| write(root, "etc/hosts", HOSTS))
        .prove();
}

#[test]
fn an_entry_in_cron_d_survives_kills() {
    if !is_root("an_entry_in_cron_d_survives_kills") {
        return;
    }
    Proof::new(|root| CronEntry::new("backup", "@daily", "backup").file("all").root(root))
        .prepare(|root| {
            write(root, "etc/cron.d/all", "# dojob: backup\n@weekly root backup\n# dojob end: backup\n")
        })
        .prove();
}

const HOSTS: &str = "127.0.0.1\tlocalhost\n\n# servers\n10.0.0.1\tdb db.example  # old\n";

#[test]
fn a_line_of_hosts_is_proved() {
    let prepare = || tree(&[("etc/hosts", HOSTS)]);
    let moved = prove(prepare, |root| Hosts::new("10.0.0.7", ["db", "db.example"]).root(root));
    assert_eq!(read(moved.path(), "etc/hosts"), HOSTS.replace("10.0.0.1", "10.0.0.7"));
    let gone = |root: &Path| Hosts::new("10.0.0.1", ["db.example"]).state(Presence::Absent).root(root);
    assert_eq!(read(prove(prepare, gone).path(), "etc/hosts"), HOSTS.replace("db db.example", "db"));
    let empty = || tree(&[("etc/motd", "")]);
    let made = prove(empty, |root| Hosts::new("fd00::1", ["db"]).root(root));
    assert_eq!(read(made.path(), "etc/hosts"), "fd00::1 db\n");
    assert_eq!(mode(&made.path().join("etc/hosts")).0, 0o644);
}

#[test]
fn mode_owner_links_and_bytes_of_hosts_stay() {
    let prepare = || {
        let tree = tree(&[("etc/real", "")]);
        fs::write(tree.path().join("etc/real"), b"127.0.0.1 localhost # caf\xe9\n").unwrap();
        fs::set_permissions(tree.path().join("etc/real"), fs::Permissions::from_mode(0o664)).unwrap();
        symlink("/etc/real", tree.path().join("etc/hosts")).unwrap();
        tree
    };
    let tree = prove(prepare, |root| Hosts::new("10.0.0.1", ["db"]).root(root));
    assert!(tree.path().join("etc/hosts").is_symlink());
    let found = fs::read(tree.path().join("etc/real")).unwrap();
    assert_eq!(found, b"127.0.0.1 localhost # caf\xe9\n10.0.0.1 db\n");
    assert_eq!(mode(&tree.path().join("etc/real")).0, 0o664);
}

/// All jobs of a list.
#[derive(Clone, PartialEq)]
struct All<J>(Vec<J>);

impl<J: dojob::Job> DummyJob for All<J> {
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        deps.extend(self.0.iter().cloned());
        deps
    }
}

#[test]
fn many_jobs_edit_one_file_at_once() {
    let tree = tree(&[("etc/hosts", HOSTS)]);
    let jobs =
        (1..=50).map(|n| Hosts::new(format!("10.1.0.{n}"), [format!("n{n}")]).root(tree.path())).collect();
    let report = Engine::new(All(jobs)).unwrap().tries(1).workers(8).converge();
    assert!(report.success(), "{report:?}");
    assert_eq!(read(tree.path(), "etc/hosts").lines().count(), 54);
}

#[test]
fn what_is_no_file_is_refused() {
    let tree = tree(&[("etc/hosts/file", "")]);
    let report = converge(Hosts::new("10.0.0.1", ["db"]).root(tree.path()));
    assert_eq!(ended(&report), (Outcome::Failed, Some("/etc/hosts is a directory, not a file".to_owned())));
    fs::remove_dir_all(tree.path().join("etc/hosts")).unwrap();
    symlink("hosts", tree.path().join("etc/hosts")).unwrap();
    let report = converge(Hosts::new("10.0.0.1", ["db"]).root(tree.path()));
    let reason = ended(&report).1.unwrap();
    assert!(reason.ends_with("/etc/hosts is: Too many levels of symbolic links (os error 40)"), "{reason}");
}

#[test]
fn a_file_that_is_a_mount_is_written_in_place() {
    if !is_root("a_file_that_is_a_mount_is_written_in_place") {
        return;
    }
    let tree = tree(&[("etc/hosts", ""), ("outside", HOSTS)]);
    let [outside, hosts] = ["outside", "etc/hosts"].map(|name| tree.path().join(name));
    // A mount of its own namespace goes with it, whatever becomes of the test.
    let unshared =
        std::process::Command::new("mount").arg("--bind").args([&outside, &hosts]).output().unwrap();
    if !unshared.status.success() {
        crate::tree::skipped("a_file_that_is_a_mount_is_written_in_place", "may not mount");
        return;
    }
    let report = converge(Hosts::new("10.0.0.7", ["db", "db.example"]).root(tree.path()));
    run("umount", [&hosts]);
    assert!(report.success(), "{:?}", report.jobs().next().unwrap().failures());
    assert_eq!(read(tree.path(), "outside"), HOSTS.replace("10.0.0.1", "10.0.0.7"));
    assert_eq!(fs::read_dir(tree.path().join("etc")).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn every_job_writes_a_file_that_is_a_mount_in_place() {
    if !is_root("every_job_writes_a_file_that_is_a_mount_in_place") {
        return;
    }
    let tree = tree(&[("etc/mounted", ""), ("outside.ini", "a = 1\n")]);
    let [outside, path] = ["outside.ini", "etc/mounted"].map(|name| tree.path().join(name));
    let mounted = std::process::Command::new("mount").arg("--bind").args([&outside, &path]).output().unwrap();
    if !mounted.status.success() {
        crate::tree::skipped("every_job_writes_a_file_that_is_a_mount_in_place", "may not mount");
        return;
    }
    let is = |report: dojob::Report, wanted: &str| {
        let failures = format!("{:?}", report.jobs().next().unwrap().failures());
        assert!(report.success(), "{failures}");
        assert_eq!(read(tree.path(), "outside.ini"), wanted);
    };
    let at = || path.clone();
    is(converge(Line::new(at(), "b = 2")), "a = 1\nb = 2\n");
    is(converge(Setting::new(at(), "a", 3).format(Format::Ini)), "a = 3\nb = 2\n");
    is(converge(Replace::new(at(), "^b = 2\n", "")), "a = 3\n");
    is(converge(Block::new(at(), "x", "y")), "a = 3\n# begin x\ny\n# end x\n");
    is(converge(Template::new(at(), "{{ a }}\n").var("a", 1).mode(0o600)), "1\n");
    is(converge(File::new(at(), "text\n")), "text\n");
    run("umount", [&path]);
    assert_eq!(fs::metadata(&outside).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(tree.path().join("etc")).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn a_full_disk_leaves_a_file_that_is_a_mount() {
    let Some(disk) = SmallDisk::new() else { return };
    let tree = tree(&[("etc/hosts", "")]);
    let [outside, hosts] = [disk.path().join("hosts"), tree.path().join("etc/hosts")];
    // A page is full, and there is no other one.
    let text = format!("{}\n", "#".repeat(4094));
    fs::write(&outside, &text).unwrap();
    disk.fill();
    run("mount", ["--bind".as_ref(), outside.as_os_str(), hosts.as_os_str()]);
    let report = converge(Hosts::new("10.0.0.7", ["db"]).root(tree.path()));
    run("umount", [&hosts]);
    let failures = format!("{:?}", report.jobs().next().unwrap().failures());
    assert!(failures.contains("/etc/hosts in place: No space left on device"), "{failures}");
    assert_eq!(fs::read_to_string(outside).unwrap(), text);
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let key = |root: &Path| AuthorizedKey::in_file("/etc/ssh/rosa", ONE).root(root).into_job();
    needs_room(&[("etc/ssh/rosa", TWO)], "/etc/ssh/rosa: ", key);
    needs_room(&[("etc/ssh/other", "")], "/etc/ssh/rosa: ", key);
    let hosts = |root: &Path| Hosts::new("10.0.0.7", ["web"]).root(root).into_job();
    needs_room(&[("etc/hosts", HOSTS)], "/etc/hosts: ", hosts);
    needs_room(&[("etc/motd", "")], "/etc/hosts: ", hosts);
    let entry = |root: &Path| CronEntry::new("backup", "@daily", "backup").file("all").root(root).into_job();
    needs_room(
        &[("etc/cron.d/all", "# dojob: backup\n@weekly root backup\n# dojob end: backup\n")],
        "/etc/cron.d/all: ",
        entry,
    );
    needs_room(&[("etc/cron.d/other", "")], "/etc/cron.d/all: ", entry);
}

#[test]
fn an_entry_in_cron_d_is_proved() {
    if !is_root("an_entry_in_cron_d_is_proved") {
        return;
    }
    let backup = |root: &Path| {
        let entry =
            CronEntry::new("backup", "30  3 * * *", "backup --date $(date +%F)").file("backup").user("rosa");
        entry.env("MAILTO", "ops@example.org").env("NOTE", " two words ").root(root)
    };
    let rosa = "rosa:x:1000:1000::/home/rosa:/bin/sh\n";
    let tree = prove(|| tree(&[("etc/cron.d/other", "# other\n"), ("etc/passwd", rosa)]), backup);
    assert_eq!(
        read(tree.path(), "etc/cron.d/backup"),
        "# dojob: backup\nMAILTO=ops@example.org\nNOTE=\" two words \"\n30 3 * * * rosa backup --date $(date +\\%F)\n# dojob end: backup\n"
    );
    assert_eq!(mode(&tree.path().join("etc/cron.d/backup")), (0o644, 0));

    fs::set_permissions(tree.path().join("etc/cron.d/backup"), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(
        ended(&converge(backup(tree.path()))),
        (Outcome::Changed, Some("mode is 0666, not 0644".to_owned()))
    );

    let with_entry = || {
        let tree = self::tree(&[("etc/motd", ""), ("etc/cron.d/other", ""), ("etc/passwd", rosa)]);
        assert!(converge(backup(tree.path())).success());
        tree
    };
    let tree = prove(with_entry, |root| CronEntry::absent("backup").file("backup").root(root));
    assert!(!tree.path().join("etc/cron.d/backup").exists(), "an empty file goes with its last entry");
}

#[test]
fn an_entry_in_a_crontab_is_proved() {
    let Some(system) = system("an_entry_in_a_crontab_is_proved") else { return };
    let root = system.path();
    inside(root, "useradd rosa; printf '# mine\\n5 4 * * sun echo hi\\n' | crontab -u rosa -");
    let entry = |schedule: &str| CronEntry::new("backup", schedule, "backup").user("rosa").root(root);

    let report = no_act(entry("@daily"));
    assert_eq!(ended(&report), (Outcome::WouldRun, Some("backup is not in the crontab of rosa".to_owned())));
    assert_eq!(ended(&converge(entry("@daily"))).0, Outcome::Changed);
    assert_eq!(ended(&converge(entry("@daily"))).0, Outcome::InPlace);
    let report = converge(entry("0 3 * * *"));
    assert_eq!(ended(&report), (Outcome::Changed, Some("backup differs in the crontab of rosa".to_owned())));
    let found = inside(root, "crontab -u rosa -l");
    assert_eq!(
        found,
        "# mine\n5 4 * * sun echo hi\n# dojob: backup\n0 3 * * * backup\n# dojob end: backup\n"
    );

    // Somebody takes the entry out, and writes one of their own in its place.
    inside(
        root,
        "crontab -u rosa -l | sed 's/^0 3.*//' | sed '/^$/d' | { cat; echo '1 1 * * * mine'; } | crontab -u rosa -",
    );
    assert_eq!(ended(&converge(entry("0 3 * * *"))).0, Outcome::Changed);
    assert_eq!(inside(root, "crontab -u rosa -l"), format!("{found}1 1 * * * mine\n"));
    inside(root, "crontab -u rosa -l | sed '/^1 1/d' | crontab -u rosa -");

    assert_eq!(ended(&converge(CronEntry::absent("backup").user("rosa").root(root))).0, Outcome::Changed);
    assert_eq!(inside(root, "crontab -u rosa -l"), "# mine\n5 4 * * sun echo hi\n");

    // A user who has no crontab yet, and loses it with its only entry.
    let own = CronEntry::new("x", "@daily", "x").root(root);
    assert_eq!(ended(&converge(own)).0, Outcome::Changed);
    assert_eq!(ended(&converge(CronEntry::absent("x").root(root))).0, Outcome::Changed);
    assert_eq!(inside(root, "crontab -l 2>&1 || true"), "no crontab for root\n");

    let report = converge(CronEntry::new("x", "@daily", "x").user("nobody-here").root(root));
    let reason = ended(&report).1.unwrap();
    assert!(reason.starts_with("could not find out what is in the crontab of nobody-here"), "{reason}");
}
