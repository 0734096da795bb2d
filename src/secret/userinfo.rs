//! Passwords and tokens in URLs, which are recognised by the shape of the text alone and need not be declared as secrets.
//!
//! Linear in the text: authorities do not overlap.

use std::borrow::Cow;
use std::ops::Range;

use super::mask::MASK;

/// The ranges of bytes that hold a password or a token in the URLs of `text`, ascending.
///
/// A password is hidden in URLs of every scheme. A user without a password is hidden in `http` and `https` alone, where it
/// is a token; in `ssh://git@host` it is a name.
pub(crate) fn in_urls(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(colon) = text[at..].iter().position(|byte| *byte == b':').map(|colon| at + colon) {
        at = colon + 1;
        if text[at..].starts_with(b"//") {
            at += 2;
            found.extend(hidden(is_web(&text[..colon]), text, at));
        }
    }
    found
}

/// `text` without passwords and tokens in URLs.
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    let places = in_urls(text.as_bytes());
    if places.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for place in places {
        shown.push_str(&text[from..place.start]);
        shown.push_str(MASK);
        from = place.end;
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

/// Whether the scheme at the end of `before` is `http` or `https`.
fn is_web(before: &[u8]) -> bool {
    let ends = |scheme: &[u8]| before.last_chunk::<5>().is_some_and(|last| last.eq_ignore_ascii_case(scheme));
    ends(b"https") || before.last_chunk::<4>().is_some_and(|last| last.eq_ignore_ascii_case(b"http"))
}

/// What is hidden of an authority that begins at `from`.
fn hidden(is_web: bool, text: &[u8], from: usize) -> Option<Range<usize>> {
    let authority = &text[from..];
    let end = authority.iter().position(|byte| byte.is_ascii_whitespace() || b"/\"'`?#".contains(byte));
    let authority = &authority[..end.unwrap_or(authority.len())];
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let start = match authority[..at].iter().position(|byte| *byte == b':') {
        // A token stands before this word, which is no password.
        Some(colon) if authority[colon + 1..at] == *b"x-oauth-basic" => 0,
        Some(colon) if colon + 1 < at => colon + 1,
        _ if is_web => 0,
        _ => return None,
    };
    Some(from + start..from + at).filter(|range| !range.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::secret::Redactor;

    #[test]
    fn passwords_and_tokens_in_urls_are_masked_without_being_declared() {
        let redactor = Redactor::default();
        for (text, shown) in [
            ("get https://me:p%40w@h/x now", "get https://me:***@h/x now"),
            ("HTTPS://ghp_x@h https://ghp_x:x-oauth-basic@h", "HTTPS://***@h https://***@h"),
            ("postgres://u:a:b@c@h/db", "postgres://u:***@h/db"),
            ("ssh://git@h/x and https://h/@x and me@h", "ssh://git@h/x and https://h/@x and me@h"),
        ] {
            assert_eq!(redactor.mask(text), shown);
            assert_eq!(redactor.mask(shown), shown, "masked twice");
            assert_eq!(redactor.mask_part(text.as_bytes(), 0..text.len()), shown.as_bytes());
        }
        redactor.add("p%40w@h");
        assert_eq!(redactor.mask("https://me:p%40w@h/x"), "https://me:***/x", "joined with a secret");
    }
}
