//! Editing a text file: what the jobs on parts of a file have in common.
//!
//! Knows bytes and lines, so that a file need not be UTF-8; not what is to be changed in them.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use dojob::{Context, CouldNotFindOut, OrCouldNotFindOut, Secret};
use regex::bytes::{Regex, RegexBuilder};

use super::differ::Differences;
use super::look::{self, Found, Links, OpenFile};
use super::owner::Resolved;
use super::turn;
use super::validate::Validate;
use super::write;

/// A file that is edited is held in memory as a whole, so it may not be larger: 64 MiB.
const LIMIT: usize = 64 * 1024 * 1024;

/// The file and how it is treated.
pub(crate) struct Editor<'a> {
    pub(crate) path: &'a Path,
    /// Whether a file that is missing is made.
    pub(crate) create: bool,
    pub(crate) backup: bool,
    /// Whether no difference is shown.
    pub(crate) hide: bool,
    pub(crate) validate: Option<&'a Validate>,
}

/// What a change comes to.
pub(crate) struct Edited {
    /// Why it was necessary.
    pub(crate) reason: String,
    /// All of the file from now on.
    pub(crate) text: Vec<u8>,
}

impl Editor<'_> {
    /// What is there; `None` for nothing. Links are followed: who names one means what it says.
    fn open(&self) -> Result<Option<(OpenFile, Vec<u8>)>> {
        let path = self.path.display();
        match look::open(self.path, Links::Follow)? {
            Found::Nothing if self.create => Ok(None),
            Found::Nothing => bail!("{path} does not exist"),
            Found::File(mut file) => {
                let text = file.read(LIMIT).or_could_not_find_out(format_args!("what {path} says"))?;
                let text = text.ok_or_else(|| {
                    CouldNotFindOut::new(format!("what {path} says")).because("it is larger than 64 MiB")
                })?;
                Ok(Some((file, text)))
            }
            other => bail!("{path} is {}, not a file", other.what().unwrap_or_default()),
        }
    }

    /// For a check: whether `edit` finds nothing to do.
    ///
    /// # Errors
    /// Those of `edit`; `NotAsWanted` when it finds something; when the file cannot be read.
    pub(crate) fn check(&self, edit: impl FnOnce(&[u8]) -> Result<Option<Edited>>) -> Result<()> {
        let found = self.open()?;
        let text = found.as_ref().map_or(&[][..], |(_, text)| text);
        let Some(edited) = edit(text)? else { return Ok(()) };
        let mut differences = Differences::new();
        match found {
            Some(_) if self.hide => differences.add(edited.reason),
            Some(_) => differences.add_content(edited.reason, self.path, text, &edited.text),
            None => {
                let reason = format!("{} does not exist", self.path.display());
                if self.hide {
                    differences.add(reason);
                } else {
                    differences.add_content(reason, self.path, b"", &edited.text);
                }
            }
        }
        differences.into_result()
    }

    /// For a run: writes what `edit` makes of it, unless there is nothing to do.
    ///
    /// # Errors
    /// Those of `edit`; when the file cannot be read or written.
    pub(crate) fn run(&self, cx: &Context, edit: impl FnOnce(&[u8]) -> Result<Option<Edited>>) -> Result<()> {
        let _turn = turn::take(cx, self.path)?;
        let mut found = self.open()?;
        let text = found.as_ref().map_or(&[][..], |(_, text)| text);
        let Some(edited) = edit(text)? else { return Ok(()) };
        let path = write::follow(self.path)?;
        let content = |to: &mut File| Ok(to.write_all(&edited.text)?);
        let attributes = Resolved { confidential: self.hide, ..Resolved::default() };
        write::write_after(cx, &path, &attributes, content, |new| {
            self.validate.map_or(Ok(()), |validate| validate.accept(cx, new))?;
            match found.as_mut().filter(|_| self.backup) {
                Some((old, _)) => write::keep(cx, &path, old),
                None => Ok(()),
            }
        })
    }
}

/// A text that is to be confidential is masked wherever it turns up.
pub(crate) fn mask(cx: &Context, text: &str) {
    cx.mask(&Secret::new(text.to_owned()));
}

/// A regular expression over the bytes of a text in which `^` and `$` stand for the ends of lines.
///
/// # Errors
/// When it is none, with the place where it is wrong.
pub(crate) fn regex(field: &str, pattern: &str) -> Result<Regex> {
    let regex = RegexBuilder::new(pattern).multi_line(true).build();
    regex.with_context(|| format!("`{field}` is no regular expression"))
}

/// Refuses what would be more than one line.
///
/// # Errors
/// When it has a line's end in it.
pub(crate) fn one_line(field: &str, text: &str) -> Result<()> {
    ensure!(!text.contains(['\n', '\r', '\0']), "`{field}` must be one line, without a NUL byte");
    Ok(())
}

