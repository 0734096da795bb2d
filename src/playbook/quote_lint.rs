//! Quotes and braces that do not mean what they look like: substitutions within quotes, placeholders of templates where
//! there is no template, single and typographic quotes.
//!
//! A value alone does not tell how it was written: `"\u0024{x}"` has the same one as `"${x}"`. So what looks suspicious
//! is looked up in its source.

mod pieces;

use std::collections::BTreeSet;

use self::pieces::{Piece, pieces};
use super::hocon::{Part, Value};
use super::hocon::{Places, Step};
use super::prose::escaped;
use super::prose::short;
use crate::diagnostic::{Place, Problem};

/// First names of substitutions that no shell has, since a dot follows.
const OWN: [&str; 6] = ["vars", "item", "secrets", "results", "attempt", "facts"];
/// What every playbook is given.
const GIVEN: [&str; 3] = ["CWD", "PLATFORM", "TODAY"];
/// Typographic quotes, which are letters like any other in HOCON.
const CURLY: [char; 10] = ['“', '”', '„', '‟', '«', '»', '‘', '’', '‚', '‛'];
/// A longer text is not written out in a hint.
const LONGEST: usize = 60;

/// How to say that a text is meant as it stands.
const VERBATIM: &str = "`verbatim: true` beside `args`";

/// Reports such quotes in all of a playbook, except in tasks that are `verbatim`.
pub(super) fn check(value: &Value, places: &Places, problems: &mut Vec<Problem>) {
    let mut checking = Checking { places, problems, seen: BTreeSet::new(), has_item: false, is_task: false };
    for root in ["vars", "secrets"] {
        if let Some(value) = value.get(root).filter(|value| is_suspicious(value)) {
            checking.value(&mut vec![Step::Key(root)], value);
        }
    }
    if let Some(tasks) = value.get("tasks") {
        checking.tasks(&mut vec![Step::Key("tasks")], tasks);
    }
}

/// Whether there is a typographic quote in a line, which explains what else is found wrong with it.
pub(super) fn curly_hint(line: &str) -> Option<String> {
    let found = line.chars().find(|c| CURLY.contains(c))?;
    Some(format!("`{found}` is not a quotation mark in HOCON: write `\"`"))
}

