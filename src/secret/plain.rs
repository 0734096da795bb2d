//! A text without control codes: a secret that has some within it is whole again as soon as they are taken out, as they are
//! wherever people look.

use std::ops::Range;

/// A text without its control codes; line ends and tabs stay.
pub(super) struct Plain {
    pub(super) bytes: Vec<u8>,
    /// The pieces that were left: where each begins in `bytes` and in the text, in ascending order.
    pieces: Vec<(usize, usize)>,
}

impl Plain {
    /// `None` where there are no control codes.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        if !has_codes(text) {
            return None;
        }
        let mut plain = Plain { bytes: Vec::with_capacity(text.len()), pieces: Vec::new() };
        for visible in anstream::adapter::strip_bytes(text) {
            // What is left is a part of the text.
            let mut at = visible.as_ptr().addr() - text.as_ptr().addr();
            for chunk in visible.utf8_chunks() {
                for shown in chunk.valid().split_inclusive(is_code) {
                    let kept = shown.trim_end_matches(is_code);
                    plain.push(at, kept.as_bytes());
                    at += shown.len();
                }
                plain.push(at, chunk.invalid());
                at += chunk.invalid().len();
            }
        }
        Some(plain)
    }

    fn push(&mut self, at: usize, piece: &[u8]) {
        if !piece.is_empty() {
            self.pieces.push((self.bytes.len(), at));
            self.bytes.extend_from_slice(piece);
        }
    }

    /// Where in the text a byte stands.
    fn origin(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(plain, _)| *plain <= at).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |(plain, text)| text + (at - plain))
    }

    /// Where in the text these bytes stand, with all that is between them.
    pub(super) fn in_text(&self, place: &Range<usize>) -> Range<usize> {
        match place.end.checked_sub(1) {
            Some(last) => self.origin(place.start)..self.origin(last) + 1,
            None => 0..0,
        }
    }
}

/// Whether there are control codes in a text, by its bytes: as [`is_code`] says of characters.
fn has_codes(text: &[u8]) -> bool {
    let is_other = |bytes: &[u8]| {
        matches!(
            bytes,
            [0xc2, 0x80..=0x9f, ..]
                | [0xe2, 0x80, 0x8e | 0x8f | 0xa8..=0xae, ..]
                | [0xe2, 0x81, 0xa6..=0xa9, ..]
        )
    };
    text.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t'))
        || !text.is_ascii() && (0..text.len()).any(|at| is_other(&text[at..]))
}

/// Control codes, and the marks that turn the direction of the text around them.
fn is_code(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_found_around_its_codes() {
        for (text, plain) in [
            ("a\x1b[01;31m\x1b[Kb\x1b[mc", "abc"),
            ("a\0b\x08c\r", "abc"),
            ("\u{202e}ab\u{85}c", "abc"),
            ("a\x1b]8;;http://x\x07b\x1b]8;;\x07c", "abc"),
        ] {
            let found = Plain::of(text.as_bytes()).unwrap();
            assert_eq!(found.bytes, plain.as_bytes(), "{text:?}");
            let place = found.in_text(&(0..3));
            assert!(text[place.clone()].starts_with('a') && text[place].ends_with('c'), "{text:?}");
        }
        assert!(Plain::of("a line\twith\nnothing – ä".as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn every_byte_that_is_left_is_where_it_was(text in "[ab\u{1b}\\[m0;\0\r\n\té\u{202e}]{0,40}") {
            if let Some(plain) = Plain::of(text.as_bytes()) {
                let origins: Vec<_> = (0..plain.bytes.len()).map(|at| plain.in_text(&(at..at + 1))).collect();
                prop_assert!(origins.is_sorted_by(|a, b| a.end <= b.start));
                for (at, origin) in origins.into_iter().enumerate() {
                    prop_assert_eq!(&text.as_bytes()[origin], &plain.bytes[at..=at]);
                }
            } else {
                prop_assert!(!text.chars().any(is_code));
            }
        }
    }
}
