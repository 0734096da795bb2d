//! A text file of a machine of which a job edits a part: read whole, written whole.
//!
//! Knows how such a file is read and replaced; not what is in it. Bytes that are no UTF-8 (an old comment, say) survive.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use dojob::{Context, OrCouldNotFindOut};
use rustix::io::Errno;

use crate::disk::differ::Differences;
use crate::disk::look::{self, Found, Links, Meta};
use crate::disk::owner::Resolved;
use crate::disk::write;
use crate::machine::Machine;

/// More than any of these files should ever have; lists of hosts that are to be blocked have a few MiB.
const LARGEST: usize = 64 * 1024 * 1024;

/// A text, and how it was written down.
#[derive(Debug, Default)]
pub(crate) struct Text {
    text: String,
    /// Whether it is no UTF-8: then each of its bytes is taken for one character.
    is_latin: bool,
}

impl Text {
    pub(crate) fn decode(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Text { text, is_latin: false },
            Err(error) => {
                let text = error.as_bytes().iter().copied().map(char::from).collect();
                Text { text, is_latin: true }
            }
        }
    }

    /// Another text, written down in the same way.
    ///
    /// # Errors
    /// When that way has not all of its characters.
    pub(crate) fn encode<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>> {
        if !self.is_latin {
            return Ok(text.as_bytes().into());
        }
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        bytes.map(Cow::from).context("what is there is no UTF-8, and has no place for all characters")
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// The file as it was found.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// As people call it.
    name: PathBuf,
    path: PathBuf,
    pub(crate) text: Text,
    /// Unless it does not exist.
    pub(crate) meta: Option<Meta>,
}

impl TextFile {
    /// Reads `name` of that machine; what does not exist is empty.
    ///
    /// # Errors
    /// When it cannot be read, or is no file.
    pub(crate) fn read(machine: Machine<'_>, name: &Path, links: Links) -> Result<Self> {
        let path = match links {
            Links::Follow => machine.locate_target(name)?,
            Links::Stay => machine.locate(name)?,
        };
        let mut file = TextFile { name: name.to_owned(), path, text: Text::default(), meta: None };
        match look::open(&file.path, links)? {
            Found::Nothing => {}
            Found::File(mut found) => {
                let bytes =
                    found.read(LARGEST).or_could_not_find_out(format!("what is in {}", name.display()))?;
                let Some(bytes) = bytes else {
                    bail!("{} is larger than {} MiB", name.display(), LARGEST / 1024 / 1024)
                };
                file.meta = Some(found.meta);
                file.text = Text::decode(bytes);
            }
            other => {
                bail!("{} is {}, not a file", name.display(), other.what().unwrap_or("nothing"))
            }
        }
        Ok(file)
    }

    fn encode<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>> {
        let bytes = self.text.encode(text);
        bytes.with_context(|| format!("{} cannot hold what is wanted", self.name.display()))
    }

    /// Adds how the text differs from the one wanted.
    ///
    /// # Errors
    /// When the file could not hold that text.
    pub(crate) fn compare(&self, reason: String, wanted: &str, differences: &mut Differences) -> Result<()> {
        self.encode(wanted)?;
        differences.add_content(reason, &self.name, self.text.as_bytes(), wanted.as_bytes());
        Ok(())
    }

    /// Replaces the file by one with this text, at once or not at all. What `attributes` do not say stays as it is.
    ///
    /// # Errors
    /// When that fails; then the old file is still there.
    pub(crate) fn write(&self, cx: &Context, text: &str, attributes: &Resolved) -> Result<()> {
        let bytes = self.encode(text)?;
        let written = write::write(cx, &self.path, attributes, |file| Ok(file.write_all(&bytes)?));
        match written {
            Err(error) if is_busy(&error) => self.write_in_place(cx, &bytes),
            written => written,
        }
    }

    /// A file that is mounted on its own, as containers have `/etc/hosts`, cannot be replaced: only its content can.
    fn write_in_place(&self, cx: &Context, bytes: &[u8]) -> Result<()> {
        cx.log(format!("{} is a mount of its own: written in place", self.name.display()));
        let write = || {
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            reserve(&file, bytes.len() as u64)?;
            file.write_all(bytes)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_all()
        };
        write().with_context(|| format!("failed to write {} in place", self.name.display()))
    }

    /// Removes the file, where it is there.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove {}", self.name.display()))
            }
            _ => Ok(()),
        }
    }
}

fn is_busy(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let raw = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        cause.downcast_ref::<Errno>() == Some(&Errno::BUSY) || raw == Some(Errno::BUSY.raw_os_error())
    })
}

/// Has so much room for the file that a full disk cannot come between; where that cannot be asked for it stays open.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, length) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (file, length);
        Ok(())
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
    fn bytes_that_are_no_utf_8_survive() {
        let found = Text::decode(b"caf\xe9\n".to_vec());
        let wanted = format!("{}more\n", &*found);
        assert_eq!(*found.encode(&wanted).unwrap(), *b"caf\xe9\nmore\n");
        let error = found.encode("\u{20ac}").unwrap_err().to_string();
        assert_eq!(error, "what is there is no UTF-8, and has no place for all characters");
        assert_eq!(*Text::decode("é€".into()).encode("é€!").unwrap(), *"é€!".as_bytes());
    }

    #[test]
    fn lines_are_kept_to_the_byte() {
        assert_eq!(joined(&lines("a\r\nb\n\n c")), "a\r\nb\n\n c\n");
        assert_eq!(joined(&lines("")), "");
    }
}
