//! The files of units: which unit a name stands for, what masks it, and what its `[Install]` section says.
//!
//! Reads files alone, so that it works where no systemd is running and in the tree of another system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use dojob::{CouldNotFindOut, OrCouldNotFindOut};

use super::install::Install;
use crate::target_root::TargetRoot;

/// Where an administrator's units, links and masks are.
const CONFIG: &str = "/etc/systemd/system";

/// As there, until the next boot.
const RUNTIME: &str = "/run/systemd/system";

/// Where generators put the units that they make.
const GENERATED: [&str; 3] =
    ["/run/systemd/generator.early", "/run/systemd/generator", "/run/systemd/generator.late"];

/// Where systemd looks for units, the first place first.
const PLACES: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    CONFIG,
    "/etc/systemd/system.attached",
    RUNTIME,
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// More aliases of aliases than this are a circle.
const MOST_ALIASES: usize = 16;

/// What a place has under the name of a unit.
#[derive(Debug, PartialEq)]
enum UnitEntry {
    /// The file of a unit.
    File,
    /// A link, and where it leads in the machine.
    Link(PathBuf),
    /// An empty file, or a link to `/dev/null`.
    Mask,
}

/// Which places mask a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// In `/etc`: for good.
    pub(super) config: bool,
    /// In `/run`: until the next boot.
    pub(super) runtime: bool,
    /// Elsewhere, where `unmask` does not reach: the unit's package does it, say.
    pub(super) elsewhere: bool,
}

impl Masks {
    pub(super) fn is_any(self) -> bool {
        self.config || self.runtime || self.elsewhere
    }
}

/// Where a unit is wanted by another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WantedIn {
    pub(super) config: bool,
    pub(super) runtime: bool,
    pub(super) generated: bool,
}

/// The files of a machine's units.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    machine: TargetRoot<'a>,
}

impl<'a> Files<'a> {
    pub(super) fn new(machine: TargetRoot<'a>) -> Self {
        Files { machine }
    }

    /// The unit that `name` stands for: an alias leads to the unit behind it, also an alias that is only made when that
    /// unit is enabled (`Alias=`).
    ///
    /// # Errors
    /// When files cannot be read, aliases lead in a circle, or several units ask for that alias.
    pub(super) fn real(self, name: &str) -> Result<String> {
        let mut at = name.to_owned();
        for _ in 0..MOST_ALIASES {
            match self.next(&at)? {
                Next::Here => return Ok(at),
                Next::Alias(other) => at = other,
                Next::Missing => return Ok(self.asking_for(&at)?.unwrap_or(at)),
            }
        }
        let what = format!("which unit {name} is");
        Err(CouldNotFindOut::new(what).because("its aliases lead in a circle").into())
    }

    /// Whether no file is the unit's, and no mask.
    pub(super) fn is_missing(self, name: &str) -> Result<bool> {
        Ok(matches!(self.next(name)?, Next::Missing))
    }

    fn next(self, name: &str) -> Result<Next> {
        for file in std::iter::once(name.to_owned()).chain(template_of(name)) {
            let mut is_masked = false;
            for place in PLACES {
                match self.entry(place, &file)? {
                    None => {}
                    // What is below a mask says what the name stands for.
                    Some(UnitEntry::Mask) => is_masked = true,
                    Some(UnitEntry::File) => return Ok(Next::Here),
                    Some(UnitEntry::Link(target)) => return Ok(alias(name, &file, &target)),
                }
            }
            if is_masked {
                return Ok(Next::Here);
            }
        }
        Ok(Next::Missing)
    }

    /// The unit that asks for this alias in its `[Install]` section.
    fn asking_for(self, name: &str) -> Result<Option<String>> {
        let template = template_of(name);
        let mut units = BTreeSet::new();
        for place in PLACES {
            for file in self.list(place)? {
                let is_unit = is_name(&file) && suffix(&file) == suffix(name);
                // An alias has the file of another unit.
                if !is_unit || !matches!(self.next(&file)?, Next::Here) {
                    continue;
                }
                let Some(install) = self.install(&file)? else { continue };
                if install.aliases.iter().any(|alias| alias == name) {
                    units.insert(file);
                } else if install.aliases.iter().any(|alias| Some(alias) == template.as_ref()) {
                    units.insert(instance_of(&file, name).unwrap_or(file));
                }
            }
        }
        if units.len() > 1 {
            let units: Vec<String> = units.into_iter().collect();
            let why =
                format!("{} have it as their alias; give the name of the unit itself", units.join(", "));
            return Err(CouldNotFindOut::new(format!("which unit {name} is"))
                .because(why)
                .permanent()
                .into());
        }
        Ok(units.pop_first())
    }

