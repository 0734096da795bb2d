//! `types`: lists or describes the task types of the program.

use std::fmt::Write as _;

use crate::cli::print::print;
use crate::playbook::{Field, Registry, TaskType};

/// How wide a text is set.
const WIDTH: usize = 100;

#[derive(clap::Args)]
pub(super) struct Types {
    /// A task type; case and underscores are ignored
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Types {
    pub(super) fn main(self) -> anyhow::Result<u8> {
        let registry = Registry::linked()?;
        let text = match &self.name {
            Some(name) => of_one(registry.get(name)?),
            None => table(&registry),
        };
        print(text.as_bytes())?;
        Ok(0)
    }
}

/// A line for each type.
fn table(registry: &Registry) -> String {
    if registry.registered().len() == 0 {
        return "no task types are linked into this program\n".to_owned();
    }
    let width = registry.registered().map(|kind| kind.name().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for kind in registry.registered() {
        let line = format!("{:width$}  {}", kind.name(), kind.summary());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// All of a type.
fn of_one(kind: &TaskType) -> String {
    let mut text = format!("{}\n", kind.name());
    if !kind.doc().is_empty() {
        let _ = write!(text, "\n{}", set(kind.doc(), 4));
    }
    if !kind.fields().is_empty() {
        text.push_str("\nArguments:\n");
        kind.fields().iter().for_each(|field| of_field(&mut text, field));
    }
    text.push_str("\nExample:\n");
    kind.example().lines().for_each(|line| {
        let _ = writeln!(text, "    {line}");
    });
    let _ = writeln!(text, "\nFrom {} (package {}).", kind.type_name(), kind.package());
    text
}

fn of_field(text: &mut String, field: &Field) {
    let _ = write!(text, "    {}: {}", field.name, field.takes);
    if field.required {
        text.push_str("; required");
    }
    if let Some(default) = &field.default {
        let _ = write!(text, "; default {default}");
    }
    text.push('\n');
    text.push_str(&set(&field.doc, 8));
}

/// A doc comment as text: its paragraphs set anew, examples and lists as they are.
fn set(doc: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut text = String::new();
    let mut is_code = false;
    let mut paragraph = String::new();
    for line in doc.lines().map(str::trim_end).chain([""]) {
        let is_fence = line.trim_start().starts_with("```");
        let is_list = line.trim_start().starts_with(['-', '*']);
        if is_code || is_fence || is_list || line.is_empty() {
            flow(&mut text, &margin, &std::mem::take(&mut paragraph));
        }
        // What rustdoc hides of an example is for the compiler.
        let is_hidden = is_code && (line == "#" || line.starts_with("# "));
        if is_fence {
            is_code = !is_code;
        } else if is_hidden {
        } else if is_code || is_list {
            let _ = writeln!(text, "{}", format!("{margin}{line}").trim_end());
        } else if line.is_empty() {
            text.push('\n');
        } else {
            paragraph.extend([if paragraph.is_empty() { "" } else { " " }, line.trim()]);
        }
    }
    let end = text.trim_end().len();
    text.truncate(end);
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn flow(text: &mut String, margin: &str, paragraph: &str) {
    let mut width = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if width == 0 {
            text.push_str(margin);
            width = margin.len();
        } else if width + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(margin);
            width = margin.len();
        } else {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    if width > 0 {
        text.push('\n');
    }
}
