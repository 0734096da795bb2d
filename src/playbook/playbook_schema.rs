//! The JSON Schema of playbooks with all task types of a program, for editors.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::prose::first_sentence;
use super::registry::Registry;
use super::task_type::TaskType;
use crate::units;

impl Registry {
    /// The JSON Schema of a playbook as JSON or YAML has it, with all task types of this program, for an editor.
    pub fn json_schema(&self) -> Value {
        let mut generator = SchemaGenerator::default();
        let tasks: Vec<Value> = self.registered().map(|kind| task(kind, &mut generator)).collect();
        let mut definitions: Map<String, Value> = generator.take_definitions(true);
        definitions.insert("dojob.duration".to_owned(), duration());
        definitions.insert("dojob.task".to_owned(), any_task(self, tasks));
        definitions.insert("dojob.element".to_owned(), element());
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "A playbook of dojob",
            "type": "object",
            "properties": {
                "$schema": { "description": "Where this schema is.", "type": "string" },
                "tasks": { "description": "What is to be so, task by task.", "type": "array", "items": { "$ref": "#/$defs/dojob.element" } },
                "order": {
                    "description": "`sequence`: each task waits for the one before. `graph`: each waits for those in its `after`.",
                    "enum": ["sequence", "graph"],
                    "default": "sequence",
                },
                "CWD": given("The directory in which the program was started."),
                "PLATFORM": given("The system: `Linux`, `Darwin`, …"),
                "TODAY": given("The day, such as `2026-12-31`."),
                "vars": { "description": "Values to be used as `${vars.NAME}`.", "type": "object" },
                "secrets": {
                    "description": "Where secrets come from; they are used as `${secrets.NAME}`.",
                    "type": "object",
                    "additionalProperties": secret(),
                },
                "limit": {
                    "description": "By name, how many jobs may be at work at once whose tasks have the name in their `uses`.",
                    "type": "object",
                    "additionalProperties": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                },
            },
            "required": ["tasks"],
            "additionalProperties": false,
            "$defs": definitions,
        })
    }
}

/// What a playbook may say in place of what it is given.
fn given(description: &str) -> Value {
    json!({ "description": format!("{description} Given, unless it is said here."), "type": "string" })
}

fn any_task(registry: &Registry, tasks: Vec<Value>) -> Value {
    let names: Vec<&str> = registry.registered().map(TaskType::name).collect();
    json!({
        "type": "object",
        "properties": common(&names),
        "required": ["name"],
        "additionalProperties": false,
        "allOf": tasks,
    })
}

/// A task, or a group of tasks.
fn element() -> Value {
    let group = json!({
        "type": "object",
        "properties": { "group": group() },
        "required": ["group"],
        "additionalProperties": false,
    });
    let is_group = json!({ "type": "object", "required": ["group"] });
    json!({ "if": is_group, "then": group, "else": { "$ref": "#/$defs/dojob.task" } })
}

