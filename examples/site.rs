//! Real provisioning: a small web site below one directory, with its files, Git repository and server.
//!
//! ```text
//! cargo run --example site                                       # in a new directory, which it prints
//! cargo run --example site -- --root /tmp/site --no-act --diff   # what would be written?
//! cargo run --example site -- --root /tmp/site                   # repeatable: repairs what is broken
//! cargo run --example site -- --root /tmp/site --stop            # stops the server
//! ```
//!
//! The jobs receive everything as arguments, so the graph is the same for every directory.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it tells people where the site is")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, value_parser};
use dojob::cli::{Flags, Format};
use dojob::{Command, Context, Deps, DummyJob, Engine, Job, NotAsWanted, OrCouldNotFindOut, Result, deps};
use serde::Serialize;

#[path = "site/server.rs"]
mod server;

use server::{Server, address, living_server, serve, stop};

/// Provisions a small web site below one directory: its files, its Git repository and its server.
#[derive(Parser, Serialize)]
struct Cli {
    /// The directory to work in [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// The server's port [default: a free port, chosen by the first run]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Only stop the server of the site in DIR
    #[arg(long, requires = "root", conflicts_with_all = ["dojob_no_act", "dojob_list"])]
    #[serde(skip)]
    stop: bool,

    /// Run as the background process
    #[arg(long, hide = true, requires_all = ["root", "port"])]
    #[serde(skip)]
    serve: bool,

    #[command(flatten)]
    #[serde(skip)]
    flags: Flags,
}

const DIRECTORIES: [&str; 3] = ["public", "public/about", "state"];

/// Words in braces are replaced by facts.
const CONFIG_FILES: [TextFile; 3] = [
    TextFile::config(".gitignore", 0o644, "/build/\n/public/\n/state/\n"),
    TextFile::config("etc/motd", 0o644, "Welcome to {host}, with {cpus} CPUs and {memory} of memory.\n"),
    TextFile::config(
        "etc/site.conf",
        0o640,
        "host = {host}\nos = {os}\nkernel = {kernel}\nworkers = {cpus}\n",
    ),
];

/// Each becomes a page, with the first line as its title.
const SOURCES: [TextFile; 2] = [
    TextFile::source(
        "content/index.txt",
        "Hello from {host}\n\nA job wrote this page.\n\nAnother serves it.\n",
    ),
    TextFile::source("content/about/index.txt", "About {host}\n\nIt runs {os}, kernel {kernel}.\n"),
];

const PORT_FILE: &str = "state/port";
const PID_FILE: &str = "state/server.pid";
const LOG_FILE: &str = "state/server.log";

/// Timeout of both sides of a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// The whole site.
#[derive(Clone, PartialEq)]
pub struct Site;

impl DummyJob for Site {
    fn deps(&self) -> Deps {
        let mut deps = Deps::new();
        deps.extend(DIRECTORIES.map(Directory::at));
        deps.extend(CONFIG_FILES);
        deps.extend(pages());
        deps.with(FirstCommit).with(Server)
    }
}

fn pages() -> impl Iterator<Item = Page> {
    SOURCES.into_iter().map(|source| Page { source })
}

fn root(cx: &Context) -> Result<PathBuf> {
    Ok(cx.arg("root")?)
}

#[derive(Clone, PartialEq)]
struct Directory {
    path: String,
}

impl Directory {
    fn at(path: &str) -> Self {
        Directory { path: path.to_owned() }
    }
}

impl Job for Directory {
    fn name(&self) -> String {
        format!("Directory {}", self.path)
    }
    fn deps(&self) -> Deps {
        match self.path.rsplit_once('/') {
            Some((parent, _)) => deps![Directory::at(parent)],
            None => deps![],
        }
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let path = root(cx)?.join(&self.path);
        ensure!(path.exists(), "{} does not exist", self.path);
        ensure!(path.is_dir(), "{} is no directory", self.path);
        check_mode(&path, &self.path, 0o755)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        make_directory(&root(cx)?.join(&self.path))
    }
}

/// Facts about the machine, read once and passed on to the jobs that use them.
#[derive(Clone, PartialEq)]
struct Facts;

