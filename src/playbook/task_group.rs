//! What a playbook says of a group of tasks: its policy for failures.
//!
//! Knows the keys of a group; its tasks are read by those who know tasks.

use super::cursor::Cursor;
use super::deferred;
use super::durations::duration;
use super::hocon::Value;
use super::prose::{described, escaped, listed};
use super::task_path::TaskPath;
use crate::job::policy::{Attempts, OnFailure};
use crate::suggest;

/// The keys of a group.
pub(super) const GROUP_KEYS: [&str; 5] = ["name", "tasks", "after", "on_failure", "attempts"];
/// The keys of `attempts`.
const ATTEMPTS_KEYS: [&str; 6] =
    ["times", "for_each", "delay", "backoff", "always_revert", "always_revert_all"];
/// Those of them that say how many attempts there are.
const COUNTS: [&str; 4] = ["times", "for_each", "always_revert", "always_revert_all"];
/// How a group is written, and what else is called one.
const BOTH: &str = "tasks that belong together are `{ group { name: NAME, tasks: [ … ] } }`; a task of the type `group` (an account group) is `{ name: group, args { … } }`";

/// A group of tasks.
#[derive(Clone, Debug)]
pub(super) struct TaskGroup {
    pub(super) path: TaskPath,
    /// `None` where it could not be read, which was reported.
    pub(super) name: Option<String>,
    /// The group around it, by its number.
    pub(super) parent: Option<usize>,
    pub(super) after: Vec<String>,
    pub(super) on_failure: Option<OnFailure>,
    pub(super) attempts: Option<Attempts>,
}

/// What an element of a list of tasks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementKind {
    Task,
    Group,
    /// Parts of both, which was reported.
    Mixed,
}

/// Tells tasks from groups.
pub(super) fn kind_of(cursor: &mut Cursor<'_, '_>) -> ElementKind {
    let Some(object) = cursor.value().as_object() else { return ElementKind::Task };
    if !object.contains_key("group") {
        let Some(tasks) = object.get("tasks") else { return ElementKind::Task };
        let mut tasks = cursor.key("tasks", tasks);
        tasks.problem_at_key("a task has no `tasks`", Some(BOTH.to_owned()));
        return ElementKind::Mixed;
    }
    let mut kind = ElementKind::Group;
    for (key, value) in object.iter().filter(|(key, _)| *key != "group") {
        kind = ElementKind::Mixed;
        let shown = escaped(key);
        let hint = match key.as_str() {
            "tasks" | "after" | "on_failure" | "attempts" => {
                format!("it is part of the group: write `group {{ {shown}: … }}`")
            }
            _ => BOTH.to_owned(),
        };
        cursor
            .key(key, value)
            .problem_at_key(format!("`group` and `{shown}` cannot be in one element"), Some(hint));
    }
    kind
}

