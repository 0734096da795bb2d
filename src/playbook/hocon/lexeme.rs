//! How far what begins at a place goes on its line, for the caret.

/// The number of characters, at least 1, of what this text begins with: a key, or a value with all that is joined to it;
/// of brackets the opening one. Looks at no more of the text than that.
pub(crate) fn length(rest: &str) -> usize {
    let rest = &rest[..rest.floor_char_boundary(LONGEST * 4)];
    let mut end = 0;
    let mut at = 0;
    while let Some(length) = piece(&rest[at..]) {
        end = at + length;
        at = rest.len() - rest[end..].trim_start().len();
    }
    rest[..end].chars().count().clamp(1, LONGEST)
}

/// A caret need not be longer.
const LONGEST: usize = 1_000;

/// The bytes of the piece that begins here, unless none does.
fn piece(rest: &str) -> Option<usize> {
    let until =
        |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("\"\"\"") {
        return Some(until(3, "\"\"\""));
    }
    if rest.starts_with('"') {
        return Some(quoted(rest));
    }
    if rest.starts_with("${") {
        return Some(until(2, "}"));
    }
    let plain = rest.char_indices().find(|(at, each)| !is_plain(*each, &rest[*at..]));
    Some(plain.map_or(rest.len(), |(at, _)| at)).filter(|length| *length > 0)
}

fn quoted(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, each) in rest.char_indices().skip(1) {
        match each {
            _ if is_escaped => is_escaped = false,
            '"' => return at + 1,
            '\\' => is_escaped = true,
            _ => {}
        }
    }
    rest.len()
}

fn is_plain(each: char, rest: &str) -> bool {
    !each.is_whitespace() && !"$\"{}[]:=,+#`^?!@*&\\".contains(each) && !rest.starts_with("//")
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
            ("a: \"é\\\"名\" x", 4, 8),
        ];
        for (line, column, expected) in cases {
            let rest: String = line.chars().skip(column - 1).collect();
            assert_eq!(length(&rest), expected, "{line} at {column}");
        }
    }
}
