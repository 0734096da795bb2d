//! Text to a syntax tree, or to all that is wrong with its syntax.

use std::sync::Arc;

use super::comments;
use super::lex;
use super::lexeme;
use super::limits;
use super::syntax::{self, AstField};
use super::syntax_error::{At, SyntaxError};
use super::token_lint;
use crate::diagnostic::{Place, Problem, Source};
use hashbrown::HashMap;

/// A file's fields, and what the tree does not keep of them.
pub(super) struct Parsed {
    pub(super) fields: Vec<AstField>,
    /// Of each include, whether the file may be missing.
    pub(super) includes: HashMap<At, bool>,
}

/// The syntax tree of a source, or all that is wrong with its syntax.
pub(super) fn parse(source: &Arc<Source>) -> Result<Parsed, Vec<Problem>> {
    if words(source.text()) > limits::WORDS {
        let message = format!("{} has more than {} words and signs", source.name(), limits::WORDS);
        return Err(vec![Problem::new(None, message)]);
    }
    let mut tokens = lex::tokens(source.text()).map_err(|error| vec![told(source, error)])?;
    let glued = comments::glued(source.text(), &tokens);
    let mut seen = token_lint::inspect(&mut tokens);
    if !glued.is_empty() {
        // What they have cut off may have closed a bracket.
        seen.errors.retain(|error| !error.is_unclosed);
        seen.errors.extend(glued);
    }
    if !seen.errors.is_empty() {
        return Err(seen.errors.into_iter().map(|error| told(source, error)).collect());
    }
    match syntax::fields(tokens) {
        Ok(fields) => Ok(Parsed { fields, includes: seen.includes }),
        Err(error) => Err(vec![told(source, error)]),
    }
}

fn told(source: &Arc<Source>, error: SyntaxError) -> Problem {
    let is_yaml = error.is_separator && source.line(error.at.0).trim_start().starts_with("- ");
    let hint = if is_yaml { Some(YAML.to_owned()) } else { error.hint };
    let problem = Problem::new(place(source, error.at.0, error.at.1), error.message);
    Problem { hint, ..problem }
}

const YAML: &str = "this looks like YAML, which has to become JSON first: `yq -o=json . FILE | dojob run -`";

/// At most how many tokens a text has; cheap beside making them.
fn words(text: &str) -> usize {
    const SIGN: [bool; 256] = among(b"{}[],:=+\"$\n");
    const SPACE: [bool; 256] = among(b" \t");
    let mut words = 0;
    let mut within = false;
    for byte in text.bytes() {
        let (sign, space) = (SIGN[usize::from(byte)], SPACE[usize::from(byte)]);
        words += usize::from(sign || !space && !within);
        within = !sign && !space;
    }
    words
}

/// By byte, whether it is one of these.
const fn among(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < bytes.len() {
        table[bytes[index] as usize] = true;
        index += 1;
    }
    table
}

/// A place, with the length of what stands there.
pub(super) fn place(source: &Arc<Source>, line: usize, column: usize) -> Place {
    let (line, column) = (line.max(1), column.max(1));
    let length = lexeme::length(source.line_from(line, column));
    Place { source: source.clone(), line, column, length }
}
