//! Playbooks from outside: what is wrong with bad ones, word by word, and good ones from end to end.
//!
//! `RENEW=1 cargo test --features playbook --test playbook` writes the messages anew; look at what has changed.

mod support;

#[path = "playbooks/bad.rs"]
mod bad;
#[path = "playbooks/command_line.rs"]
mod command_line;
#[path = "playbooks/deferred.rs"]
mod deferred;
#[path = "playbooks/directory.rs"]
mod directory;
#[path = "playbooks/end_to_end.rs"]
mod end_to_end;
#[path = "playbooks/from_rust.rs"]
mod from_rust;
#[path = "playbooks/groups.rs"]
mod groups;
#[path = "playbooks/kinds.rs"]
mod kinds;
#[path = "playbooks/many.rs"]
mod many;
#[path = "playbooks/names.rs"]
mod names;
#[path = "playbooks/printed.rs"]
mod printed;
#[path = "playbooks/properties.rs"]
mod properties;
