//! Comments that begin right behind a text, as in `path: /srv//www` or `url: https://example.org`.
//!
//! HOCON takes what follows for a comment, and cuts the text without a word. Nobody means that, so it is refused. Knows
//! places and tokens; not values.

use std::collections::HashSet;

use super::lex::{Token, TokenKind};
use super::syntax_error::{At, SyntaxError};

/// The comments that are glued to a text.
pub(super) fn glued(text: &str, tokens: &[Token<'_>]) -> Vec<SyntaxError> {
    let begins = beginnings(text);
    if begins.is_empty() {
        return Vec::new();
    }
    let texts = tokens.iter().filter(|token| matches!(token.kind, TokenKind::Unquoted | TokenKind::Colon));
    let ends = texts.map(|token| (token.line, token.col + token.value.chars().count().max(1)));
    let hint = "put the text in quotes; or, if a comment is meant, a space before it";
    ends.filter(|end| begins.contains(end))
        .map(|at| SyntaxError::new(at, "a comment begins here, right behind a text", Some(hint.to_owned())))
        .collect()
}

/// Where `#` or `//` stands behind something else than a space, be it in quotes or not.
fn beginnings(text: &str) -> HashSet<At> {
    let mut found = HashSet::new();
    if !text.contains('#') && !text.contains("//") {
        return found;
    }
    for (number, line) in text.split('\n').enumerate() {
        let mut before = ' ';
        let mut signs = line.chars().peekable();
        let mut column = 1;
        while let Some(sign) = signs.next() {
            let is_comment = sign == '#' || (sign == '/' && signs.peek() == Some(&'/'));
            if is_comment && !before.is_whitespace() {
                found.insert((number + 1, column));
            }
            (before, column) = (sign, column + 1);
        }
    }
    found
}
