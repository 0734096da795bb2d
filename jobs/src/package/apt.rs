//! Packages of Debian and its kin, by `apt-get`, `apt-cache` and `dpkg-query`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use dojob::{Command, CommandOutput, Context, CouldNotFindOut, OrCouldNotFindOut, Result};

use super::manager::{Action, Change, InstalledState, PackageManager, Status, Transaction};
use crate::disk::inspect::{self, Links, Meta};
use crate::patience::patiently;
use crate::target_root::TargetRoot;

const LISTS: &str = "/var/lib/apt/lists";
/// Where dpkg keeps what it was doing, as long as it has not done it.
const JOURNAL: &str = "/var/lib/dpkg/updates";
const DATABASE: &str = "/var/lib/dpkg";
/// Which packages were installed for the sake of others.
const STATES: &str = "/var/lib/apt/extended_states";
/// Where packages come from: a file, and a directory of such files.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list", "/etc/apt/sources.list.d"];

/// One line a package, fields apart by tabs.
const FORMAT: &str = "-f=${Package}\\t${Architecture}\\t${Version}\\t${Status}\\n";

/// The same with what a package provides.
const PROVIDES: &str = "-f=${Package}\\t${db:Status-Status}\\t${Provides}\\n";

/// Nobody is there to answer, neither debconf nor about files of configuration: those that people have changed stay.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("UCF_FORCE_CONFFOLD", "1"),
];

/// Names are names: without the last of these, one that is unknown and has a dot is taken for a regular expression, and
/// installs whatever fits it.
const OPTIONS: [&str; 8] = [
    "-y",
    "-q",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "APT::Cmd::Pattern-Only=true",
];

/// apt on a machine.
pub(super) struct Apt<'a> {
    pub(super) machine: TargetRoot<'a>,
    /// How long to wait for others who hold a lock.
    pub(super) patience: Duration,
}

impl<'a> Apt<'a> {
    fn apt_get<'cx>(&self, cx: &'cx Context) -> Command<'cx> {
        self.command(cx, "apt-get").args(OPTIONS)
    }

    fn command<'cx>(&self, cx: &'cx Context, program: &str) -> Command<'cx> {
        ENVIRONMENT
            .into_iter()
            .fold(self.machine.command(cx, program), |command, (name, value)| command.env(name, value))
    }

    /// `apt-get` waits for locks itself when it installs; not when it fetches lists, nor does `dpkg` at all.
    fn patiently<'cx>(&self, cx: &'cx Context, command: impl Fn() -> Command<'cx>) -> Result<()> {
        patiently(cx, self.patience, is_locked, command)
    }

    /// This machine's own program can read the database of a tree, too, which takes no rights.
    fn dpkg_query<'cx>(&self, cx: &'cx Context) -> Result<Command<'cx>> {
        let this_one = TargetRoot::new(None);
        let is_tree = self.machine.root().is_some();
        let own = !is_tree || this_one.has("dpkg-query")?;
        let command = if own { this_one } else { self.machine }.command(cx, "dpkg-query");
        if !is_tree || !own {
            return Ok(command);
        }
        let mut option = OsString::from("--admindir=");
        option.push(self.machine.locate_target(Path::new(DATABASE))?);
        Ok(command.arg(option))
    }

    /// What apt has noted of packages; nothing where it has noted nothing yet.
    fn states(&self) -> Result<String> {
        let path = self.machine.locate_target(Path::new(STATES))?;
        match fs::read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => {
                Err(error).or_could_not_find_out("which packages were installed for the sake of others")
            }
        }
    }

    fn transaction<'cx>(&self, cx: &'cx Context, transaction: &Transaction, simulate: bool) -> Command<'cx> {
        let seconds = self.patience.as_secs().max(1);
        let mut command = self.apt_get(cx);
        command = match simulate {
            true => command.arg("--simulate"),
            false => command.args(["-o".to_owned(), format!("DPkg::Lock::Timeout={seconds}")]),
        };
        command.args(arguments(transaction))
    }
}

