//! What an entry of an archive is to become, and which entries are refused: none may lead out of the folder.
//!
//! Looks at no disk: it judges names alone. That nothing on the disk leads elsewhere is seen to by [`Beneath`](super::beneath).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::disk::Mode;
use crate::packed::exclude::Exclude;
use crate::packed::{ArchiveEntry, EntryKind, show};

/// The longest path, and the longest name in it, that Linux takes.
const LONGEST_PATH: usize = 4095;
const LONGEST_NAME: usize = 255;

/// How deep an entry may lie: each step on the way to it is taken by itself.
const DEEPEST: usize = 256;

/// How long the names of entries may be on average: all of them are held in memory.
const LONGEST_ON_AVERAGE: u64 = 512;

/// What is to be made of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Counted from the folder on; made of plain names alone.
    pub(crate) place: PathBuf,
    pub(crate) kind: ItemKind,
    pub(crate) mode: Mode,
    pub(crate) modified: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ItemKind {
    Directory,
    File(u64),
    Symlink(PathBuf),
    /// Another name of what is at this place.
    HardLink(PathBuf),
}

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the entry `{0}` would lead out of the folder")]
    Outside(String),
    #[error(
        "the entry `{name}` is a link to `{target}`, out of the folder; allow it with `outside_links`, or `exclude` it"
    )]
    LinkOutside { name: String, target: String },
    #[error("the entry `{name}` is {what}, which is never unpacked; `exclude` it")]
    Special { name: String, what: &'static str },
    #[error("the entry `{name}` lies behind the link `{link}`")]
    BehindLink { name: String, link: String },
    #[error("the entry `{name}` lies behind the file `{file}`")]
    BehindFile { name: String, file: String },
    #[error("the entry `{0}` is there as a directory and as something else; `exclude` it")]
    TwoKinds(String),
    #[error(
        "the entry `{name}` is a hard link to `{target}`, and no file of that name comes before it in the archive"
    )]
    LinkToNothing { name: String, target: String },
    #[error(
        "the entry `{name}` is a hard link to `{target}`, which a later entry replaces; `exclude` one of them"
    )]
    Replaced { name: String, target: String },
    #[error("the entry `{0}` is a link to nothing that a link can lead to")]
    BadTarget(String),
    #[error("the entry `{0}…` has a name that is too long, or lies too deep")]
    LongName(String),
    #[error("the names of its entries are too long, taken together")]
    LongNames,
}

/// How entries are taken.
pub(crate) struct Rules<'a> {
    pub(crate) strip: u32,
    pub(crate) exclude: &'a Exclude,
    pub(crate) outside_links: bool,
    pub(crate) special_bits: bool,
    /// How many entries there may be.
    pub(crate) entries: u64,
}

/// What entries have put at a place so far.
struct There {
    /// The number of the last entry that has put something there.
    entry: u64,
    what: What,
}

enum What {
    Directory,
    File,
    /// A symbolic link, and where it leads.
    Link(PathBuf),
}

/// A hard link, and what it was another name of when it came: places, and the numbers of the entries there.
struct HardLink {
    own: (PathBuf, u64),
    target: (PathBuf, u64),
}

