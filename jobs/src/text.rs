//! What a text file says, and how it is written down: one rule for all jobs that look into text files.
//!
//! - A byte order mark (UTF-8) is kept, and is no part of the first line.
//! - A line ends with `\n` or `\r\n`, and with nothing else; new lines end as the first line of the file does.
//! - A byte that is not UTF-8 counts as one character that no character class but `.` and the negated ones contains. It
//!   survives to the byte; a format that has to be UTF-8 refuses it, with its line and offset.
//! - UTF-16 and UTF-32 are refused by name.

mod ends;
mod matcher;
mod raw;

use std::ops::{Deref, Range};

use anyhow::{Context as _, Result, ensure};
use dojob::Permanent;

pub(crate) use self::ends::{content, line_end};
pub(crate) use self::matcher::Matcher;
pub(crate) use self::raw::decoded;
use self::raw::{encoded, held};

/// The byte order mark of UTF-8.
pub(crate) const MARK: &str = "\u{feff}";

/// How much is looked at to recognise UTF-16 that has no byte order mark.
const BEGINNING: usize = 64;

/// The content of a text file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    text: String,
    has_mark: bool,
}

impl Text {
    /// Reads bytes by the rule at the top.
    ///
    /// # Errors
    /// [`Permanent`] when they are UTF-16 or UTF-32.
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self> {
        if let Some(encoding) = wide(&bytes) {
            return Err(Permanent::new(format!("it is {encoding}, not UTF-8; convert it first")).into());
        }
        let has_mark = bytes.starts_with(MARK.as_bytes());
        let start = if has_mark { MARK.len() } else { 0 };
        // All raw characters begin with this byte.
        let text = match String::from_utf8(bytes) {
            Ok(text) if !text.as_bytes().contains(&0xf4) => text,
            Ok(text) => held(text.as_bytes()),
            Err(error) => held(error.as_bytes()),
        };
        Ok(Text { text: if has_mark { text[start..].to_owned() } else { text }, has_mark })
    }

    pub(crate) fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// Is written down without a byte order mark from now on.
    pub(crate) fn remove_mark(&mut self) {
        self.has_mark = false;
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Another text, written down in the same way.
    pub(crate) fn encode(&self, text: &str) -> Vec<u8> {
        let mut bytes = if self.has_mark { MARK.as_bytes().to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&encoded(text));
        bytes
    }

    /// The text, for a format that has to be UTF-8.
    ///
    /// # Errors
    /// [`Permanent`] when it is not: which byte, in which line.
    pub(crate) fn utf8(&self) -> Result<String> {
        let text = String::from_utf8(encoded(&self.text).into_owned());
        Ok(text.map_err(|error| {
            let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            let offset = at + if self.has_mark { MARK.len() } else { 0 };
            let byte = bytes[at];
            Permanent::new(format!("it is not UTF-8: line {line}, offset {offset}: the byte 0x{byte:02x}"))
        })?)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// The encoding of a text whose characters are wider than a byte.
pub(crate) fn wide(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    // Without a mark: text in Latin letters has a NUL in every second byte.
    let beginning = &bytes[..bytes.len().min(BEGINNING) & !1];
    let all = |high: usize| {
        beginning.chunks_exact(2).all(|pair| pair[high] == 0 && pair[1 - high] != 0) && beginning.len() >= 4
    };
    (all(0) || all(1)).then_some("UTF-16")
}

/// A text in lines, each with its own end.
pub(crate) struct Lines<'t> {
    lines: Vec<&'t str>,
    end: &'static str,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Lines { lines: text.split_inclusive('\n').collect(), end: line_end(text) }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Each line without its end.
    pub(crate) fn contents(&self) -> impl DoubleEndedIterator<Item = &'t str> + ExactSizeIterator + '_ {
        self.lines.iter().map(|line| content(line))
    }

    /// The line at a place, without its end.
    pub(crate) fn line(&self, place: usize) -> Option<&'t str> {
        self.lines.get(place).map(|line| content(line))
    }

    /// The lines from a place up to another, without their ends.
    pub(crate) fn between(&self, first: usize, end: usize) -> impl Iterator<Item = &'t str> + '_ {
        self.lines.get(first..end).unwrap_or_default().iter().map(|line| content(line))
    }

    /// The places of the lines for which it is true.
    pub(crate) fn places(&self, is: impl Fn(&str) -> bool) -> Vec<usize> {
        self.contents().enumerate().filter(|(_, line)| is(line)).map(|(place, _)| place).collect()
    }

    /// The text with these lines in the place of those in `range`, each with an end.
    pub(crate) fn splice<'n>(&self, range: Range<usize>, new: impl IntoIterator<Item = &'n str>) -> String {
        let mut text = self.lines[..range.start].concat();
        for line in new {
            if !text.is_empty() && !text.ends_with('\n') {
                text += self.end;
            }
            text += line;
            text += self.end;
        }
        text + &self.lines[range.end..].concat()
    }

