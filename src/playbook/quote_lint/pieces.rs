//! The pieces that a value was written in: quoted, in three quotes, and plain.

use crate::diagnostic::Source;

/// A piece of a value that is a text, as it was written.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'t> {
    /// Within `"`, with its escapes.
    Quoted(&'t str),
    /// Within `"""`.
    Tripled(&'t str),
    /// Without quotes.
    Plain(&'t str),
}

impl<'t> Piece<'t> {
    pub(super) fn text(&self) -> &'t str {
        match self {
            Piece::Quoted(text) | Piece::Tripled(text) | Piece::Plain(text) => text,
        }
    }
}

/// The pieces of the value, or key, that begins at a line and a column.
pub(super) fn pieces(source: &Source, line: usize, column: usize) -> Vec<Piece<'_>> {
    of(source.rest(line, column))
}

fn of(mut rest: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some(first) = rest.chars().next() {
        if let Some(text) = rest.strip_prefix("\"\"\"") {
            let Some(end) = text.find("\"\"\"") else { break };
            // More quotes than three belong to the text.
            let more = text[end + 3..].bytes().take_while(|byte| *byte == b'"').count();
            pieces.push(Piece::Tripled(&text[..end + more]));
            rest = &text[end + more + 3..];
        } else if let Some(text) = rest.strip_prefix('"') {
            let Some(end) = end_of_quoted(text) else { break };
            pieces.push(Piece::Quoted(&text[..end]));
            rest = &text[end + 1..];
        } else if rest.starts_with("${") {
            let Some(end) = rest.find('}') else { break };
            rest = &rest[end + 1..];
        } else if first == ' ' || first == '\t' {
            rest = &rest[1..];
        } else {
            let end = rest.find(|c| "\",\n{}[]:=#$".contains(c)).unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            pieces.push(Piece::Plain(&rest[..end]));
            rest = &rest[end..];
        }
    }
    pieces
}

fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at),
            b'\n' => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Piece::{Plain, Quoted, Tripled};
    use super::*;

    #[test]
    fn pieces_end_where_the_value_does() {
        assert_eq!(of(r#""a\"${x}" ${y}b, "c""#), [Quoted(r#"a\"${x}"#), Plain("b")]);
        assert_eq!(of("\"\"\"a\n\"b\"\"\"\"\nc"), [Tripled("a\n\"b\"")]);
        assert_eq!(of("“a b”\n"), [Plain("“a b”")]);
        assert_eq!(of("${x}\"/y\" }"), [Quoted("/y")]);
        assert_eq!(of("\"open"), []);
    }
}
