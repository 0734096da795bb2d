//! HOCON text to values, each of which knows its place in the text.
//!
//! Includes, substitutions and merging are over when this is done, but for substitutions that are filled in later. Every
//! value keeps its place, sizes are bounded, and problems are reported all at once where that is possible.

mod budget;
mod comments;
mod concat;
mod frames;
mod layers;
mod lex;
mod lexeme;
mod limits;
mod load;
mod located;
mod parse;
mod path;
mod places;
mod read;
mod render;
mod resolve;
mod settings;
mod small_map;
mod suggestions;
mod syntax;
mod syntax_error;
mod template;
mod token_lint;
mod tree;
mod tree_builder;
mod value;

pub use self::load::{Loaded, load};
pub use self::places::{Places, Step};
pub use self::settings::{Input, Override, Settings};
pub use self::template::{Part, Placeholder, Template};
pub use self::value::{Map, Value};

pub(super) use self::render::Shown;

pub(super) use self::load::load_all;
pub(super) use self::path::written_path;
