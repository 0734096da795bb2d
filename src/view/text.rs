//! Small pieces of text that several views share: durations, quoted reasons, names and lines without control codes.

use std::borrow::Cow;
use std::time::Duration;

/// A duration as people say it: `0 ms`, `12 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, (millis % 1000) / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `text` in quotation marks, on one line and without control codes.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if is_unprintable(c) => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A name on one line and without control codes.
pub(crate) fn name(name: &str) -> Cow<'_, str> {
    if !name.contains(is_unprintable) {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if is_unprintable(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    Cow::Owned(plain)
}

/// A line that a job printed, without colours, cursor movements and other control codes; tabs stay.
pub(crate) fn line(line: &str) -> Cow<'_, str> {
    if !line.contains(|c: char| is_unprintable(c) && c != '\t') {
        return Cow::Borrowed(line);
    }
    // A program that overwrites its own line (a progress bar) leaves what it wrote last.
    let line = line.trim_end_matches('\r');
    let last = line.rsplit('\r').next().unwrap_or(line);
    let stripped = anstream::adapter::strip_str(last).to_string();
    Cow::Owned(stripped.chars().filter(|c| !is_unprintable(*c) || *c == '\t').collect())
}

/// Control codes, and the marks that turn the direction of the text around them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 job`, `2 jobs`.
pub(crate) fn count(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1 process`, `2 processes`.
pub(crate) fn processes(count: usize) -> String {
    if count == 1 { "1 process".to_owned() } else { format!("{count} processes") }
}

/// The first few of many names, and how many more there are.
pub(crate) fn some_of<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let mut text = names.take(SHOWN).map(name).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_do() {
        let said = |millis| duration(Duration::from_millis(millis));
        assert_eq!(
            [0, 12, 999, 1_449, 60_000, 200_500, 7_500_000].map(said),
            ["0 ms", "12 ms", "999 ms", "1.4 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
        );
    }

    #[test]
    fn nothing_that_is_shown_has_control_codes() {
        assert_eq!(quoted("a \"b\"\n\x1b[31mc\\"), r#""a \"b\"\n\u{1b}[31mc\\""#);
        assert_eq!(quoted("Giordano's – ä"), "\"Giordano's – ä\"");
        assert_eq!(name("a\nb"), "a\\nb");
        assert_eq!(line("10%\r\x1b[32m100%\x1b[0m\tdone\r"), "100%\tdone");
        assert_eq!(name("\u{202e}evil"), "\\u{202e}evil");
    }
}
