//! A line of a source with a caret below it, as a terminal shows it.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::place::Place;
use crate::secret::MASK;

/// The widest part of a line that is shown, in columns of the terminal.
const WIDEST: usize = 100;
/// How much of that is kept in front of the caret when a line is cut.
const BEFORE: usize = 40;

/// How many characters of a line are looked at, however narrow they are.
const MOST: usize = 400;

/// ` --> file:line:column`, the line and the caret.
pub(super) fn snippet(place: &Place) -> String {
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let name = escaped(place.source.name());
    let mut text = format!("{margin}--> {name}:{}:{}", place.line, place.column);
    let (shown, caret) = window(place);
    if shown.trim_matches(|each: char| each == '…' || each.is_whitespace()).is_empty() {
        return text;
    }
    let _ = write!(text, "\n{margin} |\n{number} | {shown}\n{margin} | {caret}");
    text
}

/// The part of a line around the caret, and the line of the caret. No more of the line is looked at, since it may have
/// millions of characters, and a hundred problems.
fn window(place: &Place) -> (String, String) {
    let column = place.column.saturating_sub(1);
    let start = first_shown(place, column);
    let mut shown = if start > 0 { "…".to_owned() } else { String::new() };
    let mut width = shown.chars().count();
    let mut caret = " ".repeat(width);
    let mut carets = 0;
    let mut was_hidden = false;
    let rest = place.source.line_from(place.line, start + 1);
    for (index, (at, character)) in rest.char_indices().enumerate() {
        let is_hidden = place.source.hides(&rest[at..]);
        // The mask does not tell how long a secret is.
        let cell = match (is_hidden, std::mem::replace(&mut was_hidden, is_hidden)) {
            (true, false) => (MASK.to_owned(), MASK.len()),
            (true, true) => (String::new(), 0),
            (false, _) => cell(character, index == 0 && start == 0),
        };
        // Characters that take no room of their own may be more than anybody wants to see.
        if width + cell.1 > WIDEST || index > MOST {
            shown.push('…');
            break;
        }
        width += cell.1;
        shown.push_str(&cell.0);
        if start + index < column {
            caret.push_str(&" ".repeat(cell.1));
        } else if start + index < column.saturating_add(place.length.max(1)) {
            carets += cell.1;
        }
    }
    caret.push_str(&"^".repeat(carets.max(1)));
    (shown.trim_end().to_owned(), caret)
}

/// The first character that is shown: 0 unless the caret would be out of sight.
fn first_shown(place: &Place, column: usize) -> usize {
    let line = place.source.line(place.line);
    if column < MOST {
        let until: usize = line.chars().take(column + 1).map(|each| cell(each, false).1).sum();
        // A few columns behind the caret ought to be seen as well.
        if until + 20 <= WIDEST || line.chars().nth(WIDEST).is_none() && until < WIDEST {
            return 0;
        }
    }
    let from = column.saturating_sub(BEFORE);
    let before: Vec<char> =
        place.source.line_from(place.line, from + 1).chars().take(column - from).collect();
    let mut back = 0;
    let kept = before.iter().rev().take_while(|each| {
        back += cell(**each, false).1;
        back <= BEFORE
    });
    column - kept.count()
}

/// How one character is shown, and how wide that is.
fn cell(character: char, first: bool) -> (String, usize) {
    if character == '\t' {
        return ("    ".to_owned(), 4);
    }
    match character.width() {
        // What joins the character before it: it has nothing to stand on at the beginning.
        Some(0) if !first && !is_invisible(character) => (character.to_string(), 0),
        Some(width) if width > 0 && !is_invisible(character) => (character.to_string(), width),
        _ => {
            let text = escape(character);
            let width = text.len();
            (text, width)
        }
    }
}

/// Characters that change how others are shown, or cannot be seen.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn escape(character: char) -> String {
    match character {
        '\0' => "\\0".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        other => other.escape_unicode().to_string(),
    }
}

/// A text in which nothing can play with the terminal.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) { safe.push_str(&escape(character)) } else { safe.push(character) }
    }
    safe
}
