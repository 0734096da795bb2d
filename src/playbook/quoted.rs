//! Quotes that do not what people mean: substitutions within them, which are plain text there, and single ones, which are
//! part of the text.
//!
//! Knows texts and where they were written; not what they are for.

use serde_json::Value;

use super::hocon::{Places, Step};
use super::late;
use super::problem::{Place, Problem};
use super::task::Tasks;

/// What a substitution begins with that no shell has, since there is a dot in its name.
const BEGINNINGS: [&str; 5] = ["vars.", "item.", "secrets.", "results.", "facts."];

/// Tells of such quotes in the arguments of all tasks.
pub(super) fn check(tasks: &Tasks, places: &Places, problems: &mut Vec<Problem>) {
    for task in &tasks.tasks {
        for (way, value) in task.late_parts().filter(|(_, value)| is_suspicious(value)) {
            let mut path = vec![Step::Key("tasks"), Step::Index(task.index)];
            path.extend(way);
            let mut open = vec![(path, value)];
            while let Some((path, value)) = open.pop() {
                let below = |step| path.iter().copied().chain([step]).collect::<Vec<_>>();
                match value {
                    Value::String(text) => problems.extend(wrong(text, || places.near(&path))),
                    Value::Array(values) => {
                        let items = values.iter().enumerate();
                        open.extend(items.map(|(index, value)| (below(Step::Index(index)), value)));
                    }
                    Value::Object(object) => {
                        open.extend(object.iter().map(|(key, value)| (below(Step::Key(key)), value)));
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) => {}
                }
            }
        }
    }
}

/// Whether it is worth a closer look.
fn is_suspicious(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if text.starts_with('\'') || text.contains("${") => return true,
            Value::Array(values) => open.extend(values),
            Value::Object(object) => open.extend(object.values()),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    false
}

fn wrong(text: &str, place: impl Fn() -> Option<Place>) -> Option<Problem> {
    if let Some(name) = substitution(text) {
        let shown = late::escaped(name);
        let message = format!("`{shown}` stands in quotes, where it is plain text");
        let hint = format!(
            "write it outside of them, such as `{shown}\"/a path\"`; if it is meant as it stands, `\"$\"\"{}\"`",
            shown.trim_start_matches('$')
        );
        return Some(Problem::new(place(), message).hint(hint));
    }
    let within = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''))?;
    let place = place().filter(|_| !within.contains('\''))?;
    // In double quotes somebody wants them.
    let is_bare = place.source.line(place.line).chars().nth(place.column.saturating_sub(1)) == Some('\'');
    let problem = Problem::new(place, "single quotes are part of a text in HOCON");
    is_bare.then(|| problem.hint(format!("write `\"{}\"`", late::escaped(within))))
}

/// The first `${vars.…}` or the like.
fn substitution(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(at, _)| {
        let inner = &text[at + 2..];
        let name = inner.strip_prefix('?').unwrap_or(inner);
        BEGINNINGS.iter().find(|beginning| name.starts_with(**beginning))?;
        let end = inner.find('}')?;
        Some(&text[at..at + 2 + end + 1]).filter(|found| !found.contains(char::is_whitespace))
    })
}
