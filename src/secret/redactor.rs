//! The [`Redactor`]: masks the secrets of a run in texts and values.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;

use super::mask::MASK;
use super::matcher::{EDGE, Matcher, join_overlapping};
use super::plain::Plain;
use super::{forms, userinfo};

/// Masks the texts of the secrets of a run.
#[derive(Default)]
pub(crate) struct Redactor {
    /// Whether there is anything to mask: the usual answer is no, and costs one load.
    any: AtomicBool,
    matcher: RwLock<Option<Matcher>>,
}

/// How many bytes before its end a text is cut at most: a secret that has begun, and control codes within it.
const FURTHEST: usize = 16 * EDGE;

/// What is masked in the log of this process, which belongs to no run: the secrets of all of them.
pub(crate) static IN_LOGS: Redactor = Redactor::new();

impl Redactor {
    pub(super) const fn new() -> Self {
        Redactor { any: AtomicBool::new(false), matcher: RwLock::new(None) }
    }

    /// Masks `text` from now on, in all of its [forms](super::forms).
    pub(crate) fn add(&self, text: &str) {
        if !std::ptr::eq(self, &raw const IN_LOGS) {
            IN_LOGS.add(text);
        }
        if text.trim().is_empty() || self.read().knows(text) {
            return;
        }
        self.matcher.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().add(text);
        self.any.store(true, Ordering::Release);
    }

    fn is_idle(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    fn read(&self) -> Reading<'_> {
        Reading(self.matcher.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where secrets stand in `text`, also with control codes within them: ranges of bytes in ascending order, those that overlap
    /// joined.
    pub(crate) fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        if self.is_idle() {
            return Vec::new();
        }
        let reading = self.read();
        let mut places = reading.places(text);
        if let Some(plain) = Plain::of(text) {
            places.extend(reading.places(&plain.bytes).iter().map(|place| plain.in_text(place)));
            join_overlapping(&mut places);
        }
        places
    }

    /// As [`places`](Redactor::places), with the passwords and tokens in URLs.
    fn hidden_places(&self, text: &[u8]) -> Vec<Range<usize>> {
        let in_urls = userinfo::in_urls(text);
        let mut places = self.places(text);
        if in_urls.is_empty() {
            return places;
        }
        places.extend(in_urls);
        join_overlapping(&mut places);
        places
    }

    /// `text` without secrets.
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let places = self.hidden_places(text.as_bytes());
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for place in places {
            // A fragment of a secret may end within a character.
            let (start, end) = (text.floor_char_boundary(place.start), text.ceil_char_boundary(place.end));
            masked.push_str(&text[from..start.max(from)]);
            masked.push_str(MASK);
            from = end;
        }
        masked.push_str(&text[from..]);
        Cow::Owned(masked)
    }

    /// `text` without secrets, as bytes; only what stands in `part` of it, the rest is there to recognise them by.
    pub(crate) fn mask_part(&self, text: &[u8], part: Range<usize>) -> Vec<u8> {
        let mut masked = Vec::with_capacity(part.len());
        let mut from = part.start;
        for place in self.hidden_places(text) {
            let (start, end) = (place.start.max(part.start), place.end.min(part.end));
            if start < end {
                masked.extend_from_slice(&text[from..start]);
                masked.extend_from_slice(MASK.as_bytes());
                from = end;
            }
        }
        masked.extend_from_slice(&text[from..part.end]);
        masked
    }

    /// Where a text that goes on behind its end can be cut so that no secret has only its beginning before the cut.
    /// At most [`FURTHEST`] bytes before the end.
    pub(crate) fn safe_cut(&self, text: &[u8]) -> usize {
        if self.is_idle() {
            return text.len();
        }
        let reading = self.read();
        let cut = text.len() - reading.begun_at_end(text);
        let Some(plain) = Plain::of(text) else { return cut };
        let end = plain.bytes.len();
        let begun = reading.begun_at_end(&plain.bytes);
        let start = plain.in_text(&(end - begun..end)).start;
        // What has more codes than that within it is not a line that anybody looks at.
        if begun > 0 && text.len() - start <= FURTHEST { cut.min(start) } else { cut }
    }

