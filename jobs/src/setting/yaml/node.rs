//! A document of YAML as a tree that knows where each of its nodes is in the text.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::value::{Number, Value};

/// How deep a document may be.
const DEEPEST: usize = 128;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Its bytes in the text, as far as it has a place of its own: a mapping without brackets is where its entries are.
    pub(super) range: Range<usize>,
    /// Whether it has an anchor or a tag.
    pub(super) is_decorated: bool,
    /// The number of its anchor; 0 for none.
    pub(super) anchor: usize,
    tag: Option<String>,
    /// How far from the edge of the text it begins.
    column: usize,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Scalar(String, Style),
    Sequence { items: Vec<Node>, is_flow: bool },
    Map { entries: Vec<(Node, Node)>, is_flow: bool },
    Alias(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// On lines of its own, behind a `|` or `>`.
    Block,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, NodeKind::Scalar(text, Style::Plain) if is_null(text)) && self.tag.is_none()
    }

    /// Whether an alias in it stands for the node with this anchor.
    pub(super) fn has_alias_of(&self, anchor: usize) -> bool {
        match &self.kind {
            NodeKind::Alias(of) => *of == anchor,
            NodeKind::Scalar(..) => false,
            NodeKind::Sequence { items, .. } => items.iter().any(|item| item.has_alias_of(anchor)),
            NodeKind::Map { entries, .. } => {
                entries.iter().any(|(key, value)| key.has_alias_of(anchor) || value.has_alias_of(anchor))
            }
        }
    }

    /// Whether it is a mapping into which a merge key brings the entries of another one, for readers that know it.
    pub(super) fn merges(&self) -> bool {
        matches!(&self.kind, NodeKind::Map { entries, .. }
            if entries.iter().any(|(key, _)| matches!(&key.kind, NodeKind::Scalar(text, Style::Plain) if text == "<<")))
    }

    /// The node in it that ends last.
    pub(super) fn last(&self) -> &Node {
        let mut node = self;
        loop {
            let inner = match &node.kind {
                NodeKind::Map { entries, is_flow: false } => entries.last().map(|(key, value)| {
                    if value.range.end < key.range.end && value.text() == Some("") { key } else { value }
                }),
                NodeKind::Sequence { items, is_flow: false } => items.last(),
                _ => None,
            };
            match inner {
                Some(inner) => node = inner,
                None => return node,
            }
        }
    }

    /// How far the first mapping inside of another one is indented.
    pub(super) fn step(&self) -> Option<usize> {
        match &self.kind {
            NodeKind::Map { entries, is_flow: false } => {
                entries.iter().find_map(|(key, value)| match &value.kind {
                    NodeKind::Map { entries, is_flow: false } => {
                        let inner = entries.first()?.0.column;
                        inner.checked_sub(key.column).filter(|step| *step > 0)
                    }
                    _ => None,
                })
            }
            _ => None,
        }
    }

    pub(super) fn value(&self) -> Result<Value> {
        let value = match &self.kind {
            NodeKind::Scalar(text, Style::Plain) if self.tag.is_none() => resolve(text),
            NodeKind::Scalar(text, _) => Value::from(text.as_str()),
            NodeKind::Sequence { items, .. } => {
                items.iter().map(Node::value).collect::<Result<Vec<_>>>().map(Value::Array)?
            }
            NodeKind::Map { entries, .. } => {
                let mut fields = BTreeMap::new();
                for (key, value) in entries {
                    let name =
                        key.text().context("it has names that are no texts, which this does not know")?;
                    if fields.insert(name.to_owned(), value.value()?).is_some() {
                        bail!("`{name}` is there twice in one mapping");
                    }
                }
                Value::Object(fields)
            }
            // No text of the file can be like these two.
            NodeKind::Alias(anchor) => Value::from(format!("\0*{anchor}")),
        };
        Ok(match &self.tag {
            Some(tag) => Value::Array(vec![Value::from(format!("\0{tag}")), value]),
            None => value,
        })
    }
}

/// The one document of a text; `None` where there is none.
pub(super) fn read(text: &str) -> Result<Option<Node>> {
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut reader = Reader { text, places, events: Parser::new_from_str(text) };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            event => {
                ensure!(root.is_none(), "it has several documents, so it is not clear which one is meant");
                root = Some(reader.node(event, span, 0)?);
            }
        }
    }
    Ok(root)
}

