//! Pictures by Graphviz, where it is installed.
//!
//! Knows its `dot` program and the kinds of pictures it makes; the text it draws comes from elsewhere.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a picture can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Dot,
    /// Drawn by Graphviz: the name of its output format.
    Graphviz(&'static str),
}

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file's ending says nothing known.
    #[error("failed to draw {}: its name has to end in .dot, .svg, .png or .pdf, or be - for DOT on standard output", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Graphviz is not there.
    #[error("failed to draw {}: Graphviz's program `dot` is not installed; install the package graphviz, or write a .dot file", path.display())]
    NoGraphviz {
        /// The file.
        path: PathBuf,
    },
    /// Graphviz failed.
    #[error("failed to draw {}: `dot` ended with {status}: {message}", path.display())]
    Graphviz {
        /// The file.
        path: PathBuf,
        /// How it ended.
        status: String,
        /// What it said.
        message: String,
    },
    /// The file cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Format {
    /// By the file's ending; `-` is standard output and means DOT.
    pub(crate) fn of(path: &Path) -> Result<Format, PictureError> {
        if path.as_os_str() == "-" {
            return Ok(Format::Dot);
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("dot" | "gv") => Ok(Format::Dot),
            Some("svg") => Ok(Format::Graphviz("svg")),
            Some("png") => Ok(Format::Graphviz("png")),
            Some("pdf") => Ok(Format::Graphviz("pdf")),
            _ => Err(PictureError::UnknownFormat { path: path.to_owned() }),
        }
    }
}

/// Whether [`write_picture`] knows the format of `path` and has what it takes, so far as that can be told beforehand.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line asks before it begins"))]
pub(crate) fn can_draw(path: &Path) -> Result<(), PictureError> {
    if Format::of(path)? == Format::Dot {
        return Ok(());
    }
    match Command::new("dot").arg("-V").stdin(Stdio::null()).output() {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            Err(PictureError::NoGraphviz { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Writes the picture that `dot` describes to `path`, in the format that its ending says; `-` is standard output.
///
/// # Errors
/// When the ending is not known, Graphviz is needed and missing, or the file cannot be written.
pub fn write_picture(dot: &str, path: &Path) -> Result<(), PictureError> {
    let bytes = match Format::of(path)? {
        Format::Dot => dot.as_bytes().to_vec(),
        Format::Graphviz(format) => by_graphviz(dot, format, path)?,
    };
    let written = if path.as_os_str() == "-" {
        io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush())
    } else {
        std::fs::write(path, &bytes)
    };
    written.map_err(|source| PictureError::Write { path: path.to_owned(), source })
}

fn by_graphviz(dot: &str, format: &str, path: &Path) -> Result<Vec<u8>, PictureError> {
    let failed = |source| PictureError::Write { path: path.to_owned(), source };
    let mut child = Command::new("dot")
        .arg(format!("-T{format}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => PictureError::NoGraphviz { path: path.to_owned() },
            _ => failed(source),
        })?;
    // It reads all before it writes anything, so that writing first cannot block both.
    if let Some(mut stdin) = child.stdin.take() {
        // Where it stops reading, its own message says more than a broken pipe.
        let _ = stdin.write_all(dot.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(PictureError::Graphviz {
        path: path.to_owned(),
        status: output.status.to_string(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
