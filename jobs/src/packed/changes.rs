//! How an archive and a folder differ, name by name: a reason, and a list to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::show;

/// How many differences are listed.
pub(crate) const LISTED: usize = 100;

/// How many differences the reason names.
const NAMED: usize = 3;

/// How the two differ.
pub(crate) struct Difference {
    /// The first ones, for a sentence.
    pub(crate) reason: String,
    /// A line for each, as far as there is room.
    pub(crate) list: String,
}

/// Of one name.
pub(crate) enum Change {
    /// In what is wanted alone.
    Missing,
    /// In what was found alone.
    Extra,
    /// In both, and not the same: "has other content".
    Changed(String),
}

/// What is wrong, by name.
#[derive(Default)]
pub(crate) struct Changes(BTreeMap<Vec<u8>, Change>);

impl Changes {
    /// Notes what is wrong about `name`, in place of what was noted before.
    pub(crate) fn add(&mut self, name: &[u8], change: Change) {
        self.0.insert(name.to_owned(), change);
    }

    /// Nothing is wrong about `name`, after all.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.0.remove(name);
    }

    /// Whether there are more than can be listed.
    pub(crate) fn are_enough(&self) -> bool {
        self.0.len() > LISTED
    }

    /// The difference, unless there is none.
    pub(crate) fn into_difference(self) -> Option<Difference> {
        let mut named = Vec::new();
        for (name, change) in self.0.iter().take(NAMED) {
            let name = show(name);
            named.push(match change {
                Change::Missing => format!("{name} is missing"),
                Change::Extra => format!("{name} is too much"),
                Change::Changed(how) => format!("{name} {how}"),
            });
        }
        let more = self.0.len() - named.len();
        if self.are_enough() {
            named.push("and many more".to_owned());
        } else if more > 0 {
            named.push(format!("and {more} more"));
        }
        let reason = named.join(", ");
        (!reason.is_empty()).then(|| Difference { reason, list: self.list() })
    }

    /// A line for each, as far as there is room.
    pub(crate) fn list(&self) -> String {
        let mut list = String::new();
        for (name, change) in self.0.iter().take(LISTED) {
            let name = show(name);
            // Writing to a string cannot fail.
            let _ = match change {
                Change::Missing => writeln!(list, "+ {name}"),
                Change::Extra => writeln!(list, "- {name}"),
                Change::Changed(how) => writeln!(list, "! {name} {how}"),
            };
        }
        if self.are_enough() {
            list.push_str("… and more\n");
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_and_listed() {
        let mut changes = Changes::default();
        changes.add(b"a", Change::Missing);
        changes.add(b"b", Change::Extra);
        changes.add(b"c", Change::Changed("has mode 0600, not 0644".to_owned()));
        changes.add(b"d\n", Change::Missing);
        let difference = changes.into_difference().unwrap();
        assert_eq!(difference.reason, "a is missing, b is too much, c has mode 0600, not 0644, and 1 more");
        assert_eq!(difference.list, "+ a\n- b\n! c has mode 0600, not 0644\n+ d\\n\n");
        assert!(Changes::default().into_difference().is_none());
    }

    #[test]
    fn a_list_has_an_end() {
        let mut changes = Changes::default();
        (0..LISTED + 1).for_each(|number| changes.add(number.to_string().as_bytes(), Change::Missing));
        let difference = changes.into_difference().unwrap();
        assert!(difference.reason.ends_with("10 is missing, and many more"), "{}", difference.reason);
        assert_eq!(difference.list.lines().count(), LISTED + 1);
    }
}
