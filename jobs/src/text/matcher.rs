//! Regular expressions over a text, by its rules for ends of lines and for bytes that are not UTF-8.

use std::ops::Range;

use anyhow::{Context as _, Result, anyhow, bail};
use regex::{Captures, Regex, RegexBuilder, bytes};

use super::ends::line_end;
use super::raw::{encoded, held};

/// A regular expression over a text, in which `^` and `$` stand for the ends of lines.
#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    Text(Regex),
    /// One that asks for bytes, with `(?-u)`.
    Bytes(bytes::Regex),
}

impl Matcher {
    /// # Errors
    /// When the pattern is no regular expression, with the place where it is wrong.
    pub(crate) fn new(field: &str, pattern: &str) -> Result<Self> {
        let matcher = Matcher::build(pattern, true);
        matcher.with_context(|| format!("`{field}` is no regular expression"))
    }

    /// One in which `^` and `$` stand for the ends of all of the text, unless `(?m)` says otherwise.
    ///
    /// # Errors
    /// As [`new`](Matcher::new).
    pub(crate) fn of_all(pattern: &str) -> Result<Self> {
        let matcher = Matcher::build(pattern, false);
        matcher.with_context(|| format!("`{pattern}` is no regular expression"))
    }

    fn build(pattern: &str, multi_line: bool) -> Result<Self, regex::Error> {
        RegexBuilder::new(pattern).multi_line(multi_line).build().map(Matcher::Text).or_else(|error| {
            let bytes = bytes::RegexBuilder::new(pattern).multi_line(multi_line).build();
            bytes.map(Matcher::Bytes).map_err(|_| error)
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Matcher::Text(regex) => regex.as_str(),
            Matcher::Bytes(regex) => regex.as_str(),
        }
    }

    /// Whether it fits some part of a decoded text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match self {
            Matcher::Text(regex) => regex.is_match(text),
            Matcher::Bytes(regex) => regex.is_match(&encoded(text)),
        }
    }

    fn has_group(&self, name: &str) -> bool {
        let is_named = |group: Option<&str>| group == Some(name);
        let (count, is_named) = match self {
            Matcher::Text(regex) => (regex.captures_len(), regex.capture_names().any(is_named)),
            Matcher::Bytes(regex) => (regex.captures_len(), regex.capture_names().any(is_named)),
        };
        name.parse::<usize>().map_or(is_named, |number| number < count)
    }

    /// Refuses a replacement that refers to a group which the expression does not have.
    ///
    /// # Errors
    /// With the group, and what to write instead.
    pub(crate) fn validate_replacement(&self, replacement: &str) -> Result<()> {
        let mut rest = replacement;
        while let Some(at) = rest.find('$') {
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                rest = after;
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, shown) = if let Some(inner) = rest.strip_prefix('{') {
                let end = inner.find('}');
                let end = end.ok_or_else(|| anyhow!("`${{` is not closed; write `$$` for a `$`"))?;
                (&inner[..end], format!("${{{}}}", &inner[..end]))
            } else {
                let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
                (name, format!("${name}"))
            };
            rest = rest.strip_prefix('{').unwrap_or(rest);
            rest = &rest[name.len()..];
            if (name.is_empty() && !shown.ends_with('}')) || self.has_group(name) {
                continue;
            }
            let digits = &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())];
            let meant = match digits.is_empty() || digits == name || !self.has_group(digits) {
                true => String::new(),
                false => format!("`${{{digits}}}{}` for group {digits}, or ", &name[digits.len()..]),
            };
            bail!(
                "`{shown}` refers to a group that the regular expression does not have; write {meant}`$$` for a `$`"
            );
        }
        Ok(())
    }

    /// The text with all that it fits replaced, and how many places that changed; `None` where nothing changed.
    ///
    /// A `\r\n` is one line end, unless the expression itself speaks of `\r`; what is not replaced is kept to the byte,
    /// and line ends in the replacement are those of the file. Behind the last line end there is no line, and nothing is found.
    pub(crate) fn replace_all(&self, text: &str, replacement: &str) -> Option<(String, usize)> {
        match self {
            Matcher::Text(regex) if text.contains("\r\n") && !speaks_of_returns(regex.as_str()) => {
                Unreturned::of(text).replace_all(regex, replacement)
            }
            Matcher::Text(regex) => {
                let mut changed = 0;
                let replaced = regex.replace_all(text, |found: &Captures<'_>| {
                    let mut new = String::new();
                    if is_behind_all_lines(text.as_bytes(), found.get(0).map(|all| all.range())) {
                        return new;
                    }
                    found.expand(replacement, &mut new);
                    changed += usize::from(new != found[0]);
                    new
                });
                let replaced = replaced.into_owned();
                (changed > 0).then_some((replaced, changed))
            }
            Matcher::Bytes(regex) => {
                let bytes = encoded(text);
                let mut changed = 0;
                let replaced = regex.replace_all(&bytes, |found: &bytes::Captures<'_>| {
                    let mut new = Vec::new();
                    if is_behind_all_lines(&bytes, found.get(0).map(|all| all.range())) {
                        return new;
                    }
                    found.expand(replacement.as_bytes(), &mut new);
                    changed += usize::from(new != found[0]);
                    new
                });
                let replaced = held(&replaced);
                (changed > 0).then_some((replaced, changed))
            }
        }
    }
}

