//! Commits and names as they are shown.

/// How many files are named in a message.
const NAMED: usize = 5;

pub(super) fn is_commit(version: &str) -> bool {
    matches!(version.len(), 40 | 64) && version.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

pub(super) fn some_of(names: &[String]) -> String {
    let mut some = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        some += &format!(" and {} more", names.len() - NAMED);
    }
    some
}
