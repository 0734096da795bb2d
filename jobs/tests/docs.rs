//! The pages in `docs/`: the list of facts is current, and the playbooks on the pages are valid and do what they say.
//!
//! `RENEW=1 cargo test -p dojob-jobs --all-features --test docs` updates the list of facts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dojob_jobs::AllFacts;
use serde_json::Value;

fn page_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// A playbook on a page, below a heading.
struct Snippet {
    heading: String,
    text: String,
    /// The name that the line before gives to the file, as in "`common.conf`:".
    file: Option<String>,
}

fn snippets(page: &str) -> Vec<Snippet> {
    let mut found = Vec::new();
    let (mut heading, mut before, mut open): (_, _, Option<String>) = (String::new(), "", None);
    for line in page.lines() {
        match open.take() {
            Some(text) if line == "```" => {
                let file = before.strip_suffix("`:").and_then(|line| line.strip_prefix('`'));
                found.push(Snippet { heading: heading.clone(), text, file: file.map(str::to_owned) });
            }
            Some(text) => open = Some(text + line + "\n"),
            None if line == "```hocon" => open = Some(String::new()),
            None if line.starts_with("## ") => line[3..].clone_into(&mut heading),
            None if !line.is_empty() => before = line,
            None => {}
        }
    }
    found
}

fn dojob(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dojob"))
        .args(args)
        .env("HOME", home)
        .env("DOJOB_STATE_DIR", home.join("state"))
        .env("DB_PASSWORD", "correct horse")
        .env("API_TOKEN", "battery staple")
        .current_dir(home)
        .output()
        .expect("dojob can be started")
}

/// What needs another machine, another user, or root; such playbooks are only validated.
const NOT_RUN: [&str; 6] = ["/etc/", "/opt/", "https://", "become", "name: package", "cron_entry"];

#[test]
fn the_recipes_are_valid_and_converge() {
    let page = fs::read_to_string(page_path("docs/how-do-i.md")).unwrap();
    let (mut validated, mut run) = (0, 0);
    let mut home = tempfile::tempdir().unwrap();
    let mut heading = String::new();
    for snippet in snippets(&page) {
        if heading != snippet.heading {
            home = tempfile::tempdir().unwrap();
            fs::create_dir(home.path().join("srv")).unwrap();
            heading.clone_from(&snippet.heading);
        }
        let below = format!("{}/srv/", home.path().display());
        let file = snippet.file.as_deref().unwrap_or("site.conf");
        fs::write(home.path().join(file), snippet.text.replace("/srv/", &below)).unwrap();
        let came = dojob(home.path(), &["validate", file]);
        assert!(came.status.success(), "{heading}: {}", String::from_utf8_lossy(&came.stderr));
        validated += 1;
        // Facts of this machine decide whether an `assert` passes.
        let needs_debian =
            snippet.text.contains("os.family: debian") && !Path::new("/etc/debian_version").exists();
        if needs_debian || NOT_RUN.iter().any(|what| snippet.text.contains(what)) {
            continue;
        }
        for round in ["first", "second"] {
            let came = dojob(home.path(), &["run", file]);
            let stderr = String::from_utf8_lossy(&came.stderr);
            assert!(came.status.success(), "{heading}, {round} run: {stderr}");
            let is_done = stderr.starts_with("nothing to do") || snippet.text.contains("shell_script");
            assert!(round == "first" || is_done, "{heading} is not idempotent: {stderr}");
        }
        run += 1;
    }
    assert!(
        validated >= 18 && run >= 8,
        "{validated} were validated, {run} run: the page lost its playbooks"
    );
}

#[test]
fn the_links_of_the_recipes_lead_to_headings() {
    let page = fs::read_to_string(page_path("docs/how-do-i.md")).unwrap();
    let anchors: Vec<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    let links: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert_eq!(links, anchors, "the table of contents differs from the headings");
}

#[test]
fn the_playbooks_of_the_readme_are_valid() {
    let readme = fs::read_to_string(page_path("README.md")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let snippets = snippets(&readme);
    assert_eq!(snippets.len(), 2);
    for snippet in snippets {
        fs::write(home.path().join("site.conf"), &snippet.text).unwrap();
        let came = dojob(home.path(), &["validate", "site.conf"]);
        assert!(came.status.success(), "{}: {}", snippet.heading, String::from_utf8_lossy(&came.stderr));
    }
}

/// The part of the page about facts that is generated follows this line.
const GENERATED: &str = "<!-- Generated from `jobs/src/facts` from here on. -->\n";

#[test]
fn the_page_of_facts_is_current() {
    let path = page_path("docs/facts.md");
    let found = fs::read_to_string(&path).unwrap();
    let (introduction, _) = found.split_once(GENERATED).expect("the page has a generated part");
    let schema = schemars::schema_for!(AllFacts).to_value();
    let wanted = format!("{introduction}{GENERATED}{}", facts(&schema));
    if std::env::var_os("RENEW").is_some() {
        fs::write(&path, &wanted).unwrap();
    } else {
        assert!(found == wanted, "docs/facts.md is stale: run this test with RENEW=1");
    }
}

/// A section for each group of facts.
fn facts(schema: &Value) -> String {
    let mut text = String::new();
    for (group, value) in properties(schema) {
        let _ = write!(text, "\n## {group}\n\n{}\n", prose(value));
        let (path, described) = match value.get("additionalProperties") {
            Some(entry) => (format!("{group}.NAME"), resolved(schema, entry)),
            None => (group.clone(), resolved(schema, value)),
        };
        text += "\n| fact | type | |\n| --- | --- | --- |\n";
        let fields: Vec<_> = properties(described).collect();
        if fields.is_empty() {
            let _ = writeln!(text, "| `{path}` | {} | {} |", kind(schema, value), prose(value));
        }
        for (name, field) in fields {
            let _ = writeln!(text, "| `{path}.{name}` | {} | {} |", kind(schema, field), prose(field));
        }
    }
    text
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn prose(schema: &Value) -> String {
    schema["description"].as_str().expect("every fact is described").replace('\n', " ")
}

/// The type that a schema refers to, or itself; without "or null".
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let alternatives = schema["anyOf"].as_array();
    let schema = alternatives.and_then(|of| of.iter().find(|of| of["type"] != "null")).unwrap_or(schema);
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).expect("the type is defined"),
        None => schema,
    }
}

fn kind(root: &Value, schema: &Value) -> String {
    let is_nullable = |types: &Value| {
        types.as_array().is_some_and(|types| types.iter().any(|of| of == "null" || of["type"] == "null"))
    };
    let or_null = if is_nullable(&schema["type"]) || is_nullable(&schema["anyOf"]) { " or null" } else { "" };
    let schema = resolved(root, schema);
    let values: Vec<String> = schema["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|of| format!("`{}`", of["const"].as_str().expect("a value")))
        .collect();
    if !values.is_empty() {
        return values.join(", ") + or_null;
    }
    let name = |of: &Value| of.as_str().or_else(|| of[0].as_str()).unwrap_or_default().to_owned();
    match name(&schema["type"]).as_str() {
        "array" => format!("list of {}s{or_null}", name(&schema["items"]["type"])),
        plain => format!("{plain}{or_null}"),
    }
}
