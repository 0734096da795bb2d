//! A picture in SVG as one in PNG, without any other program.
//!
//! Colours are those for light ground.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, Options, Tree, fontdb};

/// A small picture is drawn twice as large, so that its text is sharp on fine screens.
const SCALE: f32 = 2.0;
/// No picture has many more pixels, each of four bytes: a graph of ten thousand jobs is drawn smaller than it is.
const MOST_PIXELS: f32 = 40e6;
/// No side is longer, as programs that show pictures often have this limit.
const LONGEST_SIDE: f32 = 32_000.0;

/// What takes the place of a font that a picture names and that is not here.
const FONTS: [&str; 9] = [
    "Arial",
    "Helvetica",
    "Liberation Sans",
    "Noto Sans",
    "DejaVu Sans",
    "Cantarell",
    "Ubuntu",
    "FreeSans",
    "Nimbus Sans",
];

/// A picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PngError {
    /// There is nothing to write names with.
    #[error("no font is installed to write the names with; install one (the package fonts-dejavu-core, say)")]
    NoFont,
    /// Not an SVG picture, or not one that can be drawn.
    #[error("{0}")]
    Picture(String),
}

/// Whether there is what it takes to draw.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line asks before it begins"))]
pub(crate) fn can_draw() -> Result<(), PngError> {
    fonts().map(drop)
}

/// The picture in pixels, as a file.
pub(crate) fn draw(svg: &str) -> Result<Vec<u8>, PngError> {
    paint(svg)?.encode_png().map_err(|error| PngError::Picture(error.to_string()))
}

fn paint(svg: &str) -> Result<Pixmap, PngError> {
    let options = Options { fontdb: fonts()?.into(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| PngError::Picture(error.to_string()))?;
    let scale = scale(tree.size());
    let size = tree.size().to_int_size();
    let size = size.scale_by(scale).unwrap_or(size);
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| {
        PngError::Picture(format!("{} by {} pixels are too many", size.width(), size.height()))
    })?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    Ok(pixels)
}

/// How large to draw a picture.
fn scale(size: usvg::Size) -> f32 {
    let area = (MOST_PIXELS / (size.width() * size.height())).sqrt();
    SCALE.min(area).min(LONGEST_SIDE / size.width()).min(LONGEST_SIDE / size.height())
}

/// The fonts of this machine.
fn fonts() -> Result<fontdb::Database, PngError> {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    with_sans_serif(fonts)
}

/// These fonts, with one of them as `sans-serif`.
fn with_sans_serif(mut fonts: fontdb::Database) -> Result<fontdb::Database, PngError> {
    let is_there = |name: &&str| {
        let families = &[fontdb::Family::Name(name)];
        fonts.query(&fontdb::Query { families, ..fontdb::Query::default() }).is_some()
    };
    let usual = FONTS.into_iter().find(is_there).map(str::to_owned);
    let any = || {
        let upright = fonts.faces().find(|face| !face.monospaced && face.style == fontdb::Style::Normal);
        upright.or_else(|| fonts.faces().next()).and_then(|face| Some(face.families.first()?.0.clone()))
    };
    let family = usual.or_else(any).ok_or(PngError::NoFont)?;
    fonts.set_sans_serif_family(family);
    Ok(fonts)
}

#[cfg(test)]
mod tests {
    use resvg::tiny_skia::PremultipliedColorU8 as Pixel;

    use super::*;
    use crate::graph::JobGraph;

    fn svg(width: u32, height: u32) -> String {
        let size = format!("width=\"{width}\" height=\"{height}\"");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size}><text font-family=\"sans-serif\" y=\"9\">x</text></svg>"
        )
    }

    /// What is painted, or nothing where no font is installed and nobody said that there is one.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn painted(svg: &str) -> Option<Pixmap> {
        match paint(svg) {
            Err(PngError::NoFont) if std::env::var_os("CI").is_none() => {
                println!("skipped: no font is installed");
                None
            }
            pixels => Some(pixels.unwrap()),
        }
    }

    #[test]
    fn small_pictures_are_drawn_sharp_and_large_ones_smaller() {
        let Some(small) = painted(&svg(30, 20)) else { return };
        assert_eq!((small.width(), small.height()), (60, 40));
        assert!(small.pixels().iter().any(|pixel| pixel.alpha() > 0), "letters are drawn");
        let large = painted(&svg(100, 64_000)).unwrap();
        assert_eq!((large.width(), large.height()), (50, 32_000));
        let broad = painted(&svg(20_000, 20_000)).unwrap();
        assert!(u64::from(broad.width()) * u64::from(broad.height()) <= 41_000_000);
    }

    #[test]
    fn a_graph_is_drawn_on_light_ground() {
        let mut graph = JobGraph::builder();
        graph.job("tent", |_| Ok(()), |_| Ok(()));
        let Some(pixels) = painted(&graph.build().unwrap().to_svg()) else { return };
        let is_white =
            |pixel: Pixel| (pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()) == (255, 255, 255, 255);
        assert!(pixels.pixel(0, 0).is_some_and(is_white));
        let dark = pixels.pixels().iter().filter(|pixel| pixel.red() < 100).count();
        assert!(dark > 50, "a frame and a name, of {dark} pixels");
        assert!(pixels.encode_png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn what_cannot_be_drawn_is_told() {
        let error = with_sans_serif(fontdb::Database::new()).unwrap_err();
        assert!(error.to_string().starts_with("no font is installed"), "{error}");
        if let Err(error @ PngError::Picture(_)) = draw("<svg") {
            assert!(error.to_string().starts_with("SVG data parsing failed"), "{error}");
        }
    }
}