fn arguments(transaction: &Transaction) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: &str| words.push(word.to_owned());
    let mut suffix = String::new();
    match &transaction.action {
        Action::Install { version, recommends, may_remove } => {
            match recommends {
                Some(true) => add("--install-recommends"),
                Some(false) => add("--no-install-recommends"),
                None => {}
            }
            if !may_remove {
                add("--no-remove");
            }
            if let Some(version) = version {
                add("--allow-downgrades");
                suffix = format!("={version}");
            }
            add("install");
        }
        Action::Remove { purge: false } => add("remove"),
        Action::Remove { purge: true } => add("purge"),
    }
    words.extend(transaction.names.iter().map(|name| format!("{name}{suffix}")));
    words
}

fn is_locked(said: &str) -> bool {
    [
        "Could not get lock",
        "Unable to acquire",
        "Unable to lock",
        "was locked by another process",
        "is locked by another process",
    ]
    .iter()
    .any(|part| said.contains(part))
}

impl PackageManager for Apt<'_> {
    fn find(&self, cx: &Context, names: &[String]) -> Result<Vec<InstalledState>> {
        let what = || "which packages are installed";
        let command = self.dpkg_query(cx)?;
        // With its architecture dpkg does not find a package that is for all of them.
        let plain = names.iter().map(|name| name.split_once(':').map_or(name.as_str(), |(plain, _)| plain));
        let output =
            command.args(["-W", FORMAT]).args(plain).quiet().output().or_could_not_find_out(what())?;
        // 1: some of the names are unknown.
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(could_not(what(), &output));
        }
        let text = output.text();
        let lines: Vec<AptLine<'_>> = text.lines().filter_map(AptLine::parse).collect();
        let states = self.states()?;
        let automatic = automatic(&states);
        Ok(names.iter().map(|name| found(name, &lines, &automatic)).collect())
    }

    fn providers(
        &self,
        cx: &Context,
        names: &[String],
        installed: bool,
    ) -> Result<BTreeMap<String, Vec<String>>> {
        let what = || format!("which packages provide {}", names.join(", "));
        let command = match installed {
            true => self.dpkg_query(cx)?.args(["-W", PROVIDES]),
            false => self.command(cx, "apt-cache").arg("showpkg").args(names),
        };
        let output = command.quiet().output().or_could_not_find_out(what())?;
        // 100: apt-cache knows nothing at all of any of them.
        if !output.success() && (installed || output.status.code() != Some(100)) {
            return Err(could_not(&what(), &output));
        }
        let text = output.text();
        let providers = names.iter().map(|name| match installed {
            true => (name.clone(), installed_providers(&text, name)),
            false => (name.clone(), reverse_provides(&text, name)),
        });
        Ok(providers.filter(|(_, providers)| !providers.is_empty()).collect())
    }

    fn candidates(&self, cx: &Context, names: &[String]) -> Result<BTreeMap<String, String>> {
        let what = || "which versions of packages there are";
        let output = self.command(cx, "apt-cache").arg("policy").args(names).quiet().output();
        let output = output.or_could_not_find_out(what())?;
        if !output.success() {
            return Err(could_not(what(), &output));
        }
        Ok(candidates(&output.text()))
    }

    fn preview(&self, cx: &Context, transaction: &Transaction) -> Result<Vec<Change>> {
        let output = self.transaction(cx, transaction, true).quiet().output()?;
        if !output.success() {
            bail!("{}", errors(&output.stderr.text()));
        }
        Ok(output.text().lines().filter_map(change).collect())
    }

    fn age(&self, cx: &Context) -> Result<Option<Duration>> {
        let path = self.machine.locate_target(Path::new(LISTS))?;
        let Some(meta) = inspect::meta(&path, Links::Follow)? else { return Ok(None) };
        let mut entries = fs::read_dir(&path).or_could_not_find_out("how old the lists of packages are")?;
        // An image may have been delivered without lists: then there is a lock at most.
        let has_lists = entries.any(|entry| {
            entry.is_ok_and(|entry| {
                entry.file_name() != "lock" && entry.file_type().is_ok_and(|kind| kind.is_file())
            })
        });
        if !has_lists {
            return Ok(None);
        }
        let now = cx.now().as_second();
        Ok(Some(Duration::from_secs(u64::try_from(now - meta.modified.0).unwrap_or(0))))
    }

    fn newer_source(&self, cx: &Context) -> Result<Option<String>> {
        let meta = |path: &Path| inspect::meta(&self.machine.locate_target(path)?, Links::Follow);
        let Some(lists) = meta(Path::new(LISTS))? else { return Ok(None) };
        let mut sources: Vec<PathBuf> = SOURCES.map(PathBuf::from).to_vec();
        let directory = self.machine.locate_target(Path::new(SOURCES[1]))?;
        match fs::read_dir(&directory) {
            Ok(entries) => {
                let names = entries.flatten().map(|entry| Path::new(SOURCES[1]).join(entry.file_name()));
                // As sources.list(5) has it; apt passes over others.
                let is_read =
                    |path: &PathBuf| path.extension().is_some_and(|end| end == "list" || end == "sources");
                sources.extend(names.filter(is_read));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).or_could_not_find_out("where packages come from"),
        }
        // The directory itself counts too: a file may have been taken out of it. A time to come says nothing: such a file
        // would be newer for ever.
        let now = cx.now().as_second();
        for source in sources {
            let is_newer = |source: Meta| source.modified > lists.modified && source.modified.0 <= now;
            if meta(&source)?.is_some_and(is_newer) {
                return Ok(Some(source.display().to_string()));
            }
        }
        Ok(None)
    }

    fn want(&self, cx: &Context, names: &[String]) -> Result<()> {
        self.patiently(cx, || self.command(cx, "apt-mark").arg("manual").args(names))
    }

    fn refresh(&self, cx: &Context) -> Result<()> {
        self.patiently(cx, || self.apt_get(cx).args(["-o", "APT::Update::Error-Mode=any", "update"]))?;
        // apt leaves the directory alone where nothing is new.
        self.machine.command(cx, "touch").arg(LISTS).run()?;
        Ok(())
    }

    fn finish(&self, cx: &Context, may_remove: bool) -> Result<()> {
        let configured = self.patiently(cx, || {
            let command = self.command(cx, "dpkg").args(["--force-confdef", "--force-confold"]);
            command.args(["--configure", "--pending"])
        });
        // What is unpacked may lack something that it needs: apt can get that, dpkg cannot.
        let Err(error) = configured else { return Ok(()) };
        if cx.is_cancelled() {
            return Err(error);
        }
        let seconds = self.patience.as_secs().max(1);
        let mut command = self.apt_get(cx).args(["-o", &format!("DPkg::Lock::Timeout={seconds}")]);
        if !may_remove {
            command = command.arg("--no-remove");
        }
        command.args(["--fix-broken", "install"]).run()?;
        Ok(())
    }

    fn apply(&self, cx: &Context, transaction: &Transaction) -> Result<()> {
        let path = self.machine.locate_target(Path::new(JOURNAL))?;
        let is_interrupted = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        if is_interrupted {
            let may_remove = matches!(transaction.action, Action::Install { may_remove: true, .. });
            self.finish(cx, may_remove)?;
        }
        self.transaction(cx, transaction, false).run()?;
        Ok(())
    }
}

