//! What a playbook says of its tasks, all of it but their arguments.
//!
//! What is wrong is noted, and the rest is read on.

use std::time::Duration;

use super::argument_path::{ArgumentStep, as_steps};
use super::cursor::Cursor;
use super::deferred::{self, Roots};
use super::durations::{duration, positive_duration};
use super::foreign;
use super::hocon::Map;
use super::hocon::Placeholder;
use super::hocon::Value;
use super::hocon::{Places, Step};
use super::limits::{self, Limits};
use super::prose::{described, escaped};
use super::quote_lint;
use super::secrets::Sources;
use super::task_group::{self, ElementKind, TaskGroup};
use super::task_path::TaskPath;
use crate::diagnostic::Problem;

/// The keys of a playbook.
pub(super) const PLAYBOOK_KEYS: [&str; 5] = ["tasks", "order", "vars", "secrets", "limit"];
/// What a playbook is given, and may be told otherwise from outside.
pub(super) const GIVEN: [&str; 3] = ["CWD", "PLATFORM", "TODAY"];
/// The keys of a task.
pub(super) const TASK_KEYS: [&str; 14] = [
    "name",
    "args",
    "id",
    "after",
    "tries",
    "retry_delay",
    "timeout",
    "become",
    "for_each",
    "register",
    "tags",
    "uses",
    "same_target",
    "verbatim",
];

/// In which order the tasks of a playbook are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Each waits for the one before.
    #[default]
    Sequence,
    /// Each waits for those that it names in `after`.
    Graph,
}

/// A playbook, as far as it could be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    pub(super) order: Order,
    pub(super) secrets: Sources,
    /// Values of its own.
    pub(super) vars: Option<Value>,
    pub(super) limits: Limits,
    /// Those of groups among them, in the order in which they were written.
    pub(super) tasks: Vec<Task>,
    /// Each before those in it.
    pub(super) groups: Vec<TaskGroup>,
}

/// A task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Where it stands.
    pub(super) path: TaskPath,
    /// The group that it is in, by its number.
    pub(super) group: Option<usize>,
    /// The name of its type; `None` where that could not be read, which was told.
    pub(super) name: Option<String>,
    pub(super) args: Value,
    /// What the task waits for with any of its parts that may.
    pub(super) roots: Roots,
    pub(super) has_args: bool,
    /// They could be read.
    pub(super) are_args_readable: bool,
    pub(super) id: Option<String>,
    pub(super) after: Vec<String>,
    pub(super) tries: Option<u32>,
    pub(super) retry_delay: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) r#become: Option<Value>,
    pub(super) for_each: Option<Vec<Value>>,
    pub(super) register: Option<String>,
    pub(super) tags: Vec<String>,
    /// The limits that it counts against.
    pub(super) uses: Vec<String>,
    /// Another task may have the same target.
    pub(super) may_share_target: bool,
    /// Its texts are meant as they stand.
    pub(super) verbatim: bool,
    /// Keys that no task has; what is to be said of them depends on the task type.
    pub(super) unknown: Vec<String>,
}

impl Tasks {
    /// Reads a playbook.
    pub(super) fn read(mut value: Value, places: &Places, problems: &mut Vec<Problem>) -> Self {
        let mut read = Tasks::without_args(&value, places, problems);
        quote_lint::check(&value, places, problems);
        // Arguments are most of a playbook: they are moved, not copied.
        for task in &mut read.tasks {
            let args = task.path.value_in(&mut value).and_then(|task| task.get_mut("args"));
            if let Some(args) = args.filter(|args| args.is_object()) {
                task.args = args.take();
            }
            task.roots = task
                .deferrable_parts()
                .map(|(_, value)| deferred::roots(value))
                .fold(Roots::default(), Roots::and);
        }
        read.vars = value.get_mut("vars").map(Value::take);
        read
    }

