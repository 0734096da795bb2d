//! The forms in which a secret may turn up: as it is, trimmed, line by line, escaped and encoded.

use std::fmt::Write as _;

use serde_json::Value;

/// A line of a secret of several lines is masked on its own when it has so many bytes without the white space around
/// it: less is punctuation.
pub(super) const SHORTEST_LINE: usize = 4;

/// A part between the slashes of a token is masked on its own when it has so many bytes.
const SHORTEST_PART: usize = 8;

/// A secret of fewer bytes is not looked for in hexadecimal or base64: so few characters are found anywhere.
const SHORTEST_ENCODED: usize = 6;

/// A longer secret is looked for as it is and in escapes of JSON alone: other encodings of it cost too much to prepare.
const LONGEST_ENCODED: usize = 64 * 1024;

/// What is a secret by itself: the text, and it trimmed; its lines, and those trimmed.
pub(super) fn parts(secret: &str) -> Vec<&str> {
    let mut parts = vec![secret, secret.trim()];
    if secret.trim().contains(['\n', '\r']) {
        let lines = secret.split(['\n', '\r']).filter(|line| line.trim().len() >= SHORTEST_LINE);
        parts.extend(lines.flat_map(|line| [line, line.trim()]));
    }
    parts.extend(between_slashes(secret.trim()));
    parts
}

/// The parts between the slashes of a token in base64: as a path it is cut into them. They look as random as the token does;
/// words are none.
fn between_slashes(secret: &str) -> impl Iterator<Item = &str> {
    let is_token = secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte));
    let parts = secret.split('/').filter(move |part| is_token && part.len() < secret.len());
    parts.filter(|part| {
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        part.len() >= SHORTEST_PART
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit)
    })
}

/// Hands on a text as others may write it: as it is, in Rust's and JSON's escapes, in a shell's quotes, and
/// percent-encoded.
pub(super) fn written(text: &str, mut form: impl FnMut(&str)) {
    form(text);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if text.bytes().all(is_plain) {
        return;
    }
    if text.len() > LONGEST_ENCODED {
        let json = Value::from(text).to_string();
        return form(&json[1..json.len() - 1]);
    }
    let debug = text.escape_debug().to_string();
    let json = Value::from(text).to_string();
    let json = &json[1..json.len() - 1];
    let several = [
        debug,
        json.replace('/', "\\/"),
        ascii(json),
        text.replace('\'', r"'\''"),
        text.replace('\'', "'\"'\"'"),
    ];
    let quoted = |is_kept: fn(char) -> bool| {
        let escape = |each: char| (!is_kept(each)).then_some('\\').into_iter().chain([each]);
        text.chars().flat_map(escape).collect::<String>()
    };
    let in_shells = [
        quoted(|each| each.is_alphanumeric() || "_-./,:=+@%".contains(each) || each.is_control()),
        quoted(|each| each.is_alphanumeric() || "_-./,:=+@%^".contains(each) || each.is_control()),
        quoted(|each| !"\"\\$`".contains(each)),
    ];
    in_shells.iter().map(String::as_str).filter(|each| *each != text).for_each(&mut form);
    several.iter().map(String::as_str).chain([json]).filter(|each| *each != text).for_each(&mut form);
    for kept in [&b"-._~"[..], b"-._~/", b"-._~!$&'()*+,;=:@/?", b"-._~!'()*", b"*-._"] {
        let upper = percent(text, kept, true);
        form(&upper);
        form(&upper.replace("%20", "+"));
        let lower = percent(text, kept, false);
        form(&lower);
        form(&lower.replace("%20", "+"));
    }
}

/// Hands on the bytes of a text in hexadecimal and in base64, the latter also as it is within the encoding of something
/// longer.
pub(super) fn encoded(text: &str, mut form: impl FnMut(&str)) {
    if !(SHORTEST_ENCODED..=LONGEST_ENCODED).contains(&text.len()) {
        return;
    }
    let mut hex = String::with_capacity(text.len() * 2);
    text.bytes().for_each(|byte| {
        let _ = write!(hex, "{byte:02x}");
    });
    form(&hex);
    form(&hex.to_ascii_uppercase());
    for before in 0..3 {
        let padded = base64(text.as_bytes(), before);
        // Characters that depend on neighbours too.
        let first = [0, 2, 3][before];
        let plain = padded.trim_end_matches('=');
        let last = plain.len() - usize::from(plain.len() != padded.len());
        let mut shapes = vec![&padded[first..], &plain[first..], &plain[first..last]];
        shapes.dedup();
        for shape in shapes {
            form(shape);
            if shape.contains(['+', '/']) {
                form(&shape.replace('+', "-").replace('/', "_"));
            }
        }
    }
}

/// A text of JSON in ASCII alone.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

fn percent(text: &str, kept: &[u8], upper: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let _ = match byte {
            _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => {
                encoded.push(char::from(byte));
                Ok(())
            }
            _ if upper => write!(encoded, "%{byte:02X}"),
            _ => write!(encoded, "%{byte:02x}"),
        };
    }
    encoded
}

/// Standard base64 of `bytes` behind so many zero bytes, with padding.
fn base64(bytes: &[u8], before: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut all = vec![0; before];
    all.extend_from_slice(bytes);
    let mut text = String::with_capacity(all.len().div_ceil(3) * 4);
    for chunk in all.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4_u32 {
            let sextet = (bits >> (18 - 6 * index)) & 63;
            text.push(if index as usize > chunk.len() { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_padding_of_the_standard() {
        assert_eq!(base64(b"f", 0), "Zg==");
        assert_eq!(base64(b"fo", 0), "Zm8=");
        assert_eq!(base64(b"foobar", 0), "Zm9vYmFy");
    }

    #[test]
    fn lines_that_are_punctuation_are_no_parts() {
        assert_eq!(
            parts("{\n  \"a\": 1\n}"),
            ["{\n  \"a\": 1\n}", "{\n  \"a\": 1\n}", "  \"a\": 1", "\"a\": 1"]
        );
        assert_eq!(parts(" ab "), [" ab ", "ab"]);
    }

    #[test]
    fn a_token_is_masked_between_its_slashes() {
        let token = "Zm9vYmFyMTIz/c2VjcmV0MQ==/abc";
        assert_eq!(parts(token), [token, token, "Zm9vYmFyMTIz", "c2VjcmV0MQ=="]);
        for other in ["production/database", "postgres://u:Pa55word1@Host1/Base1234", "/srv/Files2024/a"] {
            let found = parts(other);
            assert!(found.iter().all(|part| *part == other || *part == "Files2024"), "{found:?}");
        }
    }
}
