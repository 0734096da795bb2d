//! The arguments of one job of a task, as far as its playbook says them: with the element of `for_each` filled in, and
//! numbers that are meant as texts as they were written.

use std::borrow::Cow;

use crate::playbook::argument_path::ArgumentStep;
use crate::playbook::argument_path::as_steps;
use crate::playbook::arguments;
use crate::playbook::cursor;
use crate::playbook::deferred;
use crate::playbook::deferred::around;
use crate::playbook::fill;
use crate::playbook::fill::{Filled, ShiftedIndices, Unfilled};
use crate::playbook::hocon::Map;
use crate::playbook::hocon::Placeholder;
use crate::playbook::hocon::Value;
use crate::playbook::hocon::{Places, Step};
use crate::playbook::job_names::Element;
use crate::playbook::task::Task;
use crate::playbook::task_type::TaskType;
use crate::suggest;

/// The arguments of one job.
pub(super) struct Said<'v> {
    pub(super) args: Cow<'v, Value>,
    /// Where they stand otherwise than in the playbook.
    pub(super) moved: ShiftedIndices,
}

/// Where the arguments of a task and its elements were written.
pub(super) struct Origin<'v> {
    pub(super) task: &'v Task,
    pub(super) places: &'v Places,
    /// The arguments with all their placeholders.
    pub(super) args: &'v Value,
    pub(super) element: Option<&'v Element<'v>>,
}

impl<'v> Origin<'v> {
    /// With the element filled in.
    pub(super) fn said(&self, kind: &TaskType, has_item: bool) -> Result<Said<'v>, Vec<Unfilled>> {
        let mut said = Said { args: Cow::Borrowed(self.args), moved: ShiftedIndices::default() };
        if has_item {
            let mut unfilled = Vec::new();
            let mut filler =
                |path: &[ArgumentStep], placeholder: &Placeholder| match (placeholder.root(), self.element) {
                    ("item", Some(element)) => self.item(path, placeholder, element),
                    _ => Ok(Filled::Later),
                };
            let (args, moved) = fill::fill_and_note(self.args, &mut filler, &mut unfilled);
            if !unfilled.is_empty() {
                return Err(unfilled);
            }
            said = Said { args: Cow::Owned(args), moved };
        }
        if has_number(&said.args) {
            let mut written = |path: &[ArgumentStep]| self.written(&said, path);
            if let Some(args) = arguments::as_written(kind, &said.args, &mut written) {
                said.args = Cow::Owned(args);
            }
        }
        Ok(said)
    }

    /// What there is of an element at a placeholder.
    fn item(
        &self,
        path: &[ArgumentStep],
        placeholder: &Placeholder,
        element: &Element<'_>,
    ) -> Result<Filled, Unfilled> {
        let below = placeholder.path.get(1..).unwrap_or_default();
        let Some(value) = deferred::below_deferred(element.value, below) else {
            if placeholder.is_optional {
                return Ok(Filled::Missing);
            }
            let message = format!("`{}` has no value", placeholder);
            let hint = element.value.as_object().and_then(|object| {
                let known = object.keys().map(String::as_str);
                let near = below.first().and_then(|name| suggest::nearest(name, known));
                near.map(|near| format!("did you mean `${{item.{near}}}`?"))
            });
            return Err(Unfilled::new(path, message).hint(hint));
        };
        let written = value.as_number().and_then(|number| {
            cursor::written(self.places, &element_steps(self.task, element, below), number)
        });
        Ok(match written {
            Some(written) => Filled::Written(value.into_owned(), written),
            None => Filled::Now(value.into_owned()),
        })
    }

    /// How the number at this path was written, where that matters.
    fn written(&self, said: &Said<'_>, path: &[ArgumentStep]) -> Option<String> {
        let number = around(&said.args, path)?.as_number()?;
        let path = said.moved.before(path);
        let placeholder = (0..=path.len()).find_map(|at| Some((at, self.placeholder_at(&path[..at])?)));
        let steps = match (&placeholder, self.element) {
            (Some((at, placeholder)), Some(element)) => {
                let mut steps =
                    element_steps(self.task, element, placeholder.path.get(1..).unwrap_or_default());
                steps.extend(as_steps(&path[*at..]));
                steps
            }
            _ => {
                let mut steps = self.task.path.steps();
                steps.extend(self.task.argument_steps(&path));
                steps
            }
        };
        cursor::written(self.places, &steps, number)
    }

    /// The placeholder of an element that is all of what stands at this path.
    fn placeholder_at(&self, path: &[ArgumentStep]) -> Option<Placeholder> {
        match around(self.args, path)? {
            Value::Unknown(placeholder) if placeholder.root() == "item" => Some(placeholder.clone()),
            _ => None,
        }
    }
}

/// The way to an element, or to a part of it.
fn element_steps<'s>(task: &Task, element: &Element<'_>, below: &'s [String]) -> Vec<Step<'s>> {
    let mut steps = task.path.steps();
    steps.extend([Step::Key("for_each"), Step::Index(element.index)]);
    let mut here = Some(element.value);
    for name in below {
        let index = here.and_then(Value::as_array).and_then(|_| name.parse().ok());
        steps.push(index.map_or(Step::Key(name), Step::Index));
        here = here.and_then(|value| deferred::below(value, std::slice::from_ref(name)));
    }
    steps
}

/// An element as it is named, with its numbers as they were written.
pub(super) fn as_named<'v>(task: &Task, places: &Places, element: &Element<'v>) -> Cow<'v, Value> {
    let written = |value: &Value, below: &[String]| {
        let number = value.as_number()?;
        cursor::written(places, &element_steps(task, element, below), number).map(Value::String)
    };
    match element.value {
        Value::Object(object) => {
            let mut named: Option<Map> = None;
            for (name, value) in object {
                if let Some(text) = written(value, std::slice::from_ref(name)) {
                    named.get_or_insert_with(|| object.clone()).insert(name.clone(), text);
                }
            }
            named.map_or(Cow::Borrowed(element.value), |named| Cow::Owned(Value::Object(named)))
        }
        value => written(value, &[]).map_or(Cow::Borrowed(value), Cow::Owned),
    }
}

fn has_number(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Number(_) => return true,
            Value::Array(values) => open.extend(values),
            Value::Object(object) => open.extend(object.values()),
            _ => {}
        }
    }
    false
}