/// Whether a group is an object, and reports what else it is, and keys that no group has.
pub(super) fn is_readable(cursor: &mut Cursor<'_, '_>) -> bool {
    let Some(object) = cursor.value().as_object() else {
        let message = format!("`group` is {}, expected an object", described(cursor.value()));
        cursor.problem(message, Some(BOTH.to_owned()));
        return false;
    };
    for (key, value) in object.iter().filter(|(key, _)| !GROUP_KEYS.contains(&key.as_str())) {
        let shown = escaped(key);
        let hint = match suggest::nearest(key, GROUP_KEYS) {
            _ if key == "args" => BOTH.to_owned(),
            _ if key == "tags" => {
                "tags are those of tasks; a group without any wanted task is left out".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a group has {}", listed(&GROUP_KEYS)),
        };
        cursor.key(key, value).problem_at_key(format!("a group has no `{shown}`"), Some(hint));
    }
    for (key, hint) in [
        (
            "name",
            "write `group { name: NAME, tasks: [ … ] }`; its name stands for it in `after` and in what is shown",
        ),
        ("tasks", "write `group { name: NAME, tasks: [ … ] }`"),
    ] {
        if !object.contains_key(key) {
            cursor.problem_at_key(format!("the group has no `{key}`"), Some(hint.to_owned()));
        }
    }
    true
}

/// `keep` or `revert`.
pub(super) fn on_failure_of(cursor: &mut Cursor<'_, '_>) -> Option<OnFailure> {
    match cursor.value().as_str() {
        Some("keep") => Some(OnFailure::Keep),
        Some("revert") => Some(OnFailure::Revert),
        _ => {
            cursor.expected("`keep` or `revert`", None);
            None
        }
    }
}

/// A number, or an object that says more.
pub(super) fn attempts_of(cursor: &mut Cursor<'_, '_>) -> Option<Attempts> {
    let Some(object) = cursor.value().as_object() else { return times_of(cursor).map(Attempts::times) };
    cursor.unknown_keys(&ATTEMPTS_KEYS, "`attempts`");
    let given: Vec<&str> = COUNTS.into_iter().filter(|key| object.contains_key(*key)).collect();
    let [count] = given[..] else {
        let found = if given.is_empty() { "none".to_owned() } else { listed(&given) };
        let message = format!("`attempts` has {found}, expected one of {}", listed(&COUNTS));
        cursor.problem(message, Some("write `attempts: 3`, or `attempts { for_each: [ … ] }`".to_owned()));
        return None;
    };
    let delay = cursor.within("delay", duration);
    let backoff = cursor.within("backoff", backoff_of);
    let attempts = match count {
        "times" => cursor.within("times", times_of)?.map(Attempts::times),
        "for_each" => cursor.within("for_each", values_of)?,
        "always_revert" => cursor.within(count, is_true)?.then(Attempts::always_revert),
        _ => cursor.within("always_revert_all", is_true)?.then(Attempts::always_revert_all),
    };
    let waits = ["delay", "backoff"].into_iter().filter_map(|key| Some((key, object.get(key)?)));
    if count.starts_with("always") {
        let mut is_alone = true;
        for (key, value) in waits {
            is_alone = false;
            let message = format!("`{count}` means one attempt, before which there is no `{key}`");
            cursor
                .key(key, value)
                .problem_at_key(message, Some("write `times` for several attempts".to_owned()));
        }
        return attempts.filter(|_| is_alone);
    }
    if let (None, Some(value)) = (delay, object.get("backoff")) {
        let hint = "it is the factor by which `delay` grows: write `delay: 5s, backoff: 2`".to_owned();
        cursor.key("backoff", value).problem_at_key("`backoff` requires `delay`", Some(hint));
    }
    let attempts = match delay {
        Some(delay) => attempts?.delay(delay?),
        None => attempts?,
    };
    match backoff {
        Some(backoff) => Some(attempts.backoff(backoff?)),
        None => Some(attempts),
    }
}

fn times_of(cursor: &mut Cursor<'_, '_>) -> Option<u32> {
    let times = whole_number(cursor.value());
    if times.is_none() {
        cursor.expected(&format!("a whole number from 1 to {}", u32::MAX), None);
    }
    times
}

/// A whole number from 1 on, also as text.
fn whole_number(value: &Value) -> Option<u32> {
    let number = match value {
        Value::String(text) => text.trim().parse::<u64>().ok(),
        value => value.as_u64(),
    };
    number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
}

fn values_of(cursor: &mut Cursor<'_, '_>) -> Option<Attempts> {
    let values = cursor.list()?;
    if values.is_empty() {
        let hint = "there is one attempt for each value, so the group would fail without any".to_owned();
        cursor.problem("`for_each` has no values", Some(hint));
        return None;
    }
    let mut are_known = true;
    for (index, value) in values.iter().enumerate().filter(|(_, value)| deferred::roots(value).any()) {
        are_known = false;
        let shown = deferred::placeholders(value).first().map(|(_, found)| found.to_string());
        let message = format!("`{}` is not known before the run", shown.unwrap_or_default());
        let hint =
            "the values of attempts have to be; use the placeholder in the `args` of the tasks".to_owned();
        cursor.index(index, value).problem(message, Some(hint));
    }
    are_known.then(|| Attempts::for_each(values.iter().map(Value::to_json)))
}

fn is_true(cursor: &mut Cursor<'_, '_>) -> bool {
    let is_true = cursor.value() == &Value::Bool(true);
    if !is_true {
        cursor.expected("true", Some("leave it out otherwise".to_owned()));
    }
    is_true
}

fn backoff_of(cursor: &mut Cursor<'_, '_>) -> Option<f64> {
    let factor = match cursor.value() {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let factor = factor.filter(|factor| factor.is_finite() && *factor >= 1.0);
    if factor.is_none() {
        cursor.expected("a number from 1 on", None);
    }
    factor
}
