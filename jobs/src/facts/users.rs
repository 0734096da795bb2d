//! The users that the machine itself knows.

use std::collections::BTreeMap;

use dojob::Result;
use schemars::JsonSchema;
use serde::Serialize;

use super::source::Source;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Account {
    /// The user id, such as `1000`.
    pub uid: u32,
    /// The id of the primary group, such as `100`.
    pub gid: u32,
    /// The comment (GECOS) field, usually the full name; often empty.
    pub comment: String,
    /// The home directory, such as `/home/rosa`.
    pub home: String,
    /// The login shell, such as `/bin/bash`.
    pub shell: String,
}

/// Those of `/etc/passwd`. Of two of one name the first counts, as for the system; lines that are no users are passed over.
pub(super) fn read(source: &Source) -> Result<BTreeMap<String, Account>> {
    let text = source.read("/etc/passwd")?.unwrap_or_default();
    let mut users = BTreeMap::new();
    for (name, user) in text.lines().filter_map(user) {
        users.entry(name).or_insert(user);
    }
    Ok(users)
}

fn user(line: &str) -> Option<(String, Account)> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, uid, gid, comment, home, shell] = fields.as_slice() else { return None };
    let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let [comment, home, shell] = [comment, home, shell].map(str::to_owned);
    Some((name.to_owned(), Account { uid, gid, comment, home, shell }))
}