impl Job for Facts {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        // On Linux from files, elsewhere from commands; what neither provides is unknown.
        let file = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned());
        let printed = |program: &str, arguments: &[&str]| {
            let output = cx.command(program).args(arguments).quiet().timeout(5 * PATIENCE).run();
            Some(output.ok()?.text())
        };
        let after = |text: &str, start: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(start))?;
            Some(line.trim_matches(['"', '\'', ' ']).to_owned())
        };
        let cpus = std::thread::available_parallelism().ok();
        let facts = BTreeMap::from([
            ("host", file("/proc/sys/kernel/hostname").or_else(|| printed("uname", &["-n"]))),
            ("os", file("/etc/os-release").and_then(|text| after(&text, "PRETTY_NAME="))),
            ("kernel", file("/proc/sys/kernel/osrelease").or_else(|| printed("uname", &["-r"]))),
            ("cpus", cpus.map(|cpus| cpus.to_string())),
            (
                "memory",
                file("/proc/meminfo")
                    .and_then(|text| after(&text, "MemTotal:"))
                    .or_else(|| Some(printed("sysctl", &["-n", "hw.memsize"])? + " B")),
            ),
        ]);
        Ok(cx.set_result(facts)?)
    }
    fn run(&mut self, _: &mut Context) -> Result<()> {
        bail!("a machine cannot be changed into another one")
    }
}

/// A file written from the facts. It creates its own directory: with a separate job for that, a dry run before the first
/// run could only say "unknown until the directory exists".
#[derive(Clone, PartialEq)]
struct TextFile {
    /// The first word of its name.
    kind: &'static str,
    path: &'static str,
    mode: u32,
    template: &'static str,
}

impl TextFile {
    const fn config(path: &'static str, mode: u32, template: &'static str) -> Self {
        TextFile { kind: "ConfigFile", path, mode, template }
    }

    const fn source(path: &'static str, template: &'static str) -> Self {
        TextFile { kind: "Source", path, mode: 0o644, template }
    }

    fn wanted(&self, cx: &Context) -> Result<String> {
        let facts: BTreeMap<String, Option<String>> = cx.result("Facts")?;
        Ok(facts.into_iter().fold(self.template.to_owned(), |text, (name, fact)| {
            text.replace(&format!("{{{name}}}"), fact.as_deref().unwrap_or("unknown"))
        }))
    }
}

impl Job for TextFile {
    fn name(&self) -> String {
        format!("{} {}", self.kind, self.path)
    }
    fn deps(&self) -> Deps {
        deps![Facts]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        check_file(&root(cx)?, self.path, self.mode, &self.wanted(cx)?)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let root = root(cx)?;
        // The root itself is only created; its mode belongs to the user.
        fs::create_dir_all(&root).with_context(|| format!("failed to make {}", root.display()))?;
        if let Some((directory, _)) = self.path.rsplit_once('/') {
            make_directory(&root.join(directory))?;
        }
        write_atomically(&root.join(self.path), self.mode, &self.wanted(cx)?)
    }
}

/// Built in a temporary directory, which the cleanup removes.
#[derive(Clone, PartialEq)]
struct Page {
    source: TextFile,
}

impl Page {
    fn path(&self) -> String {
        self.source.path.replace("content/", "public/").replace(".txt", ".html")
    }

