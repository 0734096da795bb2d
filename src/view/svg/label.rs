//! The text in a box: how wide it will be, and on which lines.

/// The size of a name's font, in pixels.
pub(super) const FONT: i64 = 13;
/// The size of the font of what is said of it.
pub(super) const SMALL: i64 = 11;

/// Names up to this width stay on one line.
const ONE_LINE: i64 = 30 * FONT;
/// No line is broader than this.
const BROADEST: i64 = 40 * FONT;

/// The widths of U+0020 to U+007E in hundredths of the font's size: of Arial and DejaVu Sans, whichever is broader.
const ASCII: [u8; 95] = [
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    34, 34, 84, 84, 84, 56, 102, 69, 69, 73, 78, 67, 62, 78, 76, 30, 50, 67, 56, 87, 75, 79, 67, 79, 73, 67,
    62, 74, 69, 99, 69, 67, 69, 40, 34, 40, 84, 56, 50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98,
    64, 62, 64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84,
];

/// The width of a character in hundredths of the font's size; rather too much than too little.
fn advance(c: char) -> i64 {
    match c {
        ' '..='~' => i64::from(ASCII[c as usize - 0x20]),
        c if is_mark(c) => 0,
        'Æ' | 'æ' | 'Œ' | 'œ' => 110,
        '\u{a0}'..='\u{24f}' if c.is_alphabetic() => 80,
        // Emoji and other pictures.
        '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1ffff}' => 140,
        _ => 110,
    }
}

/// Whether it is drawn on the character before it, or not at all: accents, joiners, marks of direction.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}')
}

/// How wide `text` is at most in a font of `size` pixels.
pub(super) fn width(text: &str, size: i64) -> i64 {
    (text.chars().map(advance).sum::<i64>() * size + 99) / 100
}

/// `text`, or as much of its beginning as is not broader than `limit` with an ellipsis behind it.
pub(super) fn elided(text: &str, size: i64, limit: i64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut room = limit * 100 / size - advance('…');
    let fits = |c: &char| {
        room -= advance(*c);
        room >= 0
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// `text` without what XML cannot hold and what would turn the text around it; line breaks become `\n`.
pub(super) fn clean(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' => c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        '\u{2028}' | '\u{2029}' => '\n',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(replaced).collect()
}

/// The lines on which a name stands. Together they are the whole name, less its line breaks.
pub(super) fn lines(name: &str) -> Vec<String> {
    clean(name).split('\n').flat_map(wrap).collect()
}

/// Breaks a long line into ones of about equal width.
fn wrap(line: &str) -> Vec<String> {
    let whole = width(line, FONT);
    if whole <= ONE_LINE {
        return vec![line.to_owned()];
    }
    let rows = (whole + ONE_LINE - 1) / ONE_LINE;
    // Somewhat more than the mean, as lines end where words do; a text of many lines may be as broad as it gets.
    let limit = if rows > 4 { BROADEST } else { (whole / rows * 9 / 8).min(BROADEST) };
    let mut rows = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (row, after) = rest.split_at(first_row(rest, limit));
        rows.push(row.to_owned());
        rest = after;
    }
    rows
}

/// How many bytes of `text` go on a line: up to the last good place for a break, or else as many characters as there is
/// room for.
fn first_row(text: &str, limit: i64) -> usize {
    let limit = limit * 100 / FONT;
    let mut used = 0;
    let mut good = None;
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        let joined = is_mark(c) || before == '\u{200d}';
        used += advance(c);
        // A space at the end of a line takes no room.
        if used > limit && c != ' ' && at > 0 && !joined {
            return good.unwrap_or(at);
        }
        if matches!(c, ' ' | '/' | '-' | '_' | ',' | ';' | ':' | '.' | '=' | '&' | '?') {
            good = Some(at + c.len_utf8());
        }
        before = c;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_names_stand_on_lines_of_about_equal_width() {
        let name = "ConfigFile /etc/systemd/system/a-service-with-a-long-name.service.d/override.conf";
        assert_eq!(
            lines(name),
            ["ConfigFile /etc/systemd/system/a-service-", "with-a-long-name.service.d/override.conf"]
        );
        assert_eq!(lines("two\r\nlines"), ["two", "lines"]);
        assert_eq!(lines(""), [""]);
        let long = "x".repeat(10_000);
        assert!(lines(&long).iter().all(|line| width(line, FONT) <= BROADEST));
    }

    proptest! {
        #[test]
        fn names_are_whole_and_lines_bounded(name in "(\\PC|\n| ){0,300}") {
            let lines = lines(&name);
            prop_assert_eq!(lines.concat(), clean(&name).replace('\n', ""));
            for line in &lines {
                prop_assert!(width(line.trim_end(), FONT) <= BROADEST, "{line:?}");
            }
        }
    }
}
