//! Which line ends a template keeps: a line with nothing but tags leaves nothing behind, and any other line stays a line,
//! with its indentation.
//!
//! The engine takes away the line end behind a tag, and the blanks before one that begins a line, whatever else is on the
//! line, unless the tag has a `+` on that side; here it gets one.

use std::borrow::Cow;
use std::ops::Range;

/// A part of a template.
enum Part {
    Text(Range<usize>),
    /// `{{ … }}`
    Variable,
    /// `{% … %}` or `{# … #}`
    Tag(Range<usize>),
}

/// The template with a `+` in the tags of lines that have more in them, and without blanks between the tags of others.
pub(super) fn kept(template: &str) -> Cow<'_, str> {
    if !template.contains("{%") && !template.contains("{#") {
        return template.into();
    }
    let mut edits = Vec::new();
    let mut line = TemplateLine::default();
    for part in parts(template) {
        match part {
            Part::Variable => line.has_more = true,
            Part::Tag(range) => line.tags.push(range),
            Part::Text(range) => {
                let mut start = range.start;
                for piece in template[range].split_inclusive('\n') {
                    let end = start + piece.len();
                    let content =
                        piece.strip_suffix('\n').map_or(piece, |it| it.strip_suffix('\r').unwrap_or(it));
                    line.add(template, start..start + content.len());
                    if piece.ends_with('\n') {
                        line.end(template, start + content.len(), &mut edits);
                        line = TemplateLine::default();
                    }
                    start = end;
                }
            }
        }
    }
    line.end(template, template.len(), &mut edits);
    edits.sort_by_key(|(range, _): &(Range<usize>, &str)| range.start);
    let mut kept = String::with_capacity(template.len() + edits.len());
    let mut at = 0;
    for (range, new) in edits {
        kept.push_str(&template[at..range.start]);
        kept.push_str(new);
        at = range.end;
    }
    kept.push_str(&template[at..]);
    kept.into()
}

/// What is on a line; tags count for the line that they begin in.
#[derive(Default)]
struct TemplateLine {
    tags: Vec<Range<usize>>,
    /// Blanks that stand before or behind tags.
    blanks: Vec<Range<usize>>,
    has_more: bool,
}

impl TemplateLine {
    fn add(&mut self, template: &str, text: Range<usize>) {
        let is_blank = |c: char| c == ' ' || c == '\t' || c == '\u{feff}';
        if !template[text.clone()].chars().all(is_blank) {
            self.has_more = true;
        } else if !text.is_empty() {
            self.blanks.push(text);
        }
    }

    fn end(&self, template: &str, end: usize, edits: &mut Vec<(Range<usize>, &'static str)>) {
        let (Some(first), Some(last)) = (self.tags.first(), self.tags.last()) else { return };
        let bytes = template.as_bytes();
        let is_marked = |at: usize| matches!(bytes.get(at), Some(b'-' | b'+'));
        if !self.has_more {
            // Those before the first tag are the engine's business.
            let behind = self.blanks.iter().filter(|blank| blank.start > first.start);
            edits.extend(behind.map(|blank| (blank.clone(), "")));
            return;
        }
        let begins_line = template[..first.start].trim_end_matches([' ', '\t']);
        let begins_line = begins_line.is_empty() || begins_line.ends_with('\n');
        if begins_line && !is_marked(first.start + 2) {
            edits.push((first.start + 2..first.start + 2, "+"));
        }
        let is_closed = ["%}", "#}"].iter().any(|close| template[last.clone()].ends_with(close));
        if last.end == end && is_closed && !is_marked(last.end - 3) {
            edits.push((last.end - 2..last.end - 2, "+"));
        }
    }
}

fn parts(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < template.len() {
        let rest = &template[at..];
        let start = rest.match_indices('{').map(|(at, _)| at).find(|at| {
            let next = rest.as_bytes().get(at + 1);
            matches!(next, Some(b'{' | b'%' | b'#'))
        });
        let Some(start) = start else {
            parts.push(Part::Text(at..template.len()));
            break;
        };
        if start > 0 {
            parts.push(Part::Text(at..at + start));
        }
        let begin = at + start;
        let inner = &template[begin + 2..];
        at = match template.as_bytes().get(begin + 1) {
            Some(b'{') => {
                parts.push(Part::Variable);
                begin + 2 + end_of(inner, "}}")
            }
            Some(b'#') => {
                let end = begin + 2 + inner.find("#}").map_or(inner.len(), |end| end + 2);
                parts.push(Part::Tag(begin..end));
                end
            }
            _ => {
                let end = begin + 2 + end_of(inner, "%}");
                parts.push(Part::Tag(begin..end));
                if word(&template[begin..end]) == "raw" {
                    let raw = raw_end(&template[end..]);
                    parts.push(Part::Text(end..end + raw));
                    end + raw
                } else {
                    end
                }
            }
        };
    }
    parts
}

/// Behind the end of a tag; one in quotes is none.
fn end_of(inner: &str, end: &str) -> usize {
    let mut quote = None;
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (None, _) if inner[at..].starts_with(end) => return at + end.len(),
            (Some(_), '\\') => _ = chars.next(),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    inner.len()
}

/// What stands in a tag.
fn word(tag: &str) -> &str {
    let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
    inner.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+')
}

/// How long the text is that is taken as it stands.
fn raw_end(text: &str) -> usize {
    let mut tags = text.match_indices("{%").map(|(at, _)| at);
    tags.find(|at| {
        let inner = &text[at + 2..];
        inner.find("%}").is_some_and(|end| word(&inner[..end]) == "endraw")
    })
    .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn a_line_with_more_than_tags_keeps_its_end() {
        for (template, wanted) in [
            ("a {% if x %}b{% endif %}\nc\n", "a {% if x %}b{% endif +%}\nc\n"),
            ("a {# b #}\r\nc", "a {# b +#}\r\nc"),
            ("{{ a }}{% if x %}\n", "{{ a }}{% if x +%}\n"),
            ("a {% set x = '%}' %}\n", "a {% set x = '%}' +%}\n"),
            (
                "a{% raw %}{% if %}\n{% endraw %}b{% if x %}\n",
                "a{% raw %}{% if %}\n{%+ endraw %}b{% if x +%}\n",
            ),
            ("  {% if x %}k: 1{% endif %}\n", "  {%+ if x %}k: 1{% endif +%}\n"),
            ("a {% set x = [\n1] %}\n", "a {% set x = [\n1] +%}\n"),
        ] {
            assert_eq!(kept(template), wanted);
        }
    }

    #[test]
    fn a_line_of_tags_leaves_nothing() {
        for template in
            ["", "a\n", "{% if x %}\n  {# b #}\n{% endif %}", "\u{feff}{% if x %}\n", "a {% if x -%}\n"]
        {
            assert_eq!(kept(template), template);
        }
        assert_eq!(kept(" {% if x %} {% if y %}  \n"), " {% if x %}{% if y %}\n");
        // What is not closed is the engine's to refuse.
        assert_eq!(kept("a {% if"), "a {% if");
    }
}