    /// What masks a unit.
    pub(super) fn masks(self, name: &str) -> Result<Masks> {
        let mut masks = Masks::default();
        for place in PLACES {
            match (self.entry(place, name)?, place) {
                (Some(UnitEntry::Mask), CONFIG) => masks.config = true,
                (Some(UnitEntry::Mask), RUNTIME) => masks.runtime = true,
                // A unit of the administrator comes before what the package says.
                (Some(UnitEntry::Mask), _) => masks.elsewhere = true,
                (Some(_), _) => break,
                (None, _) => {}
            }
        }
        Ok(masks)
    }

    /// Whether the administrator's directory has the unit itself, so that there is no place for a mask.
    pub(super) fn has_own_file(self, name: &str) -> Result<bool> {
        Ok(self.entry(CONFIG, name)?.is_some_and(|entry| entry != UnitEntry::Mask))
    }

    /// What the administrator's link of this name leads to, where that is a file outside of systemd's directories.
    pub(super) fn linked(self, name: &str) -> Result<Option<PathBuf>> {
        let Some(UnitEntry::Link(target)) = self.entry(CONFIG, name)? else { return Ok(None) };
        Ok(Some(target).filter(|target| !is_place(target)))
    }

    /// The `[Install]` sections of the first file that is the unit's, below any mask, and of its drop-ins; `None` where there is
    /// no such file.
    pub(super) fn install(self, name: &str) -> Result<Option<Install>> {
        for file in std::iter::once(name.to_owned()).chain(template_of(name)) {
            for place in PLACES {
                if matches!(self.entry(place, &file)?, None | Some(UnitEntry::Mask)) {
                    continue;
                }
                let mut install = Install::default();
                let Some(text) = self.text(&Path::new(place).join(&file))? else { return Ok(None) };
                install.read(&text);
                for path in self.drop_ins(name)? {
                    install.read(&self.text(&path)?.unwrap_or_default());
                }
                return Ok(Some(install));
            }
        }
        Ok(None)
    }

