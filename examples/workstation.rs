//! A personal workstation, provisioned with ready-made jobs: dotfiles, tools, packages, a timer, a checkout, and old files to
//! remove.
//!
//! ```text
//! cargo run --example workstation                                       # in a new directory, which it prints
//! cargo run --example workstation -- --root /tmp/ws --no-act --diff     # what would be written?
//! cargo run --example workstation -- --root /tmp/ws                     # repeatable: repairs what is broken
//! sudo target/debug/examples/workstation --system                       # for real, with packages and services
//! ```
//!
//! Below a directory it needs neither privileges nor a network: system changes are simulated (see `workstation/system.rs`),
//! and downloads come from local files that are created first (see `workstation/upstream.rs`).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it tells people where the workstation is")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use dojob::cli::{Flags, Format};
use dojob::{AnyJob, Context, Deps, DummyJob, Engine, IntoJob, Job, Result, deps};
use dojob_jobs::{Absent, Directory, Download, Facts, GitCheckout, Prune, Setting, Symlink, Template};
use serde::Serialize;

#[path = "workstation/system.rs"]
mod system;
#[path = "workstation/upstream.rs"]
mod upstream;

/// Provisions a personal workstation.
#[derive(Parser, Serialize)]
struct Cli {
    /// The directory to work in [default: a new temporary directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Provision this machine and your home directory (as root)
    #[arg(long, conflicts_with = "root")]
    system: bool,

    /// The name of the owner, used for commits
    #[arg(long, value_name = "NAME", default_value = "Rosa")]
    name: String,

    #[command(flatten)]
    #[serde(skip)]
    flags: Flags,
}

/// Where to put everything.
#[derive(Clone, PartialEq)]
pub(crate) struct Place {
    /// `/`, or the scratch directory.
    root: PathBuf,
    home: PathBuf,
    is_system: bool,
}

