//! What is not known when a text is read: a value that is filled in later, and a string of which such values are a part.

use std::fmt;

use super::path::written_path;

/// A substitution whose value is filled in later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The names of its path, at least one.
    pub path: Vec<String>,
    /// Written as `${?…}`: it may be missing.
    pub is_optional: bool,
}

impl Placeholder {
    /// The first name of its path.
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }
}

/// As it is written: `${results.build.version}`.
impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}{}}}", if self.is_optional { "?" } else { "" }, written_path(&self.path))
    }
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that is known; not empty.
    Text(String),
    /// A value that is filled in later.
    Placeholder(Placeholder),
}

/// A string of which parts are filled in later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Its parts, of which no two that follow each other are text.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its parts that are known.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Placeholder(_) => None,
        })
    }

    /// Its values that are filled in later.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Placeholder(placeholder) => Some(placeholder),
        })
    }

    /// Adds text at the end.
    pub fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// Adds a value that is filled in later.
    pub fn push_placeholder(&mut self, placeholder: Placeholder) {
        self.parts.push(Part::Placeholder(placeholder));
    }

    /// Adds all parts of another one.
    pub fn append(&mut self, other: &Template) {
        for part in &other.parts {
            match part {
                Part::Text(text) => self.push_text(text),
                Part::Placeholder(placeholder) => self.push_placeholder(placeholder.clone()),
            }
        }
    }

    /// The string with another text in the place of each placeholder.
    pub fn with(&self, text_of: impl Fn(&Placeholder) -> String) -> String {
        let mut string = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => string.push_str(text),
                Part::Placeholder(placeholder) => string.push_str(&text_of(placeholder)),
            }
        }
        string
    }
}

/// With its placeholders as they are written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with(Placeholder::to_string))
    }
}
