//! A text that places point into, and the quick way to any of its lines and columns.
//!
//! A playbook that a program has written may be one line of many megabytes, with a thousand problems in it: what is asked
//! of a place there must not cost the line each time.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::hidden;

/// So many bytes are between two of the marks by which a column is found. A line that is shorter needs none.
const APART: usize = 256;

/// A text that places point into: a file, or one that came by another way under a name.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// How many characters begin before each byte that is a multiple of [`APART`]. Made when it is first needed.
    marks: OnceLock<Vec<usize>>,
    /// What no diagnostic shows, in bytes. Made when it is first needed.
    hidden: OnceLock<Vec<Range<usize>>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text
    }
}

impl Eq for Source {}

impl Source {
    /// A text, and the name that people know it by: a file's path, `standard input`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Source { name: name.into(), text, lines, marks: OnceLock::new(), hidden: OnceLock::new() })
    }

    /// The name that people know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One line, from 1, without its end; empty when there is none such.
    pub fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|index| self.lines.get(index)) else { return "" };
        let end = self.lines.get(number).map_or(self.text.len(), |next| next - 1);
        let line = self.text.get(*start..end).unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// What a line has from a column on, from 1 and in characters; empty behind its end.
    pub(crate) fn line_from(&self, number: usize, column: usize) -> &str {
        let line = self.line(number);
        let skipped = column.saturating_sub(1);
        if skipped < APART || line.len() <= APART {
            return behind(line, skipped);
        }
        let start = self.lines.get(number.saturating_sub(1)).copied().unwrap_or(0);
        // Counted from the beginning of the text, where no line begins anew.
        let wanted = self.characters_before(start).saturating_add(skipped);
        let marks = self.marks();
        let mark = marks.partition_point(|characters| *characters <= wanted).saturating_sub(1);
        // A character may lie across the mark; it has been counted.
        let byte = self.text.ceil_char_boundary(mark * APART);
        if byte < start || byte > start + line.len() {
            // The line is behind the mark, or over before it.
            return if byte < start { behind(line, skipped) } else { "" };
        }
        behind(&line[byte - start..], wanted - marks[mark])
    }

    /// What the text has from a line and a column on, each from 1.
    pub(crate) fn rest(&self, number: usize, column: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|index| self.lines.get(index)) else { return "" };
        let before = self.line(number).len() - self.line_from(number, column).len();
        self.text.get(start + before..).unwrap_or_default()
    }

    /// The line and the column of a byte, each from 1.
    pub(crate) fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0);
        (line.max(1), self.characters_before(byte) - self.characters_before(start) + 1)
    }

    /// Whether no diagnostic shows the byte of the text at the beginning of `part`, which is a part of the text.
    pub(super) fn hides(&self, part: &str) -> bool {
        let hidden = self.hidden.get_or_init(|| hidden::ranges(&self.text));
        let at = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let index = hidden.partition_point(|range| range.start <= at);
        // A password within a hidden value is a range in a range.
        hidden[index.saturating_sub(2)..index].iter().any(|range| range.contains(&at))
    }

    fn characters_before(&self, byte: usize) -> usize {
        let byte = self.text.floor_char_boundary(byte);
        let mark = byte / APART;
        let from = self.text.ceil_char_boundary(mark * APART);
        let before = self.marks().get(mark).copied().unwrap_or(0);
        before + self.text.get(from..byte).map_or(0, |between| between.chars().count())
    }

    fn marks(&self) -> &[usize] {
        self.marks.get_or_init(|| {
            let mut characters = 0;
            let mut marks = Vec::with_capacity(self.text.len() / APART + 1);
            for part in self.text.as_bytes().chunks(APART) {
                marks.push(characters);
                // All bytes but those that go on with a character.
                characters += part.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
            }
            marks.push(characters);
            marks
        })
    }
}

/// The text behind so many characters.
fn behind(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or("", |(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_nothing_has_one_empty_line() {
        let source = Source::new("x", "");
        assert_eq!(
            (source.line_from(1, 1), source.line_from(1, 900), source.line_from(7, 900)),
            ("", "", "")
        );
        assert_eq!(source.position(0), (1, 1));
    }

    proptest! {
        #[test]
        fn columns_are_found_as_by_counting(
            lines in prop::collection::vec(("[aä名🜁\u{301}]{0,9}", 0..200_usize), 1..6),
            ends in prop::collection::vec(any::<bool>(), 6),
        ) {
            let text: String = lines
                .iter()
                .zip(ends)
                .map(|((part, times), end)| part.repeat(*times) + if end { "\r\n" } else { "\n" })
                .collect();
            let source = Source::new("x", text.as_str());
            for number in 0..9 {
                let line = source.line(number);
                let count = line.chars().count();
                for column in (1..count + 3).step_by(1 + count / 50).chain(count..count + 3) {
                    let wanted: String = line.chars().skip(column.saturating_sub(1)).collect();
                    prop_assert_eq!(source.line_from(number, column), wanted.as_str());
                    let byte = line.len() - wanted.len();
                    let start = number.checked_sub(1).and_then(|index| source.lines.get(index)).copied();
                    if let (Some(start), true) = (start, (1..=count).contains(&column)) {
                        prop_assert_eq!(source.position(start + byte), (number, column));
                    }
                }
            }
        }
    }
}
