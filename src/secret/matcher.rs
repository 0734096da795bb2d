//! Finding the forms of secrets in a text, in time linear in the text whatever the number and the length of the secrets.
//!
//! A short form is found as a whole: by its first bytes, and then in a set. A long form is found by the blocks that it
//! consists of, so that a fragment of it is found as well: a piece of a line, or what is left of it in output that was cut.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::forms::{encoded, parts, written};

/// Long forms are found by aligned blocks of so many bytes.
const BLOCK: usize = 16;
/// A form of so many bytes is long, and any fragment of it with so many bytes is found. Each has a whole block in it.
const LONG: usize = 2 * BLOCK;
/// Of a block that occurs often in long forms only the first places are kept, so that repetitions stay cheap.
const PLACES: usize = 4;
/// So many bytes of the beginning and of the end of a form are known, to recognise it where a text is cut.
pub(crate) const EDGE: usize = 2 * LONG;
/// The first bytes by which a short form is looked up.
const KEY: usize = 4;

/// Where an encoding is wrapped into lines, so many bytes of it are recognised at the end of one line and at the beginning of
/// the next.
const WRAPPED: usize = 8;

#[derive(Default)]
pub(super) struct Matcher {
    secrets: HashSet<Box<str>>,
    /// What is a secret by itself, unescaped.
    parts: HashSet<Box<str>>,
    short: HashSet<Box<[u8]>>,
    /// The lengths of the short forms that begin so, as bits.
    lengths: HashMap<[u8; KEY], u32>,
    /// The lengths of the forms that are shorter than a key, as bits.
    tiny: u32,
    long: Vec<Arc<[u8]>>,
    /// The same forms, to find out whether one is known.
    known_long: HashSet<Arc<[u8]>>,
    /// Where in long forms a block is: the number of the form, and the byte.
    blocks: HashMap<[u8; BLOCK], Vec<(u32, u32)>>,
    /// The first bytes of all forms.
    beginnings: BTreeSet<Box<[u8]>>,
    /// The last bytes of all forms, in reverse.
    ends: BTreeSet<Box<[u8]>>,
    /// The first and the last bytes of what is in hexadecimal or base64.
    encoded_starts: HashSet<[u8; WRAPPED]>,
    encoded_ends: HashSet<[u8; WRAPPED]>,
}

/// Puts ranges in order, and joins those that overlap.
pub(super) fn join_overlapping(places: &mut Vec<Range<usize>>) {
    places.sort_by_key(|place| (place.start, place.end));
    places.dedup_by(|next, before| {
        let overlap = next.start < before.end;
        if overlap {
            before.end = before.end.max(next.end);
        }
        overlap
    });
}

impl Matcher {
    pub(super) fn knows(&self, secret: &str) -> bool {
        self.secrets.contains(secret)
    }

    /// Whether a text is a secret, or a line of one.
    pub(super) fn is_one(&self, text: &str) -> bool {
        self.parts.contains(text)
    }

    pub(super) fn add(&mut self, secret: &str) {
        self.secrets.insert(secret.into());
        for (index, part) in parts(secret).into_iter().enumerate() {
            if part.is_empty() || !self.parts.insert(part.into()) {
                continue;
            }
            // Of the whole, long lines are fragments already.
            if index == 0 || part.len() < LONG {
                written(part, |form| self.add_form(form.as_bytes()));
            } else {
                self.add_edges(part.as_bytes());
            }
            if index < 2 {
                encoded(part, |form| {
                    self.add_form(form.as_bytes());
                    self.encoded_starts.extend(form.as_bytes().first_chunk::<WRAPPED>());
                    self.encoded_ends.extend(form.as_bytes().last_chunk::<WRAPPED>());
                });
            }
        }
    }

    fn add_form(&mut self, form: &[u8]) {
        if form.len() >= LONG {
            self.add_long(form);
        } else if !form.is_empty() && self.short.insert(form.into()) {
            match form.first_chunk::<KEY>() {
                Some(key) => *self.lengths.entry(*key).or_default() |= 1 << form.len(),
                None => self.tiny |= 1 << form.len(),
            }
            self.add_edges(form);
        }
    }

    fn add_long(&mut self, form: &[u8]) {
        // Most encodings of a text may be one and the same.
        if self.known_long.contains(form) {
            return;
        }
        let (Ok(number), Ok(_)) = (u32::try_from(self.long.len()), u32::try_from(form.len())) else { return };
        for (index, block) in form.as_chunks::<BLOCK>().0.iter().enumerate() {
            let places = self.blocks.entry(*block).or_default();
            if places.len() < PLACES {
                places.push((number, (index * BLOCK) as u32));
            }
        }
        self.add_edges(form);
        let form: Arc<[u8]> = form.into();
        self.known_long.insert(form.clone());
        self.long.push(form);
    }