    fn without_args(value: &Value, places: &Places, problems: &mut Vec<Problem>) -> Self {
        let mut all = Cursor::root(value, places, problems);
        let Some(object) = value.as_object() else {
            all.problem("a playbook must be an object", Some("write `tasks: [ … ]`".to_owned()));
            return Tasks::default();
        };
        unknown_keys(&mut all, object);
        let mut read = Tasks::default();
        if let Some(order) = object.get("order") {
            read.order = order_of(&mut all.key("order", order));
        }
        if let Some(secrets) = object.get("secrets") {
            read.secrets = Sources::read(&mut all.key("secrets", secrets));
        }
        if let Some(limit) = object.get("limit") {
            read.limits = limits::read(&mut all.key("limit", limit));
        }
        if let Some(vars) = object.get("vars") {
            all.key("vars", vars).object();
        }
        match object.get("tasks") {
            None => all.problem("the playbook has no `tasks`", Some("write `tasks: [ … ]`".to_owned())),
            Some(tasks) => {
                read.elements(&mut all.key("tasks", tasks), &TaskPath::default(), None);
            }
        }
        let uses = read.tasks.iter().map(|task| (&task.path, task.uses.as_slice()));
        limits::check(&read.limits, uses, places, problems);
        read
    }

    /// Reads the tasks and groups of a list. As deep as the value, which a parser has bounded.
    fn elements(&mut self, list: &mut Cursor<'_, '_>, path: &TaskPath, group: Option<usize>) {
        for (index, element) in list.list().into_iter().flatten().enumerate() {
            let mut cursor = list.index(index, element);
            let path = path.then(index);
            match task_group::kind_of(&mut cursor) {
                ElementKind::Task => self.tasks.extend(Task::read(path, group, &mut cursor, self.order)),
                ElementKind::Group => drop(cursor.within("group", |cursor| self.group(cursor, path, group))),
                ElementKind::Mixed => {}
            }
        }
    }

    fn group(&mut self, cursor: &mut Cursor<'_, '_>, path: TaskPath, parent: Option<usize>) {
        if !task_group::is_readable(cursor) {
            return;
        }
        let order = self.order;
        self.groups.push(TaskGroup {
            path: path.clone(),
            name: cursor.within("name", group_name_of).flatten(),
            parent,
            after: cursor.within("after", |cursor| after_of(cursor, order)).unwrap_or_default(),
            on_failure: cursor.within("on_failure", task_group::on_failure_of).flatten(),
            attempts: cursor.within("attempts", task_group::attempts_of).flatten(),
        });
        let number = self.groups.len() - 1;
        cursor.within("tasks", |list| self.elements(list, &path, Some(number)));
    }

    /// The groups around a task, the innermost first.
    pub(super) fn around(&self, task: &Task) -> impl Iterator<Item = usize> + '_ {
        self.outwards(task.group)
    }

    /// This group and those around it, the innermost first.
    pub(super) fn outwards(&self, group: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(group, |group| self.groups[*group].parent)
    }
}

fn unknown_keys(all: &mut Cursor<'_, '_>, object: &Map) {
    for (key, value) in object {
        let is_known = PLAYBOOK_KEYS.contains(&key.as_str()) || GIVEN.contains(&key.as_str());
        // What an editor wants to know of a playbook that is JSON.
        if is_known || key == "$schema" {
            continue;
        }
        let shown = escaped(key);
        let near = || crate::suggest::nearest(key, PLAYBOOK_KEYS);
        let foreign = foreign::playbook_key(key);
        let hint = match foreign.or_else(|| near().map(|near| format!("did you mean `{near}`?"))) {
            Some(hint) => hint,
            None => format!(
                "variables of your own are below `vars`: `vars {{ {shown}: … }}` is used as `${{vars.{shown}}}`"
            ),
        };
        all.key(key, value).problem_at_key(format!("a playbook has no `{shown}`"), Some(hint));
    }
}

