//! The values of a task that come later, before any of them is there: whether they can come at all.

use serde_json::Value as Json;

use super::input::BuildInput;
use crate::diagnostic::Problem;
use crate::job::policy::Attempts;
use crate::playbook::argument_path::ArgumentStep;
use crate::playbook::argument_path::as_steps;
use crate::playbook::deferred;
use crate::playbook::hocon::Placeholder;
use crate::playbook::hocon::Value;
use crate::playbook::hocon::written_path;
use crate::playbook::prose::listed;
use crate::playbook::task::Task;
use crate::playbook::task_type::ResultShape;
use crate::suggest;

/// What is wrong with a placeholder, and what to do about it.
type Wrong = (String, Option<String>);

/// Checks the placeholders of one task after the other.
pub(super) struct PlaceholderCheck<'a, 'p> {
    pub(super) input: &'a BuildInput<'a>,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl<'a> PlaceholderCheck<'a, '_> {
    /// Tells of placeholders that cannot have a value where they are; returns the secrets that are used.
    pub(super) fn check(&mut self, task: &'a Task) -> Vec<String> {
        let mut secrets = Vec::new();
        for (path, placeholder) in task.placeholders() {
            let is_in_element = path.first() == Some(&ArgumentStep::Key("for_each".to_owned()));
            let wrong = match placeholder.root() {
                "item" => item(task, &placeholder, is_in_element),
                "results" => self.result(&placeholder),
                "attempt" => self.attempt(task, &placeholder),
                "secrets" => match self.secret(&placeholder) {
                    Ok(name) => {
                        if !secrets.contains(name) {
                            secrets.push(name.clone());
                        }
                        None
                    }
                    Err(wrong) => Some(wrong),
                },
                _ => None,
            };
            if let Some((message, hint)) = wrong {
                let steps: Vec<_> = as_steps(&path).collect();
                self.problems.push(self.input.problem(task, &steps, message, hint));
            }
        }
        secrets
    }

