//! What a command prints: cut into lines for those who watch, and kept within a bound for those who ask afterwards.
//!
//! Does not know about processes: bytes come in, lines and a [`Captured`] come out.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::secret::Redactor;

/// A line longer than this many bytes is handed on in pieces.
const LONGEST_LINE: usize = 16 * 1024;

/// What a command printed on one of its streams: the first and the last bytes of it, within the bound that
/// [`Command::keep`](crate::Command::keep) sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    bound: usize,
    dropped: u64,
}

impl Captured {
    /// Keeps at most `bound` bytes: half of them from the beginning, half from the end.
    pub(crate) fn new(bound: usize) -> Self {
        Captured { bound, ..Captured::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let into_head = (self.bound / 2).saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(into_head);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.bound - self.bound / 2);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }

    /// The bytes that were kept. Where some were dropped between the beginning and the end, nothing marks the place.
    pub fn bytes(&self) -> Vec<u8> {
        self.head.iter().chain(&self.tail).copied().collect()
    }

    /// The text, without white space at its end; bytes that are no UTF-8 are replaced. Where something was dropped, a
    /// line in its place says how much.
    pub fn text(&self) -> String {
        let mut text = self.whole();
        text.truncate(text.trim_end().len());
        text
    }

    /// As [`text`](Captured::text), but without line breaks alone at its end, as a shell's `$(…)` has it: what a job hands
    /// on that does not know what it is for.
    pub fn substituted(&self) -> String {
        let mut text = self.whole();
        text.truncate(text.trim_end_matches('\n').len());
        text
    }

    fn whole(&self) -> String {
        if self.dropped == 0 {
            return String::from_utf8_lossy(&self.bytes()).into_owned();
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        format!(
            "{}\n[{} bytes left out]\n{}",
            String::from_utf8_lossy(&self.head),
            self.dropped,
            String::from_utf8_lossy(&tail)
        )
    }

    /// How many bytes were not kept.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The last `count` lines that are not blank.
    pub(crate) fn last_lines(&self, count: usize) -> Vec<String> {
        let text = self.text();
        let mut lines: Vec<String> = text
            .lines()
            .rev()
            .filter(|line| !line.trim().is_empty())
            .take(count)
            .map(str::to_owned)
            .collect();
        lines.reverse();
        lines
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes `bytes` and hands on every line that is complete with them.
    pub(crate) fn push(&mut self, bytes: &[u8], redactor: &Redactor, mut line: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.pending.len() + part.len() > LONGEST_LINE {
                let (first, rest) = part.split_at(LONGEST_LINE.saturating_sub(self.pending.len()));
                self.pending.extend_from_slice(first);
                part = rest;
                // A secret as long as a line cannot be waited for.
                let cut = match redactor.safe_cut(&self.pending) {
                    0 => self.pending.len(),
                    cut => cut,
                };
                let cut = last_boundary(&self.pending[..cut]);
                let left: Vec<u8> = self.pending.drain(cut..).collect();
                self.flush(&mut line);
                self.pending = left;
            }
            self.pending.extend_from_slice(part);
            if self.pending.last() == Some(&b'\n') {
                self.flush(&mut line);
            }
        }
    }

    /// Hands on what is left when the stream has ended without a line ending.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.pending.is_empty() {
            self.flush(&mut line);
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&str)) {
        let text: Cow<'_, str> = String::from_utf8_lossy(&self.pending);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        line(text);
        self.pending.clear();
    }
}

/// The length of `bytes` without a character that is cut off at its end.
fn last_boundary(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    match bytes[start..].iter().rposition(|byte| byte & 0xC0 == 0xC0) {
        Some(lead) => {
            let length = match bytes[start + lead] {
                0xF0.. => 4,
                0xE0.. => 3,
                _ => 2,
            };
            if start + lead + length > bytes.len() { start + lead } else { bytes.len() }
        }
        None => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        lines_with(&Redactor::default(), chunks)
    }

    fn lines_with(redactor: &Redactor, chunks: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.push(chunk, redactor, |line| found.push(line.to_owned()));
        }
        lines.finish(|line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n", b"\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_no_character_is_cut() {
        let line = "ä".repeat(LONGEST_LINE);
        let pieces = lines(&[line.as_bytes(), b"\nend\n"]);
        assert!(pieces.iter().all(|piece| piece.len() <= LONGEST_LINE && !piece.contains('\u{fffd}')));
        assert_eq!(pieces[..pieces.len() - 1].concat(), line);
        assert_eq!(pieces.last().unwrap(), "end");
    }

    #[test]
    fn a_secret_in_a_long_line_is_whole_in_one_piece() {
        let redactor = Redactor::default();
        redactor.add("hunter2");
        for shift in 0..10 {
            let line = format!("{}hunter2{}", "x".repeat(LONGEST_LINE - shift), "y".repeat(LONGEST_LINE));
            let pieces = lines_with(&redactor, &[line.as_bytes()]);
            assert_eq!(pieces.concat(), line);
            assert!(pieces.iter().any(|piece| piece.contains("hunter2")), "{shift}");
        }
    }

    #[test]
    fn the_first_and_the_last_bytes_are_kept() {
        let mut captured = Captured::new(8);
        for chunk in [b"abc".as_slice(), b"defg", b"hijklm"] {
            captured.push(chunk);
        }
        assert_eq!(captured.bytes(), b"abcdjklm");
        assert_eq!(captured.dropped(), 5);
        assert_eq!(captured.text(), "abcd\n[5 bytes left out]\njklm");
    }

    #[test]
    fn only_line_breaks_are_taken_off_what_is_handed_on() {
        let of = |bytes: &[u8]| {
            let mut captured = Captured::new(8);
            captured.push(bytes);
            captured.substituted()
        };
        assert_eq!(of(b"\na \t\n\n"), "\na \t");
        assert_eq!(of(b"\n\n"), "");
        assert_eq!(of(b"a\xff\r\n"), "a\u{fffd}\r");
        assert_eq!(of(b"abcdefghij \n"), "abcd\n[4 bytes left out]\nij ");
    }

    proptest! {
        #[test]
        fn what_is_kept_does_not_depend_on_the_chunks(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20),
            bound in 0_usize..64,
        ) {
            let mut captured = Captured::new(bound);
            chunks.iter().for_each(|chunk| captured.push(chunk));
            let mut whole = Captured::new(bound);
            whole.push(&chunks.concat());
            prop_assert_eq!(captured.bytes(), whole.bytes());
            prop_assert!(captured.bytes().len() <= bound);
            prop_assert_eq!(captured.bytes().len() as u64 + captured.dropped(), chunks.concat().len() as u64);
        }
    }
}