fn order_of(cursor: &mut Cursor<'_, '_>) -> Order {
    match cursor.value().as_str() {
        Some("sequence") => Order::Sequence,
        Some("graph") => Order::Graph,
        _ => {
            cursor.expected(
                "`sequence` or `graph`",
                Some("in a `sequence` each task waits for the one before, in a `graph` only for those in its `after`".into()),
            );
            Order::Sequence
        }
    }
}

impl Task {
    fn read(path: TaskPath, group: Option<usize>, cursor: &mut Cursor<'_, '_>, order: Order) -> Option<Task> {
        let Some(object) = cursor.value().as_object() else {
            let hint = "write `{ name: …, args: { … } }`".to_owned();
            cursor
                .problem(format!("a task is {}, expected an object", described(cursor.value())), Some(hint));
            return None;
        };
        let unknown = object.keys().filter(|key| !TASK_KEYS.contains(&key.as_str())).cloned().collect();
        let name = match object.get("name") {
            Some(name) => name_of(&mut cursor.key("name", name)),
            None => {
                cursor
                    .problem("the task has no `name`", Some("`dojob types` lists what there is".to_owned()));
                None
            }
        };
        let are_args_readable = cursor.within("args", |cursor| cursor.object().is_some());
        Some(Task {
            path,
            group,
            name,
            has_args: are_args_readable.is_some(),
            are_args_readable: are_args_readable.unwrap_or(true),
            args: Value::Object(Map::new()),
            roots: Roots::default(),
            id: cursor.within("id", id_of).flatten(),
            after: cursor.within("after", |cursor| after_of(cursor, order)).unwrap_or_default(),
            tries: cursor.within("tries", tries_of).flatten(),
            retry_delay: cursor.within("retry_delay", duration).flatten(),
            timeout: cursor.within("timeout", positive_duration).flatten(),
            r#become: object.get("become").cloned(),
            for_each: cursor.within("for_each", |cursor| elements(cursor).unwrap_or_default()),
            register: cursor.within("register", register_of).flatten(),
            tags: cursor.within("tags", tags_of).unwrap_or_default(),
            uses: cursor
                .within("uses", |cursor| cursor.texts("the name of a limit, or a list of names"))
                .flatten()
                .unwrap_or_default(),
            may_share_target: cursor.within("same_target", shares_target).unwrap_or_default(),
            verbatim: cursor.within("verbatim", truth).unwrap_or_default(),
            unknown,
        })
    }