    /// The page's title and the rest of it.
    fn content(&self, cx: &Context) -> Result<(String, String)> {
        let path = root(cx)?.join(self.source.path);
        let text =
            fs::read_to_string(&path).or_could_not_find_out(format!("what {} says", path.display()))?;
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let (title, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let paragraphs = rest.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
        Ok((title.to_owned(), paragraphs.map(|paragraph| format!("<p>{paragraph}</p>\n")).collect()))
    }
}

fn in_html(title: &str, body: &str) -> String {
    format!("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n{body}")
}

impl Job for Page {
    fn name(&self) -> String {
        format!("Page {}", self.path())
    }
    fn deps(&self) -> Deps {
        let path = self.path();
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        deps![self.source.clone(), Directory::at(directory)]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let (title, body) = self.content(cx)?;
        check_file(&root(cx)?, &self.path(), 0o644, &in_html(&title, &body))
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let build = root(cx)?.join("build").join(self.path().replace('/', "-"));
        // Stored before it is created, so the cleanup knows of it whatever happens in between.
        cx.local().set("build", &build)?;
        make_directory(&build)?;
        let (title, body) = self.content(cx)?;
        fs::write(build.join("title"), title)?;
        fs::write(build.join("body"), body)?;

        let [title, body] = ["title", "body"].map(|piece| fs::read_to_string(build.join(piece)));
        write_atomically(&root(cx)?.join(self.path()), 0o644, &in_html(&title?, &body?))
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        let Some(build) = cx.local().get::<PathBuf>("build")? else { return Ok(()) };
        if build.exists() {
            fs::remove_dir_all(&build).with_context(|| format!("failed to remove {}", build.display()))?;
        }
        // The parent directory goes with the last page; until then it is not empty.
        let _ = fs::remove_dir(build.with_file_name(""));
        Ok(())
    }
}

#[derive(Clone, PartialEq)]
struct Repository;

impl Job for Repository {
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let root = root(cx)?;
        let found = git(cx, &root).args(["rev-parse", "--git-dir"]).quiet().output()?;
        ensure!(found.success(), "there is no git repository in {}", root.display());
        Ok(())
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let root = root(cx)?;
        fs::create_dir_all(&root).with_context(|| format!("failed to make {}", root.display()))?;
        git(cx, &root).args(["init", "--quiet"]).run()?;
        Ok(())
    }
}

/// Everything that the site is built from is committed.
#[derive(Clone, PartialEq)]
struct FirstCommit;

impl FirstCommit {
    fn paths() -> impl Iterator<Item = &'static str> {
        CONFIG_FILES.into_iter().chain(SOURCES).map(|file| file.path)
    }

    /// The commit, if it is complete.
    fn commit(cx: &Context) -> Result<String> {
        let root = root(cx)?;
        let head = git(cx, &root).args(["rev-parse", "--verify", "--quiet", "HEAD"]).quiet().output()?;
        ensure!(head.success(), "nothing is committed yet");
        let status = git(cx, &root).args(["status", "--porcelain", "--untracked-files=all", "--"]);
        let status = status.args(Self::paths()).quiet().run()?.text();
        match status.lines().next() {
            Some(line) => bail!("{} is not committed", line.get(3..).unwrap_or(line)),
            None => Ok(head.text()),
        }
    }
}

impl Job for FirstCommit {
    fn deps(&self) -> Deps {
        let mut deps = deps![Repository];
        deps.extend(CONFIG_FILES);
        deps.extend(SOURCES);
        deps
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let commit = Self::commit(cx)?;
        Ok(cx.set_result(commit)?)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let root = root(cx)?;
        git(cx, &root).args(["add", "--"]).args(Self::paths()).run()?;
        // Perhaps only the index was out of date.
        if Self::commit(cx).is_err() {
            let commit = git(cx, &root).args(["commit", "--quiet", "--message", "Provision the site", "--"]);
            commit.args(Self::paths()).run()?;
        }
        Ok(())
    }
}

/// `git` in exactly this repository, without user settings (hooks, signatures, ignored files), and without incidental
/// writes, because checks use it, too.
fn git<'cx>(cx: &'cx Context, root: &Path) -> Command<'cx> {
    let mut git = cx.command("git").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        git = git.env_remove(variable);
    }
    for setting in ["init.defaultBranch=main", "user.name=Site", "user.email=site@localhost"] {
        git = git.args(["-c", setting]);
    }
    git.arg("-C").arg(root).args(["--git-dir=.git", "--no-optional-locks"])
}

/// Chooses the port once, and remembers it.
#[derive(Clone, PartialEq)]
struct Port;

impl Job for Port {
    fn deps(&self) -> Deps {
        deps![Directory::at("state")]
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        let wanted = cx.arg_opt::<u16>("port")?;
        match remembered_port(&root(cx)?) {
            None => bail!("no port is chosen yet"),
            Some(port) if port == wanted.unwrap_or(port) => Ok(cx.set_result(port)?),
            Some(port) => bail!("the port is {port} so far"),
        }
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        let port = match cx.arg_opt("port")? {
            Some(port) => port,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
        };
        write_atomically(&root(cx)?.join(PORT_FILE), 0o644, &format!("{port}\n"))
    }
}