fn group() -> Value {
    json!({
        "description": "Tasks under one name, with a policy for failures.",
        "type": "object",
        "properties": {
            "name": { "description": "What the group is called in `after`, and in what is shown.", "type": ["string", "number"] },
            "tasks": {
                "description": "Its tasks, and groups within it.",
                "type": "array",
                "items": { "$ref": "#/$defs/dojob.element" },
            },
            "after": {
                "description": "In a `graph`: the ids of the tasks and the names of the groups that come before.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
            "on_failure": {
                "description": "What is done with its tasks when it has failed for good. `revert` is the default where there are `attempts`, `keep` otherwise.",
                "enum": ["keep", "revert"],
            },
            "attempts": attempts(),
        },
        "required": ["name", "tasks"],
        "additionalProperties": false,
    })
}

fn attempts() -> Value {
    let times = |description: &str| json!({ "description": description, "type": "integer", "minimum": 1, "maximum": u32::MAX });
    let always = |description: &str| json!({ "description": description, "const": true });
    json!({
        "description": "How often the group is attempted; it is reverted before the next attempt.",
        "anyOf": [
            times("At most so many attempts."),
            {
                "type": "object",
                "properties": {
                    "times": times("At most so many attempts."),
                    "for_each": {
                        "description": "One attempt for each value, until one succeeds; the value is `${attempt.value}` in `args`.",
                        "type": "array",
                        "minItems": 1,
                    },
                    "delay": { "$ref": "#/$defs/dojob.duration", "description": "How long to wait before the next attempt." },
                    "backoff": {
                        "description": "The factor by which the delay grows from attempt to attempt.",
                        "type": "number",
                        "minimum": 1,
                    },
                    "always_revert": always("One attempt; when it fails, the group is reverted."),
                    "always_revert_all": always("One attempt; when it fails, everything that the run has done is reverted."),
                },
                "oneOf": [
                    { "required": ["times"] },
                    { "required": ["for_each"] },
                    { "required": ["always_revert"], "properties": { "delay": false } },
                    { "required": ["always_revert_all"], "properties": { "delay": false } },
                ],
                "dependentRequired": { "backoff": ["delay"] },
                "additionalProperties": false,
            },
        ],
    })
}

/// What a task may have whatever its type.
fn common(names: &[&str]) -> Value {
    let duration =
        |description: &str| json!({ "$ref": "#/$defs/dojob.duration", "description": description });
    let texts = |description: &str| {
        json!({
            "description": description,
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    };
    json!({
        "name": { "description": "The task type.", "enum": names },
        "args": { "description": "The arguments of the task type.", "type": "object" },
        "id": { "description": "What the task is called by others, and in what is shown.", "type": ["string", "number"] },
        "after": texts("In a `graph`: the ids of the tasks that come before."),
        "tries": { "description": "How often it is tried.", "type": "integer", "minimum": 1, "maximum": u32::MAX },
        "retry_delay": duration("From the start of one try to the start of the next."),
        "timeout": duration("How long all tries together may take."),
        "become": { "description": "The user who does it, for task types that can." },
        "for_each": {
            "description": "Does the task once for each element, which is `${item}` in `args`.",
            "type": "array",
        },
        "register": {
            "description": "The name under which later tasks find its result: `${results.NAME}`.",
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]+$",
        },
        "same_target": {
            "description": "`allowed`: another task may have the same target; at the end both are checked once more.",
            "enum": ["allowed"],
        },
        "verbatim": {
            "description": "Its texts are meant as they stand, with `${…}` within quotes and `{{ … }}`.",
            "type": "boolean",
        },
        "uses": texts("The names of the limits that it counts against."),
        "tags": texts("By these it is chosen with `--tags` and left out with `--skip-tags`."),
    })
}

/// If the name is this type's, the arguments are.
fn task(kind: &TaskType, generator: &mut SchemaGenerator) -> Value {
    let mut args = kind.registration().schema(generator).to_value();
    let is_needed = kind.fields().iter().any(|field| field.required && field.name != "become");
    let mut then = json!({ "required": [] });
    if is_needed {
        then["required"] = json!(["args"]);
    }
    // It may be given beside the arguments.
    if let Some(required) = args.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name != "become");
    }
    then["properties"] = json!({
        "args": args,
        "name": { "description": first_sentence(kind.doc()) },
    });
    json!({ "if": { "properties": { "name": { "const": kind.name() } }, "required": ["name"] }, "then": then })
}

fn duration() -> Value {
    json!({
        "description": "A duration such as `5s`, `1m 30s` or `2 days`.",
        "type": "string",
        "pattern": units::DURATION_PATTERN,
        // Beyond the standard, and told by the usual language servers in place of the pattern.
        "patternErrorMessage": "A duration is a number and a unit, such as `5s` or `1h 30m`.",
    })
}

fn secret() -> Value {
    json!({
        "type": "object",
        "properties": {
            "env": { "description": "The variable of the environment that has it.", "type": "string" },
            "file": { "description": "The file that has it.", "type": "string" },
            "command": {
                "description": "The command that prints it: a string for the shell, or a list of words.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            },
            "timeout": {
                "$ref": "#/$defs/dojob.duration",
                "description": "How long the command may take; 5 minutes unless given.",
            },
        },
        "oneOf": [{ "required": ["env"] }, { "required": ["file"] }, { "required": ["command"] }],
        "dependentRequired": { "timeout": ["command"] },
        "additionalProperties": false,
    })
}