/// A line of [`FORMAT`].
struct AptLine<'t> {
    name: &'t str,
    architecture: &'t str,
    version: &'t str,
    want: &'t str,
    status: &'t str,
}

impl<'t> AptLine<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, architecture, version, status] = fields.as_slice() else { return None };
        let words: Vec<&str> = status.split(' ').collect();
        let [want, _, status] = words.as_slice() else { return None };
        Some(AptLine { name, architecture, version, want, status })
    }

    fn is(&self, name: &str) -> bool {
        match name.split_once(':') {
            None => self.name == name,
            Some((name, architecture)) => {
                self.name == name && [architecture, "all"].contains(&self.architecture)
            }
        }
    }

    fn status(&self) -> Status {
        match self.status {
            "installed" => Status::Installed(self.version.to_owned()),
            "config-files" => Status::ConfigurationLeft,
            "not-installed" => Status::Absent,
            other => Status::Unfinished(other.to_owned()),
        }
    }
}

/// Of several architectures the one that is installed counts.
fn found(name: &str, lines: &[AptLine<'_>], automatic: &[(&str, &str)]) -> InstalledState {
    let ours = || lines.iter().filter(|line| line.is(name));
    let line = ours().find(|line| line.status == "installed").or_else(|| ours().next());
    match line {
        None => InstalledState { status: Status::Absent, held: false, automatic: false },
        Some(line) => InstalledState {
            status: line.status(),
            held: line.want == "hold",
            // What runs on all architectures is noted with the machine's own.
            automatic: automatic.iter().any(|(name, architecture)| {
                *name == line.name && (line.architecture == "all" || *architecture == line.architecture)
            }),
        },
    }
}

/// Names and architectures of the packages that were installed for the sake of others.
fn automatic(states: &str) -> Vec<(&str, &str)> {
    let paragraphs = states.split("\n\n").map(|paragraph| {
        let field = |name: &str| {
            let mut values = paragraph.lines().filter_map(|line| line.strip_prefix(name));
            values.find_map(|value| value.strip_prefix(':')).map(str::trim).unwrap_or_default()
        };
        (field("Package"), field("Architecture"), field("Auto-Installed"))
    });
    paragraphs.filter(|(.., flag)| *flag == "1").map(|(name, architecture, _)| (name, architecture)).collect()
}

/// Of lines of [`PROVIDES`], the installed packages that provide `name`.
fn installed_providers(text: &str, name: &str) -> Vec<String> {
    let provides = |provided: &str| {
        let names = provided.split(',').map(|one| one.split(['(', ' ', ':']).find(|word| !word.is_empty()));
        names.flatten().any(|one| one == name)
    };
    let lines = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [package, status, provided] = fields.as_slice() else { return None };
        (*status == "installed" && provides(provided)).then(|| (*package).to_owned())
    });
    lines.collect()
}