/// A text in lines, each with its own end.
pub(crate) struct Lines<'t> {
    lines: Vec<&'t [u8]>,
    /// What its lines end with: the first one decides for new ones.
    end: &'static str,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t [u8]) -> Self {
        let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let end = if lines.first().is_some_and(|line| line.ends_with(b"\r\n")) { "\r\n" } else { "\n" };
        Lines { lines, end }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Each line without its end.
    pub(crate) fn contents(&self) -> impl DoubleEndedIterator<Item = &'t [u8]> + ExactSizeIterator + '_ {
        self.lines.iter().map(|line| content(line))
    }

    /// The line at a place, without its end.
    pub(crate) fn line(&self, place: usize) -> Option<&'t [u8]> {
        self.lines.get(place).map(|line| content(line))
    }

    /// The lines from a place up to another, without their ends.
    pub(crate) fn between(&self, first: usize, end: usize) -> impl Iterator<Item = &'t [u8]> + '_ {
        self.lines.get(first..end).unwrap_or_default().iter().map(|line| content(line))
    }

    /// The places of the lines for which it is true.
    pub(crate) fn places(&self, is: impl Fn(&[u8]) -> bool) -> Vec<usize> {
        self.contents().enumerate().filter(|(_, line)| is(line)).map(|(place, _)| place).collect()
    }

    /// The text with these lines in the place of those in `range`.
    pub(crate) fn splice<'n>(
        &self,
        range: std::ops::Range<usize>,
        new: impl IntoIterator<Item = &'n [u8]>,
    ) -> Vec<u8> {
        let mut text = Vec::new();
        let end_line = |text: &mut Vec<u8>| {
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.extend_from_slice(self.end.as_bytes());
            }
        };
        for line in &self.lines[..range.start] {
            text.extend_from_slice(line);
        }
        for line in new {
            end_line(&mut text);
            text.extend_from_slice(line);
            text.extend_from_slice(self.end.as_bytes());
        }
        for line in &self.lines[range.end..] {
            text.extend_from_slice(line);
        }
        text
    }

    /// The text without these lines, in order.
    pub(crate) fn without(&self, places: &[usize]) -> Vec<u8> {
        let kept = self.lines.iter().enumerate().filter(|(place, _)| places.binary_search(place).is_err());
        kept.flat_map(|(_, line)| line.iter().copied()).collect()
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
        let regex = regex(field, pattern)?;
        if self.lines.is_empty() && regex.is_match(b"") {
            return Ok(0);
        }
        let mut lines = self.contents();
        let place = match field {
            "after" => lines.rposition(|line| regex.is_match(line)).map(|place| place + 1),
            _ => lines.position(|line| regex.is_match(line)),
        };
        place.with_context(|| format!("no line fits `{field}`, {pattern:?}"))
    }
}

/// A line without its end.
fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Both `after` and `before` are asked for, or one that is no regular expression.
///
/// # Errors
/// Then.
pub(crate) fn validate_place(after: Option<&str>, before: Option<&str>) -> Result<()> {
    ensure!(after.is_none() || before.is_none(), "only one of `after` and `before` can be given");
    after.map_or(Ok(()), |after| regex("after", after).map(drop))?;
    before.map_or(Ok(()), |before| regex("before", before).map(drop))
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
    use super::*;

    fn spliced(text: &str, range: std::ops::Range<usize>, new: &[&str]) -> String {
        let text = Lines::of(text.as_bytes()).splice(range, new.iter().map(|line| line.as_bytes()));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(spliced("a\nb\n", 1..1, &["x"]), "a\nx\nb\n");
        assert_eq!(spliced("a\nb", 2..2, &["x"]), "a\nb\nx\n");
        assert_eq!(spliced("a\r\nb", 2..2, &["x", "y"]), "a\r\nb\r\nx\r\ny\r\n");
        assert_eq!(spliced("", 0..0, &["x"]), "x\n");
        assert_eq!(spliced("a\nb\nc", 0..2, &["x"]), "x\nc");
        assert_eq!(Lines::of(b"a\nb\nc").without(&[0, 2]), b"b\n");
    }

    #[test]
    fn new_lines_have_a_place() {
        let lines = Lines::of(b"a\nb\r\na\n");
        assert_eq!(lines.place(None, None).unwrap(), 3);
        assert_eq!(lines.place(Some("^a$"), None).unwrap(), 3);
        assert_eq!(lines.place(Some("^b$"), None).unwrap(), 2);
        assert_eq!(lines.place(None, Some("^")).unwrap(), 0);
        assert_eq!(Lines::of(b"").place(None, Some("^")).unwrap(), 0);
        assert_eq!(lines.place(Some("c"), None).unwrap_err().to_string(), "no line fits `after`, \"c\"");
        assert!(Lines::of(b"").place(Some("c"), None).is_err());
    }

    #[test]
    fn numbers_are_counted_from_one() {
        assert_eq!(line_numbers(&[2]), "line 3");
        assert_eq!(line_numbers(&[2, 4, 8]), "lines 3, 5 and 9");
    }
}