    /// The text without these lines, in order.
    pub(crate) fn without(&self, places: &[usize]) -> String {
        let kept = self.lines.iter().enumerate().filter(|(place, _)| places.binary_search(place).is_err());
        kept.map(|(_, line)| *line).collect()
    }

    /// Where something new belongs: behind the last line that `after` fits, before the first that `before` fits, or at
    /// the end.
    ///
    /// # Errors
    /// When one is asked for, and no line fits.
    pub(crate) fn place(&self, after: Option<&str>, before: Option<&str>) -> Result<usize> {
        let (field, pattern) = match (after, before) {
            (Some(after), _) => ("after", after),
            (None, Some(before)) => ("before", before),
            (None, None) => return Ok(self.len()),
        };
        let matcher = Matcher::new(field, pattern)?;
        if self.lines.is_empty() && matcher.is_match("") {
            return Ok(0);
        }
        let mut lines = self.contents();
        let place = match field {
            "after" => lines.rposition(|line| matcher.is_match(line)).map(|place| place + 1),
            _ => lines.position(|line| matcher.is_match(line)),
        };
        place.with_context(|| format!("no line fits `{field}`, {pattern:?}"))
    }
}

/// Both `after` and `before` are given, or one that is no regular expression.
///
/// # Errors
/// Then.
pub(crate) fn validate_place(after: Option<&str>, before: Option<&str>) -> Result<()> {
    ensure!(after.is_none() || before.is_none(), "only one of `after` and `before` can be given");
    after.map_or(Ok(()), |after| Matcher::new("after", after).map(drop))?;
    before.map_or(Ok(()), |before| Matcher::new("before", before).map(drop))
}

/// Refuses what would be more than one line.
///
/// # Errors
/// When it contains the end of a line, or a NUL byte.
pub(crate) fn one_line(field: &str, text: &str) -> Result<()> {
    ensure!(!text.contains(['\n', '\r', '\0']), "`{field}` must be one line, without a NUL byte");
    Ok(())
}

