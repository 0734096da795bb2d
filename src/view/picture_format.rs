//! What a picture can be written as, by the ending of its file, and why it could not be made.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "png")]
use super::png;

/// What a picture can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Dot,
    Svg,
    Mermaid,
    #[cfg(feature = "png")]
    Png,
    /// Drawn by Graphviz: the name of its output format.
    Graphviz(&'static str),
}

/// A picture could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file's ending says nothing known.
    #[error("failed to draw {}: its name has to end in .svg, .dot, .mmd, .png or .pdf, or be - for DOT on standard output", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Graphviz is not there.
    #[error("failed to draw {}: Graphviz's program `dot` is not installed; install the package graphviz, {}or write an .svg file, which needs nothing", path.display(), without_graphviz(path))]
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
    /// It cannot be painted in pixels.
    #[cfg(feature = "png")]
    #[error("failed to draw {}: {message}", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// Why.
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

/// What else draws a file of this kind.
fn without_graphviz(path: &Path) -> &'static str {
    match Format::of(path) {
        Ok(Format::Graphviz("png")) => "build this program with dojob's feature `png`, ",
        _ => "",
    }
}

#[cfg(feature = "png")]
impl PictureError {
    pub(super) fn png(path: &Path, error: &png::PngError) -> Self {
        PictureError::Png { path: path.to_owned(), message: error.to_string() }
    }
}

impl Format {
    /// By the file's ending; `-` is standard output and means DOT.
    pub(super) fn of(path: &Path) -> Result<Format, PictureError> {
        if path.as_os_str() == "-" {
            return Ok(Format::Dot);
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("dot" | "gv") => Ok(Format::Dot),
            Some("svg") => Ok(Format::Svg),
            Some("mmd") => Ok(Format::Mermaid),
            #[cfg(feature = "png")]
            Some("png") => Ok(Format::Png),
            #[cfg(not(feature = "png"))]
            Some("png") => Ok(Format::Graphviz("png")),
            Some("pdf") => Ok(Format::Graphviz("pdf")),
            _ => Err(PictureError::UnknownFormat { path: path.to_owned() }),
        }
    }
}
