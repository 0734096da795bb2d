//! Text to a syntax tree: the one place that calls the parser.
//!
//! Knows the parser's words and turns them into ours; not what the tree means.

use std::sync::Arc;

use hashbrown::HashMap;
use hocon::parser::{AstField, AstNode, parse_tokens};
use hocon::{ParseError, tokenize};

use super::comments;
use super::guard::{self, At, Fault};
use super::lexeme;
use super::limits;
use crate::playbook::problem::{Place, Problem, Source};

/// A file's fields, and what the parser does not keep of them.
pub(super) struct Parsed {
    pub(super) fields: Vec<AstField>,
    /// Of each list and object, by the place that the parser has, the place of its bracket; in order.
    pub(super) brackets: Vec<(At, At)>,
    /// Of each include, whether the file may be missing.
    pub(super) includes: HashMap<At, bool>,
}

/// The syntax tree of a source, or all that is wrong with its syntax.
pub(super) fn parse(source: &Arc<Source>) -> Result<Parsed, Vec<Problem>> {
    if words(source.text()) > limits::WORDS {
        let message = format!("{} has more than {} words and signs", source.name(), limits::WORDS);
        return Err(vec![Problem::new(None, message)]);
    }
    let mut tokens = tokenize(source.text()).map_err(|error| vec![said(source, &error)])?;
    let glued = comments::glued(source.text(), &tokens);
    let mut seen = guard::inspect(&mut tokens);
    if !glued.is_empty() {
        // What they have cut off may have closed a bracket.
        seen.faults.retain(|fault| !fault.is_unclosed);
        seen.faults.extend(glued);
    }
    if !seen.faults.is_empty() {
        return Err(seen.faults.into_iter().map(|fault| told(source, fault)).collect());
    }
    match parse_tokens(&tokens) {
        Ok(AstNode::Object { fields, .. }) => {
            Ok(Parsed { fields, brackets: seen.brackets, includes: seen.includes })
        }
        Ok(_) => Err(vec![Problem::new(None, format!("{} is not an object", source.name()))]),
        Err(error) => Err(vec![said(source, &error)]),
    }
}

fn told(source: &Arc<Source>, fault: Fault) -> Problem {
    let is_yaml = fault.is_separator && source.line(fault.at.0).trim_start().starts_with("- ");
    let hint = if is_yaml { Some(YAML.to_owned()) } else { fault.hint };
    let problem = Problem::new(place(source, fault.at.0, fault.at.1), fault.message);
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

/// The parser's message in our words.
fn said(source: &Arc<Source>, error: &ParseError) -> Problem {
    let (message, hint) = translated(&error.message);
    let place = place(source, error.line, error.col);
    Problem { place: Some(place), message, hint: hint.map(str::to_owned) }
}

const RESERVED: &str = "put text with signs such as `$ * @ & ? ! + \\ ^` in quotes";

fn translated(message: &str) -> (String, Option<&'static str>) {
    // Each begins with what the parser says and goes on with what we say.
    const WORDS: &[(&str, &str, &str)] = &[
        ("unterminated triple-quoted string", "this text is never closed with `\"\"\"`", ""),
        (
            "unterminated string",
            "this text is never closed with a quote",
            "text of more than one line stands in `\"\"\"`",
        ),
        ("unterminated substitution", "this substitution is never closed with `}`", ""),
        (
            "invalid unicode escape",
            "`\\u` needs four hexadecimal digits of a character",
            "half of a surrogate pair is none; write the character itself",
        ),
        (
            "invalid escape sequence",
            "there is no such escape in quotes",
            "write `\\\\` for a backslash, or use `\"\"\"`, in which a backslash stands for itself",
        ),
        ("empty substitution path", "`${}` names nothing", ""),
        ("empty segment", "a name is missing in this path", ""),
        ("path has", "a name is missing in this path", "a dot is part of a name only in quotes"),
        ("expected value", "a value is missing here", ""),
        ("expected key, got Comma", "a comma with nothing before it", ""),
        ("expected key", "a key is missing here", ""),
        ("unexpected token after key", "this key has no value", "write `key: value`, or `key { … }`"),
        ("'include' is reserved", "`include` cannot begin a path", "put it in quotes if a key has this name"),
        ("document nests deeper", "brackets are nested too deep here", ""),
        ("invalid float", "this number is too large", "put it in quotes if it is text"),
        (
            "unquoted path segment cannot begin with '-'",
            "a name in a substitution cannot begin with `-`",
            "put it in quotes",
        ),
        ("unexpected character in substitution path", "a substitution cannot have this sign", ""),
    ];
    if let Some(sign) = message.strip_prefix("unexpected character: ") {
        return (format!("`{}` cannot stand outside of quotes", sign.trim_matches('\'')), Some(RESERVED));
    }
    if message.starts_with("reserved character '+'") {
        return ("`+` cannot stand outside of quotes".to_owned(), Some(RESERVED));
    }
    let known = WORDS.iter().find(|(theirs, _, _)| message.starts_with(theirs));
    known.map_or_else(
        || (message.to_owned(), None),
        |(_, ours, hint)| ((*ours).to_owned(), (!hint.is_empty()).then_some(*hint)),
    )
}
