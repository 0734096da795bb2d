//! Bytes to sources: files are found, read no further than they may be long, and are UTF-8.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits;
use crate::diagnostic::{Place, Problem, Source};

/// Why there is no source.
pub(super) enum Unread {
    /// There is no such file.
    Missing,
    /// What is wrong, without a place: it is the place of who asks for the file.
    Because(String),
    /// What is wrong in the text.
    Text(Problem),
}

/// Reads a file that may also be a pipe, when the user names it.
pub(super) fn file(path: &Path, any: bool) -> Result<Arc<Source>, Unread> {
    let because = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Missing,
        _ => Unread::Because(format!("failed to read {}: {}", path.display(), plain(error))),
    };
    let metadata = std::fs::metadata(path).map_err(|error| because(&error))?;
    if metadata.is_dir() {
        return Err(Unread::Because(format!("{} is a directory", path.display())));
    }
    // A pipe that nobody writes to would be waited for without end.
    if !any && !metadata.is_file() {
        return Err(Unread::Because(format!("{} is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    let limit = limits::FILE as u64 + 1;
    let opened = File::open(path);
    opened.and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(|error| because(&error))?;
    source(&path.display().to_string(), bytes)
}

/// A source of bytes that came by some way.
pub(super) fn source(name: &str, mut bytes: Vec<u8>) -> Result<Arc<Source>, Unread> {
    if bytes.len() > limits::FILE {
        return Err(Unread::Because(format!(
            "{name} is larger than {} MiB, which is the limit",
            limits::FILE >> 20
        )));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let (text, bad) = match String::from_utf8(bytes) {
        Ok(text) => {
            let bad = text
                .find('\0')
                .map(|at| (at, "there is a NUL character here".to_owned(), "is this a text file?"));
            (text, bad)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // Each wrong byte becomes one replacement character, none of them before the first.
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some((at, "this is not UTF-8".to_owned(), "save the file in the encoding UTF-8")))
        }
    };
    let source = Source::new(name, text);
    match bad {
        None => Ok(source),
        Some((at, message, hint)) => {
            Err(Unread::Text(Problem::new(place_of(&source, at), message).hint(hint)))
        }
    }
}

/// The place of a byte.
fn place_of(source: &Arc<Source>, byte: usize) -> Place {
    let (line, column) = source.position(byte);
    Place { source: source.clone(), line, column, length: 1 }
}

/// Without the number that the system has for it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The file that an include means: beside the including one, and where that has no such file, with `.conf` or `.json`.
pub(super) fn included(from: Option<&Path>, path: &str) -> PathBuf {
    let directory = from.and_then(Path::parent).unwrap_or(Path::new(""));
    let exact = directory.join(path);
    if exact.extension().is_some() || exact.exists() {
        return exact;
    }
    let others = ["conf", "json"].map(|extension| exact.with_extension(extension));
    others.into_iter().find(|other| other.exists()).unwrap_or(exact)
}
