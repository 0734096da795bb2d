//! Bytes that are not UTF-8, held as characters from a range that no text uses.

use std::borrow::Cow;

/// A byte that is not UTF-8 is held as the character with this code plus its value. These codes are noncharacters or private; if
/// a file contains one all the same, its bytes are held one by one, too, so that it is not mistaken for a byte.
const RAW: u32 = 0x10_ff00;

/// The byte that a character is held for.
pub(super) fn raw(c: char) -> Option<u8> {
    u32::from(c).checked_sub(RAW).and_then(|byte| u8::try_from(byte).ok())
}

pub(super) fn held(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    let hold = |text: &mut String, bytes: &[u8]| {
        text.extend(bytes.iter().filter_map(|byte| char::from_u32(RAW + u32::from(*byte))));
    };
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c| raw(c).is_some()) {
            text.push_str(&rest[..at]);
            let length = rest[at..].chars().next().map_or(0, char::len_utf8);
            hold(&mut text, &rest.as_bytes()[at..at + length]);
            rest = &rest[at + length..];
        }
        text.push_str(rest);
        hold(&mut text, chunk.invalid());
    }
    text
}

/// The bytes that a decoded text stands for.
pub(super) fn encoded(text: &str) -> Cow<'_, [u8]> {
    if !text.as_bytes().contains(&0xf4) {
        return text.as_bytes().into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match raw(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.into()
}

/// Some bytes of a text that need not be all of it.
pub(crate) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0xf4) => text.into(),
        _ => held(bytes).into(),
    }
}
