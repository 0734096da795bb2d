//! Each job in its ordinary cases: a dry run that changes nothing, one run that is enough, phases called twice, and
//! kills in the middle, after all of which the world is the same.
//!
//! One proof a test: each starts its own test again to be killed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use dojob::testing::Proof;
use dojob_jobs::{Absent, Block, Directory, File, Line, Prune, Replace, Symlink, Template};

use crate::support::set_mode;

fn tree(root: &Path) {
    fs::create_dir_all(root.join("tree/below/it")).unwrap();
    for name in ["tree/a", "tree/below/b", "tree/below/it/c"] {
        fs::write(root.join(name), name).unwrap();
        set_mode(&root.join(name), 0o600);
    }
    symlink("a", root.join("tree/link")).unwrap();
}

fn text(root: &Path) {
    fs::write(root.join("file"), "one\ntwo\nthree\n").unwrap();
    set_mode(&root.join("file"), 0o640);
}

#[test]
fn a_new_file() {
    Proof::new(|root| File::new(root.join("file"), "text\n").mode(0o600)).prove();
}

#[test]
fn a_large_file() {
    Proof::new(|root| File::copy(root.join("file"), root.join("source")))
        .prepare(|root| fs::write(root.join("source"), vec![b'x'; 20_000_000]).unwrap())
        .prove();
}

#[test]
fn a_file_that_is_replaced_and_kept() {
    Proof::new(|root| File::new(root.join("file"), "text\n").backup()).prepare(text).prove();
}

#[test]
fn a_file_in_place_of_a_directory() {
    Proof::new(|root| File::new(root.join("tree"), "text\n").force()).prepare(tree).prove();
}

#[test]
fn a_file_behind_a_link() {
    Proof::new(|root| File::new(root.join("link"), "text\n").follow())
        .prepare(|root| {
            text(root);
            symlink("file", root.join("link")).unwrap();
        })
        .prove();
}

#[test]
fn a_new_directory() {
    Proof::new(|root| Directory::new(root.join("a/b/c")).mode(0o750)).prove();
}

#[test]
fn a_directory_in_place_of_a_file() {
    Proof::new(|root| Directory::new(root.join("file")).force()).prepare(text).prove();
}

#[test]
fn all_below_a_directory() {
    Proof::new(|root| Directory::new(root.join("tree")).mode(0o750).file_mode(0o644)).prepare(tree).prove();
}

#[test]
fn a_directory_that_is_purged() {
    Proof::new(|root| Directory::new(root.join("tree")).purge(["a"])).prepare(tree).prove();
}

#[test]
fn a_new_link() {
    Proof::new(|root| Symlink::new(root.join("link"), "file")).prove();
}

#[test]
fn a_link_in_place_of_a_directory() {
    Proof::new(|root| Symlink::new(root.join("tree"), "file").force()).prepare(tree).prove();
}

#[test]
fn nothing_in_place_of_a_file() {
    Proof::new(|root| Absent::new(root.join("file"))).prepare(text).prove();
}

#[test]
fn nothing_in_place_of_a_directory() {
    Proof::new(|root| Absent::new(root.join("tree")).recursive()).prepare(tree).prove();
}

#[test]
fn a_line() {
    Proof::new(|root| Line::new(root.join("file"), "zwei").regex("^two$").backup()).prepare(text).prove();
}

#[test]
fn a_block() {
    Proof::new(|root| Block::new(root.join("file"), "site", "four\nfive")).prepare(text).prove();
}

#[test]
fn what_is_replaced() {
    Proof::new(|root| Replace::new(root.join("file"), "^t", "T")).prepare(text).prove();
}

#[test]
fn a_template() {
    Proof::new(|root| Template::new(root.join("file"), "{{ a }}\n").var("a", 1)).prepare(text).prove();
}

#[test]
fn old_files() {
    Proof::new(|root| Prune::new(root.join("tree")).keep(1).recursive())
        .prepare(|root| {
            tree(root);
            let time = fs::metadata(root.join("tree/a")).unwrap().modified().unwrap();
            for (number, name) in ["tree/a", "tree/below/b", "tree/below/it/c"].iter().enumerate() {
                let age = Duration::from_secs(100 * number as u64);
                fs::File::open(root.join(name)).unwrap().set_modified(time - age).unwrap();
            }
        })
        .prove();
}
