//! What a command prints: cut into lines for those who watch, and kept within a bound for those who ask afterwards.
//!
//! Does not know about processes: bytes come in, lines and a [`Captured`] come out.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::secret::Redactor;

/// A line longer than this many bytes is handed on in pieces.
const LONGEST_LINE: usize = 16 * 1024;

/// So many bytes of a piece are kept, to recognise a secret that goes on in the next one.
const CONTEXT: usize = 64;

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

    /// Drops what is left of secrets on both sides of the place where bytes were dropped: half a secret would not be
    /// recognised. To be called when all is there.
    pub(crate) fn settle(&mut self, redactor: &Redactor) {
        if self.dropped == 0 {
            return;
        }
        let end = redactor.loose_end(&self.head);
        self.head.truncate(self.head.len() - end);
        let beginning = redactor.loose_beginning(self.tail.make_contiguous());
        self.tail.drain(..beginning);
        self.dropped += (end + beginning) as u64;
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

    fn whole(&self) -> String {
        if self.dropped == 0 {
            return String::from_utf8_lossy(&self.bytes()).into_owned();
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        join(&String::from_utf8_lossy(&self.head), &String::from_utf8_lossy(&tail), self.dropped)
    }

    /// [`pieces`](Self::pieces) that are texts, with a line between them that says how much is left out.
    pub(crate) fn join_pieces(&self, head: &str, tail: &str) -> String {
        let cut = self.head.len() + self.tail.len() - head.len() - tail.len();
        join(head, tail, self.dropped + cut as u64)
    }

    /// What was kept, in one piece or two, and where each stands in the whole. Characters that were cut are left out.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Vec<u8>, u64)> {
        if self.dropped == 0 {
            return [Some((self.bytes(), 0)), None].into_iter().flatten();
        }
        let head = self.head[..last_boundary(&self.head)].to_vec();
        let cut = self.tail.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
        let tail = self.tail.iter().skip(cut).copied().collect();
        let offset = self.head.len() as u64 + self.dropped + cut as u64;
        [Some((head, 0)), Some((tail, offset))].into_iter().flatten()
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

/// Beginning and end, with a line between them that says how much is left out.
fn join(head: &str, tail: &str, left_out: u64) -> String {
    format!("{head}\n[{left_out} bytes left out]\n{tail}")
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    /// The end of what was handed on of the same line.
    before: Vec<u8>,
}

impl Lines {
    /// Takes `bytes` and hands on every line that is complete with them. A long line is handed on in pieces without
    /// secrets, since they could not be recognised in pieces afterwards.
    pub(crate) fn push(&mut self, bytes: &[u8], redactor: &Redactor, mut line: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.pending.len() + part.len() > LONGEST_LINE {
                let (first, rest) = part.split_at(LONGEST_LINE.saturating_sub(self.pending.len()));
                self.pending.extend_from_slice(first);
                part = rest;
                let cut = last_boundary(&self.pending[..redactor.safe_cut(&self.pending)]);
                self.piece(cut, redactor, &mut line);
            }
            self.pending.extend_from_slice(part);
            if self.pending.last() == Some(&b'\n') {
                self.last(redactor, &mut line);
            }
        }
    }

    /// Hands on what is left when the stream has ended without a line ending.
    pub(crate) fn finish(&mut self, redactor: &Redactor, mut line: impl FnMut(&str)) {
        if !self.pending.is_empty() {
            self.last(redactor, &mut line);
        }
    }

    /// Hands on what is pending up to `cut` as a piece of a line.
    fn piece(&mut self, cut: usize, redactor: &Redactor, line: &mut impl FnMut(&str)) {
        let before = self.before.len();
        let left = self.pending.split_off(cut);
        let mut text = std::mem::take(&mut self.before);
        text.append(&mut self.pending);
        // What is left tells whether a secret goes on behind the cut.
        let end = text.len();
        text.extend_from_slice(&left);
        hand_on(&redactor.mask_part(&text, before..end), line);
        self.before = text[end.saturating_sub(CONTEXT)..end].to_vec();
        self.pending = left;
    }

    /// Hands on what is pending as a line, or as the last piece of one.
    fn last(&mut self, redactor: &Redactor, line: &mut impl FnMut(&str)) {
        if self.before.is_empty() {
            hand_on(&self.pending, line);
            self.pending.clear();
        } else {
            self.piece(self.pending.len(), redactor, line);
            self.before.clear();
        }
    }
}

fn hand_on(text: &[u8], line: &mut impl FnMut(&str)) {
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    line(text.strip_suffix('\r').unwrap_or(text));
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
        lines.finish(redactor, |line| found.push(line.to_owned()));
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
    fn a_secret_in_a_long_line_is_masked_across_its_pieces() {
        let redactor = Redactor::default();
        redactor.add("hunter2");
        for shift in 0..10 {
            let line = format!("{}hunter2{}", "x".repeat(LONGEST_LINE - shift), "y".repeat(LONGEST_LINE));
            let shown = lines_with(&redactor, &[line.as_bytes()]).concat();
            let masked = redactor.mask(&shown);
            assert_eq!(masked.trim_start_matches('x').trim_end_matches('y'), "***", "{shift}");
        }
    }

    #[test]
    fn a_secret_longer_than_a_line_may_be_leaves_nothing_in_any_piece() {
        let redactor = Redactor::default();
        let secret: String = (0..9_000).map(|number| format!("{number:04}")).collect();
        redactor.add(&secret);
        for before in [0, 1, 20, LONGEST_LINE - 40, LONGEST_LINE - 10] {
            let line = format!("{}{secret}{}", "x".repeat(before), "y".repeat(20));
            let shown: Vec<String> = lines_with(&redactor, &[line.as_bytes()])
                .iter()
                .map(|piece| redactor.mask(piece).into())
                .collect();
            assert!(
                shown.iter().all(|piece| !piece.contains(|c: char| c.is_ascii_digit())),
                "{before}: {shown:?}"
            );
        }
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_kept_output_is_cut() {
        let redactor = Redactor::default();
        let secret = "correct-horse-battery-staple";
        redactor.add(secret);
        for before in 0..40 {
            let mut captured = Captured::new(100);
            captured.push(format!("{}{secret}{}", ".".repeat(before), ".".repeat(200)).as_bytes());
            captured.settle(&redactor);
            let text = captured.text();
            assert!(
                !redactor.mask(&text).replace("bytes left out", "").contains(|c: char| c.is_alphabetic()),
                "{text}"
            );
            let mut captured = Captured::new(100);
            captured.push(format!("{}{secret}{}", ".".repeat(200), ".".repeat(before)).as_bytes());
            captured.settle(&redactor);
            let text = captured.text();
            assert!(
                !redactor.mask(&text).replace("bytes left out", "").contains(|c: char| c.is_alphabetic()),
                "{text}"
            );
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
