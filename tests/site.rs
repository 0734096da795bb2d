//! The example `site` as a user meets it: the real binary, real files, the real `git`, a real server.
#![cfg(feature = "cli")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// An empty home, with one site in its directory for temporary files.
struct Site {
    home: TempDir,
    root: PathBuf,
}

impl Site {
    /// `None` where there is no git; in CI that is a failure.
    fn new() -> Option<Self> {
        Site::named("site")
    }

    fn named(name: &str) -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no git, which this test needs");
            eprintln!("skipped: there is no git, which this test needs");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("tmp").join(name);
        fs::create_dir(home.path().join("tmp")).unwrap();
        Some(Site { home, root })
    }

    /// A site that has been started once.
    fn started() -> Option<Self> {
        let site = Site::new()?;
        site.start(&[]).expect(0);
        Some(site)
    }

    /// A command in the home, without anything of this environment but where programs are.
    fn clean(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.home.path()).env("TMPDIR", self.home.path().join("tmp"));
        command.env("DOJOB_STATE_DIR", self.home.path().join("state"));
        command.current_dir(self.home.path());
        command
    }

    fn start(&self, args: &[&str]) -> Ended {
        Ended::of(self.clean(binary()).arg("--root").arg(&self.root).args(args))
    }

    /// Starts again, which has to succeed, and says which jobs had something to do.
    fn mend(&self) -> BTreeSet<String> {
        let ended = self.start(&["--format", "json"]).expect(0);
        let events: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| {
            events.iter().filter(move |event| event["event"] == kind).cloned().collect::<Vec<_>>()
        };
        let ran: BTreeSet<String> = of("phase_started")
            .iter()
            .filter(|event| event["phase"] == "run")
            .map(|event| event["job"].as_str().unwrap().to_owned())
            .collect();
        for event in of("job_settled") {
            let job = event["job"].as_str().unwrap();
            let outcome = if ran.contains(job) { "changed" } else { "in_place" };
            assert_eq!(event["outcome"], outcome, "{job}");
        }
        assert!(!self.root.join("build").exists(), "leftovers of the build");
        ran
    }

    /// Breaks something: the next start runs `jobs` and nothing else, and the one after that nothing.
    fn breaks(&self, what: &str, jobs: &[&str], break_it: impl FnOnce(&Path)) {
        break_it(&self.root);
        let expected: BTreeSet<String> = jobs.iter().map(|job| (*job).to_owned()).collect();
        assert_eq!(self.mend(), expected, "{what}");
        assert_eq!(self.mend(), BTreeSet::new(), "{what}, again");
        let page = fs::read_to_string(self.root.join("public/index.html")).unwrap();
        assert_eq!(self.request("/"), Some(("200 OK".to_owned(), page)), "{what}");
    }

    fn git(&self, args: &[&str]) -> String {
        let ended = Ended::of(self.clean("git").arg("-C").arg(&self.root).args(args)).expect(0);
        ended.out.trim().to_owned()
    }

    fn port(&self) -> u16 {
        fs::read_to_string(self.root.join("state/port")).unwrap().trim().parse().unwrap()
    }

    fn server(&self) -> i32 {
        fs::read_to_string(self.root.join("state/server.pid")).unwrap().trim().parse().unwrap()
    }

    fn signal_server(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.server()).unwrap(), signal).unwrap();
    }

    /// The status and body that are answered; `None` where nobody listens.
    fn request(&self, path: &str) -> Option<(String, String)> {
        request(self.port(), path)
    }
}

fn request(port: u16, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().strip_prefix("HTTP/1.0 ").unwrap();
    Some((status.to_owned(), body.to_owned()))
}

impl Drop for Site {
    /// Ends the servers of all sites in this home, those that a failed test has left, too.
    fn drop(&mut self) {
        for entry in fs::read_dir(self.home.path().join("tmp")).into_iter().flatten().flatten() {
            let _ = self.clean(binary()).arg("--stop").arg("--root").arg(entry.path()).output();
        }
    }
}

/// The example beside this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join("examples/site");
    assert!(binary.exists(), "{} is missing: run `cargo build --examples` first", binary.display());
    binary
}

/// How a program ended, and what it printed.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Ended { code: status.code(), out, err }
    }

    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.err.contains(text), "{text:?} is not in\n{}", self.err);
    }
}

/// Everything below a directory: mode, time of change, and what is in files.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut tree = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        tree.insert(path, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
    }
    tree
}