/// Reports placeholders of templates in a text at this path of the playbook, which is no template.
pub(super) fn check_braces(
    path: &[Step<'_>],
    text: &str,
    vars: Option<&Value>,
    places: &Places,
) -> Option<Problem> {
    let name = placeholder(text)?;
    let written = |place: &Place| {
        pieces(&place.source, place.line, place.column).iter().any(|piece| piece.text().contains(name))
    };
    // A part of it may have been written elsewhere; what comes from outside of the playbook is data.
    let place = sources(places, path).into_iter().find(written).or_else(|| {
        places.sources().any(|source| source.text().contains(name)).then(|| places.near(path))?
    })?;
    let inner = name.trim_matches(['{', '}']).trim();
    let word: String = inner.chars().take_while(|c| c.is_alphanumeric() || "._".contains(*c)).collect();
    let root = word.split('.').next().unwrap_or_default();
    let meant = if OWN.contains(&root) || GIVEN.contains(&root) {
        word.clone()
    } else if vars.is_some_and(|vars| vars.get(root).is_some()) {
        format!("vars.{word}")
    } else {
        "vars.NAME".to_owned()
    };
    let message = format!("`{}` is a placeholder of templates, and this is not a template", shortened(name));
    let hint = format!("write `${{{meant}}}`, outside of quotes; if the text is meant literally, {VERBATIM}");
    Some(Problem::new(place, message).hint(hint))
}

/// The first `{{ name … }}` as Jinja has them; those of other languages begin with a dot, a dollar or a keyword.
fn placeholder(text: &str) -> Option<&str> {
    const OTHERS: [&str; 11] =
        ["end", "else", "if", "range", "with", "define", "template", "block", "include", "break", "nil"];
    text.match_indices("{{").find_map(|(at, _)| {
        if text[..at].ends_with('$') {
            return None;
        }
        let end = text[at..].find("}}")?;
        let found = &text[at..at + end + 2];
        let inner = found[2..end].trim_matches(['-', '+']).trim();
        let word: String = inner.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let rest = inner[word.len()..].trim_start();
        let goes_on = rest.is_empty()
            || rest.starts_with(['|', '.', '[', '(', '~', '+', '-', '*', '/', '='])
            || ["if ", "or ", "and ", "is ", "in ", "not "].iter().any(|word| rest.starts_with(word));
        // `{{ json .State }}` calls a function with a part of what it is about.
        let is_called = inner[word.len()..].starts_with(char::is_whitespace) && rest.starts_with('.');
        (is_name && goes_on && !is_called && !OTHERS.contains(&word.as_str()) && !found.contains('\n'))
            .then_some(found)
    })
}

/// Where a value stands, and where it was written if that is elsewhere.
fn sources(places: &Places, path: &[Step<'_>]) -> Vec<Place> {
    places.origin(path).into_iter().chain(places.of(path)).collect()
}

struct Checking<'a, 'p> {
    places: &'a Places,
    problems: &'p mut Vec<Problem>,
    /// What is used in several places is wrong in one.
    seen: BTreeSet<(String, usize, usize)>,
    /// The task is done for each of several elements.
    has_item: bool,
    /// A task can be `verbatim`.
    is_task: bool,
}

impl<'a> Checking<'a, '_> {
    /// The tasks of a list, and of the groups in it.
    fn tasks(&mut self, path: &mut Vec<Step<'a>>, tasks: &'a Value) {
        for (index, task) in tasks.as_array().into_iter().flatten().enumerate() {
            if task.get("verbatim") == Some(&Value::Bool(true)) || !is_suspicious(task) {
                continue;
            }
            path.push(Step::Index(index));
            match task.get("group").and_then(Value::as_object) {
                None => {
                    self.is_task = true;
                    self.has_item = task.get("for_each").is_some();
                    self.value(path, task);
                }
                Some(group) => {
                    path.push(Step::Key("group"));
                    for (key, value) in group {
                        path.push(Step::Key(key));
                        if key == "tasks" {
                            self.tasks(path, value);
                        } else {
                            (self.is_task, self.has_item) = (false, false);
                            self.value(path, value);
                        }
                        path.pop();
                    }
                    path.pop();
                }
            }
            path.pop();
        }
    }

    /// As deep as the value, which a parser has bounded.
    fn value(&mut self, path: &mut Vec<Step<'a>>, value: &'a Value) {
        match value {
            value if is_suspicious_scalar(value) => {
                for place in sources(self.places, path) {
                    self.text(&place, false);
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    path.push(Step::Index(index));
                    self.value(path, value);
                    path.pop();
                }
            }
            Value::Object(object) => {
                for (key, value) in object {
                    path.push(Step::Key(key));
                    if is_suspicious_text(key)
                        && let Some(place) = self.places.of_key(path)
                    {
                        self.text(&place, true);
                    }
                    self.value(path, value);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, place: &Place, is_key: bool) {
        let pieces = pieces(&place.source, place.line, place.column);
        let Some(problem) = pieces.iter().find_map(|piece| self.wrong(piece)) else { return };
        let problem = if is_key { of_key(problem) } else { problem };
        if self.seen.insert((place.source.name().to_owned(), place.line, place.column)) {
            self.problems.push(Problem { place: Some(place.clone()), ..problem });
        }
    }

    fn wrong(&self, piece: &Piece<'_>) -> Option<Problem> {
        match piece {
            Piece::Quoted(text) => {
                let found = substitution(text, |_| true)?;
                let outside = outside(text);
                let outside = if outside.chars().count() > LONGEST {
                    format!("\"…\"{found}\"…\"")
                } else {
                    outside
                };
                let literal = found.replacen('$', "\\u0024", 1);
                let hint = format!(
                    "write it outside of them: `{}`; if it is meant literally, `\"{}\"`, {}",
                    escaped(&outside),
                    escaped(&literal),
                    if self.is_task {
                        format!("three quotes, or {VERBATIM}")
                    } else {
                        "or three quotes".to_owned()
                    }
                );
                Some(within(found).hint(hint))
            }
            Piece::Tripled(text) => {
                let found = substitution(text, |name| self.is_own(name))?;
                let shown = escaped(found);
                let hint = format!(
                    "write it outside of them: `\"\"\"…\"\"\"{shown}\"\"\"…\"\"\"`; if it is meant literally, {}",
                    if self.is_task { VERBATIM } else { "`\"…\\u0024{…}…\"` between single `\"`" }
                );
                Some(within(found).hint(hint))
            }
            Piece::Plain(text) => {
                let text = text.trim();
                if let Some(first) = text.chars().next().filter(|first| CURLY.contains(first)) {
                    let problem = Problem::new(None, format!("`{first}` is not a quotation mark in HOCON"));
                    let inner = text.trim_matches(CURLY);
                    return Some(problem.hint(format!("write `\"{}\"`", shortened(inner))));
                }
                let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
                if inner.contains('\'') {
                    return None;
                }
                let problem = Problem::new(None, "single quotes are part of a string in HOCON");
                Some(problem.hint(format!("write `\"{}\"`", escaped(inner))))
            }
        }
    }

    /// Whether a playbook's substitution is more likely meant than a variable of a shell.
    fn is_own(&self, name: &str) -> bool {
        let (first, is_path) = name.split_once('.').map_or((name, false), |(first, _)| (first, true));
        (is_path && OWN.contains(&first)) || GIVEN.contains(&name) || (name == "item" && self.has_item)
    }
}

/// A quoted text with all its substitutions outside of the quotes.
fn outside(mut text: &str) -> String {
    let quoted = |part: &str| if part.is_empty() { String::new() } else { format!("\"{part}\"") };
    let mut outside = String::new();
    while let Some((before, found, after)) = substitution(text, |_| true)
        .and_then(|found| text.split_once(found).map(|(before, after)| (before, found, after)))
    {
        outside.extend([quoted(before).as_str(), found]);
        text = after;
    }
    outside + &quoted(text)
}

/// The problem with a key, in which nothing is substituted however it is written.
fn of_key(problem: Problem) -> Problem {
    match problem.message.starts_with("`${") {
        true => Problem::new(None, "nothing is substituted in a key")
            .hint(format!("write the key itself; if it is meant literally, {VERBATIM}")),
        false => problem,
    }
}

fn within(found: &str) -> Problem {
    Problem::new(None, format!("`{}` is inside quotes, where nothing is substituted", escaped(found)))
}

fn shortened(text: &str) -> String {
    short(text)
}

/// Whether it is worth a look at the source.
fn is_suspicious_text(text: &str) -> bool {
    text.contains("${") || text.starts_with(|c| c == '\'' || CURLY.contains(&c))
}

fn is_suspicious_scalar(value: &Value) -> bool {
    match value {
        Value::String(text) => is_suspicious_text(text),
        Value::Template(template) => {
            let begins =
                matches!(template.parts().first(), Some(Part::Text(text)) if is_suspicious_text(text));
            begins || template.texts().any(|text| text.contains("${"))
        }
        _ => false,
    }
}

fn is_suspicious(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            value if is_suspicious_scalar(value) => return true,
            Value::Array(values) => open.extend(values),
            Value::Object(object) => {
                if object.keys().any(|key| is_suspicious_text(key)) {
                    return true;
                }
                open.extend(object.values());
            }
            _ => {}
        }
    }
    false
}

/// The first `${name}` or `${?name}` that can be a substitution. `${name:-…}`, `${#name}` and `${1}` cannot.
fn substitution(text: &str, is_meant: impl Fn(&str) -> bool) -> Option<&str> {
    text.match_indices("${").find_map(|(at, _)| {
        let inner = &text[at + 2..];
        let inner = &inner[..inner.find('}')?];
        let name = inner.strip_prefix('?').unwrap_or(inner).trim();
        let is_path = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"' || c == '\\')
            && name.chars().all(|c| c.is_alphanumeric() || "_-.\"\\".contains(c));
        (is_path && is_meant(name)).then(|| &text[at..at + 2 + inner.len() + 1])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_alone_can_mean_is_no_substitution() {
        let found = |text| substitution(text, |_| true);
        assert_eq!(found("a ${x:-y} ${#x} ${1} ${x%.c} $x ${x[0]} ${ } ${}"), None);
        assert_eq!(found("${x:-${HOME}}"), Some("${HOME}"));
        assert_eq!(found("/srv/${?vars.a-b}/x"), Some("${?vars.a-b}"));
    }

    #[test]
    fn placeholders_of_jinja_are_told_from_those_of_others() {
        for theirs in [
            "{{.State.Running}}",
            "{{ .Name }}",
            "{{json .State}}",
            "{{ range .Mounts }}",
            "{{end}}",
            "{{ $labels.instance }}",
            "${{ secrets.TOKEN }}",
            "{{}}",
            "{{ \"{{\" }}",
        ] {
            assert_eq!(placeholder(theirs), None, "{theirs}");
        }
        for jinja in [
            "{{ x }}",
            "{{x.y}}",
            "{{ x | default('y') }}",
            "{{- x -}}",
            "{{ a if b else c }}",
            "{{ x['y'] }}",
        ] {
            assert_eq!(placeholder(&format!("a {jinja} b")), Some(jinja));
        }
    }
}