impl Place {
    fn home(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    fn root(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// The whole workstation. A graph of ready-made jobs consists of values, so plain functions are enough to build it.
#[derive(Clone, PartialEq)]
struct Workstation {
    place: Place,
    name: String,
}

impl DummyJob for Workstation {
    fn deps(&self) -> Deps {
        let place = &self.place;
        let mut deps = Deps::new();
        deps.extend(DOTFILES.map(|(path, template)| Dotfile {
            path: place.home(path),
            template,
            name: self.name.clone(),
        }));
        deps.with(Directory::new(place.home("private")).mode(0o700))
            .with(editor(place))
            .with(notes(place))
            .with(vimrc(place))
            .with(system::packages(place))
            .with(system::timer(place))
            .with(system::cron_entry(place))
            // Leftovers of older versions of this program, and old backups.
            .with(Absent::new(place.home(".notesrc")))
            .with(Prune::new(place.home("notes/backups")).pattern("*.tar.gz").keep(3))
    }
}

/// Words in braces are replaced by the name, or by facts about the machine.
const DOTFILES: [(&str, &str); 3] = [
    (
        ".profile",
        "\
# Provisioned; what is your own belongs into ~/.profile.local.
export PATH=\"$HOME/.local/bin:$PATH\"
export EDITOR=vim
export MAKEFLAGS=-j{{ cpus | default(1, true) }}
[ ! -r ~/.profile.local ] || . ~/.profile.local
",
    ),
    (
        ".config/git/config",
        "[user]\n\tname = {{ name }}\n\temail = {{ name | lower }}@{{ host }}\n[init]\n\tdefaultBranch = main\n",
    ),
    (".config/motd", "{{ host }} runs {{ os | default(\"something\", true) }} on {{ cpus }} CPUs.\n"),
];

/// A custom job built from ready-made ones: a template that is rendered with facts when the job runs.
///
/// It creates its own directory: with a separate job for that, a dry run before the first run could only say "unknown until
/// the directory exists".
#[derive(Clone, PartialEq)]
struct Dotfile {
    path: PathBuf,
    template: &'static str,
    name: String,
}

impl Dotfile {
    fn file(&self, cx: &Context) -> Result<Template> {
        let facts = Facts::of(cx);
        Ok(Template::new(&self.path, self.template)
            .var("name", self.name.as_str())
            .var("host", facts.hostname()?)
            .var("os", facts.os()?.name.clone())
            .var("cpus", facts.hardware()?.cpus)
            .mode(0o644)
            .backup())
    }
}

impl Job for Dotfile {
    fn name(&self) -> String {
        format!("Dotfile {}", self.path.display())
    }
    fn check(&mut self, cx: &mut Context) -> Result<()> {
        self.file(cx)?.check(cx)
    }
    fn run(&mut self, cx: &mut Context) -> Result<()> {
        if let Some(directory) = self.path.parent() {
            Directory::new(directory).run(cx)?;
        }
        self.file(cx)?.run(cx)
    }
    fn cleanup(&mut self, cx: &mut Context) -> Result<()> {
        self.file(cx)?.cleanup(cx)
    }
}

/// Two settings in the editor's own file; everything else in it stays as it is.
fn editor(place: &Place) -> AnyJob {
    let path = place.home(".config/editor.toml");
    let setting = |key: &str, value: serde_json::Value| Setting::new(&path, key, value).create();
    let width = setting("editor.tab_width", 4.into()).needs(deps![Directory::new(place.home(".config"))]);
    // One after the other, because both rewrite the same file.
    setting("editor.theme", "dark".into()).needs(deps![width])
}

/// A program that is downloaded and verified by its hash.
fn notes(place: &Place) -> AnyJob {
    let url = upstream::url(&place.root(upstream::NOTES));
    let program =
        Download::new(url, place.home(".local/bin/notes")).sha256(upstream::NOTES_SHA256).mode(0o755);
    program.needs(deps![Directory::new(place.home(".local/bin")), upstream::notes(place)])
}

/// A repository of dotfiles, and a link to one of them.
fn vimrc(place: &Place) -> AnyJob {
    let repository = place.root(upstream::REPOSITORY).display().to_string();
    let checkout = GitCheckout::new(repository, place.home("projects/dotfiles")).version(upstream::VERSION);
    let checkout = checkout.needs(deps![Directory::new(place.home("projects")), upstream::repository(place)]);
    Symlink::new(place.home(".vimrc"), "projects/dotfiles/vimrc").needs(deps![checkout])
}

/// Where to work, and whether the user chose it. Without `--root` a new directory; a dry run does not create it.
fn choose_place(cli: &Cli) -> Result<Place> {
    if cli.system {
        ensure!(
            rustix::process::geteuid().is_root(),
            "--system changes this machine, and has to be started as root"
        );
        let home = std::env::home_dir().context("--system needs to know your home: HOME is not set")?;
        return Ok(Place { root: "/".into(), home, is_system: true });
    }
    let root = match &cli.root {
        Some(root) => std::path::absolute(root).context("--root is no path")?,
        None => new_root(&cli.flags)?,
    };
    // Resolve the part that exists, because the rest cannot be resolved yet.
    if let Some(file) = root.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
        bail!("--root {} cannot be: {} is no directory", root.display(), file.display());
    }
    let home = root.join("home");
    Ok(Place { root, home, is_system: false })
}

fn new_root(flags: &Flags) -> Result<PathBuf> {
    let temporary = std::env::temp_dir();
    if flags.list || flags.no_act || !flags.needs_jobs() {
        return Ok(temporary.join(format!("workstation-{}", std::process::id())));
    }
    let root = tempfile::Builder::new().prefix("workstation-").tempdir_in(&temporary);
    Ok(root.with_context(|| format!("failed to make a directory in {}", temporary.display()))?.keep())
}

/// Prints where the workstation is, and what to do next.
fn tell(root: &Path) {
    let program = std::env::args().next().unwrap_or_default();
    let again = format!("{} --root {}", quoted(&program), quoted(&root.display().to_string()));
    println!("The workstation is in {}", root.display());
    println!("Run it again:         {again}");
    println!("Dry run:              {again} --no-act --diff");
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let flags = cli.flags.clone();
    let place = match choose_place(&cli) {
        Ok(place) => place,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let root = place.root.clone();
    if cli.root.is_none() && !cli.system && flags.needs_jobs() && !flags.list {
        let what = if flags.no_act { "a run would create a new directory such as" } else { "new directory" };
        eprintln!("{what} {}", root.display());
    }
    // Each workstation is a scope of its own.
    let scope = format!("workstation {}", root.display());
    let workstation = Workstation { place, name: cli.name.clone() };
    let code = flags.main(&cli, || Ok(Engine::new(workstation)?.tries(1).scope(scope)));
    let is_asked = !flags.needs_jobs() || flags.list || flags.pending || flags.cleanup_only;
    let stdout_is_taken = is_asked || flags.format == Format::Json || flags.graph == Some("-".into());
    if code == ExitCode::SUCCESS && !stdout_is_taken && !flags.no_act && !cli.system {
        tell(&root);
    }
    code
}