    fn add_edges(&mut self, form: &[u8]) {
        self.beginnings.insert(form[..form.len().min(EDGE)].into());
        self.ends.insert(form.iter().rev().take(EDGE).copied().collect());
    }

    /// Where forms stand in `text`, and fragments of long ones: ascending, those that overlap joined.
    pub(super) fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> = Vec::new();
        if !self.short.is_empty() {
            places.extend((0..text.len()).filter_map(|at| Some(at..at + self.longest_short(&text[at..])?)));
        }
        if !self.long.is_empty() {
            self.fragments(text, &mut places);
        }
        self.wrapped(text, &mut places);
        join_overlapping(&mut places);
        places
    }

    /// The length of the longest short form with which `text` begins.
    fn longest_short(&self, text: &[u8]) -> Option<usize> {
        let keyed = text.first_chunk::<KEY>().and_then(|key| self.lengths.get(key)).copied().unwrap_or(0);
        let mut lengths = keyed | self.tiny;
        while let Some(length) = lengths.checked_ilog2() {
            lengths &= !(1 << length);
            let length = length as usize;
            if text.get(..length).is_some_and(|start| self.short.contains(start)) {
                return Some(length);
            }
        }
        None
    }

    /// The beginnings of encodings at the ends of words, and the ends of encodings at the beginnings of words: what is left
    /// where an encoding is wrapped into lines.
    fn wrapped(&self, text: &[u8], places: &mut Vec<Range<usize>>) {
        if self.encoded_starts.is_empty() {
            return;
        }
        let is_encoding = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        let mut at = 0;
        for word in text.split(|byte| !is_encoding(byte)) {
            let (start, end) = (at, at + word.len());
            at = end + 1;
            if word.len() < WRAPPED {
                continue;
            }
            let begins_at = |from: &usize| {
                let rest = &text[*from..end];
                let first = rest.first_chunk::<WRAPPED>();
                first.is_some_and(|first| self.encoded_starts.contains(first))
                    && begins(&self.beginnings, rest)
            };
            places.extend(
                (start.max(end.saturating_sub(EDGE))..=end - WRAPPED).find(begins_at).map(|from| from..end),
            );
            let ends_at = |to: &usize| {
                let last = text[start..*to].last_chunk::<WRAPPED>();
                last.is_some_and(|last| self.encoded_ends.contains(last)) && {
                    let reversed: Vec<u8> = text[start..*to].iter().rev().copied().collect();
                    begins(&self.ends, &reversed)
                }
            };
            places.extend((start + WRAPPED..=end.min(start + EDGE)).rev().find(ends_at).map(|to| start..to));
        }
    }

    fn fragments(&self, text: &[u8], places: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(block) = text[at..].first_chunk::<BLOCK>() {
            let candidates = self.blocks.get(block).map_or(&[][..], Vec::as_slice);
            let found = candidates.iter().map(|(form, place)| {
                let form = &self.long[*form as usize];
                let (before, after) = form.split_at(*place as usize);
                let alike = |one: &u8, other: &u8| one == other;
                let back = before.iter().rev().zip(text[..at].iter().rev());
                let back = back.take_while(|(one, other)| alike(one, other)).count();
                let on = after.iter().zip(&text[at..]).take_while(|(one, other)| alike(one, other)).count();
                at - back..at + on
            });
            match found.max_by_key(Range::len).filter(|place| place.len() >= LONG) {
                Some(place) => {
                    // Another one may begin within the last block.
                    at = (at + 1).max(place.end - BLOCK + 1);
                    places.push(place);
                }
                None => at += 1,
            }
        }
    }

    /// How many bytes at the end of `text` may be the beginning of a form.
    pub(super) fn begun_at_end(&self, text: &[u8]) -> usize {
        let longest = text.len().min(EDGE);
        (1..=longest).rev().find(|length| begins(&self.beginnings, &text[text.len() - length..])).unwrap_or(0)
    }

    /// How many bytes at the beginning of `text` may be the end of a form.
    pub(super) fn ended_at_beginning(&self, text: &[u8]) -> usize {
        let reversed = |length: usize| text[..length].iter().rev().copied().collect::<Vec<u8>>();
        (1..=text.len().min(EDGE)).rev().find(|length| begins(&self.ends, &reversed(*length))).unwrap_or(0)
    }
}

/// Whether one of `edges` begins with `text`.
fn begins(edges: &BTreeSet<Box<[u8]>>, text: &[u8]) -> bool {
    let from = (std::ops::Bound::Included(text), std::ops::Bound::Unbounded);
    edges.range::<[u8], _>(from).next().is_some_and(|edge| edge.starts_with(text))
}
