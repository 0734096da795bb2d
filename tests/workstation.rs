//! The example `workstation` as a user meets it: the real binary, real files, the real `git`.
#![cfg(feature = "cli")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use support::{Ran, command, example};
use tempfile::TempDir;

/// An empty home, with one workstation in its directory for temporary files.
struct Workstation {
    home: TempDir,
    root: PathBuf,
}

impl Workstation {
    /// `None` where there is no git; in CI that is a failure.
    fn new() -> Option<Self> {
        Workstation::named("ws")
    }

    fn named(name: &str) -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no git, which this test needs");
            eprintln!("skipped: there is no git, which this test needs");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("tmp")).unwrap();
        let root = home.path().join("tmp").join(name);
        Some(Workstation { home, root })
    }

    /// One that has been started once.
    fn started() -> Option<Self> {
        let workstation = Workstation::new()?;
        expect(0, workstation.start(&[]));
        Some(workstation)
    }

    fn command(&self) -> Command {
        let mut command = command("workstation", &self.home);
        command.env("TMPDIR", self.home.path().join("tmp")).stdin(Stdio::null());
        command
    }

    fn start(&self, args: &[&str]) -> Ran {
        self.command().arg("--root").arg(&self.root).args(args).output().unwrap().into()
    }

    /// Starts again, which has to succeed, and says which jobs had something to do; paths count from the root, `~` is the home there.
    fn mend(&self) -> BTreeSet<String> {
        let ran = expect(0, self.start(&["--format", "json"]));
        let events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let runs = events.filter(|event| event["event"] == "phase_started" && event["phase"] == "run");
        runs.map(|event| self.short(event["job"].as_str().unwrap())).collect()
    }

    fn short(&self, text: &str) -> String {
        let [home, root] = [self.root.join("home"), self.root.clone()].map(|path| path.display().to_string());
        text.replace(&home, "~").replace(&root, "")
    }

    /// Breaks something: the next start runs `jobs` and nothing else, and the one after that nothing.
    #[track_caller]
    fn breaks(&self, what: &str, jobs: &[&str], break_it: impl FnOnce(&Path)) {
        let before = contents(&self.root);
        break_it(&self.root);
        let expected: BTreeSet<String> = jobs.iter().map(|job| (*job).to_owned()).collect();
        assert_eq!(self.mend(), expected, "{what}");
        assert_eq!(self.mend(), BTreeSet::new(), "{what}, again");
        assert!(before == contents(&self.root), "{what}: it is not as it was");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }
}

#[track_caller]
fn expect(code: i32, ran: Ran) -> Ran {
    assert_eq!(ran.code, Some(code), "{}{}", ran.stdout, ran.stderr);
    ran
}

#[track_caller]
fn says(ran: &Ran, text: &str) {
    assert!(ran.stderr.contains(text), "{text:?} is not in\n{}", ran.stderr);
}

/// Everything below a directory: mode, time of change, and what is in it or where it leads to.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut tree = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        tree.insert(path, (meta.mode(), meta.mtime(), meta.mtime_nsec(), content));
    }
    tree
}

/// The same without times, without what Git keeps for itself, and without dotfiles as they were before.
fn contents(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let tree = tree(directory).into_iter();
    let tree = tree.filter(|(path, _)| !path.components().any(|part| part.as_os_str() == ".git"));
    let tree = tree.filter(|(path, _)| !path.to_string_lossy().ends_with(".dojob-old"));
    tree.map(|(path, (mode, _, _, content))| (path, (mode, content))).collect()
}

fn set_mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_second_start_has_nothing_to_do() {
    let Some(workstation) = Workstation::new() else { return };
    let first = expect(0, workstation.start(&[]));
    let root = workstation.root.display();
    let said = workstation.short(&first.stderr);
    for job in ["Dotfile ~/.profile", "Download ~/.local/bin/notes", "GitCheckout ~/projects/dotfiles"] {
        assert!(said.contains(&format!("changed {job}: ")), "{job} is not in\n{said}");
    }
    says(&first, "converged: 33 jobs, ");
    assert!(first.stdout.starts_with(&format!("The workstation is in {root}\n")), "{}", first.stdout);

    let before = tree(&workstation.root);
    let again = expect(0, workstation.start(&[]));
    assert!(again.stderr.starts_with("nothing to do: all 33 jobs are in place"), "{}", again.stderr);
    assert_eq!(again.stdout, first.stdout);
    let dry = expect(0, workstation.start(&["--no-act", "--diff"]));
    assert_eq!(dry.stdout, "");
    assert!(before == tree(&workstation.root), "a start that has nothing to do has changed something");
}

