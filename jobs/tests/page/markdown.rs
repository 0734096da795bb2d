//! The page itself.
//!
//! Knows Markdown and the order of the page; what a schema means is told by [`schema`](super::schema).

use std::fmt::Write as _;

use dojob_jobs::catalogue::{Area, CatalogueEntry, Need};
use serde_json::Value;

use super::schema::{Must, Type, either};

const INTRODUCTION: &str = include_str!("introduction.md");

/// What is longer than this is cut at a colon in the list of all jobs.
const LONGEST: usize = 100;

/// All of it.
pub(crate) fn page(entries: &[CatalogueEntry]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page += "\n## All jobs\n";
    let mut area = None;
    for entry in entries {
        if area.replace(entry.area()) != Some(entry.area()) {
            let _ = write!(page, "\n**{}**\n\n", title(entry.area()));
        }
        let schema = entry.schema().to_value();
        let name = entry.name();
        let _ =
            writeln!(page, "* [`{name}`](#{name}): {}", first_sentence(Type::root(&schema).description()));
    }
    for entry in entries {
        page += &section(entry);
    }
    page
}

fn title(area: Area) -> &'static str {
    match area {
        Area::Files => "Files, directories and links",
        Area::PartsOfFiles => "Parts of files",
        Area::Archives => "Archives",
        Area::Net => "Network",
        Area::Commands => "Commands",
        Area::System => "System",
        _ => "Others",
    }
}

/// What it is in short: in lower case, as it stands behind a colon.
fn first_sentence(description: &str) -> String {
    let paragraph = description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let sentence = paragraph.split_inclusive(". ").next().unwrap_or_default();
    let sentence = sentence.trim().trim_end_matches('.');
    let sentence = match sentence.split_once(": ") {
        Some((start, _)) if sentence.len() > LONGEST => start,
        _ => sentence,
    };
    let mut letters = sentence.chars();
    let Some(first) = letters.next() else { return String::new() };
    format!("{}{}", first.to_lowercase(), letters.as_str())
}

fn section(entry: &CatalogueEntry) -> String {
    let schema = entry.schema().to_value();
    let job = Type::root(&schema);
    let mut section = format!("\n## {}\n\n", entry.name());
    section += &prose(job.description());
    if !entry.needs().is_empty() {
        let needs: Vec<String> = entry.needs().iter().map(|need| needed(*need)).collect();
        let _ = write!(section, "\nNeeds {}.\n", needs.join(", "));
    }
    let _ = write!(section, "\n```hocon\n{}\n```\n", entry.example());
    let code = code(job.description());
    if !code.is_empty() {
        let _ = write!(section, "\nIn Rust it is `{}`:\n\n```rust\n{code}```\n", entry.type_name());
    }
    section += &table(job);
    let mut objects: Vec<(&str, Type<'_>)> = Vec::new();
    let mut open: Vec<Type<'_>> = vec![job];
    while let Some(kind) = open.pop() {
        for (name, found) in kind.fields().iter().flat_map(|field| field.kind.objects()) {
            if !objects.iter().any(|(known, _)| *known == name) {
                objects.push((name, found));
                open.push(found);
            }
        }
    }
    for (name, object) in objects {
        let _ = write!(section, "\n### {name}\n\n{}", prose(object.description()));
        section += &table(object);
    }
    section
}

fn needed(need: Need) -> String {
    match need {
        Need::Root => "root".to_owned(),
        Need::Net => "a network".to_owned(),
        Need::Program(names) => either(names.split('|').map(|name| format!("`{name}`")).collect()),
        _ => "more".to_owned(),
    }
}

/// A doc comment without its code, in which links are names.
fn prose(description: &str) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for line in description.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            text += line;
            text.push('\n');
        }
    }
    format!("{}\n", text.trim_end())
}

/// The code in a doc comment, as rustdoc shows it.
fn code(description: &str) -> String {
    let mut blocks = description.split("```").skip(1).step_by(2);
    let block = blocks.next().unwrap_or_default();
    let shown = block.lines().skip(1).filter(|line| *line != "#" && !line.starts_with("# "));
    shown.map(|line| format!("{line}\n")).collect()
}

fn table(kind: Type<'_>) -> String {
    let mut table = "\n| field | type | | |\n| --- | --- | --- | --- |\n".to_owned();
    for field in kind.fields() {
        let must = match field.must {
            Must::Required => "required".to_owned(),
            Must::OneOf => "one of these".to_owned(),
            Must::Optional => default(field.kind),
        };
        let description = field.description.replace("\n\n", "<br>").replace('\n', " ");
        let cells = [format!("`{}`", field.name), field.kind.words(), must, description];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    table
}

/// What holds where nothing is said, as far as it is a value.
fn default(kind: Type<'_>) -> String {
    match kind.default() {
        None | Some(Value::Null) => "optional".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "optional".to_owned(),
        Some(Value::Object(fields)) if fields.is_empty() => "optional".to_owned(),
        Some(Value::String(text)) => format!("default `{text}`"),
        Some(value) => format!("default `{value}`"),
    }
}
