//! A text file of a machine of which a job edits a part: read whole, written whole.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::disk::at::{self, Fault};
use crate::disk::differ::Differences;
use crate::disk::edit::{LIMIT, is_still};
use crate::disk::inspect::{self, Found, Links, Meta};
use crate::disk::owner::Resolved;
use crate::disk::removal;
use crate::disk::write;
use crate::target_root::TargetRoot;
use crate::text::Text;

/// The file as it was found.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// As people call it.
    name: PathBuf,
    path: PathBuf,
    links: Links,
    pub(crate) text: Text,
    /// Unless it does not exist.
    pub(crate) meta: Option<Meta>,
}

impl TextFile {
    /// Reads `name` of that machine; what does not exist is empty.
    ///
    /// # Errors
    /// When it cannot be read, or is no file.
    pub(crate) fn read(machine: TargetRoot<'_>, name: &Path, links: Links) -> Result<Self> {
        let path = match links {
            Links::Follow => machine.locate_target(name)?,
            Links::Stay => machine.locate(name)?,
        };
        let mut file = TextFile { name: name.to_owned(), path, links, text: Text::default(), meta: None };
        match inspect::open(&file.path, links)? {
            Found::Nothing => {}
            Found::File(mut found) => {
                let bytes =
                    found.read(LIMIT).or_could_not_find_out(format!("what is in {}", name.display()))?;
                let Some(bytes) = bytes else {
                    bail!("{} is larger than {} MiB", name.display(), LIMIT / 1024 / 1024)
                };
                file.meta = Some(found.meta);
                file.text = Text::decode(bytes).map_err(|error| {
                    CouldNotFindOut::new(format!("what {} says", name.display())).permanent().because(error)
                })?;
            }
            other => {
                bail!("{} is {}, not a file", name.display(), other.what().unwrap_or("nothing"))
            }
        }
        Ok(file)
    }

    /// Adds how the text differs from the one wanted.
    pub(crate) fn compare(&self, reason: String, wanted: &str, differences: &mut Differences) {
        let [old, new] = [self.text.as_str(), wanted].map(|text| self.text.encode(text));
        differences.add_content(reason, &self.name, &old, &new);
    }

    /// Adds how mode, owner and access control list differ from what is wanted.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub(crate) fn compare_attributes(
        &self,
        wanted: &Resolved,
        found: &Meta,
        differences: &mut Differences,
    ) -> Result<()> {
        wanted.compare_at(&self.path, self.links, found, differences)
    }

    /// Replaces the file by one with this text, at once or not at all. What `attributes` do not say stays as it is.
    ///
    /// # Errors
    /// When that fails, or somebody else has changed the file since it was read; then it is still there.
    pub(crate) fn write(&self, cx: &Context, text: &str, attributes: &Resolved) -> Result<()> {
        let bytes = self.text.encode(text);
        let content = |file: &mut fs::File| Ok(file.write_all(&bytes)?);
        write::write_after(cx, &self.path, attributes, content, |_| is_still(&self.path, self.meta.as_ref()))
    }

    /// Removes the file, where it is there.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn remove(&self) -> Result<()> {
        let remove = || -> at::Result<()> {
            let place = at::place(&self.path, Links::Stay)?;
            match rustix::fs::unlinkat(&place.directory, &place.name, AtFlags::empty()) {
                Err(Errno::ROFS) if removal::is_gone(place.directory.as_fd(), &place.name) => Ok(()),
                removed => Ok(removed?),
            }
        };
        match remove() {
            Ok(()) | Err(Fault::System(Errno::NOENT)) => Ok(()),
            Err(fault) => Err(fault).with_context(|| format!("failed to remove {}", self.name.display())),
        }
    }
}

/// The text's lines, whether the last one is ended or not. What stands before the end is kept, a carriage return, too.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.split_terminator('\n').map(str::to_owned).collect()
}

/// Lines as a text.
pub(crate) fn joined<L: AsRef<str>>(lines: &[L]) -> String {
    lines.iter().map(|line| format!("{}\n", line.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_to_the_byte() {
        assert_eq!(joined(&lines("a\r\nb\n\n c")), "a\r\nb\n\n c\n");
        assert_eq!(joined(&lines("")), "");
    }
}
