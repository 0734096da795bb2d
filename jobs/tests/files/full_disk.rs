//! Where there is no room left, nothing is half-written.

use dojob::IntoJob;
use dojob_jobs::{Block, File, Line, Replace, Template};

use crate::small_disk::needs_room;

const HOSTS: &[(&str, &str)] = &[("hosts", "127.0.0.1 localhost\n")];

#[test]
fn a_file_stays_as_it_was() {
    needs_room(HOSTS, "/hosts: ", |root| File::new(root.join("hosts"), "10.0.0.7 db\n").into_job());
    needs_room(HOSTS, "/hosts: ", |root| File::new(root.join("hosts"), "10.0.0.7 db\n").backup().into_job());
    needs_room(&[], "/hosts: ", |root| File::new(root.join("hosts"), "10.0.0.7 db\n").into_job());
}

#[test]
fn a_template_is_not_half_written() {
    needs_room(HOSTS, "/hosts: ", |root| {
        Template::new(root.join("hosts"), "10.0.0.7 {{ a }}").var("a", "db").into_job()
    });
}

#[test]
fn a_line_is_not_half_written() {
    needs_room(HOSTS, "/hosts: ", |root| Line::new(root.join("hosts"), "10.0.0.7 db").into_job());
    needs_room(HOSTS, "/hosts: ", |root| Line::new(root.join("hosts"), "10.0.0.7 db").backup().into_job());
}

#[test]
fn a_block_is_not_half_written() {
    needs_room(HOSTS, "/hosts: ", |root| Block::new(root.join("hosts"), "db", "10.0.0.7 db").into_job());
}

#[test]
fn a_replacement_is_not_half_written() {
    needs_room(HOSTS, "/hosts: ", |root| Replace::new(root.join("hosts"), "localhost", "here").into_job());
}
