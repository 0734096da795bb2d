//! The names of a path, which is written in one way in keys and in substitutions.
//!
//! A dot outside of quotes divides names. White space between two parts of a path belongs to the name that it stands in,
//! so that `a. b` has the names `a` and ` b`.

use super::syntax_error::At;

/// What is wrong with a path such as `a..b`.
pub(super) const MISSING: &str = "a name is missing in this path";
/// What to do about it.
pub(super) const MISSING_HINT: &str = "a dot is part of a name only in quotes";

/// A path that is being read.
#[derive(Default)]
pub(super) struct PathParts {
    names: Vec<Name>,
}

struct Name {
    text: String,
    /// Written with quotes, so that it may be empty.
    is_quoted: bool,
    /// Where the dot before it is, or where it begins.
    at: At,
}

impl PathParts {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn last(&mut self, space: &str, at: At) -> &mut Name {
        if self.names.is_empty() {
            self.names.push(Name { text: String::new(), is_quoted: false, at });
        } else if let Some(last) = self.names.last_mut() {
            last.text.push_str(space);
        }
        let index = self.names.len() - 1;
        &mut self.names[index]
    }

    /// A part in quotes, with the white space before it.
    pub(super) fn quoted(&mut self, space: &str, text: &str, at: At) {
        let last = self.last(space, at);
        last.text.push_str(text);
        last.is_quoted = true;
    }

    /// A part without quotes, with the white space before it.
    pub(super) fn plain(&mut self, space: &str, text: &str, at: At) {
        let mut pieces = text.split('.');
        let first = pieces.next().unwrap_or_default();
        self.last(space, at).text.push_str(first);
        let mut column = at.1 + first.chars().count();
        for piece in pieces {
            self.names.push(Name { text: piece.to_owned(), is_quoted: false, at: (at.0, column) });
            column += 1 + piece.chars().count();
        }
    }

    /// All names; or the place where one is missing.
    pub(super) fn path(self) -> Result<Vec<String>, At> {
        match self.names.iter().find(|name| name.text.is_empty() && !name.is_quoted) {
            Some(missing) => Err(missing.at),
            None => Ok(self.names.into_iter().map(|name| name.text).collect()),
        }
    }
}

/// A path as it would be written.
pub(crate) fn written_path<N: AsRef<str>>(names: &[N]) -> String {
    let names = names.iter().map(|name| {
        let name = name.as_ref();
        let plain = |each: char| each.is_alphanumeric() || "_-/".contains(each);
        let is_plain = !name.is_empty() && name.chars().all(plain);
        if is_plain { name.to_string() } else { serde_json::Value::from(name).to_string() }
    });
    names.collect::<Vec<_>>().join(".")
}

/// A long way is shown by its ends.
pub(super) fn way_text(names: &[String]) -> String {
    const ENDS: usize = 4;
    if names.len() <= 2 * ENDS + 1 {
        return names.join(" -> ");
    }
    let (first, last) = (&names[..ENDS], &names[names.len() - ENDS..]);
    format!("{} -> … {} more … -> {}", first.join(" -> "), names.len() - 2 * ENDS, last.join(" -> "))
}