/// Judges the entries of one archive, in their order.
pub(crate) struct Judge<'a> {
    rules: Rules<'a>,
    places: BTreeMap<PathBuf, There>,
    hard_links: Vec<HardLink>,
    entries: u64,
    /// How long all names are together.
    names: u64,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(rules: Rules<'a>) -> Self {
        Judge { rules, places: BTreeMap::new(), hard_links: Vec::new(), entries: 0, names: 0 }
    }

    /// What is to be made of this entry; nothing of one that is excluded, or stripped away.
    ///
    /// # Errors
    /// When the archive is not to be unpacked because of it.
    pub(crate) fn judge(&mut self, entry: &ArchiveEntry) -> Result<Option<Item>, Refused> {
        let name = || show(&entry.name);
        let place = self.place(&entry.name)?;
        // The folder itself is not the archive's business.
        let Some(place) = place.filter(|place| !place.as_os_str().is_empty()) else { return Ok(None) };
        if place.ancestors().any(|above| self.rules.exclude.matches(above)) {
            return Ok(None);
        }
        self.entries += 1;
        self.make_way(&place, &entry.name)?;
        let (kind, what) = match &entry.kind {
            EntryKind::Directory => (ItemKind::Directory, What::Directory),
            EntryKind::File(size) => (ItemKind::File(*size), What::File),
            EntryKind::Symlink(target) => {
                if target.is_empty() || target.len() > LONGEST_PATH || target.contains(&0) {
                    return Err(Refused::BadTarget(name()));
                }
                let target = PathBuf::from(OsStr::from_bytes(target));
                self.may_lead(entry, &place, &target)?;
                (ItemKind::Symlink(target.clone()), What::Link(target))
            }
            EntryKind::HardLink(target) => match self.place(target)? {
                Some(target) if !target.as_os_str().is_empty() => self.hard_link(entry, &place, target)?,
                _ => return Err(Refused::LinkOutside { name: name(), target: show(target) }),
            },
            EntryKind::Other(what) => return Err(Refused::Special { name: name(), what }),
        };
        self.put(&place, what, &entry.name)?;
        let known = if self.rules.special_bits { 0o7777 } else { 0o777 };
        let unknown = if kind == ItemKind::Directory { 0o755 } else { 0o644 };
        let mode = Mode::new(entry.mode.unwrap_or(unknown) & known);
        Ok(Some(Item { place, kind, mode, modified: entry.modified }))
    }

    /// There are no more entries.
    ///
    /// # Errors
    /// When all of them together cannot be made.
    pub(crate) fn finish(self) -> Result<(), Refused> {
        let number = |place: &Path| self.places.get(place).map(|there| there.entry);
        let lost = self.hard_links.iter().find(|link| {
            number(&link.own.0) == Some(link.own.1) && number(&link.target.0) != Some(link.target.1)
        });
        let shown = |place: &Path| show(place.as_os_str().as_bytes());
        lost.map_or(Ok(()), |link| {
            Err(Refused::Replaced { name: shown(&link.own.0), target: shown(&link.target.0) })
        })
    }

    /// Sees that all above a place are directories; those that have no entry are made.
    fn make_way(&mut self, place: &Path, name: &[u8]) -> Result<(), Refused> {
        let mut missing = Vec::new();
        for above in place.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            let shown = || show(above.as_os_str().as_bytes());
            match self.places.get(above).map(|there| &there.what) {
                Some(What::Directory) => break,
                Some(What::Link(_)) => return Err(Refused::BehindLink { name: show(name), link: shown() }),
                Some(What::File) => return Err(Refused::BehindFile { name: show(name), file: shown() }),
                None => missing.push(above),
            }
        }
        missing.into_iter().try_for_each(|above| self.put(above, What::Directory, name))
    }

    /// Takes note of what is at a place now.
    fn put(&mut self, place: &Path, what: What, name: &[u8]) -> Result<(), Refused> {
        let entry = self.entries;
        if let Some(there) = self.places.get_mut(place) {
            let is_directory = |what: &What| matches!(what, What::Directory);
            if is_directory(&there.what) != is_directory(&what) {
                return Err(Refused::TwoKinds(show(name)));
            }
            *there = There { entry, what };
            return Ok(());
        }
        self.names += place.as_os_str().len() as u64;
        if self.names > self.rules.entries.saturating_mul(LONGEST_ON_AVERAGE).max(1 << 20) {
            return Err(Refused::LongNames);
        }
        self.places.insert(place.to_owned(), There { entry, what });
        Ok(())
    }

    /// Whether a symbolic link at a place may lead there.
    fn may_lead(&self, entry: &ArchiveEntry, place: &Path, target: &Path) -> Result<(), Refused> {
        if self.rules.outside_links || stays_inside(place, target) {
            return Ok(());
        }
        Err(Refused::LinkOutside { name: show(&entry.name), target: show(target.as_os_str().as_bytes()) })
    }

    /// Another name of what is at `target`, which is judged as that: a symbolic link leads elsewhere from another place.
    fn hard_link(
        &mut self,
        entry: &ArchiveEntry,
        place: &Path,
        target: PathBuf,
    ) -> Result<(ItemKind, What), Refused> {
        let behind = target
            .ancestors()
            .skip(1)
            .any(|above| matches!(self.places.get(above), Some(There { what: What::Link(_), .. })));
        let shown = || show(target.as_os_str().as_bytes());
        if behind {
            return Err(Refused::BehindLink { name: show(&entry.name), link: shown() });
        }
        let (number, what) = match self.places.get(&target) {
            Some(There { entry, what: What::File }) => (*entry, What::File),
            Some(There { entry: number, what: What::Link(leads) }) => {
                self.may_lead(entry, place, leads)?;
                (*number, What::Link(leads.clone()))
            }
            Some(There { what: What::Directory, .. }) | None => {
                return Err(Refused::LinkToNothing { name: show(&entry.name), target: shown() });
            }
        };
        if target != place {
            self.hard_links
                .push(HardLink { own: (place.to_owned(), self.entries), target: (target.clone(), number) });
        }
        Ok((ItemKind::HardLink(target), what))
    }

    /// A name without its first components; `None` where there are no more.
    fn place(&self, name: &[u8]) -> Result<Option<PathBuf>, Refused> {
        let outside = || Refused::Outside(show(name));
        // Made of bytes that no path may have.
        if name.contains(&0) {
            return Err(outside());
        }
        let long = || Refused::LongName(show(&name[..name.len().min(100)]));
        if name.len() > LONGEST_PATH {
            return Err(long());
        }
        let mut plain = Vec::new();
        for component in Path::new(OsStr::from_bytes(name)).components() {
            match component {
                Component::Normal(component) if component.len() > LONGEST_NAME => return Err(long()),
                Component::Normal(component) => plain.push(component),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        if plain.len() > DEEPEST {
            return Err(long());
        }
        let strip = usize::try_from(self.rules.strip).unwrap_or(usize::MAX);
        Ok(plain.get(strip..).map(|rest| rest.iter().collect()))
    }
}

/// Whether a link at `place` leads to somewhere in the folder, whatever other links there are that do. Ways up are understood
/// only where the target begins: behind another link nobody can tell where they lead from its name.
fn stays_inside(place: &Path, target: &Path) -> bool {
    let depth = place.components().count() - 1;
    let mut ups = 0;
    let mut down = false;
    for component in target.components() {
        match component {
            Component::ParentDir if !down => ups += 1,
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            _ => return false,
        }
    }
    ups <= depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(exclude: &Exclude) -> Rules<'_> {
        Rules { strip: 0, exclude, outside_links: false, special_bits: false, entries: 1000 }
    }

    fn entry(name: &str, kind: EntryKind) -> ArchiveEntry {
        ArchiveEntry { name: name.into(), kind, mode: Some(0o4755), modified: None }
    }

    fn judged(strip: u32, entries: &[ArchiveEntry]) -> Result<Vec<PathBuf>, String> {
        let exclude = Exclude::new(&["*.log".to_owned()]).unwrap();
        let mut judge = Judge::new(Rules { strip, ..rules(&exclude) });
        let mut places = Vec::new();
        for entry in entries {
            places.extend(judge.judge(entry).map_err(|error| error.to_string())?.map(|item| item.place));
        }
        judge.finish().map_err(|error| error.to_string())?;
        Ok(places)
    }

    #[test]
    fn names_stay_in_the_folder() {
        let place = |name: &str| judged(0, &[entry(name, EntryKind::File(0))]);
        assert_eq!(place("./a//b/./c"), Ok(vec!["a/b/c".into()]));
        assert_eq!(place("./"), Ok(vec![]));
        assert_eq!(place("a/x.log/b"), Ok(vec![]));
        assert_eq!(place("..."), Ok(vec!["...".into()]));
        for name in ["../a", "a/../b", "/etc/passwd", "a/..", "a\0b"] {
            assert!(place(name).unwrap_err().ends_with("would lead out of the folder"), "{name}");
        }
    }

    #[test]
    fn leading_parts_are_stripped_also_of_hard_links() {
        let entries = [
            entry("top", EntryKind::Directory),
            entry("top/a", EntryKind::File(0)),
            entry("top/b", EntryKind::HardLink(b"top/a".to_vec())),
        ];
        assert_eq!(judged(1, &entries), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(judged(2, &entries), Ok(vec![]));
        let lost = [entry("x/y/b", EntryKind::HardLink(b"a".to_vec()))];
        assert!(judged(2, &lost).unwrap_err().contains("`x/y/b` is a link to `a`, out of the folder"));
        let up = [entry("b", EntryKind::HardLink(b"../a".to_vec()))];
        assert!(judged(0, &up).unwrap_err().contains("would lead out"));
    }

    #[test]
    fn links_stay_in_the_folder() {
        let inside = |place: &str, target: &str| stays_inside(Path::new(place), Path::new(target));
        assert!(
            inside("a", "b") && inside("a", "./b/c") && inside("x/a", "../b") && inside("x/y/a", "../..")
        );
        for (place, target) in
            [("a", "../b"), ("x/a", "../../b"), ("a", "/b"), ("x/y/a", "b/../c"), ("a", "..")]
        {
            assert!(!inside(place, target), "{place} {target}");
        }
    }

    #[test]
    fn nothing_is_put_behind_a_link() {
        let link = || entry("a", EntryKind::Symlink(b"b".to_vec()));
        let error = judged(0, &[link(), entry("a/c", EntryKind::File(0))]).unwrap_err();
        assert_eq!(error, "the entry `a/c` lies behind the link `a`");
        let error = judged(0, &[link(), entry("d", EntryKind::HardLink(b"a/c".to_vec()))]).unwrap_err();
        assert_eq!(error, "the entry `d` lies behind the link `a/c`");
        let error =
            judged(0, &[entry("a", EntryKind::File(0)), entry("a/c", EntryKind::File(0))]).unwrap_err();
        assert_eq!(error, "the entry `a/c` lies behind the file `a`");
        // What a later entry has replaced is in nobody's way.
        let replaced =
            [link(), entry("a", EntryKind::File(0)), entry("b", EntryKind::HardLink(b"a".to_vec()))];
        assert!(judged(0, &replaced).is_ok());
    }

    #[test]
    fn a_directory_is_nothing_else_as_well() {
        let [directory, file] =
            [|name| entry(name, EntryKind::Directory), |name| entry(name, EntryKind::File(0))];
        let link = |name| entry(name, EntryKind::Symlink(b"b".to_vec()));
        for entries in [
            [directory("a"), file("a")],
            [file("a"), directory("a")],
            [link("a"), directory("a")],
            [directory("a"), link("a")],
            // One that has no entry of its own.
            [file("a/b"), file("a")],
        ] {
            let error = judged(0, &entries).unwrap_err();
            assert_eq!(error, "the entry `a` is there as a directory and as something else; `exclude` it");
        }
        assert!(judged(0, &[file("a/b"), directory("a"), directory("a")]).is_ok());
    }

    #[test]
    fn a_hard_link_to_a_link_is_judged_where_it_is() {
        let hard = |name, target: &str| entry(name, EntryKind::HardLink(target.into()));
        let deep = || entry("x/y/a", EntryKind::Symlink(b"../..".to_vec()));
        let error = judged(0, &[deep(), hard("b", "x/y/a")]).unwrap_err();
        assert!(error.starts_with("the entry `b` is a link to `../..`, out of the folder"), "{error}");
        // By way of another one.
        let error = judged(0, &[deep(), hard("x/y/c", "x/y/a"), hard("x/b", "x/y/c")]).unwrap_err();
        assert!(error.starts_with("the entry `x/b` is a link to `../..`, out of the folder"), "{error}");
        assert!(judged(0, &[deep(), hard("x/z/b", "x/y/a")]).is_ok());
        let error =
            judged(0, &[deep(), hard("x/z/b", "x/y/a"), entry("x/z/b/c", EntryKind::File(0))]).unwrap_err();
        assert_eq!(error, "the entry `x/z/b/c` lies behind the link `x/z/b`");
    }

    #[test]
    fn a_hard_link_needs_a_file_that_came_before_it_and_stays() {
        let hard = |name, target: &str| entry(name, EntryKind::HardLink(target.into()));
        let file = |name| entry(name, EntryKind::File(0));
        for entries in [
            vec![hard("b", "a")],
            vec![hard("b", "a"), file("a")],
            vec![entry("a", EntryKind::Directory), hard("b", "a")],
        ] {
            let error = judged(0, &entries).unwrap_err();
            assert_eq!(
                error,
                "the entry `b` is a hard link to `a`, and no file of that name comes before it in the archive"
            );
        }
        let error = judged(0, &[file("a"), hard("b", "a"), file("a")]).unwrap_err();
        assert!(error.starts_with("the entry `b` is a hard link to `a`, which a later entry replaces"));
        assert!(judged(0, &[file("a"), hard("b", "a"), file("a"), hard("b", "a")]).is_ok());
        assert!(judged(0, &[file("a"), hard("b", "a"), file("a"), file("b")]).is_ok());
    }

    #[test]
    fn names_and_targets_have_limits() {
        let place = |name: String| judged(0, &[entry(&name, EntryKind::File(0))]);
        assert!(place("a".repeat(255)).is_ok());
        assert!(place("a/".repeat(255) + "a").is_ok());
        for name in ["a".repeat(256), "a/".repeat(256) + "a", "./".repeat(2048)] {
            assert!(place(name).unwrap_err().ends_with("has a name that is too long, or lies too deep"));
        }
        let many: Vec<_> =
            (0..1000).map(|n| entry(&format!("{n}/{}", "b/".repeat(250)), EntryKind::Directory)).collect();
        assert_eq!(judged(0, &many).unwrap_err(), "the names of its entries are too long, taken together");
        for target in [&b""[..], b"a\0b", &[b'a'; 4096]] {
            let error = judged(0, &[entry("a", EntryKind::Symlink(target.to_vec()))]).unwrap_err();
            assert_eq!(error, "the entry `a` is a link to nothing that a link can lead to");
        }
    }

    #[test]
    fn special_bits_and_devices_are_not_taken() {
        let exclude = Exclude::new(&[]).unwrap();
        let mode = |special_bits| {
            let mut judge = Judge::new(Rules { special_bits, ..rules(&exclude) });
            judge.judge(&entry("a", EntryKind::File(0))).unwrap().unwrap().mode.bits()
        };
        assert_eq!([mode(false), mode(true)], [0o755, 0o4755]);
        let error = judged(0, &[entry("dev/sda", EntryKind::Other("a device"))]).unwrap_err();
        assert_eq!(error, "the entry `dev/sda` is a device, which is never unpacked; `exclude` it");
        assert_eq!(judged(0, &[entry("a.log", EntryKind::Other("a device"))]), Ok(vec![]));
    }
}
