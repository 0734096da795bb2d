//! What of a source no diagnostic shows: values of keys that are named like secrets, and passwords in URLs.
//!
//! It hides too much rather than too little.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

use crate::secret::in_urls;
use crate::suggest::is_slip;

/// What the name of a key has in it whose value is hidden.
const WORDS: [&str; 12] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "authorization",
    "cookie",
    "api_key",
    "apikey",
    "api-key",
    "private_key",
    "credential",
];

/// Keys that say where a secret comes from.
const SOURCES: [&str; 4] = ["env", "file", "command", "timeout"];

/// How to find out which arguments of task types are secret; asked when a diagnostic is shown.
static ARGUMENTS: OnceLock<fn() -> BTreeSet<String>> = OnceLock::new();

/// Hides the values of the keys that `names` returns, in lower case. Only the first call counts.
pub(crate) fn hide_arguments(names: fn() -> BTreeSet<String>) {
    let _ = ARGUMENTS.set(names);
}

/// Whether the value of a key is hidden; its name is in lower case. Slips of the pen count: they are what diagnostics show.
fn is_secret_key(name: &str) -> bool {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    let names = ARGUMENTS.get().map(|names| NAMES.get_or_init(names));
    let last = name.rsplit('.').next().unwrap_or(name);
    let known = || names.into_iter().flatten().map(String::as_str).chain(WORDS).chain(["headers"]);
    WORDS.iter().any(|word| name.contains(word))
        || known().any(|known| is_slip(last, known))
        || last.split(['_', '-']).any(|part| WORDS.iter().any(|word| is_slip(part, word)))
}

/// The hidden ranges of bytes, ascending.
pub(super) fn ranges(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut hidden = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        while bytes.get(at).is_some_and(|byte| is_of_key(*byte)) {
            at += 1;
        }
        if at == start {
            at += 1;
            continue;
        }
        let name = text[start..at].to_ascii_lowercase();
        let is_secret = is_secret_key(&name);
        let quote = usize::from(bytes.get(at) == Some(&b'"'));
        if let Some(value) = Some(at + quote).filter(|_| is_secret).and_then(|from| value_after(bytes, from))
        {
            at = hide(text, value, &mut hidden).max(at);
        }
    }
    hidden.extend(in_urls(bytes));
    hidden.sort_by_key(|range: &Range<usize>| range.start);
    hidden
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// Where the value begins of a key that ends at `from`.
fn value_after(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = blank(bytes, from);
    match bytes.get(at)? {
        b'+' if bytes.get(at + 1) == Some(&b'=') => at += 2,
        b':' | b'=' => at += 1,
        b'{' => return Some(at),
        _ => return None,
    }
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    Some(at)
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| b" \t".contains(byte)) {
        at += 1;
    }
    at
}

/// Hides a value; returns where it ends.
fn hide(text: &str, start: usize, hidden: &mut Vec<Range<usize>>) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    let mut key = "";
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => (depth, at) = (depth + 1, at + 1),
            b'}' | b']' if depth <= 1 => return if depth == 0 { at } else { at + 1 },
            b'}' | b']' => (depth, at) = (depth - 1, at + 1),
            b',' | b'\n' if depth == 0 => return at,
            b',' | b':' | b'=' | b'+' => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            b'$' if bytes[at..].starts_with(b"${") => {
                at = text[at..].find('}').map_or(bytes.len(), |end| at + end + 1)
            }
            _ => {
                let end = scalar(text, at);
                if depth > 0 && value_after(bytes, end).is_some() {
                    key = text[at..end].trim_matches('"');
                } else if !SOURCES.contains(&key) {
                    hidden.push(at..end);
                }
                at = end;
            }
        }
    }
    at
}

/// Where a text ends that begins at `at`: quoted, or up to what ends a value.
fn scalar(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    if let Some(inner) = rest.strip_prefix("\"\"\"") {
        let end = inner.find("\"\"\"").map_or(rest.len(), |end| end + 6);
        return at + end + rest[end..].bytes().take_while(|byte| *byte == b'"').count();
    }
    if rest.starts_with('"') {
        let mut escaped = false;
        for (index, byte) in rest.bytes().enumerate().skip(1) {
            match byte {
                b'\n' => return at + index,
                b'"' if !escaped => return at + index + 1,
                _ => escaped = byte == b'\\' && !escaped,
            }
        }
        return text.len();
    }
    let end = rest.char_indices().skip(1).find(|(_, c)| c.is_whitespace() || ",:={}[]\"".contains(*c));
    end.map_or(text.len(), |(end, _)| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = text.to_owned();
        for range in ranges(text).iter().rev() {
            shown.replace_range(range.clone(), "***");
        }
        shown
    }

    #[test]
    fn values_of_secret_keys_are_hidden_and_others_are_not() {
        assert_eq!(shown("a{password_hash:\"x y\",b:1}"), "a{password_hash:***,b:1}");
        assert_eq!(shown("secret_env{A:\"x\", B = y},timout:1"), "secret_env{A:***, B = ***},timout:1");
        assert_eq!(shown("\"secret\" = ${secrets.a}, path: /x"), "\"secret\" = ${secrets.a}, path: /x");
        assert_eq!(shown("secret: \"\"\"a\nb\"\"\"\nmode: 1"), "secret: ***\nmode: 1");
        assert_eq!(shown("secrets { a { env: A } }"), "secrets { a { env: A } }");
        assert_eq!(shown("password: \"unterminated, x\nb: 1"), "password: ***\nb: 1");
        assert_eq!(shown("repo: \"https://me:pw@host/x\""), "repo: \"https://me:***@host/x\"");
    }

    #[test]
    fn slips_of_the_pen_hide_as_well() {
        assert_eq!(
            shown("pasword_hash: x, secert = y, headres { A: z }"),
            "pasword_hash: ***, secert = ***, headres { A: *** }"
        );
        assert_eq!(shown("section: x, seconds: 5, takes: 1"), "section: x, seconds: 5, takes: 1");
    }

    #[test]
    fn passwords_in_urls_are_taken_out() {
        assert_eq!(
            crate::secret::without_passwords("`https://u:p@h/` and ssh://git@h"),
            "`https://u:***@h/` and ssh://git@h"
        );
    }
}
