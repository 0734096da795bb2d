//! Pictures of graphs as files: which kind a file is, by its ending, and who draws that kind.
//!
//! Knows the kinds and the files; the drawing is done by [`dot`](super::dot), [`svg`](super::svg),
//! [`mermaid`](super::mermaid) and, for what has to be painted in pixels or pages, [`graphviz`](super::graphviz); with the
//! feature `png` pixels are painted here, too.

use std::io::{self, Write};
use std::path::Path;

use super::graphviz;
use super::picture_format::Format;
pub use super::picture_format::PictureError;
#[cfg(feature = "png")]
use super::png;
use crate::graph::JobGraph;
use crate::report::Report;

/// What can be drawn: a graph as it is before a run, or as it is after one.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a>(Subject<'a>);

#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    Before(&'a JobGraph),
    After(&'a Report),
}

impl<'a> From<&'a JobGraph> for Picture<'a> {
    fn from(graph: &'a JobGraph) -> Self {
        Picture(Subject::Before(graph))
    }
}

impl<'a> From<&'a Report> for Picture<'a> {
    fn from(report: &'a Report) -> Self {
        Picture(Subject::After(report))
    }
}

impl Picture<'_> {
    /// As DOT, for Graphviz.
    pub fn to_dot(self) -> String {
        match self.0 {
            Subject::Before(graph) => graph.to_dot(),
            Subject::After(report) => report.to_dot(),
        }
    }

    /// As SVG.
    pub fn to_svg(self) -> String {
        match self.0 {
            Subject::Before(graph) => graph.to_svg(),
            Subject::After(report) => report.to_svg(),
        }
    }

    /// As Mermaid, for pasting into Markdown.
    pub fn to_mermaid(self) -> String {
        match self.0 {
            Subject::Before(graph) => graph.to_mermaid(),
            Subject::After(report) => report.to_mermaid(),
        }
    }
}

/// Whether [`write_picture`] knows the format of `path` and has what it takes, so far as that can be told beforehand.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line asks before it begins"))]
pub(crate) fn can_draw(path: &Path) -> Result<(), PictureError> {
    match Format::of(path)? {
        Format::Graphviz(_) if !graphviz::is_installed() => {
            Err(PictureError::NoGraphviz { path: path.to_owned() })
        }
        #[cfg(feature = "png")]
        Format::Png => png::can_draw().map_err(|error| PictureError::png(path, &error)),
        _ => Ok(()),
    }
}

/// Writes a picture of a [`JobGraph`] or a [`Report`] to `path`, in the format that its ending says: `.svg`, `.dot`,
/// `.mmd` (Mermaid), or with Graphviz `.png` and `.pdf` (`.png` without it, where the feature `png` is on); `-` is DOT on
/// standard output.
///
/// # Errors
/// When the ending is not known, Graphviz or a font is needed and missing, or the file cannot be written.
pub fn write_picture<'a>(picture: impl Into<Picture<'a>>, path: &Path) -> Result<(), PictureError> {
    let picture = picture.into();
    let bytes = match Format::of(path)? {
        Format::Dot => picture.to_dot().into_bytes(),
        Format::Svg => picture.to_svg().into_bytes(),
        Format::Mermaid => picture.to_mermaid().into_bytes(),
        #[cfg(feature = "png")]
        Format::Png => png::draw(&picture.to_svg()).map_err(|error| PictureError::png(path, &error))?,
        Format::Graphviz(format) => graphviz::draw(&picture.to_dot(), format, path)?,
    };
    let written = if path.as_os_str() == "-" {
        io::stdout().write_all(&bytes).and_then(|()| io::stdout().flush())
    } else {
        std::fs::write(path, &bytes)
    };
    written.map_err(|source| PictureError::Write { path: path.to_owned(), source })
}