fn set_mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_second_start_has_nothing_to_do() {
    let Some(site) = Site::new() else { return };
    let first = site.start(&[]).expect(0);
    for job in [
        "Directory public",
        "ConfigFile etc/site.conf",
        "Page public/index.html",
        "Repository",
        "FirstCommit",
    ] {
        first.says(&format!("changed {job}: "));
    }
    first.says("converged: 16 jobs, ");
    let told =
        format!("The site is in {} and answers at http://127.0.0.1:{}/\n", site.root.display(), site.port());
    assert!(first.out.starts_with(&told), "{}", first.out);
    assert_eq!(site.root.join("etc/site.conf").metadata().unwrap().mode() & 0o7777, 0o640);
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]), "1");
    assert_eq!(site.git(&["status", "--porcelain"]), "");

    let before = tree(&site.root);
    let again = site.start(&[]).expect(0);
    assert!(again.err.starts_with("nothing to do: all 16 jobs are in place"), "{}", again.err);
    assert_eq!(again.out, first.out);
    assert_eq!(site.start(&["--no-act"]).expect(0).out, "");
    // The process id of the server is in there, too.
    assert!(before == tree(&site.root), "a start that has nothing to do has changed something");
}

#[test]
fn several_workers_come_to_the_same() {
    let Some(site) = Site::new() else { return };
    site.start(&["-j4"]).expect(0);
    site.start(&["-j4"]).expect(0).says("nothing to do");
    assert_eq!(site.mend(), BTreeSet::new());
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_leaves_no_trace() {
    let Some(site) = Site::new() else { return };
    let dry = site.start(&["--no-act", "--diff"]).expect(3);
    assert_eq!(dry.out, "");
    dry.says("--- etc/site.conf\n  +++ etc/site.conf (wanted)\n  @@ -0,0 +1,");
    dry.says("\n  +host = ");
    dry.says("would run ConfigFile etc/site.conf: etc/site.conf does not exist\n");
    dry.says("would run Port: no port is chosen yet (after Directory state)\n");
    dry.says("unknown Server until Port, ");
    dry.says("the result of `Port` is not known before it is in place\n");

    // Nor does one without a root, or a list.
    for args in [&["--no-act"][..], &["--list"], &["--list", "--graph", "-"], &["--list", "--format", "json"]]
    {
        let ended = Ended::of(site.clean(binary()).args(args));
        assert_eq!(ended.code, Some(if args == ["--no-act"] { 3 } else { 0 }), "{args:?}: {}", ended.err);
        assert!(
            !ended.out.contains(site.home.path().to_str().unwrap()),
            "the graph knows its root: {}",
            ended.out
        );
    }
    let left: Vec<PathBuf> = tree(site.home.path()).into_keys().collect();
    assert_eq!(left, [site.home.path().to_owned(), site.home.path().join("tmp")]);
}

#[test]
fn without_a_root_it_makes_a_new_one() {
    let Some(site) = Site::new() else { return };
    let first = Ended::of(&mut site.clean(binary())).expect(0);
    let (root, _) =
        first.out.strip_prefix("The site is in ").unwrap().split_once(" and answers at ").unwrap();
    first.says(&format!("new directory {root}\n"));
    assert_eq!(Path::new(root).parent().unwrap(), site.home.path().join("tmp"));
    Ended::of(site.clean(binary()).args(["--root", root])).expect(0).says("nothing to do");
}

#[test]
fn a_broken_file_is_mended() {
    let Some(site) = Site::started() else { return };
    let server = site.server();
    let motd = "ConfigFile etc/motd";
    let conf = "ConfigFile etc/site.conf";
    let [index, about] = ["Page public/index.html", "Page public/about/index.html"];
    site.breaks("no file", &[motd], |root| fs::remove_file(root.join("etc/motd")).unwrap());
    site.breaks("another text", &[conf], |root| fs::write(root.join("etc/site.conf"), "host = x\n").unwrap());
    site.breaks("no text at all", &[conf], |root| fs::write(root.join("etc/site.conf"), [0xff, 0]).unwrap());
    site.breaks("too open", &[conf], |root| set_mode(root.join("etc/site.conf"), 0o666));
    site.breaks("unreadable", &[conf], |root| set_mode(root.join("etc/site.conf"), 0));
    // The first of the two makes the directory.
    site.breaks("no directory of files", &[motd, conf], |root| fs::remove_dir_all(root.join("etc")).unwrap());
    // Pages are built from the source as it is when it has been mended: as they are.
    let source = "Source content/index.txt";
    site.breaks("another source", &[source], |root| {
        fs::write(root.join("content/index.txt"), "Bye").unwrap()
    });
    site.breaks("no source", &[source], |root| fs::remove_file(root.join("content/index.txt")).unwrap());
    site.breaks("another page", &[index], |root| fs::write(root.join("public/index.html"), "Bye").unwrap());
    site.breaks("a closed directory", &["Directory public"], |root| set_mode(root.join("public"), 0o700));
    // What was in a directory is gone with it.
    site.breaks("no directory", &["Directory public/about", about], |root| {
        fs::remove_dir_all(root.join("public/about")).unwrap();
    });
    let public = ["Directory public", "Directory public/about", index, about];
    site.breaks("no directories", &public, |root| fs::remove_dir_all(root.join("public")).unwrap());
    assert_eq!(site.server(), server, "none of this needs another server");
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]), "1", "or another commit");
}

