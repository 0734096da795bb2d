//! How far what begins at a place goes on its line, for the caret.
//!
//! Knows how values look, not what they mean.

/// The number of characters, at least 1, of what begins at `column` (from 1) of a line: a key, or a value with all that
/// is joined to it; of brackets the opening one.
pub(crate) fn length(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.chars().skip(column.saturating_sub(1)).take(LONGEST).collect();
    let mut end = 0;
    let mut at = 0;
    while let Some(next) = piece(&rest, at) {
        at = next;
        end = next;
        while rest.get(at).is_some_and(|space| space.is_whitespace()) {
            at += 1;
        }
    }
    end.max(1)
}

/// A caret need not be longer.
const LONGEST: usize = 1_000;

/// The end of the piece that begins here, unless none does.
fn piece(rest: &[char], at: usize) -> Option<usize> {
    let next = |offset: usize| rest.get(at + offset).copied();
    match next(0)? {
        '"' if next(1) == Some('"') && next(2) == Some('"') => Some(triple(rest, at + 3)),
        '"' => Some(quoted(rest, at + 1)),
        '$' if next(1) == Some('{') => {
            let close = rest[at..].iter().position(|each| *each == '}');
            Some(close.map_or(rest.len(), |close| at + close + 1))
        }
        _ => {
            let run = (at..rest.len()).take_while(|index| is_plain(rest, *index)).count();
            (run > 0).then_some(at + run)
        }
    }
}

fn triple(rest: &[char], from: usize) -> usize {
    (from..rest.len()).find(|at| rest[*at..].starts_with(&['"', '"', '"'])).map_or(rest.len(), |at| at + 3)
}

fn quoted(rest: &[char], from: usize) -> usize {
    let mut at = from;
    while let Some(each) = rest.get(at) {
        match each {
            '"' => return at + 1,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

fn is_plain(rest: &[char], at: usize) -> bool {
    let each = rest[at];
    let comment = each == '/' && rest.get(at + 1) == Some(&'/');
    !comment && !each.is_whitespace() && !"$\"{}[]:=,+#`^?!@*&\\".contains(each)
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn a_caret_goes_as_far_as_the_value() {
        let cases = [
            ("name: shell_script", 1, 4),
            ("name: shell_script", 7, 12),
            ("a: ${x}/src, b", 4, 8),
            ("a: \"x \\\" y\" # no", 4, 8),
            ("a: one two   ", 4, 7),
            ("a: [1, 2]", 4, 1),
            ("a: \"\"\"x\"y\"\"\" }", 4, 9),
            ("a: \"open", 4, 5),
            ("a.b.c = 1", 1, 5),
            ("x", 9, 1),
            ("ä: ü // comment", 4, 1),
        ];
        for (line, column, expected) in cases {
            assert_eq!(length(line, column), expected, "{line} at {column}");
        }
    }
}
