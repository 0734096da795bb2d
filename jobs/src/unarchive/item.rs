//! What an entry of an archive is to become, and which entries are refused: none may lead out of the folder.
//!
//! Looks at no disk: it judges names alone. That nothing on the disk leads elsewhere is seen to by [`Beneath`](super::beneath).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::disk::Mode;
use crate::packed::exclude::Exclude;
use crate::packed::{Entry, Kind, show};

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
}

/// How entries are taken.
pub(crate) struct Rules<'a> {
    pub(crate) strip: u32,
    pub(crate) exclude: &'a Exclude,
    pub(crate) outside_links: bool,
    pub(crate) special_bits: bool,
}

/// Judges the entries of one archive, in their order.
pub(crate) struct Judge<'a> {
    rules: Rules<'a>,
    /// Where there are links: nothing may be put behind one.
    links: BTreeSet<PathBuf>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(rules: Rules<'a>) -> Self {
        Judge { rules, links: BTreeSet::new() }
    }

    /// What is to be made of this entry; nothing of one that is excluded, or stripped away.
    ///
    /// # Errors
    /// When the archive is not to be unpacked because of it.
    pub(crate) fn judge(&mut self, entry: &Entry) -> Result<Option<Item>, Refused> {
        let name = || show(&entry.name);
        let place = self.place(&entry.name)?;
        // The folder itself is not the archive's business.
        let Some(place) = place.filter(|place| !place.as_os_str().is_empty()) else { return Ok(None) };
        if place.ancestors().any(|above| self.rules.exclude.matches(above)) {
            return Ok(None);
        }
        if let Some(link) = place.ancestors().skip(1).find(|above| self.links.contains(*above)) {
            return Err(Refused::BehindLink { name: name(), link: show(link.as_os_str().as_bytes()) });
        }
        let kind = match &entry.kind {
            Kind::Directory => ItemKind::Directory,
            Kind::File(size) => ItemKind::File(*size),
            Kind::Symlink(target) => {
                let target = PathBuf::from(OsStr::from_bytes(target));
                if !self.rules.outside_links && !stays_inside(&place, &target) {
                    let target = show(target.as_os_str().as_bytes());
                    return Err(Refused::LinkOutside { name: name(), target });
                }
                ItemKind::Symlink(target)
            }
            Kind::HardLink(target) => match self.place(target)? {
                Some(target) if !target.as_os_str().is_empty() => {
                    if target.ancestors().skip(1).any(|above| self.links.contains(above)) {
                        return Err(Refused::BehindLink {
                            name: name(),
                            link: show(target.as_os_str().as_bytes()),
                        });
                    }
                    ItemKind::HardLink(target)
                }
                _ => return Err(Refused::LinkOutside { name: name(), target: show(target) }),
            },
            Kind::Other(what) => return Err(Refused::Special { name: name(), what }),
        };
        match kind {
            ItemKind::Symlink(_) => self.links.insert(place.clone()),
            // A later entry of the same name takes the place of an earlier one.
            _ => self.links.remove(&place),
        };
        let known = if self.rules.special_bits { 0o7777 } else { 0o777 };
        let unknown = if kind == ItemKind::Directory { 0o755 } else { 0o644 };
        let mode = Mode::new(entry.mode.unwrap_or(unknown) & known);
        Ok(Some(Item { place, kind, mode, modified: entry.modified }))
    }

    /// A name without its first components; `None` where there are no more.
    fn place(&self, name: &[u8]) -> Result<Option<PathBuf>, Refused> {
        let outside = || Refused::Outside(show(name));
        // Made of bytes that no path may have.
        if name.contains(&0) {
            return Err(outside());
        }
        let mut plain = Vec::new();
        for component in Path::new(OsStr::from_bytes(name)).components() {
            match component {
                Component::Normal(component) => plain.push(component),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
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
        Rules { strip: 0, exclude, outside_links: false, special_bits: false }
    }

    fn entry(name: &str, kind: Kind) -> Entry {
        Entry { name: name.into(), kind, mode: Some(0o4755), modified: None }
    }

    fn judged(strip: u32, entries: &[Entry]) -> Result<Vec<PathBuf>, String> {
        let exclude = Exclude::new(&["*.log".to_owned()]).unwrap();
        let mut judge = Judge::new(Rules { strip, ..rules(&exclude) });
        let mut places = Vec::new();
        for entry in entries {
            places.extend(judge.judge(entry).map_err(|error| error.to_string())?.map(|item| item.place));
        }
        Ok(places)
    }

    #[test]
    fn names_stay_in_the_folder() {
        let place = |name: &str| judged(0, &[entry(name, Kind::File(0))]);
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
            entry("top", Kind::Directory),
            entry("top/a", Kind::File(0)),
            entry("top/b", Kind::HardLink(b"top/a".to_vec())),
        ];
        assert_eq!(judged(1, &entries), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(judged(2, &entries), Ok(vec![]));
        let lost = [entry("x/y/b", Kind::HardLink(b"a".to_vec()))];
        assert!(judged(2, &lost).unwrap_err().contains("`x/y/b` is a link to `a`, out of the folder"));
        let up = [entry("b", Kind::HardLink(b"../a".to_vec()))];
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
        let link = || entry("a", Kind::Symlink(b"b".to_vec()));
        let error = judged(0, &[link(), entry("a/c", Kind::File(0))]).unwrap_err();
        assert_eq!(error, "the entry `a/c` lies behind the link `a`");
        let error = judged(0, &[link(), entry("d", Kind::HardLink(b"a/c".to_vec()))]).unwrap_err();
        assert_eq!(error, "the entry `d` lies behind the link `a/c`");
        // A directory in its place makes it right again.
        assert!(judged(0, &[link(), entry("a", Kind::Directory), entry("a/c", Kind::File(0))]).is_ok());
    }

    #[test]
    fn special_bits_and_devices_are_not_taken() {
        let exclude = Exclude::new(&[]).unwrap();
        let mode = |special_bits| {
            let mut judge = Judge::new(Rules { special_bits, ..rules(&exclude) });
            judge.judge(&entry("a", Kind::File(0))).unwrap().unwrap().mode.bits()
        };
        assert_eq!([mode(false), mode(true)], [0o755, 0o4755]);
        let error = judged(0, &[entry("dev/sda", Kind::Other("a device"))]).unwrap_err();
        assert_eq!(error, "the entry `dev/sda` is a device, which is never unpacked; `exclude` it");
        assert_eq!(judged(0, &[entry("a.log", Kind::Other("a device"))]), Ok(vec![]));
    }
}