/// Of what `apt-cache showpkg` says, which takes a name for a pattern, the packages that provide just this one:
/// `postfix 3.7.11 (= )`.
fn reverse_provides(text: &str, name: &str) -> Vec<String> {
    let own = format!("Package: {name}");
    let lines = text.lines().skip_while(|line| *line != own).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("Package: "));
    let behind = lines.skip_while(|line| !line.starts_with("Reverse Provides")).skip(1);
    let mut names: Vec<String> =
        behind.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}

/// What `apt-cache policy` says would be installed.
fn candidates(text: &str) -> BTreeMap<String, String> {
    let mut candidates = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        if !line.starts_with(' ') {
            name = line.trim_end().trim_end_matches(':');
        } else if let Some(version) = line.trim_start().strip_prefix("Candidate:").map(str::trim)
            && version != "(none)"
        {
            candidates.insert(name.to_owned(), version.to_owned());
        }
    }
    candidates
}

/// A line of `apt-get --simulate`: `Inst name [old] (new …)`, `Remv name [old]`, `Purg name [old]`.
fn change(line: &str) -> Option<Change> {
    let (word, rest) = line.split_once(' ')?;
    let name = rest.split(' ').next()?.to_owned();
    let between = |open: char, close: char| {
        let (_, behind) = rest.split_once(open)?;
        let end = behind.find([close, ' '])?;
        Some(behind[..end].to_owned())
    };
    // What is in brackets behind the parenthesis is the architecture.
    let before = rest.split('(').next().unwrap_or_default();
    let from = before.contains('[').then(|| between('[', ']')).flatten();
    match word {
        "Inst" => Some(Change { name, from, to: between('(', ')') }),
        "Remv" | "Purg" => Some(Change { name, from, to: None }),
        _ => None,
    }
}

/// What went wrong, of all that was said.
fn errors(said: &str) -> String {
    let errors: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("E: ")).map(str::trim).collect();
    if errors.is_empty() { said.trim().to_owned() } else { errors.join("; ") }
}