#[test]
fn a_broken_repository_is_mended() {
    let Some(site) = Site::started() else { return };
    // Nothing can be committed without a repository.
    let both = ["Repository", "FirstCommit"];
    site.breaks("no repository", &both, |root| fs::remove_dir_all(root.join(".git")).unwrap());
    site.breaks("half a repository", &["Repository"], |root| {
        fs::remove_file(root.join(".git/HEAD")).unwrap()
    });
    site.breaks("no commit", &["FirstCommit"], |_| drop(site.git(&["update-ref", "-d", "HEAD"])));
    site.breaks("a file that is not in it", &["FirstCommit"], |_| {
        site.git(&["rm", "--quiet", "--cached", "etc/motd"]);
    });
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn git_is_used_without_anybodys_settings() {
    let Some(site) = Site::new() else { return };
    let hooks = site.home.path().join("hooks");
    fs::create_dir(&hooks).unwrap();
    fs::write(hooks.join("pre-commit"), "#!/bin/sh\nexit 1\n").unwrap();
    set_mode(hooks.join("pre-commit"), 0o755);
    fs::write(site.home.path().join("ignored"), "etc\ncontent\n").unwrap();
    let settings = "[commit]\ngpgSign = true\n[gpg]\nprogram = false\n\
                    [core]\nhooksPath = ~/hooks\nexcludesFile = ~/ignored\n";
    fs::write(site.home.path().join(".gitconfig"), settings).unwrap();
    // A start from within a hook of another repository.
    let mut start = site.clean(binary());
    start.arg("--root").arg(&site.root).env("GIT_DIR", "/nowhere").env("GIT_INDEX_FILE", "/nowhere/index");
    Ended::of(&mut start).expect(0);
    assert_eq!(site.mend(), BTreeSet::new());
}

#[test]
fn a_server_that_is_gone_is_started_again() {
    let Some(site) = Site::started() else { return };
    let (port, server) = (site.port(), site.server());
    site.breaks("no server", &["Server"], |_| site.signal_server(Signal::KILL));
    assert_eq!(site.port(), port, "the port is remembered");
    assert_ne!(site.server(), server);
    // The old server ends itself, since nobody would find it any more.
    site.breaks("nobody knows its process", &["Server"], |root| {
        fs::remove_file(root.join("state/server.pid")).unwrap();
    });
    site.breaks("a wrong process", &["Server"], |root| {
        fs::write(root.join("state/server.pid"), "?\n").unwrap()
    });
    // Another port is another address to answer at.
    site.breaks("no port", &["Port", "Server"], |root| fs::remove_file(root.join("state/port")).unwrap());
    assert_ne!(site.port(), port);
    assert_eq!(request(port, "/"), None, "the old server has ended");
    let all = ["Directory state", "Port", "Server"];
    site.breaks("nothing is known", &all, |root| fs::remove_dir_all(root.join("state")).unwrap());
    assert_eq!(site.request("/about/").unwrap().0, "200 OK");
    assert_eq!(site.request("/../etc/site.conf").unwrap().0, "404 Not Found");
}

#[test]
fn a_server_that_hangs_is_replaced() {
    let Some(site) = Site::started() else { return };
    let server = site.server();
    site.breaks("a server that stands still", &["Server"], |_| site.signal_server(Signal::STOP));
    assert_ne!(site.server(), server);
}

#[test]
fn a_server_is_ended_on_demand() {
    let Some(site) = Site::started() else { return };
    let root = site.root.display();
    let said = site.start(&["--stop"]).expect(0).out;
    assert!(
        said.starts_with(&format!("The server of {root}, process ")) && said.ends_with(", has ended.\n"),
        "{said}"
    );
    assert_eq!(site.request("/"), None);
    assert_eq!(site.start(&["--stop"]).expect(0).out, format!("No server of {root} is at work.\n"));
    assert_eq!(site.mend(), BTreeSet::from(["Server".to_owned()]));
}

/// A server that knows nothing of sites; says its port.
fn foreign_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap()).lines();
            reader.find(|line| line.as_ref().is_ok_and(String::is_empty));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
        }
    });
    port
}

