//! Jobs about the system: users, groups, keys, host names, crontabs, packages, services.

#[path = "system/accounts.rs"]
mod accounts;
#[path = "system/chroot.rs"]
mod chroot;
#[path = "system/files.rs"]
mod files;
#[path = "system/fixtures.rs"]
mod fixtures;
#[path = "system/own_process.rs"]
mod own_process;
#[path = "system/packages.rs"]
mod packages;
#[path = "system/services.rs"]
mod services;
#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "system/stand_in.rs"]
mod stand_in;
#[path = "system/tree.rs"]
mod tree;
#[path = "system/values.rs"]
mod values;