struct Reader<'t> {
    text: &'t str,
    /// Where each character begins.
    places: Vec<usize>,
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>> {
        self.events.next().transpose().map_err(|error| {
            let at = error.marker();
            anyhow::anyhow!("line {}, column {}: {}", at.line(), at.col() + 1, error.info())
        })
    }

    fn need(&mut self) -> Result<(Event<'t>, Span)> {
        self.next()?.context("it ends in the middle")
    }

    fn at(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or(self.text.len())
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node> {
        ensure!(depth < DEEPEST, "it is deeper than {DEEPEST} levels");
        let start = self.at(span.start.index());
        let end = self.at(span.end.index());
        let (kind, end, anchor, tag) = match event {
            Event::Alias(anchor) => (NodeKind::Alias(anchor), end, 0, None),
            Event::Scalar(text, style, anchor, tag) => {
                let is_decorated = anchor != 0 || tag.is_some();
                let (style, end) = self.scalar(style, start, end, is_decorated);
                (NodeKind::Scalar(text.into_owned(), style), end, anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => {
                let is_flow = self.text[start..end].ends_with('[');
                let mut items = Vec::new();
                let end = loop {
                    match self.need()? {
                        (Event::SequenceEnd, span) => break self.at(span.end.index()),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                };
                (NodeKind::Sequence { items, is_flow }, end, anchor, tag)
            }
            Event::MappingStart(anchor, tag) => {
                let is_flow = self.text[start..end].ends_with('{');
                let mut entries = Vec::new();
                let end = loop {
                    match self.need()? {
                        (Event::MappingEnd, span) => break self.at(span.end.index()),
                        (event, span) => {
                            let key = self.node(event, span, depth + 1)?;
                            let (event, span) = self.need()?;
                            entries.push((key, self.node(event, span, depth + 1)?));
                        }
                    }
                };
                (NodeKind::Map { entries, is_flow }, end, anchor, tag)
            }
            _ => bail!("it cannot be read"),
        };
        let is_decorated = anchor != 0 || tag.is_some();
        let tag = tag.map(|tag| name(&tag));
        Ok(Node { kind, range: start..end.max(start), is_decorated, anchor, tag, column: span.start.col() })
    }

    /// The parser's own end of a scalar may be behind the comment that follows.
    fn scalar(&self, style: ScalarStyle, start: usize, end: usize, is_decorated: bool) -> (Style, usize) {
        match style {
            ScalarStyle::Plain => (Style::Plain, start + self.text[start..end].trim_end().len()),
            ScalarStyle::SingleQuoted if !is_decorated => (Style::Single, self.quoted(start, '\'')),
            ScalarStyle::DoubleQuoted if !is_decorated => (Style::Double, self.quoted(start, '"')),
            ScalarStyle::SingleQuoted => (Style::Single, end),
            ScalarStyle::DoubleQuoted => (Style::Double, end),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                (Style::Block, start + self.text[start..end].trim_end().len())
            }
        }
    }

    /// Where the quotes that begin at `start` end.
    fn quoted(&self, start: usize, quote: char) -> usize {
        let mut chars = self.text[start..].char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == '\\' && quote == '"' {
                chars.next();
            } else if c == quote {
                if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    continue;
                }
                return start + at + 1;
            }
        }
        self.text.len()
    }
}

fn name(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What a text without quotes stands for in YAML 1.2.
fn resolve(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::from(text), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let is_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            let number = i128::from_str_radix(digits, radix).ok().filter(|_| is_digits)?;
            return Some(Number::new(number.to_string()));
        }
    }
    let plain = text.trim_start_matches(['+', '-']);
    if text.len() - plain.len() <= 1 && matches!(plain, ".inf" | ".Inf" | ".INF") || is_nan(text) {
        return Some(Number::new(text.to_ascii_lowercase().replace(['+', '.'], "")));
    }
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (plain, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let is_number = text.len() - plain.len() <= 1
        && is_digits(whole)
        && is_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && is_digits(exponent));
    is_number.then(|| Number::new(text))
}

fn is_nan(text: &str) -> bool {
    matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// Whether readers of YAML 1.1 take this text for something else than one.
pub(super) fn is_other_in_1_1(text: &str) -> bool {
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "~" | "=" | "<<"
    );
    let digits = text.trim_start_matches(['+', '-']);
    // 12:30 is a number to the base of 60, 1_000 is one thousand, 0b1 is one.
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.contains([':', '_'])
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '_' | '.'))
        || ["0b", "0x", "0o"].iter().any(|prefix| digits.starts_with(prefix));
    is_word || is_number || is_date(text)
}

/// Whether it begins as a date does: `2024-01-31`, also with a time behind it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut digits = |most: usize| {
        let part = parts.next()?;
        let count = part.bytes().take_while(u8::is_ascii_digit).count();
        (1..=most).contains(&count).then_some(&part[count..])
    };
    let is_year = digits(4) == Some("") && text.as_bytes().get(4) == Some(&b'-');
    let is_month = digits(2) == Some("");
    let rest = digits(2);
    is_year && is_month && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['T', 't', ' ', '\t']))
}

/// Whether readers of YAML 1.1 take such a number for another one, or for a text: 010 is 8 to them, 0o10 and 1e3 are
/// texts.
pub(super) fn is_other_number_in_1_1(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let is_octal = digits.len() > 1 && digits.starts_with('0') && digits.chars().all(|c| c.is_ascii_digit());
    let has_odd_exponent = !digits.starts_with("0x")
        && digits
            .split_once(['e', 'E'])
            .is_some_and(|(mantissa, exponent)| !mantissa.contains('.') || !exponent.starts_with(['+', '-']));
    is_octal || digits.starts_with("0o") || has_odd_exponent
}

/// Whether every reader takes this for a text, also without quotes and in brackets.
pub(super) fn is_plain_text(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '_'));
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '+' | '@' | ' ');
    begins && text.chars().all(fits) && !text.ends_with(' ') && !is_other_in_1_1(text) && !is_null(text)
}
