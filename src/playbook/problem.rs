//! What is wrong with a playbook, and where: rendered for people, with the line and a caret below it.
//!
//! Knows text and places only; nothing of HOCON or of tasks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

mod render;

/// A text that places point into: a file, or one that came by another way under a name.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl Source {
    /// A text, and the name that people know it by: a file's path, `standard input`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Source> {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Source { name: name.into(), text, lines })
    }

    /// The name that people know it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One line, from 1, without its end; empty when there is none such.
    pub fn line(&self, number: usize) -> &str {
        let Some(start) = number.checked_sub(1).and_then(|index| self.lines.get(index)) else { return "" };
        let end = self.lines.get(number).map_or(self.text.len(), |next| next - 1);
        let line = self.text.get(*start..end).unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    }
}

/// Where in a source something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// How many characters of the line it covers; at least 1.
    pub length: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as far as it can be known.
    pub place: Option<Place>,
    /// What: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: impl Into<Option<Place>>, message: impl Into<String>) -> Self {
        Problem { place: place.into(), message: message.into(), hint: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All that is wrong, at least one; in order of place when shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// In order of place: sources as they come first, what has no place before all, and nothing twice.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let mut order: HashMap<String, usize> = HashMap::new();
        for place in self.0.iter().filter_map(|problem| problem.place.as_ref()) {
            let next = order.len();
            order.entry(place.source.name.clone()).or_insert(next);
        }
        let key = |problem: &Problem| {
            problem.place.as_ref().map(|at| (order.get(&at.source.name).copied(), at.line, at.column))
        };
        self.0.sort_by(|one, other| key(one).cmp(&key(other)));
        self.0.dedup();
        self
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", render::escaped(&self.message))?;
        if let Some(place) = &self.place {
            write!(f, "\n{}", render::snippet(place))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", render::escaped(hint))?;
        }
        Ok(())
    }
}

/// More than this many are not shown; whoever repairs so many starts again anyway.
const SHOWN: usize = 100;

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.clone().sorted();
        for (index, problem) in sorted.0.iter().take(SHOWN).enumerate() {
            let between = if index > 0 { "\n\n" } else { "" };
            write!(f, "{between}{problem}")?;
        }
        match sorted.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}
