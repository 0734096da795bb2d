//! What is wrong with a task before its arguments are read: an unknown type, keys that no task has, placeholders of
//! templates where there is no template, `become` where it does nothing.

use std::borrow::Cow;
use std::sync::Arc;

use super::input::BuildInput;
use crate::diagnostic::Problem;
use crate::playbook::foreign;
use crate::playbook::hocon::Map;
use crate::playbook::hocon::Step;
use crate::playbook::hocon::Value;
use crate::playbook::prose::{described, escaped, listed};
use crate::playbook::quote_lint;
use crate::playbook::task::{TASK_KEYS, Task};
use crate::playbook::task_type::TaskType;
use crate::suggest;

/// Reports problems of one task after the other.
pub(super) struct TaskLint<'a, 'p> {
    pub(super) input: &'a BuildInput<'a>,
    pub(super) problems: &'p mut Vec<Problem>,
}

impl<'a> TaskLint<'a, '_> {
    fn report(&mut self, task: &Task, rest: &[Step<'_>], message: impl Into<String>, hint: Option<String>) {
        self.problems.push(self.input.problem(task, rest, message, hint));
    }

    /// The type of a task, where there is one of its name.
    pub(super) fn kind(&mut self, task: &'a Task, name: &str) -> Option<Arc<TaskType>> {
        match self.input.registry.shared(name) {
            Ok(kind) => Some(kind),
            Err(unknown) => {
                let message = format!("there is no task type `{}`", escaped(&unknown.name));
                let foreign = foreign::task_type(name, &|name| self.input.registry.has(name));
                let hint = match (foreign, &unknown.suggestion, self.input.registry.registered().len()) {
                    (Some(advice), ..) => advice,
                    (None, Some(near), _) => format!("did you mean `{near}`?"),
                    (None, None, 0) => "no task types are linked into this program".to_owned(),
                    (None, None, _) => "`dojob types` lists what there is".to_owned(),
                };
                self.report(task, &[Step::Key("name")], message, Some(hint));
                None
            }
        }
    }

    /// Reports keys that no task has; those of its arguments belong below `args`.
    pub(super) fn unknown_keys(&mut self, task: &'a Task, kind: Option<&TaskType>) {
        for key in &task.unknown {
            let registry = self.input.registry;
            let argument = kind.filter(|kind| kind.fields().iter().any(|field| field.name == *key));
            let hint = if let Some(kind) = argument {
                format!("it is an argument of `{}`: write `args {{ {key}: … }}`", kind.name())
            } else if let Some(advice) = foreign::task_key(key, &|name| registry.has(name)) {
                advice
            } else if let Some(near) = suggest::nearest(key, TASK_KEYS) {
                format!("did you mean `{near}`?")
            } else {
                format!("a task has {}; the arguments of its type are below `args`", listed(&TASK_KEYS))
            };
            let mut way = task.path.steps();
            way.push(Step::Key(key));
            let place = self.input.places.of_key(&way).or_else(|| self.input.places.near(&way));
            let message = format!("a task has no `{}`", escaped(key));
            self.problems.push(Problem { place, message, hint: Some(hint) });
        }
    }

    /// Reports placeholders of templates in arguments that are no templates.
    pub(super) fn braces(&mut self, task: &'a Task, kind: &TaskType) {
        let own = task.path.steps();
        let mut open: Vec<(Vec<Step<'a>>, &'a Value)> = task
            .deferrable_parts()
            .filter(|(_, value)| has_braces(value))
            .map(|(way, value)| (own.iter().copied().chain(way).collect(), value))
            .collect();
        let vars = self.input.tasks.vars.as_ref();
        while let Some((path, value)) = open.pop() {
            let below = |step| path.iter().copied().chain([step]).collect::<Vec<_>>();
            match value {
                Value::String(text) => {
                    self.problems.extend(quote_lint::check_braces(&path, text, vars, self.input.places));
                }
                Value::Array(values) => {
                    let items = values.iter().enumerate();
                    open.extend(items.map(|(index, value)| (below(Step::Index(index)), value)));
                }
                Value::Object(object) => {
                    let is_args = path.len() == own.len() + 1 && path.last() == Some(&Step::Key("args"));
                    for (key, value) in object {
                        if !(is_args && kind.is_template(key)) {
                            open.push((below(Step::Key(key)), value));
                        }
                    }
                }
                Value::Template(template) => {
                    let mut texts = template.texts();
                    let check = |text| quote_lint::check_braces(&path, text, vars, self.input.places);
                    self.problems.extend(texts.find_map(check));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown(_) | Value::Invalid => {}
            }
        }
    }

    /// The arguments, with the task's `become` among them where its type has such a field.
    pub(super) fn with_become(&mut self, task: &'a Task, kind: &TaskType) -> Option<Cow<'a, Value>> {
        const BECOME: &str = "become";
        let is_known = kind.fields().iter().any(|field| field.name == BECOME);
        let among = task.args.get(BECOME).filter(|_| is_known).map(|value| (value, &["args", BECOME][..]));
        for (value, way) in task.r#become.iter().map(|value| (value, &[BECOME][..])).chain(among) {
            if is_truth(value) {
                let message = format!("`become` is {}, expected the name of a user", described(value));
                let way: Vec<Step<'_>> = way.iter().map(|name| Step::Key(name)).collect();
                self.report(task, &way, message, Some("write `become: root`, or leave it out".to_owned()));
                return None;
            }
        }
        let Some(r#become) = &task.r#become else { return Some(Cow::Borrowed(&task.args)) };
        let key = [Step::Key("become")];
        if !is_known {
            let message = format!("`{}` does not support `become`", kind.name());
            self.report(task, &key, message, Some("leave `become` out".to_owned()));
            return Some(Cow::Borrowed(&task.args));
        }
        let mut args = task.args.clone();
        let object: &mut Map = args.as_object_mut()?;
        if object.insert("become".to_owned(), r#become.clone()).is_some() {
            let message = "`become` is given twice, for the task and among its arguments";
            self.report(task, &key, message, Some("leave one of them out".to_owned()));
            return None;
        }
        Some(Cow::Owned(args))
    }
}

/// Whether somebody says that it is done as another user, and not as which one.
fn is_truth(value: &Value) -> bool {
    const WORDS: [&str; 6] = ["yes", "no", "on", "off", "true", "false"];
    value.is_boolean() || value.as_str().is_some_and(|text| WORDS.contains(&text))
}

/// Whether there are braces of a template anywhere in a value.
fn has_braces(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if text.contains("{{") => return true,
            Value::Template(template) if template.texts().any(|text| text.contains("{{")) => return true,
            Value::Array(values) => open.extend(values),
            Value::Object(object) => open.extend(object.values()),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Unknown(_)
            | Value::Template(_)
            | Value::Invalid => {}
        }
    }
    false
}