    /// The parts in which there may be values that come later, each with the way to it from the task.
    pub(super) fn deferrable_parts(&self) -> impl Iterator<Item = (Vec<Step<'static>>, &Value)> {
        let own = [("args", Some(&self.args)), ("become", self.r#become.as_ref())].into_iter();
        let own = own.filter_map(|(key, value)| Some((vec![Step::Key(key)], value?)));
        let elements = self.for_each.iter().flatten().enumerate();
        own.chain(elements.map(|(index, value)| (vec![Step::Key("for_each"), Step::Index(index)], value)))
    }

    /// The values in it that come later, each with the way to it from the task.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = (Vec<ArgumentStep>, Placeholder)> {
        let parts =
            self.deferrable_parts().filter(|(_, value)| self.roots.any() && deferred::roots(value).any());
        parts.flat_map(|(way, value)| {
            deferred::placeholders(value).into_iter().map(move |(path, placeholder)| {
                let way = way.iter().map(|step| match step {
                    Step::Key(key) => ArgumentStep::Key((*key).to_owned()),
                    Step::Index(index) => ArgumentStep::Index(*index),
                });
                (way.chain(path).collect(), placeholder)
            })
        })
    }

    /// The way from the task to one of its arguments, where that was written.
    pub(super) fn argument_steps<'s>(&self, path: &'s [ArgumentStep]) -> Vec<Step<'s>> {
        let is_become =
            path.first() == Some(&ArgumentStep::Key("become".to_owned())) && self.r#become.is_some();
        let args = (!is_become).then_some(Step::Key("args"));
        args.into_iter().chain(as_steps(path)).collect()
    }

    /// What it is called in messages.
    pub(super) fn called(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

fn name_of(cursor: &mut Cursor<'_, '_>) -> Option<String> {
    let name = cursor.text("the name of a task type")?;
    if name.trim().is_empty() {
        cursor.problem(
            "the `name` of a task cannot be empty",
            Some("`dojob types` lists what there is".to_owned()),
        );
        return None;
    }
    Some(name)
}

fn tags_of(cursor: &mut Cursor<'_, '_>) -> Vec<String> {
    cursor.texts("a tag, or a list of tags").unwrap_or_default()
}

/// What stands for a task in messages and pictures: short, in one line.
fn id_of(cursor: &mut Cursor<'_, '_>) -> Option<String> {
    short_name(cursor, "a name for the task", "an `id`")
}

fn group_name_of(cursor: &mut Cursor<'_, '_>) -> Option<String> {
    short_name(cursor, "a name for the group", "the `name` of a group")
}

fn short_name(cursor: &mut Cursor<'_, '_>, expected: &str, what: &str) -> Option<String> {
    const LONGEST: usize = 100;
    let id = cursor.text(expected)?;
    let problem = if id.trim().is_empty() {
        format!("{what} cannot be empty")
    } else if id.chars().count() > LONGEST {
        format!("{what} has at most {LONGEST} characters")
    } else if id.contains(char::is_control) {
        format!("{what} is one line, without control characters")
    } else {
        return Some(id);
    };
    cursor.problem(problem, None);
    None
}

fn after_of(cursor: &mut Cursor<'_, '_>, order: Order) -> Vec<String> {
    if order == Order::Sequence {
        cursor.problem_at_key(
            "`after` requires `order: graph`; in a sequence each task waits for the one before",
            Some("write `order: graph` at the root of the playbook, or leave `after` out".to_owned()),
        );
        return Vec::new();
    }
    cursor.texts("the id of a task, or a list of ids").unwrap_or_default()
}

fn shares_target(cursor: &mut Cursor<'_, '_>) -> bool {
    let is_allowed = cursor.value().as_str() == Some("allowed");
    if !is_allowed {
        cursor.expected("`allowed`", Some("leave it out where no other task has the same target".to_owned()));
    }
    is_allowed
}

fn truth(cursor: &mut Cursor<'_, '_>) -> bool {
    match cursor.value() {
        Value::Bool(truth) => *truth,
        _ => {
            cursor.expected("true or false", None);
            false
        }
    }
}

fn tries_of(cursor: &mut Cursor<'_, '_>) -> Option<u32> {
    let number = match cursor.value() {
        Value::String(text) => text.trim().parse::<u64>().ok(),
        value => value.as_u64(),
    };
    let tries = number.and_then(|number| u32::try_from(number).ok()).filter(|tries| *tries > 0);
    if tries.is_none() {
        cursor.expected(&format!("a whole number from 1 to {}", u32::MAX), None);
    }
    tries
}

fn elements(cursor: &mut Cursor<'_, '_>) -> Option<Vec<Value>> {
    if cursor.value().is_unknown() {
        let shown = cursor.value().plain();
        let hint = "how many jobs there are has to be known before the first of them runs".to_owned();
        cursor.problem(
            format!("`for_each` cannot be `{shown}`, which is not known before the run"),
            Some(hint),
        );
        return None;
    }
    cursor.list().cloned()
}

/// A name that stands in `${results.NAME}`.
fn register_of(cursor: &mut Cursor<'_, '_>) -> Option<String> {
    let name = cursor.text("a name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        let hint = "it is used as `${results.NAME}`".to_owned();
        cursor.expected("a name of letters, digits, `_` and `-`", Some(hint));
        return None;
    }
    Some(name)
}