fn could_not(what: &str, output: &CommandOutput) -> anyhow::Error {
    CouldNotFindOut::new(what).because(errors(&output.stderr.text())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_is_what_dpkg_says() {
        let text = "a\tall\t1.0\tinstall ok installed\nb\tamd64\t1:2-3\thold ok installed\nb\ti386\t\tunknown ok not-installed\n\
                    c\tamd64\t1\tdeinstall ok config-files\nd\tamd64\t1\tinstall reinstreq half-installed\nbroken\n";
        let lines: Vec<AptLine<'_>> = text.lines().filter_map(AptLine::parse).collect();
        let states = "Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: b\nArchitecture: i386\nAuto-Installed: 1\n\nPackage: c\nArchitecture: amd64\nAuto-Installed: 0\n";
        let of = |name: &str| found(name, &lines, &automatic(states));
        assert_eq!(
            of("a"),
            InstalledState { status: Status::Installed("1.0".into()), held: false, automatic: true }
        );
        assert_eq!(of("a:amd64").status, Status::Installed("1.0".into()));
        assert_eq!(
            of("b"),
            InstalledState { status: Status::Installed("1:2-3".into()), held: true, automatic: false }
        );
        assert_eq!(of("b:i386").status, Status::Absent);
        assert_eq!(of("c").status, Status::ConfigurationLeft);
        assert_eq!(of("d").status, Status::Unfinished("half-installed".into()));
        assert_eq!(of("e").status, Status::Absent);
    }

    #[test]
    fn candidates_are_what_the_policy_says() {
        let text = "a:\n  Installed: 1.0\n  Candidate: 2.0\n  Version table:\n     2.0 500\nb:\n  Installed: (none)\n  Candidate: (none)\n";
        assert_eq!(candidates(text), BTreeMap::from([("a".to_owned(), "2.0".to_owned())]));
    }

    #[test]
    fn changes_are_what_the_simulation_says() {
        let of = |line: &str| change(line).map(|change| change.to_string());
        assert_eq!(of("Inst a (1.0 localhost [all])").unwrap(), "a (none) -> 1.0");
        assert_eq!(of("Inst a [1.0] (2.0 Debian:12/stable [amd64]) []").unwrap(), "a 1.0 -> 2.0");
        assert_eq!(of("Remv a [1.0] [b ]").unwrap(), "a 1.0 -> (none)");
        assert_eq!(of("Purg a").unwrap(), "a (configuration) -> (none)");
        assert_eq!(of("Conf a (1.0 localhost [all])"), None);
        assert_eq!(of("Reading package lists..."), None);
    }

    #[test]
    fn providers_are_found() {
        let text = "exim4\tinstalled\tmail-transport-agent\npostfix\tconfig-files\tmail-transport-agent\n\
                    php\tinstalled\ta (= 1), php-cli:any (= 2:8.2), b\nplain\tinstalled\t\n";
        assert_eq!(installed_providers(text, "mail-transport-agent"), ["exim4"]);
        assert_eq!(installed_providers(text, "php-cli"), ["php"]);
        assert_eq!(installed_providers(text, "mail"), [""; 0]);
        let text = "Package: mta\nVersions: \n\nReverse Depends: \n  a,mta\nDependencies: \nProvides: \nReverse Provides: \n\
                    postfix 3.7.11 (= )\nexim4 4.96-15 (= )\nexim4 4.95-1 (= )\n";
        assert_eq!(
            reverse_provides(&format!("Package: mtas\nReverse Provides: \nnone 1 (= )\n{text}"), "mta"),
            ["exim4", "postfix"]
        );
        assert_eq!(reverse_provides(text, "m.a"), [""; 0]);
    }

    #[test]
    fn errors_are_found_among_warnings() {
        assert_eq!(
            errors("W: old\nE: Unable to locate package a\nE: No.\n"),
            "Unable to locate package a; No."
        );
        assert_eq!(errors("dpkg: sorry\n"), "dpkg: sorry");
    }
}