    /// A part of a result that its task never hands on.
    fn result(&self, placeholder: &Placeholder) -> Option<Wrong> {
        if placeholder.is_optional {
            return None;
        }
        let name = placeholder.path.get(1)?;
        let task = &self.input.tasks.tasks[*self.input.dependencies.registered.get(name)?];
        let kind = self.input.registry.shared(task.name.as_ref()?).ok()?;
        let mut below = placeholder.path.get(2..).unwrap_or_default();
        if let (Some(elements), [first, rest @ ..]) = (&task.for_each, below) {
            if first.parse::<usize>().is_err() {
                let message = format!("`{name}` is the result of a task with `for_each`, and is a list");
                return Some((
                    message,
                    Some(format!("write `${{results.{name}.0}}`, with the number of the element")),
                ));
            }
            if !first.parse().is_ok_and(|index: usize| index < elements.len()) {
                let message =
                    format!("`{name}` has no result {first}: its task has {} elements", elements.len());
                return Some((message, Some("they are counted from 0".to_owned())));
            }
            below = rest;
        }
        let kind_of = || format!("`{name}` is the result of `{}`", kind.name());
        match (kind.result()?, below) {
            (ResultShape::Nothing, _) => Some((format!("`{}` hands on no result", kind.name()), None)),
            (ResultShape::Text, [part, ..]) => Some((
                format!("{}, a string, and has no part `{part}`", kind_of()),
                Some(format!("write `${{results.{name}}}`")),
            )),
            (ResultShape::Parts(parts), [part, more @ ..]) => {
                let known: Vec<&str> = parts.keys().map(String::as_str).collect();
                match (parts.get(part), more) {
                    (None, _) => {
                        let hint = match self.near(part, &known) {
                            Some(near) => format!("did you mean `${{results.{name}.{near}}}`?"),
                            None => format!("it has {}", listed(&known)),
                        };
                        Some((format!("{}, and has no part `{part}`", kind_of()), Some(hint)))
                    }
                    (Some(false), [deeper, ..]) => {
                        Some((format!("`{part}` of `{name}` has no part `{deeper}`"), None))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What is known of an attempt only in a group that has attempts, or whose values have no such part.
    fn attempt(&self, task: &Task, placeholder: &Placeholder) -> Option<Wrong> {
        let groups = self.input.tasks.around(task).map(|group| &self.input.tasks.groups[group]);
        let attempts: Vec<&Attempts> = groups.filter_map(|group| group.attempts.as_ref()).collect();
        let below = placeholder.path.get(1..).unwrap_or_default();
        match below.split_first().map(|(name, rest)| (name.as_str(), rest)) {
            Some(("number", [])) if attempts.is_empty() => Some((
                format!("`{placeholder}` is only known in a group with `attempts`"),
                Some("write `group { name: NAME, attempts: 3, tasks: [ … ] }` around the task".to_owned()),
            )),
            Some(("number", [])) => None,
            Some(("value", parts)) => {
                let mut values = attempts.iter().filter_map(|attempts| attempts.values());
                let Some(values) = values.next() else {
                    return Some((
                        format!("`{placeholder}` is only known in a group with `attempts {{ for_each: [ … ] }}`"),
                        Some("write `group { name: NAME, attempts { for_each: [ … ] }, tasks: [ … ] }` around the task".to_owned()),
                    ));
                };
                let is_missing =
                    |value: &&Json| deferred::below(&Value::from((*value).clone()), parts).is_none();
                let missing = values.iter().position(|value| is_missing(&value))?;
                (!placeholder.is_optional).then(|| {
                    let (number, parts) = (missing + 1, parts.join("."));
                    (format!("`{placeholder}`: value {number} of the attempts has no `{parts}`"), None)
                })
            }
            _ => Some((
                format!("there is no `{placeholder}`"),
                Some("an attempt has `${attempt.value}` and `${attempt.number}`".to_owned()),
            )),
        }
    }

    /// A similar name, as long as there are not so many problems that nobody reads them.
    fn near<'k>(&self, name: &str, known: &[&'k str]) -> Option<&'k str> {
        const MOST_HINTS: usize = 100;
        (self.problems.len() < MOST_HINTS).then(|| suggest::nearest(name, known.iter().copied()))?
    }

    /// The name of the secret that a placeholder stands for.
    fn secret<'m>(&self, placeholder: &'m Placeholder) -> Result<&'m String, Wrong> {
        match placeholder.path.get(1..).unwrap_or_default() {
            [] => Err(("`${secrets}` has no value of its own".to_owned(), None)),
            [name] if self.input.tasks.secrets.has(name) => Ok(name),
            names => {
                let known: Vec<&str> = self.input.tasks.secrets.names().collect();
                let joined = names.join(".");
                let hint = if known.contains(&joined.as_str()) {
                    Some(format!("write `${{secrets.{}}}`", written_path(&[&joined])))
                } else if names.len() > 1 && self.input.tasks.secrets.has(&names[0]) {
                    Some(format!("`{}` is a string, and has no parts", names[0]))
                } else if let Some(near) = self.near(&joined, &known) {
                    Some(format!("did you mean `{}`?", written_path(&[near])))
                } else if known.is_empty() {
                    let name = written_path(&names[..1]);
                    Some(format!("say where it comes from: `secrets {{ {name} {{ env: NAME }} }}`"))
                } else {
                    Some(format!("there are {}", listed(&known)))
                };
                Err((format!("there is no secret `{}`", written_path(names)), hint))
            }
        }
    }
}

fn item(task: &Task, placeholder: &Placeholder, is_in_element: bool) -> Option<Wrong> {
    if is_in_element {
        let message = format!("`{}` is only known in `args` and `become`", placeholder);
        Some((message, Some("what stands in `for_each` are the elements themselves".to_owned())))
    } else if task.for_each.is_none() {
        let message = format!("`{}` is only known in a task with `for_each`", placeholder);
        Some((message, Some("write `for_each: [ … ]` beside `args`".to_owned())))
    } else {
        None
    }
}
