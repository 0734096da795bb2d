//! A value as JSON text for people: keys in the order in which they were written first, numbers as they were written.

use super::located::{Data, Located};
use super::template::Placeholder;
use std::borrow::Cow;

use super::places::{Places, Step};

/// How scalars are shown.
pub(crate) struct Shown<'f> {
    /// What is filled in later.
    pub(crate) placeholder: &'f dyn Fn(&Placeholder) -> String,
    /// A scalar at a path: as another text, or as it is.
    pub(crate) scalar: &'f dyn Fn(&[Step<'_>], &str) -> Option<String>,
}

impl Places {
    /// The whole value, indented by two spaces, with a line break at its end; `null` where there is none.
    pub(crate) fn render(&self, shown: &Shown<'_>) -> String {
        let mut rendered = String::new();
        match &self.root {
            Some(root) => value(root, &mut Vec::new(), shown, &mut rendered),
            None => rendered.push_str("null"),
        }
        rendered.push('\n');
        rendered
    }
}

/// Recursive: no value is deeper than was allowed when it was made.
fn value<'v>(val: &'v Located, path: &mut Vec<Step<'v>>, shown: &Shown<'_>, rendered: &mut String) {
    match &val.data {
        Data::List(list) => {
            let items = list.items.iter().enumerate();
            let items = items.map(|(index, item)| (Step::Index(index), item));
            members(items, ('[', ']'), path, shown, rendered);
        }
        Data::Object(object) => {
            let items = object.members.iter().map(|(key, member)| (Step::Key(key), &member.val));
            members(items, ('{', '}'), path, shown, rendered);
        }
        data => {
            let written = match data {
                Data::Unknown(placeholder) => Cow::Owned((shown.placeholder)(placeholder)),
                Data::Template(template) => Cow::Owned(template.with(shown.placeholder)),
                _ => Cow::Borrowed(val.written().unwrap_or("null")),
            };
            match ((shown.scalar)(path, &written), data) {
                (Some(text), _) => string(&text, rendered),
                (None, Data::Text(text)) => string(text, rendered),
                // HOCON has numbers that JSON has not, such as `01`.
                (None, Data::Number(text)) if !is_number(text) => {
                    rendered.push_str(&val.to_value().to_string())
                }
                (None, Data::Unknown(_) | Data::Template(_)) => string(&written, rendered),
                (None, _) => rendered.push_str(&written),
            }
        }
    }
}

fn members<'v>(
    items: impl ExactSizeIterator<Item = (Step<'v>, &'v Located)>,
    (open, close): (char, char),
    path: &mut Vec<Step<'v>>,
    shown: &Shown<'_>,
    rendered: &mut String,
) {
    rendered.push(open);
    let is_empty = items.len() == 0;
    for (index, (step, val)) in items.enumerate() {
        if index > 0 {
            rendered.push(',');
        }
        line(path.len() + 1, rendered);
        if let Step::Key(key) = step {
            string(key, rendered);
            rendered.push_str(": ");
        }
        path.push(step);
        value(val, path, shown, rendered);
        path.pop();
    }
    if !is_empty {
        line(path.len(), rendered);
    }
    rendered.push(close);
}

fn line(depth: usize, rendered: &mut String) {
    rendered.push('\n');
    rendered.extend(std::iter::repeat_n("  ", depth));
}

fn string(text: &str, rendered: &mut String) {
    rendered.push_str(&serde_json::Value::from(text).to_string());
}

/// Whether a text is a number as JSON has them.
fn is_number(text: &str) -> bool {
    fn digits(text: &str) -> &str {
        text.trim_start_matches(|each: char| each.is_ascii_digit())
    }
    let text = text.strip_prefix('-').unwrap_or(text);
    let mut rest = digits(text);
    let whole = text.len() - rest.len();
    if whole == 0 || whole > 1 && text.starts_with('0') {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = digits(fraction);
        if rest.len() == fraction.len() {
            return false;
        }
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        rest = digits(exponent);
        return rest.is_empty() && !exponent.is_empty();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_number;

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "10", "1.10", "1e3", "1E+3", "-1.5e-7", "18446744073709551616"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "1_000", "0x1", "1.2.3", "NaN", "1e3.5"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
