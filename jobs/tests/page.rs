//! The page about the jobs, `jobs/README.md`: made from the catalogue, complete and current, its examples right.
//!
//! `RENEW=1 cargo test -p dojob-jobs --test page` writes it anew.
#![cfg(all(feature = "archive", feature = "http"))]

#[path = "page/markdown.rs"]
mod markdown;
#[path = "page/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dojob_jobs::catalogue::{self, CatalogueEntry};
use serde_json::Value;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The example's name and arguments.
fn task(entry: &CatalogueEntry) -> (Value, Value) {
    let example = entry.example();
    let mut task: Value = hocon::from_str(example).unwrap_or_else(|error| panic!("{error} in {example}"));
    let (name, args) = (task["name"].take(), task["args"].take());
    (name, args)
}

#[test]
fn the_page_is_current() {
    let (path, wanted) = (package().join("README.md"), markdown::page(catalogue::entries()));
    if std::env::var_os("RENEW").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let stale = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = stale.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1;
    assert!(
        found == wanted,
        "jobs/README.md is stale from line {line} on: `RENEW=1 cargo test -p dojob-jobs --test page` writes it anew"
    );
}

#[test]
fn the_readme_of_the_library_counts_them() {
    let readme = fs::read_to_string(package().join("../README.md")).unwrap();
    let count = catalogue::entries().len();
    let text = format!("[{count} ready-made task types](jobs/README.md)");
    assert!(readme.contains(&text), "{text:?} is not in README.md");
}

#[test]
fn the_page_is_for_people_who_do_not_read_rust() {
    let page = markdown::page(catalogue::entries());
    for leftover in ["](crate", "](dojob::", "](Self", "](super", "$defs", "#[cfg", "\u{0}"] {
        assert!(!page.contains(leftover), "{leftover:?} is in the page");
    }
    let undescribed: Vec<&str> = page.lines().filter(|line| line.ends_with("|  |")).collect();
    assert!(undescribed.is_empty(), "fields that nobody describes: {undescribed:#?}");
    let undescribed: Vec<&str> = page
        .split("\n### ")
        .skip(1)
        .filter(|part| part.contains("\n\n\n"))
        .filter_map(|part| part.lines().next())
        .collect();
    assert!(undescribed.is_empty(), "objects that nobody describes: {undescribed:?}");
}

#[test]
fn every_example_is_a_job() {
    for entry in catalogue::entries() {
        let (name, args) = task(entry);
        assert_eq!(name, entry.name());
        let job = entry.job(args).unwrap_or_else(|error| panic!("{error} in {}", entry.example()));
        assert!(job.name().starts_with(entry.type_name()), "{}", job.name());
    }
}

#[test]
fn a_word_too_many_is_refused() {
    for entry in catalogue::entries() {
        let (_, mut args) = task(entry);
        args["colour"] = "blue".into();
        let error = entry.job(args).unwrap_err().to_string();
        assert!(error.contains("unknown field `colour`"), "{}: {error}", entry.type_name());
    }
}

#[test]
fn all_jobs_are_there_once_and_in_order() {
    let listed: Vec<&str> = catalogue::entries().iter().map(CatalogueEntry::type_name).collect();
    let in_catalogue: BTreeSet<String> = listed.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed.len(), in_catalogue.len(), "one is there twice");
    let order = |entry: &CatalogueEntry| (entry.area(), entry.type_name());
    assert!(catalogue::entries().is_sorted_by_key(order), "they are not sorted by area and name");
    assert_eq!(in_catalogue, jobs_of_the_sources());
}

/// The types of `src` for which one of the job traits is implemented.
fn jobs_of_the_sources() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<PathBuf> = vec![package().join("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let names = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("impl ")?;
            let (_, name) =
                rest.split_once("Job for ").filter(|(kind, _)| ["", "RunOnly", "Dummy"].contains(kind))?;
            name.strip_suffix(" {").map(str::to_owned)
        });
        found.extend(names);
    }
    found
}

/// What a job says it has is read by `--pending`; a cleanup that is written and denied, or promised and missing, would mislead.
#[test]
fn every_job_states_whether_it_has_a_cleanup_and_a_revert() {
    let mut seen = 0;
    for file in fs::read_dir(package().join("src")).unwrap() {
        let path = file.unwrap().path();
        let Some(text) = path.is_file().then(|| fs::read_to_string(&path).unwrap()) else { continue };
        let Some((_, body)) = text.split_once("Job for ").filter(|(before, _)| {
            before.ends_with("\nimpl ")
                || before.ends_with("\nimpl RunOnly")
                || before.ends_with("\nimpl Dummy")
        }) else {
            continue;
        };
        let body = body.split("\n}\n").next().unwrap();
        for what in ["cleanup", "revert"] {
            let (_, stated) = body
                .split_once(&format!("fn has_{what}(&self) -> Option<bool> {{"))
                .unwrap_or_else(|| panic!("{} does not say whether it has a {what}", path.display()));
            let stated = stated.trim_start();
            let is_written = body.contains(&format!("fn {what}(&mut self"));
            let depends = stated.starts_with(&format!("Some(self.{what}.is_some())"));
            let says = format!("Some({is_written})");
            assert!(stated.starts_with(&says) || depends && is_written, "{what} of {}", path.display());
        }
        seen += 1;
    }
    assert_eq!(seen, jobs_of_the_sources().len());
}