#[test]
fn what_is_there_works() {
    let Some(workstation) = Workstation::started() else { return };
    let home = workstation.root.join("home");
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(workstation.root.join(program));
        let output: Output = command.args(args).env("HOME", &home).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("usr/bin/greet", &[]), "Good morning!\n");
    run("home/.local/bin/notes", &["add", "milk"]);
    assert_eq!(run("home/.local/bin/notes", &["list"]), "milk\n");
    run("home/.local/bin/notes", &["backup"]);
    assert_eq!(workstation.read("home/.vimrc"), "set expandtab\nset shiftwidth=4\n");
    assert_eq!(workstation.read("home/.config/editor.toml"), "[editor]\ntab_width = 4\ntheme = \"dark\"\n");
    assert!(workstation.read("home/.config/git/config").contains("\tname = Rosa\n\temail = rosa@"));
    assert_eq!(home.join("private").metadata().unwrap().mode() & 0o7777, 0o700);
    // Notes and their copies are nobody's business here.
    assert_eq!(workstation.mend(), BTreeSet::new());
}

#[test]
fn several_workers_come_to_the_same() {
    let Some(workstation) = Workstation::started() else { return };
    let wanted = contents(&workstation.root);
    fs::remove_dir_all(&workstation.root).unwrap();
    expect(0, workstation.start(&["-j4"]));
    assert!(contents(&workstation.root) == wanted, "several workers come to something else");
    assert_eq!(workstation.mend(), BTreeSet::new());
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_leaves_no_trace() {
    let Some(workstation) = Workstation::new() else { return };
    let dry = expect(3, workstation.start(&["--no-act", "--diff"]));
    assert_eq!(dry.stdout, "");
    let said = workstation.short(&dry.stderr);
    for text in [
        "  --- ~/.profile\n  +++ ~/.profile (wanted)\n  @@ -0,0 +1,5 @@\n  +# Provisioned;",
        "\n  +export EDITOR=vim\n",
        "would run Directory ~/private: ~/private does not exist\n",
        "would run Download ~/.local/bin/notes: ~/.local/bin/notes does not exist (after Directory ~/.local/bin, ",
    ] {
        assert!(said.contains(text), "{text:?} is not in\n{said}");
    }
    for args in [&["--no-act"][..], &["--list"], &["--list", "--graph", "-"]] {
        let code = if args == ["--no-act"] { 3 } else { 0 };
        expect(code, workstation.command().args(args).output().unwrap().into());
    }
    let left: Vec<PathBuf> = tree(workstation.home.path()).into_keys().collect();
    assert_eq!(left, [workstation.home.path().to_owned(), workstation.home.path().join("tmp")]);
}

/// What a dry run says of each job: its outcome, and why.
fn plan(workstation: &Workstation) -> BTreeMap<String, (String, String)> {
    let before = tree(workstation.home.path());
    let ran = expect(3, workstation.start(&["--no-act", "--format", "json"]));
    assert!(before == tree(workstation.home.path()), "a dry run has changed something");
    let events = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let settled = events.filter(|event| event["event"] == "job_settled").map(|event| {
        let text = |field: &str| workstation.short(event[field].as_str().unwrap_or_default());
        (text("job"), (text("outcome"), text("reason")))
    });
    settled.collect()
}

#[test]
fn at_first_at_most_one_job_in_ten_is_unknown() {
    let Some(workstation) = Workstation::new() else { return };
    let jobs = plan(&workstation);
    let unknown: Vec<_> =
        jobs.iter().filter(|(_, (outcome, _))| !matches!(&**outcome, "would_run" | "in_place")).collect();
    assert!(unknown.len() * 10 <= jobs.len(), "{} of {}: {unknown:#?}", unknown.len(), jobs.len());
}

#[test]
fn any_five_drifts_are_all_shown() {
    const DRIFTS: [(&str, &str); 12] = [
        ("Dotfile ~/.profile", "echo x >home/.profile"),
        ("Dotfile ~/.config/git/config", "rm home/.config/git/config"),
        ("Dotfile ~/.config/motd", "chmod 0600 home/.config/motd"),
        ("Directory ~/private", "chmod 0755 home/private"),
        (
            "Setting ~/.config/editor.toml: editor.tab_width",
            "sed -i 's/tab_width = 4/tab_width = 8/' home/.config/editor.toml",
        ),
        ("Download ~/.local/bin/notes", "echo x >home/.local/bin/notes"),
        ("GitCheckout ~/projects/dotfiles", "rm -r home/projects/dotfiles"),
        ("Symlink ~/.vimrc", "ln -sf nowhere home/.vimrc"),
        ("File /etc/systemd/system/backup-notes.service", "rm etc/systemd/system/backup-notes.service"),
        (
            "Symlink /etc/systemd/system/timers.target.wants/backup-notes.timer",
            "rm etc/systemd/system/timers.target.wants/backup-notes.timer",
        ),
        (
            "Line /etc/cron.d/workstation: 30 8 * * mon root ~/.local/bin/notes list",
            "sed -i 's/30 8/31 8/' etc/cron.d/workstation",
        ),
        (
            "File /var/lib/workstation/upstream/greet/bin/greet",
            "echo x >var/lib/workstation/upstream/greet/bin/greet",
        ),
    ];
    let Some(workstation) = Workstation::started() else { return };
    let config = Config { cases: 8, failure_persistence: None, ..Config::default() };
    let all_are_shown = |five: Vec<(&str, &str)>| {
        for (_, how) in &five {
            let status = Command::new("/bin/sh").args(["-ec", how]).current_dir(&workstation.root).status();
            assert!(status.unwrap().success(), "{how}");
        }
        let jobs = plan(&workstation);
        for (job, how) in &five {
            let (outcome, reason) = jobs.get(*job).unwrap_or_else(|| panic!("there is no {job}: {jobs:#?}"));
            assert!(outcome == "would_run" && !reason.is_empty(), "{job} after `{how}`: {outcome} {reason}");
        }
        workstation.mend();
        Ok(())
    };
    TestRunner::new(config).run(&subsequence(DRIFTS.to_vec(), 5), all_are_shown).unwrap();
}

#[test]
fn without_a_root_it_makes_a_new_one() {
    let Some(workstation) = Workstation::new() else { return };
    let first = expect(0, workstation.command().output().unwrap().into());
    let told = first.stdout.lines().next().unwrap();
    let root = told.strip_prefix("The workstation is in ").unwrap();
    says(&first, &format!("new directory {root}\n"));
    assert_eq!(Path::new(root).parent().unwrap(), workstation.home.path().join("tmp"));
    let again = workstation.command().args(["--root", root]).output().unwrap().into();
    says(&expect(0, again), "nothing to do");
}

#[test]
fn a_broken_home_is_mended() {
    let Some(workstation) = Workstation::started() else { return };
    let profile = "Dotfile ~/.profile";
    workstation.breaks("no dotfile", &[profile], |root| fs::remove_file(root.join("home/.profile")).unwrap());
    workstation
        .breaks("another text", &[profile], |root| fs::write(root.join("home/.profile"), "x").unwrap());
    assert_eq!(workstation.read("home/.profile.dojob-old"), "x", "it may have been somebody's own");
    workstation.breaks("too open", &[profile], |root| set_mode(root.join("home/.profile"), 0o666));
    workstation.breaks("open to all", &["Directory ~/private"], |root| {
        set_mode(root.join("home/private"), 0o755);
    });
    let width = "Setting ~/.config/editor.toml: editor.tab_width";
    workstation.breaks("another width", &[width], |root| {
        let path = root.join("home/.config/editor.toml");
        let text = fs::read_to_string(&path).unwrap().replace("tab_width = 4", "tab_width = 8");
        fs::write(path, text).unwrap();
    });
    // Directories first, then what was in them.
    let notes = "Download ~/.local/bin/notes";
    workstation
        .breaks("no program", &[notes], |root| fs::remove_file(root.join("home/.local/bin/notes")).unwrap());
    workstation.breaks("another program", &[notes], |root| {
        fs::write(root.join("home/.local/bin/notes"), "#!/bin/sh\n").unwrap();
    });
    workstation.breaks("a program that does not start", &[notes], |root| {
        set_mode(root.join("home/.local/bin/notes"), 0o644);
    });
    workstation.breaks("no directory", &["Directory ~/.local/bin", notes], |root| {
        fs::remove_dir_all(root.join("home/.local")).unwrap();
    });
    let vimrc = "Symlink ~/.vimrc";
    workstation.breaks("another link", &[vimrc], |root| {
        fs::remove_file(root.join("home/.vimrc")).unwrap();
        symlink("elsewhere", root.join("home/.vimrc")).unwrap();
    });
    workstation.breaks("what was left", &["Absent ~/.notesrc"], |root| {
        fs::write(root.join("home/.notesrc"), "old").unwrap();
    });
}

#[test]
fn a_broken_system_is_mended() {
    let Some(workstation) = Workstation::started() else { return };
    let upstream = "/var/lib/workstation/upstream";
    let package = format!("Unarchive {upstream}/greet.tar.gz into /usr");
    let timer = "/etc/systemd/system/timers.target.wants/backup-notes.timer";
    workstation.breaks("a part of a package", &[&package], |root| {
        fs::remove_file(root.join("usr/bin/greet")).unwrap()
    });
    workstation.breaks("no package", &[&package], |root| fs::remove_dir_all(root.join("usr")).unwrap());
    workstation.breaks("another unit", &["File /etc/systemd/system/backup-notes.service"], |root| {
        fs::write(root.join("etc/systemd/system/backup-notes.service"), "").unwrap();
    });
    workstation.breaks("not enabled", &[&format!("Symlink {timer}")], |root| {
        fs::remove_file(root.join(&timer[1..])).unwrap();
    });
    let entry = "Line /etc/cron.d/workstation: 30 8 * * mon root ~/.local/bin/notes list";
    workstation.breaks("no entry", &["Directory /etc/cron.d", entry], |root| {
        fs::remove_dir_all(root.join("etc/cron.d")).unwrap();
    });
    let checkout = "GitCheckout ~/projects/dotfiles";
    workstation.breaks("no checkout", &["Directory ~/projects", checkout], |root| {
        fs::remove_dir_all(root.join("home/projects")).unwrap();
    });
    let repository = format!("Repository {upstream}/dotfiles");
    workstation.breaks("half a repository", &[&repository], |root| {
        fs::remove_file(root.join(&upstream[1..]).join("dotfiles/.git/HEAD")).unwrap();
    });
    let archive = format!("Archive {upstream}/greet.tar.gz");
    workstation.breaks("half an archive", &[&archive], |root| {
        let path = root.join(&upstream[1..]).join("greet.tar.gz");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn what_is_somebodys_own_is_kept() {
    let Some(workstation) = Workstation::started() else { return };
    let settings = workstation.root.join("home/.config/editor.toml");
    fs::write(&settings, "# mine\n[editor]\ntab_width = 8 # wide\n\n[keys]\nsave = \"F2\"\n").unwrap();
    assert_eq!(workstation.mend().len(), 2);
    let wanted = "# mine\n[editor]\ntab_width = 4 # wide\ntheme = \"dark\"\n\n[keys]\nsave = \"F2\"\n";
    assert_eq!(fs::read_to_string(&settings).unwrap(), wanted);

    let vimrc = workstation.root.join("home/projects/dotfiles/vimrc");
    fs::write(&vimrc, "mine\n").unwrap();
    let failed = expect(1, workstation.start(&[]));
    says(&failed, "failed GitCheckout ");
    assert_eq!(fs::read_to_string(&vimrc).unwrap(), "mine\n");
    fs::write(&vimrc, "set expandtab\nset shiftwidth=4\n").unwrap();
    assert_eq!(workstation.mend(), BTreeSet::new());
}

#[test]
fn only_the_newest_copies_are_kept() {
    let Some(workstation) = Workstation::started() else { return };
    let backups = workstation.root.join("home/notes/backups");
    fs::create_dir_all(&backups).unwrap();
    for day in ["1", "2", "3", "4", "5"] {
        fs::write(backups.join(format!("2026-01-0{day}.tar.gz")), day).unwrap();
    }
    assert_eq!(workstation.mend(), BTreeSet::from(["Prune ~/notes/backups: *.tar.gz".to_owned()]));
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 3);
    assert_eq!(workstation.mend(), BTreeSet::new());
}

/// Kills the start (SIGKILL) when its second run begins, so that each comes a little further; whether it was killed.
fn is_killed(workstation: &Workstation) -> bool {
    let mut start = workstation.command();
    start.args(["--format", "json", "--root"]).arg(&workstation.root);
    let mut start = start.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let events = BufReader::new(start.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut runs = events
        .filter(|line| line.contains(r#""event":"phase_started""#) && line.contains(r#""phase":"run""#));
    let is_killed = runs.nth(1).is_some();
    if is_killed {
        start.kill().unwrap();
    }
    let status = start.wait().unwrap();
    assert!(is_killed || status.success(), "{status}");
    is_killed
}

#[test]
fn however_often_it_is_killed_it_ends_the_same() {
    let Some(workstation) = Workstation::started() else { return };
    let wanted = contents(&workstation.root);
    fs::remove_dir_all(&workstation.root).unwrap();
    let mut kills = 0;
    while is_killed(&workstation) {
        kills += 1;
        assert!(kills < 100, "it does not come any further");
    }
    assert!(kills >= 10, "it was killed {kills} times only");
    assert_eq!(workstation.mend(), BTreeSet::new());
    assert!(contents(&workstation.root) == wanted, "being killed has left something else");
    assert_eq!(expect(0, workstation.start(&["--pending"])).stdout, "nothing is pending\n");
}

#[test]
fn a_root_may_have_any_name() {
    let Some(workstation) = Workstation::named("it's \"my\" ws, ä – 網站 $HOME `x` ;& 100%") else {
        return;
    };
    let first = expect(0, workstation.start(&[]));
    let again = first.stdout.lines().find_map(|line| line.strip_prefix("Run it again:         ")).unwrap();
    // What it says can be typed into a shell.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", again]).env("DOJOB_STATE_DIR", workstation.home.path().join("state"));
    says(&expect(0, shell.output().unwrap().into()), "nothing to do");
}

/// Starts it as somebody who has no rights, where the test itself has them.
fn without_rights(workstation: &Workstation, args: &[&str]) -> Ran {
    const NOBODY: u32 = 65534;
    let mut start = workstation.command();
    if rustix::process::geteuid().is_root() {
        // Where everybody can start it.
        let program = workstation.home.path().join("workstation");
        fs::copy(example("workstation"), &program).unwrap();
        let mut other = Command::new(program);
        other.envs(start.get_envs().filter_map(|(name, value)| Some((name, value?))));
        other.current_dir(workstation.home.path()).uid(NOBODY).gid(NOBODY);
        for path in [workstation.home.path().to_owned(), workstation.home.path().join("tmp")] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        start = other;
    }
    start.args(args);
    loop {
        match start.output() {
            // Another test, just forked, still has the copy open for writing.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            ran => return ran.unwrap().into(),
        }
    }
}

#[test]
fn it_needs_no_rights() {
    let Some(workstation) = Workstation::new() else { return };
    let root = workstation.root.to_str().unwrap();
    expect(0, without_rights(&workstation, &["--root", root]));
    says(&expect(0, without_rights(&workstation, &["--root", root])), "nothing to do");
}

#[test]
fn a_system_takes_rights() {
    let Some(workstation) = Workstation::new() else { return };
    let refused = expect(2, without_rights(&workstation, &["--system", "--list"]));
    assert_eq!(refused.stderr, "error: --system changes this machine, and has to be started as root\n");
    expect(2, workstation.start(&["--system"]));
    if rustix::process::geteuid().is_root() {
        // The one before belongs to nobody by now: root does not trust a state directory in there.
        let Some(workstation) = Workstation::new() else { return };
        let listed = expect(0, workstation.command().args(["--system", "--list"]).output().unwrap().into());
        for job in [
            "Package cron git vim",
            "Service backup-notes.timer",
            "CronEntry notes in /etc/cron.d/workstation",
        ] {
            assert!(listed.stdout.contains(job), "{job} is not in\n{}", listed.stdout);
        }
    }
}

#[test]
fn mistakes_are_explained() {
    let Some(workstation) = Workstation::new() else { return };
    let file = workstation.home.path().join("file");
    fs::write(&file, "").unwrap();
    for root in [file.clone(), file.join("deeper")] {
        let ran = expect(2, workstation.command().arg("--root").arg(&root).output().unwrap().into());
        let (root, file) = (root.display(), file.display());
        assert_eq!(ran.stderr, format!("error: --root {root} cannot be: {file} is no directory\n"));
    }
    let mut start = workstation.command();
    let failed = start.arg("--root").arg(&workstation.root).env("PATH", "/nowhere").output().unwrap().into();
    says(&expect(1, failed), "failed Repository ");
    // With git it goes on from there.
    expect(0, workstation.start(&[]));
    assert_eq!(workstation.mend(), BTreeSet::new());
}