/// Whether nothing is what was found, and where there is no line: behind the last line's end, or in a text without lines.
fn is_behind_all_lines(text: &[u8], found: Option<Range<usize>>) -> bool {
    matches!(text.last(), None | Some(b'\n')) && found.is_some_and(|found| found.start == text.len())
}

/// Whether a regular expression names the carriage return.
pub(super) fn speaks_of_returns(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some(at) = rest.find(['\\', '\r']) {
        if rest[at..].starts_with('\r') {
            return true;
        }
        let mut chars = rest[at + 1..].chars();
        let escaped = chars.next();
        let digits = chars.as_str().trim_start_matches('{').trim_start_matches('0').to_ascii_lowercase();
        match escaped {
            Some('r') => return true,
            Some('x' | 'u' | 'U') if digits.starts_with('d') => {
                // `\x0D`, `\x{D}`, `\u000D`; not `\xD4`.
                let more = digits[1..].chars().next().is_some_and(|c| c.is_ascii_hexdigit());
                if !more || chars.as_str().starts_with('0') {
                    return true;
                }
            }
            _ => {}
        }
        rest = chars.as_str();
    }
    false
}

/// A text whose `\r\n` are seen as `\n`.
struct Unreturned {
    seen: String,
    /// The places of those `\n` that were `\r\n`, in order.
    returned: Vec<usize>,
    end: &'static str,
}

impl Unreturned {
    fn of(text: &str) -> Self {
        let mut seen = String::with_capacity(text.len());
        let mut returned = Vec::new();
        for line in text.split_inclusive('\n') {
            match line.strip_suffix("\r\n") {
                Some(content) => {
                    seen.push_str(content);
                    returned.push(seen.len());
                    seen.push('\n');
                }
                None => seen.push_str(line),
            }
        }
        Unreturned { seen, returned, end: line_end(text) }
    }

    /// As it was written.
    fn push(&self, range: Range<usize>, text: &mut String) {
        let mut at = range.start;
        let first = self.returned.partition_point(|place| *place < range.start);
        for place in self.returned[first..].iter().take_while(|place| **place < range.end) {
            text.push_str(&self.seen[at..*place]);
            text.push_str("\r\n");
            at = place + 1;
        }
        text.push_str(&self.seen[at..range.end]);
    }

    fn replace_all(&self, regex: &Regex, replacement: &str) -> Option<(String, usize)> {
        let mut text = String::with_capacity(self.seen.len());
        let (mut at, mut changed) = (0, 0);
        for found in regex.captures_iter(&self.seen) {
            let Some(all) = found.get(0) else { continue };
            if is_behind_all_lines(self.seen.as_bytes(), Some(all.range())) {
                continue;
            }
            let mut new = String::new();
            found.expand(replacement, &mut new);
            if new == all.as_str() {
                continue;
            }
            changed += 1;
            self.push(at..all.start(), &mut text);
            text.push_str(&new.replace("\r\n", "\n").replace('\n', self.end));
            at = all.end();
        }
        self.push(at..self.seen.len(), &mut text);
        (changed > 0).then_some((text, changed))
    }
}