    /// The drop-ins that `systemctl enable` reads for a unit: of those with the same name, the one in the first place.
    fn drop_ins(self, name: &str) -> Result<Vec<PathBuf>> {
        let mut found = BTreeMap::new();
        for unit in std::iter::once(name.to_owned()).chain(template_of(name)) {
            for place in PLACES {
                let directory = format!("{place}/{unit}.d");
                for file in self.list(&directory)? {
                    if file.ends_with(".conf") {
                        let path = Path::new(&directory).join(&file);
                        found.entry(file).or_insert(path);
                    }
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// The text of a file of the machine; `None` where there is none.
    fn text(self, inside: &Path) -> Result<Option<String>> {
        let path = self.machine.locate_target(inside)?;
        match fs::read(&path) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error).or_could_not_find_out(format!("what is in {}", path.display())),
        }
    }

    /// Where other units want this one (`multi-user.target.wants/NAME`).
    pub(super) fn wanted_in(self, name: &str) -> Result<WantedIn> {
        let mut found = WantedIn::default();
        for place in PLACES {
            for directory in self.list(place)? {
                let is_wish = [".wants", ".requires", ".upholds"].iter().any(|end| directory.ends_with(end));
                if !is_wish || self.entry(&format!("{place}/{directory}"), name)?.is_none() {
                    continue;
                }
                match place {
                    CONFIG => found.config = true,
                    RUNTIME => found.runtime = true,
                    _ if GENERATED.contains(&place) => found.generated = true,
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    fn entry(self, place: &str, name: &str) -> Result<Option<UnitEntry>> {
        let inside = Path::new(place).join(name);
        let path = self.machine.locate(&inside)?;
        let what = || format!("what {} is", path.display());
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error).or_could_not_find_out(what()),
        };
        if !meta.is_symlink() {
            let is_mask = meta.is_file() && meta.len() == 0;
            return Ok(Some(if is_mask { UnitEntry::Mask } else { UnitEntry::File }));
        }
        let target = fs::read_link(&path).or_could_not_find_out(what())?;
        let target = tidy(&Path::new(place).join(target));
        Ok(Some(if target == Path::new("/dev/null") { UnitEntry::Mask } else { UnitEntry::Link(target) }))
    }

    fn list(self, place: &str) -> Result<Vec<String>> {
        let path = self.machine.locate_target(Path::new(place))?;
        let what = || format!("what is in {}", path.display());
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error).or_could_not_find_out(what()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.or_could_not_find_out(what())?.file_name();
            names.extend(name.into_string());
        }
        Ok(names)
    }
}

/// Where a name leads.
enum Next {
    Here,
    Alias(String),
    Missing,
}

/// What a link under the name `file`, looked for as `name`, means: another unit only where it leads to a unit that systemd
/// finds under another name; a link to elsewhere brings a file into place.
fn alias(name: &str, file: &str, target: &Path) -> Next {
    let Some(found) = target.file_name().and_then(|found| found.to_str()) else { return Next::Here };
    if found == file || !is_place(target) || !is_name(found) || suffix(found) != suffix(name) {
        return Next::Here;
    }
    let found = if is_template(found) {
        // A template stands for nothing without an instance.
        instance_of(found, name).filter(|_| !is_template(name)).unwrap_or_else(|| found.to_owned())
    } else {
        found.to_owned()
    };
    if found == name { Next::Here } else { Next::Alias(found) }
}

fn is_place(path: &Path) -> bool {
    path.parent().is_some_and(|parent| PLACES.iter().any(|place| Path::new(place) == parent))
}

/// A path without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => tidy.push(name),
            Component::ParentDir => drop(tidy.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    tidy
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether this may be given to `systemctl` as the name of a unit.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    !name.starts_with(['-', '.']) && name.contains('.') && name.chars().all(fits)
}

fn suffix(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, suffix)| suffix)
}

fn is_template(name: &str) -> bool {
    name.contains("@.")
}

/// `getty@.service` of `getty@tty1.service`; none of what is no instance.
pub(super) fn template_of(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{suffix}"))
}

/// The instance of `template` that has the instance's name of `name`.
fn instance_of(template: &str, name: &str) -> Option<String> {
    let (prefix, rest) = template.split_once('@')?;
    let (instance, suffix) = name.split_once('@')?.1.rsplit_once('.')?;
    rest.starts_with('.').then(|| format!("{prefix}@{instance}.{suffix}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let units = tree.path().join("usr/lib/systemd/system");
        let config = tree.path().join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        fs::create_dir_all(config.join("multi-user.target.wants")).unwrap();
        fs::write(units.join("web.service"), "[Install]\nWantedBy=multi-user.target\nAlias=http.service\n")
            .unwrap();
        fs::write(units.join("tty@.service"), "[Install]\nAlias=console@.service\n").unwrap();
        symlink("web.service", units.join("www.service")).unwrap();
        symlink("web.service", units.join("zzz.service")).unwrap();
        symlink("www.service", units.join("site.service")).unwrap();
        symlink("tty@.service", units.join("auto@.service")).unwrap();
        symlink("/opt/other.service", config.join("linked.service")).unwrap();
        tree
    }

    #[test]
    fn a_name_stands_for_the_unit_behind_it() {
        let tree = tree();
        let root = tree.path().to_owned();
        let files = Files::new(TargetRoot::new(Some(&root)));
        for (name, real) in [
            ("web.service", "web.service"),
            ("www.service", "web.service"),
            ("site.service", "web.service"),
            ("http.service", "web.service"),
            ("auto@1.service", "tty@1.service"),
            ("auto@.service", "tty@.service"),
            ("console@1.service", "tty@1.service"),
            ("linked.service", "linked.service"),
            ("nothing.service", "nothing.service"),
            ("nothing.timer", "nothing.timer"),
        ] {
            assert_eq!(files.real(name).unwrap(), real, "{name}");
        }
        assert_eq!(files.linked("linked.service").unwrap(), Some("/opt/other.service".into()));
        assert_eq!(files.linked("web.service").unwrap(), None);
    }

    #[test]
    fn an_alias_is_seen_below_its_mask() {
        let tree = tree();
        let root = tree.path().to_owned();
        let config = tree.path().join("etc/systemd/system");
        let files = Files::new(TargetRoot::new(Some(&root)));
        symlink("/dev/null", config.join("www.service")).unwrap();
        assert_eq!(files.real("www.service").unwrap(), "web.service");
        assert!(files.masks("www.service").unwrap().config);
        assert_eq!(files.masks("web.service").unwrap(), Masks::default());
        fs::write(config.join("web.service"), "").unwrap();
        assert!(files.masks("web.service").unwrap().config, "an empty file is a mask");
        assert!(files.install("web.service").unwrap().unwrap().is_wanted);
    }

    #[test]
    fn circles_and_doubtful_aliases_are_told() {
        let tree = tree();
        let root = tree.path().to_owned();
        let units = tree.path().join("usr/lib/systemd/system");
        let files = Files::new(TargetRoot::new(Some(&root)));
        symlink("b.service", units.join("a.service")).unwrap();
        symlink("a.service", units.join("b.service")).unwrap();
        assert!(format!("{:#}", files.real("a.service").unwrap_err()).contains("circle"));
        fs::write(units.join("web2.service"), "[Install]\nAlias=http.service\n").unwrap();
        let error = format!("{:#}", files.real("http.service").unwrap_err());
        assert!(error.contains("web.service, web2.service"), "{error}");
    }
}
