//! Where there is no room left, nothing is half-written.

use std::process::Command;

use dojob::{Engine, IntoJob, Journal};
use dojob_jobs::{Block, File, Line, Replace, Template};

use crate::small_disk::{SmallDisk, needs_room};

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

/// There every name cannot be removed, also one that never was.
#[test]
fn nothing_is_owed_for_what_could_not_be_made_on_a_disk_that_is_read_only() {
    let Some(disk) = SmallDisk::new() else { return };
    let mounted = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status();
    assert!(mounted.is_ok_and(|status| status.success()));
    let state = tempfile::tempdir().unwrap();
    for job in [
        File::new(disk.path().join("new"), "10.0.0.7 db\n").into_job(),
        Line::new(disk.path().join("line"), "10.0.0.7 db").create().into_job(),
    ] {
        let journal = Journal::open(state.path()).unwrap();
        let mut engine = Engine::new(job).unwrap().tries(1).journal(journal);
        let report = engine.converge();
        assert!(!report.success());
        assert_eq!(report.failed_cleanups().count(), 0, "{:?}", report.failed_cleanups().collect::<Vec<_>>());
        assert!(engine.pending().is_empty());
    }
}