fn remembered_port(root: &Path) -> Option<u16> {
    fs::read_to_string(root.join(PORT_FILE)).ok()?.trim().parse().ok()
}

/// Whether a file exists with this mode and text; `path` is relative to `root`.
fn check_file(root: &Path, path: &str, mode: u32, wanted: &str) -> Result<()> {
    let full = root.join(path);
    let found = match fs::read(&full) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(NotAsWanted::new(format!("{path} does not exist")).diff(path, "", wanted).into());
        }
        // Not "could not find out": a file of ours that cannot be read is broken, and is repaired like any other.
        Err(error) => return Err(NotAsWanted::new(format!("{path} cannot be read: {error}")).into()),
    };
    if found != wanted {
        return Err(NotAsWanted::new(format!("{path} differs")).diff(path, &found, wanted).into());
    }
    check_mode(&full, path, mode)
}

fn check_mode(full: &Path, path: &str, wanted: u32) -> Result<()> {
    let found = full.metadata()?.permissions().mode() & 0o7777;
    ensure!(found == wanted, "{path} has mode {found:o} in place of {wanted:o}");
    Ok(())
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("failed to make the directory {}", path.display()))
}

/// Atomic: readers, also after a crash, find either the old text or the new one.
fn write_atomically(path: &Path, mode: u32, text: &str) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    let write = || {
        let mut file = File::create(&beside)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(path.with_file_name(""))?.sync_all()
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}

/// The directory to work in. Without `--root` a new one; a dry run does not create it.
fn choose_root(cli: &Cli) -> Result<PathBuf> {
    if let Some(root) = &cli.root {
        let root = std::path::absolute(root).context("--root is no path")?;
        // Resolve the part that exists, because the rest cannot be resolved yet.
        if let Some(file) = root.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
            bail!("--root {} cannot be: {} is no directory", root.display(), file.display());
        }
        return Ok(root);
    }
    let temporary = std::env::temp_dir();
    if cli.flags.list || cli.flags.no_act || !cli.flags.needs_jobs() {
        return Ok(temporary.join(format!("site-{}", std::process::id())));
    }
    let root = tempfile::Builder::new().prefix("site-").tempdir_in(&temporary);
    Ok(root.with_context(|| format!("failed to make a directory in {}", temporary.display()))?.keep())
}

/// Prints where the site is, and what to do next.
fn tell(root: &Path) {
    let answers = match (remembered_port(root), living_server(root)) {
        (Some(port), Some(_)) => format!(" and answers at {}", address(port)),
        _ => String::new(),
    };
    let program = std::env::args().next().unwrap_or_default();
    let again = format!("{} --root {}", quoted(&program), quoted(&root.display().to_string()));
    println!("The site is in {}{answers}", root.display());
    println!("Run it again:         {again}");
    println!("Stop the server:      {again} --stop");
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[allow(dead_code, reason = "the test of the pictures uses the jobs alone")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    if !cli.serve && !cli.stop {
        return converge(cli);
    }
    let done = choose_root(&cli).and_then(|root| match cli.port {
        Some(port) if cli.serve => serve(&root, port),
        _ => stop(&root),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn converge(mut cli: Cli) -> ExitCode {
    let flags = cli.flags.clone();
    let root = match choose_root(&cli) {
        Ok(root) => root,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    if cli.root.is_none() && flags.needs_jobs() && !flags.list {
        let what = if flags.no_act { "a run would create a new directory such as" } else { "new directory" };
        eprintln!("{what} {}", root.display());
    }
    cli.root = Some(root.clone());
    // Each site is a scope of its own.
    let scope = root.display().to_string();
    // Files and Git need no retries; the server sets its own.
    let code = flags.main(&cli, || Ok(Engine::new(Site)?.tries(1).scope(scope)));
    let stdout_is_taken =
        !flags.needs_jobs() || flags.list || flags.format == Format::Json || flags.graph == Some("-".into());
    if code == ExitCode::SUCCESS && !stdout_is_taken && !flags.no_act {
        tell(&root);
    }
    code
}