#[test]
fn another_program_at_the_port_is_left_alone() {
    let Some(site) = Site::new() else { return };
    let port = foreign_server();
    let failed = site.start(&["--port", &port.to_string()]).expect(1);
    failed.says(&format!(
        "; and after it: port {port} is taken by another program; choose another with --port"
    ));
    assert_eq!(failed.out, "");
    assert!(!site.root.join("build").exists(), "a failed start leaves no leftovers either");
    assert!(!site.root.join("state/server.pid").exists());
    fs::remove_file(site.root.join("state/port")).unwrap();
    assert_eq!(site.mend(), BTreeSet::from(["Port", "Server"].map(str::to_owned)));
}

#[test]
fn another_sites_server_is_left_alone() {
    let (Some(one), Some(other)) = (Site::started(), Site::new()) else { return };
    let failed = other.start(&["--port", &one.port().to_string()]).expect(1);
    failed
        .says(&format!("is taken by another site's server, {}", one.root.canonicalize().unwrap().display()));
    assert_eq!(one.mend(), BTreeSet::new());
}

#[test]
fn an_interrupted_start_is_taken_up_again() {
    let Some(site) = Site::new() else { return };
    let port = foreign_server().to_string();
    let mut start = site.clean(binary());
    start.args(["--format", "json", "--port", &port, "--root"]).arg(&site.root);
    let mut start = start.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut events = BufReader::new(start.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(r#""event":"retry_scheduled","job":"Server""#) {
        line.clear();
        assert_ne!(events.read_line(&mut line).unwrap(), 0, "it ended by itself");
    }
    kill_process(Pid::from_child(&start), Signal::INT).unwrap();
    io::copy(&mut events, &mut io::sink()).unwrap();
    assert_eq!(start.wait().unwrap().code(), Some(130));
    assert!(!site.root.join("build").exists(), "cleanups are called when a start is interrupted");
    fs::remove_file(site.root.join("state/port")).unwrap();
    assert_eq!(site.mend(), BTreeSet::from(["Port", "Server"].map(str::to_owned)));
}

#[test]
fn a_root_may_have_any_name() {
    let Some(site) = Site::named("it's \"my\" site, ä – 網站 $HOME `x` ;&") else { return };
    let first = site.start(&[]).expect(0);
    let again = first.out.lines().find_map(|line| line.strip_prefix("Run it again:         ")).unwrap();
    // What it says can be typed into a shell.
    Ended::of(site.clean("/bin/sh").args(["-c", again])).expect(0).says("nothing to do");
    site.breaks("no server", &["Server"], |_| site.signal_server(Signal::TERM));
    let end = first.out.lines().find_map(|line| line.strip_prefix("Stop the server:      ")).unwrap();
    Ended::of(site.clean("/bin/sh").args(["-c", end])).expect(0);
    assert_eq!(site.request("/"), None);
}

#[test]
fn mistakes_are_explained() {
    let Some(site) = Site::new() else { return };
    let file = site.home.path().join("file");
    fs::write(&file, "").unwrap();
    for root in [file.clone(), file.join("deeper")] {
        let ended = Ended::of(site.clean(binary()).arg("--root").arg(&root)).expect(2);
        let (root, file) = (root.display(), file.display());
        assert_eq!(ended.err, format!("error: --root {root} cannot be: {file} is no directory\n"));
    }
    let mut start = site.clean(binary());
    start.arg("--root").arg(&site.root).env("PATH", "/nowhere");
    let ended = Ended::of(&mut start).expect(1);
    ended.says("failed Repository: could not find out: failed to run `git ");
    ended.says(": there is no program `git`; install it or set PATH");
    // With git it goes on from there: the rest has been done.
    assert_eq!(site.mend(), BTreeSet::from(["Repository", "FirstCommit"].map(str::to_owned)));
}