/// "line 3", "lines 3, 5 and 9"; places count from 0, lines from 1.
pub(crate) fn line_numbers(places: &[usize]) -> String {
    let number = |place: &usize| (place + 1).to_string();
    match places {
        [] => "no line".to_owned(),
        [only] => format!("line {}", number(only)),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().take(9).map(number).collect();
            format!("lines {} and {}", first.join(", "), number(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matcher::speaks_of_returns;
    use super::*;

    fn spliced(text: &str, range: Range<usize>, new: &[&str]) -> String {
        Lines::of(text).splice(range, new.iter().copied())
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(spliced("a\nb\n", 1..1, &["x"]), "a\nx\nb\n");
        assert_eq!(spliced("a\nb", 2..2, &["x"]), "a\nb\nx\n");
        assert_eq!(spliced("a\nb", 1..2, &["x"]), "a\nx\n");
        assert_eq!(spliced("a\r\nb", 1..2, &["x", "y"]), "a\r\nx\r\ny\r\n");
        assert_eq!(spliced("a\nb", 1..2, &[]), "a\n");
        assert_eq!(spliced("a\r\nb", 2..2, &["x", "y"]), "a\r\nb\r\nx\r\ny\r\n");
        assert_eq!(spliced("a\r\nb\n", 1..1, &["x"]), "a\r\nx\r\nb\n");
        assert_eq!(spliced("", 0..0, &["x"]), "x\n");
        assert_eq!(spliced("a\nb\nc", 0..2, &["x"]), "x\nc");
        assert_eq!(Lines::of("a\nb\nc").without(&[0, 2]), "b\n");
        let others = "a\u{c}b\u{85}c\u{2028}d\re";
        assert_eq!(Lines::of(others).contents().collect::<Vec<_>>(), [others]);
    }

    #[test]
    fn new_lines_have_a_place() {
        let lines = Lines::of("a\nb\r\na\n");
        assert_eq!(lines.place(None, None).unwrap(), 3);
        assert_eq!(lines.place(Some("^a$"), None).unwrap(), 3);
        assert_eq!(lines.place(Some("^b$"), None).unwrap(), 2);
        assert_eq!(lines.place(None, Some("^")).unwrap(), 0);
        assert_eq!(Lines::of("").place(None, Some("^")).unwrap(), 0);
        assert_eq!(lines.place(Some("c"), None).unwrap_err().to_string(), "no line fits `after`, \"c\"");
        assert!(Lines::of("").place(Some("c"), None).is_err());
    }

    #[test]
    fn numbers_are_counted_from_one() {
        assert_eq!(line_numbers(&[2]), "line 3");
        assert_eq!(line_numbers(&[2, 4, 8]), "lines 3, 5 and 9");
    }

    #[test]
    fn wide_encodings_are_refused_by_name() {
        let error = |bytes: &[u8]| Text::decode(bytes.to_vec()).unwrap_err().to_string();
        assert_eq!(error(b"\xff\xfea\0"), "it is UTF-16, not UTF-8; convert it first");
        assert_eq!(error(b"\xfe\xff\0a"), "it is UTF-16, not UTF-8; convert it first");
        assert_eq!(error(b"a\0b\0"), "it is UTF-16, not UTF-8; convert it first");
        assert_eq!(error(b"\0a\0b\0c"), "it is UTF-16, not UTF-8; convert it first");
        assert_eq!(error(b"\xff\xfe\0\0a\0\0\0"), "it is UTF-32, not UTF-8; convert it first");
        for bytes in [&b"a\0"[..], b"", b"\xff", b"a\0bc\n", b"a\n\0\0"] {
            assert!(Text::decode(bytes.to_vec()).is_ok(), "{bytes:?}");
        }
    }

    #[test]
    fn the_mark_is_no_part_of_the_text() {
        let text = Text::decode(b"\xef\xbb\xbfa\n".to_vec()).unwrap();
        assert_eq!(text.as_str(), "a\n");
        assert_eq!(text.encode("b\n"), b"\xef\xbb\xbfb\n");
    }

    #[test]
    fn a_byte_that_is_no_utf_8_is_named() {
        let text = Text::decode(b"\xef\xbb\xbfa\nb\xe9\n".to_vec()).unwrap();
        let error = text.utf8().unwrap_err().to_string();
        assert_eq!(error, "it is not UTF-8: line 2, offset 6: the byte 0xe9");
        assert_eq!(Text::decode("é€".into()).unwrap().utf8().unwrap(), "é€");
    }

    proptest! {
        #[test]
        fn all_bytes_survive(bytes in proptest::collection::vec(
            prop_oneof![Just(0xf4), Just(0x8f), Just(0xbf), Just(0xe9), Just(b'a'), Just(b'\n'), any::<u8>()], 0..40,
        )) {
            if let Ok(text) = Text::decode(bytes.clone()) {
                prop_assert_eq!(text.encode(text.as_str()), bytes);
            }
        }

        #[test]
        fn what_is_not_replaced_stays(text in "[ab\r\n]{0,12}") {
            let matcher = Matcher::new("regex", "^a$").unwrap();
            let replaced = matcher.replace_all(&text, "x").map_or_else(|| text.clone(), |(text, _)| text);
            prop_assert_eq!(replaced.replace('x', "a"), text);
        }
    }

    fn replaced(text: &str, pattern: &str, replacement: &str) -> Option<String> {
        Matcher::new("regex", pattern).unwrap().replace_all(text, replacement).map(|(text, _)| text)
    }

    #[test]
    fn a_return_before_the_end_belongs_to_it() {
        assert_eq!(replaced("a=1\r\nb=2\nc=3\r\n", "^b=\\d$", "b=9").unwrap(), "a=1\r\nb=9\nc=3\r\n");
        assert_eq!(replaced("a\r\nb\r\n", "^a$", "x\ny").unwrap(), "x\r\ny\r\nb\r\n");
        assert_eq!(replaced("a\r\nb\r\n", "^a$", "x\r\ny").unwrap(), "x\r\ny\r\nb\r\n");
        assert_eq!(replaced("a\r\nb\n", "a\nb", "a\nb"), None);
        assert_eq!(replaced("a\r\nb\n", "(?s)a.b", "c").unwrap(), "c\n");
        // Who speaks of returns sees them.
        assert_eq!(replaced("a\r\nb\r\n", "\\r$", "").unwrap(), "a\nb\n");
        assert_eq!(replaced("a\r\nb\r\n", "\\x0D\\n", "\n").unwrap(), "a\nb\n");
    }

    #[test]
    fn returns_are_found_in_expressions() {
        for pattern in ["\\r", "a\r", "[^\\r\\n]", "\\x0D", "\\x0d$", "\\x{D}", "\\u000D", "\\\\\\r"] {
            assert!(speaks_of_returns(pattern), "{pattern:?}");
        }
        for pattern in ["", "r", "\\\\r", "\\xD4", "\\x1d", "\\d", "$"] {
            assert!(!speaks_of_returns(pattern), "{pattern:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_matched() {
        let text = Text::decode(b"name=na\xefve \xc3\xa9\n".to_vec()).unwrap();
        let fits = |pattern: &str| Matcher::new("regex", pattern).unwrap().is_match(text.as_str());
        assert!(
            fits("^name=.*$") && fits("^name=[^ ]+ é$") && fits("(?-u)na\\xefve") && !fits("^name=\\w+ ")
        );
        let (new, count) =
            Matcher::new("regex", "(?-u)\\xef").unwrap().replace_all(text.as_str(), "i").unwrap();
        assert_eq!((text.encode(&new), count), (b"name=naive \xc3\xa9\n".to_vec(), 1));
    }

    #[test]
    fn a_replacement_refers_to_groups_that_are_there() {
        let matcher = Matcher::new("regex", "^(?<key>a)=(b)").unwrap();
        for fine in ["", "$1 ${2} $key ${key}x", "$$HOME", "5 $", "$ 5", "$0", "$-"] {
            matcher.validate_replacement(fine).unwrap();
        }
        let error = |text: &str| matcher.validate_replacement(text).unwrap_err().to_string();
        let lacks = "refers to a group that the regular expression does not have; write";
        assert_eq!(error("$3"), format!("`$3` {lacks} `$$` for a `$`"));
        assert_eq!(error("$1x=new"), format!("`$1x` {lacks} `${{1}}x` for group 1, or `$$` for a `$`"));
        assert_eq!(error("$HOME/x"), format!("`$HOME` {lacks} `$$` for a `$`"));
        assert_eq!(error("${home}"), format!("`${{home}}` {lacks} `$$` for a `$`"));
        assert_eq!(error("${}"), format!("`${{}}` {lacks} `$$` for a `$`"));
        assert_eq!(error("${1"), "`${` is not closed; write `$$` for a `$`");
    }
}