    /// How much of the end of a text has to go where what follows is lost, so that no part of a secret is left there
    /// which could not be recognised by itself.
    pub(crate) fn loose_end(&self, text: &[u8]) -> usize {
        if self.is_idle() {
            return 0;
        }
        let touching = self.places(text).last().filter(|place| place.end == text.len()).map(Range::len);
        touching.unwrap_or(0).max(self.read().begun_at_end(text))
    }

    /// As [`loose_end`](Redactor::loose_end), for the beginning of a text where what was before it is lost.
    pub(crate) fn loose_beginning(&self, text: &[u8]) -> usize {
        if self.is_idle() {
            return 0;
        }
        let touching = self.places(text).first().filter(|place| place.start == 0).map(Range::len);
        touching.unwrap_or(0).max(self.read().ended_at_beginning(text))
    }

    /// Whether `text` has a secret in it, very short ones aside, which may be there by accident.
    pub(crate) fn finds_in(&self, text: &str) -> bool {
        !self.is_idle()
            && self.places(text.as_bytes()).iter().any(|place| place.len() >= forms::SHORTEST_LINE)
    }

    /// `text` without secrets, in place.
    pub(crate) fn mask_string(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask(text) {
            *text = masked;
        }
    }

    /// Whether a text has a secret in it that must not be written down: it is one, or has one of more than a few
    /// characters. (What has a very short one in it has it by accident, and may be the name of what is to be removed.)
    fn must_not_be_kept(&self, text: &str) -> bool {
        let is_one = || self.read().is_one(text);
        !self.is_idle() && (is_one() || self.finds_in(text))
    }

    /// Whether `value` has a secret anywhere in it that must not be written down.
    pub(crate) fn finds_in_value(&self, value: &Value) -> bool {
        !self.is_idle() && {
            let mut kept = value.clone();
            self.mask_for_keeping(&mut kept);
            kept != *value
        }
    }

    /// `value` as it may be written down: what must not be kept becomes the mask, each string and number as a whole.
    pub(crate) fn mask_for_keeping(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if self.must_not_be_kept(&number.to_string()) {
                    *value = Value::String(MASK.to_owned());
                }
            }
            Value::String(text) => {
                if self.must_not_be_kept(text) {
                    MASK.clone_into(text);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.mask_for_keeping(value)),
            Value::Object(fields) => {
                fields.retain(|key, _| !self.must_not_be_kept(key));
                fields.values_mut().for_each(|value| self.mask_for_keeping(value));
            }
        }
    }

    /// Whether a name must not be written down.
    pub(crate) fn forbids(&self, key: &str) -> bool {
        self.must_not_be_kept(key)
    }

    /// `value` without secrets, in every string and every key; a number that is a secret becomes the mask.
    pub(crate) fn mask_value(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => {
                if let Cow::Owned(masked) = self.mask(&number.to_string()) {
                    *value = Value::String(masked);
                }
            }
            Value::String(text) => self.mask_string(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.mask_value(value)),
            Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.mask_value(&mut value);
                        (self.mask(&key).into_owned(), value)
                    })
                    .collect();
            }
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// The matcher while it is read; without secrets there is none.
struct Reading<'r>(RwLockReadGuard<'r, Option<Matcher>>);

impl Reading<'_> {
    fn knows(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|matcher| matcher.knows(text))
    }

    fn is_one(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|matcher| matcher.is_one(text))
    }

    fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        self.0.as_ref().map_or_else(Vec::new, |matcher| matcher.places(text))
    }

    fn begun_at_end(&self, text: &[u8]) -> usize {
        self.0.as_ref().map_or(0, |matcher| matcher.begun_at_end(text))
    }

    fn ended_at_beginning(&self, text: &[u8]) -> usize {
        self.0.as_ref().map_or(0, |matcher| matcher.ended_at_beginning(text))
    }
}
